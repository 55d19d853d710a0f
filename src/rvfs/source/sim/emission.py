"""From played scripts to batches.

A record says which script was played when, where, by whom; the scripts say what each of
their lines emits. So a column is a gather: a stretch of records is unrolled into one *line
number* and one *record number* per event, brought into the order of time, and every column
is looked up by these two. Nothing runs per event in Python.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rvfs.event import Batch, Column, Ints
from rvfs.source import Wanted
from rvfs.source.sim.faults import EXPIRY, NO_EVENT, Planted
from rvfs.source.sim.lines import Mark, read_script
from rvfs.source.sim.parts import LOWEST_PRIO, PID_BITS, PRIO_BITS
from rvfs.source.sim.scripts import scripts
from rvfs.source.sim.words import Origin
from rvfs.tracepoint import Vocabulary

#: A record: these eight numbers.
WIDTH = 8
SCRIPT, TIME, CPU, A, B, C, N, M = range(WIDTH)
_COLUMNS: Mapping[str, int] = {"a": A, "b": B, "c": C, "n": N, "m": M}
_CONSTANT = -1

Indices = npt.NDArray[np.intp]


def pid_of(tokens: Ints) -> Ints:
    """The pids of tasks."""
    return tokens & (1 << PID_BITS) - 1


_PARTS: Mapping[str, Callable[[Ints, Column], Column]] = {
    "": lambda found, names: found,
    "pid": lambda found, names: pid_of(found),
    "prio": lambda found, names: (found >> PID_BITS & (1 << PRIO_BITS) - 1) + LOWEST_PRIO,
    "comm": lambda found, names: np.take(names, found >> PID_BITS + PRIO_BITS),
    "name": lambda found, names: np.take(names, found),
}


@dataclass(frozen=True, slots=True)
class _Lookup:
    """Where a field's value comes from, for each line: a column of its record, or a constant.

    ``part`` is what of that column: a task's ``pid``, ``prio`` or ``comm``, the text that a
    number names (``name``), or the number itself (""). ``varies`` is False where no line has
    a column, ``mixed`` True where some have.
    """

    column: Indices
    constant: Ints
    part: str
    varies: bool
    mixed: bool

    def values(self, lines: Indices, cells: Indices, data: Ints, names: Column) -> Column:
        """One value per event; ``cells`` is where its record begins in the flat ``data``."""
        if not self.varies:
            return np.take(self.constant, lines)
        column = self.column[lines]
        found = _PARTS[self.part](data[cells + column], names)
        return np.where(column == _CONSTANT, self.constant[lines], found) if self.mixed else found


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
        self._lookups = dict(self._find_fields())

    def _find_fields(self) -> Iterator[tuple[tuple[int, str], _Lookup]]:
        for tp in np.unique(self.tp).tolist():
            lines = np.flatnonzero(self.tp == tp)
            for name in self.lines[lines[0]].fields:
                yield (tp, name), self._compile(lines, name)

    def _compile(self, lines: Indices, name: str) -> _Lookup:
        """How to find a field of a tracepoint, which these lines are of."""
        column = np.full(len(self.lines), _CONSTANT, dtype=np.intp)
        constant = np.zeros(len(self.lines), dtype=np.int64)
        parts = set()
        for i in lines.tolist():
            column[i], constant[i], part = _origin(self.lines[i].fields[name])
            parts |= {part} if column[i] != _CONSTANT else set()
        varies = column[lines] != _CONSTANT
        (part,) = parts or {""}  # one field is one kind of thing, whatever the word
        return _Lookup(column, constant, part, bool(varies.any()), not varies.all())

    def lookups(self, tp: int, names: Iterable[str]) -> dict[str, _Lookup]:
        """How to find the fields; those that the machine does not have are left out."""
        return {name: self._lookups[tp, name] for name in names if (tp, name) in self._lookups}


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

    def batch(self, positions: Indices, wanted: Wanted, now: int | None) -> Batch:
        """The events at these positions, with the wanted fields."""
        line, record = self.line[positions], self.record[positions]
        data, book = self.data.ravel(), self.book
        cells = record * WIDTH
        fields: dict[int, dict[str, Column]] = {}
        batch = Batch(
            book.tp[line], self.time[positions], data[cells + CPU],
            pid_of(data[cells + book.current[line]]), fields, self.comms, now=now,
        )  # fmt: skip
        for tp, names in wanted.items():
            rows = batch.rows(tp)
            if len(rows):
                mine = line[rows], cells[rows], data, self.names
                lookups = book.lookups(tp, names)
                fields[tp] = {name: lookup.values(*mine) for name, lookup in lookups.items()}
        return batch

    def planted(self, start: int, stop: int) -> list[Planted]:
        """What was planted at the positions from ``start`` to before ``stop``."""
        found = np.flatnonzero(self.book.marked[self.line[start:stop]]) + start
        return [self._planted(position) for position in found.tolist()]

    def _planted(self, position: int) -> Planted:
        mark = self.book.lines[self.line[position]].mark
        assert mark is not None
        record = self.data[self.record[position]]
        time = int(self.time[position]) + (EXPIRY[mark.monitor] if mark.event == NO_EVENT else 0)
        return Planted(mark.monitor, time, int(record[CPU]), _key(mark, record), mark.event)


def _key(mark: Mark, record: Ints) -> int | None:
    if not mark.key:
        return None
    value = record[_COLUMNS[mark.key]]
    return int(value if mark.key == "m" else pid_of(value))
