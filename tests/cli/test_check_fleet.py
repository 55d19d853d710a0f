"""rvfs check on folders: which recordings are meant, what is kept, what is judged again."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.judging.recordings import CLEAN, WRONG, write
from tests.shell import Run

VIOLATION = "0.000004 [000] wwnr a-1: event switch_out not expected in the state not_running"


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """Three hosts, one of them damaged, and what lies around."""
    for host, kind in (("b", "wrong"), ("a", "clean"), ("c", "damaged")):
        (tmp_path / host).mkdir()
        write(tmp_path / host, kind, "trace.txt")
    (tmp_path / "README").write_text("# What this is\nRecordings.\n")
    (tmp_path / "notes").write_text("# Only a title\n")
    (tmp_path / "b" / ".hidden").write_text("not looked at")
    return tmp_path


REPORT = [
    "README: skipped: not an ftrace text: line 2 is no event: 'Recordings.'",
    "notes: skipped: there is no event in it",
    "a/trace.txt: 3 events, violations: wwnr 0",
    "b/trace.txt: 3 events, violations: wwnr 1",
    f"rvfs check: c/trace.txt: offset {len(WRONG)}: line 4 is no event: '\\x07junk'",
    "rvfs check: 3 recordings: 1 clean, 1 with violations, 1 unusable",
]
FOUND = [f"b/trace.txt: {VIOLATION}", f"c/trace.txt: {VIOLATION}"]


@pytest.mark.parametrize("options", ["", "-j 2", "--results .results"])
def test_a_folder_stands_for_its_recordings_in_the_order_of_their_names(
    options: str, check: Run, fleet: Path
) -> None:
    status, out, err = check(f". -m wwnr {options}")
    assert (status, out.splitlines(), err.splitlines()) == (2, FOUND, REPORT)


def test_a_pattern_stands_for_what_it_fits(check: Run, fleet: Path) -> None:
    status, out, err = check("'[ab]/*.txt' -m wwnr")
    assert (status, out.splitlines()) == (1, FOUND[:1])
    total = "rvfs check: 2 recordings: 1 clean, 1 with violations, 0 unusable"
    assert err.splitlines() == [*REPORT[2:4], total]


def test_a_pattern_that_fits_nothing_is_a_file_that_is_not_there(check: Run, fleet: Path) -> None:
    assert check("'x/*' -m wwnr") == (
        2, "", "rvfs check: x/*: No such file or directory\n",
    )  # fmt: skip


def test_a_folder_without_a_recording_exits_2(check: Run, fleet: Path) -> None:
    (fleet / "empty").mkdir()
    assert check("empty -m wwnr") == (
        2, "", "rvfs check: there is no recording in empty\n",
    )  # fmt: skip


def test_a_file_that_is_empty_is_not_skipped(check: Run, fleet: Path) -> None:
    (fleet / "a" / "trace.txt").write_text("")
    status, _, err = check("a -m wwnr")
    assert status == 2
    assert err.startswith("rvfs check: a/trace.txt: offset 0: the file is empty\n")


def judged_before(err: str) -> int:
    """How many recordings a run found judged already."""
    first = next((line for line in err.splitlines() if "were judged before" in line), "x x 0")
    return int(first.split()[2])


def test_what_was_judged_is_not_judged_again(check: Run, fleet: Path) -> None:
    command = "a b c -m wwnr --results results"
    status, out, err = check(command)
    again = check(command)
    assert again[:2] == (status, out)
    before, _, after = again[2].partition("\n")
    assert before == "rvfs check: 2 of 3 recordings were judged before (results)"
    assert after == err


def test_a_result_serves_any_format(check: Run, fleet: Path) -> None:
    check("b -m wwnr --results results")
    plain = check("b -m wwnr --format json")
    kept = check("b -m wwnr --format json --results results")
    assert judged_before(kept[2]) == 1
    assert kept[:2] == plain[:2]


def rewrite(fleet: Path) -> str:
    (fleet / "b" / "trace.txt").write_text(CLEAN)
    return "b -m wwnr"


def touch(fleet: Path) -> str:
    os.utime(fleet / "b" / "trace.txt", (1, 1))
    return "b -m wwnr"


def another_monitor(fleet: Path) -> str:
    return "b -m wwnr sssw"


def another_model(fleet: Path) -> str:
    for suffix in ("dot", "toml"):
        folder = Path(__file__).parents[2] / "src" / "rvfs" / "monitors" / "wwnr"
        text = (folder / f"wwnr.{suffix}").read_text().replace("wakeup", "woken")
        (fleet / f"wwnr.{suffix}").write_text(text.replace("sched_woken", "sched_wakeup"))
    return "b --model wwnr.dot"


def unfinished(fleet: Path) -> str:
    (kept,) = (fleet / "results").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])
    return "b -m wwnr"


@pytest.mark.parametrize(
    "change", [rewrite, touch, another_monitor, another_model, unfinished],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_what_has_changed_is_judged_anew(
    change: Callable[[Path], str], check: Run, fleet: Path
) -> None:
    check("b -m wwnr --results results")
    command = change(fleet)
    anew = check(f"{command} --results results")
    assert judged_before(anew[2]) == 0
    assert anew == check(command)


def test_results_that_cannot_be_kept_are_refused(check: Run, fleet: Path) -> None:
    status, out, err = check("b -m wwnr --results README")
    assert (status, out, err) == (2, "", "rvfs check: --results README: File exists\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--executor dask", "--executor dask needs the address of its --scheduler"),
        ("--scheduler tcp://x:1", "--scheduler is of --executor dask"),
    ],
)
def test_a_cluster_and_its_scheduler_are_named_together(
    options: str, said: str, check: Run, fleet: Path
) -> None:
    status, out, err = check(f"b -m wwnr {options}")
    assert (status, out) == (2, "")
    assert err.startswith(f"rvfs check: {said}")
