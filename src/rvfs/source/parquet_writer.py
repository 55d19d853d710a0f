"""Writes events, as a source delivers them, as Parquet; :mod:`.parquet_schema` is the table."""

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rvfs.event import IDLE_PID, Batch, Column
from rvfs.source.parquet_schema import LOST, LOST_EVENTS, NOTES, TEXT, lay_out
from rvfs.tracepoint import Tracepoint, Vocabulary

#: Rows that are written at once.
ROW_GROUP = 1 << 17
#: Columns whose values repeat are written as a dictionary; times differ by little. Both are small,
#: and quicker to read than what is compressed.
ENCODINGS = {"ts": "DELTA_BINARY_PACKED"}
#: CPUs have numbers of so many bits.
CPU_BITS = 20
#: The name of a task that nobody knows.
UNKNOWN = "<...>"

Places = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


class EventWriter:
    """A table of the events of these tracepoints; it is whole when the block ends.

    Every row has every number (0 where the event has no such field): a column without nulls
    is read three times as fast.
    """

    def __init__(self, path: Path, vocabulary: Vocabulary, tracepoints: Iterable[Tracepoint]):
        self._vocabulary = vocabulary
        self._schema, self._places = lay_out(tracepoints)
        dictionaries = [name for name in self._schema.names if name not in ENCODINGS]
        self._file = pq.ParquetWriter(
            path, self._schema, compression=dict(map(_packed, self._schema)),
            use_dictionary=dictionaries, column_encoding=ENCODINGS,
        )  # fmt: skip
        self._waiting: list[pa.RecordBatch] = []

    def __enter__(self) -> "EventWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        if kind is None:
            self._write(self._table())
        self._file.close()

    def note(self, sentences: Sequence[str]) -> None:
        """What a source could not deliver (its ``notes``, once it has ended)."""
        self._file.add_key_value_metadata({NOTES: json.dumps(list(sentences))})

    def write(self, batch: Batch, uncounted: Set[int] = frozenset()) -> None:
        """Append events. Of the CPUs in ``uncounted`` nobody counted how many were lost."""
        time = batch.time[:1] if len(batch) else np.array([batch.now or 0])
        for cpu, count in batch.lost.items():
            self._append(_gap(int(time[0]), cpu, 0 if cpu in uncounted else count), 1)
        if len(batch):
            self._append(self._columns(batch), len(batch))
        if sum(part.num_rows for part in self._waiting) >= ROW_GROUP:
            table = self._table()
            whole = table.num_rows - table.num_rows % ROW_GROUP
            self._write(table.slice(0, whole))
            self._waiting = table.slice(whole).to_batches()

    def _append(self, columns: Mapping[str, pa.Array], rows: int) -> None:
        arrays = [
            columns[column.name] if column.name in columns else _nothing(column.type, rows)
            for column in self._schema
        ]
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def _table(self) -> pa.Table:
        return pa.Table.from_batches(self._waiting, self._schema).unify_dictionaries()

    def _write(self, table: pa.Table) -> None:
        self._file.write_table(table, row_group_size=ROW_GROUP)

    def _columns(self, batch: Batch) -> dict[str, pa.Array]:
        there = np.flatnonzero(np.bincount(batch.tp)).tolist()
        names = {number: self._vocabulary[number].full_name for number in there}
        events = np.zeros(there[-1] + 1, dtype=np.int32)
        events[there] = range(len(there))
        columns = {
            "ts": pa.array(batch.time),
            "cpu": pa.array(batch.cpu),
            "pid": pa.array(batch.pid),
            "comm": _comms(batch),
            "event": _text(events[batch.tp], names.values()),
        }
        return columns | self._fields(batch, names)

    def _fields(self, batch: Batch, names: Mapping[int, str]) -> dict[str, pa.Array]:
        parts: dict[str, list[tuple[int, Column]]] = {}
        for number, fields in batch.fields.items():
            for name, values in fields.items():
                if number in names:
                    place = self._places[names[number], name]
                    parts.setdefault(place, []).append((number, values))
        return {
            place: _spread(self._schema.field(place).type, batch, mine)
            for place, mine in parts.items()
        }


def _packed(column: pa.Field) -> tuple[str, str]:
    """How a column is compressed: what hardly anybody asks for is, other than what all read."""
    later = column.type == TEXT and column.name != "event"
    return column.name, "lz4" if later else "none"


def _gap(time: int, cpu: int, count: int) -> dict[str, pa.Array]:
    return {
        "ts": pa.array([time], pa.int64()),
        "cpu": pa.array([cpu], pa.int64()),
        "event": _text(np.zeros(1, dtype=np.int32), [LOST]),
        LOST_EVENTS: pa.array([count], pa.int64()),
    }


def _nothing(kind: pa.DataType, rows: int) -> pa.Array:
    """What stands where an event has no such field."""
    if kind == TEXT:
        return _text(np.zeros(rows, dtype=np.int32), [""])
    return pa.array(np.zeros(rows, kind.to_pandas_dtype()))


def _spread(kind: pa.DataType, batch: Batch, parts: list[tuple[int, Column]]) -> pa.Array:
    """The values of each tracepoint in the rows of its events."""
    if kind == TEXT:
        known = {"": 0}
        places = np.zeros(len(batch), dtype=np.int32)
        for number, values in parts:
            mine, words = _encoded(values)
            places[batch.rows(number)] = _numbered(words, known)[mine]
        return _text(places, known)
    numbers = np.zeros(len(batch), kind.to_pandas_dtype())
    for number, values in parts:
        numbers[batch.rows(number)] = values
    return pa.array(numbers)


def _text(places: Places, words: Iterable[str], mask: Mask | None = None) -> pa.Array:
    """A dictionary; where two of its words are the same Arrow would write out all of them."""
    return pa.DictionaryArray.from_arrays(
        pa.array(places, mask=mask), pa.array(list(words), pa.string())
    )


def _encoded(values: Column) -> tuple[Places, list[str]]:
    """For each text where it stands among those that there are."""
    if values.dtype.kind == "S":
        kind, flat = pa.binary(values.itemsize), pa.py_buffer(np.ascontiguousarray(values))
        texts = pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, flat])
    else:
        texts = pa.array(values, pa.binary())
    found = texts.dictionary_encode()
    words = [word.rstrip(b"\0").decode("utf-8", "replace") for word in found.dictionary.to_pylist()]
    return found.indices.to_numpy(), words


def _numbered(words: Iterable[str], known: dict[str, int]) -> Places:
    """The number of each word; new ones get the next."""
    return np.array([known.setdefault(word, len(known)) for word in words], dtype=np.int32)


def _comms(batch: Batch) -> pa.Array:
    """The names of the tasks that were current, null where nobody knows."""
    idle = np.where(batch.pid == IDLE_PID, batch.cpu, 0)  # told apart by their CPUs
    tasks = pa.array(batch.pid << CPU_BITS | idle).dictionary_encode()
    pids = tasks.dictionary.to_numpy() >> CPU_BITS
    cpus = tasks.dictionary.to_numpy() & (1 << CPU_BITS) - 1
    names = [batch.comm(pid, cpu) for pid, cpu in zip(pids.tolist(), cpus.tolist(), strict=True)]
    known: dict[str, int] = {}
    places = _numbered(names, known)[tasks.indices.to_numpy()]
    return _text(places, known, places == known.get(UNKNOWN, -1))
