"""A result is read as it was written: as lines in the form that was wanted, else as verdicts."""

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from rvfs.event import Verdict
from rvfs.judging.executors import in_processes, jobs_of
from rvfs.judging.report import Found, Judged
from rvfs.judging.result import VALUES, Form, Result
from rvfs.judging.unit import judge
from tests.judging.recordings import KINDS, unit, write
from tests.judging.units import alone, outcome


def short(file: str, verdicts: Sequence[Verdict]) -> str:
    return "".join(f"{file}: {verdict.time}\n" for verdict in verdicts)


SHORT = Form("short", short, values=True)
LONG = Form("long", None, values=True)


def lines_of(result: Result) -> str:
    """What the steps have as lines."""
    found = [step for step in result.load(SHORT) if isinstance(step, Found)]
    assert not any(step.verdicts for step in found)
    return "".join(step.lines or "" for step in found)


@pytest.mark.parametrize("kind", KINDS)
def test_of_another_form_the_verdicts_are_read(kind: str, tmp_path: Path, results: Path) -> None:
    whole = unit(write(tmp_path, kind))
    result = Result.of(whole, results)
    result.save(whole.file, judge(whole), SHORT)
    assert result.is_done
    for form in (LONG, VALUES):
        assert outcome(result.load(form)) == alone([whole])[0]
    verdicts, _ = alone([whole])[0]
    assert lines_of(result) == short(whole.file, verdicts)


def test_another_process_writes_the_lines(tmp_path: Path, results: Path) -> None:
    units = [unit(write(tmp_path, kind)) for kind in ("very wrong", "clean", "wrong")]
    form = Form("short", short, values=False)
    with closing(in_processes(jobs_of(units, results, form), 2)) as found:
        told = ["".join(getattr(step, "lines", "") for step in steps) for steps in found]
    assert told == [
        short(one.file, verdicts) for one, (verdicts, _) in zip(units, alone(units), strict=True)
    ]


def test_a_name_may_be_any_bytes(tmp_path: Path, results: Path) -> None:
    whole = unit(write(tmp_path, "wrong", os.fsdecode(b"\xff\n")))
    result = Result.of(whole, results)
    result.save(whole.file, judge(whole), SHORT)
    verdicts, end = outcome(result.load(VALUES))
    assert lines_of(result) == short(whole.file, verdicts)
    assert end.report
    assert end.report.file == whole.file


def test_what_was_cut_off_is_not_whole(tmp_path: Path, results: Path) -> None:
    whole = unit(write(tmp_path, "wrong"))
    result = Result.of(whole, results)
    result.save(whole.file, judge(whole), SHORT)
    (file,) = results.iterdir()
    data = file.read_bytes()
    for length in range(len(data)):
        file.write_bytes(data[:length])
        assert not result.is_done
    result.unpack(True, data)
    assert result.is_kept
    assert isinstance([*result.load(SHORT)][-1], Judged)
