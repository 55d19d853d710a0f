"""The letters of the last batches: a ring that the first pass fills and the second reads.

What a piece of a batch brings stands in one stretch of the ring. Nothing is recorded for
later: what led to a violation is looked up among the letters that are still there.
"""

from collections import deque
from typing import Any, NamedTuple

import numpy as np

from rvfs._stepper import Twin
from rvfs.event import Batch

#: Letters between the two passes, and those that stay.
ROOM = 4096
RING = 4 * ROOM
#: Pieces that stay, and the events of their batches: small batches are remembered for long,
#: large ones for little more than themselves.
PIECES, EVENTS = 256, 1 << 17


class Piece(NamedTuple):
    """Letters ``first`` to ``last - 1`` of the ring, and the batch that they are from."""

    batch: Batch
    first: int
    last: int
    times: Any


class Event(NamedTuple):
    """A letter, and when and on which CPU it came."""

    letter: int
    time: int
    cpu: int


class Letters:
    """``at``: the position of the event in its batch; ``letters``; ``instances``: whom it met."""

    def __init__(self, twin: Twin) -> None:
        self.at = np.zeros(RING, dtype=np.int32)
        self.letters = np.zeros(RING, dtype=np.int16)
        self.instances = np.zeros(RING, dtype=np.int32)
        self.views = tuple(map(twin.view, (self.at, self.letters, self.instances)))
        self._pieces: deque[Piece] = deque()
        self._events = 0
        self._next = 0

    def make_room(self) -> int:
        """Where the next piece, of :data:`ROOM` letters at most, begins; what was there is gone."""
        if self._next + ROOM > RING:
            self._next = 0
        start, end = self._next, self._next + ROOM
        while self._pieces and self._pieces[0].first < end and self._pieces[0].last > start:
            self._drop_oldest()
        return start

    def add(self, piece: Piece) -> Piece:
        if not (self._pieces and self._pieces[-1].batch is piece.batch):
            self._events += len(piece.batch)
        self._pieces.append(piece)
        self._next = piece.last
        while len(self._pieces) > PIECES or self._is_full(piece.batch):
            self._drop_oldest()
        return piece

    def _is_full(self, latest: Batch) -> bool:
        """More events than :data:`EVENTS`, not all of them of the latest batch."""
        return self._events > EVENTS and self._pieces[0].batch is not latest

    def _drop_oldest(self) -> None:
        gone = self._pieces.popleft()
        if not self._pieces or self._pieces[0].batch is not gone.batch:
            self._events -= len(gone.batch)

    @property
    def end(self) -> int:
        """Behind the latest letter."""
        return self._next

    def of(self, instance: int, end: int, most: int) -> list[Event]:
        """The letters of an instance before place ``end`` of the latest piece."""
        found: list[Event] = []
        for n, piece in enumerate(reversed(self._pieces)):
            last = piece.last if n else end
            mine = np.flatnonzero(self.instances[piece.first : last] == instance) + piece.first
            for i in mine[::-1][: most - len(found)].tolist():
                at = int(self.at[i])
                time, cpu = int(piece.batch.time[at]), int(piece.batch.cpu[at])
                found.append(Event(int(self.letters[i]), time, cpu))
            if len(found) == most:
                break
        return found[::-1]
