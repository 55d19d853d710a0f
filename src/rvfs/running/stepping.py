"""Those who step: the instances of one scope, and the native code that takes words to them.

::

    batch ──select──▶ words ──step──▶ violations ──▶ verdicts
                                  └──▶ transitions, where somebody looks

This is what all kinds of models share; each has a file beside this one. The words of a batch
are taken a piece at a time, so that what lies between the two passes stays in the
processor's caches.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from rvfs.columns import Priorities, as_ints
from rvfs.event import IDLE_PID, Batch, Ints, Transition
from rvfs.monitor import Scope
from rvfs.program import MAX_CPUS, MAX_PID
from rvfs.running.arrays import Found, Manner, Mask, grown
from rvfs.running.letters import ROOM, Letters, Piece
from rvfs.select import Selection, packed

#: As ``_wide.h`` has them.
WIDE_QUESTIONS, WIDE_PLACES, WIDE_TRACKS = 3, 4, 16
#: Places for objects at the start; a power of two.
FEWEST = 4 * ROOM

#: Of what :meth:`rvfs._stepper.Selector.fill` answers.
_NO_PLACE, _TOO_MANY = -1, -2
_SCOPES = {Scope.GLOBAL: 0, Scope.CPU: 1, Scope.TASK: 2, Scope.OBJECT: 3}


class Stepping(ABC):
    """The instances of one scope.

    ``blank`` is the entry of ``states`` of an instance that is not monitoring.
    """

    blank: int
    states: npt.NDArray[Any]

    def __init__(self, scope: Scope, selection: Selection, manner: Manner) -> None:
        self.scope, self.selection, self.manner = scope, selection, manner
        self._twin = manner.twin
        self.batch: Batch | None = None
        self.ring = Letters(manner.twin, selection.heaviest)
        self._piece = max(1, ROOM // selection.widest)
        self._ids: Ints = np.zeros(0, dtype=np.int64)
        self._lodgings = np.zeros(0, dtype=np.int32)
        self._drops = np.zeros(max(selection.letters, default=0) + 1, dtype=np.int64)
        self._selector = self._make_selector()

    def _make_selector(self) -> Any:
        chosen, view = self.selection, self._twin.view
        tracks = np.zeros(max(chosen.tracepoints, default=0) + 1, dtype=np.int32)
        tracks[chosen.tracepoints] = range(1, len(chosen.tracepoints) + 1)
        widths = np.array([0, *map(chosen.widths.get, chosen.tracepoints)], dtype=np.int32)
        lengths = [len(loads) for loads in chosen.loads]
        count = len(chosen.tracepoints)
        self._lengths, cursors, counts = (
            np.zeros(size, dtype=np.int64) for size in (count, count, count + 1)
        )
        return self._twin.Selector(
            _SCOPES[self.scope], MAX_CPUS, MAX_PID, chosen.widest, chosen.heaviest, self._piece,
            view(tracks), view(widths), view(packed(chosen.places, 0)),
            view(packed(chosen.questions, 4)),
            view(np.array(chosen.letters or [0], dtype=np.uint16)),
            view(np.cumsum([0, *lengths], dtype=np.int64)), view(packed(chosen.loads, 1)),
            self._twin.columns(len(chosen.columns) or 1), view(self._lengths), view(cursors),
            view(counts), view(np.zeros((count + 1) * self._piece, dtype=np.uint32)),
            view(np.zeros(self._piece, dtype=np.uint16)), view(self._drops), *self.ring.views,
            view(np.array(chosen.tracepoints or [0], dtype=np.int64)),
            self._twin.wide and self._is_narrow(),
            *self.manner.share,
        )  # fmt: skip

    def _is_narrow(self) -> bool:
        """Whether ``_wide.h`` has been written for it."""
        chosen = self.selection
        own_cpu = self.scope is Scope.CPU or all(place[3] < 0 for place in chosen.places)
        few = all(place[5] <= WIDE_QUESTIONS for place in chosen.places)
        small = chosen.widest <= WIDE_PLACES and len(chosen.tracepoints) <= WIDE_TRACKS
        return self.scope is not Scope.OBJECT and not chosen.heaviest and own_cpu and few and small

    # -- instances -------------------------------------------------------------------------

    def make_room(self, count: int) -> None:
        """Instances up to ``count``; the new ones are not monitoring."""
        if count > len(self.states):
            self._grow(max(count, len(self.states) * 5 // 4))

    @property
    def watched(self) -> bool:
        """Whether somebody may look inside."""
        return self.manner.watched

    @abstractmethod
    def _grow(self, count: int) -> None:
        """Have room for so many."""

    def _make_lodgings(self) -> None:
        """Room for more objects: that of those of which nothing is known, or new room."""
        taken = self.taken
        blank = self._unknown()
        taken = taken[(taken >= len(blank)) | ~blank[np.minimum(taken, len(blank) - 1)]]
        count = len(self._ids)
        if count < 2 * len(taken) + 2 * ROOM:
            count = max(FEWEST, 2 * count)
        self._lodge(grown(self._ids, count, 0), taken)

    @property
    def taken(self) -> npt.NDArray[np.int32]:
        """The instances that are objects of some id."""
        return self._lodgings[self._lodgings >= 0]

    def lodge_as(self, old: "Stepping") -> None:
        """Have the same objects as the same instances."""
        if len(old._ids):
            self._lodge(old._ids.copy(), old.taken)

    def _lodge(self, ids: Ints, taken: npt.NDArray[np.int32]) -> None:
        self._ids, self._lodgings = ids, np.full(2 * len(ids), -1, dtype=np.int32)
        free = np.setdiff1d(np.arange(len(ids), dtype=np.int32), taken)[::-1]
        tables = (ids, self._lodgings, np.ascontiguousarray(free), np.ascontiguousarray(taken))
        self._selector.rehash(*map(self._twin.view, tables))

    def _unknown(self) -> Mask:
        """The instances of which nothing is known."""
        return np.asarray(self.states == self.blank)

    def forget(self, lost: Iterable[int] | None = None) -> None:
        """Stop monitoring: every instance, or those that events ``lost`` on these CPUs concern."""
        if lost is not None and self.scope is Scope.CPU:
            self._stop([cpu for cpu in lost if 0 <= cpu < len(self.states)])
        else:
            self._stop(slice(None))

    def _stop(self, which: Any) -> None:
        self.states[which] = self.blank

    def key(self, instance: int) -> int | None:
        """The pid of a task, the id of an object, None for the other kinds."""
        if self.scope is Scope.TASK:
            return instance - MAX_CPUS if instance >= MAX_CPUS else IDLE_PID
        return self.number(instance) if self.scope is Scope.OBJECT else None

    def number(self, instance: int) -> int:
        """What it has in every engine: the id of an object, else its own."""
        return int(self._ids[instance]) if self.scope is Scope.OBJECT else instance

    def cpu(self, instance: int) -> int | None:
        """The CPU of a per-CPU instance, or of an idle task."""
        if self.scope is Scope.CPU:
            return instance
        return instance if self.scope is Scope.TASK and instance < MAX_CPUS else None

    # -- stepping --------------------------------------------------------------------------

    def step(self, batch: Batch, priorities: Priorities, steps: list[Transition]) -> list[Found]:
        """The violations in a batch; the steps, if they are observed, are appended."""
        view, columns = self._twin.view, self.selection.bind(batch, priorities)
        self._lengths[:] = self.selection.lengths(len(batch), columns)
        self._selector.begin(
            view(as_ints(batch.tp)), view(as_ints(batch.cpu)), view(as_ints(batch.pid)),
            list(map(view, columns)),
        )  # fmt: skip
        self.batch = batch
        found: list[Found] = []
        for piece in self._pieces(batch, view(as_ints(batch.time))):
            found += self._take(piece, steps)
        return found

    def _pieces(self, batch: Batch, times: Any) -> Iterator[Piece]:
        """The pieces of a batch, their words written."""
        begin = 0
        while begin < len(batch):
            end = min(begin + self._piece, len(batch))
            first = self.ring.make_room((end - begin) * self.selection.widest)
            last = self._selector.fill(begin, end, first)
            if self._is_ready(last):
                piece = Piece(batch, begin, first, last, times)
                self.ring.add(piece)
                yield piece
                begin = end

    def _is_ready(self, last: int) -> bool:
        """See to it that a piece can be stepped; False where it must be filled again."""
        if last == _NO_PLACE:
            self._make_lodgings()
            return False
        if last == _TOO_MANY:
            raise ValueError("a batch has more events of a tracepoint than values of its fields")
        self.make_room(self._selector.top + 1)
        return True

    @abstractmethod
    def _take(self, piece: Piece, steps: list[Transition]) -> list[Found]:
        """Step the words of a piece."""
