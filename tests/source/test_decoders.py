"""Both twins of the decoders, and the patterns, on bytes that could be anything."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs.source.dat_reader import DatReader
from rvfs.source.replay import Replay
from rvfs.source.trace_dat import read_recording
from tests.source import fuzzing
from tests.source.dat_verbs import SWITCHES, WAKEUPS, switch, wakeup, write
from tests.source.dat_writer import Event, Item, Lost, Writer
from tests.source.reading import batches, vocabulary

CORPUS = Path(__file__).parent / "corpus"
KEPT = sorted(path.relative_to(CORPUS) for path in CORPUS.glob("*/*"))
SWITCH = "prev_comm=a prev_pid=1 prev_prio=1 prev_state=S ==> next_comm=b next_pid=2 next_prio=1"


@pytest.mark.parametrize("kept", KEPT, ids=str)
def test_all_ways_of_reading_agree_on_what_was_fuzzed(kept: Path) -> None:
    fuzzing.TARGETS[kept.parts[0]]((CORPUS / kept).read_bytes())


def test_ways_that_do_not_agree_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, texts, pages, fields = fuzzing.READERS["interpreted"]

    class Blind(texts):  # type: ignore[misc, valid-type]
        def is_end(self, at: int, end: int) -> bool:
            return True

    kept = (CORPUS / "lines" / "bodies").read_bytes()
    monkeypatch.setitem(fuzzing.READERS, "patterns", (lines, Blind, pages, fields))
    with pytest.raises(AssertionError, match="patterns"):
        fuzzing.lines(kept)


#: Pieces of lines, as they are and as they should not be.
PIECES = [
    " ", "  a-12 ", "x y-1 z-", "-12-12", "(  12) ", "(---) ", "[001] ", "1", "d..2. ", "dNh2.",
    "d..h3..1 ", "4808.908264", "4808.908264155", "33", "40us+", "12us", ":", ": ",
    "sched_switch: ", "sched_wakeup: ", SWITCH, " next_new=7", "a:b:3 [4] CPU:002",
    "comm=a b pid=3 prio=4 target_cpu=001", "prev_comm=", " ==> ", "=0x1f", "prev_state=R+",
    "prev_state=Q", "9" * 19, "\n", "\n", "# x\n", " => f\n", "\0", "\t", ",", "-", ".", "é",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_all_ways_of_reading_agree_on_lines_of_pieces(text: str) -> None:
    event = f"  a-1 [000] d..1.  1.000001: sched_switch: {SWITCH}\n"
    fuzzing.lines((event + text).encode())


DAMAGE = st.lists(st.tuples(st.integers(0, 1024), st.binary(max_size=8)), max_size=4)


@given(kind=st.integers(0, 3), damage=DAMAGE)
def test_both_twins_agree_on_damaged_pages(kind: int, damage: list[tuple[int, bytes]]) -> None:
    data = bytearray((CORPUS / "pages" / f"machine{kind}").read_bytes())
    for place, piece in damage:
        data[1 + place : 1 + place + len(piece)] = piece
    fuzzing.pages(bytes(data))


# What every event has

LETTERS = {
    ".....": (0, 0), "d..1.": (0x01, 0x01), "D.s..": (0x91, 0), "bN.2.": (0xA4, 0x02),
    ".nh.3": (0x0C, 0x30), ".pH..": (0x38, 0), "..z..": (0x40, 0), "..Zf1": (0x48, 0x1F),
    "dL..1": (0x23, 0x10), "d.s2": (0x11, 0x02), "XX.x.": (0, 0), "dn.h3..1": (0x0D, 0x13),
}  # fmt: skip


@pytest.mark.parametrize("letters", LETTERS)
@pytest.mark.parametrize("way", fuzzing.READERS)
def test_the_letters_of_a_line_are_flags(letters: str, way: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_text(f"  a-1 [000] {letters}  1.000001: sched_switch: {SWITCH}\n")
    assert common_fields(path, way) == [LETTERS[letters]]


def test_a_line_without_letters_has_no_flags(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_text(f"  a-1 [000]  1.000001: sched_switch: {SWITCH}\n")
    assert common_fields(path, "chosen") == [(0, 0)]


@pytest.mark.parametrize("way", ["chosen", "interpreted"])
@pytest.mark.parametrize("order", "<>")
def test_flags_of_a_record(order: str, way: str, tmp_path: Path) -> None:
    event = switch(5, 1, 2)
    marked = Event(event.time, event.kind, event.pid, event.values, flags=0x91, preempt_count=0x12)
    path = write(tmp_path, Writer(order=order).file({0: [event, marked]}))
    assert common_fields(path, way) == [(0, 0), (0x91, 0x12)]


def common_fields(path: Path, way: str) -> list[tuple[int, int]]:
    known = vocabulary()
    number = known.number(SWITCHES)
    with fuzzing.reading_with(way):
        replay = Replay(str(path), known)
        replay.subscribe({number: fuzzing.COMMON})
        found = batches(replay)
    columns = [batch.fields[number] for batch in found if len(batch)]
    return [
        pair
        for each in columns
        for pair in zip(
            each["common_flags"].tolist(), each["common_preempt_count"].tolist(), strict=True
        )
    ]


@pytest.mark.parametrize("way", ["chosen", "interpreted"])
def test_the_clock_goes_on_while_nothing_that_is_wanted_happens(way: str, tmp_path: Path) -> None:
    items: list[Item] = [
        switch(5, 1, 2),
        wakeup(7, 1, 2),
        wakeup(9, 1, 2),
        Lost(1),
        wakeup(11, 1, 2),
    ]
    path, known = write(tmp_path, Writer().file({0: items})), vocabulary()
    with fuzzing.reading_with(way):
        replay = Replay(str(path), known)
        replay.subscribe({known.number(SWITCHES): frozenset()})
        assert [batch.now for batch in batches(replay, 2)] == [7, 9, 11]


@pytest.mark.parametrize("way", ["chosen", "interpreted"])
def test_many_lanes_are_merged_in_order(way: str, tmp_path: Path) -> None:
    cpus: dict[int, list[Item]] = {
        cpu: [wakeup(1 + (7 * cpu + 13 * n) // 5, cpu, n) for n in range(40)] for cpu in range(9)
    }
    path, known = write(tmp_path, Writer(page_size=512).file(cpus)), vocabulary()
    with fuzzing.reading_with(way):
        replay = Replay(str(path), known)
        replay.subscribe({known.number(WAKEUPS): frozenset()})
        found = batches(replay, 50)
    pairs = [pair for b in found for pair in zip(b.time.tolist(), b.cpu.tolist(), strict=True)]
    assert pairs == sorted(pairs)
    assert len(pairs) == 9 * 40


#: Per event of a CPU: how much later it is than the one before; a gap before it goes back in time.
STEPS = st.lists(st.one_of(st.integers(0, 9), st.just("lost")), max_size=40)


def items_of(cpu: int, steps: list[int | str], times: int) -> list[Item]:
    """Events that are told apart by their current task; a gap loses as many as its place."""
    items: list[Item] = []
    time = 100
    for n, step in enumerate(steps * times):
        if step == "lost":
            time = max(time - 20, 1)
            items.append(Lost(n + 1))
        else:
            time += int(step)
        items.append(wakeup(time, 1 + cpu * 1000 + n, 7))
    return items


def merged(cpus: dict[int, list[Item]]) -> tuple[list[int], dict[int, dict[int, int]]]:
    """Tasks in order, and what was lost before which: by the latest time so far, then the CPU."""
    found, lost = [], {}
    for cpu, items in cpus.items():
        latest, owed = 0, 0
        for item in items:
            if isinstance(item, Lost):
                owed = item.count or 0
            elif isinstance(item, Event):
                latest = max(latest, item.time)
                found.append((latest, cpu, item.pid))
                if owed:
                    lost[item.pid], owed = {cpu: owed}, 0
    return [pid for _, _, pid in sorted(found)], lost


@given(st.dictionaries(st.integers(0, 6), STEPS, min_size=1), st.integers(1, 9), st.integers(1, 70))
@pytest.mark.parametrize("way", ["chosen", "interpreted"])
def test_lanes_are_merged_as_if_sorted(
    way: str, steps: dict[int, list[int | str]], times: int, limit: int
) -> None:
    cpus = {cpu: items_of(cpu, mine, times) for cpu, mine in steps.items()}
    data, known = Writer(page_size=256).file(cpus), vocabulary()
    with fuzzing.reading_with(way):
        reader = DatReader(read_recording(fuzzing.in_memory(data), "f"), "f", known)
        reader.subscribe({known.number(WAKEUPS): frozenset()})
        found = []
        while (batch := reader.read(limit)) is not None:
            found.append(batch)
    order, lost = merged(cpus)
    assert [pid for batch in found for pid in batch.pid.tolist()] == order
    assert {int(batch.pid[0]): dict(batch.lost) for batch in found if batch.lost} == lost
    assert all(0 < len(batch) <= limit for batch in found)
