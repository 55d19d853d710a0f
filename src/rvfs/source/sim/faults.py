"""Faults: which monitor is to report, how often, and when its next violation is due.

A rate is in violations per second of simulated time. Each fault has random times of its
own; when one has come, the fault waits for the next occasion of its kind (:data:`OCCASIONS`),
so that the violation shows. Where occasions are rarer than the rate wants, there are as
many as there is room for.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from rvfs.errors import InvalidInput, UnknownName
from rvfs.model.timing import JIFFY
from rvfs.source.sim.words import DL_SHORT_DEADLINE

SECOND = 1_000_000_000

#: monitor → (what its fault needs, violations that one fault makes).
#: ``task``: a task runs; ``slept``: one that has slept in state S since the last such fault
#: (nothing else starts wwnr); ``fair``: one of user space runs that is not real time; ``server``:
#: a task runs where no such fault lasts; ``sleep``: a task goes to sleep; ``wake``: a task is
#: woken; ``wake fair``: one that is not real time, while most others are not kept waiting;
#: ``wake user``: such a one of user space, by whom may not.
OCCASIONS = {
    "wip": ("wake", 1),
    "wwnr": ("slept", 1),
    "sco": ("task", 1),
    "snroc": ("wake", 1),
    "scpd": ("task", 1),
    "snep": ("task", 2),
    "sts": ("task", 1),
    "nrp": ("task", 1),
    "sssw": ("sleep", 1),
    "opid": ("wake", 1),
    "pagefault": ("fair", 1),
    "sleep": ("fair", 1),
    "wakeup": ("wake user", 1),
    "stall": ("wake fair", 1),
    "nomiss": ("server", 1),
}

#: What is planted as a violation of this event shows when time has run out: so long, in ns,
#: after the event that is marked. The parameters of the monitors are their defaults.
NO_EVENT = "none"
EXPIRY = {"stall": 1000 * JIFFY, "nomiss": DL_SHORT_DEADLINE + JIFFY}


@dataclass(frozen=True, slots=True)
class Fault:
    """``rate`` violations of ``monitor`` per second of simulated time.

    Raises :class:`UnknownName` for a monitor that has no faults, :class:`InvalidInput` for a
    rate that is not a positive number.
    """

    monitor: str
    rate: float

    def __post_init__(self) -> None:
        if self.monitor not in OCCASIONS:
            raise UnknownName(
                f"the simulation has no fault for monitor {self.monitor!r} "
                f"(it has: {', '.join(OCCASIONS)})"
            )
        if not (self.rate > 0 and math.isfinite(self.rate)):
            raise InvalidInput(
                f"fault {self.monitor}: the rate must be a positive number, not {self.rate:g}"
            )


@dataclass(frozen=True, slots=True)
class Planted:
    """A violation that was planted: what the verdict of ``monitor`` must be.

    ``time`` in ns of the simulated clock; ``key`` the pid of a per-task monitor's instance,
    the id of an object, None for a per-CPU monitor. Where ``event`` is ``none``, time alone
    makes the violation, and ``cpu`` is where it began.
    """

    monitor: str
    time: int
    cpu: int
    key: int | None
    event: str


def parse_fault(text: str) -> Fault:
    """``wwnr:10`` → ten violations of wwnr a second. Raises :class:`InvalidInput`."""
    monitor, colon, rate = text.strip().rpartition(":")
    if not colon:
        raise InvalidInput(f"fault {text!r} is not of the form MONITOR:RATE")
    try:
        return Fault(monitor, float(rate))
    except ValueError:
        raise InvalidInput(f"fault {text!r}: the rate {rate!r} is not a number") from None


class _Clock:
    """The random times of one fault, in ns."""

    def __init__(self, fault: Fault, start: int, seed: int) -> None:
        self.monitor = fault.monitor
        self.occasion, violations = OCCASIONS[fault.monitor]
        self._mean = violations * SECOND / fault.rate
        self._random = Random(f"{seed} {fault.monitor}").random
        self.due = float(start)
        self.advance()

    def advance(self) -> None:
        self.due -= math.log(1.0 - self._random()) * self._mean


class Plan:
    """What is due. ``next`` is when to :meth:`call` it again, in ns; ``waits`` how many wait.

    Raises :class:`InvalidInput` when a monitor is named twice.
    """

    def __init__(self, faults: Sequence[Fault], start: int, seed: int) -> None:
        self._asleep = [_Clock(fault, start, seed) for fault in faults]
        self._waiting: dict[str, deque[_Clock]] = {
            occasion: deque() for occasion, _ in OCCASIONS.values()
        }
        names = [fault.monitor for fault in faults]
        for name in names:
            if names.count(name) > 1:
                raise InvalidInput(f"fault {name} is given {names.count(name)} times")
        self._set_alarm()

    def _set_alarm(self) -> None:
        self.next = min((clock.due for clock in self._asleep), default=math.inf)
        self.waits = sum(map(len, self._waiting.values()))

    def call(self, now: int) -> None:
        """Have the faults that are due wait for their occasion."""
        for clock in [clock for clock in self._asleep if clock.due <= now]:
            self._asleep.remove(clock)
            self._waiting[clock.occasion].append(clock)
        self._set_alarm()

    def take(self, occasion: str) -> str:
        """The monitor whose fault happens on this occasion; "" when none waits for it."""
        waiting = self._waiting[occasion]
        if not waiting:
            return ""
        clock = waiting.popleft()
        clock.advance()
        self._asleep.append(clock)
        self._set_alarm()
        return clock.monitor
