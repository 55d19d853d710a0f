"""Nothing stale, nothing torn, a million times: see ``rounds.c``."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rvfs.testing import Mount

ROUNDS = 1_000_000
PATIENCE = 1800


@contextmanager
def beside(process: int) -> Iterator[None]:
    """This process, what it starts and that one share a CPU, as is quickest."""
    before = os.sched_getaffinity(0)
    for one in (0, process):
        os.sched_setaffinity(one, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.needs("compiler", "compiled")
def test_what_is_written_through_one_path_is_read_through_another(
    rv: Mount, tmp_path: Path
) -> None:
    program = tmp_path / "rounds"
    source = Path(__file__).with_name("rounds.c")
    subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-o", program, source], check=True)
    with beside(rv.process.pid):
        done = subprocess.run(
            [program, rv.path, str(ROUNDS)], capture_output=True, text=True, check=False,
            timeout=PATIENCE,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    looks = [int(line.split()[0]) for line in done.stdout.splitlines()]
    assert sum(looks) >= ROUNDS
    assert min(looks) > ROUNDS / 100_000, "every way to look was gone"
    assert "Traceback" not in rv.log
