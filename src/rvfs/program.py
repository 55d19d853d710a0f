"""A monitor made ready to step: its letters, what brings them to whom, and its table.

A *letter* is what one binding brings to an instance; a life of a task brings one more,
*reset*. So the rows of an automaton's table are its states and a last row, *not monitoring*,
and its columns the letters: the entry points and the flag of the kernel's automata
(include/rv/da_monitor.h) cost the stepper nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rvfs.columns import Atoms, Origin, Priorities
from rvfs.errors import InvalidInput
from rvfs.model.automaton import INVALID, Automaton
from rvfs.model.filter import Comparison, Filter
from rvfs.model.rule import Rule
from rvfs.monitor import Action, Binding, Entry, Model, Monitor, Scope
from rvfs.select import Outcome, Place, Selection, Slot
from rvfs.tracepoint import COMMON_PRIO, Tracepoint, Vocabulary

#: An instance's index is its CPU, or MAX_CPUS + pid; so each CPU's idle task, all of
#: whose pids are 0, is an instance of its own. Both limits are the kernel's (64 bit).
MAX_CPUS = 1 << 13
MAX_PID = 1 << 22
#: Rows and letters are numbers of 16 bits.
MAX_ROWS = (1 << 15) - 2

#: What a task's life does to its instance: tracepoint, field with the pid, condition.
#: A task that is born starts unmonitored, whoever had its pid before.
_BIRTH: tuple[tuple[str, str, Filter | None], ...] = (
    ("sched:sched_process_fork", "child_pid", None),
    ("task:task_newtask", "pid", None),
)
#: A dead task still runs up to its last switch (EXIT_DEAD or EXIT_ZOMBIE in prev_state).
_DEAD = Filter(
    "prev_state & 0x30", frozenset({"prev_state"}), frozenset(),
    Comparison("prev_state", "&", 0x30),
)  # fmt: skip
_DEATH: tuple[tuple[str, str, Filter | None], ...] = (
    ("sched:sched_process_exit", "pid", None),
    ("sched:sched_process_free", "pid", None),
    ("sched:sched_switch", "prev_pid", _DEAD),
)
_SWITCH = "sched:sched_switch"
#: Columns that a batch has for itself, or the engine.
OF_BATCH = frozenset(("common_cpu", "common_pid", COMMON_PRIO))

Rows = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Letter:
    """What one binding of tracepoint ``tp`` brings to an instance.

    To an automaton ``event``, through ``entry``, after the registers ``envs`` were told. To a
    rule the atoms of ``puts`` (bits), of which ``holds`` hold, by ``action``. ``loads`` is where
    the values come from that are not the same for all events; ``comm`` names the field with
    the name of the instance's task, if the tracepoint has one. ``slot`` is the number of the
    instance among those that the bindings of the tracepoint name.
    """

    tp: int
    event: str = ""
    entry: Entry = Entry.RESET
    comm: str | None = None
    action: Action | None = None
    puts: int = 0
    holds: int = 0
    envs: tuple[int, ...] = ()
    loads: tuple[Origin, ...] = ()
    slot: int = 0


class Bound(NamedTuple):
    """What the events of a tracepoint, number ``tp``, bring; slots come in this order."""

    tracepoint: Tracepoint
    tp: int
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Program:
    """A monitor made ready to step.

    ``bound`` is what its letters come from, ``selection`` the same for who steps it alone, with
    a place for each slot; letter ``n`` of the monitor is ``n + 1`` in it. ``registers`` are the
    clocks of a hybrid automaton, then what else is told of its environment. ``wanted`` are the
    fields that a source must deliver, by tracepoint; ``missing`` names the bound tracepoints
    that the vocabulary does not have.
    """

    monitor: Monitor
    model: Model
    letters: tuple[Letter, ...]
    bound: tuple[Bound, ...]
    selection: Selection
    registers: tuple[str, ...]
    wanted: Mapping[int, frozenset[str]]
    missing: tuple[str, ...]

    @property
    def idle(self) -> int:
        """The row of an instance that is not monitoring."""
        return len(self.model.states)

    @cached_property
    def asks_priorities(self) -> bool:
        """Whether some condition asks who runs."""
        return any(COMMON_PRIO in fields for _, fields in self.selection.wanted())


def compile_monitor(monitor: Monitor, vocabulary: Vocabulary) -> Program:
    """The program of a monitor.

    Raises :class:`InvalidInput` for a container, a model that is too large or a condition that
    compares a field with the wrong kind of value, :class:`UnknownName` for a field that its
    tracepoint does not have.
    """
    if monitor.model is None:
        raise InvalidInput(f"{monitor.name} is a container: it has no model to step")
    if len(monitor.model.states) > MAX_ROWS:
        raise InvalidInput(f"{monitor.name} has more than {MAX_ROWS} states")
    compiler = _Compiler(monitor, monitor.model, vocabulary)
    for tp in sorted(compiler.tracepoints()):
        compiler.add(tp)
    return compiler.program()


class _Compiler:
    """Gathers the letters of a monitor, tracepoint by tracepoint."""

    def __init__(self, monitor: Monitor, model: Model, vocabulary: Vocabulary) -> None:
        self._monitor, self._model, self._vocabulary = monitor, model, vocabulary
        self._known = [b for b in monitor.bindings if b.tracepoint in vocabulary]
        self._letters: list[Letter] = []
        self._bound: list[Bound] = []
        self._selection = Selection()
        self._registers = _registers(monitor, model)
        self._comms: dict[int, set[str]] = {}

    def tracepoints(self) -> set[int]:
        """Those that are bound, and those of a task's life."""
        life = (*_BIRTH, *_DEATH) if self._monitor.scope is Scope.TASK else ()
        names = {b.tracepoint for b in self._known}
        names |= {name for name, *_ in life if name in self._vocabulary}
        return {self._vocabulary.number(name) for name in names}

    def add(self, tp: int) -> None:
        tracepoint = self._vocabulary[tp]
        mine = [b for b in self._known if b.tracepoint == tracepoint.full_name]
        first = len(self._letters)
        slots = (*self._life(_BIRTH, tp, tracepoint), *self._gathered(mine, tp, tracepoint))
        slots = _with_ends(slots, tuple(self._life(_DEATH, tp, tracepoint)))
        self._bound.append(Bound(tracepoint, tp, slots))
        self._selection.add(tracepoint, tp, [Place((slot,), _alone) for slot in slots])
        loads = {i + 1: letter.loads for i, letter in enumerate(self._letters) if i >= first}
        self._selection.carry(tp, loads)

    def _life(
        self, life: Iterable[tuple[str, str, Filter | None]], tp: int, tracepoint: Tracepoint
    ) -> Iterator[Slot]:
        """Slots that free an instance; a recording may lack the fields they need."""
        if self._monitor.scope is not Scope.TASK:
            return
        for name, task, when in life:
            needed = {task, *(when.fields if when else ())}
            if name == tracepoint.full_name and needed <= tracepoint.by_name.keys():
                yield Slot(((when, self._letter(Letter(tp))),), task)

    def _gathered(self, bindings: list[Binding], tp: int, tracepoint: Tracepoint) -> Iterator[Slot]:
        """One slot per instance that the bindings name, in order; of a rule, one per binding."""
        grouped: dict[object, list[tuple[Binding, int]]] = {}
        for place, binding in enumerate(bindings):
            self._check_fields(tracepoint, binding)
            alone = place if isinstance(self._model, Rule) else None
            key = (binding.task, binding.cpu, binding.id, alone)
            mine = grouped.setdefault(key, [])
            letter = self._letter_of(binding, tp, tracepoint)
            slot = list(grouped).index(key)
            mine.append((binding, self._letter(replace(letter, slot=slot))))
        for found in grouped.values():
            one = found[0][0]
            yield Slot(tuple((b.when, letter) for b, letter in found), one.task, one.cpu, one.id)

    def _letter(self, letter: Letter) -> int:
        self._letters.append(letter)
        return len(self._letters) - 1

    def _letter_of(self, binding: Binding, tp: int, tracepoint: Tracepoint) -> Letter:
        comm = _comm_field(tracepoint, binding.task)
        if isinstance(self._model, Rule):
            return _telling(self._model, binding, tp, comm)
        return Letter(
            tp, binding.event, binding.entry, comm,
            envs=tuple(self._registers.index(name) for name in binding.env if self._registers),
            loads=tuple(binding.env.values()) if self._registers else (),
        )  # fmt: skip

    def _check_fields(self, tracepoint: Tracepoint, binding: Binding) -> None:
        where = f"monitor {self._monitor.name}: {tracepoint.full_name}"
        for key in (binding.task, binding.cpu):
            if key is not None and tracepoint.field(key).is_string:
                raise InvalidInput(f"{where} {key} is a text, not a key")
        told = (*binding.env.values(), *binding.atoms.values())
        for reading in (binding.when, binding.id, *told):
            if reading is None or isinstance(reading, bool):
                continue
            strings = reading.strings if isinstance(reading, Filter) else frozenset()
            for used in reading.fields:
                if tracepoint.field(used).is_string != (used in strings):
                    kind = "a text" if tracepoint.field(used).is_string else "a number"
                    raise InvalidInput(
                        f"{where} {used} is {kind}, "
                        f"and {reading.text!r} compares it with something else"
                    )

    def program(self) -> Program:
        missing = dict.fromkeys(
            b.tracepoint for b in self._monitor.bindings if b not in self._known
        )
        return Program(
            self._monitor, self._model, tuple(self._letters), tuple(self._bound), self._selection,
            self._registers, self._wants(), tuple(missing),
        )  # fmt: skip

    def _wants(self) -> Mapping[int, frozenset[str]]:
        """The fields that a source must deliver, by tracepoint."""
        wants: dict[int, set[str]] = {}
        for tp, fields in self._selection.wanted():
            wants.setdefault(tp, set()).update(fields)
        for letter in self._letters:
            wants[letter.tp].update((letter.comm,) if letter.comm else ())
        asks = any(COMMON_PRIO in fields for fields in wants.values())
        if asks and _SWITCH in self._vocabulary:
            wants.setdefault(self._vocabulary.number(_SWITCH), set()).add(Priorities.FIELD)
        return {tp: frozenset(names - OF_BATCH) for tp, names in wants.items()}


