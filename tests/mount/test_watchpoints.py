"""``docs/watchpoints.md``: typed into a shell, it finds the race that is there and no other."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rvfs.testing import Mount

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "watchpoints.md").read_text()
PATIENCE = 60.0

#: What the shell needs that a reader has: the command, and the time to type.
PRELUDE = f'rvfs() {{ {sys.executable} -m rvfs "$@"; }}\n'
STARTED = "./account 1 > words &"
STOPPED = "until grep -q '^State:.T' /proc/$!/status; do sleep 0.01; done"

#: What differs from run to run.
DIFFERS = (
    (re.compile(r"\b0x[0-9a-f]+"), "ADDRESS"),
    (re.compile(r"pid=\d+"), "pid=PID"),
    (re.compile(r"^ *account-\d+ +\[\d+\] \.{5} +\d+\.\d+: error_guarded: \d+:", re.M), "TASK:"),
)

pytestmark = pytest.mark.needs("perf-breakpoints")


def session() -> list[str]:
    """The lines of all that is typed and printed, in order."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return "".join(blocks).splitlines(keepends=True)


def alike(text: str) -> str:
    for pattern, word in DIFFERS:
        text = pattern.sub(word, text)
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "docs").symlink_to(DOCS)
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path / "rv")], capture_output=True, check=False)


def typed(folder: Path, forgotten: int) -> str:
    """What the page's commands print, where so many rounds forget the lock."""
    script = PRELUDE + "".join(line[2:] for line in session() if line.startswith("$ "))
    assert script.count(STARTED) == 1
    started = STARTED.replace("1", str(forgotten), 1)
    done = subprocess.run(
        ["bash", "-c", script.replace(STARTED, f"{started}\n{STOPPED}")],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def test_the_page_prints_what_it_says(folder: Path) -> None:
    printed = "".join(line for line in session() if not line.startswith("$ "))
    assert alike(typed(folder, 1)) == alike(printed)


@pytest.mark.parametrize("forgotten", [0, 3])
def test_it_finds_every_planted_race_and_nothing_else(folder: Path, forgotten: int) -> None:
    printed = typed(folder, forgotten)
    taken, released, written, *found = printed.splitlines()[4:]
    assert (taken, released, written) == (str(200 - forgotten), str(200 - forgotten), "200")
    assert len(found) == forgotten
    assert all("event write not expected in the state unlocked" in line for line in found)


@pytest.mark.parametrize(("block", "file"), [("dot", "guarded.dot"), ("toml", "guarded.toml")])
def test_the_page_shows_the_files_as_they_are(block: str, file: str) -> None:
    shown = re.search(rf"^```{block}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert shown is not None
    assert shown[1] == (DOCS / "watchpoints" / "guarded" / file).read_text()


def test_the_page_shows_the_program_as_it_is() -> None:
    shown = re.search(r"^```c\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert shown is not None
    assert shown[1] in (DOCS / "watchpoints" / "account.c").read_text()


# -- tracepoints that come and go ---------------------------------------------------------------


@pytest.fixture
def watching(rv_mount: Callable[..., Mount]) -> Iterator[tuple[Mount, int]]:
    """A mount, and a process that waits."""
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    yield rv_mount(source="none", hwbp="perf"), child.pid
    child.communicate()


def names(rv: Mount) -> set[str]:
    folder = rv / "events"
    return (
        {one.name for one in (folder / "hwbp").iterdir()} if (folder / "hwbp").is_dir() else set()
    )


def test_a_breakpoint_brings_its_tracepoint_and_takes_it_along(
    watching: tuple[Mount, int],
) -> None:
    rv, pid = watching
    assert names(rv) == set()
    rv.write("hwbp/reserve", f"open word task:{pid} -1 W 8 0x1000")
    assert names(rv) == {"enable", "word"}
    assert "field:u64 address;" in rv.read("events/hwbp/word/format")
    rv.write("events/hwbp/word/enable", "1")
    (rv / "hwbp/bp/word").rmdir()
    assert names(rv) == set()
    assert rv.read("trace").endswith("|         |\n")


def test_a_dry_run_brings_none(watching: tuple[Mount, int]) -> None:
    rv, pid = watching
    rv.write("hwbp/check", f"open word task:{pid} -1 W 8 0x1000")
    assert names(rv) == set()


def test_injected_it_is_an_event_like_any_other(watching: tuple[Mount, int]) -> None:
    rv, pid = watching
    rv.write("hwbp/reserve", f"open word task:{pid} -1 W 8 0x1000")
    rv.write("events/hwbp/word/enable", "1")
    rv.write("events/hwbp/word/inject", "address=4096 ip=1 pid=7 tgid=7 cpu=0")
    assert "word: address=0x1000 ip=0x1 pid=7 tgid=7 cpu=0\n" in rv.read("trace")
