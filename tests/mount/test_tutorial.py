"""The sessions of ``docs/adding-a-monitor.md`` with a mount, typed into a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-a-monitor.md").read_text()
#: The file that each fenced block of the page is, by language and number.
FILES = {
    ("dot", 0): "my-monitors/rww/rww.dot", ("toml", 0): "my-monitors/rww/rww.toml",
    ("dot", 1): "answer.dot", ("toml", 1): "answer.toml", ("ltl", 0): "turns.ltl",
}  # fmt: skip


def blocks(language: str, text: str = PAGE) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def session(heading: str) -> list[tuple[str, str]]:
    """(command, what it prints) of a section."""
    section = PAGE[PAGE.index(f"\n## {heading}\n") + 4 :]
    section = section[: section.index("\n## ")]
    parts = [
        part for text in blocks("console", section) for part in re.split(r"(?m)^\$ ", text)[1:]
    ]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


@pytest.mark.needs("root")
@pytest.mark.parametrize("heading", ["Try it by hand", "While it runs"])
def test_the_session_prints_what_the_page_says(heading: str, tmp_path: Path) -> None:
    (tmp_path / "rv").mkdir()
    for (language, number), name in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(blocks(language)[number])
    typed = session(heading)
    assert len(typed) >= 10
    script = 'rvfs() { "$PY" -m rvfs "$@"; }\ntrap "umount -q $PWD/rv" EXIT\n'
    script += "\n".join(f"{command}\necho '--- end ---'" for command, _ in typed)
    done = subprocess.run(
        ["bash"], input=script, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=60, check=False,
        env={**os.environ, "PY": sys.executable, "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    printed = done.stdout.split("--- end ---\n")[:-1]
    for (command, expected), got in zip(typed, printed, strict=True):
        assert got == expected, command
    assert not (tmp_path / "rv").is_mount()
