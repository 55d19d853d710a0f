"""The simulated machine: its CPUs and tasks, and what happens next.

Each step takes a CPU and lets it do one thing, which its state decides: a CPU that was asked
to reschedule does, an idle CPU waits for an interrupt, a task works, sleeps, wakes others,
forks, dies, or goes wrong when a fault is due (:mod:`rvfs.source.sim.work`).

Nothing here depends on the clock of the wall, on who listens, or on how records are read.
"""

import math

from rvfs.source.sim.faults import Plan
from rvfs.source.sim.parts import ORIGIN, TIF_NEED_RESCHED, Cpu
from rvfs.source.sim.scheduler import Codes
from rvfs.source.sim.work import Work

#: How far the events of a step may be ahead of the clock, in ns.
SKEW = 100_000


class Machine(Work):
    """``run(steps)`` appends to ``records``; ``clock`` is ns, and no later event is before it.

    ``rate`` is the mean of events per second of simulated time, ``names`` the task and
    device names that records refer to, ``comms`` the name of each pid.
    """

    def __init__(
        self, codes: Codes, plan: Plan, *, cpus: int, tasks: int, seed: int, rate: float
    ) -> None:
        super().__init__(codes, plan, cpus=cpus, tasks=tasks, seed=seed, rate=rate)
        self.clock, self._debt = ORIGIN, 0

    def run(self, steps: int, end: float = math.inf) -> None:
        """Go on for so many steps; no step begins at or after ``end`` (ns)."""
        for _ in range(steps):
            if self.clock >= end:
                break
            self._step()
        self.clock = max(self.clock, self.horizon)

    def _step(self) -> None:
        clock, alarms = self.clock, self._alarms
        if clock >= self._plan.next:
            self._plan.call(clock)
        if clock >= alarms.next and clock >= alarms.due():
            self.horizon = max(self.horizon, clock)
            alarms.ring()
        else:
            self._go_on(self.cpus[int(self._random() * len(self.cpus))])
        self._debt += int(self._spent * (0.5 + self._random()))
        self._spent = 0.0
        self._pass_time(clock + self._debt)

    def _go_on(self, cpu: Cpu) -> None:
        if cpu.free < self.clock:
            cpu.free = self.clock
        if cpu.resched:
            self._reschedule(cpu)
        elif cpu.current is cpu.idle:
            self._idle(cpu)
        else:
            self._work(cpu)

    def _pass_time(self, wanted: int) -> None:
        """Let time pass as the rate wants and the alarms allow; the rest comes later."""
        if wanted > self._alarms.next:
            wanted = self._alarms.until(self.clock, wanted)
        self._debt -= wanted - self.clock
        ahead = self.horizon - SKEW
        self.clock = wanted if wanted > ahead else ahead

    def _reschedule(self, cpu: Cpu) -> None:
        """Another CPU has asked: an interrupt, or the way back to user space, brings it about."""
        task = cpu.current
        if task is cpu.idle:
            self._play(cpu, self._number["enter reschedule idle"])
            self._play(cpu, self._number["leave irq idle"])
            self._switch(cpu, "idle")
        elif cpu.resched == TIF_NEED_RESCHED and (task.state or self._random() < 0.5):
            self._play(cpu, self._number["enter reschedule"])
            self._preempt(cpu, "irq")
        elif task.state:
            self._fall_asleep(cpu)
        else:
            self._preempt(cpu, "yield")

    def _idle(self, cpu: Cpu) -> None:
        if cpu.queue:
            self._switch(cpu, "idle")
        elif self._random() < 0.7:
            self._device(cpu)
        elif self._zombies:
            self._reap(cpu)
        else:
            self._interrupt(cpu)
