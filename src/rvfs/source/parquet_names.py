"""The names of tasks, as a table of events tells them; read when somebody asks for one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rvfs.source.parquet_columns import ints, numbers, valid
from rvfs.source.parquet_table import Again, Table

#: Pids are less than this (PID_MAX_LIMIT, include/linux/threads.h).
PIDS = 1 << 22


@dataclass(slots=True)
class _Span:
    """What the rows ``first .. last - 1`` say: pid → name, the last one of each."""

    first: int
    last: int
    names: dict[int, str]


class Names(Mapping[int, str]):
    """Pid → the name that it had last in the rows that were delivered.

    Who asks is answered by the latest rows that know, which are usually those around the event.
    Earlier ones are read, once, only for a pid that those do not name.
    """

    def __init__(self, table: Table) -> None:
        self._table, self._again = table, Again(table, ["pid", "comm"])
        self._delivered = 0
        #: What was read so far, in the order of the rows; no two of them touch.
        self._spans: list[_Span] = []
        self._row_of = np.empty(PIDS, dtype=np.int32)

    def deliver(self, row: int) -> None:
        """The rows before this one were delivered."""
        self._delivered = max(self._delivered, row)

    def __getitem__(self, pid: int) -> str:
        return self._look(pid)[pid]

    def __iter__(self) -> Iterator[int]:
        return iter(self._look(None))

    def __len__(self) -> int:
        return len(self._look(None))

    def _look(self, pid: int | None) -> dict[int, str]:
        """The names in as many rows, from the latest back, as tell this pid; in all for None."""
        first, names = self._delivered, dict[int, str]()
        while first and pid not in names:
            read = self._spans and self._spans[-1].last == first
            earlier = self._spans.pop() if read else self._read(first)
            earlier.names.update(names)
            first, names = earlier.first, earlier.names
        if self._spans and self._spans[-1].last == first:
            self._spans[-1].names.update(names)
            self._spans[-1].last = self._delivered
        else:
            self._spans.append(_Span(first, self._delivered, names))
        return names

    def _read(self, last: int) -> _Span:
        """The rows before ``last``: of its unit, and not those that were read."""
        first = self._table.unit_of(last - 1).first
        if self._spans:
            first = max(first, self._spans[-1].last)
        names: dict[int, str] = {}
        for rows in self._again.take(first, last):
            names.update(self._named(rows))
        return _Span(first, last, names)

    def _named(self, rows: pa.RecordBatch) -> Iterator[tuple[int, str]]:
        pids, names = ints(rows["pid"], "pid"), rows["comm"]
        codes = numbers(names)
        known = (pids >= 0) & (pids < PIDS) & valid(names)
        if not known.all():
            pids, codes = pids[known], codes[known]
        row = np.arange(len(pids), dtype=np.int32)
        self._row_of[pids] = row  # of those of one pid the last one stays
        latest = np.flatnonzero(self._row_of[pids] == row)
        texts = names.dictionary.to_pylist()
        for pid, code in zip(pids[latest].tolist(), codes[latest].tolist(), strict=True):
            yield pid, texts[code]
