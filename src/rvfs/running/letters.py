"""The letters of the last batches: a ring that the first pass fills and the second reads.

What a piece of a batch brings stands in one stretch of the ring, at fixed places for each
event. Nothing is recorded for later: what led to a violation is looked up among the letters
that are still there.
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
    """The events ``begin .. end - 1`` of a batch; their letters, ``wide`` each, stand from place
    ``first`` of the ring on."""

    batch: Batch
    begin: int
    end: int
    first: int
    wide: int
    times: Any

    @property
    def last(self) -> int:
        return self.first + (self.end - self.begin) * self.wide

    def at(self, place: int) -> int:
        """The position of the event that a letter is of."""
        return self.begin + (place - self.first) // self.wide


class Event(NamedTuple):
    """A letter, and when and on which CPU it came."""

    letter: int
    time: int
    cpu: int


class Letters:
    """``letters`` (-1: nothing), ``instances`` whom they met, ``values`` that they took along."""

    def __init__(self, twin: Twin, heaviest: int) -> None:
        self.letters = np.zeros(RING, dtype=np.int16)
        self.instances = np.zeros(RING, dtype=np.int32)
        self.values = np.zeros(RING * max(heaviest, 1), dtype=np.int64)
        self.views = tuple(map(twin.view, (self.letters, self.instances, self.values)))
        self._pieces: deque[Piece] = deque()
        self._events = 0
        self.end = 0  # behind the latest letter

    def make_room(self, size: int) -> int:
        """Where the next piece, of ``size`` places at most, begins; what was there is gone."""
        if self.end + size > RING:
            self.end = 0
        start, end = self.end, self.end + size
        while self._pieces and self._pieces[0].first < end and self._pieces[0].last > start:
            self._drop_oldest()
        return start

    def add(self, piece: Piece) -> None:
        if not (self._pieces and self._pieces[-1].batch is piece.batch):
            self._events += len(piece.batch)
        self._pieces.append(piece)
        self.end = piece.last
        while len(self._pieces) > PIECES or self._is_full(piece.batch):
            self._drop_oldest()

    def _is_full(self, latest: Batch) -> bool:
        """More events than :data:`EVENTS`, not all of them of the latest batch."""
        return self._events > EVENTS and self._pieces[0].batch is not latest

    def _drop_oldest(self) -> None:
        gone = self._pieces.popleft()
        if not self._pieces or self._pieces[0].batch is not gone.batch:
            self._events -= len(gone.batch)

    def of(self, instance: int, end: int, most: int) -> list[Event]:
        """The letters of an instance before place ``end`` of the latest piece."""
        found: list[Event] = []
        for n, piece in enumerate(reversed(self._pieces)):
            mine = slice(piece.first, piece.last if n else end)
            met = (self.instances[mine] == instance) & (self.letters[mine] >= 0)
            for i in (np.flatnonzero(met)[::-1][: most - len(found)] + piece.first).tolist():
                at = piece.at(i)
                time, cpu = int(piece.batch.time[at]), int(piece.batch.cpu[at])
                found.append(Event(int(self.letters[i]), time, cpu))
            if len(found) == most:
                break
        return found[::-1]
