"""From played scripts to batches.

A record says which script was played when, where, by whom; the scripts say what each of
their lines emits. So a column is a gather: a stretch of records is unrolled into one *line
number* and one *record number* per event, brought into the order of time, and every column
is looked up by these two. Nothing runs per event in Python.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rvfs.event import Batch, Column, Ints
from rvfs.source import Wanted
from rvfs.source.sim.faults import Planted
from rvfs.source.sim.machine import PID_BITS, PRIO_BITS
from rvfs.source.sim.scripts import Line, Mark, Origin, read_script, scripts
from rvfs.tracepoint import Vocabulary

#: A record: these eight numbers.
WIDTH = 8
SCRIPT, TIME, CPU, A, B, C, N, M = range(WIDTH)
_COLUMNS: Mapping[str, int] = {"a": A, "b": B, "c": C, "n": N, "m": M}
_CONSTANT = -1

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Lookup:
    """Where a field's value comes from, for each line: a column of its record, or a constant.

    ``part`` is what of that column: a task's ``pid``, ``prio`` or ``comm``, the text that a
    number names (``name``), or the number itself ("").
    """

    column: Indices
    constant: Ints
    part: str

    def values(self, lines: Indices, records: Indices, data: Ints, names: Column) -> Column:
        column = self.column[lines]
        found = data[records, np.maximum(column, 0)]
        if self.part == "pid":
            return pid_of(found)
        if self.part == "prio":
            return found >> PID_BITS & (1 << PRIO_BITS) - 1
        if self.part:
            text: Column = names[found >> PID_BITS + PRIO_BITS if self.part == "comm" else found]
            return text
        return np.where(column == _CONSTANT, self.constant[lines], found)


def pid_of(tokens: Ints) -> Ints:
    """The pids of tasks."""
    return tokens & (1 << PID_BITS) - 1


class Book:
    """Every script, compiled. ``codes`` maps a script's name to its number.

    ``span`` is how long each takes in ns, ``length`` how many events it has. ``stretch`` is
    what the machine's usual delays are multiplied with. Raises
    :class:`rvfs.errors.UnknownName` when the vocabulary lacks a tracepoint.
    """

    def __init__(self, vocabulary: Vocabulary, stretch: float) -> None:
        texts = scripts()
        read = [list(read_script(text)) for text in texts.values()]
        self.lines = [line for script in read for line in script]
        self.codes = {name: number for number, name in enumerate(texts)}
        self.length = np.array([len(script) for script in read])
        self.first = np.cumsum(self.length) - self.length
        gaps = [np.array([int(line.gap * stretch) for line in script]) for script in read]
        self.span = np.array([gap.sum() for gap in gaps])
        self.offset = np.concatenate([np.cumsum(gap) - gap for gap in gaps])
        self.tp = np.array([vocabulary.number(line.tracepoint) for line in self.lines])
        self.current = np.array([_COLUMNS[line.current] for line in self.lines])
        self.marked = np.array([line.mark is not None for line in self.lines])
        self._lookups: dict[tuple[int, str], _Lookup | None] = {}

    def lookup(self, tp: int, name: str) -> _Lookup | None:
        """How to find a field; None where the machine has no such field."""
        if (tp, name) not in self._lookups:
            mine = [
                line if number == tp else None
                for number, line in zip(self.tp, self.lines, strict=True)
            ]
            self._lookups[tp, name] = _compile(mine, name)
        return self._lookups[tp, name]


def _compile(lines: Sequence[Line | None], name: str) -> _Lookup | None:
    column = np.zeros(len(lines), dtype=np.intp)
    constant = np.zeros(len(lines), dtype=np.int64)
    parts = set()
    for i, line in enumerate(lines):
        if line is not None and name in line.fields:
            column[i], constant[i], part = _origin(line.fields[name])
            parts.add(part)
    return _Lookup(column, constant, parts.pop()) if parts else None


def _origin(origin: Origin) -> tuple[int, int, str]:
    if isinstance(origin, int):
        return _CONSTANT, origin, ""
    source, _, part = origin.partition(".")
    return _COLUMNS[source], 0, part


@dataclass(frozen=True)
class Stretch:
    """Unrolled records: for each event, in the order of time, its line and its record."""

    book: Book
    data: Ints
    names: Column
    comms: Mapping[int, str]
    line: Indices = field(init=False)
    record: Indices = field(init=False)
    time: Ints = field(init=False)

    def __post_init__(self) -> None:
        book, script = self.book, self.data[:, SCRIPT]
        length = book.length[script]
        record = np.repeat(np.arange(len(script)), length)
        before = np.cumsum(length) - length
        line = np.arange(len(record)) + np.repeat(book.first[script] - before, length)
        time = self.data[record, TIME] + book.offset[line]
        order = np.argsort(time, kind="stable")
        object.__setattr__(self, "line", line[order])
        object.__setattr__(self, "record", record[order])
        object.__setattr__(self, "time", time[order])

    def __len__(self) -> int:
        return len(self.line)

    def positions(self, wanted: npt.NDArray[np.bool_]) -> Indices:
        """Where the events of the wanted lines are."""
        return np.flatnonzero(wanted[self.line])

    def batch(self, positions: Indices, wanted: Wanted) -> Batch:
        """The events at these positions, with the wanted fields."""
        line, record = self.line[positions], self.record[positions]
        data, book = self.data, self.book
        fields: dict[int, dict[str, Column]] = {}
        batch = Batch(
            book.tp[line], self.time[positions], data[record, CPU],
            pid_of(data[record, book.current[line]]), fields, self.comms,
        )  # fmt: skip
        for tp, names in wanted.items():
            rows = batch.rows(tp)
            if len(rows):
                mine = line[rows], record[rows], data, self.names
                lookups = {name: book.lookup(tp, name) for name in sorted(names)}
                fields[tp] = {name: look.values(*mine) for name, look in lookups.items() if look}
        return batch

    def planted(self, start: int, stop: int) -> list[Planted]:
        """What was planted at the positions from ``start`` to before ``stop``."""
        found = np.flatnonzero(self.book.marked[self.line[start:stop]]) + start
        return [self._planted(position) for position in found.tolist()]

    def _planted(self, position: int) -> Planted:
        mark = self.book.lines[self.line[position]].mark
        assert mark is not None
        record = self.data[self.record[position]]
        time, cpu = int(self.time[position]), int(record[CPU])
        return Planted(mark.monitor, time, cpu, _key(mark, record), mark.event)


def _key(mark: Mark, record: Ints) -> int | None:
    return int(pid_of(record[_COLUMNS[mark.key]])) if mark.key else None
