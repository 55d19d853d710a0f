"""The session in docs/hwbp.md, typed into a shell beside a mount, prints what it says."""

import os
import platform
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rvfs.testing import Mount

PAGE = Path(__file__).parents[2] / "docs/hwbp.md"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: What differs from run to run: the number of the task, its name while it starts, and how a
#: script is told from a shell.
DIFFERS = (
    (re.compile(r"(task[: ])\d+"), r"\1PID"),
    (re.compile(r"\(bash\)"), "(sleep)"),
    (re.compile(r"^bash: line \d+"), "bash"),
)

pytestmark = pytest.mark.skipif(
    (os.cpu_count(), platform.machine()) != (2, "x86_64"),
    reason="the page shows an x86 machine with 2 CPUs",
)


def session() -> list[tuple[str, str]]:
    """(command, what it prints) of the section on the files."""
    page = PAGE.read_text()
    section = page[page.index("## The files") : page.index("## The order of the errors")]
    parts = [part for block in BLOCK.findall(section) for part in block.split("$ ")[1:]]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def plain(text: str) -> str:
    for pattern, word in DIFFERS:
        text = pattern.sub(word, text)
    return text


def test_the_session_prints_what_the_page_says(rv_mount: Callable[..., Mount]) -> None:
    beside_rv = rv_mount().path.parent
    typed = session()
    assert len(typed) > 15
    script = "\n".join(f"{command}\necho '--- end ---'" for command, _ in typed)
    done = subprocess.run(
        ["bash"], input=script, cwd=beside_rv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    printed = done.stdout.split("--- end ---\n")[:-1]
    for (command, expected), got in zip(typed, printed, strict=True):
        assert plain(got) == plain(expected), command
