"""The session of the README, typed into a shell beside ``make run``, prints what it says."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rvfs.testing import Mount

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)

#: What differs from run to run: a task's name and number, times, and the date of a message.
DIFFERS = (
    (re.compile(r"^\s*\S+-\d+\s+\[\d+\]", re.MULTILINE), "TASK [CPU]"),
    (re.compile(r"^( *)\d+\.\d{6} \[000\]", re.MULTILINE), r"\1TIME [000]"),
    (re.compile(r"error_wwnr: \d+:"), "error_wwnr: PID:"),
    (re.compile(r"^\[ *\d+\.\d+\]", re.MULTILINE), "[TIME]"),
    (re.compile(r" +\d+\.\d{6}:"), " TIME:"),
    (re.compile(r"^\d{4}-\d\d-\d\d \S+", re.MULTILINE), "DATE"),
    (re.compile(r"^bash: line \d+:", re.MULTILINE), "bash:"),
)


def session() -> list[tuple[str, str]]:
    """(command, what it prints) of every command that has to do with ./rv."""
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## A session") : text.index("## Check a recording")]
    found = []
    for block in BLOCK.findall(section):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def plain(text: str) -> str:
    for pattern, word in DIFFERS:
        text = pattern.sub(word, text)
    return text


def options_of_make_run() -> dict[str, str]:
    """What ``make run`` mounts with, but for the place and the foreground."""
    text = (ROOT / "tools/run").read_text()
    line = re.search(r"^exec .venv/bin/rvfs mount rv (.*) -f$", text, re.MULTILINE)
    assert line is not None
    words = iter(shlex.split(line[1]))
    return {word.removeprefix("--"): next(words) for word in words}


@pytest.mark.needs("fuse", "root", "kmsg")
def test_the_session_prints_what_the_readme_says(rv_mount: Callable[..., Mount]) -> None:
    beside_rv = rv_mount(**options_of_make_run()).path.parent
    assert len(session()) > 15
    for command, expected in session():
        done = subprocess.run(
            ["bash", "-c", command], cwd=beside_rv, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert plain(done.stdout) == plain(expected), command
