"""Texts of a Parquet table are read when somebody asks, whatever became of the file meanwhile;
and the rows of a large one are read by several at once, in their order all the same."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs.errors import TraceError
from rvfs.event import Batch
from rvfs.source.replay import Replay
from tests.conftest import needed
from tests.source.tables import overwrite
from tests.source.test_parquet import ODD, SWITCH, WAKE, events_of, vocabulary

pa, pq = needed("parquet", "pyarrow"), needed("parquet", "pyarrow.parquet")
parquet_table = needed("parquet", "rvfs.source.parquet_table")

WANTED = {SWITCH: frozenset({"prev", "word"}), WAKE: frozenset({"pid"})}
Row = tuple[int, str, str | None, int, str | None]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_table.Table, "ROWS", 4)
    monkeypatch.setattr(parquet_table.Table, "FEW", 3)


def table(path: Path, rows: list[Row], groups: int = 1 << 20, **types: Any) -> Path:
    """Rows (pid, event, name of the task, prev, word), one a ns."""
    names = ("pid", "event", "comm", "prev", "word")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    told = {name: pa.array(list(values), types.get(name)) for name, values in columns.items()}
    told |= {"ts": pa.array(range(len(rows))), "cpu": pa.array([0] * len(rows))}
    told["wake.pid"] = told["pid"]
    pq.write_table(pa.table(told), path, row_group_size=groups)
    return path


def switches(count: int) -> list[Row]:
    return [(1 + i % 3, "a:switch", f"task{i}", i, f"word{i % 5}") for i in range(count)]


def reading(path: Path, wanted: Mapping[int, frozenset[str]] = WANTED) -> Replay:
    source = Replay(str(path), vocabulary())
    source.subscribe(wanted)
    return source


def batches(path: Path, limit: int) -> Iterator[Batch]:
    source = reading(path)
    while (batch := source.read(limit)) is not None:
        yield batch
    source.close()


def first(path: Path) -> Batch:
    source = reading(path)
    batch = source.read(9)
    source.close()
    assert batch is not None
    return batch


def words(batch: Batch) -> list[bytes]:
    return list(batch.fields[SWITCH]["word"])


def test_nobody_reads_the_texts_that_nobody_asks_for(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", switches(5))
    overwrite(path, "word", "comm")
    batch = first(path)
    assert batch.fields[SWITCH]["prev"].tolist() == [0, 1, 2, 3, 4]
    assert sorted(batch.fields[SWITCH]) == ["prev", "word"]


@pytest.mark.parametrize("then", ["closed", "removed", "replaced"])
def test_texts_are_those_of_the_file_that_was_opened(then: str, tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", switches(5))
    batch = first(path)
    if then == "removed":
        path.unlink()
    if then == "replaced":
        table(tmp_path / "other", [(9, "a:wake", "other", 0, "other")]).replace(path)
    assert words(batch) == [b"word0", b"word1", b"word2", b"word3", b"word4"]
    assert batch.comm(1, 0) == "task3"
    assert batch.comm(9, 0) == "<...>"


@pytest.mark.parametrize("then", ["cut", "overwritten"])
def test_a_text_that_is_gone_is_a_fault_of_the_recording(then: str, tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", switches(5))
    batch = first(path)
    if then == "cut":
        path.write_bytes(b"")
    else:
        overwrite(path, "word", "comm")
    for _ in range(2):
        for ask in (words, lambda batch: batch.comm(1, 0)):
            with pytest.raises(TraceError) as refused:
                ask(batch)
            assert str(refused.value).startswith(f"{path}: cannot be read: ")
            assert "\n" not in str(refused.value)


def test_a_text_that_is_null_is_missed_when_it_is_asked_for(tmp_path: Path) -> None:
    rows = switches(5)
    rows[3] = (1, "a:switch", None, 3, None)
    rows[1] = (1, "a:wake", None, 0, None)  # has no such field
    batch = first(table(tmp_path / "t.parquet", rows))
    assert batch.fields[SWITCH]["prev"].tolist() == [0, 2, 3, 4]
    with pytest.raises(TraceError, match="row 3: column word has no value there"):
        words(batch)


def test_a_field_of_text_that_is_no_text_is_refused(tmp_path: Path) -> None:
    rows: list[Any] = [(1, "a:switch", "one", 2, 3)]
    with pytest.raises(TraceError, match="row 0: column word holds int64, not text"):
        first(table(tmp_path / "t.parquet", rows))


def test_a_field_of_numbers_that_is_text_elsewhere_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", [(1, "b:odd", "one", 2, "x")])
    wanted = {SWITCH: frozenset({"word"}), ODD: frozenset({"word"})}
    with pytest.raises(TraceError, match="row 0: column word holds dictionary<"):
        reading(path, wanted).read(9)


TEXT = (pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string()))
NUMBER = (pa.int32(), pa.uint64(), pa.uint8(), pa.int64())


@pytest.mark.parametrize("text", TEXT, ids=str)
@pytest.mark.parametrize("number", NUMBER, ids=str)
@pytest.mark.parametrize("groups", [1, 3, 20])
def test_any_writers_types_and_row_groups_will_do(
    text: Any, number: Any, groups: int, tmp_path: Path, small: None
) -> None:
    rows = switches(20)
    types = {"event": text, "comm": text, "word": text, "prev": number, "pid": number}
    path = table(tmp_path / "t.parquet", rows, groups, **types)
    read = list(batches(path, 6))
    assert [event[1] for batch in read for event in events_of(batch)] == list(range(20))
    assert [value for batch in read for value in batch.fields[SWITCH]["prev"]] == list(range(20))
    assert [word for batch in read for word in words(batch)] == [
        str(row[4]).encode() for row in rows
    ]
    assert dict(read[-1].comms) == {1: "task18", 2: "task19", 3: "task17"}


rows_of = st.tuples(
    st.integers(0, 5), st.sampled_from(("a:switch", "a:wake")),
    st.none() | st.text("ab", max_size=2), st.integers(0, 9), st.text("xy", max_size=2),
)  # fmt: skip


@given(st.data())
def test_names_and_texts_are_those_of_a_naive_reader(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whoever asks, whenever: the names are those of the rows that were delivered by then."""
    rows: list[Row] = [*data.draw(st.lists(rows_of, min_size=1, max_size=40))]
    path = tmp_path_factory.mktemp("table") / "t.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_table.Table, "ROWS", data.draw(st.integers(1, 9)))
        patch.setattr(parquet_table.Table, "FEW", data.draw(st.integers(1, 9)))
        table(path, rows, data.draw(st.integers(1, 40)), comm=pa.string())
        source = reading(path)
        delivered, kept = 0, list[tuple[Batch, list[Row]]]()
        while (batch := source.read(data.draw(st.integers(1, 9)))) is not None:
            mine = rows[delivered : delivered + len(batch)]
            delivered += len(batch)
            kept.append((batch, mine))
            names = {pid: name for pid, _, name, *_ in rows[:delivered] if name is not None}
            for pid in data.draw(st.lists(st.integers(1, 6), max_size=3)):
                assert batch.comm(pid, 0) == names.get(pid, "<...>")
            if data.draw(st.booleans()):
                assert dict(batch.comms) == names
            for batch, mine in data.draw(st.lists(st.sampled_from(kept), max_size=2)):
                asked = [
                    (word or "").encode() for _, event, *_, word in mine if event == "a:switch"
                ]
                assert list(batch.fields.get(SWITCH, {}).get("word", [])) == asked
        assert delivered == len(rows)
        source.close()


def test_rows_that_nobody_wants_tell_names_as_well(tmp_path: Path) -> None:
    rows: list[Row] = [
        (1, "x:other", "one", 0, ""), (2, "a:switch", "two", 0, "w"), (1, "a:wake", None, 0, ""),
        (3, "x:other", "three", 0, ""),
    ]  # fmt: skip
    source = reading(table(tmp_path / "t.parquet", rows))
    for end, tps, names in ((1, [], {1: "one"}), (2, [SWITCH, WAKE], {1: "one", 2: "two"})):
        batch = source.read(end)
        assert batch is not None
        assert (batch.tp.tolist(), dict(batch.comms)) == (tps, names)
        assert len(batch.comms) == len(names)
    source.close()


def test_the_next_units_are_begun_while_one_is_in_use(tmp_path: Path, small: None) -> None:
    begun: list[int] = []

    def stream(number: int) -> Iterator[int]:
        begun.append(number)
        yield from (10 * number, 10 * number + 1)

    found = parquet_table.in_turn(map(stream, range(5)))
    assert next(found) == 0
    assert list(found) == [1, 10, 11, 20, 21, 30, 31, 40, 41]
    assert begun == sorted(begun)
    assert np.unique(begun).size == 5
