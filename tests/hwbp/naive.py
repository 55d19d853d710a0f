"""Slot accounting as its definition reads: every question is answered by counting everything."""

from dataclasses import dataclass, field

from rvfs.hwbp.breakpoint import EMPTY, INVALID, Pool, Registers
from rvfs.hwbp.table import Request


@dataclass
class Naive:
    """``held`` maps whatever key the caller likes to what it holds."""

    cpus: int
    registers: Registers
    held: dict[int, Request] = field(default_factory=dict)

    def cpu_pinned(self, cpu: int, pool: Pool) -> int:
        return sum(r.weight for r in self._in(pool) if r.task is None and r.cpu == cpu)

    def task_pinned(self, task: object, cpu: int, pool: Pool) -> int:
        return sum(r.weight for r in self._in(pool) if r.task is task and r.cpu in (-1, cpu))

    def max_task_pinned(self, cpu: int, pool: Pool) -> int:
        tasks = {r.task for r in self.held.values() if r.task is not None}
        return max((self.task_pinned(task, cpu, pool) for task in tasks), default=0)

    def busy(self, request: Request) -> int:
        pool = self.registers.pool(request.bp_type)
        cpus = range(self.cpus) if request.cpu < 0 else [request.cpu]
        return max(self.cpu_pinned(cpu, pool) + self._taken(request, cpu, pool) for cpu in cpus)

    def refuses(self, request: Request) -> str:
        """``EINVAL``, ``ENOSPC`` or nothing."""
        if request.bp_type in (EMPTY, INVALID):
            return "EINVAL"
        room = self.registers.of(request.bp_type) - self.busy(request)
        return "ENOSPC" if request.weight > room else ""

    def _taken(self, request: Request, cpu: int, pool: Pool) -> int:
        if request.task is None:
            return self.max_task_pinned(cpu, pool)
        return self.task_pinned(request.task, cpu, pool)

    def _in(self, pool: Pool) -> list[Request]:
        return [r for r in self.held.values() if self.registers.pool(r.bp_type) is pool]
