"""Writes events, as a source delivers them, as Parquet; :mod:`.parquet_schema` is the table."""

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rvfs.event import IDLE_PID, Batch, Column, Ints
from rvfs.source.parquet_schema import LOST, LOST_EVENTS, NOTES, TEXT, lay_out
from rvfs.tracepoint import Tracepoint, Vocabulary

#: Rows that are written at once.
ROW_GROUP = 1 << 18
#: Columns whose values repeat are written as a dictionary; times differ by little.
ENCODINGS = {"ts": "DELTA_BINARY_PACKED"}


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
            path, self._schema, compression="lz4", use_dictionary=dictionaries,
            column_encoding=ENCODINGS,
        )  # fmt: skip
        self._waiting: list[pa.RecordBatch] = []

    def __enter__(self) -> "EventWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        if kind is None:
            self._flush()
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
            self._flush()

    def _append(self, columns: Mapping[str, pa.Array], rows: int) -> None:
        arrays = [
            columns[column.name] if column.name in columns else _nothing(column.type, rows)
            for column in self._schema
        ]
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        self._file.write_table(table.unify_dictionaries(), row_group_size=ROW_GROUP)
        self._waiting.clear()

    def _columns(self, batch: Batch) -> dict[str, pa.Array]:
        names = {number: self._vocabulary[number].full_name for number in np.unique(batch.tp)}
        columns = {
            "ts": pa.array(batch.time),
            "cpu": pa.array(batch.cpu.astype(np.int32)),
            "pid": pa.array(batch.pid.astype(np.int32)),
            "comm": _comms(batch),
            "event": _text([names[number].encode() for number in batch.tp.tolist()]),
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


def _gap(time: int, cpu: int, count: int) -> dict[str, pa.Array]:
    return {
        "ts": pa.array([time], pa.int64()),
        "cpu": pa.array([cpu], pa.int32()),
        "event": _text([LOST.encode()]),
        LOST_EVENTS: pa.array([count], pa.int64()),
    }


def _nothing(kind: pa.DataType, rows: int) -> pa.Array:
    """What stands where an event has no such field."""
    if kind == TEXT:
        return _text([b""] * rows)
    return pa.array(np.zeros(rows, kind.to_pandas_dtype()))


def _spread(kind: pa.DataType, batch: Batch, parts: list[tuple[int, Column]]) -> pa.Array:
    """The values of each tracepoint in the rows of its events."""
    if kind == TEXT:
        words = np.full(len(batch), b"", dtype=object)
        for number, values in parts:
            words[batch.rows(number)] = values
        return _text(words.tolist())
    numbers = np.zeros(len(batch), kind.to_pandas_dtype())
    for number, values in parts:
        numbers[batch.rows(number)] = values
    return pa.array(numbers)


def _text(words: list[bytes]) -> pa.Array:
    known = {word: number for number, word in enumerate(dict.fromkeys(words))}
    indices = np.array([known[word] for word in words], np.int32)
    return pa.DictionaryArray.from_arrays(
        pa.array(indices), pa.array([bytes(word).decode("utf-8", "replace") for word in known])
    )


def _comms(batch: Batch) -> pa.Array:
    """The names of the tasks that were current, null where nobody knows."""
    pairs, places = np.unique(_pairs(batch.pid, batch.cpu), axis=0, return_inverse=True)
    names = [batch.comm(pid, cpu) for pid, cpu in pairs.tolist()]
    known = np.array([name != "<...>" for name in names])
    places = places.reshape(-1).astype(np.int32)
    return pa.DictionaryArray.from_arrays(
        pa.array(places, mask=~known[places]), pa.array(names, pa.string())
    )


def _pairs(pids: Ints, cpus: Ints) -> Ints:
    """Idle tasks are told apart by their CPU, others are the same on all."""
    return np.stack([pids, np.where(pids == IDLE_PID, cpus, 0)], axis=1)
