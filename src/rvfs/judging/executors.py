"""Who judges the units: this process, or several.

Either way what comes is one row of steps per unit, in the order of the units, so a report
does not show who did the work.

Several processes write their results as files into one folder. When one of them is lost
(out of memory, killed), each unit that was begun and has no result is judged again in a
process of its own; only one that loses that too is given up.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from rvfs.judging.report import Judged, Step
from rvfs.judging.result import load, part, save
from rvfs.judging.unit import Unit, judge

#: What the server has loaded from which all workers are forked: it is loaded once.
PRELOAD = ["__main__", "rvfs.judging.executors"]


@dataclass(frozen=True, slots=True)
class Job:
    """A unit, and where its result goes."""

    unit: Unit
    path: Path

    def do(self) -> None:
        save(judge(self.unit), self.path)


def in_this_process(units: Sequence[Unit]) -> Iterator[Iterator[Step]]:
    """Judge one after the other, while the steps are read."""
    return map(judge, units)


def in_processes(
    units: Sequence[Unit], count: int, folder: Path
) -> Generator[Iterator[Step], None, None]:
    """Judge up to ``count`` units at a time, the largest first; results go to ``folder``."""
    jobs = [Job(unit, folder / f"{number}.jsonl") for number, unit in enumerate(units)]
    with _Crew(sorted(jobs, key=_size, reverse=True), count) as crew:
        for job in jobs:
            crew.finish(job)
            yield load(job.path)


def _size(job: Job) -> int:
    with suppress(OSError):
        return Path(job.unit.file).stat().st_size
    return 0


class _Crew:
    """Processes that do jobs, until all are done or the block ends."""

    def __init__(self, jobs: Sequence[Job], count: int) -> None:
        self._jobs, self._count = jobs, count
        self._begin()

    def __enter__(self) -> "_Crew":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.end(at_once=kind is not None)

    def finish(self, job: Job) -> None:
        """Return when this job is done."""
        while not job.path.exists():
            try:
                self._futures[job.path].result()
            except BrokenProcessPool:
                self._recover()

    def _begin(self) -> None:
        self._pool = _Pool(self._count)
        self._futures = {job.path: self._pool.submit(job) for job in self._left()}

    def _left(self) -> list[Job]:
        return [job for job in self._jobs if not job.path.exists()]

    def _recover(self) -> None:
        self._pool.end(at_once=True)
        begun = [job for job in self._left() if part(job.path).exists()]
        for job in begun or self._left()[:1]:
            _do_alone(job)
        self._begin()


def _do_alone(job: Job) -> None:
    """Do a job that a process was lost with in a process of its own, once."""
    pool = _Pool(1)
    try:
        pool.submit(job).result()
    except BrokenProcessPool:
        reason = f"{job.unit.file}: the process that judged it was killed, twice (out of memory?)"
        save([Judged(None, reason)], job.path)
    finally:
        pool.end(at_once=True)


class _Pool:
    """Worker processes that end with this one, however it ends."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        line, self._line = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(count, context, _prepare, (line,))

    def submit(self, job: Job) -> "Future[None]":
        try:
            return self._executor.submit(job.do)
        except BrokenProcessPool as error:  # so soon
            future: Future[None] = Future()
            future.set_exception(error)
            return future

    def end(self, *, at_once: bool) -> None:
        if at_once:
            self._line.close()
        self._executor.shutdown(cancel_futures=True)
        self._line.close()


def _prepare(line: "Connection") -> None:
    """Of a worker: Ctrl-C is for the process that started it, and that it does not outlive."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()


def _end_with(line: "Connection") -> None:
    with suppress(EOFError):
        line.recv()
    os._exit(1)
