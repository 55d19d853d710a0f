"""The mount: microseconds per ``cat``, ``echo`` and ``stat``, beside the real tracefs.

Each is what the command does, without starting a process: ``cat`` opens, reads to the end
and closes; ``echo`` opens with O_TRUNC, writes and closes; ``stat`` stats. Client and server
share one CPU, which is the reproducible case; on two, the cost of waking the other rules.
The latency under load is that of the real ``cat``, process and all, on both CPUs.
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

from bench.table import Row

ROUNDS = 2000
CATS = 500
RVFS = (sys.executable, "-m", "rvfs")


def cat(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    while os.read(descriptor, 131072):
        pass
    os.close(descriptor)


def echo(path: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, b"1\n")
    os.close(descriptor)


VERBS: tuple[Callable[[str], object], ...] = (cat, echo, os.stat)


def microseconds(verb: Callable[[str], object], path: Path) -> float:
    """The median of many."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        verb(str(path))
        times.append(time.perf_counter_ns() - began)
    return statistics.median(times) / 1000


@contextmanager
def mounted(*options: str) -> Iterator[Path]:
    """rvfs on a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="rvfs-bench-") as folder:
        subprocess.run([*RVFS, "mount", folder, *options], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run([*RVFS, "umount", folder], check=True)


@contextmanager
def tracefs() -> Iterator[Path | None]:
    """An instance of the real tracefs of its own, or None where that may not be had."""
    with tempfile.TemporaryDirectory(prefix="rvfs-bench-") as folder, ExitStack() as stack:
        if subprocess.run(
            ["mount", "-t", "tracefs", "nodev", folder], capture_output=True
        ).returncode:
            yield None
            return
        stack.callback(subprocess.run, ["umount", folder], check=True)
        instance = Path(folder, "instances", f"rvfs-bench-{os.getpid()}")
        instance.mkdir()
        stack.callback(instance.rmdir)
        yield instance


@contextmanager
def pinned() -> Iterator[None]:
    """This process, and what it starts, on one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def verb_rows() -> Iterator[Row]:
    with pinned(), mounted("--source", "inject") as tree, tracefs() as instance:
        for verb in VERBS:
            ours = microseconds(verb, tree / "monitoring_on")
            real = microseconds(verb, instance / "tracing_on") if instance else None
            yield Row(f"{verb.__name__}, on one CPU", ours, "us", "tracefs", real)


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
    yield from verb_rows()
    yield latency_row()
