"""Breakpoint slots: a pair of reserve and release, beside a recount in the manner of the kernel
before v6.2, which keeps one list of every task's breakpoints and walks it for each CPU.

Every task has a breakpoint on every CPU and another one on a CPU alone, and every CPU has one
of its own; the pair is asked for by the last task.
"""

from collections.abc import Callable, Iterator

from bench.table import Row, best, show
from rvfs.hwbp.breakpoint import Registers, W
from rvfs.hwbp.slots import Slots
from rvfs.hwbp.table import Request

SIZES = ((2, 10), (64, 1000), (256, 4000))
SLOTS = 4
PAIRS = 200
REPEAT = 50  # short runs and many: the best of them had the machine to itself
WALKED = 200_000  # entries that the recount may walk for each row, about
MICRO = 1e6


class Recount:
    """The bookkeeping of kernel/events/hw_breakpoint.c in v5.7, for one pool and weight 1."""

    def __init__(self, cpus: int) -> None:
        self.cpus = range(cpus)
        self.cpu_pinned = [0] * cpus
        self.tsk_pinned = [[0] * SLOTS for _ in self.cpus]  # by how many a task has, minus 1
        self.task_bps: list[Request] = []

    def reserve(self, request: Request) -> Request:
        busy = max(self._busy(request, cpu) for cpu in self._on(request))
        assert busy < SLOTS
        self._toggle(request, 1)
        return request

    def release(self, request: Request) -> None:
        self._toggle(request, -1)

    def _on(self, request: Request) -> range:
        return self.cpus if request.cpu < 0 else range(request.cpu, request.cpu + 1)

    def _task_bp_pinned(self, request: Request, cpu: int) -> int:
        task = request.task
        return sum(bp.task is task and (bp.cpu < 0 or bp.cpu == cpu) for bp in self.task_bps)

    def _busy(self, request: Request, cpu: int) -> int:
        if request.task is not None:
            return self.cpu_pinned[cpu] + self._task_bp_pinned(request, cpu)
        most = max((n + 1 for n, tasks in enumerate(self.tsk_pinned[cpu]) if tasks), default=0)
        return self.cpu_pinned[cpu] + most

    def _toggle(self, request: Request, step: int) -> None:
        if request.task is None:
            self.cpu_pinned[request.cpu] += step
            return
        for cpu in self._on(request):
            self._toggle_task_slot(request, cpu, step)
        (self.task_bps.append if step > 0 else self.task_bps.remove)(request)

    def _toggle_task_slot(self, request: Request, cpu: int, step: int) -> None:
        held = self._task_bp_pinned(request, cpu)
        for number, change in ((held, -1), (held + step, 1)):
            if number > 0:
                self.tsk_pinned[cpu][number - 1] += change


def rows() -> Iterator[Row]:
    """µs for each pair; one row for each size and target."""
    for cpus, tasks in SIZES:
        slots, recount = Slots(cpus, Registers.shared(SLOTS)), Recount(cpus)
        for request in _held(cpus, tasks):
            slots.reserve(request)
            _take(recount, request)
        for target, (request, walked) in _asked(cpus, tasks).items():
            yield Row(
                f"reserve + release, {target}, {cpus} CPUs x {tasks} tasks",
                _micros(slots, request, PAIRS),
                "µs",
                "recount",
                _micros(recount, request, min(PAIRS, 1 + WALKED // walked)),
            )


def _held(cpus: int, tasks: int) -> Iterator[Request]:
    yield from (Request(None, cpu, W) for cpu in range(cpus))
    for task in range(tasks):
        yield Request(task, -1, W)
        yield Request(task, task % cpus, W)


def _take(recount: Recount, request: Request) -> None:
    """What a reserve leaves behind, without its walks: filling up would take hours."""
    recount.task_bps += [request] if request.task is not None else []
    if request.task is None:
        recount.cpu_pinned[request.cpu] += 1
    elif request.cpu < 0:
        for counts in recount.tsk_pinned:
            counts[0] += 1
    else:
        recount.tsk_pinned[request.cpu][0] -= 1
        recount.tsk_pinned[request.cpu][1] += 1


def _asked(cpus: int, tasks: int) -> dict[str, tuple[Request, int]]:
    """By target: what is asked for, and how many entries a recount walks for it."""
    last, cpu = tasks - 1, cpus - 1
    return {
        "task": (Request(last, -1, W), cpus * tasks),
        "task on a CPU": (Request(last, cpu, W), tasks),
        "CPU": (Request(None, cpu, W), 1),
    }


def _micros(table: Slots | Recount, request: Request, pairs: int) -> float:
    reserve: Callable[[Request], object] = table.reserve
    release: Callable[[object], None] = table.release  # type: ignore[assignment]

    def run() -> None:
        for _ in range(pairs):
            release(reserve(request))

    return best(run, REPEAT if pairs == PAIRS else 1) / pairs * MICRO


if __name__ == "__main__":
    show("Breakpoint slots", rows())
