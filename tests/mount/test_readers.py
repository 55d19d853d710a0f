"""Readers of every kind get the same bytes."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rvfs.testing import Mount

FILES = (
    "available_monitors", "enabled_monitors", "monitors/wip/enable", "monitors/wip/desc",
    "monitors/sched/reactors", "events/sched/sched_switch/format", "events/sched/sched_switch/id",
    "trace", "log",
)  # fmt: skip

#: How to read ``$f`` to standard output, and what it needs.
SHELL = {
    "cat": ("cat $f", []),
    "busybox cat": ("busybox cat $f", ["busybox"]),
    "uutils cat": ("coreutils cat $f", ["uutils"]),
    "dash read": ("dash -c 'while IFS= read -r l; do printf \"%s\\n\" \"$l\"; done' < $f", []),
    "bash read": ("while IFS= read -r l; do printf '%s\\n' \"$l\"; done < $f", []),
    "bash mapfile": ("mapfile a < $f; printf %s \"${a[@]}\"", []),
    "dd bs=1": ("dd if=$f bs=1 status=none", []),
    "dd bs=7": ("dd if=$f bs=7 status=none", []),
    "dd bs=1M": ("dd if=$f bs=1M status=none", []),
    "head": ("head -c 1000000 $f", []),
    "tail": ("tail -n +1 $f", []),
    "tail -c": ("tail -c 1000000 $f", []),
    "cp": ("cp $f $t && cat $t", []),
    "busybox cp": ("busybox cp $f $t && cat $t", ["busybox"]),
    "tar": ("tar cf - $f | tar xOf -", []),
    "tar -S": ("tar cSf - $f | tar xOf -", []),
    "sed": ("sed '' $f", []),
    "awk": ("awk 1 $f", []),
    "grep": ("grep '' $f; true", []),
    "tee": ("tee < $f", []),
    "pipe": ("cat < $f | cat", []),
}  # fmt: skip


@pytest.fixture
def rv(rv_mount: Callable[..., Mount]) -> Mount:
    """Something in every file, and more than a page in some."""
    rv = rv_mount(source="inject")
    rv.write("enabled_monitors", "wip")
    rv.write("enabled_monitors", "sched")
    rv.write("events/sched/sched_wakeup/enable", "1")
    for pid in range(1, 401):
        (rv / "events/sched/sched_wakeup/inject").write_text(f"pid={pid} comm='task {pid}'")
    for _ in range(60):
        with pytest.raises(OSError, match="Invalid argument"):
            rv.write("enabled_monitors", "none")
    assert (rv / "trace").stat().st_size > 40_000
    assert (rv / "log").stat().st_size > 5_000
    return rv


def python_read(path: Path) -> bytes:
    return path.read_bytes()


def pread_backwards(path: Path) -> bytes:
    """From the end, in odd pieces."""
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        pieces = [os.pread(file.fileno(), 977, offset) for offset in range(0, size, 977)[::-1]]
    return b"".join(reversed(pieces))


def sendfile(path: Path) -> bytes:
    """Into a temporary file, as ``cp`` of some systems does."""
    target = os.memfd_create("copy")
    with path.open("rb") as file, os.fdopen(target, "w+b") as copy:
        while os.sendfile(copy.fileno(), file.fileno(), None, 60_000):
            pass
        copy.seek(0)
        return copy.read()


def splice(path: Path) -> bytes:
    receive, send = os.pipe()
    parts = []
    with path.open("rb") as file:
        while os.splice(file.fileno(), send, 4000):
            parts.append(os.read(receive, 4000))
    os.close(receive)
    os.close(send)
    return b"".join(parts)


PYTHON = [python_read, pread_backwards]


@pytest.mark.parametrize("read", PYTHON)
def test_python_reads_the_same(rv: Mount, read: Callable[[Path], bytes]) -> None:
    for name in FILES:
        assert read(rv / name) == expected(rv, name), name


@pytest.mark.parametrize("read", [sendfile, splice])
def test_who_splices_sees_the_same_or_must_read(rv: Mount, read: Callable[[Path], bytes]) -> None:
    """Where the size may change it is refused, as in tracefs: it would be torn now and then."""
    assert read(rv / "monitoring_on") == b"1\n"
    assert read(rv / "events/sched/sched_switch/enable") == b"0\n"
    for name in ("trace", "available_monitors"):
        with pytest.raises(OSError, match="Invalid argument"):
            read(rv / name)


@pytest.mark.parametrize(
    "how", [pytest.param(how, marks=pytest.mark.needs(*SHELL[how][1])) for how in SHELL]
)
def test_the_shell_reads_the_same(rv: Mount, how: str, tmp_path: Path) -> None:
    for name in FILES:
        environment = {**os.environ, "f": name, "t": str(tmp_path / "copy")}
        done = subprocess.run(
            ["bash", "-c", SHELL[how][0]], cwd=rv.path, env=environment,
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        assert (done.stdout, done.stderr) == (expected(rv, name), b""), name


def expected(rv: Mount, name: str) -> bytes:
    """What one large read gives, which is also what the size says."""
    descriptor = os.open(rv / name, os.O_RDONLY)
    try:
        data = os.read(descriptor, 1 << 20)
        assert len(data) == os.fstat(descriptor).st_size
        assert os.read(descriptor, 1) == b""
        return data
    finally:
        os.close(descriptor)


def test_a_file_is_read_from_one_snapshot(rv: Mount) -> None:
    with (rv / "enabled_monitors").open("rb", buffering=0) as file:
        before = (rv / "enabled_monitors").read_bytes()
        read = file.read(5)
        rv.write("enabled_monitors", "!sched")
        while part := file.read(5):
            read += part
        assert read == before
        assert os.pread(file.fileno(), 100, 0) == b"wip\n"


def test_a_folder_is_listed_from_one_snapshot(rv: Mount) -> None:
    with os.scandir(rv / "events/rv") as entries:
        names = {entry.name for entry in entries}
    assert sum(name.startswith("event_") for name in names) == 15
