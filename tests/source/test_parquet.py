"""Events as a Parquet table: what is written is read again, and what others wrote is read."""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs.errors import InvalidInput, TraceError
from rvfs.event import Batch, batch_of
from rvfs.source.replay import Replay
from rvfs.tracepoint import Tracepoint, Vocabulary
from tests.conftest import needed

pa, pq = needed("parquet", "pyarrow"), needed("parquet", "pyarrow.parquet")
writer = needed("parquet", "rvfs.source.parquet_writer")

#: Two events that share a field, one whose field is called like a column of the head, and one
#: whose field has another type than its namesake.
TRACEPOINTS = (
    Tracepoint.declare("a", "switch", ["int prev", "u64 flags", "char word[16]"]),
    Tracepoint.declare("a", "wake", ["int pid", "int prev"]),
    Tracepoint.declare("b", "odd", ["long flags", "int word"]),
)
SWITCH, WAKE, ODD = 1, 2, 3
WANTED = {
    SWITCH: frozenset({"prev", "flags", "word"}),
    WAKE: frozenset({"pid", "prev"}),
    ODD: frozenset({"flags", "word"}),
}
Event = tuple[int, int, int, int, Mapping[str, object]]


def vocabulary() -> Vocabulary:
    known = Vocabulary()
    for tracepoint in TRACEPOINTS:
        known.add(tracepoint)
    return known


def written(path: Path, batches: list[Batch], uncounted: frozenset[int] = frozenset()) -> Path:
    with writer.EventWriter(path, vocabulary(), TRACEPOINTS) as table:
        for batch in batches:
            table.write(batch, uncounted)
    return path


def delivered(
    path: Path, limit: int = 1 << 20, wanted: Mapping[int, frozenset[str]] = WANTED
) -> tuple[list[Event], list[tuple[int, dict[int, int]]]]:
    """All events, and after how many of them what was lost."""
    source = Replay(str(path), vocabulary())
    source.subscribe(wanted)
    events: list[Event] = []
    lost: list[tuple[int, dict[int, int]]] = []
    while (batch := source.read(limit)) is not None:
        if batch.lost:
            lost.append((len(events), dict(batch.lost)))
        events += events_of(batch)
    source.close()
    return events, lost


def events_of(batch: Batch) -> list[Event]:
    heads = zip(*(getattr(batch, n).tolist() for n in ("tp", "time", "cpu", "pid")), strict=True)
    values = ({k: plain(v) for k, v in batch.values(i).items()} for i in range(len(batch)))
    return [(*head, mine) for head, mine in zip(heads, values, strict=True)]


def plain(value: Any) -> object:
    return bytes(value) if isinstance(value, bytes) else int(value)


INT, WORD = st.integers(-(2**31), 2**31 - 1), st.text("abc é", max_size=4).map(str.encode)
FIELDS: Mapping[int, st.SearchStrategy[Any]] = {
    SWITCH: st.fixed_dictionaries(
        {"prev": INT, "flags": st.integers(2**63, 2**64 - 1), "word": WORD}
    ),
    WAKE: st.fixed_dictionaries({"pid": INT, "prev": INT}),
    ODD: st.fixed_dictionaries({"flags": st.integers(-(2**63), 2**63 - 1), "word": INT}),
}


@st.composite
def recordings(draw: st.DrawFn) -> list[Batch]:
    """Batches in time order, some after a loss."""
    time, batches = 0, []
    for size in draw(st.lists(st.integers(1, 6), max_size=5)):
        events: list[Event] = []
        for _ in range(size):
            tp = draw(st.sampled_from((SWITCH, WAKE, ODD)))
            time += draw(st.integers(0, 3))
            cpu, pid = draw(st.integers(0, 3)), draw(st.integers(0, 2**22 - 1))
            events.append((tp, time, cpu, pid, draw(FIELDS[tp])))
        lost = draw(st.dictionaries(st.integers(0, 3), st.integers(1, 9), max_size=2))
        batch = batch_of(events, {pid: f"task{pid}" for *_, pid, _ in events})
        batches.append(dataclasses.replace(batch, lost=lost))
    return batches


@given(recordings(), st.integers(1, 7))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, batches: list[Batch], limit: int
) -> None:
    path = written(tmp_path_factory.mktemp("table") / "t.parquet", batches)
    events, lost = delivered(path, limit)
    assert events == [event for batch in batches for event in events_of(batch)]
    gaps: dict[int, dict[int, int]] = {}
    for at, cpus in lost:
        gaps.setdefault(at, {}).update(cpus)
    assert gaps == {
        sum(map(len, batches[:number])): dict(batch.lost)
        for number, batch in enumerate(batches)
        if batch.lost
    }


def one(time: int, tp: int = WAKE, **fields: object) -> Batch:
    return batch_of([(tp, time, 0, 7, fields or {"pid": 1, "prev": 2})], {7: "seven"})


def test_names_of_tasks_and_losses_nobody_counted_are_kept(tmp_path: Path) -> None:
    second = one(2)
    gap = dataclasses.replace(second, comms={}, lost={3: 1})
    path = written(tmp_path / "t.parquet", [one(1), gap], frozenset({3}))
    source = Replay(str(path), vocabulary())
    source.subscribe(WANTED)
    batches = [batch for _ in range(2) if (batch := source.read(9))]
    assert batches[-1].comm(7, 0) == "seven"
    assert source.uncounted == {3}
    source.close()


