"""A table in its file, decoded a unit at a time: a row group, or some small ones together.

Two units are decoded at a time, each by a thread of its own that does not hold Python's lock
meanwhile. The file is opened once, and stays open for as long as anybody may ask for a column
of it: who replaces or removes it changes nothing of what is read.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rvfs.errors import TraceError
from rvfs.source.parquet_columns import is_text

#: Units that are decoded at a time.
HELPERS = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unit:
    """The rows ``first .. last - 1``, which are these row groups."""

    first: int
    last: int
    groups: tuple[int, ...]


class Table:
    """What Parquet says of itself, and its rows. Raises what pyarrow raises, and OSError."""

    #: Rows that are decoded at once, and likewise where somebody asks for some of them.
    ROWS, FEW = 1 << 17, 1 << 14

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = pa.OSFile(path)
        opened = pq.ParquetFile(self._file)
        self.metadata, self.schema = opened.metadata, opened.schema_arrow
        self.columns = {column.name: column.type for column in self.schema}
        self._texts = [name for name, kind in self.columns.items() if is_text(kind)]
        self._idle: list[pq.ParquetFile] = []
        self.units = list(_units(self.metadata, self.ROWS))
        self._firsts = np.array([unit.first for unit in self.units])

    def __len__(self) -> int:
        return int(self.metadata.num_rows)

    def unit_of(self, row: int) -> Unit:
        return self.units[int(np.searchsorted(self._firsts, row, "right")) - 1]

    def rows(
        self, unit: Unit, columns: Sequence[str], count: int, first: int = 0
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """(number of the first row, ``count`` rows at most), from row ``first`` on.

        Text comes as a dictionary.
        """
        file, at = self._open(), unit.first
        threads = unit.last - unit.first > self.ROWS
        for batch in file.iter_batches(count, unit.groups, columns, use_threads=threads):
            skip = max(first - at, 0)
            if skip < batch.num_rows:
                yield at + skip, batch.slice(skip)
            at += batch.num_rows
        self._idle.append(file)

    def _open(self) -> pq.ParquetFile:
        """One for each who reads at the same time."""
        try:
            return self._idle.pop()
        except IndexError:
            pass
        return pq.ParquetFile(self._file, metadata=self.metadata, read_dictionary=self._texts)

    def fault(self, message: str) -> TraceError:
        return TraceError(message, file=self.path)


def unreadable(path: str, error: Exception) -> TraceError:
    said = str(error).splitlines()
    return TraceError(f"cannot be read: {said[0] if said else repr(error)}", file=path)


def _units(metadata: pq.FileMetaData, most: int) -> Iterator[Unit]:
    first = last = 0
    groups: list[int] = []
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if groups and last - first + rows > most:
            yield Unit(first, last, tuple(groups))
            first, groups = last, []
        groups.append(group)
        last += rows
    if groups:
        yield Unit(first, last, tuple(groups))


def in_turn(streams: Iterable[Iterator[T]]) -> Generator[T, None, None]:
    """What each of them yields, one after the other; the next ones are begun meanwhile."""
    helpers, coming = ThreadPoolExecutor(HELPERS), deque[tuple[Iterator[T], Future[T | None]]]()
    waiting = iter(streams)

    def begin(stream: Iterator[T] | None) -> None:
        if stream is not None:
            coming.append((stream, helpers.submit(next, stream, None)))

    try:
        for _ in range(HELPERS + 1):
            begin(next(waiting, None))
        while coming:
            stream, found = coming.popleft()
            one = found.result()
            if one is None:
                begin(next(waiting, None))
            else:
                coming.appendleft((stream, helpers.submit(next, stream, None)))
                yield one
    finally:
        helpers.shutdown(cancel_futures=True)


class Again:
    """Columns that are read a second time, when somebody asks; best in the order of their rows.

    A file that can be read no more by then raises :class:`TraceError`.
    """

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self._table, self._columns = table, columns
        self._unit: Unit | None = None
        self._rows: Iterator[tuple[int, pa.RecordBatch]] = iter(())
        self._first, self._batch = 0, None

    def take(self, first: int, last: int) -> Iterator[pa.RecordBatch]:
        """The rows ``first .. last - 1``, which are of one unit."""
        unit = self._table.unit_of(first)
        if unit is not self._unit or first < self._first:
            self._unit, self._rows = unit, self._table.rows(unit, self._columns, self._table.FEW)
            self._next()
        while first < last:
            assert self._batch is not None
            skip = first - self._first
            if skip < self._batch.num_rows:
                found = self._batch.slice(skip, last - first)
                yield found
                first += found.num_rows
            else:
                self._next()

    def _next(self) -> None:
        try:
            self._first, self._batch = next(self._rows)
        except (pa.ArrowException, OSError) as error:
            self._unit = None
            raise unreadable(self._table.path, error) from None
        except StopIteration:
            self._unit = None
            raise self._table.fault("cannot be read: it has lost rows") from None
