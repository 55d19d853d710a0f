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
from rvfs.source.sim.interrupts import Interrupts
from rvfs.source.sim.parts import (
    LOWEST_PRIO,
    ORIGIN,
    RAW_STATE,
    TIF_NEED_RESCHED,
    Cpu,
    D,
    I,
    L,
    S,
    Task,
)
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
SIGNALS: Final = (10, 14, 15, 29)
SIGCHLD, SI_USER, CLD_EXITED = 17, 0, 1

#: What a running task does next, and how often.
HABITS: Final = (
    ("_lock", 18), ("_interrupt", 6), ("_tick", 6), ("_device", 9), ("_wake_other", 9),
    ("_sleep", 20), ("_yield", 3), ("_hesitate", 2), ("_prepare", 4), ("_interrupted", 1),
    ("_fork", 4), ("_exit", 4), ("_signal", 2), ("_reap", 3),
    ("_call", 2), ("_contend", 2), ("_fault", 3), ("_boost", 1),
)  # fmt: skip
#: What a real-time task of user space does; and everybody, while a deadline passes.
PICKY: Final = (
    ("_lock", 18), ("_interrupt", 6), ("_tick", 6), ("_device", 9), ("_wake_other", 9),
    ("_sleep", 24), ("_yield", 3), ("_hesitate", 2), ("_reap", 3), ("_call", 2), ("_contend", 2),
)  # fmt: skip
STEADY: Final = (("_lock", 6), ("_interrupt", 2), ("_tick", 2), ("_device", 3), ("_yield", 1))

#: For what tasks of user space sleep, and in what state; None is one or the other.
FAIR_SLEEPS: Final = (("", None), ("read", None), ("futex", S), ("nanosleep", S), ("epoll", S),
                      ("lock", D))  # fmt: skip
PICKY_SLEEPS: Final = (("futex", S), ("nanosleep", S), ("epoll", S), ("pi", S), ("lock", L))

#: How far the events of a step may be ahead of the clock, in ns.
SKEW = 100_000


