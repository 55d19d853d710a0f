"""``trace_pipe``: who waits gets lines, can be stopped at any time, and takes nothing along.

Nothing here measures time; a reader that cannot be ended runs into :data:`PATIENCE`.
"""

import os
import platform
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pytest

from rvfs.testing import Mount

PATIENCE = 60
INJECT = "events/sched/sched_wakeup/inject"


@pytest.fixture
def rv(rv_mount: Callable[..., Mount]) -> Mount:
    rv = rv_mount(source="inject")
    rv.write("events/sched/sched_wakeup/enable", "1")
    return rv


class Readers:
    """Processes that read, all of them ended with the test."""

    def __init__(self) -> None:
        self.all: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
        """In a process group of its own; it waits in its read when this returns."""
        process = self.spawn(*command, stdin=stdin)
        wait_until(lambda: waiting(process.pid))
        return process

    def spawn(self, *command: str, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
        """The same, without waiting."""
        process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, start_new_session=True
        )
        self.all.append(process)
        return process

    def stop(self) -> None:
        for process in self.all:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=PATIENCE)


@pytest.fixture
def readers() -> Iterator[Readers]:
    readers = Readers()
    yield readers
    readers.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


#: The number of read(2).
READ = {"x86_64": b"0", "aarch64": b"63"}.get(platform.machine())


def waiting(pid: int) -> bool:
    """Whether a process, one of its threads or a child of it waits in a read of a FUSE file."""
    return any(
        wchan(task) == b"request_wait_answer" and (task / "syscall").read_bytes().split()[0] == READ
        for task in tasks(pid)
    )


def tasks(pid: int) -> Iterator[Path]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield task
        for child in (task / "children").read_text().split():
            yield from tasks(int(child))


def wchan(task: Path) -> bytes:
    return (task / "wchan").read_bytes()


def line(rv: Mount, pid: int) -> None:
    (rv / INJECT).write_text(f"pid={pid}")


def pids(data: bytes) -> list[int]:
    """The events that these lines tell of."""
    assert not data or data.endswith(b"\n")
    return [int(text.split(b" pid=")[1].split()[0]) for text in data.splitlines()]


