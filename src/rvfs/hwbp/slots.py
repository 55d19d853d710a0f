"""Debug register slots: reserve, release, modify (kernel/events/hw_breakpoint.c).

The rule, for every CPU c and every pool p (kind of register) of ``slots`` registers::

    P(c) + M(c) <= slots

P(c) is the weight of the breakpoints of CPU c itself. N(T, c) is the weight of those of task
T that count on c: the ones of T on every CPU, and the ones of T on c alone. M(c) is the
largest N(T, c) of any task. Tasks do not compete with each other, since only one of them runs
on a CPU at a time; a breakpoint of a CPU competes with whichever task has the most.

=============  ================  =====================================================
target         counts on         what is already taken there
=============  ================  =====================================================
CPU c          CPU c             P(c) + M(c)
task T, CPU c  CPU c             P(c) + N(T, c)
task T         every CPU         the largest P(c) + N(T, c) of any c
=============  ================  =====================================================

A task is the object, not its pid: it keeps its slots after its exit until each is released.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock
from typing import TypeVar

from rvfs.errors import Gone, InvalidInput, Locked, NotReady, RvfsError
from rvfs.hwbp.breakpoint import EMPTY, INVALID, RW, Pool, Registers, W, X
from rvfs.hwbp.table import EVERY_CPU, Request, Table, Task

A = TypeVar("A")
B = TypeVar("B")


class Reservation:
    """One held slot: what was asked for, under the type it is held for now."""

    __slots__ = ("request",)

    def __init__(self, request: Request) -> None:
        self.request = request


def all_or_nothing(
    do: Callable[[A], B], undo: Callable[[B], object], items: Iterable[A]
) -> list[B]:
    """``do`` every item; when one is refused undo those done before, last first, and pass it on."""
    done: list[B] = []
    try:
        for item in items:
            done.append(do(item))  # noqa: PERF401 - what was done so far must survive the error
    except BaseException:
        for thing in reversed(done):
            undo(thing)
        raise
    return done


class Slots:
    """The slots of ``cpus`` possible CPUs, each with the same ``registers``.

    ``registers`` is None while nobody has asked the machine; every reserve is refused until
    :meth:`initialise`. Every method that can be refused changes nothing then.
    """

    def __init__(self, cpus: int, registers: Registers | None = None) -> None:
        """Raises :class:`InvalidInput` without a CPU."""
        if cpus < 1:
            raise InvalidInput(f"a machine has at least 1 CPU, not {cpus}")
        self.cpus = cpus
        self.lock = Lock()  # nr_bp_mutex: what the debugger's variants must not wait for
        self._held: dict[Reservation, None] = {}
        self._tables: dict[Pool, Table] = {}
        if registers is not None:
            self.initialise(registers)

    def initialise(self, registers: Registers) -> None:
        """Say how many registers there are (init_hw_breakpoint()); only before the first use.

        Raises :class:`InvalidInput` for a negative number, or the second time.
        """
        if self._tables:
            raise InvalidInput("the number of debug registers is known already")
        for pool, count in registers.slots.items():
            if count < 0:
                raise InvalidInput(f"a CPU cannot have {count} {pool} registers")
        self._tables = {pool: Table(pool, count) for pool, count in registers.slots.items()}
        self._inst, self._data = (self._tables[registers.pool(kind)] for kind in (X, W))

    def __iter__(self) -> Iterator[Reservation]:
        """Everything that is held, in the order of the reservations."""
        return iter(tuple(self._held))

    @property
    def pools(self) -> Mapping[Pool, int]:
        """How many registers of each kind every CPU has; empty while nobody knows."""
        return {pool: table.slots for pool, table in self._tables.items()}

    def is_target(self, task: Task | None, cpu: int) -> bool:
        """Whether there is such a CPU; ``EVERY_CPU`` is one only for a task."""
        return (0 if task is None else EVERY_CPU) <= cpu < self.cpus

    def cpu_pinned(self, cpu: int, pool: Pool) -> int:
        """P: the weight of the breakpoints of the CPU itself."""
        return self._tables[pool].cpu_pinned[cpu]

    def task_pinned(self, task: Task, cpu: int, pool: Pool) -> int:
        """N: the weight that counts for a task on a CPU."""
        return self._tables[pool].task_pinned(task, cpu)

    def max_task_pinned(self, cpu: int, pool: Pool) -> tuple[Task | None, int]:
        """M and a task that holds it; None and 0 where no task has any."""
        return self._tables[pool].crowd(cpu)

    def room(self, request: Request) -> int:
        """The registers that the target of a request could still get."""
        return self._table(request).room(request)

    def reserve(self, request: Request) -> Reservation:
        """reserve_bp_slot(). Raises, in this order: :class:`NotReady`, :class:`InvalidInput` (type
        EMPTY or INVALID; a target or weight that is none), :class:`NoSpace`."""
        with self.lock:
            return self._reserve(request)

    def release(self, reservation: Reservation) -> None:
        """release_bp_slot(). Cannot fail; raises :class:`Gone` for what is not held (any more)."""
        with self.lock:
            self._release(reservation)

    def modify(self, reservation: Reservation, bp_type: int) -> None:
        """modify_bp_slot(): hold the same weight for another type, perhaps in another pool.

        Released under the old type, reserved under the new; taking back what was just released
        cannot fail. The type changes under the same lock, so no count ever sees the two differ.
        Raises as :meth:`reserve`, and :class:`Gone`.
        """
        with self.lock:
            self._check_held(reservation)
            old = reservation.request
            new = old._replace(bp_type=bp_type)
            self._table(old).add(old, -old.weight)
            try:
                self._admit(new)
                reservation.request = new
            finally:
                self._table(reservation.request).add(reservation.request, old.weight)

    def reserve_all(self, requests: Iterable[Request]) -> list[Reservation]:
        """Every one of them, or none. Raises as the one that was refused.

        The order of the requests does not change whether they fit.
        """
        wanted = tuple(requests)
        with self.lock:
            return all_or_nothing(self._reserve, self._release, wanted)

    def reserve_threads(
        self, threads: Iterable[Task], bp_type: int, *, cpu: int = EVERY_CPU, weight: int = 1
    ) -> list[Reservation]:
        """One for each thread of a process, or none at all. Raises as :meth:`reserve`."""
        return self.reserve_all(Request(thread, cpu, bp_type, weight) for thread in threads)

    def explain(self, *requests: Request) -> RvfsError | None:
        """Why :meth:`reserve_all` would refuse them now; None if it would not."""
        with self.lock:
            try:
                taken = all_or_nothing(self._reserve, self._release, requests)
            except RvfsError as error:
                return error
            for reservation in taken:
                self._release(reservation)
        return None

    def can_reserve(self, requests: Iterable[Request]) -> bool:
        """Whether :meth:`reserve_all` would give them now, all together. Changes nothing."""
        return self.explain(*requests) is None

    def dbg_reserve(self, request: Request) -> Reservation:
        """dbg_reserve_bp_slot(): for a debugger that stopped the machine wherever it was.

        Never waits: raises :class:`Locked` if the lock is held, else as :meth:`reserve`.
        """
        self._check_unlocked()
        return self._reserve(request)

    def dbg_release(self, reservation: Reservation) -> None:
        """dbg_release_bp_slot(). Raises :class:`Locked` if the lock is held, and :class:`Gone`."""
        self._check_unlocked()
        self._release(reservation)

    def dbg_reserve_cpus(self, cpus: Iterable[int], bp_type: int) -> list[Reservation]:
        """One on each CPU, or none: as kgdb does it. Raises as :meth:`dbg_reserve`."""
        requests = (Request(None, cpu, bp_type) for cpu in cpus)
        return all_or_nothing(self.dbg_reserve, self.dbg_release, requests)

    def _check_unlocked(self) -> None:
        if self.lock.locked():
            raise Locked("the slot table is in use; a debugger cannot wait for it")

    def _check_held(self, reservation: Reservation) -> None:
        if reservation not in self._held:
            raise Gone(f"the slot of {reservation.request} was released before")

    def _table(self, request: Request) -> Table:
        return self._data if request.bp_type & RW else self._inst

    def _reserve(self, request: Request) -> Reservation:
        self._admit(request)
        self._table(request).add(request, request.weight)
        reservation = Reservation(request)
        self._held[reservation] = None
        return reservation

    def _admit(self, request: Request) -> None:
        if not self._tables:
            raise NotReady("nobody has said yet how many debug registers there are")
        if request.bp_type in (EMPTY, INVALID):
            raise InvalidInput(f"a breakpoint of type {request.bp_type} watches nothing")
        if not self.is_target(request.task, request.cpu):
            raise InvalidInput(f"there is no {request}: CPUs are 0 to {self.cpus - 1}")
        if request.weight < 1:
            raise InvalidInput(f"a breakpoint needs at least 1 register, not {request.weight}")
        table = self._table(request)
        if request.weight > table.room(request):
            raise table.refusal(request)

    def _release(self, reservation: Reservation) -> None:
        self._check_held(reservation)
        del self._held[reservation]
        request = reservation.request
        self._table(request).add(request, -request.weight)
