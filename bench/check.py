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

from bench.replay import as_text, recorded
from bench.stepping import filled_vocabulary
from bench.table import Goal, Row

#: What finds next to nothing in the recording, and what objects to every third event.
MONITORS = {"few violations": "wwnr", "many violations": "sssw"}
#: Seconds that judging one recording is to take, beside which starting is little, and the bytes
#: at which it is long enough all the same.
BUSY, LARGE = 4.0, 768 << 20
TURNS = 3
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


def end(process: "subprocess.Popen[str]") -> None:
    _, told = process.communicate()
    if process.returncode > 1:
        raise RuntimeError(told)


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


def rows() -> Iterator[Row]:
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
