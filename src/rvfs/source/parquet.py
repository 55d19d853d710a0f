"""Reads events from Parquet (``pip install 'rvfs[parquet]'``); :mod:`.parquet_schema` is the table.

::

    file ──units──▶ rows ──▶ lots ──▶ batches
    parquet_table   parquet_lots      here

Many rows are decoded at once, and only the columns that are wanted; what leaves is slices of
that. Any writer's types will do: integers of any width, times as integers or timestamps, text
plain or as a dictionary, nulls where an event has no such field.
"""

import json
from collections.abc import Mapping

import pyarrow as pa

from rvfs.errors import RvfsError, TraceError
from rvfs.event import Batch
from rvfs.source import Wanted
from rvfs.source.parquet_columns import is_number, is_text
from rvfs.source.parquet_lots import BACK, Lot, Lots
from rvfs.source.parquet_names import Names
from rvfs.source.parquet_schema import NOTES, declared
from rvfs.source.parquet_table import Table, in_turn, unreadable
from rvfs.source.reader import StretchReader
from rvfs.tracepoint import Vocabulary

#: What the columns of the head may be; ``comm`` need not be there.
FITS = {"ts": is_number, "cpu": is_number, "pid": is_number, "event": is_text}


class ParquetReader(StretchReader[Lot]):
    """The events of a table, in the order of its rows. What it declares joins the vocabulary.

    Raises :class:`TraceError` for what is no table of events, as does who asks for a text
    that cannot be read any more. The file stays open for as long as somebody may ask.
    """

    def __init__(self, path: str, vocabulary: Vocabulary):
        super().__init__()
        self._vocabulary = vocabulary
        self._row, self._last = 0, -(2**63)
        self._damage: TraceError | None = None
        try:
            self._table = table = Table(path)
            for tracepoint in declared(table.schema.metadata):
                vocabulary.add(tracepoint)
            self.notes = json.loads((table.metadata.metadata or {}).get(NOTES, b"[]"))
        except (pa.ArrowException, OSError, ValueError, LookupError, RvfsError) as error:
            raise unreadable(path, error) from None
        missing = [name for name in FITS if name not in table.columns]
        if missing:
            raise table.fault(f"not a table of events: it has no column {', '.join(missing)}")
        for name, fits in FITS.items():
            if not fits(table.columns[name]):
                raise table.fault(f"column {name} cannot hold {table.columns[name]}")
        named = is_text(table.columns.get("comm", pa.null()))
        self._names = Names(table) if named else None
        self._comms: Mapping[int, str] = {} if self._names is None else self._names
        self._of = Lots(table, vocabulary, {})
        self._lots = in_turn(self._of.since(0))

    def subscribe(self, wanted: Wanted) -> None:
        self._lots.close()
        if self._stretch is not None:
            self._row, self._last = self._stretch.first + self._at, -(2**63)
        self._stretch = None
        self._of = Lots(self._table, self._vocabulary, wanted)
        self._lots = in_turn(self._of.since(self._row))

    def close(self) -> None:
        super().close()
        self._lots.close()

    def _load(self) -> Lot | None:
        if self._damage is not None:
            raise self._damage
        try:
            lot = next(self._lots, None)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self._table.path, error) from None
        if lot is None:
            return None
        if len(lot) and lot.time[0] < self._last:
            raise self._damaged(f"row {lot.first}: {BACK}")
        if lot.fault:  # what is before it is delivered
            damage = self._damaged(lot.fault)
            if not len(lot):
                raise damage
        self._last = int(lot.time[-1])
        self._row = lot.first + len(lot)
        self.done = self._row / len(self._table)
        self._count_losses(lot)
        return lot

    def _count_losses(self, lot: Lot) -> None:
        """A loss that nobody counted is told as 1."""
        for row, cpu in lot.gaps.items():
            count = self._of.lost(lot, row)
            lot.lost[row] = {cpu: max(count, 1)}
            if count < 1:
                self.uncounted.add(cpu)

    def _damaged(self, message: str) -> TraceError:
        """From now on nothing else is read."""
        self._damage = self._table.fault(message)
        return self._damage

    def _project(
        self, lot: Lot, start: int, stop: int, lost: Mapping[int, int]
    ) -> tuple[Batch, int]:
        tp, time, cpu, pid = self._of.events(lot, start, stop)
        if self._names is not None:
            self._names.deliver(lot.first + stop)
        fields = self._of.fields(lot, start, stop)
        return Batch(tp, time, cpu, pid, fields, self._comms, lost), stop
