"""Interrupts of the simulated machine, and what the kernel does in them by the clock.

That is: the tick, the fair server of each CPU, the deadlines of tasks, and who helps a task
that has waited too long. A server that is replenished is throttled or stopped within its
deadline, and so is a task, or it sleeps again.
"""

from collections.abc import Mapping
from functools import partial
from heapq import heapify

from rvfs.source.sim.faults import EXPIRY, Plan
from rvfs.source.sim.parts import LOWEST_PRIO, TIF_NEED_RESCHED, TIF_NEED_RESCHED_LAZY, Cpu, Task
from rvfs.source.sim.scheduler import AFTERMATH, Codes, Scheduler
from rvfs.source.sim.scripts import INTERRUPTS
from rvfs.source.sim.words import DL_SERVER_DEADLINE, DL_TASK_DEADLINE

DEVICES = ((24, "nvme0q1"), (27, "eth0-rx-0"), (1, "i8042"), (9, "acpi"))

#: How the fair server of a CPU goes on: state → what may happen; and where that leads.
SERVER: Mapping[str, tuple[str, ...]] = {
    "stopped": ("replenish", "stop"),
    "ready": ("throttle", "stop", "replenish"),
    "throttled": ("replenish",),
}
_BECOMES = {"replenish": "ready", "throttle": "throttled", "stop": "stopped"}
#: Of its deadline, how much an entity uses at most.
USED = 0.8
#: How long a task is throttled, and a CPU behaves after a deadline was missed, in ns.
THROTTLED, REST = 10_000_000, 20_000_000
#: Before every other rank.
_FIRST = -2


class Interrupts(Scheduler):
    """``names`` are those that records refer to."""

    def __init__(self, codes: Codes, plan: Plan, seed: int, rate: float) -> None:
        super().__init__(codes, plan, seed, rate)
        self.names: list[bytes] = []
        self._devices = [(irq, self._name(name)) for irq, name in DEVICES]

    def _name(self, name: str) -> int:
        self.names.append(name.encode()[:15])
        return len(self.names) - 1

    def _enter(self, cpu: Cpu, kind: str) -> None:
        irq, name = self._devices[self._below(len(self._devices))]
        idle = " idle" if cpu.current is cpu.idle else ""
        self._play(cpu, self._number[f"enter {kind}{idle}"], n=irq, m=name)

    def _leave(self, cpu: Cpu) -> None:
        """The end of an interrupt, where the kernel preempts."""
        if cpu.current is cpu.idle:
            self._play(cpu, self._number["leave irq idle"])
            if cpu.resched:
                self._switch(cpu, "idle")
        elif cpu.resched == TIF_NEED_RESCHED:
            self._preempt(cpu, "irq")
        else:
            self._play(cpu, self._number["leave irq"])

    def _interrupt(self, cpu: Cpu) -> None:
        self._enter(cpu, INTERRUPTS[self._below(len(INTERRUPTS))])
        self._leave(cpu)

    def _ask(self, cpu: Cpu, tif: int) -> None:
        """Ask the own current task to reschedule."""
        token = cpu.current.token
        self._play(cpu, self._number["need resched"], c=token, n=cpu.number, m=tif)
        cpu.resched = tif

    def _has_rival(self, cpu: Cpu) -> bool:
        """Whether a task waits that is worth as much as the current one."""
        return bool(cpu.queue) and cpu.queue[0][0] <= cpu.current.rank

    def _tick(self, cpu: Cpu) -> None:
        """The scheduler's tick: whoever has run long enough makes room for who waits."""
        self._enter(cpu, "timer")
        if cpu.current.prio == LOWEST_PRIO and not cpu.missing and self._random() < 0.2:
            self._throttle(cpu)
            return
        if not cpu.missing and self._random() < 0.2:
            choices = SERVER[cpu.server]
            self._serve(cpu, choices[self._below(len(choices))])
        if self._has_rival(cpu):
            lazy = self._random() < 0.5
            self._ask(cpu, TIF_NEED_RESCHED_LAZY if lazy else TIF_NEED_RESCHED)
        self._leave(cpu)

    def _rescue(self, task: Task) -> None:
        """The server of its CPU runs a task that was kept waiting."""
        cpu = task.cpu
        self._meet(cpu)
        first = [(_FIRST if entry[2] is task else entry[0], *entry[1:]) for entry in cpu.queue]
        cpu.queue[:] = first
        heapify(cpu.queue)
        self._enter(cpu, "timer")
        self._ask(cpu, TIF_NEED_RESCHED)
        self._leave(cpu)

    # -- the fair server of a CPU ----------------------------------------------------------

    def _serve(self, cpu: Cpu, what: str) -> None:
        """In an interrupt: ``replenish``, ``throttle`` or ``stop`` the server."""
        self._play(cpu, self._number[f"{what} server"], n=cpu.number, m=-cpu.number)
        cpu.server = _BECOMES[what]
        cpu.served += 1
        if what == "replenish":
            self._alarms.set(
                cpu.free + int(USED * DL_SERVER_DEADLINE),
                partial(self._stop_server, cpu, cpu.served),
            )

    def _stop_server(self, cpu: Cpu, served: int) -> None:
        """Unless something has happened since."""
        if cpu.served == served:
            self._meet(cpu)
            self._enter(cpu, "timer")
            self._serve(cpu, "stop")
            self._leave(cpu)

    def _miss(self, cpu: Cpu) -> None:
        """Replenish the server, and let its deadline pass; the CPU does not become idle then."""
        self._enter(cpu, "timer")
        self._play(cpu, self._number["miss"], n=cpu.number, m=-cpu.number)
        cpu.missing, cpu.server = True, "ready"
        cpu.served += 1
        self._alarms.set(cpu.free + EXPIRY["nomiss"] + AFTERMATH, partial(self._missed, cpu))
        self._leave(cpu)

    def _missed(self, cpu: Cpu) -> None:
        cpu.missing, cpu.rested = False, self.horizon + REST
        self._stop_server(cpu, cpu.served)

    # -- tasks with a deadline -------------------------------------------------------------

    def _replenish(self, cpu: Cpu, task: Task) -> None:
        """In an interrupt: give a task runtime until its next deadline."""
        self._play(cpu, self._number["replenish task"], n=cpu.number, m=task.pid)
        task.replenished = cpu.free
        self._alarms.finish(task, cpu.free + int(USED * DL_TASK_DEADLINE))

    def _overrun(self, task: Task) -> None:
        cpu = task.cpu
        self._meet(cpu)
        self._enter(cpu, "timer")
        if cpu.current is task and not cpu.missing:
            self._throttle(cpu)
        else:
            self._replenish(cpu, task)
            self._leave(cpu)

    def _throttle(self, cpu: Cpu) -> None:
        """In an interrupt: take the CPU from a task until it is replenished."""
        task = cpu.current
        self._play(cpu, self._number["throttle task"], n=cpu.number, m=task.pid)
        task.replenished = cpu.free
        self._ask(cpu, TIF_NEED_RESCHED)
        self._switch(cpu, "irq")
        self._alarms.set(cpu.free + THROTTLED, partial(self._refill, task))

    def _refill(self, task: Task) -> None:
        cpu = task.cpu
        self._meet(cpu)
        self._enter(cpu, "timer")
        self._replenish(cpu, task)
        self._enqueue(task, cpu)
        self._ask(cpu, TIF_NEED_RESCHED)
        self._leave(cpu)