def _alone(outcome: Outcome) -> int:
    """The letter of a place with one slot."""
    (letter,) = outcome
    assert letter is not None
    return letter + 1


def _with_ends(slots: tuple[Slot, ...], ends: tuple[Slot, ...]) -> tuple[Slot, ...]:
    """A task's end comes right behind the last that the event brings it."""
    for end in ends:
        mine = [place for place, slot in enumerate(slots) if slot.key == end.key]
        place = mine[-1] + 1 if mine else len(slots)
        slots = (*slots[:place], end, *slots[place:])
    return slots


def _registers(monitor: Monitor, model: Model) -> tuple[str, ...]:
    """Clocks, the model's other variables, and what else is told."""
    if isinstance(model, Rule) or model.timing is None:
        return ()
    shown = (*model.timing.clocks, *model.timing.envs)
    told = {name for binding in monitor.bindings for name in binding.env}
    return (*shown, *sorted(told - set(shown)))


def _telling(rule: Rule, binding: Binding, tp: int, comm: str | None) -> Letter:
    """The letter of a binding that tells atoms."""
    if binding.action is None:
        return Letter(tp, entry=binding.entry, comm=comm)
    bits = {rule.atoms.index(name): value for name, value in binding.atoms.items()}
    asked = tuple((bit, when) for bit, when in bits.items() if isinstance(when, Filter))
    return Letter(
        tp, entry=Entry.HANDLE, comm=comm, action=binding.action,
        puts=sum(1 << bit for bit in bits),
        holds=sum(1 << bit for bit, value in bits.items() if value is True),
        loads=(Atoms(asked),) if asked else (),
    )  # fmt: skip


def _comm_field(tracepoint: Tracepoint, task: str | None) -> str | None:
    """The field that names the task of a pid field: prev_pid → prev_comm, pid → comm."""
    comm = task.removesuffix("pid") + "comm" if task and task.endswith("pid") else None
    return comm if comm in tracepoint.by_name else None


def table_of(model: Automaton, letters: tuple[Letter, ...]) -> Rows:
    """The table of an automaton, row by row: next row, or -1 for a violation."""
    idle, width = len(model.states), len(letters)
    of_model = np.array(model.table, dtype=np.int16).reshape(idle, len(model.events))
    of_model[of_model == INVALID] = -1
    table = np.full((idle + 1, width), idle, dtype=np.int16)
    for i, letter in enumerate(letters):
        if letter.entry is not Entry.RESET:
            event = model.events.index(letter.event)
            table[:idle, i] = of_model[:, event]
            started = {Entry.HANDLE: idle, Entry.START: 0, Entry.START_RUN: of_model[0, event]}
            table[idle, i] = started[letter.entry]
    return np.ascontiguousarray(table).reshape(-1)
