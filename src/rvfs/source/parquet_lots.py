"""What is made of rows: the columns that are wanted of the tracepoints that are wanted.

Numbers are made at once, in the thread that decodes. Texts are read a second time when
somebody asks for them, since hardly anybody but a violation does.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa

from rvfs.event import Column, Columns, Ints
from rvfs.source import Wanted
from rvfs.source.parquet_columns import (
    Bad,
    Rows,
    ints,
    is_text,
    numbers,
    picked,
    texts,
    valid,
)  # fmt: skip
from rvfs.source.parquet_schema import HEAD, LOST, LOST_EVENTS, own_column
from rvfs.source.parquet_table import Again, Table
from rvfs.source.reader import Stretch
from rvfs.tracepoint import Vocabulary

#: In the place of a tracepoint's number.
UNWANTED, GAP = -1, -2
NONE = np.empty(0, dtype=np.intp)
BACK = "time goes back; sort the table by ts"


@dataclass(slots=True, kw_only=True)
class Lot(Stretch):
    """Rows that were decoded, the number of the first of them, and what is wanted of them.

    ``events`` has tracepoint, time, CPU and pid of each that is wanted, ``kept`` their rows
    (None: all are), ``rows`` those of each tracepoint, ``numbers`` its columns of numbers.
    ``gaps`` maps a row to the CPU that lost events before it. ``fault`` is why the row behind
    the last one cannot be read.
    """

    first: int
    events: tuple[Ints, ...]
    kept: Rows | None = None
    rows: dict[int, Rows] = field(default_factory=dict)
    numbers: dict[int, dict[str, Column]] = field(default_factory=dict)
    gaps: dict[int, int] = field(default_factory=dict)
    fault: str = ""


class Lots:
    """The lots of a table for who wants these tracepoints with these fields."""

    def __init__(self, table: Table, vocabulary: Vocabulary, wanted: Wanted) -> None:
        self._table = table
        known = {number: tracepoint for number, tracepoint in vocabulary if number in wanted}
        self._tracepoints = known
        self._numbers = {known[number].name: number for number in reversed(known)}
        self._numbers |= {tracepoint.full_name: number for number, tracepoint in known.items()}
        self._numbers[LOST] = GAP
        self._places = {n: self._find(n, wanted[n]) for n in known}
        self._missing = {
            n: wanted[n] & known[n].by_name.keys() - self._places[n].keys() for n in known
        }
        self._texts: dict[str, _Text] = {}
        columns = {name for name in HEAD if name != "comm"}
        for number, places in self._places.items():
            for name, column in places.items():
                if known[number].field(name).is_string:
                    self._texts[column] = _Text(table, column)
                else:
                    columns.add(column)
        self._columns = [name for name in table.columns if name in columns]
        self._losses = Again(table, [LOST_EVENTS]) if LOST_EVENTS in table.columns else None

    def _find(self, number: int, fields: frozenset[str]) -> dict[str, str]:
        """The column of each field that the table has."""
        places, columns = {}, self._table.columns
        for name in sorted(fields):
            own = own_column(self._tracepoints[number], name)
            if own in columns:
                places[name] = own
            elif name in columns and name not in HEAD:
                places[name] = name
        return places

    def since(self, row: int) -> Iterator[Iterator[Lot]]:
        """The lots of each unit, from this row on."""
        table, columns = self._table, self._columns
        for unit in table.units:
            if unit.last > row:
                found = table.rows(unit, columns, table.ROWS, row)
                yield (self._whole(first, rows) for first, rows in found)

    def _whole(self, first: int, rows: pa.RecordBatch) -> Lot:
        """The lot of as many rows as can be read."""
        fault = ""
        while True:
            try:
                lot = self._lot(first, rows)
            except Bad as bad:
                rows, fault = rows.slice(0, bad.row), f"row {first + bad.row}: {bad.message}"
            else:
                lot.fault = fault
                return lot

    def _lot(self, first: int, rows: pa.RecordBatch) -> Lot:
        tp, present = self._tracepoints_of(rows["event"])
        time, cpu, pid = (ints(rows[name], name) for name in ("ts", "cpu", "pid"))
        back = np.flatnonzero(time[1:] < time[:-1])
        if back.size:
            raise Bad(int(back[0]) + 1, BACK)
        lot = Lot(time, first=first, events=(tp, time, cpu, pid))
        if min(present) < 0:
            lot.kept = np.flatnonzero(tp >= 0)
            lot.events = tuple(picked(column, lot.kept) for column in lot.events)
            gaps = np.flatnonzero(tp == GAP)
            lot.gaps = dict(zip(gaps.tolist(), cpu[gaps].tolist(), strict=True))
        for number in self._places:
            mine = np.flatnonzero(tp == number) if number in present else NONE
            if mine.size:
                lot.rows[number] = mine
                lot.numbers[number] = self._values(rows, number, mine)
        return lot

    def _tracepoints_of(self, events: pa.Array) -> tuple[Ints, set[int]]:
        """The number of each row's event, UNWANTED or GAP; and which of them may be there."""
        known = [self._numbers.get(name, UNWANTED) for name in events.dictionary.to_pylist()]
        codes = numbers(events)
        if events.null_count or not known:
            codes, known = np.where(valid(events), codes, len(known)), [*known, UNWANTED]
        return picked(np.array(known), codes), set(known)

    def _values(self, batch: pa.RecordBatch, number: int, rows: Rows) -> dict[str, Column]:
        """The columns of numbers. Raises :class:`Bad` for one that is missing, or is no text."""
        tracepoint, columns = self._tracepoints[number], self._table.columns
        for name in sorted(self._missing[number]):
            own = own_column(tracepoint, name)
            raise Bad(int(rows[0]), f"{tracepoint.full_name} needs a column {name} or {own}")
        values: dict[str, Column] = {}
        for name, column in self._places[number].items():
            if not tracepoint.field(name).is_string:
                values[name] = ints(batch[column], column, rows)
            elif not is_text(columns[column]):
                raise Bad(int(rows[0]), f"column {column} holds {columns[column]}, not text")
        return values

    def events(self, lot: Lot, start: int, stop: int) -> tuple[Ints, ...]:
        """Tracepoint, time, CPU and pid of the wanted events in these rows of a lot."""
        if lot.kept is not None:
            start, stop = np.searchsorted(lot.kept, (start, stop)).tolist()
        return tuple(column[start:stop] for column in lot.events)

    def fields(self, lot: Lot, start: int, stop: int) -> dict[int, Columns]:
        """The columns of each tracepoint in these rows of a lot."""
        return {number: self._part(lot, number, start, stop) for number in lot.rows}

    def _part(self, lot: Lot, number: int, start: int, stop: int) -> Columns:
        first, last = np.searchsorted(lot.rows[number], (start, stop)).tolist()
        made = {name: column[first:last] for name, column in lot.numbers[number].items()}
        rows = lot.rows[number][first:last]
        later = {
            name: partial(self._texts[column].of, lot.first, start, stop, rows)
            for name, column in self._places[number].items()
            if name not in made
        }
        return Columns(made, later)

    def lost(self, lot: Lot, row: int) -> int:
        """How many events were lost in a gap; 0 if nobody counted."""
        if self._losses is None:
            return 0
        (found,) = self._losses.take(lot.first + row, lot.first + row + 1)
        return int(ints(found[LOST_EVENTS], LOST_EVENTS)[0])


class _Text:
    """A column of text, read when somebody asks for rows of it."""

    def __init__(self, table: Table, name: str) -> None:
        self._table, self._name = table, name
        self._again = Again(table, [name])

    def of(self, base: int, start: int, stop: int, rows: Rows, which: slice) -> Column:
        """``bytes`` for ``which`` of these of the rows ``start .. stop - 1``, all counted from
        ``base``.

        Raises :class:`TraceError` where there is none.
        """
        rows = rows[which]
        if which != slice(None) and len(rows):
            start, stop = int(rows[0]), int(rows[-1]) + 1
        parts, at = [], start
        for batch in self._again.take(base + start, base + stop):
            mine = slice(*np.searchsorted(rows, (at, at + batch.num_rows)))
            try:
                parts.append(texts(batch[self._name], self._name, rows[mine] - at))
            except Bad as bad:
                raise self._table.fault(f"row {base + at + bad.row}: {bad.message}") from None
            at += batch.num_rows
        return np.concatenate(parts)
