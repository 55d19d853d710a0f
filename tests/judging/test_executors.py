"""Units are judged by whoever there is; what comes of them is the same."""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rvfs.event import Verdict
from rvfs.judging.executors import in_processes, in_this_process
from rvfs.judging.report import Judged, Step
from rvfs.judging.unit import Unit
from rvfs.monitor import Monitor
from tests.judging.recordings import KINDS, unit, write

Outcome = tuple[list[Verdict], Judged]


def outcome(steps: Iterable[Step]) -> Outcome:
    *found, end = steps
    assert isinstance(end, Judged)
    return [verdict for step in found for verdict in step.verdicts], end  # type: ignore[union-attr]


def alone(units: Iterable[Unit]) -> list[Outcome]:
    return [outcome(steps) for steps in in_this_process(list(units))]


def together(units: Iterable[Any], count: int, folder: Path) -> list[Outcome]:
    with closing(in_processes(list(units), count, folder)) as results:
        return [outcome(steps) for steps in results]


@dataclass(frozen=True)
class Deadly:
    """A unit that takes its process with it, as often as ``lives`` has bytes."""

    unit: Unit
    lives: Path

    @property
    def file(self) -> str:
        return self.unit.file

    @property
    def monitors(self) -> tuple[Monitor, ...]:
        left = self.lives.read_bytes()
        if left:
            self.lives.write_bytes(left[1:])
            os.kill(os.getpid(), signal.SIGKILL)
        return self.unit.monitors


@dataclass(frozen=True)
class Endless(Deadly):
    """A unit that is never done; in ``lives`` it tells which process it holds."""

    @property
    def monitors(self) -> tuple[Monitor, ...]:
        self.lives.write_text(str(os.getpid()))
        signal.pause()
        raise AssertionError


@pytest.fixture
def results(tmp_path: Path) -> Iterator[Path]:
    """A folder for results in which nothing half written remains."""
    folder = tmp_path / "results"
    folder.mkdir()
    yield folder
    assert not list(folder.glob("*.part"))


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
    with closing(in_processes([clean, Endless(clean, process)], 2, tmp_path)) as results:  # type: ignore[list-item]
        assert outcome(next(results)) == alone([clean])[0]
        held = int(process.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(held, 0)
