"""rvfs convert, and the tables that rvfs check writes."""

import json
import lzma
from pathlib import Path

import pytest

from tests.conftest import TRACES
from tests.judging.recordings import write
from tests.shell import Run, Told
from tests.source.tables import overwrite

pytestmark = pytest.mark.needs("parquet")


@pytest.fixture
def convert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """``rvfs convert`` in this process, in the folder of the test."""
    from rvfs.cli import main

    monkeypatch.chdir(tmp_path)

    def run(command: str) -> Told:
        status = main(["convert", *command.split()])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


@pytest.mark.parametrize("kind", ["clean", "wrong", "gap"])
def test_a_table_is_judged_like_the_recording(
    kind: str, convert: Run, check: Run, tmp_path: Path
) -> None:
    write(tmp_path, "with a gap" if kind == "gap" else kind, "trace.txt")
    assert convert("trace.txt trace.parquet") == (0, "", "")
    status, out, err = check("trace.txt -m wwnr")
    assert check("trace.parquet -m wwnr") == (status, out, err.replace(".txt", ".parquet"))


@pytest.mark.needs("traces", "compiled")
@pytest.mark.parametrize("name", ["sched.dat", "sched.txt"])
def test_a_real_recording_is_judged_alike(
    name: str, convert: Run, check: Run, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(lzma.decompress((TRACES / f"{name}.xz").read_bytes()))
    convert(f"{name} table.parquet")
    status, out, err = check(f"{name} -m wip wwnr sched")
    assert len(out.splitlines()) > 100
    assert check("table.parquet -m wip wwnr sched") == (
        status, out, err.replace(f"{name}:", "table.parquet:"),
    )  # fmt: skip


def test_a_table_is_converted_like_the_recording(convert: Run, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write(tmp_path, "with a gap", "trace.txt")
    assert convert("trace.txt first.parquet") == convert("first.parquet second.parquet")
    first, second = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("first", "second"))
    assert second.equals(first)


def test_names_that_tasks_share_are_written_once(convert: Run, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    lines = [f"    cat-{pid} [000] d..2.  0.{pid:06d}: sched_wakeup: " for pid in range(1, 9)]
    wakeup = "comm=cat pid=3 prio=120 target_cpu=000\n"
    (tmp_path / "trace.txt").write_text(wakeup.join([*lines, ""]))
    convert("trace.txt table.parquet")
    for name in ("comm", "sched_wakeup.comm"):
        (chunk,) = pq.read_table(tmp_path / "table.parquet")[name].chunks
        assert len(chunk) == 8
        assert sorted(chunk.dictionary.to_pylist()) in (["cat"], ["", "cat"])


def test_texts_that_cannot_be_read_when_they_are_needed_are_said_in_one_line(
    convert: Run, check: Run, tmp_path: Path
) -> None:
    write(tmp_path, "wrong", "trace.txt")
    write(tmp_path, "clean", "clean.txt")
    for name in ("trace", "clean"):
        convert(f"{name}.txt {name}.parquet")
        overwrite(tmp_path / f"{name}.parquet", "comm", "prev_comm", "sched_wakeup.comm")
    status, out, err = check("trace.parquet -m wwnr")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("rvfs check: trace.parquet: cannot be read: ")
    assert check("clean.parquet -m wwnr")[0] == 0  # nobody needs them there


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("trace.txt table.csv", "table.csv: the name of the table must end in .parquet"),
        ("missing table.parquet", "missing: No such file or directory"),
        ("damaged table.parquet", "damaged: offset 354: line 4 is no event"),
        ("trace.txt nowhere/table.parquet", "nowhere/table.parquet: No such file or directory"),
    ],
)
def test_what_cannot_be_converted_changes_nothing(
    command: str, said: str, convert: Run, tmp_path: Path
) -> None:
    write(tmp_path, "clean", "trace.txt")
    write(tmp_path, "damaged")
    (tmp_path / "table.parquet").write_text("as it was")
    status, out, err = convert(command)
    assert (status > 0, out) == (True, "")
    assert err.startswith(f"rvfs: {said}")
    assert (tmp_path / "table.parquet").read_text() == "as it was"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("names", ["wrong", "wrong clean"])
def test_violations_are_a_table(names: str, check: Run, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write(tmp_path, "wrong")
    write(tmp_path, "clean")
    status, out, err = check(f"{names} -m wwnr -o found.parquet")
    assert (status, out, len(err.splitlines())) == (1, "", len(names.split()))
    assert pq.read_table(tmp_path / "found.parquet").to_pylist() == [
        {
            "file": "wrong", "ts": 4000, "cpu": 0, "pid": 1, "comm": "task", "monitor": "wwnr",
            "key": 1, "task": "a", "state": "not_running", "event": "switch_out", "env": None,
        }
    ]  # fmt: skip


def test_violations_go_to_a_file_in_the_format_that_is_asked_for(
    check: Run, tmp_path: Path
) -> None:
    write(tmp_path, "wrong")
    _, lines, _ = check("wrong -m wwnr")
    assert check("wrong -m wwnr -o found")[1] == ""
    assert (tmp_path / "found").read_text() == lines
    check("wrong -m wwnr -o found --format json")
    assert json.loads((tmp_path / "found").read_text())["task"] == "a"


def test_an_output_that_cannot_be_written_is_refused(check: Run, tmp_path: Path) -> None:
    write(tmp_path, "wrong")
    assert check("wrong -m wwnr -o nowhere/found") == (
        2, "", "rvfs check: nowhere/found: No such file or directory\n",
    )  # fmt: skip
