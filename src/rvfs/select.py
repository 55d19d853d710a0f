"""From an event to letters: conditions made decision programs, fields made columns.

A monitor's bindings of one tracepoint are gathered into slots, one for each instance that
they name; a slot's alternatives are one decision program, tried in the order of the file
(:mod:`rvfs._stepper` has its form and runs it). A question of the program compares a column
with a number. Whatever else is asked or told (a text, one field against another, a sum) is
a column of its own, computed once per batch.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rvfs.event import Batch, Column, Ints
from rvfs.model.filter import Both, Comparison, Either, Filter, Not, Other, Test, holds
from rvfs.model.terms import Sum
from rvfs.tracepoint import COMMON_FIELDS, COMMON_PRIO, Tracepoint

log = logging.getLogger(__name__)

#: Targets of a decision program: no letter, and letter 0; letter 1 is one less, and so on.
NO_LETTER, FIRST_LETTER = -1, -2
_64_BITS = (1 << 64) - 1
_SIGNED = (-(1 << 63), (1 << 63) - 1)
_UNSIGNED = (0, _64_BITS)
#: The priority of a task that nobody told: stronger than any, so that nobody is accused.
UNKNOWN_PRIO = -(1 << 31)


@dataclass(frozen=True, slots=True)
class Atoms:
    """A column with a bit for each atom whose condition holds."""

    conditions: tuple[tuple[int, Filter], ...]

    @property
    def fields(self) -> frozenset[str]:
        return frozenset().union(*(when.fields for _, when in self.conditions))


#: What a column is made from: a field, or what is computed from fields.
Origin: TypeAlias = str | Sum | Filter | Atoms | Comparison


def fields_of(origin: Origin) -> frozenset[str]:
    """The fields that a column is made from."""
    match origin:
        case str(name):
            return frozenset((name,))
        case Comparison(name, _, Other(other)):
            return frozenset((name, other))
        case Comparison(name):
            return frozenset((name,))
        case _:
            return origin.fields


def _values(origin: Origin, fields: "_Fields") -> Column:
    match origin:
        case str(name):
            return fields[name]
        case Sum(_, names, constant):
            total = np.full(fields.count, constant, dtype=np.int64)
            for name, factor in names:
                total += factor * as_ints(fields[name])
            return total
        case Filter():
            return origin(fields)
        case Atoms(conditions):
            bits = np.zeros(fields.count, dtype=np.uint64)
            for bit, when in conditions:
                bits |= when(fields).astype(np.uint64) << np.uint64(bit)
            return bits
        case Comparison():
            return holds(origin, fields)


def as_ints(column: Column) -> Ints:
    """Numbers as the native code reads them: 64 bits in a row, the sign left to the reader."""
    if column.dtype == np.uint64:
        column = column.view(np.int64)
    return np.ascontiguousarray(column, dtype=np.int64)


class _Fields(Mapping[str, Column]):
    """The columns of one tracepoint in a batch, those that every event has among them."""

    def __init__(self, batch: Batch, tp: int, priorities: "Priorities") -> None:
        self._batch, self._tp, self._priorities = batch, tp, priorities
        self._own = batch.fields.get(tp, {})

    @property
    def count(self) -> int:
        """How many events of the tracepoint there are."""
        return len(self._batch.rows(self._tp))

    def __getitem__(self, name: str) -> Column:
        if name in self._own or name not in COMMON_FIELDS:
            return self._own[name]
        rows = self._batch.rows(self._tp)
        match name:
            case "common_cpu":
                return self._batch.cpu[rows]
            case "common_pid":
                return self._batch.pid[rows]
            case _ if name == COMMON_PRIO:
                return self._priorities.before(self._batch)[rows]
        if len(rows):
            self._priorities.warn(name)
        return np.zeros(len(rows), dtype=np.int64)

    def __iter__(self) -> Any:
        raise NotImplementedError("a condition names its fields")

    def __len__(self) -> int:
        return len(self._own)


class Priorities:
    """Who runs on each CPU: its priority, as the last sched_switch there told (next_prio).

    ``tracepoint`` is the number of sched_switch, None when there is none.
    """

    FIELD = "next_prio"

    def __init__(self, tracepoint: int | None) -> None:
        self.tracepoint = tracepoint
        self._now: dict[int, int] = {}
        self._batch: Batch | None = None
        self._before: Ints = np.empty(0, dtype=np.int64)
        self._missing: set[str] = set()

    def warn(self, name: str) -> None:
        """Say once that the source does not know this of its events."""
        if name not in self._missing:
            self._missing.add(name)
            log.warning("the source does not tell %s; it counts as 0", name)

    def before(self, batch: Batch) -> Ints:
        """For every event, the priority of the task that was running when it came."""
        if self._batch is not batch:
            self.read(batch)
        return self._before

    def read(self, batch: Batch) -> None:
        """Go on by one batch; where events were lost, nobody knows who runs."""
        for cpu in batch.lost:
            self._now.pop(cpu, None)
        self._batch, self._before = batch, np.full(len(batch), UNKNOWN_PRIO, dtype=np.int64)
        switches, told = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.int64)
        if self.tracepoint is not None and self.tracepoint in batch.fields:
            switches = batch.rows(self.tracepoint)
            told = as_ints(batch.fields[self.tracepoint][self.FIELD])
        for cpu in np.unique(batch.cpu).tolist():
            mine = np.flatnonzero(batch.cpu == cpu)
            here = batch.cpu[switches] == cpu
            known = np.r_[self._now.get(cpu, UNKNOWN_PRIO), told[here]]
            self._before[mine] = known[np.searchsorted(switches[here], mine)]
            self._now[cpu] = int(known[-1])


@dataclass(frozen=True, slots=True)
class Slot:
    """An instance that the events of a tracepoint concern, and what they bring it.

    ``task``, ``cpu`` and ``id`` are its key (None: the event's own); ``choices`` the letters,
    the first of which applies whose condition holds.
    """

    choices: tuple[tuple[Filter | None, int], ...]
    task: str | None = None
    cpu: str | None = None
    id: Sum | None = None


@dataclass(slots=True)
class Selection:
    """Decision programs, as :class:`rvfs._stepper.Selector` takes them.

    ``columns`` are (tracepoint, origin); ``loads[letter]`` the columns whose values a letter
    takes along. An event of one of the ``tracepoints`` has ``width`` letters at most, each of
    which takes ``heaviest`` values along at most.
    """

    columns: list[tuple[int, Origin]] = field(default_factory=list)
    tracepoints: list[int] = field(default_factory=list)
    slots: list[tuple[int, ...]] = field(default_factory=list)
    nodes: list[tuple[int, ...]] = field(default_factory=list)
    loads: list[list[int]] = field(default_factory=list)
    width: int = 1
    heaviest: int = 0

    def add(
        self,
        tracepoint: Tracepoint,
        tp: int,
        slots: Sequence[Slot],
        loads: Mapping[int, Sequence[Origin]],
    ) -> None:
        """Add the slots of a tracepoint; ``loads`` by letter."""
        for place, slot in enumerate(slots):
            target = NO_LETTER
            for when, letter in reversed(slot.choices):
                test = None if when is None else when.test
                target = self._ask(tracepoint, tp, test, FIRST_LETTER - letter, target)
            key = slot.task if slot.id is None else slot.id
            columns = self._column(tp, key), self._column(tp, slot.cpu)
            self.slots.append((len(self.tracepoints), place, target, *columns))
        self.tracepoints.append(tp)
        for letter, origins in loads.items():
            self.loads += [[] for _ in range(letter + 1 - len(self.loads))]
            self.loads[letter] = [self._column(tp, origin) for origin in origins]
        self.width = max(self.width, len(slots))
        self.heaviest = max(self.heaviest, *map(len, loads.values()), 0)

    def _column(self, tp: int, origin: Origin | None) -> int:
        if origin is None:
            return -1
        if (tp, origin) not in self.columns:
            self.columns.append((tp, origin))
        return self.columns.index((tp, origin))

    def _ask(self, tracepoint: Tracepoint, tp: int, test: Test | None, yes: int, no: int) -> int:
        """The target where a program begins that ends in ``yes`` or in ``no``."""
        match test:
            case None:
                return yes
            case Not(inner):
                return self._ask(tracepoint, tp, inner, no, yes)
            case Both(tests):
                for inner in reversed(tests):
                    yes = self._ask(tracepoint, tp, inner, yes, no)
                return yes
            case Either(tests):
                for inner in reversed(tests):
                    no = self._ask(tracepoint, tp, inner, yes, no)
                return no
            case Comparison(name, sign, int(value)):
                declared = tracepoint.field(name)
                unsigned = declared.size == 8 and not declared.signed
                question = question_of(sign, value, _UNSIGNED if unsigned else _SIGNED)
                column = self._column(tp, name)
            case Comparison():
                question, column = question_of("&", _64_BITS, _SIGNED), self._column(tp, test)
        if question.never:
            return yes if question.negated else no
        if question.negated:
            yes, no = no, yes
        self.nodes.append((column, question.mask, question.lowest, question.span, yes, no))
        return len(self.nodes) - 1

    def bind(self, batch: Batch, priorities: Priorities) -> list[Ints]:
        """The columns of a batch, one value for each event of their tracepoint."""
        fields = {tp: _Fields(batch, tp, priorities) for tp in self.tracepoints}
        return [self._bound(fields[tp], origin) for tp, origin in self.columns]

    @staticmethod
    def _bound(fields: _Fields, origin: Origin) -> Ints:
        if not fields.count:
            return np.empty(0, dtype=np.int64)
        column = as_ints(_values(origin, fields))
        if len(column) != fields.count:
            raise ValueError(f"{len(column)} values of {origin} for {fields.count} events")
        return column

    def wanted(self) -> Iterable[tuple[int, frozenset[str]]]:
        """Tracepoints and the fields that are needed of them."""
        for tp in self.tracepoints:
            yield tp, frozenset()
        for tp, origin in self.columns:
            yield tp, fields_of(origin)


class Question(NamedTuple):
    """Whether ``value & mask`` is one of ``lowest .. lowest + span``, of 64 bits, or is not."""

    mask: int
    lowest: int
    span: int
    negated: bool
    never: bool = False


def question_of(sign: str, value: int, domain: tuple[int, int]) -> Question:
    """The question that a comparison with a number asks of a column with these values."""
    if sign == "&":
        return Question(_pattern(value), 1, _pattern(-2), False, value & _64_BITS == 0)
    first, last = {
        "==": (value, value), "!=": (value, value), "<": (domain[0], value - 1),
        "<=": (domain[0], value), ">": (value + 1, domain[1]), ">=": (value, domain[1]),
    }[sign]  # fmt: skip
    first, last = max(first, domain[0]), min(last, domain[1])
    return Question(-1, _pattern(first), _pattern(last - first), sign == "!=", first > last)


def _pattern(value: int) -> int:
    """The number of 64 bits with a sign that has the same bits."""
    return (value + (1 << 63) & _64_BITS) - (1 << 63)


def packed(rows: Iterable[Sequence[int]], width: int) -> npt.NDArray[np.int64]:
    """Rows of numbers, one after the other; where there is none, one of ``width`` zeros."""
    flat = [number for row in rows for number in row]
    return np.array(flat or [0] * width, dtype=np.int64)
