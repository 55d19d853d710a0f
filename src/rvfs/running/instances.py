"""A monitor that runs: its instances, and the native code that steps them.

::

    batch ──select──▶ letters ──step──▶ violations ──▶ verdicts
                                   └──▶ transitions, where somebody looks

This is what all kinds of models share; each has a file beside this one. The letters of a batch
are taken a piece at a time, so that what lies between the two passes stays in the
processor's caches.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from rvfs._stepper import Twin
from rvfs.event import IDLE_PID, Batch, Ints, Transition, Verdict
from rvfs.inside import STEPS, VIOLATIONS, Instance, Recorded, Stats, Step
from rvfs.model.rule import Rule
from rvfs.monitor import Entry, Scope
from rvfs.program import MAX_CPUS, MAX_PID, Letter, Program, Rows
from rvfs.running.letters import ROOM, Event, Letters, Piece
from rvfs.select import Priorities, as_ints, packed

Mask = npt.NDArray[np.bool_]
Array = TypeVar("Array", bound=npt.NDArray[Any])

#: Places for objects at the start; a power of two.
FEWEST = 4 * ROOM

_SCOPES = {Scope.GLOBAL: 0, Scope.CPU: 1, Scope.TASK: 2, Scope.OBJECT: 3}


class Found(NamedTuple):
    """A verdict and its place among the others: a timer comes before the event behind it."""

    position: int
    of_event: bool
    time: int
    verdict: Verdict

    @property
    def place(self) -> tuple[int, bool, int]:
        return self[:3]


@dataclass
class Tally:
    """What is counted, and remembered, over all programs that a monitor has had."""

    events: int = 0
    violations: int = 0
    resets: int = 0
    dropped: int = 0
    kept: int = 0
    anew: int = 0
    remembered: deque[tuple[Verdict, tuple[Step, ...]]] = field(
        default_factory=lambda: deque(maxlen=VIOLATIONS)
    )


class Running(ABC):
    """The instances of one monitor. ``observed``: its steps are reported, beside violations."""

    counts: Ints

    def __init__(self, program: Program, twin: Twin) -> None:
        self.program, self._twin = program, twin
        self.observed = False
        self.tally = Tally()
        self.states: Rows = np.empty(0, dtype=np.int16)
        self.since: Ints = np.empty(0, dtype=np.int64)
        self._comms: Batch | None = None
        self._ring = Letters(twin, program.selection.heaviest)
        self._piece = max(1, ROOM // program.selection.width)
        self._ids: Ints = np.zeros(0, dtype=np.int64)
        self._places = np.zeros(0, dtype=np.int32)
        self._selector = self._make_selector(program, twin)

    def _make_selector(self, program: Program, twin: Twin) -> Any:
        chosen, view = program.selection, twin.view
        lengths = [len(loads) for loads in chosen.loads]
        places = (np.zeros(len(chosen.tracepoints) or 1, dtype=np.int64) for _ in range(3))
        return twin.Selector(
            _SCOPES[program.monitor.scope], MAX_CPUS, MAX_PID, chosen.width, chosen.heaviest,
            view(packed(chosen.slots, 0)), view(packed(chosen.nodes, 6)),
            view(np.cumsum([0, *lengths], dtype=np.int64)), view(packed(chosen.loads, 1)),
            twin.columns(len(chosen.columns) or 1), twin.columns(len(chosen.tracepoints) or 1),
            *map(view, list(places)[:2]), *self._ring.views,
        )  # fmt: skip

    @property
    def dropped(self) -> int:
        """Letters whose key was impossible."""
        return int(self._selector.dropped)

    # -- instances -------------------------------------------------------------------------

    def make_room(self, count: int) -> None:
        """Instances up to ``count``; the new ones are not monitoring."""
        if count > len(self.states):
            self._grow(max(count, 2 * len(self.states)))

    def _grow(self, count: int) -> None:
        self.states = grown(self.states, count, self.program.idle)
        self.since = grown(self.since, count, 0)

    def _make_places(self) -> None:
        """Room for more objects: that of those of which nothing is known, or new room."""
        taken = self._places[self._places >= 0]
        blank = self._blank()
        taken = taken[(taken >= len(blank)) | ~blank[np.minimum(taken, len(blank) - 1)]]
        count = len(self._ids)
        if count < 2 * len(taken) + 2 * ROOM:
            count = max(FEWEST, 2 * count)
        self._take_places(grown(self._ids, count, 0), taken)

    def _take_places(self, ids: Ints, taken: npt.NDArray[np.int32]) -> None:
        self._ids, self._places = ids, np.full(2 * len(ids), -1, dtype=np.int32)
        free = np.setdiff1d(np.arange(len(ids), dtype=np.int32), taken)[::-1]
        tables = (ids, self._places, np.ascontiguousarray(free), np.ascontiguousarray(taken))
        self._selector.rehash(*map(self._twin.view, tables))

    def _blank(self) -> Mask:
        """The instances of which nothing is known."""
        return np.asarray(self.states == self.program.idle)

    def forget(self, lost: Iterable[int] | None = None) -> None:
        """Stop monitoring: every instance, or those that events ``lost`` on these CPUs concern."""
        if lost is not None and self.program.monitor.scope is Scope.CPU:
            self._stop([cpu for cpu in lost if 0 <= cpu < len(self.states)])
        else:
            self._stop(slice(None))

    def _stop(self, which: Any) -> None:
        self.states[which] = self.program.idle

    def key(self, instance: int) -> int | None:
        """The pid of a task, the id of an object, None for the other kinds."""
        if self.program.monitor.scope is Scope.TASK:
            return instance - MAX_CPUS if instance >= MAX_CPUS else IDLE_PID
        if self.program.monitor.scope is Scope.OBJECT:
            return int(self._ids[instance])
        return None

    def cpu(self, instance: int) -> int | None:
        """The CPU of a per-CPU instance, or of an idle task."""
        if self.program.monitor.scope is Scope.CPU:
            return instance
        idle = self.program.monitor.scope is Scope.TASK and instance < MAX_CPUS
        return instance if idle else None

    # -- replacement -----------------------------------------------------------------------

    def take_over(self, old: "Running") -> None:
        """Go on where ``old``, which stays as it is, has been: with its instances, as far as
        this model has their states, and what was counted."""
        tally = old.tally
        self.tally = Tally(
            old.stats.events, tally.violations, old.stats.resets, old.stats.dropped,
            remembered=deque(tally.remembered, VIOLATIONS),
        )  # fmt: skip
        self.observed, self._comms = old.observed, old._comms
        monitoring = old.states != old.program.idle
        if old.program.monitor.scope is self.program.monitor.scope:
            if len(old._ids):
                self._take_places(old._ids.copy(), old._places[old._places >= 0])
            self.make_room(len(old.states))
            self._adopt(old, np.append(self._rows_for(old), self.program.idle))
        kept = self.states != self.program.idle
        self.tally.kept = int(np.count_nonzero(kept))
        self.tally.anew = int(np.count_nonzero(monitoring)) - self.tally.kept

    @abstractmethod
    def _rows_for(self, old: "Running") -> Rows:
        """For each row of ``old``, but the idle one, the row to go on in."""

    def _adopt(self, old: "Running", rows: Rows) -> None:
        count = len(old.states)
        self.states[:count] = rows[old.states]
        self.since[:count] = old.since

    # -- stepping --------------------------------------------------------------------------

    def step(self, batch: Batch, priorities: Priorities, steps: list[Transition]) -> list[Found]:
        """The violations in a batch; the steps, if they are observed, are appended."""
        view, selector, selection = self._twin.view, self._selector, self.program.selection
        times = view(as_ints(batch.time))
        selector.begin(
            view(as_ints(batch.cpu)), view(as_ints(batch.pid)),
            [view(column) for column in selection.bind(batch, priorities)],
            [view(batch.rows(tp)) for tp in selection.tracepoints],
        )  # fmt: skip
        self._comms = batch
        found: list[Found] = []
        wide = selection.width
        while (begin := selector.next(len(batch))) < len(batch):
            end = min(begin + self._piece, len(batch))
            first = self._ring.make_room((end - begin) * wide)
            piece = Piece(batch, begin, end, first, wide, times)
            if selector.run(begin, end, piece.first):
                self.make_room(selector.top + 1)
                self._ring.add(piece)
                found += self._remembered(self._take(piece, steps))
            else:
                self._make_places()
        return found

    @abstractmethod
    def _take(self, piece: Piece, steps: list[Transition]) -> Iterator["Judged"]:
        """Step the letters of a piece."""

    def _remembered(self, judged: Iterable["Judged"]) -> list[Found]:
        """Count the violations, and remember the last ones and what led to them."""
        found = list(judged)
        self.tally.violations += len(found)
        for one in found[-VIOLATIONS:]:
            events = self._ring.of(one.instance, one.end, STEPS - 1)
            self.tally.remembered.append((one.found.verdict, tuple(self._told(events, one))))
        return [one.found for one in found]

    def _told(self, events: list[Event], one: "Judged") -> Iterator[Step]:
        verdict = one.found.verdict
        names = (self._event_text(self.program.letters[event.letter]) for event in events)
        rows = self._rows_before([event.letter for event in events], one.row)
        for event, name, row in zip(events, names, rows, strict=True):
            state = None if row is None or row == self.program.idle else self.state(row)
            yield Step(event.time, event.cpu, name, state)
        yield Step(verdict.time, verdict.cpu, verdict.event, verdict.state)

    @abstractmethod
    def _event_text(self, letter: Letter) -> str:
        """What a letter is called."""

    def _rows_before(self, letters: list[int], row: int) -> list[int | None]:
        """The row before each of these letters, after which it was ``row``; None: not known."""
        return [None] * len(letters)

    # -- what is said of it ----------------------------------------------------------------

    @abstractmethod
    def state(self, row: int) -> str:
        """What a row is called."""

    @property
    def params(self) -> Mapping[str, int]:
        return self.program.monitor.params

    @property
    def stats(self) -> Stats:
        tally, remembered = self.tally, self.tally.remembered
        return Stats(
            tally.events + self._events(), tally.violations, tally.resets + self._resets(),
            tally.dropped + self.dropped, tally.kept, tally.anew,
            remembered[-1][0] if remembered else None,
        )  # fmt: skip

    @abstractmethod
    def _events(self) -> int:
        """How many were taken."""

    @abstractmethod
    def _resets(self) -> int:
        """How many instances came to their end while they were monitoring."""

    @property
    def violations(self) -> Sequence[Recorded]:
        return [Recorded(*one) for one in self.tally.remembered]

    @abstractmethod
    def coverage(self) -> Iterable[tuple[str, str, str, int]]:
        """See :class:`rvfs.inside.Inside`."""

    def instances(self) -> Iterator[Instance]:
        for i in np.flatnonzero(self.states != self.program.idle).tolist():
            key, cpu = self.key(i), self.cpu(i)
            comm = ""
            if self._comms is not None and self.program.monitor.scope is Scope.TASK:
                comm = self._comms.comm(key or IDLE_PID, cpu or 0)
            yield Instance(key, cpu, comm, self.state(int(self.states[i])), int(self.since[i]))

    def letter(self, i: int) -> Letter:
        return self.program.letters[int(self._ring.letters[i])]

    def _judged(
        self, piece: Piece, i: int, row: int, event: str, env: str | None = None
    ) -> "Judged":
        """The verdict on the letter ``i``, which was refused in ``row``."""
        position, instance = piece.at(i), int(self._ring.instances[i])
        verdict = Verdict(
            self.program.monitor.name, *where(piece.batch, position), self.key(instance),
            self._comm(piece, i), self.state(row), event, position, env,
            isinstance(self.program.model, Rule),
        )  # fmt: skip
        return Judged(Found(position, True, verdict.time, verdict), instance, row, i)

    def _comm(self, piece: Piece, i: int) -> str:
        """The name of the instance's task: as the event has it, else as the source knows it."""
        position, letter, batch = piece.at(i), self.letter(i), piece.batch
        if letter.comm is not None:
            row = int(np.searchsorted(batch.rows(letter.tp), position))
            return bytes(batch.fields[letter.tp][letter.comm][row]).decode("utf-8", "replace")
        return self._known_comm(batch, int(self._ring.instances[i]), position)

    def _known_comm(self, batch: Batch, instance: int, position: int) -> str:
        cpu, pid = int(batch.cpu[position]), int(batch.pid[position])
        if self.program.monitor.scope is Scope.TASK:
            pid = self.key(instance) or IDLE_PID
            cpu = instance if pid == IDLE_PID else cpu
        return batch.comm(pid, cpu)

    def _transition(
        self, piece: Piece, i: int, state: str, event: str, next_state: str, final: bool
    ) -> Transition:
        position, instance = piece.at(i), int(self._ring.instances[i])
        return Transition(
            self.program.monitor.name, *where(piece.batch, position), self.key(instance),
            state, event, next_state, final, position, self._comm(piece, i),
        )  # fmt: skip

    def _is_reset(self) -> Mask:
        return np.array([letter.entry is Entry.RESET for letter in self.program.letters])


class Judged(NamedTuple):
    """A verdict, the instance and the row it was in, and the first letter that came after."""

    found: Found
    instance: int
    row: int
    end: int


def where(batch: Batch, position: int) -> tuple[int, int, int, str]:
    """Time, CPU, current pid and its name."""
    cpu, pid = int(batch.cpu[position]), int(batch.pid[position])
    return int(batch.time[position]), cpu, pid, batch.comm(pid, cpu)


def grown(array: Array, count: int, fill: int) -> Array:
    larger = np.full(count, fill, dtype=array.dtype)
    larger[: len(array)] = array
    return larger  # type: ignore[return-value]


def small_ints(values: list[int]) -> npt.NDArray[np.int8]:
    return np.array(values or [0], dtype=np.int8)