def drain(rv: Mount) -> list[int]:
    """What is left for others."""
    descriptor = os.open(rv / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
    data = b""
    try:
        while part := os.read(descriptor, 65536):
            data += part
    except BlockingIOError:
        return pids(data)
    finally:
        os.close(descriptor)
    raise AssertionError("end of file")


def pipe(rv: Mount) -> str:
    return str(rv / "trace_pipe")


#: Commands that read the pipe; ``{}`` is its path.
KINDS: dict[str, Sequence[str]] = {
    "cat": ("cat", "{}"),
    "bash read": ("bash", "-c", "while read -r l; do :; done < {}; exit 9"),
    "dash read": ("dash", "-c", "while read -r l; do :; done < {}; exit 9"),
    "inherited": ("bash", "-c", "exec 3<{}; cat <&3; exit $?"),
    "dd": ("dd", "if={}", "bs=1", "status=none"),
    "tail": ("tail", "-f", "{}"),
    "python": (sys.executable, "-c", "open('{}', 'rb').read(10)"),
    "thread": (
        sys.executable, "-c",
        "import threading; f = open('{}', 'rb', 0);"
        "t = threading.Thread(target=f.read, args=(1,)); t.start(); t.join()",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_signal_ends_a_reader(rv: Mount, readers: Readers, name: str) -> None:
    number = signal.Signals[name]
    for kind, command in KINDS.items():
        if kind == "thread" and name == "SIGINT":
            continue  # Python waits for its threads before it ends from SIGINT
        process = readers.start(*(part.format(pipe(rv)) for part in command))
        os.killpg(process.pid, number)
        assert process.wait(PATIENCE) in (-number, 128 + number, 1), kind
        line(rv, 5)
        assert drain(rv) == [5], kind


@pytest.mark.parametrize("kind", ["cat", "inherited"])
def test_a_stopped_reader_stops_and_goes_on(rv: Mount, readers: Readers, kind: str) -> None:
    command = [part.format(pipe(rv)) for part in KINDS[kind]]
    process = readers.start(*command)
    os.killpg(process.pid, signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    wait_until(lambda: all(b") T " in (task / "stat").read_bytes() for task in tasks(process.pid)))
    line(rv, 1)
    assert drain(rv) == [1]
    os.killpg(process.pid, signal.SIGCONT)
    wait_until(lambda: waiting(process.pid))
    line(rv, 2)
    assert process.stdout
    assert pids(process.stdout.readline()) == [2]


def test_a_line_goes_to_one_reader(rv: Mount, readers: Readers) -> None:
    processes = [readers.start("cat", pipe(rv)) for _ in range(5)]
    for pid in range(1, 101):
        line(rv, pid)
    rv.process.send_signal(signal.SIGTERM)
    got = [pids(process.communicate(timeout=PATIENCE)[0]) for process in processes]
    assert sorted(chain(*got)) == list(range(1, 101))
    assert all(one == sorted(one) for one in got)


def test_a_reader_that_dies_loses_nothing_for_others(rv: Mount, readers: Readers) -> None:
    """Each is killed while it waits, and the next line comes at once."""
    for pid in range(1, 21):
        process = readers.start("cat", pipe(rv))
        process.kill()
        line(rv, pid)
        assert drain(rv) == [pid]
        process.wait(PATIENCE)


def test_what_a_reader_leaves_goes_to_the_next(rv: Mount) -> None:
    for pid in (1, 2, 3):
        line(rv, pid)
    with (rv / "trace_pipe").open("rb", buffering=0) as file:
        first = file.read(10)
    assert first
    assert drain(rv) == [1, 2, 3]
    for pid in (4, 5):
        line(rv, pid)
    descriptor = os.open(rv / "trace_pipe", os.O_RDONLY)
    text = b""
    while not text.endswith(b"\n"):
        text += os.read(descriptor, 1)
    os.close(descriptor)
    assert pids(text) == [4]
    assert drain(rv) == [5]


def test_small_buffers_get_whole_lines(rv: Mount, readers: Readers) -> None:
    """Two that read byte by byte do not mix."""
    processes = [readers.start("dd", f"if={pipe(rv)}", "bs=1", "status=none") for _ in range(2)]
    for pid in range(1, 31):
        line(rv, pid)
    rv.process.send_signal(signal.SIGTERM)
    got = [pids(process.communicate(timeout=PATIENCE)[0]) for process in processes]
    assert sorted(chain(*got)) == list(range(1, 31))


def test_a_descriptor_that_does_not_wait(rv: Mount) -> None:
    assert drain(rv) == []
    line(rv, 7)
    assert drain(rv) == [7]


def test_poll_select_and_epoll(rv: Mount) -> None:
    with (rv / "trace_pipe").open("rb", buffering=0) as file:
        poll = select.poll()
        poll.register(file, select.POLLIN)
        epoll = select.epoll()
        epoll.register(file, select.EPOLLIN)
        for pid in (1, 2, 3):
            assert poll.poll(0) == []
            assert epoll.poll(0) == []
            sender = subprocess.Popen(["sh", "-c", f"sleep 0.1; echo pid={pid} > {rv / INJECT}"])
            assert [event for _, event in epoll.poll(PATIENCE)] == [select.EPOLLIN]
            assert select.select([file], [], [], 0)[0] == [file]
            assert [event for _, event in poll.poll(0)] == [select.POLLIN]
            assert pids(os.read(file.fileno(), 4096)) == [pid]
            sender.wait(PATIENCE)
        epoll.close()


def test_epoll_by_edges(rv: Mount) -> None:
    """Who is told once per edge, and reads until nothing is left, hears of each line."""
    descriptor = os.open(rv / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
    epoll = select.epoll()
    epoll.register(descriptor, select.EPOLLIN | select.EPOLLET)
    for pid in (1, 2, 3):
        line(rv, pid)
        assert [event for _, event in epoll.poll(PATIENCE)] == [select.EPOLLIN]
        assert pids(os.read(descriptor, 4096)) == [pid]
        with pytest.raises(BlockingIOError):
            os.read(descriptor, 4096)
    epoll.close()
    os.close(descriptor)


def test_poll_wakes_all_who_poll(rv: Mount, readers: Readers) -> None:
    script = "import select; p = select.poll(); f = open('{}'); p.register(f, 1); print(p.poll())"
    pollers = [readers.spawn(sys.executable, "-c", script.format(pipe(rv))) for _ in range(5)]
    wait_until(lambda: all(b"poll" in wchan(Path(f"/proc/{process.pid}")) for process in pollers))
    line(rv, 1)
    for process in pollers:
        assert b", 1)]" in process.communicate(timeout=PATIENCE)[0]
    assert drain(rv) == [1]


@pytest.mark.parametrize("count", [200])
def test_many_who_wait_do_not_stop_the_mount(rv: Mount, readers: Readers, count: int) -> None:
    for _ in range(count):
        readers.spawn("cat", pipe(rv))
    wait_until(lambda: all(waiting(process.pid) for process in readers.all))
    rv.write("enabled_monitors", "wip")
    assert rv.read("enabled_monitors") == "wip\n"
    victim, *others = readers.all
    victim.send_signal(signal.SIGINT)
    assert victim.wait(PATIENCE) == -signal.SIGINT
    for pid in range(1, count):
        line(rv, pid)
    rv.process.send_signal(signal.SIGTERM)
    got = [pids(process.communicate(timeout=PATIENCE)[0]) for process in others]
    assert sorted(chain(*got)) == list(range(1, count))
    assert rv.process.wait(PATIENCE) == 0


def test_all_are_woken_by_their_signals_at_once(rv: Mount, readers: Readers) -> None:
    processes = [readers.start("cat", pipe(rv)) for _ in range(30)]
    for process in processes:
        process.send_signal(signal.SIGINT)
    assert [process.wait(PATIENCE) for process in processes] == [-signal.SIGINT] * 30


def test_unmounting_is_the_end_of_the_file(rv: Mount, readers: Readers) -> None:
    process = readers.start("cat", pipe(rv))
    line(rv, 3)
    assert process.stdout
    assert pids(process.stdout.readline()) == [3]
    rv.process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert rv.process.wait(PATIENCE) == 0


def test_nobody_else_is_disturbed_by_a_signal(rv: Mount, readers: Readers) -> None:
    """Of two that share their parent's descriptors, one is interrupted; the other goes on."""
    first, second = ((rv / "trace_pipe").open("rb", buffering=0) for _ in range(2))
    with first, second:
        victim = readers.start("cat", stdin=first.fileno())
        other = readers.start("cat", stdin=second.fileno())
        victim.send_signal(signal.SIGINT)
        assert victim.wait(PATIENCE) == -signal.SIGINT
        line(rv, 1)
        assert other.stdout
        assert pids(other.stdout.readline()) == [1]
