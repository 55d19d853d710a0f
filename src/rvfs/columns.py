"""What is read of an event: fields, and what is computed from them, as columns.

A column has one value for each event of its tracepoint in a batch, 64 bits each.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from rvfs.event import Batch, Column, Ints
from rvfs.model.filter import Comparison, Filter, Other, holds
from rvfs.model.terms import Sum
from rvfs.tracepoint import COMMON_FIELDS, COMMON_PRIO

log = logging.getLogger(__name__)

#: The priority of a task that nobody told: stronger than any, so that nobody is accused.
UNKNOWN_PRIO = -(1 << 31)
_NOTHING: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Atoms:
    """A column with a bit for each atom whose condition holds."""

    conditions: tuple[tuple[int, Filter], ...]

    @property
    def fields(self) -> frozenset[str]:
        return frozenset().union(*(when.fields for _, when in self.conditions))


@dataclass(frozen=True, slots=True)
class First:
    """A column with the number, from 1 on, of the first condition that holds; 0 for none."""

    conditions: tuple[Filter | None, ...]

    @property
    def fields(self) -> frozenset[str]:
        return frozenset().union(*(when.fields for when in self.conditions if when))


#: What a column is made from: a field, or what is computed from fields.
Origin: TypeAlias = str | Sum | Filter | Atoms | First | Comparison


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


def values_of(origin: Origin, fields: "Fields") -> Column:
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
        case First(conditions):
            number = np.zeros(fields.count, dtype=np.int64)
            for n, one in reversed(list(enumerate(conditions, 1))):
                number[one(fields) if one else slice(None)] = n
            return number
        case Comparison():
            return holds(origin, fields)


def as_ints(column: Column) -> Ints:
    """Numbers as the native code reads them: 64 bits in a row, the sign left to the reader."""
    if column.dtype == np.uint64:
        column = column.view(np.int64)
    return np.ascontiguousarray(column, dtype=np.int64)


class Fields(Mapping[str, Column]):
    """The columns of one tracepoint in a batch, those that every event has among them."""

    def __init__(self, batch: Batch, tp: int, priorities: "Priorities") -> None:
        self._batch, self._tp, self._priorities = batch, tp, priorities
        self.own = batch.fields.get(tp, {})

    def column(self, origin: Origin, needed: frozenset[str]) -> Ints:
        """What is made from the ``needed`` fields (:func:`fields_of`). Empty where one is not
        there: then there should be no such event."""
        for name in needed:
            if name not in self.own and name not in COMMON_FIELDS:
                return _NOTHING
        return as_ints(values_of(origin, self))

    @property
    def count(self) -> int:
        """How many events of the tracepoint there are."""
        return len(self._batch.rows(self._tp))

    def __getitem__(self, name: str) -> Column:
        if name in self.own or name not in COMMON_FIELDS:
            return self.own[name]
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
        return len(self.own)


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
