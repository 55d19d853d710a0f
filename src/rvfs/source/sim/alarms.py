"""What the simulated machine must do by a time, whatever else happens.

Two kinds: an alarm is set for a time; and a task that waits for a CPU wants one within
:data:`PATIENCE`. The clock is not to go past the first of them.
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
    """``next`` is a time (ns) before which nothing is due; :meth:`find` says when something is.

    ``rescue`` is what is done for a task that has waited too long.
    """

    def __init__(self, rescue: Callable[[Task], None]) -> None:
        self._rescue = rescue
        self._set: list[tuple[int, int, Action]] = []
        self._number = 0
        self._waiting: deque[tuple[int, Task]] = deque()
        self.next = math.inf

    def set(self, time: int, action: Action) -> None:
        """Do this when the clock has come to ``time`` (ns)."""
        self._number += 1
        heappush(self._set, (time, self._number, action))
        self.next = min(self.next, time)

    def wait(self, task: Task, now: int) -> None:
        """A task was put on a queue; calls come in the order of time."""
        task.since = now
        self._waiting.append((now, task))
        if now + PATIENCE < self.next:
            self.next = now + PATIENCE

    def find(self) -> float:
        """When the first is due, in ns."""
        first = self._set[0][0] if self._set else math.inf
        self.next = min(first, self._oldest())
        return self.next

    def _oldest(self) -> float:
        """When patience with who waits longest is over."""
        waiting = self._waiting
        while waiting:
            since, task = waiting[0]
            if task.on_queue and task.since == since:
                return since + PATIENCE
            waiting.popleft()
        return math.inf

    def ring(self) -> None:
        """Do what is due first."""
        if self._set and self._set[0][0] <= self._oldest():
            heappop(self._set)[2]()
        else:
            self._rescue(self._waiting[0][1])
