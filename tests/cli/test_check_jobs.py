"""rvfs check -j: several recordings at a time, and nobody can tell."""

from pathlib import Path

import pytest

from tests.judging.recordings import KINDS, WRONG, write
from tests.shell import in_shell


@pytest.mark.parametrize("style", ["text", "json"])
def test_the_report_is_the_same(style: str, tmp_path: Path) -> None:
    names = [str(write(tmp_path, kind).name) for kind in KINDS]
    traces = " ".join(f"'{name}'" for name in ["missing", *names, names[1]])
    arguments = f"{traces} -m wwnr sched --format {style}"
    status, out, err = in_shell(arguments, tmp_path)
    assert status == 2
    assert len(out.splitlines()) > 3000
    assert len(err.splitlines()) > len(KINDS)
    assert in_shell(f"{arguments} -j 3", tmp_path) == (status, out, err)
    assert in_shell(f"{arguments} -j 0", tmp_path) == (status, out, err)


@pytest.mark.parametrize(("kind", "status"), [("clean", 0), ("wrong", 1), ("damaged", 2)])
def test_the_exit_status_is_that_of_the_worst(kind: str, status: int, tmp_path: Path) -> None:
    write(tmp_path, "clean")
    write(tmp_path, kind)
    assert in_shell(f"clean {kind} -m wwnr -j 2", tmp_path)[0] == status


@pytest.mark.parametrize("count", ["-1", "two", "1.5"])
def test_what_is_no_number_of_jobs_exits_2(count: str, tmp_path: Path) -> None:
    write(tmp_path, "clean")
    status, out, err = in_shell(f"clean -m wwnr --jobs={count}", tmp_path)
    assert (status, out) == (2, "")
    assert err.endswith(
        f"argument -j/--jobs: {count!r} is not a number of jobs (1, 2, ..., or 0)\n"
    )


def test_a_reader_that_has_enough_ends_it_without_a_traceback(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(WRONG * 2_000)
    status, out, err = in_shell("one two -m wwnr -j 2 | head -n 1", tmp_path)
    assert (status, err) == (1, "")
    assert out.startswith("one: 0.000004 [000] wwnr a-1: ")


@pytest.mark.parametrize("name", ["short", "a-name-as-long-" + 70 * "x"], ids=len)
def test_nothing_is_left_in_the_folder_for_temporary_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / name
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    write(tmp_path, "wrong")
    status, out, _ = in_shell("wrong wrong -m wwnr -j 2", tmp_path)
    assert (status, len(out.splitlines())) == (1, 2)
    assert not list(scratch.iterdir())
