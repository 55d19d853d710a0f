"""A monitor made ready to step: one table, and what each tracepoint brings to which instance.

Rows of the table are the states of the model and a last row, *not monitoring*; columns are
event x entry point and a last column, *reset*, which is how a task's birth and death reach
its instance. So the three entry points and the flag of the kernel's automata
(include/rv/da_monitor.h) cost the stepper nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rvfs.errors import InvalidInput
from rvfs.event import IDLE_PID, Batch, Column, Ints
from rvfs.model.automaton import INVALID, Automaton
from rvfs.model.filter import Filter, parse_filter
from rvfs.monitor import Binding, Entry, Monitor, Scope
from rvfs.tracepoint import Tracepoint, Vocabulary

#: An instance's index is its CPU, or MAX_CPUS + pid; so each CPU's idle task, all of
#: whose pids are 0, is an instance of its own. Both limits are the kernel's (64 bit).
MAX_CPUS = 1 << 13
MAX_PID = 1 << 22

ENTRIES = tuple(Entry)

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
class Slot:
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
    rules: Mapping[int, tuple[Slot, ...]]
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
        return self.model.events[letter // len(ENTRIES)]


def compile_monitor(monitor: Monitor, vocabulary: Vocabulary) -> Program:
    """The program of a monitor.

    Raises :class:`InvalidInput` for a container or a condition that compares a field with
    the wrong kind of value, :class:`UnknownName` for a field that its tracepoint does not have.
    """
    if monitor.model is None:
        raise InvalidInput(f"{monitor.name} is a container: it has no model to step")
    model, width = monitor.model, len(monitor.model.events) * len(ENTRIES) + 1
    known = [b for b in monitor.bindings if b.tracepoint in vocabulary]
    rules: dict[int, list[Slot]] = {}
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
    table[:idle, :-1] = np.where(of_model == INVALID, -1, of_model).repeat(len(ENTRIES), axis=1)
    table[idle, ENTRIES.index(Entry.START) : -1 : len(ENTRIES)] = 0
    table[idle, ENTRIES.index(Entry.START_RUN) : -1 : len(ENTRIES)] = of_model[0]
    return np.ascontiguousarray(table).reshape(-1)


def _bound_slots(
    monitor: Monitor, model: Automaton, bindings: Iterable[Binding], vocabulary: Vocabulary
) -> Iterator[Slot]:
    """One slot per instance that the bindings of one tracepoint name, in order."""
    grouped: dict[tuple[str | None, str | None], list[tuple[Filter | None, int]]] = {}
    for binding in bindings:
        tracepoint = vocabulary[vocabulary.number(binding.tracepoint)]
        _check_fields(monitor.name, tracepoint, binding)
        letter = model.events.index(binding.event) * len(ENTRIES) + ENTRIES.index(binding.entry)
        grouped.setdefault((binding.task, binding.cpu), []).append((binding.when, letter))
    for (task, cpu), alternatives in grouped.items():
        comm = _comm_field(tracepoint, task)
        yield Slot(monitor.scope, task, cpu, comm, tuple(alternatives))


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
) -> Iterator[Slot]:
    """Slots that free an instance; a recording may lack the fields they need."""
    fields = vocabulary[vocabulary.number(tracepoint)].by_name
    for name, task, when in life:
        if name == tracepoint and {task, *(when.fields if when else ())} <= fields.keys():
            yield Slot(Scope.TASK, task, None, None, ((when, reset),))
