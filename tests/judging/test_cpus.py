"""How many CPUs may be used: as many as this process may run on, and its groups are given."""

import os
from pathlib import Path

import pytest

from rvfs.judging.cpus import usable

ALLOWED = len(os.sched_getaffinity(0))


def usable_with(folder: Path, own: str, **quotas: str) -> int:
    for group, quota in quotas.items():
        place = folder / group.replace("_", "/").strip("/")
        place.mkdir(parents=True, exist_ok=True)
        (place / "cpu.max").write_text(quota + "\n")
    (folder / "own").write_text(own)
    return usable(folder, folder / "own")


@pytest.fixture(autouse=True)
def many_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("max 100000", 8), ("200000 100000", 2), ("250000 100000", 3), ("1000 100000", 1),
     ("9900000 100000", 8), ("", 8), ("0 0", 8)],
)  # fmt: skip
def test_a_group_may_be_given_less_than_it_may_run_on(
    quota: str, cpus: int, tmp_path: Path
) -> None:
    assert usable_with(tmp_path, "0::/ci\n", ci=quota) == cpus


def test_the_strictest_of_its_groups_decides(tmp_path: Path) -> None:
    quotas = {"ci": "300000 100000", "ci_job": "max 100000", "ci_job_step": "400000 100000"}
    assert usable_with(tmp_path, "12:cpu:/old\n0::/ci/job/step\n", **quotas) == 3


def test_without_groups_it_is_what_it_may_run_on(tmp_path: Path) -> None:
    assert usable(tmp_path, tmp_path / "none") == 8
    assert usable_with(tmp_path, "12:cpu:/old\n") == 8


def test_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= usable() <= ALLOWED