def test_sentences_of_the_source_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with writer.EventWriter(path, vocabulary(), TRACEPOINTS) as table:
        table.note(["something is missing"])
    assert Replay(str(path), vocabulary()).notes == ["something is missing"]


def test_a_change_of_subscription_holds_from_the_next_read_on(tmp_path: Path) -> None:
    path = written(tmp_path / "t.parquet", [one(1), one(2, ODD, flags=4, word=5), one(3)])
    source = Replay(str(path), vocabulary())
    source.subscribe({WAKE: frozenset({"pid"})})
    first = source.read(1)
    source.subscribe({ODD: frozenset({"word"})})
    rest = source.read(9)
    assert first is not None
    assert rest is not None
    assert events_of(first) == [(WAKE, 1, 0, 7, {"pid": 1})]
    assert events_of(rest) == [(ODD, 2, 0, 7, {"word": 5})]
    source.close()


def test_an_event_that_only_the_table_knows_can_be_judged(tmp_path: Path) -> None:
    path, known = written(tmp_path / "t.parquet", [one(1)]), Vocabulary()
    source = Replay(str(path), known)
    assert known[known.number("a:wake")].template == TRACEPOINTS[1].template
    source.subscribe({known.number("a:wake"): frozenset({"prev"})})
    batch = source.read(9)
    assert batch is not None
    assert batch.values(0) == {"prev": 2}
    source.close()


HEAD: dict[str, Any] = {"ts": [1, 2], "cpu": [0, 1], "pid": [7, 8], "event": ["a:wake", "a:wake"]}


def foreign(path: Path, **columns: Any) -> Path:
    """A table of another writer; None takes a column away."""
    kept = {name: v for name, v in {**HEAD, **columns}.items() if v is not None}
    pq.write_table(pa.table(kept), path)
    return path


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"ts": pa.array([1, 2], pa.timestamp("ns"))},
        {"cpu": pa.array([0, 1], pa.uint8()), "pid": pa.array([7, 8], pa.int16())},
        {"event": ["wake", "wake"]},
        {"event": pa.array(["wake", "wake"]).dictionary_encode()},
        {"comm": [None, "eight"], "unknown": [1.5, None]},
    ],
    ids=["int64", "timestamps", "narrow", "bare names", "dictionary", "other columns"],
)
def test_any_writers_types_will_do(columns: dict[str, Any], tmp_path: Path) -> None:
    path = foreign(tmp_path / "t.parquet", **{"wake.pid": [1, 2], "prev": [3, 4]}, **columns)
    assert delivered(path)[0] == [
        (WAKE, 1, 0, 7, {"pid": 1, "prev": 3}), (WAKE, 2, 1, 8, {"pid": 2, "prev": 4}),
    ]  # fmt: skip


def test_nulls_may_stand_where_an_event_has_no_such_field(tmp_path: Path) -> None:
    columns = {"event": ["wake", "odd"], "wake.pid": [1, None], "prev": [3, None]}
    path = foreign(tmp_path / "t.parquet", **columns, flags=[None, 5], **{"odd.word": [None, 6]})
    assert [event[4] for event in delivered(path)[0]] == [
        {"pid": 1, "prev": 3}, {"flags": 5, "word": 6},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "before", "said"),
    [
        ({"ts": [2, 1]}, 1, "row 1: time goes back; sort the table by ts"),
        ({"cpu": [0, None]}, 1, "row 1: column cpu has no value there"),
        ({"prev": [1, None]}, 1, "row 1: column prev has no value there"),
        ({"prev": None}, 0, "row 0: a:wake needs a column prev or wake.prev"),
        ({"prev": ["x", "y"]}, 0, "row 0: column prev holds dictionary<"),
    ],
)
def test_a_row_that_cannot_be_read_ends_it_after_those_before(
    columns: dict[str, Any], before: int, said: str, tmp_path: Path
) -> None:
    path = foreign(tmp_path / "t.parquet", **{"wake.pid": [1, 2], "prev": [3, 4], **columns})
    source = Replay(str(path), vocabulary())
    source.subscribe(WANTED)
    if before:
        batch = source.read(9)
        assert batch is not None
        assert len(batch) == before
    with pytest.raises(TraceError) as refused:
        source.read(9)
    assert str(refused.value).startswith(f"{path}: {said}")
    source.close()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"event": None, "pid": None}, "not a table of events: it has no column pid, event"),
        ({"event": [1, 2]}, "column event cannot hold int64"),
        ({"ts": ["x", "y"]}, "column ts cannot hold string"),
    ],
)
def test_another_table_is_refused(columns: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = foreign(tmp_path / "t.parquet", **columns)
    with pytest.raises(TraceError, match=said):
        Replay(str(path), vocabulary())


@pytest.mark.parametrize("size", [4, 20, 200, -1])
def test_a_table_that_is_cut_is_refused(size: int, tmp_path: Path) -> None:
    path = written(tmp_path / "t.parquet", [one(1)])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(TraceError, match="cannot be read: "):
        Replay(str(path), vocabulary())


def test_without_the_extra_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "t.parquet", [one(1)])
    monkeypatch.delitem(sys.modules, "rvfs.source.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidInput) as refused:
        Replay(str(path), vocabulary())
    assert str(refused.value) == (
        f"reading {path} needs pyarrow, which is not installed: pip install 'rvfs[parquet]'"
    )
