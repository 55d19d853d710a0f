"""Who judges the units: this process, or several.

Either way what comes is one row of steps per unit, in the order of the units, so a report
does not show who did the work.

Several processes write their results as files into one folder, where a result that is kept
stands for work that need not be done. When a process is lost (out of memory, killed), each
unit that was begun and has no result is judged again in a process of its own; only one that
loses that too is given up.
"""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from rvfs.judging import server
from rvfs.judging.parts import form_of
from rvfs.judging.report import Judged, Step
from rvfs.judging.result import VALUES, Form, Result
from rvfs.judging.unit import Results, Unit, judge


@dataclass(frozen=True, slots=True)
class Job:
    """A unit, and where its result goes, in which form."""

    unit: Unit
    result: Result
    form: Form

    def do(self) -> None:
        self.result.save(self.unit.file, judge(self.unit), self.form)

    def give_up(self, reason: str) -> None:
        self.result.save(self.unit.file, [Judged(None, f"{self.unit.file}: {reason}")], self.form)

    def load(self) -> Iterator[Step]:
        """What was found, once it is done."""
        return self.result.load(self.form)


def jobs_of(units: Sequence[Unit], folder: Path, form: Form = VALUES) -> list[Job]:
    """One job per unit; equal units share a result. What failed before is to be done again."""
    jobs = [Job(unit, Result.of(unit, folder), form_of(unit, form)) for unit in units]
    for job in jobs:
        job.result.forget_failure()
    return jobs


def to_do(jobs: Sequence[Job]) -> list[Job]:
    """What has no result, the largest recording first, equal ones once."""
    left = {job.result: job for job in jobs if not job.result.is_done}
    return sorted(left.values(), key=lambda job: job.unit.size, reverse=True)


def in_processes(jobs: Sequence[Job], count: int) -> Results:
    """Judge up to ``count`` units at a time."""
    with _Crew(to_do(jobs), count) as crew:
        for job in jobs:
            crew.finish(job.result)
            yield job.load()


class _Crew:
    """Processes that do jobs, until all are done or the block ends."""

    def __init__(self, jobs: Sequence[Job], count: int) -> None:
        self._count = count
        self._begin(jobs)

    def __enter__(self) -> "_Crew":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.end(at_once=kind is not None)

    def finish(self, result: Result) -> None:
        """Return when this result is there."""
        while not result.is_done:
            try:
                self._futures[result].result()
            except BrokenProcessPool:
                self._recover()

    def _begin(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._pool = _Pool(self._count)
        self._futures = {job.result: self._pool.submit(job) for job in jobs}

    def _recover(self) -> None:
        self._pool.end(at_once=True)
        left = to_do(self._jobs)
        for job in [job for job in left if job.result.is_begun] or left[:1]:
            _do_alone(job)
        self._begin(to_do(left))


def _do_alone(job: Job) -> None:
    """Do a job that a process was lost with in a process of its own, once."""
    pool = _Pool(1)
    try:
        pool.submit(job).result()
    except BrokenProcessPool:
        job.give_up("the process that judged it was killed, twice (out of memory?)")
    finally:
        pool.end(at_once=True)


class _Pool:
    """Worker processes that end with this one, however it ends."""

    def __init__(self, count: int) -> None:
        context = server.start()
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
