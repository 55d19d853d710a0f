"""The simulated machine: its CPUs and tasks, and what happens next.

Each step takes a CPU and lets it do one thing, which its state decides: a CPU that was asked
to reschedule does, an idle CPU waits for an interrupt, a task works, sleeps, wakes others,
forks, dies (:data:`HABITS`), or goes wrong when a fault is due.

Nothing here depends on the clock of the wall, on who listens, or on how records are read.
"""

import math
from collections.abc import Callable
from typing import Final

from rvfs.source.sim.faults import Plan
from rvfs.source.sim.parts import (
    ORIGIN,
    RAW_STATE,
    TIF_NEED_RESCHED,
    TIF_NEED_RESCHED_LAZY,
    Cpu,
    D,
    I,
    S,
    Task,
)
from rvfs.source.sim.scheduler import Codes, Scheduler
from rvfs.source.sim.scripts import INTERRUPTS

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
)
DEVICES: Final = ((24, "nvme0q1"), (27, "eth0-rx-0"), (1, "i8042"), (9, "acpi"))
SIGNALS: Final = (10, 14, 15, 29)
SIGCHLD, SI_USER, CLD_EXITED = 17, 0, 1

#: What a running task does next, and how often.
HABITS: Final = (
    ("_lock", 18), ("_interrupt", 6), ("_tick", 6), ("_device", 9), ("_wake_other", 9),
    ("_sleep", 20), ("_yield", 3), ("_hesitate", 2), ("_prepare", 4), ("_interrupted", 1),
    ("_fork", 4), ("_exit", 4), ("_signal", 2), ("_reap", 3),
)  # fmt: skip


