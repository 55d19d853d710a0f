"""Replay: which reader, in which time, and the real recordings."""

import functools
import lzma
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trio
import trio.testing

from rvfs.errors import InvalidInput, TraceError
from rvfs.event import Batch
from rvfs.source import Source
from rvfs.source.replay import Replay
from rvfs.tracepoint import Vocabulary, catalogue
from tests.conftest import TRACES
from tests.source.dat_verbs import SWITCHES, switch
from tests.source.dat_writer import Writer
from tests.source.reading import Seen, batches, events, lost, vocabulary, wanting

ALL = (
    "sched:sched_switch",
    "sched:sched_waking",
    "sched:sched_wakeup",
    "sched:sched_wakeup_new",
    "sched:sched_process_fork",
    "sched:sched_process_exit",
    "signal:signal_deliver",
)


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def recording(folder: Path, times: list[int]) -> str:
    path = folder / "trace.dat"
    path.write_bytes(Writer().file({0: [switch(time, 1, 2) for time in times]}))
    return str(path)


def text_recording(folder: Path, times: list[int]) -> str:
    path = folder / "trace.txt"
    body = "prev_comm=a prev_pid=1 prev_prio=1 prev_state=S ==> next_comm=b next_pid=2 next_prio=1"
    path.write_text(
        "".join(
            f" a-1 [000] .....  {t // 10**9}.{t % 10**9:09d}: sched_switch: {body}\n" for t in times
        )
    )
    return str(path)


@pytest.mark.parametrize("write", [recording, text_recording])
def test_events_come_when_the_clock_says(write: object, tmp_path: Path) -> None:
    path = write(tmp_path, [5 * 10**9, 6 * 10**9, 6 * 10**9, 8 * 10**9])  # type: ignore[operator]
    known, clock = vocabulary(), Clock()
    replay = Replay(path, known, speed=2, clock=clock)
    replay.subscribe(wanting(known, SWITCHES))
    counts = []
    for passed in (0, 0.4, 0.1, 0, 0.75, 0.25):
        clock.now += passed
        batch = replay.read(100)
        assert batch is not None
        counts.append(len(batch))
    assert counts == [1, 0, 2, 0, 0, 1]
    assert replay.read(100) is None


def test_the_next_event_says_how_long_to_wait(tmp_path: Path) -> None:
    clock = Clock()
    replay = Replay(recording(tmp_path, [0, 3 * 10**9]), vocabulary(), speed=1, clock=clock)
    replay.read(1)
    clock.now += 1
    assert replay.delay() == pytest.approx(2)
    clock.now += 5
    assert replay.delay() == 0
    replay.read(1)
    assert replay.delay() == 0


