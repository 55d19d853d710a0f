"""Hits of breakpoints as events: each open breakpoint NAME is the tracepoint ``hwbp:NAME``.

The kernel writes hits into one ring per event; a breakpoint of many threads or CPUs has many.
They are merged by time. A read takes the time first and then the rings, and delivers what is
not younger than that; the rest stays for the next read. So the order is right wherever anybody
can tell: of two hits of which one led to the other (those of one thread; those of two threads
that hand each other a lock) the first was in its ring before the second happened. Hits that
were just being written on another CPU come with the next read and count as ``late``.
"""

import select
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import trio

from rvfs.event import Batch, Column, batch_of
from rvfs.hwbp.backend import RealTask
from rvfs.hwbp.machine import Breakpoint
from rvfs.hwbp.perf import RealBreakpoint
from rvfs.hwbp.perf_event import HIT, Hits, PerfEvent
from rvfs.source import Wanted
from rvfs.tracepoint import HWBP, Tracepoint, Vocabulary

FIELDS = ("u64 address", "u64 ip", "pid_t pid", "pid_t tgid", "int cpu")
TEMPLATE = "address={address:0x} ip={ip:0x} pid={pid} tgid={tgid} cpu={cpu}"

#: A hit with the number of its tracepoint before it.
_KEPT = ("ip", "tgid", "pid", "time", "address", "cpu")
_EVENT = np.dtype([("tp", "i8"), *((name, HIT[name]) for name in _KEPT)])
#: Events that hang up: their tasks are gone, and will never hit again.
_OVER = select.EPOLLHUP | select.EPOLLERR


def tracepoint_of(name: str) -> Tracepoint:
    """What the hits of the breakpoint of that name are called, with their fields."""
    return Tracepoint.declare(HWBP, name, FIELDS, TEMPLATE)


def _comm(pid: int) -> str | None:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").rstrip("\n")
    return None


class Watch:
    """A :class:`rvfs.source.Source` over the rings of the breakpoints that are open now.

    ``came`` is told the name of a tracepoint that has come; ``going`` the number of one that goes
    now, whose last hits can still be read. ``clock`` is that of the hits, in ns.
    """

    name = "hwbp"

    def __init__(
        self, vocabulary: Vocabulary, *, cpus: int, came: Callable[[str], None],
        going: Callable[[int], None], clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:  # fmt: skip
        self.cpus = cpus
        self.late = 0
        self._vocabulary, self._clock = vocabulary, clock
        self._came, self._going = came, going
        self._events: dict[int, Sequence[PerfEvent]] = {}  # by the number of the tracepoint
        self._wanted: Wanted = {}
        self._hits: Hits = np.empty(0, _EVENT)  # taken out of the rings, by time
        self._lost: Counter[int] = Counter()
        self._comms: dict[int, str] = {}
        self._last = 0
        self._epoll = select.epoll()

    @property
    def notes(self) -> list[str]:
        return [f"{self.late} hits came after later ones of other CPUs"] if self.late else []

    # -- breakpoints come and go -------------------------------------------------------------

    def opened(self, name: str, breakpoints: Iterable[Breakpoint]) -> None:
        """From now on, the hits of these are ``hwbp:NAME``."""
        tracepoint = tracepoint_of(name)
        real = [bp for bp in breakpoints if isinstance(bp, RealBreakpoint)]
        events = [bp.event for bp in real]
        self._comms |= {bp.task.pid: bp.task.comm for bp in real if isinstance(bp.task, RealTask)}
        self._events[self._vocabulary.add(tracepoint)] = events
        for event in events:
            self._epoll.register(event.fd, select.EPOLLIN)
        self._came(tracepoint.full_name)

    def closing(self, name: str) -> None:
        """Before they are closed: their last hits are delivered, and the tracepoint goes."""
        number = self._vocabulary.number(f"{HWBP}:{name}")
        for event in self._events[number]:
            event.enable(False)
        self._take()
        for event in self._events.pop(number):
            self._lost[max(event.cpu, 0)] += event.untold
            with suppress(FileNotFoundError):  # its task is over
                self._epoll.unregister(event.fd)
        self._going(number)
        self._vocabulary.remove(f"{HWBP}:{name}")

    # -- the source ----------------------------------------------------------------------------

    def subscribe(self, wanted: Wanted) -> None:
        self._wanted = wanted

    def read(self, limit: int) -> Batch | None:
        """Never None: there may always be another breakpoint."""
        now = self._clock()
        self._take()
        ready = self._hits[: np.searchsorted(self._hits["time"], now, "right")][:limit]
        self._hits = self._hits[len(ready) :]
        lost, self._lost = +self._lost, Counter()
        if len(ready):
            self.late += int(np.count_nonzero(ready["time"] < self._last))
            self._last = max(self._last, int(ready["time"][-1]))
        return self._batch(ready[np.isin(ready["tp"], list(self._wanted))], lost)

    def _take(self) -> None:
        """Empty the rings. One that is over before it is emptied has all its hits in its ring."""
        over = {fd for fd, what in self._epoll.poll(0) if what & _OVER}
        taken = [self._hits]
        for number, events in self._events.items():
            for event in events:
                if not event.empty:
                    taken.append(self._numbered(number, event))
                if event.fd in over:
                    self._epoll.unregister(event.fd)
        if len(taken) > 1:
            hits = np.concatenate(taken)
            self._hits = hits[np.argsort(hits["time"], kind="stable")]

    def _numbered(self, number: int, event: PerfEvent) -> Hits:
        hits, lost = event.take()
        self._lost.update(lost)
        numbered = np.empty(len(hits), _EVENT)
        for name in _EVENT.names or ():
            numbered[name] = number if name == "tp" else hits[name]
        return numbered

    def _batch(self, hits: Hits, lost: Mapping[int, int]) -> Batch:
        if not len(hits):
            return Batch(**{**vars(batch_of([])), "lost": lost})
        tp, times, cpu, pid = (hits[n].astype(np.int64) for n in ("tp", "time", "cpu", "pid"))
        fields = {number: dict(self._columns(hits, number)) for number in np.unique(tp).tolist()}
        return Batch(tp, times, cpu, pid, fields, self._names(pid.tolist()), lost)

    def _columns(self, hits: Hits, number: int) -> Iterator[tuple[str, Column]]:
        mine = hits[hits["tp"] == number]
        for name in self._wanted[number] & set(_KEPT):
            column = mine[name]
            yield (
                name,
                np.ascontiguousarray(column if column.dtype == "u8" else column.astype("i8")),
            )

    def _names(self, pids: Iterable[int]) -> dict[int, str]:
        """The tasks' names now; of those that have gone, the names they were watched under."""
        names = {pid: _comm(pid) or self._comms.get(pid) for pid in set(pids)}
        return {pid: name for pid, name in names.items() if name is not None}

    async def wait(self) -> None:
        """Return when a hit is in a ring, or was held back by the read before."""
        if not len(self._hits) and all(e.empty for many in self._events.values() for e in many):
            await trio.lowlevel.wait_readable(self._epoll.fileno())
        else:
            await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """The events are of those who opened them."""
        self._epoll.close()
