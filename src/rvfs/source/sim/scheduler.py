"""The simulated scheduler: run queues, switches, sleep and wake-up.

What happens is appended to ``records`` as scripts of ``scripts.py``: eight numbers each,
nothing per event. What the CPUs do overlaps in time, as on a real machine. Three rules
keep causes before effects:

1. A CPU is ``free`` from the end of what it did last.
2. What touches a task or a CPU other than the own begins when everything before has ended
   (``horizon``).
3. A CPU that was touched goes on after what touched it.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from heapq import heappop, heappush
from random import Random

from rvfs.source.sim.alarms import Alarms
from rvfs.source.sim.faults import EXPIRY, SECOND, Plan
from rvfs.source.sim.parts import (
    FAIR,
    ORIGIN,
    RAW_STATE,
    TIF_NEED_RESCHED,
    TIF_NEED_RESCHED_LAZY,
    Cpu,
    S,
    Task,
)
from rvfs.source.sim.scripts import HANDED_OVER, HEADS, STAYS, TAILS, WAKERS, WAKES

#: How long after a violation by time alone its fault ends, in ns.
AFTERMATH = 1_000_000


class Codes:
    """Scripts by number: ``span`` in ns, ``length`` in events.

    ``switch[head][tail]`` is a context switch, ``wake[where][fault]`` a wake-up without and
    with a request to reschedule.
    """

    def __init__(
        self, number: Mapping[str, int], span: Sequence[int], length: Sequence[int]
    ) -> None:
        self.number, self.span, self.length = number, span, length
        self.switch = {head: {tail: number[f"{head} > {tail}"] for tail in TAILS} for head in HEADS}
        for head in STAYS:
            self.switch[head]["stay"] = number[f"{head} > stay"]
        self.wake = {
            where: {f: self._wakes(where, f) for f in WAKES if f"wake {where} {f}" in number}
            for where in WAKERS
        }

    def _wakes(self, where: str, fault: str) -> tuple[int, int]:
        return self.number[f"wake {where} {fault}"], self.number[f"wake {where} {fault} resched"]


class Scheduler:
    """``rate`` is the mean of events per second; ``plan`` says which wake-ups go wrong."""

    def __init__(self, codes: Codes, plan: Plan, seed: int, rate: float) -> None:
        self._codes, self._plan, self._number = codes, plan, codes.number
        self._cost = [length * SECOND / rate for length in codes.length]
        self._random = Random(seed).random
        self.records: list[int] = []
        self.horizon = ORIGIN
        self._spent = 0.0
        self._sequence = 0
        self.cpus: list[Cpu] = []
        self._sleepers: list[Task] = []
        self._alarms = Alarms(self._rescue, self._overrun)
        self._tasks = self._stalled = 0

    def _below(self, bound: int) -> int:
        return int(self._random() * bound)

    def _play(self, cpu: Cpu, script: int, b: int = 0, c: int = 0, n: int = 0, m: int = 0) -> None:
        """Emit a script on a CPU, from when it is free."""
        self.records += (script, cpu.free, cpu.number, cpu.current.token, b, c, n, m)
        cpu.free += self._codes.span[script]
        if cpu.free > self.horizon:
            self.horizon = cpu.free
        self._spent += self._cost[script]

    def _meet(self, cpu: Cpu) -> None:
        """Let everything that was begun come to its end (rule 2)."""
        cpu.free = max(cpu.free, self.horizon)

    # -- run queues and switches -----------------------------------------------------------

    def _enqueue(self, task: Task, cpu: Cpu) -> None:
        self._sequence += 1
        task.cpu, task.on_queue = cpu, True
        heappush(cpu.queue, (task.rank, self._sequence, task))
        if task.watched:
            self._alarms.wait(task, self.horizon)
        if task.state:
            self._lay_down(task)

    def _dequeue(self, cpu: Cpu) -> Task:
        """The next task of a CPU, or its idle task."""
        if not cpu.queue and not self._pull(cpu):
            return cpu.idle
        task = heappop(cpu.queue)[2]
        task.cpu, task.on_queue = cpu, False
        if task.state:
            self._get_up(task)
        return task

    def _pull(self, cpu: Cpu) -> bool:
        """Take a waiting task from another CPU."""
        other = self.cpus[self._below(len(self.cpus))]
        if other is cpu or not other.queue or other.queue[-1][2].pinned:
            return False
        self._meet(cpu)
        cpu.queue.append(other.queue.pop())
        return True

    def _switch(self, cpu: Cpu, head: str, n: int = 0, m: int = 0) -> Task:
        """Leave the current task for the best that waits; the task that was left."""
        previous, task = cpu.current, self._dequeue(cpu)
        scripts = self._codes.switch[head]
        cpu.resched = 0
        if task is previous:
            self._play(cpu, scripts["stay"])
        else:
            self._play(cpu, scripts[task.tail], b=task.token, n=n, m=m)
            previous.tail = HEADS[head][1]
            cpu.current = task
        return previous

    def _preempt(self, cpu: Cpu, head: str) -> None:
        self._enqueue(cpu.current, cpu)
        self._switch(cpu, head)

    # -- sleep and wake-up -----------------------------------------------------------------

    def _lay_down(self, task: Task) -> None:
        task.place = len(self._sleepers)
        self._sleepers.append(task)

    def _get_up(self, task: Task) -> None:
        last = self._sleepers.pop()
        if last is not task:
            self._sleepers[task.place] = last
            last.place = task.place
        task.place = -1

    def _sleep_in(self, cpu: Cpu, head: str, state: int) -> None:
        task = self._switch(cpu, head, n=state, m=RAW_STATE[state])
        task.state = state
        task.watched = True
        task.slept = task.slept or state == S
        self._lay_down(task)

    def _home(self, task: Task) -> Cpu:
        """Where a task that wakes up will run: where it was, or where nobody runs."""
        home = task.cpu
        if task.pinned or home.current is home.idle:
            return home
        other = self.cpus[self._below(len(self.cpus))]
        return other if other.current is other.idle else home

    def _urgency(self, cpu: Cpu, task: Task) -> int:
        """The flag that a newly runnable task sets on the current task of its CPU, or 0."""
        if cpu.resched == TIF_NEED_RESCHED:
            return 0
        if task.rank < cpu.current.rank:
            return TIF_NEED_RESCHED
        asks = not cpu.resched and task.rank == cpu.current.rank and self._random() < 0.3
        return TIF_NEED_RESCHED_LAZY if asks else 0

    def _wake(self, cpu: Cpu, task: Task, where: str) -> None:
        """Wake a sleeper from a task, an interrupt or a softirq on ``cpu``."""
        self._meet(cpu)
        self._get_up(task)
        task.state = 0
        fault = self._fault_of_wake(cpu, task, where) if self._plan.waits else ""
        if fault == "wakeup":
            task.introduced = False
            where = "task" if where == "task" else "softirq"
        scripts = self._codes.wake[where][fault]
        if fault == "stall":
            self._stall(cpu, task, scripts[0])
        elif task.on_queue:
            self._play(cpu, scripts[0], b=task.token, n=task.cpu.number)
            self._touch(task.cpu, cpu)
        else:
            self._start(cpu, task, self._home(task), scripts)

    def _fault_of_wake(self, cpu: Cpu, task: Task, where: str) -> str:
        """The monitor that is to report this wake-up, or ""."""
        occasions = ["wake"]
        if task.rank == FAIR and not task.on_queue:
            if 4 * self._stalled < self._tasks:
                occasions.append("wake fair")
            from_below = where != "task" or cpu.current.rank == FAIR
            if task.introduced and task.tail not in HANDED_OVER and from_below:
                occasions.append("wake user")
        if self._random() < 0.5:  # nobody is to have all the occasions
            occasions.reverse()
        return next(filter(None, map(self._plan.take, occasions)), "")

    def _stall(self, cpu: Cpu, task: Task, script: int) -> None:
        """Wake a task that gets no CPU until too late."""
        self._play(cpu, script, b=task.token, n=task.cpu.number)
        self._stalled += 1
        self._alarms.set(cpu.free + EXPIRY["stall"] + AFTERMATH, partial(self._unstall, task))

    def _unstall(self, task: Task) -> None:
        self._stalled -= 1
        self._enqueue(task, task.cpu)

    def _rescue(self, task: Task) -> None:
        """Let a task run that has waited for too long."""
        raise NotImplementedError

    def _overrun(self, task: Task) -> None:
        """A task is still awake near its deadline."""
        raise NotImplementedError

    def _start(self, cpu: Cpu, task: Task, home: Cpu, scripts: tuple[int, int]) -> None:
        """Make a task ready on its ``home``; the second script asks that one to reschedule."""
        tif = self._urgency(home, task)
        victim = home.current.token
        self._play(cpu, scripts[tif > 0], b=task.token, c=victim, n=home.number, m=tif)
        self._enqueue(task, home)
        home.resched = tif or home.resched
        self._touch(home, cpu)

    def _touch(self, cpu: Cpu, by: Cpu) -> None:
        """Rule 3."""
        if cpu.free < by.free:
            cpu.free = by.free

    def _after_wake(self, cpu: Cpu) -> None:
        """``preempt_enable`` of a waker is where it is preempted itself."""
        if cpu.resched == TIF_NEED_RESCHED:
            self._preempt(cpu, "preempt")
