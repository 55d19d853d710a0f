"""The folder ``hwbp`` on real mounts: what the shell sees of it."""

import errno
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rvfs.testing import Mount

ME = os.getpid()


def refused(number: int, do: Callable[..., object], *args: object) -> bool:
    """Whether that is refused with this errno, and no other."""
    try:
        do(*args)
    except OSError as error:
        return error.errno == number
    return False


def bp(rv: Mount) -> list[str]:
    return sorted(os.listdir(rv / "hwbp/bp"))  # noqa: PTH208 - as ls does it


def test_a_breakpoint_from_request_to_rmdir(rv: Mount) -> None:
    rv.write("hwbp/reserve", f"open w1 task:{ME} cpu:-1 w 8 0x7f0000001000")
    assert rv.read("hwbp/breakpoints").startswith(
        f"w1 task:{ME} cpu:-1 W 8 0x7f0000001000 disabled"
    )
    rv.write("hwbp/bp/w1/enable", "1")
    rv.write("hwbp/bp/w1/addr", "0x7f0000001008")
    assert rv.read("hwbp/bp/w1/addr") == "0x7f0000001008\n"
    assert rv.read("hwbp/cpu0/tsk_pinned") == f"shared 1 task:{ME}\n"
    (rv / "hwbp/bp/w1").rmdir()
    assert (bp(rv), rv.read("hwbp/breakpoints")) == ([], "")
    assert rv.read("hwbp/cpu0/tsk_pinned") == "shared 0 -\n"


def test_a_refusal_is_an_errno_and_a_sentence(rv: Mount) -> None:
    for number in range(4):
        rv.write("hwbp/reserve", f"open w{number} task:{ME} -1 W 8 u+0")
    assert refused(errno.ENOSPC, rv.write, "hwbp/reserve", "open more - 0 W 8 u+0")
    said = rv.read("hwbp/last_error")
    assert said.startswith("reserve: line 1: ENOSPC: no room for CPU 0: CPU 0 has 4 shared regist")
    assert said.partition("ENOSPC: ")[2] in rv.read("log")
    assert refused(errno.ESRCH, rv.write, "hwbp/reserve", "open x task:999999999 -1 W 8 u+0")
    assert refused(errno.EINVAL, rv.write, "hwbp/bp/w0/len", "3")
    assert refused(errno.EOPNOTSUPP, rv.write, "hwbp/bp/w0/len", "64")
    assert refused(errno.EBUSY, rv.write, "hwbp/reserve", "open w0 - 0 W 8 u+0")
    assert refused(errno.ENOENT, rv.write, "hwbp/reserve", "close x")
    assert refused(errno.EPERM, rv.read, "hwbp/reserve")
    assert refused(errno.EINVAL, rv.write, "hwbp/slots", "shared 5")


def test_only_a_breakpoint_can_be_removed(rv: Mount) -> None:
    rv.write("hwbp/reserve", f"open w task:{ME} -1 W 8 u+0")
    for path in ("hwbp", "hwbp/bp", "hwbp/cpu0", "monitors/wip", "events/sched"):
        assert refused(errno.EPERM, (rv / path).rmdir)
    assert refused(errno.ENOENT, (rv / "hwbp/bp/none").rmdir)
    assert refused(errno.ENOTDIR, (rv / "hwbp/bp/w/addr").rmdir)
    assert refused(errno.EPERM, (rv / "hwbp/bp/w/addr").unlink)
    assert refused(errno.EPERM, (rv / "hwbp/bp/new").mkdir)
    assert bp(rv) == ["w"]


def test_open_files_of_a_released_breakpoint_answer_enodev(rv: Mount) -> None:
    rv.write("hwbp/reserve", f"open w task:{ME} -1 W 8 u+0")
    fd = os.open(rv / "hwbp/bp/w/addr", os.O_RDWR)
    folder = os.open(rv / "hwbp/bp/w", os.O_RDONLY | os.O_DIRECTORY)
    try:
        (rv / "hwbp/bp/w").rmdir()
        rv.write("hwbp/reserve", f"open w task:{ME} -1 W 8 u+8")
        assert refused(errno.ENODEV, os.read, fd, 10)
        assert refused(errno.ENODEV, os.write, fd, b"u+16")
        assert os.listdir(folder) == []  # noqa: PTH208 - of an open folder
        assert rv.read("hwbp/bp/w/addr") == "0x7f0000000008\n"
    finally:
        os.close(fd)
        os.close(folder)


