"""trio, as the request loop of pyfuse3 sees it: no scheduling for a request that is there.

pyfuse3 takes its loop from a module it calls ``trio``: workers queue for a ``Lock``, and who
has it waits with ``wait_readable`` for one request. In trio both always go through the
scheduler and epoll, which costs four times what the request does. Here

1. a free lock is taken at once, and who lets it go only wakes one of those who wait; that one
   waits on if somebody was quicker. (Were the lock handed over, the worker that is awake could
   not take it again, and a worker more would be started for each request.)
2. the descriptor is asked first (poll(2), no time) and trio's scheduler only when no request
   is there, or :data:`BURST` came in a row, so that every other task has its turn.

Everything else is trio's own. That a pyfuse3 works like this is documented nowhere, so
:func:`install` tries it first.
"""

import logging
import select
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from types import ModuleType
from typing import Any

import trio

log = logging.getLogger(__name__)

#: Requests that are taken in a row before everybody else has a turn.
BURST = 64


class Done:
    """What awaits to nothing at once, without a coroutine to make, run and free."""

    def __await__(self) -> Any:
        return self

    def __next__(self) -> None:
        raise StopIteration


DONE = Done()


class Lock:
    """A lock that does not pass the scheduler while it is free."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: deque[trio.lowlevel.Task] = deque()

    def __aenter__(self) -> Awaitable[None]:
        if self._taken:
            return self._wait_free()
        self._taken = True
        return DONE

    async def _wait_free(self) -> None:
        while self._taken:
            task = trio.lowlevel.current_task()
            self._waiting.append(task)
            await trio.lowlevel.wait_task_rescheduled(partial(self._give_up, task))
        self._taken = True

    def _give_up(self, task: trio.lowlevel.Task, _: object) -> trio.lowlevel.Abort:
        self._waiting.remove(task)
        return trio.lowlevel.Abort.SUCCEEDED

    def __aexit__(self, kind: object, error: object, traceback: object) -> Awaitable[None]:
        self._taken = False
        if self._waiting:
            trio.lowlevel.reschedule(self._waiting.popleft())
        return DONE


class LowLevel:
    """``trio.lowlevel`` with another ``wait_readable``, for the one descriptor of a mount."""

    def __init__(self, ready: Callable[[int], bool]) -> None:
        self._ready, self._burst = ready, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(trio.lowlevel, name)

    def wait_readable(self, descriptor: int) -> Awaitable[None]:
        if not self._ready(descriptor):
            return trio.lowlevel.wait_readable(descriptor)  # noqa: ASYNC105 - pyfuse3 does
        self._burst = (self._burst + 1) % BURST
        return DONE if self._burst else trio.lowlevel.checkpoint()  # noqa: ASYNC105


class Trio:
    """The module ``trio``, with the two parts that are replaced."""

    def __init__(self, lowlevel: LowLevel) -> None:
        self.Lock, self.lowlevel = Lock, lowlevel

    def __getattr__(self, name: str) -> Any:
        return getattr(trio, name)


def install(pyfuse3: ModuleType, ready: Callable[[int], bool]) -> None:
    """Have the mounted pyfuse3 wait like this; like trio, with a line in the log, if this does
    not fit it. ``ready`` is whether a descriptor can be read now."""
    if fits(pyfuse3):
        pyfuse3.trio = Trio(LowLevel(ready))  # type: ignore[attr-defined]
    else:
        log.warning("requests are slower: pyfuse3 %s does not wait as 3.5 does", _version(pyfuse3))


def ready(descriptor: int) -> bool:
    """Whether it can be read now."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def fits(pyfuse3: ModuleType) -> bool:
    """Whether a wait for a request goes through here once, and nowhere else."""
    seam = _Seam(bool)
    try:
        stock, pyfuse3.trio = pyfuse3.trio, Trio(seam)  # type: ignore[attr-defined]
        try:
            pyfuse3._wait_fuse_readable().send(None)
        finally:
            pyfuse3.trio = stock  # type: ignore[attr-defined]
    except StopIteration as done:
        return done.value is True and seam.passed == 1
    except Exception:
        return False
    return False


class _Seam(LowLevel):
    """Counts those who would wait."""

    passed = 0

    def wait_readable(self, descriptor: int) -> Awaitable[None]:
        self.passed += 1
        return DONE


def _version(module: ModuleType) -> str:
    return getattr(module, "__version__", "of no version")
