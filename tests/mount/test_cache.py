"""Through a mount: what did not change costs no request, and nothing stale or torn is seen.

A few thousand rounds of each kind; what a million of the quickest show is in ``test_rounds.py``.
"""

import os
import random
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rvfs.testing import Mount
from tests.mount import counting

ROUNDS = 3000
PATIENCE = 60


class Counted:
    """A mount whose requests are counted."""

    def __init__(self, folder: Path) -> None:
        counter = folder / "counter"
        counter.write_bytes(bytes(8))
        self._counter = counting.open_counter(counter)
        self.path = folder / "rv"
        self.path.mkdir()
        command = [sys.executable, counting.__file__, str(counter), "mount", "-f"]
        self._process = subprocess.Popen(
            [*command, "--source=inject", str(self.path)], stderr=subprocess.PIPE
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if b"mounted on" in line:
                break

    @property
    def requests(self) -> int:
        count: int = struct.unpack_from("Q", self._counter)[0]
        return count

    def costs(self, call: Callable[[], object]) -> int:
        """How many requests it takes."""
        before = self.requests
        call()
        return self.requests - before

    def close(self) -> None:
        subprocess.run(["umount", str(self.path)], check=True)
        assert self._process.wait(PATIENCE) == 0
        self._process.stderr.close()  # type: ignore[union-attr]


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    mount = Counted(tmp_path)
    yield mount
    mount.close()


def walk(folder: Path) -> list[str]:
    """``ls -lR``."""
    return [f"{one} {os.lstat(one)}" for one in [folder, *folder.rglob("*")]]


# -- no request ------------------------------------------------------------------------------


def test_stat_and_ls_of_what_did_not_change_cost_no_request(counted: Counted) -> None:
    rv = counted.path
    names = ["monitoring_on", "enabled_monitors", "trace", "log", "monitors/sched/sco/reactors",
             "events/sched/sched_switch/format", "events", ""]  # fmt: skip
    folders = ["", "monitors", "monitors/sched", "events", "events/sched", "hwbp/bp"]
    for name in ("a", "b"):
        assert counted.costs(lambda: [list((rv / name).iterdir()) for name in folders])
        for _ in range(3):  # what has changed is lent at the third look
            assert counted.costs(lambda: [(rv / name).stat() for name in (*names, *folders)])
        assert counted.costs(lambda: [(rv / name).stat() for name in names]) == 0
        assert counted.costs(lambda: [list((rv / name).iterdir()) for name in folders]) == 0
        (rv / "hwbp/reserve").write_text(f"open {name} - 0 W 8 u+0\n")
        (rv / "enabled_monitors").write_text("sched\n")
        (rv / "events/enable").write_text("1\n")
        (rv / "events/sched/sched_wakeup/inject").write_text("pid=1")


def test_a_second_walk_asks_for_what_nobody_tells_of_alone(counted: Counted) -> None:
    """Counters and registers, which change by themselves."""
    first = counted.costs(lambda: walk(counted.path))
    counted.costs(lambda: walk(counted.path))
    assert counted.costs(lambda: walk(counted.path)) < first / 2


def test_open_read_close_is_three_requests(counted: Counted) -> None:
    """The last of which nobody waits for; no look at the path, no flush."""
    path = counted.path / "monitoring_on"
    path.read_bytes()

    def once() -> None:
        descriptor = os.open(path, os.O_RDONLY)
        os.read(descriptor, 100)
        os.close(descriptor)

    assert counted.costs(once) == 2


# -- nothing stale, nothing torn -------------------------------------------------------------


def spliced(path: Path) -> bytes:
    """What cat shows that uses sendfile(2), and read(2) where that is refused, as in tracefs."""
    descriptor = os.open(path, os.O_RDONLY)
    ours, theirs = os.pipe()
    try:
        try:
            os.sendfile(theirs, descriptor, 0, 1 << 16)
        except OSError:
            return os.read(descriptor, 1 << 16)
        os.close(theirs)
        theirs = -1
        return os.read(ours, 1 << 16)
    finally:
        for one in (descriptor, ours, theirs):
            if one >= 0:
                os.close(one)


def agree(path: Path, expected: bytes, dice: random.Random) -> None:
    """Every way to see the file shows this, in any order."""
    ways: list[Callable[[], object]] = [
        lambda: path.stat().st_size == len(expected),
        lambda: path.read_bytes() == expected,
        lambda: spliced(path) == expected,
    ]
    for way in dice.sample(ways, dice.randrange(1, 4)):
        assert way(), (path, expected)


MONITORS = {"wip": "wip", "wwnr": "wwnr", "sched/sco": "sched:sco", "sched/nrp": "sched:nrp"}


def test_what_is_written_through_one_path_is_read_through_another(rv: Mount) -> None:
    dice = random.Random(1)
    lines = rv.read("available_monitors").splitlines()
    order = [line for line in lines if line in MONITORS.values()]
    on: set[str] = set()
    for _ in range(ROUNDS):
        folder, name = dice.choice(list(MONITORS.items()))
        if dice.random() < 0.5:
            wanted = dice.random() < 0.5
            (rv / f"monitors/{folder}/enable").write_text("1\n" if wanted else "0\n")
            on = on | {name} if wanted else on - {name}
        else:
            flags = os.O_WRONLY | dice.choice([0, os.O_TRUNC, os.O_APPEND])
            descriptor = os.open(rv / "enabled_monitors", flags)
            on = set() if flags & os.O_TRUNC else on
            if dice.random() < 0.8:
                os.write(descriptor, f"{name}\n".encode())
                on = on | {name}
            os.close(descriptor)
        agree(rv / "enabled_monitors", "".join(f"{n}\n" for n in order if n in on).encode(), dice)
        agree(rv / f"monitors/{folder}/enable", b"1\n" if name in on else b"0\n", dice)


def test_many_write_while_many_read(rv: Mount) -> None:
    """A size is never that of another moment than the bytes: no NUL, no line cut short."""
    valid = {f"{name}\n" for name in MONITORS.values()}
    stop, wrong = threading.Event(), list[bytes]()

    def read(way: Callable[[Path], bytes]) -> None:
        while not stop.is_set():
            data = way(rv / "enabled_monitors")
            if not set(data.decode().splitlines(keepends=True)) <= valid:
                wrong.append(data)

    readers = [threading.Thread(target=read, args=[way]) for way in (Path.read_bytes, spliced)]
    for reader in readers:
        reader.start()
    dice = random.Random(2)
    for _ in range(ROUNDS):
        folder = dice.choice(list(MONITORS))
        (rv / f"monitors/{folder}/enable").write_text(dice.choice("01"))
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_the_trace_has_the_size_it_is_read_with(rv: Mount) -> None:
    rv.write("events/sched/sched_wakeup/enable", "1")
    dice = random.Random(3)
    lines = 0
    for _ in range(ROUNDS // 3):
        if dice.random() < 0.05:
            (rv / "trace").write_text("")
            lines = 0
        else:
            rv.write("events/sched/sched_wakeup/inject", f"pid={dice.randrange(1 << 15)}")
            lines += 1
        size = (rv / "trace").stat().st_size
        data = spliced(rv / "trace") if dice.random() < 0.5 else (rv / "trace").read_bytes()
        assert len(data[: 1 << 16]) == min(size, 1 << 16)
        if lines < 300:
            assert data.count(b"sched_wakeup: ") == lines


def test_names_come_and_go(rv: Mount) -> None:
    dice = random.Random(4)
    held: set[str] = set()
    for _ in range(ROUNDS // 3):
        name = f"b{dice.randrange(3)}"
        if name in held:
            (rv / "hwbp/bp" / name).rmdir()
            held.remove(name)
        else:
            (rv / "hwbp/reserve").write_text(f"open {name} - {dice.randrange(2)} X 8 u+0\n")
            held.add(name)
        assert {folder.name for folder in (rv / "hwbp/bp").iterdir()} == held
        assert (rv / "hwbp/bp").stat().st_nlink == 2 + len(held)
        for name in ("b0", "b1", "b2"):
            assert (rv / "hwbp/bp" / name).exists() == (name in held)
            assert (rv / "hwbp/bp" / name / "enable").exists() == (name in held)
