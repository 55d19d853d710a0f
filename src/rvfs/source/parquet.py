"""Reads events from Parquet (``pip install 'rvfs[parquet]'``); :mod:`.parquet_schema` is the table.

Many rows are decoded at once, and only the columns that are wanted; what leaves is slices of
that. Any writer's types will do: integers of any width, times as integers or timestamps, text
plain or as a dictionary, nulls where an event has no such field.
"""

import json
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rvfs.errors import RvfsError, TraceError
from rvfs.event import Batch, Column, Ints
from rvfs.source import Wanted
from rvfs.source.parquet_columns import Bad, Rows, ints, is_number, is_text, numbers, texts, valid
from rvfs.source.parquet_schema import HEAD, LOST, LOST_EVENTS, NOTES, declared, own_column
from rvfs.source.reader import Stretch, StretchReader
from rvfs.tracepoint import Vocabulary

#: Rows that are decoded at once.
ROWS = 1 << 17
#: Pids are less than this (PID_MAX_LIMIT, include/linux/threads.h).
PIDS = 1 << 22
#: In the place of a tracepoint's number.
UNWANTED, GAP = -1, -2

#: What the columns of the head may be; ``comm`` need not be there.
FITS = {"ts": is_number, "cpu": is_number, "pid": is_number, "event": is_text}

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Lot(Stretch):
    """Rows that were decoded, the number of the first of them, and the table they come from.

    ``rows`` are those of each wanted tracepoint, ``fields`` its columns.
    """

    first: int
    tp: Ints
    cpu: Ints
    pid: Ints
    comm: Any
    rows: dict[int, Rows] = field(default_factory=dict)
    fields: dict[int, dict[str, Column]] = field(default_factory=dict)


class ParquetReader(StretchReader[Lot]):
    """The events of a table, in the order of its rows. What it declares joins the vocabulary.

    Raises :class:`TraceError` for what is no table of events.
    """

    def __init__(self, path: str, vocabulary: Vocabulary):
        super().__init__()
        self._path, self._vocabulary = path, vocabulary
        self._comms = _Comms()
        self._row, self._last = 0, -(2**63)
        self._damage: TraceError | None = None
        self._lots = _ahead(iter(list[tuple[int, pa.RecordBatch]]()))
        try:
            schema = pq.read_schema(path)
            self._columns = {column.name: column.type for column in schema}
            text = [name for name, kind in self._columns.items() if is_text(kind)]
            self._file = pq.ParquetFile(path, read_dictionary=text)
            for tracepoint in declared(schema.metadata):
                vocabulary.add(tracepoint)
            self.notes = json.loads(self._file.metadata.metadata.get(NOTES, b"[]"))
        except (pa.ArrowException, OSError, ValueError, LookupError, RvfsError) as error:
            raise self._fault(_said(error)) from None
        missing = [name for name in FITS if name not in self._columns]
        if missing:
            raise self._fault(f"not a table of events: it has no column {', '.join(missing)}")
        for name, fits in FITS.items():
            if not fits(self._columns[name]):
                raise self._fault(f"column {name} cannot hold {self._columns[name]}")
        self.subscribe({})

    def subscribe(self, wanted: Wanted) -> None:
        self._lots.close()
        if self._stretch is not None:
            self._row, self._last = self._stretch.first + self._at, -(2**63)
        self._stretch = None
        known = {number: tracepoint for number, tracepoint in self._vocabulary if number in wanted}
        self._numbers = {known[number].name: number for number in reversed(known)}
        self._numbers |= {tracepoint.full_name: number for number, tracepoint in known.items()}
        self._numbers[LOST] = GAP
        self._places = {number: self._find(number, wanted[number]) for number in known}
        self._missing = {
            n: wanted[n] & known[n].by_name.keys() - self._places[n].keys() for n in known
        }
        self._lots = _ahead(self._decode())

    def close(self) -> None:
        super().close()
        self._lots.close()
        self._file.close()

    def _find(self, number: int, fields: frozenset[str]) -> dict[str, str]:
        """The column of each field that the table has."""
        places = {}
        for name in sorted(fields):
            own = own_column(self._vocabulary[number], name)
            if own in self._columns:
                places[name] = own
            elif name in self._columns and name not in HEAD:
                places[name] = name
        return places

    def _decode(self) -> Generator[tuple[int, pa.RecordBatch], None, None]:
        """(number of the first row, rows), from the next row on."""
        first, groups = 0, list[int]()
        metadata = self._file.metadata
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            if groups or first + rows > self._row:
                groups.append(group)
            else:
                first += rows
        fields = {column for places in self._places.values() for column in places.values()}
        columns = [name for name in self._columns if name in {*HEAD, LOST_EVENTS, *fields}]
        for batch in self._file.iter_batches(ROWS, row_groups=groups, columns=columns):
            skip = max(self._row - first, 0)
            if skip < batch.num_rows:
                yield first + skip, batch.slice(skip)
            first += batch.num_rows

    def _load(self) -> Lot | None:
        if self._damage is not None:
            raise self._damage
        try:
            found = next(self._lots, None)
        except (pa.ArrowException, OSError) as error:
            raise self._fault(_said(error)) from None
        if found is None:
            return None
        first, batch = found
        while True:
            try:
                lot = self._lot(first, batch)
            except Bad as bad:  # what is before it is delivered
                self._damage = self._fault(f"row {first + bad.row}: {bad.message}")
                if not bad.row:
                    raise self._damage from None
                batch = batch.slice(0, bad.row)
            else:
                break
        self._last = int(lot.time[-1]) if len(lot) else self._last
        self._row = first + batch.num_rows
        self.done = self._row / max(self._file.metadata.num_rows, 1)
        return lot

    def _lot(self, first: int, batch: pa.RecordBatch) -> Lot:
        tp = self._tracepoints(batch)
        heads = [ints(batch[name], name) for name in ("ts", "cpu", "pid")]
        self._require_order(heads[0])
        comm = batch["comm"] if is_text(self._columns.get("comm", pa.null())) else None
        time, cpu, pid = heads
        lot = Lot(time, {}, first=first, tp=tp, cpu=cpu, pid=pid, comm=comm)
        for number in self._places:
            rows = np.flatnonzero(tp == number)
            if rows.size:
                lot.rows[number] = rows
                lot.fields[number] = self._values(batch, number, rows)
        lot.lost = self._losses(batch, np.flatnonzero(tp == GAP))
        return lot

    def _tracepoints(self, batch: pa.RecordBatch) -> Ints:
        """The number of each row's event, UNWANTED or GAP."""
        events = batch["event"]
        known = [self._numbers.get(name, UNWANTED) for name in events.dictionary.to_pylist()]
        places = numbers(events)
        if events.null_count:
            places = np.where(valid(events), places, len(known))
        return np.array([*known, UNWANTED], np.int64).take(places)

    def _require_order(self, time: Ints) -> None:
        back = np.flatnonzero(time[1:] < time[:-1]) + 1
        if time.size and time[0] < self._last:
            back = np.zeros(1, np.intp)
        if back.size:
            raise Bad(int(back[0]), "time goes back; sort the table by ts")

    def _values(self, batch: pa.RecordBatch, number: int, rows: Rows) -> dict[str, Column]:
        tracepoint = self._vocabulary[number]
        for name in sorted(self._missing[number]):
            own = own_column(tracepoint, name)
            raise Bad(int(rows[0]), f"{tracepoint.full_name} needs a column {name} or {own}")
        values: dict[str, Column] = {}
        for name, column in self._places[number].items():
            read = texts if tracepoint.field(name).is_string else ints
            values[name] = read(batch[column], column, rows)
        return values

    def _losses(self, batch: pa.RecordBatch, rows: Rows) -> dict[int, dict[int, int]]:
        """Row → CPU → how many events were lost before it; 1 where nobody counted."""
        if not rows.size:
            return {}
        cpus = ints(batch["cpu"], "cpu", rows).tolist()
        counts = [0] * len(cpus)
        if LOST_EVENTS in self._columns:
            counts = ints(batch[LOST_EVENTS], LOST_EVENTS, rows).tolist()
        counted = list(zip(rows.tolist(), cpus, counts, strict=True))
        self.uncounted |= {cpu for _, cpu, count in counted if count < 1}
        return {row: {cpu: max(count, 1)} for row, cpu, count in counted}

    def _project(
        self, lot: Lot, start: int, stop: int, lost: Mapping[int, int]
    ) -> tuple[Batch, int]:
        part = slice(start, stop)
        tp, time, cpu, pid = lot.tp[part], lot.time[part], lot.cpu[part], lot.pid[part]
        if lot.comm is not None and pid.size:
            self._comms.learn(pid, lot.comm.slice(start, stop - start))
        if not (wanted := tp >= 0).all():
            tp, time, cpu, pid = (head[wanted] for head in (tp, time, cpu, pid))
        fields = {}
        for number, columns in lot.fields.items():
            first, last = np.searchsorted(lot.rows[number], (start, stop))
            fields[number] = {name: column[first:last] for name, column in columns.items()}
        return Batch(tp, time, cpu, pid, fields, self._comms, lost), stop

    def _fault(self, message: str) -> TraceError:
        return TraceError(message, file=self._path)