class Machine(Interrupts):
    """``run(steps)`` appends to ``records``; ``clock`` is ns, and no later event is before it.

    ``rate`` is the mean of events per second of simulated time, ``names`` the task and
    device names that records refer to, ``comms`` the name of each pid.
    """

    def __init__(
        self, codes: Codes, plan: Plan, *, cpus: int, tasks: int, seed: int, rate: float
    ) -> None:
        super().__init__(codes, plan, seed, rate)
        self.clock, self._debt = ORIGIN, 0
        self.comms: dict[int, str] = {}
        self.cpus += [Cpu(number, self._name(f"swapper/{number}")) for number in range(cpus)]
        self._users: list[Task] = []
        self._zombies: list[Task] = []
        self._pids: set[int] = set()
        self._last_pid = RESERVED_PIDS - 1
        self._populate(tasks)
        self._tasks, self._crowd = tasks, len(self._users)
        self._last_pid = max(self._last_pid, PID_MAX - 1 - self._below(64))
        self._habits, self._picky, self._steady = map(self._weighted, (HABITS, PICKY, STEADY))

    def _weighted(self, habits: tuple[tuple[str, int], ...]) -> list[Callable[[Cpu], None]]:
        return [getattr(self, habit) for habit, weight in habits for _ in range(weight)]

    # -- what there is at the start --------------------------------------------------------

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

    # -- the loop --------------------------------------------------------------------------

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
        if clock >= alarms.next and clock >= alarms.find():
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
        """Let time pass as the rate wants, but no alarm: then the rest comes later."""
        if wanted > self._alarms.next:
            wanted = int(max(self.clock, min(wanted, self._alarms.find())))
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

    def _device(self, cpu: Cpu) -> None:
        """An interrupt that somebody waits for: a device, a timer."""
        self._enter(cpu, "device" if self._random() < 0.6 else "timer")
        if self._sleepers:
            task = self._sleeper()
            where = "softirq" if self._random() < 0.2 and self._may_wake(None, task) else "irq"
            if task.prio == LOWEST_PRIO:
                self._replenish(cpu, task)
            self._wake(cpu, task, where)
        self._leave(cpu)

    def _sleeper(self) -> Task:
        return self._sleepers[self._below(len(self._sleepers))]

    def _may_wake(self, waker: Task | None, task: Task) -> bool:
        """Whether a task, or a softirq (None), may wake that one."""
        if not task.picky:
            return True
        if task.prio == LOWEST_PRIO:
            return False
        return task.tail in HANDED_OVER or (waker is not None and waker.prio <= task.prio)

    def _idle(self, cpu: Cpu) -> None:
        if cpu.queue:
            self._switch(cpu, "idle")
        elif self._random() < 0.7:
            self._device(cpu)
        elif self._zombies:
            self._reap(cpu)
        else:
            self._interrupt(cpu)

    # -- what tasks do ---------------------------------------------------------------------

    def _work(self, cpu: Cpu) -> None:
        task = cpu.current
        if task.state:
            self._fall_asleep(cpu)
        elif task.user and not task.introduced:
            self._introduce(cpu)
        elif task.signal:
            self._deliver(cpu)
        elif self._plan.waits and (fault := self._fault_of(cpu)):
            self._go_wrong(cpu, fault)
        else:
            habits = self._steady if cpu.missing else self._picky if task.picky else self._habits
            habits[self._below(len(habits))](cpu)

    def _introduce(self, cpu: Cpu) -> None:
        """A task takes a lock and calls the kernel, as it will again and again."""
        self._play(cpu, self._number["introduce"])
        cpu.current.introduced = True

    def _fault_of(self, cpu: Cpu) -> str:
        """The monitor whose fault is due, or ""; there is always time for something else too."""
        task = cpu.current
        if self._random() < 0.5:
            return ""
        return (
            (self._plan.take("slept") if task.slept else "")
            or (self._plan.take("fair") if task.user and not task.picky else "")
            or (self._plan.take("server") if not cpu.missing else "")
            or self._plan.take("task")
        )

    def _go_wrong(self, cpu: Cpu, monitor: str) -> None:
        """Do what ``monitor`` must report; for wwnr that takes the task's first sleep anew."""
        task = cpu.current
        if monitor == "nomiss":
            self._miss(cpu)
            return
        if monitor == "wwnr":
            task.slept = False
        script = self._number[f"fault {monitor}"]
        self._play(cpu, script, task.token, task.token, cpu.number, TIF_NEED_RESCHED)

    def _fall_asleep(self, cpu: Cpu) -> None:
        """The task has prepared to sleep and now does, unless it finds that it need not."""
        task = cpu.current
        if cpu.missing or self._random() < 0.3 or (task.signal and task.state == S):
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
        self._play(cpu, self._number["hesitate rt" if cpu.current.picky else "hesitate"])

    def _sleep(self, cpu: Cpu) -> None:
        if self._plan.take("sleep"):
            self._sleep_in(cpu, "sleep untold", S)
            return
        ways = ("sleep irq early", "sleep irq late", "sleep")
        reason, state = self._reason_to_sleep(cpu.current)
        self._sleep_in(cpu, f"{ways[min(self._below(20), 2)]} {reason}", state)

    def _reason_to_sleep(self, task: Task) -> tuple[str, int]:
        if not task.user:
            return "", self._kind_of_sleep(task)
        reasons = PICKY_SLEEPS if task.picky else FAIR_SLEEPS
        reason, state = reasons[self._below(len(reasons))]
        return reason, state or self._kind_of_sleep(task)

    def _call(self, cpu: Cpu) -> None:
        if cpu.current.user:
            self._play(cpu, self._number["call"])

    def _contend(self, cpu: Cpu) -> None:
        self._play(cpu, self._number["contend" if self._random() < 0.5 else "spin"])

    def _fault(self, cpu: Cpu) -> None:
        """A page is not there; real-time tasks of user space have theirs locked."""
        if cpu.current.user:
            where = "fault" if self._random() < 0.9 else "fault in kernel"
            self._play(cpu, self._number[where])

    def _boost(self, cpu: Cpu) -> None:
        """A real-time task waits for what this one holds."""
        if cpu.current.user:
            self._play(cpu, self._number["boosted"])

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
        if self._sleepers and self._may_wake(cpu.current, task := self._sleeper()):
            self._wake(cpu, task, "task")
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
