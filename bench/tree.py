"""The mount: microseconds per operation, beside a file system in C that serves the same bytes.

``served.c`` is that file system, on libfuse, with copies of what lies in the root of the tree;
``client.c`` does the operations, the same ones on both. Client and server share one CPU, which
is the reproducible case; on two, the cost of waking the other rules. The requests that the
kernel sends are counted in the request handlers. The latency under load is that of the real
``cat``, process and all, on both CPUs.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.mount.test_cache import Counted

from bench.table import Goal, Row

CATS = 500
STARTED = 5
TURNS = 5
#: Arguments of rvfs → how many ms they may take.
STARTS = {
    "--version": 80, "mount --source inject {tree}": 300, "check {trace} -m wwnr": 200,
}  # fmt: skip
#: 90 bytes of ftrace text.
WAKEUP = "  task-7  [000] d..2. 1.{:06d}: sched_wakeup: comm=a pid=1 prio=120 target_cpu=000\n"
RVFS = (sys.executable, "-m", "rvfs")
HERE = Path(__file__).parent
NOTHING = Goal("<=", 0, "requests")
#: What ours may cost, as a multiple of what C costs.
GOAL = Goal("<=", 1.8)
#: Operation of ``client.c`` → the file of the tree that it is done on; those with the goal.
GOALS = {
    "open+read+close": "monitoring_on", "pread": "monitoring_on", "write": "monitoring_on",
    "stat": "monitoring_on", "readdir": "",
}  # fmt: skip
OTHERS = {"cat": "monitoring_on", "echo": "monitoring_on", "getattr": "monitoring_on"}


@contextmanager
def mounted(*options: str) -> Iterator[Path]:
    """rvfs on a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="rvfs-bench-") as folder:
        subprocess.run([*RVFS, "mount", folder, *options], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run([*RVFS, "umount", folder], check=True)


def compiled(name: str, folder: Path, *libraries: str) -> Path:
    """One of the C files here. Raises CalledProcessError or OSError where it cannot be built."""
    flags: list[str] = []
    for library in libraries:
        command = ["pkg-config", "--cflags", "--libs", library]
        flags += subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    program = folder / name
    source = HERE / f"{name}.c"
    subprocess.run(["cc", "-O2", "-o", program, source, *flags], capture_output=True, check=True)
    return program


@contextmanager
def served(tree: Path, folder: Path) -> Iterator[Path]:
    """The same bytes, served by C."""
    program, copies, mountpoint = compiled("served", folder, "fuse3"), folder / "of", folder / "c"
    mountpoint.mkdir()
    copy(tree, copies)
    server = subprocess.Popen([program, "-f", mountpoint, copies])
    try:
        while not mountpoint.is_mount():
            time.sleep(0.01)
        yield mountpoint
    finally:
        subprocess.run(["umount", mountpoint], check=True)
        server.wait()


def copy(tree: Path, copies: Path) -> None:
    copies.mkdir()
    for one in tree.iterdir():
        if one.is_dir():
            (copies / one.name).mkdir()
        else:
            (copies / one.name).write_bytes(b"" if one.name == "trace_pipe" else one.read_bytes())


@contextmanager
def pinned() -> Iterator[None]:
    """This process, and what it starts, on one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def operation_rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="rvfs-bench-") as name, pinned():
        folder = Path(name)
        with mounted("--source", "inject") as tree, ExitStack() as stack:
            try:
                client = compiled("client", folder)
                theirs = stack.enter_context(served(tree, folder))
            except (OSError, subprocess.CalledProcessError) as error:
                yield Row(f"(no row for operations: libfuse in C cannot be built: {error})", 0, "")
                return
            for operation, file in (GOALS | OTHERS).items():
                ours, against = side_by_side(client, operation, tree / file, theirs / file)
                goal = GOAL if operation in GOALS else None
                name = f"{operation}, on one CPU"
                yield Row(name, ours, "us", "libfuse in C", against, goal)


def side_by_side(client: Path, operation: str, ours: Path, theirs: Path) -> tuple[float, float]:
    """In turns, so that a busy moment does not fall on one alone."""
    turns = [
        (microseconds(client, operation, ours), microseconds(client, operation, theirs))
        for _ in range(TURNS)
    ]
    return min(our for our, _ in turns), min(their for _, their in turns)


def microseconds(client: Path, operation: str, path: Path) -> float:
    """The best of many short runs."""
    done = subprocess.run([client, operation, path], capture_output=True, text=True, check=True)
    return float(done.stdout)


def request_rows() -> Iterator[Row]:
    """How often the kernel asks for what did not change, in a thousand looks; none is the goal."""
    with tempfile.TemporaryDirectory(prefix="rvfs-bench-") as name:
        mount = Counted(Path(name))
        looks: dict[str, Callable[[Path], object]] = {"stat": os.stat, "ls": os.listdir}
        for verb, look in looks.items():
            look(mount.path)
            mount.path.stat()
            count = mount.costs(lambda look=look: [look(mount.path) for _ in range(1000)])  # type: ignore[misc]
            yield Row(f"{verb} of what did not change x 1000", count, "requests", goal=NOTHING)
        mount.close()


def start_rows() -> Iterator[Row]:
    """From the start of the process to its end; a mount ends when the tree has answered."""
    with tempfile.TemporaryDirectory(prefix="rvfs-bench-") as name:
        trace, tree = Path(name, "trace.txt"), Path(name, "rv")
        trace.write_text("".join(WAKEUP.format(number) for number in range(110)))
        tree.mkdir()
        for arguments, goal in STARTS.items():
            command = [word.format(trace=trace, tree=tree) for word in arguments.split()]
            yield Row(f"rvfs {command[0]}", started(command), "ms", goal=Goal("<=", goal))


def started(arguments: list[str]) -> float:
    """Milliseconds, the best of several."""
    times = []
    for _ in range(STARTED):
        began = time.perf_counter()
        subprocess.run([*RVFS, *arguments], capture_output=True, check=True)
        times.append(time.perf_counter() - began)
        if arguments[0] == "mount":
            subprocess.run(["umount", arguments[-1]], check=True)
    return min(times) * 1000


def latency_row() -> Row:
    """The 99th percentile of ``cat available_monitors`` while the simulator runs flat out."""
    with mounted("--source", "sim", "--rate", "max") as tree:
        for monitor in ("wip", "wwnr", "sched"):
            (tree / "enabled_monitors").open("a").write(monitor)
        times = []
        for _ in range(CATS):
            began = time.perf_counter()
            subprocess.run(
                ["cat", tree / "available_monitors"], stdout=subprocess.DEVNULL, check=True
            )
            times.append(time.perf_counter() - began)
    return Row(
        "cat under full load, 99th percentile",
        statistics.quantiles(times, n=100)[98] * 1000,
        "ms",
        "goal",
        50.0,
    )


def rows() -> Iterator[Row]:
    yield from operation_rows()
    yield from request_rows()
    yield from start_rows()
    yield latency_row()
