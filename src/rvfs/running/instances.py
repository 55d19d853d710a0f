"""A monitor that runs: its instances, and the native code that steps them.

::

    batch ──select──▶ letters ──step──▶ violations ──▶ verdicts
                                   └──▶ transitions, where somebody looks

This is what all kinds of models share; each has a file beside this one. The letters of a batch
are taken a piece at a time, so that what lies between the two passes stays in the
processor's caches.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rvfs._stepper import Twin
from rvfs.event import IDLE_PID, Batch, Ints, Transition, Verdict
from rvfs.model.rule import Rule
from rvfs.monitor import Scope
from rvfs.program import MAX_CPUS, MAX_PID, Letter, Program, Rows
from rvfs.select import Priorities, as_ints, packed

Mask = npt.NDArray[np.bool_]

#: Letters between the two passes.
ROOM = 4096
#: Places for objects at the start; a power of two, and more than a tracepoint can name at once.
FEWEST = 1024

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


class Piece(NamedTuple):
    """How many letters were taken together, and the batch they are from."""

    batch: Batch
    letters: int
    times: Any


class Running:
    """The instances of one monitor. ``observed``: its steps are reported, beside violations."""

    def __init__(self, program: Program, twin: Twin) -> None:
        self.program, self._twin = program, twin
        self.observed = False
        self.states: Rows = np.empty(0, dtype=np.int16)
        self.since: Ints = np.empty(0, dtype=np.int64)
        self._at = np.empty(ROOM, dtype=np.int32)
        self._letters = np.empty(ROOM, dtype=np.int16)
        self._instances = np.empty(ROOM, dtype=np.int32)
        self._values = np.empty(max(ROOM, program.selection.heaviest), dtype=np.int64)
        self._ids: Ints = np.zeros(0, dtype=np.int64)
        self._places = np.zeros(0, dtype=np.int32)
        self._selector = self._make_selector(program, twin)

    def _make_selector(self, program: Program, twin: Twin) -> Any:
        chosen, view = program.selection, twin.view
        lengths = [len(loads) for loads in chosen.loads]
        return twin.Selector(
            _SCOPES[program.monitor.scope], MAX_CPUS, MAX_PID,
            view(packed([chosen.firsts], 1)), view(packed(chosen.slots, 3)),
            view(packed(chosen.nodes, 6)), view(np.cumsum([0, *lengths], dtype=np.int64)),
            view(packed(chosen.loads, 1)), chosen.widest, chosen.heaviest,
            view(np.zeros(len(chosen.firsts), dtype=np.int64)),
            twin.columns(len(chosen.columns) or 1), *self._selected(),
        )  # fmt: skip

    def _selected(self) -> tuple[Any, ...]:
        arrays = (self._at, self._letters, self._instances, self._values)
        return tuple(map(self._twin.view, arrays))

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
        if count < 2 * len(taken) + 2 * self.program.selection.widest:
            count = max(FEWEST, 2 * count)
        self._ids = grown(self._ids, count, 0)
        self._places = np.full(2 * count, -1, dtype=np.int32)
        free = np.setdiff1d(np.arange(count, dtype=np.int32), taken)[::-1]
        tables = (self._ids, self._places, np.ascontiguousarray(free), taken)
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

    # -- stepping --------------------------------------------------------------------------

    def step(self, batch: Batch, priorities: Priorities, steps: list[Transition]) -> list[Found]:
        """The violations in a batch; the steps, if they are observed, are appended."""
        view, selector = self._twin.view, self._selector
        bound = self.program.selection.bind(batch, priorities)
        times = view(as_ints(batch.time))
        selector.begin(
            view(as_ints(batch.tp)), view(as_ints(batch.cpu)), view(as_ints(batch.pid)),
            [view(column) for column in bound.columns], view(bound.limits),
        )  # fmt: skip
        found: list[Found] = []
        while selector.next < len(batch):
            count = selector.run()
            if count:
                self.make_room(selector.top + 1)
                found += self._take(Piece(batch, count, times), steps)
            elif selector.short >= 0:
                raise ValueError(f"tracepoint {selector.short} has events without their fields")
            elif self.program.monitor.scope is Scope.OBJECT and selector.next < len(batch):
                self._make_places()
        return found

    def _take(self, piece: Piece, steps: list[Transition]) -> Iterator[Found]:
        """Step the letters that were selected."""
        raise NotImplementedError

    # -- what is said of it ----------------------------------------------------------------

    def letter(self, i: int) -> Letter:
        return self.program.letters[int(self._letters[i])]

    def _verdict(
        self, piece: Piece, i: int, state: str, event: str, env: str | None = None
    ) -> Found:
        """The verdict on the letter ``i`` of a piece."""
        position, instance, batch = int(self._at[i]), int(self._instances[i]), piece.batch
        verdict = Verdict(
            self.program.monitor.name, *where(batch, position), self.key(instance),
            self._comm(batch, i), state, event, position, env,
            isinstance(self.program.model, Rule),
        )  # fmt: skip
        return Found(position, True, verdict.time, verdict)

    def _comm(self, batch: Batch, i: int) -> str:
        """The name of the instance's task: as the event has it, else as the source knows it."""
        position, letter = int(self._at[i]), self.letter(i)
        if letter.comm is not None:
            row = int(np.searchsorted(batch.rows(letter.tp), position))
            return bytes(batch.fields[letter.tp][letter.comm][row]).decode("utf-8", "replace")
        return self._known_comm(batch, int(self._instances[i]), position)

    def _known_comm(self, batch: Batch, instance: int, position: int) -> str:
        cpu, pid = int(batch.cpu[position]), int(batch.pid[position])
        if self.program.monitor.scope is Scope.TASK:
            pid = self.key(instance) or IDLE_PID
            cpu = instance if pid == IDLE_PID else cpu
        return batch.comm(pid, cpu)

    def _transition(
        self, piece: Piece, i: int, state: str, event: str, next_state: str, final: bool
    ) -> Transition:
        position, instance = int(self._at[i]), int(self._instances[i])
        return Transition(
            self.program.monitor.name, *where(piece.batch, position), self.key(instance),
            state, event, next_state, final, position, self._comm(piece.batch, i),
        )  # fmt: skip


def where(batch: Batch, position: int) -> tuple[int, int, int, str]:
    """Time, CPU, current pid and its name."""
    cpu, pid = int(batch.cpu[position]), int(batch.pid[position])
    return int(batch.time[position]), cpu, pid, batch.comm(pid, cpu)


def grown(array: npt.NDArray[Any], count: int, fill: int) -> npt.NDArray[Any]:
    grown = np.full(count, fill, dtype=array.dtype)
    grown[: len(array)] = array
    return grown


def small_ints(values: list[int]) -> npt.NDArray[np.int8]:
    return np.array(values or [0], dtype=np.int8)
