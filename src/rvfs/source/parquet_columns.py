"""The columns of a table of events as numpy arrays, whatever their writer made of them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rvfs.event import Column, Ints

Rows = npt.NDArray[np.intp]


class Bad(Exception):
    """A row holds what it must not."""

    def __init__(self, row: int, message: str):
        self.row, self.message = row, message
        super().__init__(message)


def is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_number(kind: pa.DataType) -> bool:
    return any(
        test(kind) for test in (pa.types.is_integer, pa.types.is_timestamp, pa.types.is_boolean)
    )


def ints(column: pa.Array, name: str, rows: Rows | None = None) -> Ints:
    """int64, or uint64 where that is its type. Raises :class:`Bad` for a null or another type."""
    require_values(column, name, rows)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ns")).cast(pa.int64())
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int64())
    if not pa.types.is_integer(column.type):
        raise Bad(_first(rows), f"column {name} holds {column.type}, not integers")
    values = _view(column) if rows is None else picked(_view(column), rows)
    if values.dtype == np.int64 or (values.dtype == np.uint64 and name != "ts"):
        return values
    wide = room(len(values), np.int64)
    wide[:] = values
    return wide


def picked(values: npt.NDArray[Any], rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
    """The values in these rows, all of which there are."""
    return values.take(rows, out=room(len(rows), values.dtype), mode="clip")


def room(count: int, kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """For so many values; of Arrow's memory, which keeps what it has been given back.

    numpy's is taken from the kernel each time where it is large, and the kernel clears it.
    """
    return np.frombuffer(pa.allocate_buffer(count * np.dtype(kind).itemsize), kind)


def texts(column: pa.Array, name: str, rows: Rows) -> Column:
    """``bytes`` for each of these rows. Raises as :func:`ints`."""
    require_values(column, name, rows)
    if not pa.types.is_dictionary(column.type):
        raise Bad(_first(rows), f"column {name} holds {column.type}, not text")
    known = [text.encode() for text in column.dictionary.to_pylist()]
    return np.array(known or [b""]).take(numbers(column)[rows])


def numbers(column: Any) -> npt.NDArray[np.integer[Any]]:
    """Of text: where it stands in the dictionary of the column; a null stands anywhere."""
    return _view(column.indices)


def require_values(column: pa.Array, name: str, rows: Rows | None = None) -> None:
    """Raises :class:`Bad` where one of these rows has none."""
    if not column.null_count:
        return
    there = valid(column)
    empty = np.flatnonzero(~there) if rows is None else rows[~there[rows]]
    if empty.size:
        raise Bad(int(empty[0]), f"column {name} has no value there")


def valid(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Where there is a value."""
    bits = column.buffers()[0]
    if bits is None or not column.null_count:
        return np.full(len(column), not column.null_count)
    found = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
    return found[column.offset : column.offset + len(column)].astype(np.bool_)


def _first(rows: Rows | None) -> int:
    return 0 if rows is None else int(rows[0])


def _view(column: pa.Array) -> npt.NDArray[Any]:
    """The numbers of a column, anything where there is none; not copied."""
    values = np.frombuffer(column.buffers()[1], column.type.to_pandas_dtype())
    return values[column.offset : column.offset + len(column)]
