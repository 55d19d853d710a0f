"""Batches and their parts."""

import numpy as np
import pytest

from rvfs.event import Batch, Column, Columns

INTS = np.array([1, 0, 1, 1], dtype=np.int64)


class Maker:
    """Makes a column, and counts how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, rows: slice) -> Column:
        self.made += 1
        return np.array([b"a", b"b", b"c"])[rows]


def test_a_column_is_made_when_it_is_asked_for_and_once() -> None:
    maker = Maker()
    columns = Columns({"pid": np.array([7, 8, 9])}, {"comm": maker})
    assert sorted(columns) == ["comm", "pid"]
    assert len(columns) == 2
    assert columns["pid"].tolist() == [7, 8, 9]
    assert maker.made == 0
    assert columns["comm"].tolist() == columns["comm"].tolist() == [b"a", b"b", b"c"]
    assert maker.made == 1
    with pytest.raises(KeyError):
        columns["prio"]


def test_parts_of_a_batch_share_what_is_made_later() -> None:
    maker = Maker()
    batch = Batch(
        INTS, INTS, INTS, INTS, {1: Columns({"pid": np.array([7, 8, 9])}, {"comm": maker})}
    )
    parts = batch[:3], batch[3:]
    assert [part.fields[1]["pid"].tolist() for part in parts] == [[7, 8], [9]]
    assert maker.made == 0
    assert [part.fields[1]["comm"].tolist() for part in parts] == [[b"a", b"b"], [b"c"]]
    assert maker.made == 1
    assert batch.values(3) == {"pid": 9, "comm": b"c"}


def test_few_values_are_read_without_the_column_and_many_make_it() -> None:
    maker = Maker()
    columns = Columns({"pid": np.array([7, 8, 9])}, {"comm": maker})
    batch = Batch(INTS, INTS, INTS, INTS, {1: columns})
    assert [batch.value(1, "comm", at) for at in (0, 2, 3)] == [b"a", b"b", b"c"]
    assert batch[2:].value(1, "comm", 1) == b"c"
    assert batch.value(1, "pid", 3) == 9
    assert maker.made == 4
    assert [columns.value("comm", 1) for _ in range(50)] == 50 * [b"b"]
    assert maker.made < 15
    assert Batch(INTS, INTS, INTS, INTS, {1: {"pid": INTS[1:]}}).value(1, "pid", 2) == 1
    with pytest.raises(KeyError):
        columns.value("prio", 0)


def test_rows_that_the_source_knows_are_not_searched() -> None:
    told = np.array([0, 2, 5])
    batch = Batch(INTS, INTS, INTS, INTS, places={7: told})
    assert batch.rows(7) is told
    assert batch.rows(8).tolist() == []
    assert batch[1:].rows(7).tolist() == []
