"""The Makefile."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rvfs.testing import Mount

REPOSITORY = Path(__file__).parents[2]


def test_make_alone_says_what_can_be_made() -> None:
    said = subprocess.run(["make"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    listed = re.findall(r"^make ([\w-]+) +\S", said.stdout, re.MULTILINE)
    targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert listed == targets
    assert {"run", "test", "check", "bench", "clean"} <= {*listed}


@pytest.mark.needs("fuse")
def test_each_of_the_six_lines_of_make_run_works(rv_mount: Callable[..., Mount]) -> None:
    text = (REPOSITORY / "tools" / "run").read_text()
    lines = re.findall(r"^  (\S.*?)  +\S", text, re.MULTILINE)
    assert len(lines) == 6
    rv = rv_mount(source="sim", fault="wwnr:20")
    said = {line: first_line(line, rv.path.parent) for line in lines}
    assert said["cat rv/available_monitors"] == "wip\n"
    assert "error_wwnr" in said["cat rv/trace_pipe"]
    assert rv.read("enabled_monitors") == "wwnr\n"
    assert "[printk]" in rv.read("monitors/wwnr/reactors")


def first_line(line: str, folder: Path) -> str:
    """What a shell says first when it is given the line; it must not complain."""
    shell = ["sh", "-ec", f"exec 2>&1; {line}"]
    with subprocess.Popen(
        shell, cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        if line.endswith("trace_pipe"):
            os.killpg(process.pid, signal.SIGINT)
        process.stdout.read()
    assert process.returncode in (0, -signal.SIGINT), said
    return said
