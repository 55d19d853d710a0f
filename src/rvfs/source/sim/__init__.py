"""A simulated machine as a source of events.

``scripts`` is what can happen, as a table; ``faults`` what may go wrong; ``machine`` decides
what happens next, and ``alarms`` until when; ``emission`` makes batches of it. This file is
the source: it reads the machine in stretches, gives out what is due and wanted, and counts
what was planted.

The stream depends on the options alone: not on how it is read, nor on what is subscribed,
which only picks events and fields. Time is simulated, in ns.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush

import numpy as np
import trio

from rvfs.errors import InvalidInput
from rvfs.event import Batch
from rvfs.source import Wanted
from rvfs.source.sim.emission import WIDTH, Book, Stretch
from rvfs.source.sim.faults import NO_EVENT, SECOND, Fault, Plan, Planted, parse_fault
from rvfs.source.sim.machine import Machine
from rvfs.source.sim.parts import ORIGIN
from rvfs.source.sim.scheduler import Codes
from rvfs.tracepoint import Vocabulary

__all__ = ["Fault", "Planted", "Sim", "parse_fault"]

#: Events per second of simulated time and CPU, where no rate is given: a busy machine.
NATURAL_RATE = 500_000
#: The part of its time that a CPU spends in scripts, at most; beyond, they get shorter.
BUSY = 0.5
#: What one event takes in the scripts, on average, in ns.
MEAN_GAP = 180

#: Steps between two reads of the machine: some milliseconds of work.
STEPS = 512
#: Seconds. A wait is never shorter (one batch for many events) nor longer (somebody may
#: have subscribed meanwhile).
SHORTEST_WAIT, LONGEST_WAIT = 0.005, 0.05

#: Of what was planted, how many are kept.
KEPT = 1 << 16

#: option → (smallest, largest)
LIMITS = {"cpus": (1, 1024), "tasks": (1, 10_000)}


class Sim:
    """The simulated machine.

    ``rate`` is events per second on average, of the machine's clock and the wall's; None is
    as fast as somebody reads. A large machine may be faster than a low rate, as nobody waits
    for a CPU much longer than a second. ``duration`` is in seconds of simulated time; None is
    without end. ``clock`` gives the wall's seconds, for the rate.

    ``counts`` has the violations planted in what was read so far, per monitor; ``planted``
    the last :data:`KEPT` of them. Raises :class:`InvalidInput` for an option out of range.
    """

    name = "sim"

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        cpus: int = 2,
        tasks: int = 16,
        seed: int = 0,
        rate: float | None = 10_000.0,
        duration: float | None = None,
        faults: Sequence[Fault] = (),
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        _check_range("cpus", cpus)
        _check_range("tasks", tasks)
        _check_positive("rate", rate)
        _check_positive("duration", duration)
        self.cpus = cpus
        self.counts: Counter[str] = Counter()
        self.planted: deque[Planted] = deque(maxlen=KEPT)
        self._pending: list[tuple[int, int, Planted]] = []
        self._clock, self._rate, self._began = clock, rate, math.inf
        density = rate or NATURAL_RATE * cpus
        self._book = Book(vocabulary, min(1.0, BUSY * cpus * SECOND / (density * MEAN_GAP)))
        self._machine = Machine(
            Codes(self._book.codes, self._book.span.tolist(), self._book.length.tolist()),
            Plan(faults, ORIGIN, seed), cpus=cpus, tasks=tasks, seed=seed, rate=density,
        )  # fmt: skip
        self._names = np.array(self._machine.names, dtype="S16")
        self._end = math.inf if duration is None else ORIGIN + duration * SECOND
        self._closed = False
        self._stretch, self._at = self._unroll(), 0
        self.subscribe({})

    def subscribe(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._lines = np.isin(self._book.tp, list(wanted))
        self._positions = self._stretch.positions(self._lines)

    @property
    def notes(self) -> list[str]:
        """What was planted, for whoever did not ask for :attr:`counts`."""
        counts = ", ".join(f"{monitor} {count}" for monitor, count in self.counts.items())
        return [f"violations planted: {counts}"] if counts else []

    def _unroll(self) -> Stretch:
        """What the machine has done since the last time."""
        records = np.array(self._machine.records, dtype=np.int64).reshape(-1, WIDTH)
        self._machine.records.clear()
        return Stretch(self._book, records, self._names, self._machine.comms)

    def _turn(self) -> None:
        """Let the machine go on."""
        self._machine.run(STEPS, self._end)
        self._stretch, self._at = self._unroll(), 0
        self._positions = self._stretch.positions(self._lines)

    @property
    def _used_up(self) -> bool:
        return self._at == len(self._stretch)

    @property
    def _over(self) -> bool:
        return self._closed or (self._used_up and self._machine.clock >= self._end)

    def _due(self) -> float:
        """The time of the machine's clock up to which events are due."""
        if self._rate is None:
            return math.inf if self._wanted else -math.inf
        now = self._clock()
        self._began = min(self._began, now)
        return ORIGIN + (now - self._began) * SECOND

    def read(self, limit: int) -> Batch | None:
        """See :class:`rvfs.source.Source`. One read gives no more than one stretch has.

        Without a rate the machine stands still while nothing is subscribed.
        """
        if self._over:
            return None
        if self._used_up:
            self._turn()
        stop = int(np.searchsorted(self._stretch.time, self._due(), side="right"))
        first, last = np.searchsorted(self._positions, (self._at, stop))
        chosen = self._positions[first : min(last, first + limit)]
        self._account(int(chosen[-1]) + 1 if len(chosen) == limit else max(stop, self._at))
        now = int(self._stretch.time[self._at - 1]) if self._at else None
        return self._stretch.batch(chosen, self._wanted, now)

    def _account(self, stop: int) -> None:
        """What lies before ``stop`` has been read."""
        for planted in self._stretch.planted(self._at, stop):
            if planted.event == NO_EVENT:
                heappush(self._pending, (planted.time, len(self._pending), planted))
            else:
                self._count(planted)
        self._at = stop
        while self._pending and stop and self._pending[0][0] <= self._stretch.time[stop - 1]:
            self._count(heappop(self._pending)[-1])

    def _count(self, planted: Planted) -> None:
        self.counts[planted.monitor] += 1
        self.planted.append(planted)

    async def wait(self) -> None:
        """See :class:`rvfs.source.Source`. Never shorter than some milliseconds with a rate."""
        if self._over or (self._rate is None and self._wanted):
            await trio.lowlevel.checkpoint()
        else:
            delay = (self._next() - self._due()) / SECOND
            await trio.sleep(min(max(delay, SHORTEST_WAIT), LONGEST_WAIT))

    def _next(self) -> float:
        """When the next event comes that is wanted, as far as is known; in ns."""
        index = int(np.searchsorted(self._positions, self._at))
        if index < len(self._positions):
            return float(self._stretch.time[self._positions[index]])
        return float(self._machine.clock)

    def close(self) -> None:
        self._closed = True


def _check_range(option: str, value: int) -> None:
    smallest, largest = LIMITS[option]
    if not smallest <= value <= largest:
        raise InvalidInput(f"{option} must be from {smallest} to {largest}, not {value}")


def _check_positive(option: str, value: float | None) -> None:
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise InvalidInput(f"{option} must be a positive number, not {value:g}")