def test_a_set_is_one_write(rv: Mount, tmp_path: Path) -> None:
    lines = "".join(f"open w{n} - 0 W 8 u+0\n" for n in range(5))
    (tmp_path / "set").write_text(lines)
    cat = f"cat {tmp_path}/set > {rv.path}/hwbp/check"
    done = subprocess.run(["sh", "-c", cat], capture_output=True, text=True, check=False)
    assert "No space left on device" in done.stderr
    assert rv.read("hwbp/check").startswith("line 5: ENOSPC: ")
    (rv / "hwbp/reserve").write_bytes(lines.encode().rpartition(b"open")[0])
    assert bp(rv) == ["w0", "w1", "w2", "w3"]


def test_sizes_are_those_of_what_is_read(rv: Mount) -> None:
    rv.write("hwbp/reserve", "wide w W 8 u+0")
    for path in (rv / "hwbp").rglob("*"):
        if path.is_file() and path.name != "reserve":
            assert path.stat().st_size == len(path.read_bytes()), path


def test_two_writers_get_each_register_once(rv: Mount) -> None:
    got: list[str] = []
    most: list[int] = []

    def grab(who: str) -> None:
        for number in range(200):
            if refused(errno.ENOSPC, rv.write, "hwbp/reserve", f"open {who}{number} - 0 W 8 u+0"):
                for name in [one for one in bp(rv) if one.startswith(who)][:1]:
                    (rv / f"hwbp/bp/{name}").rmdir()
            else:
                got.append(f"{who}{number}")
            most.append(len(bp(rv)))

    writers = [threading.Thread(target=grab, args=(who,)) for who in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    left = bp(rv)
    assert max(most) == 4
    assert len(most) == 400
    assert set(left) <= set(got)
    assert rv.read("hwbp/cpu0/cpu_pinned") == f"shared {len(left)}\n"
    assert rv.read("hwbp/cpu0/free") == f"shared {4 - len(left)}\n"
    assert rv.read("hwbp/breakpoints").count("\n") == len(left)


def test_a_task_that_ended_is_marked(rv: Mount) -> None:
    with subprocess.Popen(["sleep", "1000"]) as child:
        rv.write("hwbp/reserve", f"open w task:{child.pid} -1 W 8 u+0")
        assert rv.read("hwbp/breakpoints").endswith(f" task {child.pid} (sleep)\n")
        child.kill()
    assert rv.read("hwbp/breakpoints").endswith("(sleep), dead\n")
    assert refused(
        errno.ESRCH, rv.write, "hwbp/reserve", f"open v task:{child.pid} -1 W 8 u+0"
    )  # fmt: skip


def test_the_model_is_the_default(rv: Mount) -> None:
    assert rv.read("hwbp/slots").startswith("backend model\narch ")


@pytest.mark.needs("perf-breakpoints")
def test_real_registers_answer_the_same(rv_mount: Callable[..., Mount]) -> None:
    rv = rv_mount(hwbp="perf")
    assert rv.read("hwbp/slots").startswith("backend perf\narch ")
    with subprocess.Popen(["sleep", "1000"]) as child:
        rv.write("hwbp/reserve", f"open w task:{child.pid} -1 W 8 u+0")
        rv.write("hwbp/bp/w/enable", "1")
        rv.write("hwbp/bp/w/addr", "u+8")
        assert refused(errno.EINVAL, rv.write, "hwbp/bp/w/len", "3")
        lines = "".join(f"open w{n} task:{child.pid} -1 W 8 u+0\n" for n in range(4))
        with pytest.raises(OSError, match="No space left"):
            (rv / "hwbp/check").write_bytes(lines.encode())
        assert rv.read("hwbp/check").startswith("line 4: ENOSPC: ")
        assert rv.read("hwbp/breakpoints") == (
            f"w task:{child.pid} cpu:-1 W 8 0x7f0000000008 enabled task {child.pid} (sleep)\n"
        )
        child.kill()
    assert rv.read("hwbp/breakpoints").endswith(", dead\n")
    assert rv.read("hwbp/bp/w/hits") == "0\n"
    (rv / "hwbp/bp/w").rmdir()
    assert bp(rv) == []
