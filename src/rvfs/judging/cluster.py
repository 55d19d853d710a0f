"""Units judged by the workers of a Dask cluster (``pip install 'rvfs[dask]'``).

The scheduler hands the units of a worker that was lost to another one, a few times; a unit
that is still not judged then is judged once more when nothing else is, for it may only have
been in bad company. What a worker found comes back whole and is stored as soon as it has
come, so nothing that was finished is lost with this process. A worker needs rvfs, of this very
version, and the recordings under the same paths; monitors are sent along.
"""

import logging
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import distributed

import rvfs
from rvfs.errors import RvfsError
from rvfs.judging.executors import Job, to_do
from rvfs.judging.result import Form, Result
from rvfs.judging.unit import Results, Unit, judge

#: Seconds until a scheduler that does not answer is none, and one without a worker is told.
PATIENCE = 10


def on_cluster(jobs: Sequence[Job], scheduler: str) -> Results:
    """Have the workers of the scheduler at this address (``tcp://…``) judge the units.

    Raises :class:`RvfsError` where there is no scheduler, or no worker, or no longer one.
    """
    with _connect(scheduler) as client:
        work = _Work(client, scheduler, to_do(jobs))
        for job in jobs:
            while not job.result.is_done:
                work.store_next()
            yield job.load()


@contextmanager
def _connect(scheduler: str) -> Iterator[Any]:
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what counts, we tell
    try:
        client = distributed.Client(  # type: ignore[no-untyped-call]
            scheduler, timeout=PATIENCE, set_as_default=False
        )
    except (OSError, ValueError) as error:
        raise RvfsError(f"there is no scheduler at {scheduler}: {error}") from None
    with client:
        yield client


class _Work:
    """What the cluster has to do: first everything, then one by one what workers died of."""

    def __init__(self, client: Any, scheduler: str, jobs: Sequence[Job]) -> None:
        self._client, self._scheduler = client, scheduler
        self._require_a_worker()
        self._pending = {self._submit(job): job for job in jobs}
        self._suspects: list[Job] = []
        self._alone = False
        self._watch()

    def store_next(self) -> None:
        """Wait for a unit, and store what was found."""
        if not self._pending:
            self._alone = True
            job = self._suspects.pop()
            self._pending[self._submit(job)] = job
            self._watch()
        future = self._next()
        self._store(self._pending.pop(future), future)

    def _submit(self, job: Job) -> Any:
        return self._client.submit(_work, job.unit, job.form, rvfs.__version__, pure=False)

    def _watch(self) -> None:
        self._finished = distributed.as_completed(  # type: ignore[no-untyped-call]
            list(self._pending), loop=self._client.loop, timeout=PATIENCE
        )

    def _next(self) -> Any:
        while True:
            try:
                return next(self._finished)
            except TimeoutError:
                self._require_a_worker()
                self._watch()

    def _require_a_worker(self) -> None:
        try:
            workers = self._client.scheduler_info()["workers"]
        except (OSError, ValueError):
            raise self._lost() from None
        if not workers:
            raise RvfsError(f"the scheduler at {self._scheduler} has no worker")

    def _lost(self) -> RvfsError:
        return RvfsError(f"the scheduler at {self._scheduler} was lost")

    def _store(self, job: Job, future: Any) -> None:
        try:
            job.result.unpack(*future.result())
        except CancelledError:
            raise self._lost() from None
        except distributed.KilledWorker:
            if self._alone:
                job.give_up("every worker that judged it was killed (out of memory?)")
            else:
                self._suspects.append(job)
        except Exception as error:  # a worker's environment may raise anything
            job.give_up(f"no worker could judge it: {error}")


def _work(unit: Unit, form: Form, version: str) -> tuple[bool, bytes]:
    """On a worker: whether the result is one to keep, and the result."""
    if version != rvfs.__version__:
        raise RvfsError(f"{socket.gethostname()} has rvfs {rvfs.__version__}, not {version}")
    scratch = distributed.get_worker().local_directory  # goes with the worker, however it ends
    with TemporaryDirectory(prefix="rvfs-check-", dir=scratch) as folder:
        result = Result.of(unit, Path(folder))
        result.save(unit.file, judge(unit), form)
        return result.pack()
