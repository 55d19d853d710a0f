"""``rvfs check`` on several recordings: the whole command, from its start to its exit status.

The recordings are as long as it takes for the command to be busy for a while with them.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.replay import as_text, recorded
from bench.stepping import filled_vocabulary
from bench.table import Goal, Row, best

MONITORS = ("wip", "wwnr", "sched")
#: Seconds of judging one recording that make what a process costs small beside them, and the
#: bytes at which it is long enough all the same.
BUSY, LARGE = 4.0, 768 << 20


def check(recordings: list[Path], jobs: int) -> float:
    """Seconds of the command."""

    def run() -> None:
        told = subprocess.run(
            [sys.executable, "-m", "rvfs", "check", *recordings, "-m", *MONITORS, f"-j{jobs}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
        if told.returncode > 1:
            raise RuntimeError(told.stderr.decode())

    return best(run)


def rows() -> Iterator[Row]:
    vocabulary = filled_vocabulary()
    with tempfile.TemporaryDirectory(prefix="rvfs-bench-") as folder:
        one, two = Path(folder, "one"), Path(folder, "two")
        text = as_text(vocabulary, recorded(vocabulary))
        one.write_bytes(text)
        while check([one], 1) < BUSY and one.stat().st_size < LARGE:
            with one.open("ab") as file:
                file.write(text)
            text += text
        two.hardlink_to(one)
        serial, parallel = check([one, two], 1), check([one, two], 2)
        yield Row("two recordings, -j 2 beside -j 1", serial / parallel, "x", goal=Goal(">=", 1.8))
