"""Who there is on the simulated machine: its CPUs, and the tasks that come and go."""

from typing import Final

from rvfs.source.sim.faults import Plan
from rvfs.source.sim.interrupts import Interrupts
from rvfs.source.sim.parts import LOWEST_PRIO, TIF_NEED_RESCHED, Cpu, Task
from rvfs.source.sim.scheduler import Codes
from rvfs.source.sim.scripts import HANDED_OVER

#: Pids as the kernel hands them out: upwards, and around from RESERVED (kernel/pid.c).
RESERVED_PIDS, PID_MAX = 300, 32768

#: Who there is, over and over: (name, priority, of user space, bound to a CPU).
CAST: Final = (
    ("bash", 120, True, False),
    ("kworker/{cpu}:1", 120, False, True),
    ("cyclictest", 19, True, False),
    ("postgres", 120, True, False),
    ("ksoftirqd/{cpu}", 120, False, True),
    ("python3", 120, True, False),
    ("irq/24-nvme0q1", 49, False, False),
    ("make", 125, True, False),
    ("rcu_preempt", 120, False, False),
    ("nginx", 120, True, False),
    ("migration/{cpu}", 0, False, True),
    ("sshd", 120, True, False),
    ("dlapp", -1, True, True),
)


class Population(Interrupts):
    """``comms`` is the name of each pid; who is of user space and not picky forks and dies."""

    def __init__(
        self, codes: Codes, plan: Plan, *, cpus: int, tasks: int, seed: int, rate: float
    ) -> None:
        super().__init__(codes, plan, seed, rate)
        self.comms: dict[int, str] = {}
        self.cpus += [Cpu(number, self._name(f"swapper/{number}")) for number in range(cpus)]
        self._users: list[Task] = []
        self._zombies: list[Task] = []
        self._pids: set[int] = set()
        self._last_pid = RESERVED_PIDS - 1
        self._populate(tasks)
        self._tasks, self._crowd = tasks, len(self._users)
        self._last_pid = max(self._last_pid, PID_MAX - 1 - self._below(64))

    def _populate(self, tasks: int) -> None:
        """Every task is ready to run, and none has run yet."""
        for i in range(tasks):
            name, prio, user, pinned = CAST[i % len(CAST)]
            cpu = self.cpus[i // len(CAST) % len(self.cpus)]
            number = self._name(name.format(cpu=cpu.number))
            self._enqueue(self._create(prio, number, user, pinned, cpu), cpu)
        for cpu in self.cpus:
            cpu.resched = TIF_NEED_RESCHED

    def _create(self, prio: int, name: int, user: bool, pinned: bool, cpu: Cpu) -> Task:
        task = Task(self._new_pid(), prio, name, user, pinned, cpu)
        self.comms[task.pid] = self.names[name].decode()
        if user and not task.picky:
            self._users.append(task)
        return task

    def _new_pid(self) -> int:
        pid = self._last_pid + 1
        while pid >= PID_MAX or pid in self._pids:
            pid = RESERVED_PIDS if pid >= PID_MAX else pid + 1
        self._last_pid = pid
        self._pids.add(pid)
        return pid

    def _is_crowded(self) -> bool:
        """More likely yes, the more tasks there are: so their number stays about the same."""
        return self._below(2 * self._crowd) < len(self._users)

    def _sleeper(self) -> Task:
        return self._sleepers[self._below(len(self._sleepers))]

    def _may_wake(self, waker: Task | None, task: Task) -> bool:
        """Whether a task, or a softirq (None), may wake that one."""
        if not task.picky:
            return True
        if task.prio == LOWEST_PRIO:
            return False
        return task.tail in HANDED_OVER or (waker is not None and waker.prio <= task.prio)