class Machine(Scheduler):
    """``run(steps)`` appends to ``records``; ``clock`` is ns, and no later event is before it.

    ``rate`` is the mean of events per second of simulated time, ``names`` the task and
    device names that records refer to, ``comms`` the name of each pid.
    """

    def __init__(
        self, codes: Codes, plan: Plan, *, cpus: int, tasks: int, seed: int, rate: float
    ) -> None:
        super().__init__(codes, plan, seed, rate)
        self.clock = ORIGIN
        self.names: list[bytes] = []
        self.comms: dict[int, str] = {}
        self._devices = [(irq, self._name(name)) for irq, name in DEVICES]
        self.cpus += [Cpu(number, self._name(f"swapper/{number}")) for number in range(cpus)]
        self._users: list[Task] = []
        self._zombies: list[Task] = []
        self._pids: set[int] = set()
        self._last_pid = RESERVED_PIDS - 1
        self._populate(tasks)
        self._crowd = len(self._users)
        self._last_pid = max(self._last_pid, PID_MAX - 1 - self._below(64))
        self._habits: list[Callable[[Cpu], None]] = [
            getattr(self, habit) for habit, weight in HABITS for _ in range(weight)
        ]

    # -- what there is at the start --------------------------------------------------------

    def _name(self, name: str) -> int:
        self.names.append(name.encode()[:15])
        return len(self.names) - 1

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
        if user:
            self._users.append(task)
        return task

    def _new_pid(self) -> int:
        pid = self._last_pid + 1
        while pid >= PID_MAX or pid in self._pids:
            pid = RESERVED_PIDS if pid >= PID_MAX else pid + 1
        self._last_pid = pid
        self._pids.add(pid)
        return pid

    # -- the loop --------------------------------------------------------------------------

    def run(self, steps: int, end: float = math.inf) -> None:
        """Go on for so many steps; no step begins at or after ``end`` (ns)."""
        for _ in range(steps):
            if self.clock >= end:
                break
            self._step()
        self.clock = max(self.clock, self.horizon)

    def _step(self) -> None:
        if self.clock >= self._plan.next:
            self._plan.call(self.clock)
        cpu = self.cpus[int(self._random() * len(self.cpus))]
        cpu.free = max(cpu.free, self.clock)
        if cpu.resched:
            self._reschedule(cpu)
        elif cpu.current is cpu.idle:
            self._idle(cpu)
        else:
            self._work(cpu)
        self.clock += int(self._spent * (0.5 + self._random()))
        self._spent = 0.0

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

    # -- interrupts ------------------------------------------------------------------------

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

    def _device(self, cpu: Cpu) -> None:
        """An interrupt that somebody waits for: a device, a timer."""
        self._enter(cpu, "device" if self._random() < 0.6 else "timer")
        if self._sleepers:
            self._wake(cpu, self._sleeper(), "irq")
        self._leave(cpu)

    def _sleeper(self) -> Task:
        return self._sleepers[self._below(len(self._sleepers))]

    def _idle(self, cpu: Cpu) -> None:
        if cpu.queue:
            self._switch(cpu, "idle")
        elif self._random() < 0.7:
            self._device(cpu)
        elif self._zombies:
            self._reap(cpu)
        else:
            self._interrupt(cpu)

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
        if self._has_rival(cpu):
            lazy = self._random() < 0.5
            self._ask(cpu, TIF_NEED_RESCHED_LAZY if lazy else TIF_NEED_RESCHED)
        self._leave(cpu)

    # -- what tasks do ---------------------------------------------------------------------

    def _work(self, cpu: Cpu) -> None:
        task = cpu.current
        if task.state:
            self._fall_asleep(cpu)
        elif task.signal:
            self._deliver(cpu)
        elif self._plan.waits and (fault := self._fault_of(task)):
            self._go_wrong(cpu, fault)
        else:
            self._habits[self._below(len(self._habits))](cpu)

    def _fault_of(self, task: Task) -> str:
        """The monitor whose fault is due, or ""; there is always time for something else too."""
        if self._random() < 0.5:
            return ""
        return (self._plan.take("slept") if task.slept else "") or self._plan.take("task")

    def _go_wrong(self, cpu: Cpu, monitor: str) -> None:
        """Do what ``monitor`` must report; for wwnr that takes the task's first sleep anew."""
        task = cpu.current
        if monitor == "wwnr":
            task.slept = False
        script = self._number[f"fault {monitor}"]
        self._play(cpu, script, task.token, task.token, cpu.number, TIF_NEED_RESCHED)

    def _fall_asleep(self, cpu: Cpu) -> None:
        """The task has prepared to sleep and now does, unless it finds that it need not."""
        task = cpu.current
        if self._random() < 0.3 or (task.signal and task.state == S):
            self._play(cpu, self._number["resume"])
            task.state = 0
        else:
            self._sleep_in(cpu, "sleep prepared", task.state)

    def _kind_of_sleep(self, task: Task) -> int:
        return D if self._random() < 0.2 else S if task.user or self._random() < 0.3 else I

    def _lock(self, cpu: Cpu) -> None:
        kind = ("lock", "lock irq", "local irq")[self._below(3)]
        self._play(cpu, self._number[kind])

    def _hesitate(self, cpu: Cpu) -> None:
        """Prepare to sleep, and find what it was about to wait for."""
        self._play(cpu, self._number["hesitate"])

    def _sleep(self, cpu: Cpu) -> None:
        if self._plan.take("sleep"):
            self._sleep_in(cpu, "sleep untold", S)
            return
        kinds = ("sleep irq early", "sleep irq late", "sleep")
        self._sleep_in(cpu, kinds[min(self._below(20), 2)], self._kind_of_sleep(cpu.current))

    def _prepare(self, cpu: Cpu) -> None:
        """Prepare to sleep, and be preempted before."""
        if not self._has_rival(cpu):
            return
        task = cpu.current
        task.state = self._kind_of_sleep(task)
        self._play(cpu, self._number["prepare"], m=RAW_STATE[task.state])
        self._enter(cpu, "timer")
        self._ask(cpu, TIF_NEED_RESCHED)
        self._leave(cpu)

    def _interrupted(self, cpu: Cpu) -> None:
        """Go to sleep with a signal pending: the scheduler keeps the task runnable."""
        if cpu.current.user:
            cpu.current.signal = self._some_signal()
            self._enqueue(cpu.current, cpu)
            self._switch(cpu, "interrupted")

    def _yield(self, cpu: Cpu) -> None:
        self._preempt(cpu, "yield")

    def _wake_other(self, cpu: Cpu) -> None:
        if self._sleepers:
            self._wake(cpu, self._sleeper(), "task")
            self._after_wake(cpu)

    def _some_signal(self) -> int:
        return SIGNALS[self._below(len(SIGNALS))]

    def _signal(self, cpu: Cpu) -> None:
        if self._users:
            self._send(cpu, self._users[self._below(len(self._users))], self._some_signal())
            self._after_wake(cpu)

    def _send(self, cpu: Cpu, task: Task, signal: int) -> None:
        task.signal = signal
        if task.place >= 0 and task.state == S:
            self._wake(cpu, task, "task")

    def _deliver(self, cpu: Cpu) -> None:
        task = cpu.current
        code = CLD_EXITED if task.signal == SIGCHLD else SI_USER
        self._play(cpu, self._number["deliver"], n=task.signal, m=code)
        task.signal = 0

    def _is_crowded(self) -> bool:
        """More likely yes, the more tasks there are: so their number stays about the same."""
        return self._below(2 * self._crowd) < len(self._users)

    def _fork(self, cpu: Cpu) -> None:
        parent = cpu.current
        if not parent.user or self._is_crowded():
            return
        self._meet(cpu)
        child = self._create(parent.prio, parent.name, True, False, cpu)
        child.parent = parent
        self._play(cpu, self._number["fork"], b=child.token)
        scripts = self._number["new"], self._number["new resched"]
        self._start(cpu, child, self._home(child), scripts)
        self._after_wake(cpu)

    def _exit(self, cpu: Cpu) -> None:
        task, parent = cpu.current, cpu.current.parent
        if not task.user or len(self._users) == 1 or not self._is_crowded():
            return
        self._play(cpu, self._number["exit"])
        self._users.remove(task)
        task.parent = None
        if parent is not None and parent in self._users:
            self._send(cpu, parent, SIGCHLD)
        self._zombies.append(self._switch(cpu, "die"))

    def _reap(self, cpu: Cpu) -> None:
        """What is left of a dead task is freed; its pid may be used again."""
        if self._zombies:
            self._meet(cpu)
            task = self._zombies.pop()
            self._play(cpu, self._number["free"], b=task.token)
            self._pids.discard(task.pid)
