"""How much of one pool is taken on every CPU: the counting below ``slots.py``.

P(c), N(T, c) and M(c) are those of ``slots.py``. Nothing here walks CPUs or tasks. N is kept
in two layers: one :class:`Ranking` of what every task has on every CPU, and for each CPU one
ranking of only those tasks that have something on it alone, by their whole N there. The second
is never less than the first, so M is the larger of two maxima, and what a task gets on every
CPU moves only the rankings of the CPUs where it has something alone.
"""

from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from rvfs.errors import NoSpace
from rvfs.hwbp.breakpoint import Pool

Task = Hashable
K = TypeVar("K", bound=Hashable)

#: The ``cpu`` of a target that counts on every CPU.
EVERY_CPU = -1
_NOTHING: Mapping[int, int] = MappingProxyType({})


class Request(NamedTuple):
    """Who asks for ``weight`` registers. Without a task ``cpu`` must name a CPU."""

    task: Task | None
    cpu: int
    bp_type: int
    weight: int = 1

    def __str__(self) -> str:
        if self.task is None:
            return f"CPU {self.cpu}"
        return f"task {self.task} on " + ("every CPU" if self.cpu < 0 else f"CPU {self.cpu}")


class Ranking(Generic[K]):
    """Numbers from 0 to ``limit`` by key, and who has the largest. Keys with 0 are not kept."""

    def __init__(self, limit: int) -> None:
        self.numbers: dict[K, int] = {}
        self.top = 0
        self._keys: list[dict[K, None]] = [{} for _ in range(limit + 1)]

    def __getitem__(self, key: K) -> int:
        return self.numbers.get(key, 0)

    def __setitem__(self, key: K, number: int) -> None:
        self._keys[self.numbers.pop(key, 0)].pop(key, None)
        if number:
            self.numbers[key] = number
            self._keys[number][key] = None
            if number > self.top:
                self.top = number
        while self.top and not self._keys[self.top]:
            self.top -= 1

    @property
    def leader(self) -> K | None:
        """A key with the largest number; None if there is no key at all."""
        return next(iter(self._keys[self.top]), None)


class Table:
    """P, N and M of one pool of ``slots`` registers on each CPU; none of them ever passes it."""

    def __init__(self, pool: Pool, slots: int) -> None:
        self.pool, self.slots = pool, slots
        self.cpu_pinned: Ranking[int] = Ranking(slots)
        self.everywhere: Ranking[Task] = Ranking(slots)
        self.on_cpu: dict[int, Ranking[Task]] = {}  # N of the tasks that have something there
        self.alone: dict[Task, dict[int, int]] = {}  # by CPU, what a task has on it alone

    def task_pinned(self, task: Task, cpu: int) -> int:
        """N(task, cpu)."""
        return self.everywhere[task] + self.alone.get(task, _NOTHING).get(cpu, 0)

    def crowd(self, cpu: int) -> tuple[Task | None, int]:
        """The task with the most on a CPU, and M(cpu)."""
        here = self.on_cpu.get(cpu)
        most = here if here and here.top >= self.everywhere.top else self.everywhere
        return most.leader, most.top

    def holder(self, request: Request, cpu: int) -> tuple[Task | None, int]:
        """The task that a request must share a CPU's registers with, and what it holds there."""
        if request.task is None:
            return self.crowd(cpu)
        return request.task, self.task_pinned(request.task, cpu)

    def bottleneck(self, request: Request) -> int:
        """The CPU with the least room for a request."""
        task, cpu = request.task, request.cpu
        if cpu >= 0 or task is None:
            return cpu
        # Where the task has nothing alone, only P makes a difference.
        worst, most = self.cpu_pinned.leader or 0, self.cpu_pinned.top
        for cpu, count in self.alone.get(task, _NOTHING).items():
            if self.cpu_pinned[cpu] + count > most:
                worst, most = cpu, self.cpu_pinned[cpu] + count
        return worst

    def room(self, request: Request) -> int:
        """The registers still free for a request where it has the least."""
        cpu = self.bottleneck(request)
        return self.slots - self.cpu_pinned[cpu] - self.holder(request, cpu)[1]

    def add(self, request: Request, amount: int) -> None:
        """Count a request (``amount`` = its weight), or no longer (minus its weight)."""
        task, cpu = request.task, request.cpu
        if task is None:
            self.cpu_pinned[cpu] += amount
        elif cpu < 0:
            self._add_everywhere(task, amount)
        else:
            self._add_alone(task, cpu, amount)

    def _add_everywhere(self, task: Task, amount: int) -> None:
        self.everywhere[task] += amount
        for cpu in self.alone.get(task, ()):
            self.on_cpu[cpu][task] += amount

    def _add_alone(self, task: Task, cpu: int, amount: int) -> None:
        alone = self.alone.setdefault(task, {})
        alone[cpu] = alone.get(cpu, 0) + amount
        if cpu not in self.on_cpu:
            self.on_cpu[cpu] = Ranking(self.slots)
        self.on_cpu[cpu][task] = alone[cpu] and self.task_pinned(task, cpu)
        if not alone[cpu]:
            self._forget(task, cpu)

    def _forget(self, task: Task, cpu: int) -> None:
        """Keep no entry for a task without anything of its own on a CPU."""
        del self.alone[task][cpu]
        if not self.alone[task]:
            del self.alone[task]
        if not self.on_cpu[cpu].numbers:
            del self.on_cpu[cpu]

    def refusal(self, request: Request) -> NoSpace:
        cpu = self.bottleneck(request)
        task, held = self.holder(request, cpu)
        pinned = self.cpu_pinned[cpu]
        who = f"task {task}" if request.task is not None else f"task {task}, the most of any task"
        registers = f"{self.slots} {self.pool} register" + "s" * (self.slots != 1)
        counted = f"{pinned} pinned to the CPU" + (f", {held} held by {who}" if held else "")
        return NoSpace(
            f"no room for {request}: CPU {cpu} has {registers}, {counted}, "
            f"{request.weight} asked for",
            cpu=cpu, pool=self.pool, slots=self.slots, pinned=pinned,
            holder=None if task is None else str(task), held=held, asked=request.weight,
        )  # fmt: skip
