"""Units are judged by whoever there is; what comes of them is the same."""

import os
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rvfs.judging.executors import in_processes, jobs_of
from tests.judging.recordings import KINDS, unit, write
from tests.judging.units import Deadly, Endless, Outcome, alone, outcome


def together(units: Iterable[Any], count: int, folder: Path) -> list[Outcome]:
    with closing(in_processes(jobs_of(list(units), folder), count)) as results:
        return [outcome(steps) for steps in results]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_processes_finds_what_one_does(
    count: int, tmp_path: Path, results: Path
) -> None:
    units = [unit(write(tmp_path, kind), "wwnr", "sssw") for kind in KINDS]
    assert together(units, count, results) == alone(units)


def test_a_unit_that_loses_its_process_is_judged_again(tmp_path: Path, results: Path) -> None:
    units = [unit(write(tmp_path, kind)) for kind in KINDS]
    lives = tmp_path / "lives"
    lives.write_bytes(b"1")
    deadly = [Deadly(units[1], lives), *units]
    assert together(deadly, 2, results) == alone([units[1], *units])
    assert not lives.read_bytes()


def test_a_unit_that_loses_every_process_is_told_and_the_others_are_judged(
    tmp_path: Path, results: Path
) -> None:
    units = [unit(write(tmp_path, kind)) for kind in KINDS]
    lives = tmp_path / "lives"
    lives.write_bytes(b"many")
    (found, end), *others = together([Deadly(units[0], lives), *units], 2, results)
    assert others == alone(units)
    assert (found, end.report) == ([], None)
    assert end.error == (
        f"{units[0].file}: the process that judged it was killed, twice (out of memory?)"
    )


def test_whoever_has_enough_ends_the_processes(tmp_path: Path) -> None:
    clean = unit(write(tmp_path, "clean"))
    process = tmp_path / "process"
    os.mkfifo(process)
    jobs = jobs_of([clean, Endless(clean, process)], tmp_path)  # type: ignore[list-item]
    with closing(in_processes(jobs, 2)) as results:
        assert outcome(next(results)) == alone([clean])[0]
        held = int(process.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(held, 0)
