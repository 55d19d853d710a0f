"""What the tasks of the simulated machine do, each when it runs, and what goes wrong."""

from collections.abc import Callable, Sequence
from typing import Final

from rvfs.source.sim.faults import Plan
from rvfs.source.sim.parts import (
    LOWEST_PRIO,
    RAW_STATE,
    TIF_NEED_RESCHED,
    Cpu,
    D,
    I,
    L,
    S,
    Task,
)
from rvfs.source.sim.population import Population
from rvfs.source.sim.scheduler import Codes

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


class Work(Population):
    """``_work`` lets the current task of a CPU do one thing."""

    def __init__(
        self, codes: Codes, plan: Plan, *, cpus: int, tasks: int, seed: int, rate: float
    ) -> None:
        super().__init__(codes, plan, cpus=cpus, tasks=tasks, seed=seed, rate=rate)
        self._habits, self._picky, self._steady = map(self._weighted, (HABITS, PICKY, STEADY))

    def _weighted(self, habits: Sequence[tuple[str, int]]) -> list[Callable[[Cpu], None]]:
        return [getattr(self, habit) for habit, weight in habits for _ in range(weight)]

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
            or (self._plan.take("server") if self._may_miss(cpu) else "")
            or self._plan.take("task")
        )

    def _may_miss(self, cpu: Cpu) -> bool:
        return not cpu.missing and cpu.free >= cpu.rested

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
            idle = " idle" if cpu.current is cpu.idle else ""
            self._play(cpu, self._number[f"free{idle}"], b=task.token)
            self._pids.discard(task.pid)
