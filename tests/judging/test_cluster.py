"""A Dask cluster of separate processes judges what one process does, workers lost or not."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import rvfs
from rvfs.errors import RvfsError
from rvfs.judging.executors import jobs_of
from tests.judging.recordings import KINDS, unit, write
from tests.judging.units import Deadly, Endless, Outcome, alone, outcome
from tests.shell import Run

pytestmark = pytest.mark.needs("dask")

REPOSITORY = Path(__file__).parents[2]


class Cluster:
    """A scheduler and its workers, each a process."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._about = folder, folder / "scheduler.json"
        self.processes: list[subprocess.Popen[bytes]] = []
        arguments = ["--port=0", f"--scheduler-file={self._about}"]
        self.scheduler = self._start("dask_scheduler", *arguments)
        while not self._about.exists() or not self._about.read_text().endswith("}"):
            assert self.scheduler.poll() is None
            time.sleep(0.02)
        self.address = json.loads(self._about.read_text())["address"]

    def add_worker(self) -> None:
        arguments = [f"--local-directory={self._folder}", "--nthreads=1", "--no-nanny"]
        self._start("dask_worker", self.address, *arguments)

    def wait_for_workers(self, count: int) -> None:
        import distributed

        with distributed.Client(self.address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
            client.wait_for_workers(count, timeout=60)

    def end(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def _start(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", f"distributed.cli.{program}", *arguments]
        environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}"}
        command += ["--host=127.0.0.1", "--no-dashboard"]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process


@contextmanager
def cluster_of(workers: int, folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        for _ in range(workers):
            cluster.add_worker()
        if workers:
            cluster.wait_for_workers(workers)
        yield cluster
    finally:
        cluster.end()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler with two workers."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    with cluster_of(2, folder) as cluster:
        yield cluster


def together(units: Iterable[Any], scheduler: str, folder: Path) -> list[Outcome]:
    from rvfs.judging.cluster import on_cluster

    with closing(on_cluster(jobs_of(list(units), folder), scheduler)) as results:
        return [outcome(steps) for steps in results]


def test_the_report_is_the_same(cluster: Cluster, check: Run, tmp_path: Path) -> None:
    for kind in KINDS:
        write(tmp_path, kind)
    names = " ".join(f"'{kind}'" for kind in [*KINDS, "missing", "wrong"])
    command = f"{names} -m wwnr sched --format json"
    on_cluster = f"{command} --executor dask --scheduler {cluster.address}"
    assert check(on_cluster) == check(command)


def test_a_worker_that_is_ended_in_the_middle_does_not_show(
    cluster: Cluster, tmp_path: Path, results: Path
) -> None:
    units = [unit(write(tmp_path, kind)) for kind in KINDS]
    lives = tmp_path / "lives"
    lives.write_bytes(b"1")
    deadly = [*units[:2], Deadly(units[2], lives), *units[3:]]
    assert together(deadly, cluster.address, results) == alone(units)
    assert not lives.read_bytes()
    ended = [process.poll() for process in cluster.processes]
    assert sorted(ended, key=str) == [-signal.SIGKILL, None, None]


def test_a_unit_that_no_worker_survives_is_told_and_the_others_are_judged(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    units = [unit(write(tmp_path, kind)) for kind in KINDS]
    lives = tmp_path / "lives"
    lives.write_bytes(b"many")
    with cluster_of(3, tmp_path) as cluster:
        (found, end), *others = together(
            [Deadly(units[0], lives), *units], cluster.address, results
        )
    assert others == alone(units)
    assert (found, end.report) == ([], None)
    reason = "every worker that judged it was killed (out of memory?)"
    assert end.error == f"{units[0].file}: {reason}"


def test_a_scheduler_that_is_lost_ends_it_and_what_was_judged_is_kept(
    cluster: Cluster, tmp_path: Path
) -> None:
    from rvfs.judging.cluster import on_cluster

    clean, held = unit(write(tmp_path, "clean")), tmp_path / "held"
    os.mkfifo(held)
    jobs = jobs_of([clean, Endless(clean, held)], tmp_path)  # type: ignore[list-item]
    with closing(on_cluster(jobs, cluster.address)) as results:
        assert outcome(next(results)) == alone([clean])[0]
        held.read_text()
        cluster.scheduler.kill()
        with pytest.raises(RvfsError, match=f"the scheduler at {cluster.address} was lost"):
            next(results)
    assert jobs[0].result.is_kept


def test_a_worker_with_another_rvfs_judges_nothing(
    cluster: Cluster, tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rvfs, "__version__", "0.0.1")
    ((found, end),) = together([unit(write(tmp_path, "clean"))], cluster.address, results)
    assert (found, end.report) == ([], None)
    assert end.error is not None
    assert end.error.endswith(" has rvfs 0.1.0, not 0.0.1")


def test_a_scheduler_without_workers_is_refused(tmp_path: Path, check: Run) -> None:
    write(tmp_path, "clean")
    with cluster_of(0, tmp_path) as cluster:
        status, out, err = check(f"clean -m wwnr --executor dask --scheduler {cluster.address}")
    assert (status, out) == (2, "")
    assert err == f"rvfs check: the scheduler at {cluster.address} has no worker\n"


def test_a_scheduler_whose_workers_are_all_lost_is_told(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rvfs.judging.cluster.PATIENCE", 0.5)
    lives = tmp_path / "lives"
    lives.write_bytes(b"many")
    deadly = Deadly(unit(write(tmp_path, "clean")), lives)
    with cluster_of(1, tmp_path) as cluster, pytest.raises(RvfsError, match="has no worker"):
        together([deadly], cluster.address, results)


@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1:99999", "udp://x:1"])
def test_what_is_no_scheduler_is_refused(
    address: str, check: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rvfs.judging.cluster.PATIENCE", 0.5)
    write(tmp_path, "clean")
    status, out, err = check(f"clean -m wwnr --executor dask --scheduler {address}")
    assert (status, out) == (2, "")
    assert err.startswith(f"rvfs check: there is no scheduler at {address}: ")
