"""The simulated machine: CPUs, their run queues, tasks, and what happens next.

Each step takes a CPU and lets it do one thing, which its state decides: an idle CPU waits
for an interrupt, a CPU that was asked to reschedule does, a task works, sleeps, wakes
others, forks, dies (:data:`HABITS`). What happens is appended to ``records`` as scripts of
``scripts.py``: eight numbers each, nothing per event.

The steps of different CPUs overlap in time, as on a real machine. Three rules keep causes
before effects:

1. A CPU is ``free`` from the end of what it did last.
2. What touches a task or a CPU other than the own begins when everything before has ended
   (``horizon``).
3. A CPU that was touched goes on after what touched it.

Nothing here depends on the clock of the wall, on who listens, or on how records are read.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Final

from rvfs.event import IDLE_PID
from rvfs.source.sim.faults import SECOND, Plan
from rvfs.source.sim.scripts import HEADS, INTERRUPTS, STAYS, TAILS, WAKERS, WAKES

#: When the machine began to run, in ns of its clock.
ORIGIN = SECOND

#: Thread flags on x86; nrp looks at the first alone.
TIF_NEED_RESCHED, TIF_NEED_RESCHED_LAZY = 3, 4

#: Sleep: ``prev_state`` as the record shows it → the state that the task sets.
S, D, I = 0x1, 0x2, 0x80  # noqa: E741 - the kernel's own letters
RAW_STATE: Mapping[int, int] = {S: 0x1, D: 0x2, I: 0x402}

#: Pids as the kernel hands them out: upwards, and around from RESERVED (kernel/pid.c).
RESERVED_PIDS, PID_MAX = 300, 32768

#: Priorities: below 100 real time; all others share the CPU as equals.
FAIR, IDLE_PRIO = 120, 1000

#: How many tasks of each kind; (name, prio, of user space, one per CPU).
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

#: A task is one number, so that a record can carry it: name, priority, pid.
PID_BITS, PRIO_BITS = 22, 8


def pack(pid: int, prio: int, name: int) -> int:
    """The token of a task; ``name`` is an index into :attr:`Machine.names`."""
    return (name << PRIO_BITS | prio) << PID_BITS | pid


class Task:
    """``state`` is what it sleeps in or has prepared to sleep in, 0 when runnable.

    ``tail`` is how it will leave the scheduler; ``place`` its index among the sleepers, or -1.
    """

    __slots__ = (
        "cpu", "name", "on_queue", "parent", "pid", "pinned", "place",
        "prio", "rank", "signal", "slept", "state", "tail", "token", "user",
    )  # fmt: skip

    def __init__(self, pid: int, prio: int, name: int, user: bool, pinned: bool, cpu: "Cpu"):
        self.pid, self.prio, self.name, self.user, self.pinned = pid, prio, name, user, pinned
        self.token = pack(pid, prio, name)
        self.rank = min(prio, FAIR)
        self.cpu, self.tail = cpu, "schedule"
        self.state, self.place, self.on_queue = 0, -1, False
        self.signal, self.slept = 0, False
        self.parent: Task | None = None


class Cpu:
    """``resched`` is the thread flag that the current task has set, or 0."""

    __slots__ = ("current", "free", "idle", "number", "queue", "resched")

    def __init__(self, number: int, name: int) -> None:
        self.number, self.free, self.resched = number, ORIGIN, 0
        self.queue: list[tuple[int, int, Task]] = []
        self.idle = Task(IDLE_PID, FAIR, name, False, True, self)
        self.idle.rank, self.idle.tail = IDLE_PRIO, "idle"
        self.current = self.idle


@dataclass(frozen=True)
class Codes:
    """Scripts by number: ``span`` in ns, ``length`` in events."""

    number: Mapping[str, int]
    span: list[int]
    length: list[int]
    switch: Mapping[str, Mapping[str, int]] = field(init=False)
    wake: Mapping[str, Mapping[str, tuple[int, int]]] = field(init=False)

    def __post_init__(self) -> None:
        number = self.number
        switch = {head: {tail: number[f"{head} > {tail}"] for tail in TAILS} for head in HEADS}
        for head in STAYS:
            switch[head]["stay"] = number[f"{head} > stay"]
        wake = {
            where: {
                fault: (
                    number[f"wake {where} {fault}"],
                    number[f"wake {where} {fault} resched"],
                )
                for fault in WAKES
            }
            for where in WAKERS
        }
        object.__setattr__(self, "switch", switch)
        object.__setattr__(self, "wake", wake)


class Machine:
    """``run(steps)`` appends to ``records``; ``clock`` is ns, and no later event is before it.

    ``rate`` is the mean of events per second of simulated time, ``names`` the task and
    device names that records refer to, ``comms`` the name of each pid.
    """

    def __init__(
        self, codes: Codes, plan: Plan, *, cpus: int, tasks: int, seed: int, rate: float
    ) -> None:
        self._codes, self._plan, self._number = codes, plan, codes.number
        self._cost = [length * SECOND / rate for length in codes.length]
        self._random = Random(seed).random
        self.records: list[int] = []
        self.clock = self.horizon = ORIGIN
        self._spent = 0.0
        self._sequence = 0
        self.names: list[bytes] = []
        self.comms: dict[int, str] = {}
        self._devices = [(irq, self._name(name)) for irq, name in DEVICES]
        self.cpus = [Cpu(number, self._name(f"swapper/{number}")) for number in range(cpus)]
        self._users: list[Task] = []
        self._sleepers: list[Task] = []
        self._zombies: list[Task] = []
        self._pids: set[int] = set()
        self._last_pid = RESERVED_PIDS - 1
        self._populate(tasks)
        self._crowd = len(self._users)
        self._last_pid = max(self._last_pid, PID_MAX - 1 - self._below(200))
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
        cpu = self.cpus[self._below(len(self.cpus))]
        if cpu.free < self.clock:
            cpu.free = self.clock
        if cpu.resched:
            self._reschedule(cpu)
        elif cpu.current is cpu.idle:
            self._idle(cpu)
        else:
            self._work(cpu)
        self.clock += int(self._spent * (0.5 + self._random()))
        self._spent = 0.0

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
        cpu.free = self.horizon

    # -- the scheduler ---------------------------------------------------------------------

    def _enqueue(self, task: Task, cpu: Cpu) -> None:
        self._sequence += 1
        task.cpu, task.on_queue = cpu, True
        heappush(cpu.queue, (task.rank, self._sequence, task))
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
        task.slept = task.slept or state == S
        self._lay_down(task)

    def _fall_asleep(self, cpu: Cpu) -> None:
        """The task has prepared to sleep and now does, unless a signal came meanwhile."""
        task = cpu.current
        if task.signal and task.state == S:
            self._play(cpu, self._number["resume"])
            task.state = cpu.resched = 0
        else:
            self._sleep_in(cpu, "sleep prepared", task.state)

    def _kind_of_sleep(self, task: Task) -> int:
        return D if self._random() < 0.2 else S if task.user or self._random() < 0.3 else I

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
        """Wake a sleeper from a task or an interrupt on ``cpu``."""
        self._meet(cpu)
        self._get_up(task)
        task.state = 0
        scripts = self._codes.wake[where][self._plan.take("wake")]
        if task.on_queue:
            self._play(cpu, scripts[0], b=task.token, n=task.cpu.number)
            self._touch(task.cpu, cpu)
        else:
            self._start(cpu, task, self._home(task), scripts)

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
        elif fault := self._plan.take("task") or (task.slept and self._plan.take("slept")):
            self._go_wrong(cpu, fault)
        else:
            self._habits[self._below(len(self._habits))](cpu)

    def _go_wrong(self, cpu: Cpu, monitor: str) -> None:
        """Do what ``monitor`` must report; for wwnr that takes the task's first sleep anew."""
        task = cpu.current
        if monitor == "wwnr":
            task.slept = False
        script = self._number[f"fault {monitor}"]
        self._play(cpu, script, task.token, task.token, cpu.number, TIF_NEED_RESCHED)

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
