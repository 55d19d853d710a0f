"""The enabled monitors and their instances.

``step`` takes a batch and returns the verdicts; it is synchronous and does no I/O. The
semantics are those of the kernel's automata (include/rv/da_monitor.h): an instance is
either not monitoring or in a state of its model, and each event meets it through one of
three entry points, all of which the table of its :class:`Program` has folded in.

Bindings are evaluated over the columns of the batch and written to fixed places (event
index x letters per event), so that order is kept without sorting; then the stepper runs
once over the whole batch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from rvfs._stepper import step as run_stepper
from rvfs.event import IDLE_PID, Batch, Ints, Transition, Verdict
from rvfs.monitor import Entry, Monitor, Scope
from rvfs.program import ENTRIES, MAX_CPUS, Letters, Program, compile_monitor
from rvfs.tracepoint import Vocabulary


@dataclass
class _Running:
    """An enabled monitor: its program and the row of every instance."""

    program: Program
    states: Letters = field(default_factory=lambda: np.empty(0, dtype=np.int16))
    observed: bool = False

    def make_room(self, count: int) -> None:
        """Instances up to ``count``; the new ones are not monitoring."""
        if count > len(self.states):
            grown = np.full(max(count, 2 * len(self.states)), self.program.idle, dtype=np.int16)
            grown[: len(self.states)] = self.states
            self.states = grown

    def forget(self, lost: Iterable[int] | None = None) -> None:
        """Stop monitoring: every instance, or those that events ``lost`` on these CPUs concern."""
        if lost is not None and self.program.monitor.scope is Scope.CPU:
            self.states[[cpu for cpu in lost if 0 <= cpu < len(self.states)]] = self.program.idle
        else:
            self.states[:] = self.program.idle


class Engine:
    """Steps the monitors that were added. ``dropped`` counts letters with an impossible key."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._running: dict[str, _Running] = {}
        self.dropped = 0

    def compile(self, monitor: Monitor) -> Program:
        """See :func:`compile_monitor`."""
        return compile_monitor(monitor, self._vocabulary)

    def add(self, monitor: Monitor | Program) -> Program:
        """Begin to step a monitor, with no instance monitoring. Raises as :meth:`compile`."""
        program = monitor if isinstance(monitor, Program) else self.compile(monitor)
        self._running[program.monitor.name] = _Running(program)
        return program

    def remove(self, name: str) -> None:
        """Step it no longer; its instances are gone."""
        del self._running[name]

    def __len__(self) -> int:
        """How many monitors it steps."""
        return len(self._running)

    def reset(self) -> None:
        """Every instance of every monitor stops monitoring (what ``monitoring_on`` 0 → 1 does)."""
        for running in self._running.values():
            running.forget()

    def observe(self, name: str, on: bool) -> None:
        """Whether the steps of this monitor are reported, beside its violations."""
        self._running[name].observed = on

    def wanted(self) -> dict[int, frozenset[str]]:
        """The tracepoints and fields that the monitors need, by number."""
        fields: dict[int, set[str]] = {}
        for running in self._running.values():
            for tp, slots in running.program.rules.items():
                fields.setdefault(tp, set()).update(*(slot.fields for slot in slots))
        return {tp: frozenset(names) for tp, names in fields.items()}

    def step(self, batch: Batch, seen: list[Transition] | None = None) -> list[Verdict]:
        """The violations in a batch, in the order of its events.

        The steps of observed monitors are appended to ``seen``, likewise in order. Where
        events were lost before the batch, no instance that they could concern is judged on
        the gap: it stops monitoring until its next start.
        """
        verdicts: list[Verdict] = []
        steps: list[Transition] = []
        for running in self._running.values():
            if batch.lost:
                running.forget(batch.lost)
            verdicts += self._step_one(running, batch, steps)
        if seen is not None:
            seen += sorted(steps, key=lambda step: step.position)
        return sorted(verdicts, key=lambda verdict: verdict.position)

    def _step_one(self, running: _Running, batch: Batch, steps: list[Transition]) -> list[Verdict]:
        program = running.program
        letters, slots = self._read_letters(program, batch)
        if not len(letters):
            return []
        running.make_room(int(slots.max()) + 1)
        violations = np.empty(2 * len(letters), dtype=np.int64)
        before = after = None
        if running.observed:
            before, after = np.empty((2, len(letters)), dtype=np.int16)
        found = run_stepper(
            program.table, program.width, program.idle,
            letters, slots, running.states, violations, before, after,
        )  # fmt: skip
        if before is not None and after is not None:
            steps += _transitions(program, batch, letters, slots, before, after)
        pairs = violations[: 2 * found].reshape(-1, 2).tolist()
        return [_verdict(program, batch, letters, slots, at, row) for at, row in pairs]

    def _read_letters(self, program: Program, batch: Batch) -> tuple[Letters, Ints]:
        """Evaluate the bindings: letters per event flattened, and the instance of each."""
        width = program.letters_per_event
        present = [tp for tp in program.rules if len(batch.rows(tp))]
        if not present:
            return np.empty(0, dtype=np.int16), np.empty(0, dtype=np.int64)
        letters = np.full(len(batch) * width, -1, dtype=np.int16)
        slots = np.zeros(len(batch) * width, dtype=np.int64)
        for tp in present:
            rows, columns = batch.rows(tp), batch.fields.get(tp, {})
            for place, slot in enumerate(program.rules[tp]):
                mine, instances = slot.letters(columns, len(rows)), slot.instances(batch, tp)
                impossible = (instances < 0) & (mine >= 0)
                if impossible.any():
                    self.dropped += int(impossible.sum())
                    mine[impossible] = -1
                letters[rows * width + place] = mine
                slots[rows * width + place] = instances
        return letters, slots