async def test_without_speed_nobody_waits(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    replay = Replay(recording(tmp_path, [0, 10**15]), vocabulary())
    await replay.wait()
    assert trio.current_time() == 0


async def test_waiting_takes_recorded_time(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    known = vocabulary()
    replay = Replay(recording(tmp_path, [0, 60 * 10**9]), known, speed=1, clock=trio.current_time)
    replay.subscribe(wanting(known, SWITCHES))
    start, found = trio.current_time(), []
    while (batch := replay.read(10)) is not None:
        found += batch.time.tolist()
        await replay.wait()
    assert found == [0, 60 * 10**9]
    assert trio.current_time() - start == pytest.approx(60)


def test_a_change_of_subscription_holds_while_events_wait_for_their_time(tmp_path: Path) -> None:
    known, clock = vocabulary(), Clock()
    replay = Replay(recording(tmp_path, [0, 10**9]), known, speed=1, clock=clock)
    assert replay.read(10) is not None
    replay.subscribe(wanting(known, SWITCHES))
    clock.now += 2
    batch = replay.read(10)
    assert batch is not None
    assert batch.time.tolist() == [10**9]


def test_closing_twice_is_safe_and_ends_the_replay(tmp_path: Path) -> None:
    for path in (recording(tmp_path, [1, 2]), text_recording(tmp_path, [1, 2])):
        replay = Replay(path, vocabulary())
        replay.close()
        replay.close()
        assert replay.read(1) is None


def test_it_says_what_it_is(tmp_path: Path) -> None:
    replay = Replay(recording(tmp_path, [1, 2]), vocabulary())
    assert (replay.name, replay.cpus, replay.done) == (f"replay {tmp_path}/trace.dat", 1, 0)
    batches(replay)
    assert replay.done == 1


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_speed_that_is_none(speed: float, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="must be more than 0"):
        Replay(recording(tmp_path, [1]), vocabulary(), speed=speed)


def test_it_is_a_source(tmp_path: Path) -> None:
    source: Source = Replay(recording(tmp_path, [1]), vocabulary())
    assert source.read(1) is not None


# What is no recording


def refused(path: Path | str) -> TraceError:
    with pytest.raises(TraceError) as caught:
        Replay(str(path), vocabulary())
    assert str(caught.value).startswith(f"{path}: ")
    return caught.value


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    assert "No such file or directory" in str(refused(tmp_path / "missing"))
    assert "not a regular file" in str(refused(tmp_path))
    assert "not a regular file" in str(refused("/dev/null"))
    os.mkfifo(tmp_path / "fifo")
    assert "not a regular file" in str(refused(tmp_path / "fifo"))
    (tmp_path / "empty").touch()
    assert "the file is empty" in str(refused(tmp_path / "empty"))
    assert "embedded null" in str(refused("nul\0byte"))


@pytest.mark.parametrize("kind", ["xz", "gzip", "zstd", "bzip2", "perf.data", "a program"])
def test_known_kinds_of_other_files_are_named(kind: str, tmp_path: Path) -> None:
    starts = {"xz": b"\xfd7zXZ\0", "gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd",
              "bzip2": b"BZh9", "perf.data": b"PERFILE2", "a program": b"\x7fELF"}  # fmt: skip
    (tmp_path / "file").write_bytes(starts[kind] + bytes(100))
    error = refused(tmp_path / "file")
    assert kind in str(error)
    assert error.offset == 0


@pytest.mark.parametrize("size", [3, 5, 9, 10, 13])
def test_a_trace_dat_cut_in_its_first_bytes(size: int, tmp_path: Path) -> None:
    data = Path(recording(tmp_path, [1])).read_bytes()[:size]
    (tmp_path / "cut").write_bytes(data)
    assert "should be here" in str(refused(tmp_path / "cut"))


def test_terabytes_of_nothing(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 42)
    assert refused(tmp_path / "sparse").offset == 0


# A file that is made shorter while it is read


def read_on(replay: Replay) -> tuple[list[int], TraceError]:
    """The times of what is still delivered, and the error behind it."""
    times: list[int] = []
    try:
        while (batch := replay.read(1000)) is not None:
            times += batch.time.tolist()
    except TraceError as error:
        return times, error
    raise AssertionError("the replay ended without an error")


#: How many events come at least: of a text what was read ahead, of a trace.dat what is left.
LEFT = [
    (recording, 0, 10), (recording, 100_000, 1000),
    (text_recording, 0, 1000), (text_recording, 100_000, 1000),
]  # fmt: skip


@pytest.mark.parametrize(("write", "kept", "least"), LEFT)
def test_a_recording_that_becomes_shorter_is_an_error_with_the_place(
    write: Callable[[Path, list[int]], str], kept: int, least: int, tmp_path: Path
) -> None:
    path, known = write(tmp_path, list(range(1, 8001))), vocabulary()
    replay = Replay(path, known)
    replay.subscribe(wanting(known, SWITCHES))
    first = replay.read(10)
    assert first is not None
    os.truncate(path, kept)
    times, error = read_on(replay)
    times = first.time.tolist() + times
    assert times == list(range(1, len(times) + 1))
    assert least <= len(times) < 8000
    assert "the file became shorter while it was read" in str(error)
    assert error.offset is not None
    assert read_on(replay) == ([], error)


@pytest.mark.parametrize("write", [recording, text_recording])
def test_what_is_left_of_a_shorter_recording_is_delivered(
    write: Callable[[Path, list[int]], str], tmp_path: Path
) -> None:
    path, known = write(tmp_path, list(range(1, 20_001))), vocabulary()
    left = Path(path).stat().st_size * 3 // 4
    replay = Replay(path, known)
    replay.subscribe(wanting(known, SWITCHES))
    os.truncate(path, left)
    times, error = read_on(replay)
    assert 14_800 < len(times) <= 15_100  # numbers grow by a digit on the way
    assert error.offset == left


@pytest.mark.parametrize("write", [recording, text_recording])
def test_a_damage_is_told_by_reading_not_by_waiting(
    write: Callable[[Path, list[int]], str], tmp_path: Path
) -> None:
    path, clock = write(tmp_path, list(range(1, 8001))), Clock()
    replay = Replay(path, vocabulary(), speed=1, clock=clock)
    replay.read(1)
    os.truncate(path, 0)
    clock.now += 1
    _, error = read_on(replay)
    assert replay.delay() == 0
    assert read_on(replay) == ([], error)


# The real recordings


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traces")
    for name in ("sched.dat", "sched.txt", "mixed.txt"):
        (folder / name).write_bytes(lzma.decompress((TRACES / f"{name}.xz").read_bytes()))
    return folder


@functools.cache
def replayed(path: Path) -> tuple[Vocabulary, list[Batch]]:
    known = vocabulary()
    replay = Replay(str(path), known)
    own = {t.full_name: frozenset(t.by_name) for t in catalogue()}
    replay.subscribe({known.number(name): own[name] for name in ALL})
    return known, batches(replay)


def joined(found: list[Batch], column: str) -> list[int]:
    values: list[int] = np.concatenate([getattr(batch, column) for batch in found]).tolist()
    return values


def fields(known: Vocabulary, found: list[Batch], name: str, field: str) -> list[object]:
    number = known.number(name)
    values: list[object] = np.concatenate([b.fields[number][field] for b in found]).tolist()
    return values


@pytest.mark.needs("traces")
def test_both_formats_of_one_recording_give_the_same_events(traces: Path) -> None:
    (known, dat), (_, text) = replayed(traces / "sched.dat"), replayed(traces / "sched.txt")
    assert sum(map(len, dat)) == 187_778
    for column in ("tp", "cpu", "pid"):
        assert joined(dat, column) == joined(text, column)
    micros = [(time + 500) // 1000 for time in joined(dat, "time")]
    assert micros == [time // 1000 for time in joined(text, "time")]
    for tracepoint in catalogue():
        for field in tracepoint.by_name if tracepoint.full_name in ALL else ():
            name = tracepoint.full_name
            assert fields(known, dat, name, field) == fields(known, text, name, field), (
                name,
                field,
            )


@pytest.mark.needs("traces")
def test_both_formats_know_the_same_tasks_and_gaps(traces: Path) -> None:
    (_, dat), (_, text) = replayed(traces / "sched.dat"), replayed(traces / "sched.txt")
    assert text[-1].comms.items() <= dat[-1].comms.items()
    gaps, seen = lost(dat), lost(text)
    assert [(before, list(cpus)) for before, cpus in gaps] == [
        (before, list(cpus)) for before, cpus in seen
    ]
    assert gaps[0][1] == {0: 1_733_943}


@pytest.mark.needs("traces", "trace-cmd", "compiled")
@pytest.mark.parametrize("options", [["-R", "-t"], []], ids=str)
def test_the_report_of_trace_cmd_gives_the_same_events(
    options: list[str], traces: Path, tmp_path: Path
) -> None:
    path = tmp_path / "report.txt"
    with path.open("wb") as file:
        subprocess.run(
            ["trace-cmd", "report", *options, str(traces / "sched.dat")], stdout=file, check=True
        )
    (known, dat), (_, text) = replayed(traces / "sched.dat"), replayed(path)
    for column in ("tp", "cpu", "pid"):
        assert joined(dat, column) == joined(text, column)
    if "-t" in options:
        assert joined(dat, "time") == joined(text, "time")
    states = fields(known, dat, SWITCHES, "prev_state")
    if "-R" not in options:  # trace-cmd's text tells no preempted task, and X and Z may change
        states = [{0x100: 0, 0x20: 0x10}.get(state, state) for state in states]  # type: ignore[call-overload]
    assert fields(known, text, SWITCHES, "prev_state") == states


@pytest.mark.needs("traces")
def test_a_recording_with_other_events_in_it(traces: Path) -> None:
    known, found = replayed(traces / "mixed.txt")
    seen: list[Seen] = events(found, known)
    assert seen[0].event in ALL
    assert [e.time for e in seen] == sorted(e.time for e in seen)
    count = sum(f": {name.partition(':')[2]}: " in line for name in ALL
                for line in (traces / "mixed.txt").read_text().splitlines())  # fmt: skip
    assert len(seen) == count > 8000


@pytest.mark.needs("traces")
def test_a_real_recording_cut_anywhere(traces: Path, tmp_path: Path) -> None:
    data = (traces / "sched.dat").read_bytes()
    for size in [1 << n for n in range(2, 25)]:
        (tmp_path / "cut.dat").write_bytes(data[:size])
        error = refused(tmp_path / "cut.dat")
        assert error.offset is not None
        assert error.offset <= len(data)
