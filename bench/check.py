"""``rvfs check`` on two recordings: the whole command, from its start to its exit status.

Two processes beside each other are twice as quick as one only where the machine lets them;
what it gives two loops of nothing but Python stands in front. Runs with one job and with two
take turns, and the best of each counts, so that a neighbour who comes and goes meets both.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.replay import as_dat, as_text, recorded, repeat
from bench.stepping import filled_vocabulary
from bench.table import Goal, Row

#: What finds next to nothing in the recording, and what objects to every third event.
MONITORS = {"few violations": "wwnr", "many violations": "sssw"}
#: Seconds that judging one recording is to take, beside which starting is little, and the bytes
#: at which it is long enough all the same.
BUSY, LARGE = 4.0, 768 << 20
TURNS = 3
#: Bytes of the recording for which memory must be enough.
LONGEST = 5_000_000_000
#: The command, which tells last what it had (``VmHWM: 12345 kB``).
MOST = """
import sys
from rvfs.cli import main
main()
sys.stderr.write(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
LOOP = "for _ in range(10**8): pass"

#: As where rvfs is installed: with what Python keeps of the code, and rvfs of the monitors.
KEPT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

_run = partial(
    subprocess.Popen, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=KEPT
)


def check(recordings: list[Path], monitor: str, jobs: int) -> float:
    """Seconds of the command."""
    command = ["-m", "rvfs", "check", *map(str, recordings), "-m", monitor, f"-j{jobs}"]
    return seconds(lambda: end(_run([sys.executable, *command])))


def loops(at_a_time: int) -> float:
    """Seconds of two loops."""

    def run() -> None:
        for _ in range(2 // at_a_time):
            for process in [_run([sys.executable, "-c", LOOP]) for _ in range(at_a_time)]:
                end(process)

    return seconds(run)


def end(process: "subprocess.Popen[str]") -> str:
    """What it told on stderr."""
    _, told = process.communicate()
    if process.returncode > 1:
        raise RuntimeError(told)
    return told


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def speedup(run: Callable[[int], float]) -> float:
    """How many times as quick it is with two at a time."""
    taken = [(run(1), run(2)) for _ in range(TURNS)]
    return min(serial for serial, _ in taken) / min(parallel for _, parallel in taken)


def lengthened(text: bytes, path: Path, monitor: str) -> None:
    """Write the text again and again, until it keeps the monitor busy for a while."""
    path.write_bytes(text)
    while check([path], monitor, 1) < BUSY and path.stat().st_size < LARGE:
        with path.open("ab") as file:
            for _ in range(path.stat().st_size // len(text)):
                file.write(text)


def resident(recording: Path) -> float:
    """MB of memory that the command had at most, what it has mapped of the file included."""
    process = _run([sys.executable, "-c", MOST, "check", str(recording), "-m", "wwnr"])
    return int(end(process).split()[-2]) * 1024 / 1e6


def memory(folder: Path) -> Iterator[Row]:
    """What a recording takes that is ten times as long as another."""
    vocabulary = filled_vocabulary()
    recording = as_dat(vocabulary, recorded(vocabulary))
    most = min(LONGEST, shutil.disk_usage(folder).free // 2)
    for size in (most // 10, most):
        path = folder / "long.dat"
        repeat(recording, size // len(recording), path)
        name = f"check, resident, trace.dat of {path.stat().st_size / 1e6:,.0f} MB"
        yield Row(name, resident(path), "MB", goal=Goal("<=", 100, "MB"))
        path.unlink()


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="rvfs-bench-") as folder:
        yield from memory(Path(folder))
    yield Row("two loops of Python, two beside one at a time", speedup(loops), "x")
    vocabulary = filled_vocabulary()
    text = as_text(vocabulary, recorded(vocabulary))
    with tempfile.TemporaryDirectory(prefix="rvfs-bench-") as folder:
        one, two = Path(folder, "one"), Path(folder, "two")
        for what, monitor in MONITORS.items():
            lengthened(text, one, monitor)
            shutil.copyfile(one, two)
            gain = speedup(partial(check, [one, two], monitor))
            yield Row(f"two recordings, {what}, -j 2 beside -j 1", gain, "x", goal=Goal(">=", 1.8))
