"""The enabled monitors and their instances.

``step`` takes a batch and returns the verdicts; it is synchronous and does no I/O. The
semantics are those of the kernel's automata (include/rv/da_monitor.h): an instance is
either not monitoring or in a state of its model, and each event meets it through one of
three entry points.

All of that is one table per monitor. Its rows are the states of the model and a last row,
*not monitoring*; its columns are event x entry point and a last column, *reset*, which is
how a task's birth and death reach its instance. Bindings are evaluated over the columns of
the batch and written to fixed places (event index x letters per event), so that order is
kept without sorting; then the stepper runs once over the whole batch.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rvfs._stepper import step as run_stepper
from rvfs.errors import InvalidInput
from rvfs.event import IDLE_PID, Batch, Column, Ints, Transition, Verdict
from rvfs.model.automaton import INVALID, Automaton
from rvfs.model.filter import Filter, parse_filter
from rvfs.monitor import Binding, Entry, Monitor, Scope
from rvfs.tracepoint import Tracepoint, Vocabulary

#: An instance's index is its CPU, or MAX_CPUS + pid; so each CPU's idle task, all of
#: whose pids are 0, is an instance of its own. Both limits are the kernel's (64 bit).
MAX_CPUS = 1 << 13
MAX_PID = 1 << 22

_ENTRIES = tuple(Entry)

#: What a task's life does to its instance: tracepoint, field with the pid, condition.
#: A task that is born starts unmonitored, whoever had its pid before.
_BIRTH = (("sched:sched_process_fork", "child_pid", None),)
#: A dead task still runs up to its last switch (EXIT_DEAD or EXIT_ZOMBIE in prev_state).
_DEATH = (
    ("sched:sched_process_exit", "pid", None),
    ("sched:sched_process_free", "pid", None),
    ("sched:sched_switch", "prev_pid", parse_filter("prev_state & 0x30")),
)

Letters = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class _Slot:
    """The letter that one tracepoint brings to one instance: the first alternative that holds.

    ``task`` and ``cpu`` name the fields with the instance's key (None: the event's own),
    ``comm`` the field with the task's name, if the tracepoint has one.
    """

    scope: Scope
    task: str | None
    cpu: str | None
    comm: str | None
    alternatives: tuple[tuple[Filter | None, int], ...]

    @property
    def fields(self) -> Iterator[str]:
        yield from (name for name in (self.task, self.cpu, self.comm) if name)
        for when, _ in self.alternatives:
            yield from when.fields if when else ()

    def letters(self, columns: Mapping[str, Column], count: int) -> Letters:
        """One letter per event of the tracepoint; -1 where no alternative holds."""
        chosen = np.full(count, -1, dtype=np.int16)
        for when, letter in reversed(self.alternatives):
            chosen[... if when is None else when(columns)] = letter
        return chosen

    def instances(self, batch: Batch, tp: int) -> Ints:
        """The index of the instance per event of the tracepoint; -1 for an impossible key."""
        rows, columns = batch.rows(tp), batch.fields.get(tp, {})
        if self.scope is Scope.GLOBAL:
            return np.zeros(len(rows), dtype=np.int64)
        cpu = columns[self.cpu].astype(np.int64) if self.cpu else batch.cpu[rows]
        cpu = np.where((cpu >= 0) & (cpu < MAX_CPUS), cpu, -1)
        if self.scope is Scope.CPU:
            return cpu
        pid = columns[self.task].astype(np.int64) if self.task else batch.pid[rows]
        possible = (pid > 0) & (pid <= MAX_PID)
        return np.where(pid == IDLE_PID, cpu, np.where(possible, pid + MAX_CPUS, -1))


@dataclass(frozen=True, slots=True)
class Program:
    """A monitor made ready to step: the table, and the slots per tracepoint number.

    ``missing`` names the bound tracepoints that the vocabulary does not have.
    """

    monitor: Monitor
    model: Automaton
    table: Letters
    width: int
    rules: Mapping[int, tuple[_Slot, ...]]
    missing: tuple[str, ...]

    @property
    def idle(self) -> int:
        """The row of an instance that is not monitoring."""
        return len(self.model.states)

    @property
    def reset(self) -> int:
        """The letter that makes an instance stop monitoring."""
        return self.width - 1

    @property
    def letters_per_event(self) -> int:
        return max(map(len, self.rules.values()), default=1)

    def model_event(self, letter: int) -> str:
        return self.model.events[letter // len(_ENTRIES)]


def compile_monitor(monitor: Monitor, vocabulary: Vocabulary) -> Program:
    """The program of a monitor.

    Raises :class:`InvalidInput` for a container or a condition that compares a field with
    the wrong kind of value, :class:`UnknownName` for a field that its tracepoint does not have.
    """
    if monitor.model is None:
        raise InvalidInput(f"{monitor.name} is a container: it has no model to step")
    model, width = monitor.model, len(monitor.model.events) * len(_ENTRIES) + 1
    known = [b for b in monitor.bindings if b.tracepoint in vocabulary]
    rules: dict[int, list[_Slot]] = {}
    life = monitor.scope is Scope.TASK
    for tracepoint in dict.fromkeys(b.tracepoint for b in known):
        rules[vocabulary.number(tracepoint)] = [
            *_life_slots(_BIRTH if life else (), tracepoint, vocabulary, width - 1),
            *_bound_slots(
                monitor, model, [b for b in known if b.tracepoint == tracepoint], vocabulary
            ),
            *_life_slots(_DEATH if life else (), tracepoint, vocabulary, width - 1),
        ]
    for tracepoint, *_ in (*_BIRTH, *_DEATH) if life else ():
        if tracepoint in vocabulary:
            slots = _life_slots((*_BIRTH, *_DEATH), tracepoint, vocabulary, width - 1)
            rules.setdefault(vocabulary.number(tracepoint), list(slots))
    return Program(
        monitor, model, _table(model, width), width,
        {tp: tuple(slots) for tp, slots in rules.items()},
        tuple(dict.fromkeys(b.tracepoint for b in monitor.bindings if b not in known)),
    )  # fmt: skip


def _table(model: Automaton, width: int) -> Letters:
    idle = len(model.states)
    table = np.full((idle + 1, width), idle, dtype=np.int16)
    of_model = np.array(model.table, dtype=np.int16).reshape(idle, len(model.events))
    table[:idle, :-1] = np.where(of_model == INVALID, -1, of_model).repeat(len(_ENTRIES), axis=1)
    table[idle, _ENTRIES.index(Entry.START) : -1 : len(_ENTRIES)] = 0
    table[idle, _ENTRIES.index(Entry.START_RUN) : -1 : len(_ENTRIES)] = of_model[0]
    return np.ascontiguousarray(table).reshape(-1)


def _bound_slots(
    monitor: Monitor, model: Automaton, bindings: Iterable[Binding], vocabulary: Vocabulary
) -> Iterator[_Slot]:
    """One slot per instance that the bindings of one tracepoint name, in order."""
    grouped: dict[tuple[str | None, str | None], list[tuple[Filter | None, int]]] = {}
    for binding in bindings:
        tracepoint = vocabulary[vocabulary.number(binding.tracepoint)]
        _check_fields(monitor.name, tracepoint, binding)
        letter = model.events.index(binding.event) * len(_ENTRIES) + _ENTRIES.index(binding.entry)
        grouped.setdefault((binding.task, binding.cpu), []).append((binding.when, letter))
    for (task, cpu), alternatives in grouped.items():
        comm = _comm_field(tracepoint, task)
        yield _Slot(monitor.scope, task, cpu, comm, tuple(alternatives))


def _check_fields(name: str, tracepoint: Tracepoint, binding: Binding) -> None:
    for key in (binding.task, binding.cpu):
        if key is not None and tracepoint.field(key).is_string:
            raise InvalidInput(f"monitor {name}: {tracepoint.full_name} {key} is a text, not a key")
    for used in binding.when.fields if binding.when else ():
        if tracepoint.field(used).is_string != (used in binding.when.strings):  # type: ignore[union-attr]
            kind = "a text" if tracepoint.field(used).is_string else "a number"
            raise InvalidInput(
                f"monitor {name}: {tracepoint.full_name} {used} is {kind}, "
                f"and {binding.when.text!r} compares it with something else"  # type: ignore[union-attr]
            )


def _comm_field(tracepoint: Tracepoint, task: str | None) -> str | None:
    """The field that names the task of a pid field: prev_pid → prev_comm, pid → comm."""
    comm = task.removesuffix("pid") + "comm" if task and task.endswith("pid") else None
    return comm if comm in tracepoint.by_name else None


def _life_slots(
    life: Iterable[tuple[str, str, Filter | None]],
    tracepoint: str,
    vocabulary: Vocabulary,
    reset: int,
) -> Iterator[_Slot]:
    """Slots that free an instance; a recording may lack the fields they need."""
    fields = vocabulary[vocabulary.number(tracepoint)].by_name
    for name, task, when in life:
        if name == tracepoint and {task, *(when.fields if when else ())} <= fields.keys():
            yield _Slot(Scope.TASK, task, None, None, ((when, reset),))


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
    ran = (before < program.idle) | (letters % len(_ENTRIES) == _ENTRIES.index(Entry.START_RUN))
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
