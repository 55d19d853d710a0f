"""What the simulated machine is made of: its tasks, its CPUs, and the numbers of the kernel."""

from collections.abc import Mapping

from rvfs.event import IDLE_PID
from rvfs.source.sim.faults import SECOND

#: When the machine began to run, in ns of its clock.
ORIGIN = SECOND

#: Thread flags on x86; nrp looks at the first alone.
TIF_NEED_RESCHED, TIF_NEED_RESCHED_LAZY = 3, 4

#: Sleep: ``prev_state`` as the record shows it → the state that the task sets. The last is
#: TASK_RTLOCK_WAIT, as the scheduler has it.
S, D, I, L = 0x1, 0x2, 0x80, 0x1000  # noqa: E741 - the kernel's own letters
RAW_STATE: Mapping[int, int] = {S: 0x1, D: 0x2, I: 0x402, L: 0x1000}

#: Priorities: -1 has a deadline, below 100 is real time; all others share the CPU as equals.
LOWEST_PRIO, REAL_TIME, FAIR, IDLE_PRIO = -1, 100, 120, 1000

#: A task is one number, so that a record can carry it: name, priority, pid.
PID_BITS, PRIO_BITS = 22, 8


def pack(pid: int, prio: int, name: int) -> int:
    """The token of a task; ``name`` is an index into :attr:`Machine.names`."""
    return (name << PRIO_BITS | prio - LOWEST_PRIO) << PID_BITS | pid


class Task:
    """``state`` is what it sleeps in or has prepared to sleep in, 0 when runnable.

    ``tail`` is how it will leave the scheduler; ``place`` its index among the sleepers, or -1.
    ``picky`` is a real-time task of user space. ``since`` is when it was put on a queue or
    given its last deadline, in ns; ``watched`` that it has slept, ``introduced`` that all it
    can do was seen of it.
    """

    __slots__ = (
        "cpu", "introduced", "name", "on_queue", "parent", "picky", "pid", "pinned", "place",
        "prio", "rank", "replenished", "signal", "since", "slept", "state", "tail", "token",
        "user", "watched",
    )  # fmt: skip

    def __init__(self, pid: int, prio: int, name: int, user: bool, pinned: bool, cpu: "Cpu"):
        self.pid, self.prio, self.name, self.user, self.pinned = pid, prio, name, user, pinned
        self.token = pack(pid, prio, name)
        self.rank = min(prio, FAIR)
        self.picky = user and prio < REAL_TIME
        self.cpu, self.tail = cpu, ""
        self.state, self.place, self.on_queue = 0, -1, False
        self.signal, self.slept, self.watched, self.introduced = 0, False, False, False
        self.since = self.replenished = ORIGIN
        self.parent: Task | None = None


class Cpu:
    """``resched`` is the thread flag that the current task has set, or 0.

    ``server`` is the state of its fair server, ``served`` how often that has changed; it is
    ``missing`` while a deadline passes, and no other does so before it has ``rested`` (ns).
    """

    __slots__ = (
        "current", "free", "idle", "missing", "number", "queue", "resched", "rested", "served",
        "server",
    )  # fmt: skip

    def __init__(self, number: int, name: int) -> None:
        self.number, self.free, self.resched = number, ORIGIN, 0
        self.queue: list[tuple[int, int, Task]] = []
        self.idle = Task(IDLE_PID, FAIR, name, False, True, self)
        self.idle.rank, self.idle.tail = IDLE_PRIO, "idle"
        self.current = self.idle
        self.server, self.served = "stopped", 0
        self.missing, self.rested = False, ORIGIN
