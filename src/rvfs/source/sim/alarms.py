"""What the simulated machine must do by a time, whatever else happens.

Three kinds: an appointment is kept at its time; a task that waits for a CPU wants one within
:data:`PATIENCE`; a task that has a deadline and is awake wants to be done. The clock may go
on to the next appointment, but takes care of the others: before what they want it goes no
more than half the way at once, so that who waits can still be served.
"""

import math
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

from rvfs.source.sim.faults import SECOND
from rvfs.source.sim.parts import Task

#: Nobody waits longer for a CPU than about that, in ns.
PATIENCE = SECOND

Action = Callable[[], None]


class Alarms:
    """``next`` is a time (ns) before which nothing is due; :meth:`due` says when something is.

    ``rescue`` is what is done for a task that has waited too long, ``overrun`` for one that
    is still awake near its deadline.
    """

    def __init__(self, rescue: Callable[[Task], None], overrun: Callable[[Task], None]) -> None:
        self._rescue, self._overrun = rescue, overrun
        self._number = 0
        self._appointments: list[tuple[int, int, Action]] = []
        self._deadlines: list[tuple[int, int, int, Task]] = []
        self._waiting: deque[tuple[int, Task]] = deque()
        self.next = math.inf

    def set(self, time: int, action: Action) -> None:
        """Do this when the clock has come to ``time`` (ns)."""
        self._number += 1
        heappush(self._appointments, (time, self._number, action))
        self.next = min(self.next, time)

    def finish(self, task: Task, time: int) -> None:
        """The task, which was just replenished, wants to be asleep by ``time``."""
        self._number += 1
        heappush(self._deadlines, (time, self._number, task.replenished, task))
        self.next = min(self.next, time)

    def wait(self, task: Task, now: int) -> None:
        """A task was put on a queue; calls come in the order of time."""
        task.since = now
        self._waiting.append((now, task))
        if now + PATIENCE < self.next:
            self.next = now + PATIENCE

    def due(self) -> float:
        """When the first is due, in ns."""
        self.next = min(self._first(), self._urgent())
        return self.next

    def until(self, now: int, wanted: int) -> int:
        """How far the clock may go that wants to go from ``now`` to ``wanted``."""
        urgent = self._urgent()
        self.next = min(self._first(), urgent)
        if wanted > urgent:
            wanted = int(now + urgent) // 2
        return max(now, int(min(wanted, self._first())))

    def ring(self) -> None:
        """Do what is due first."""
        urgent = self._urgent()
        if self._first() <= urgent:
            heappop(self._appointments)[-1]()
        elif self._oldest() <= urgent:
            self._rescue(self._waiting[0][1])
        else:
            self._overrun(heappop(self._deadlines)[-1])

    def _first(self) -> float:
        return self._appointments[0][0] if self._appointments else math.inf

    def _urgent(self) -> float:
        return min(self._oldest(), self._nearest())

    def _oldest(self) -> float:
        """When patience with who waits longest is over."""
        waiting = self._waiting
        while waiting:
            since, task = waiting[0]
            if task.on_queue and task.since == since:
                return since + PATIENCE
            waiting.popleft()
        return math.inf

    def _nearest(self) -> float:
        """The nearest deadline of who is awake."""
        deadlines = self._deadlines
        while deadlines:
            time, _, replenished, task = deadlines[0]
            if task.replenished == replenished and task.place < 0:
                return time
            heappop(deadlines)
        return math.inf
