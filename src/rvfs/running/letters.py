"""The words of the last batches: a ring that the first pass fills and the second reads.

What a piece of a batch brings stands in one stretch of the ring, in the order of its events.
Nothing is recorded for later: what led to a violation is looked up among the words that are
still there.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from rvfs._stepper import Twin
from rvfs.event import Batch

#: Words between the two passes, and those that stay.
ROOM = 8192
RING = 4 * ROOM
#: Words behind a piece that may be written over.
SLACK = 8
#: Pieces that stay, and the events of their batches: small batches are remembered for long,
#: large ones for little more than themselves.
PIECES, EVENTS = 256, 1 << 17


class Piece(NamedTuple):
    """The events from ``begin`` on of a batch; their words stand at ``first .. last - 1`` of the
    ring."""

    batch: Batch
    begin: int
    first: int
    last: int
    times: Any


class Event(NamedTuple):
    """A letter, and when and on which CPU it came."""

    letter: int
    time: int
    cpu: int


class Letters:
    """``words`` as :class:`rvfs._stepper.Selector` writes them, ``values`` taken along."""

    def __init__(self, twin: Twin, heaviest: int) -> None:
        self.words = np.zeros(RING + SLACK, dtype=np.uint64)
        self.values = np.zeros(RING * max(heaviest, 1), dtype=np.int64)
        self.views = tuple(map(twin.view, (self.words, self.values)))
        self._pieces: deque[Piece] = deque()
        self._events = 0
        self.end = 0  # behind the latest word

    def instance(self, i: int) -> int:
        """Whom word ``i`` comes to."""
        return int(self.words[i]) >> 32

    def letter(self, i: int) -> int:
        return int(self.words[i]) & 0xFFFF

    def position(self, piece: Piece, i: int) -> int:
        """The place of its event in the batch."""
        return piece.begin + (int(self.words[i]) >> 16 & 0xFFFF)

    def make_room(self, size: int) -> int:
        """Where the next piece, of ``size`` words at most, begins; what was there is gone."""
        if self.end + size > RING:
            while self._pieces and self._pieces[0].first >= self.end:  # of the lap before
                self._drop_oldest()
            self.end = 0
        start, end = self.end, self.end + size + SLACK
        while self._pieces and self._pieces[0].first < end and self._pieces[0].last > start:
            self._drop_oldest()
        return start

    def add(self, piece: Piece) -> None:
        if piece.first == piece.last:
            return
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

    def of(self, instance: int, end: int) -> Iterator[Event]:
        """The letters of an instance before place ``end`` of the latest piece, the latest first."""
        for n, piece in enumerate(reversed(self._pieces)):
            mine = self.words[piece.first : piece.last if n else end]
            met = (mine >> np.uint64(32) == instance) & (mine & np.uint64(0xFFFF) != 0)
            for i in (np.flatnonzero(met)[::-1] + piece.first).tolist():
                at = self.position(piece, i)
                time, cpu = int(piece.batch.time[at]), int(piece.batch.cpu[at])
                yield Event(self.letter(i), time, cpu)