def _ahead(lots: Iterator[T]) -> Generator[T, None, None]:
    """The same, each decoded (without Python's lock) while the one before it is in use."""
    with ThreadPoolExecutor(1) as helper:
        coming = helper.submit(next, lots, None)
        while (lot := coming.result()) is not None:
            coming = helper.submit(next, lots, None)
            yield lot


def _said(error: Exception) -> str:
    return f"cannot be read: {str(error).splitlines()[0] if str(error) else error!r}"


class _Comms(Mapping[int, str]):
    """The names of tasks, as they were read last: pid → name."""

    def __init__(self) -> None:
        self._of_pid = np.full(PIDS, -1, dtype=np.int32)
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}

    def learn(self, pids: Ints, names: Any) -> None:
        """These tasks have these names now; those without keep the one they had."""
        mine = np.array([self._number(name) for name in names.dictionary.to_pylist()], np.int32)
        places = numbers(names)
        if names.null_count or pids.min() < 0 or pids.max() >= PIDS:
            known = (pids >= 0) & (pids < PIDS) & valid(names)
            pids, places = pids[known], places[known]
        if places.size:
            self._of_pid[pids] = mine.take(places)

    def _number(self, name: str) -> int:
        number = self._numbers.setdefault(name, len(self._names))
        if number == len(self._names):
            self._names.append(name)
        return number

    def __getitem__(self, pid: int) -> str:
        number = int(self._of_pid[pid]) if 0 <= pid < PIDS else -1
        if number < 0:
            raise KeyError(pid)
        return self._names[number]

    def __iter__(self) -> Iterator[int]:
        return iter(np.flatnonzero(self._of_pid >= 0).tolist())

    def __len__(self) -> int:
        return int((self._of_pid >= 0).sum())