def _key(program: Program, instance: int) -> int | None:
    """The pid of a per-task instance, None for the other kinds."""
    if program.monitor.scope is not Scope.TASK:
        return None
    return instance - MAX_CPUS if instance >= MAX_CPUS else IDLE_PID


def _comm(program: Program, batch: Batch, at: int, instance: int) -> str:
    """The name of the instance's task: as the event itself has it, else as the source knows it."""
    position, place = divmod(at, program.letters_per_event)
    tp = int(batch.tp[position])
    comm = program.rules[tp][place].comm
    if comm is not None:
        row = int(np.searchsorted(batch.rows(tp), position))
        return bytes(batch.fields[tp][comm][row]).decode("utf-8", "replace")
    pid = _key(program, instance)
    cpu = instance if pid == IDLE_PID else int(batch.cpu[position])
    return batch.comm(int(batch.pid[position]) if pid is None else pid, cpu)


def _where(batch: Batch, position: int) -> tuple[int, int, int, str]:
    """Time, CPU, current pid and its name."""
    cpu, pid = int(batch.cpu[position]), int(batch.pid[position])
    return int(batch.time[position]), cpu, pid, batch.comm(pid, cpu)


def _verdict(
    program: Program, batch: Batch, letters: Letters, slots: Ints, at: int, row: int
) -> Verdict:
    position, instance = at // program.letters_per_event, int(slots[at])
    state = program.model.initial if row == program.idle else program.model.states[row]
    return Verdict(
        program.monitor.name, *_where(batch, position), _key(program, instance),
        _comm(program, batch, at, instance), state, program.model_event(int(letters[at])), position,
    )  # fmt: skip


def _transitions(
    program: Program, batch: Batch, letters: Letters, slots: Ints, before: Letters, after: Letters
) -> Iterator[Transition]:
    """The steps that the model took: not those of idle instances, violations and resets."""
    model = program.model
    ran = (before < program.idle) | (letters % len(ENTRIES) == ENTRIES.index(Entry.START_RUN))
    taken = (letters >= 0) & (letters != program.reset) & (after >= 0) & ran
    for at in np.flatnonzero(taken).tolist():
        position = at // program.letters_per_event
        old = int(before[at]) % program.idle  # not monitoring: start_run begins in state 0
        new = model.states[int(after[at])]
        yield Transition(
            program.monitor.name, *_where(batch, position), _key(program, int(slots[at])),
            model.states[old], program.model_event(int(letters[at])), new, new in model.final,
            position,
        )  # fmt: skip
