"""Replay of a trace.dat that is cut, changed or impossible: events, then one error."""

import random
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rvfs.source.replay import Replay
from tests.source.dat_verbs import (
    FORMS,
    SWITCHES,
    WAKEUPS,
    expected,
    refusal,
    switch,
    write,
)
from tests.source.dat_writer import (
    Item,
    Lost,
    Raw,
    Writer,
)
from tests.source.reading import (
    read_all,
    until_damage,
    vocabulary,
    wanting,
)


@pytest.fixture
def recording() -> bytes:
    items: list[Item] = [switch(1000 + n, n, n + 1) for n in range(1, 200)]
    return Writer(comms={1: "one"}).file({0: items, 1: items})


def test_a_file_cut_anywhere_is_refused_with_the_place(recording: bytes, tmp_path: Path) -> None:
    for size in range(10, len(recording), 97):
        error = refusal(write(tmp_path, recording[:size]), SWITCHES)
        assert error.offset is not None
        assert 0 <= error.offset <= len(recording)


def flipped(data: bytes, seeds: range) -> Iterator[bytes]:
    for seed in seeds:
        rng = random.Random(seed)
        broken = bytearray(data)
        for _ in range(rng.randint(1, 8)):
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        yield bytes(broken)


@pytest.mark.parametrize("form", FORMS[::3], ids=str)
def test_flipped_bits_give_events_or_one_error(form: Mapping[str, object], tmp_path: Path) -> None:
    items: list[Item] = [switch(1000 + n, n, n + 1) for n in range(1, 60)]
    data = Writer(page_size=1024, **form).file({0: items, 1: items})  # type: ignore[arg-type]
    for broken in flipped(data, range(150)):
        found, _error = until_damage(write(tmp_path, broken), SWITCHES, WAKEUPS)
        assert len(found) <= 4 * len(items)


def test_events_before_the_damage_are_delivered(tmp_path: Path) -> None:
    items: list[Item] = [switch(n, n, n + 1) for n in range(1, 100)]
    data = Writer(page_size=1024).file({0: items})
    start = len(data) - len(data) % 1024 - 3 * 1024
    data = data[: start + 8] + b"\xff\xff" + data[start + 10 :]
    found, error = until_damage(write(tmp_path, data), SWITCHES, limit=16)
    assert error is not None
    assert "claims 65535 bytes" in str(error)
    assert error.offset == start + 8
    times = [seen.time for seen in found]
    assert times == list(range(1, len(times) + 1))
    assert 0 < len(times) < 99


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"tracing6", b"tracing9", "version '9' is not known"),
        (b"header_page\0", b"header_pige\0", "should be here"),
        (b"flyrecord\0", b"flyrecorx\0", "'flyrecord' or 'latency' should be here"),
        (b"ID: 314", b"ID: 3x4", "has no name or no ID"),
        (b"common_type;", b"common_tipe;", "has no common_type"),
        (b"size:16;\tsigned", b"size:99;\tsigned", "a record is shorter than its fields"),
    ],
)
def test_a_fault_is_named(
    old: bytes, new: bytes, said: str, recording: bytes, tmp_path: Path
) -> None:
    assert old in recording
    error = refusal(write(tmp_path, recording.replace(old, new, 1)), SWITCHES)
    assert said in str(error)
    assert error.offset is not None


IMPOSSIBLE: dict[str, list[Item]] = {
    "has the impossible length 4": [Raw(1, (0, 4, 0))],
    "runs past the end of its page": [Raw(1, (28, 314, 1))],
    "is cut at the end of its page": [Raw(1, (0,))],
    "the time 4611686018695823353 ns is impossible": [
        switch((1 << 62) - 10, 1, 2), switch((1 << 62) + (1 << 28) - 7, 2, 1),
    ],
    "begins at the impossible time": [Lost(None), switch((1 << 62) + 1, 1, 2)],
}  # fmt: skip


@pytest.mark.parametrize("said", IMPOSSIBLE)
def test_an_impossible_event_is_damage(said: str, tmp_path: Path) -> None:
    items: list[Item] = [switch(1, 1, 2)]
    path = write(tmp_path, Writer().file({0: [*items, Lost(None), *IMPOSSIBLE[said]]}))
    found, error = until_damage(path, SWITCHES)
    assert found[:1] == expected({0: items})
    assert len(found) <= 2
    assert all(seen.time < 1 << 62 for seen in found)
    assert said in str(error)


def test_an_impossible_clock_is_refused(tmp_path: Path) -> None:
    scale = struct.pack("<IIQ", 1, 40, 0)
    path = write(tmp_path, Writer(options=[(14, scale)]).file({0: [switch(1, 1, 2)]}))
    assert "the clock's shift 40 is impossible" in str(refusal(path))


def test_a_compressed_piece_of_another_size_is_refused(tmp_path: Path) -> None:
    class Liar(Writer):
        def packed(self, data: bytes) -> bytes:
            honest = super().packed(data)
            return honest[:4] + self.pack(4, len(data) + 1) + honest[8:]

    path = write(tmp_path, Liar(version=7, compression="zlib").file({0: [switch(1, 1, 2)]}))
    assert "does not unpack to its" in str(refusal(path))


def test_options_that_point_back_are_refused(tmp_path: Path) -> None:
    data = Writer(version=7).file({0: [switch(1, 1, 2)]})
    place = data.index(b"none\0001.0\0") + 9
    first = data[place : place + 8]
    data = data[:-8] + first
    assert "point back to themselves" in str(refusal(write(tmp_path, data)))


def test_a_sparse_file_of_a_terabyte_is_refused_or_read_at_once(
    recording: bytes, tmp_path: Path
) -> None:
    path = write(tmp_path, recording)
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    assert len(read_all(path, SWITCHES)) == 398


def test_terabytes_of_empty_pages_are_read_a_little_at_a_time(tmp_path: Path) -> None:
    data = Writer().file({0: [], 1: [switch(1, 1, 2)]})
    table = data.index(b"flyrecord\0") + 10
    entry = (1 << 20).to_bytes(8, "little") + (1 << 40).to_bytes(8, "little")
    path = write(tmp_path, data[:table] + entry + data[table + 16 :])
    with path.open("r+b") as file:
        file.truncate((1 << 40) + (1 << 20))
    known = vocabulary()
    replay = Replay(str(path), known)
    replay.subscribe(wanting(known, SWITCHES))
    for _ in range(3):
        batch = replay.read(100)
        assert batch is not None
        assert len(batch) == 0
    assert 0 < replay.done < 0.001
