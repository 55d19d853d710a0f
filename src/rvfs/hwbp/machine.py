"""perf_event_open(2) for breakpoints, on a machine that is only counted.

Opening goes through these checks in this order, and fails with the first that says no. From
row 6 on a slot has been taken, and is given back. Modifying goes through row 6, then the
comparison of what must not change, then (only for another type) the slot table.

===  ==========================================  =====================================
row  check                                       refused with
===  ==========================================  =====================================
1    counting the kernel needs a right           EACCES
2    the task exists                             ESRCH
3    the CPU exists, or there is a task          EINVAL
4    no branch stack; registers of that kind     EOPNOTSUPP
5    :meth:`Slots.reserve`                       EINVAL, ENOSPC
6    :func:`~rvfs.hwbp.breakpoint.validate`      EINVAL, EOPNOTSUPP, EPERM
7    the task may be traced, the CPU counted     EACCES
8    the task has not exited                     ESRCH
9    the CPU is online, or there is a task       ENODEV
===  ==========================================  =====================================

Sources: kernel/events/core.c and kernel/events/hw_breakpoint.c, and what a running kernel does.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from rvfs.errors import (
    InvalidInput,
    NoAccess,
    NoDevice,
    NoTask,
    NotSupported,
    RvfsError,
)
from rvfs.hwbp.breakpoint import Arch, Attributes, Registers, validate
from rvfs.hwbp.slots import Reservation, Slots, all_or_nothing
from rvfs.hwbp.table import EVERY_CPU, Request


class State(Enum):
    """A zombie has exited, and its parent has not waited for it yet."""

    ALIVE = "alive"
    ZOMBIE = "zombie"
    REAPED = "reaped"


class Task:
    """One thread. It is the same task only if it is the same object, whatever its name."""

    def __init__(self, name: str, *, process: "Task | None" = None) -> None:
        self.name = name
        self.state = State.ALIVE
        self.threads: list[Task] = (
            process.threads if process else []
        )  # shared by all of one process
        self.threads.append(self)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Caller:
    """Who asks: capabilities, the right to trace the task, and /proc/sys/…/perf_event_paranoid."""

    perfmon: bool = True
    sys_admin: bool = True
    ptrace: bool = True
    paranoid: int = 2


ROOT = Caller()


@dataclass(frozen=True)
class Opening:
    """What is handed to perf_event_open(2). ``cpu`` is -1 for every CPU, with a task."""

    task: Task | None
    cpu: int
    attr: Attributes
    caller: Caller = ROOT


@dataclass(eq=False)
class Breakpoint:
    """One that is open. Disabled or not, it holds its slot until it is closed."""

    task: Task | None
    cpu: int
    attr: Attributes
    reservation: Reservation
    enabled: bool = field(init=False)

    def __post_init__(self) -> None:
        self.enabled = not self.attr.disabled


class Machine:
    """CPUs, debug registers, and the breakpoints that are open on them.

    ``online`` defaults to every CPU. What is refused changes nothing, except where a method
    says so.
    """

    def __init__(
        self, cpus: int, arch: Arch, registers: Registers | None = None,
        *, online: Iterable[int] | None = None,
    ) -> None:  # fmt: skip
        """``registers`` defaults to what is usual for the architecture."""
        self.arch = arch
        self.registers = registers or arch.registers
        self.slots = Slots(cpus, self.registers)
        self.online = frozenset(range(cpus) if online is None else online)

    def open(self, opening: Opening) -> Breakpoint:
        """Raises what the table at the head of this file says."""
        self._check(_BEFORE, opening)
        attr = opening.attr
        reservation = self.slots.reserve(Request(opening.task, opening.cpu, attr.bp_type))
        try:
            self._validate(attr, opening.task, opening.caller)
            self._check(_AFTER, opening)
        except RvfsError:
            self.slots.release(reservation)
            raise
        return Breakpoint(opening.task, opening.cpu, attr, reservation)

    def close(self, bp: Breakpoint) -> None:
        """Its slot is free when this returns. Raises :class:`Gone` the second time."""
        self.slots.release(bp.reservation)

    def open_all(self, openings: Iterable[Opening]) -> list[Breakpoint]:
        """Every one of them in this order, or none. Raises as the first that is refused."""
        return all_or_nothing(self.open, self.close, openings)

    def open_wide(self, attr: Attributes, caller: Caller = ROOT) -> list[Breakpoint]:
        """register_wide_hw_breakpoint(): on each online CPU, ascending, or nowhere."""
        return self.open_all(Opening(None, cpu, attr, caller) for cpu in sorted(self.online))

    def open_threads(
        self, process: Task, attr: Attributes, *, cpu: int = EVERY_CPU, caller: Caller = ROOT
    ) -> list[Breakpoint]:
        """On every thread of a process that has not exited, or on none."""
        alive = [thread for thread in process.threads if thread.state is State.ALIVE]
        return self.open_all(Opening(thread, cpu, attr, caller) for thread in alive)

    def explain(self, *openings: Opening) -> RvfsError | None:
        """Why :meth:`open_all` would refuse them now; None if it would not."""
        try:
            opened = self.open_all(openings)
        except RvfsError as error:
            return error
        self._close_all(opened)
        return None

    def room(self, opening: Opening, limit: int) -> tuple[int, RvfsError | None]:
        """How many more like this could be had, and what refuses the next one.

        No error means that ``limit`` were had.
        """
        opened: list[Breakpoint] = []
        try:
            while len(opened) < limit:
                opened.append(self.open(opening))
        except RvfsError as error:
            return len(opened), error
        finally:
            self._close_all(opened)
        return limit, None

    def modify(
        self, bp: Breakpoint, attr: Attributes, *, check: bool = True, caller: Caller = ROOT
    ) -> None:
        """modify_user_hw_breakpoint_check(): type, length, address and ``disabled`` change.

        With ``check``, as PERF_EVENT_IOC_MODIFY_ATTRIBUTES does it, the rest of ``attr`` must be
        what it was (:class:`InvalidInput`); without, as ptrace does it, the rest is ignored.
        Afterwards, refused or not, the breakpoint is enabled unless its attributes say disabled.
        """
        try:
            self._validate(attr, bp.task, caller)
            if check and attr.fixed != bp.attr.fixed:
                raise InvalidInput(f"only type, length, address and disabled of {attr} may change")
            self.slots.modify(bp.reservation, attr.bp_type)
            bp.attr = replace(
                bp.attr,
                bp_type=attr.bp_type, bp_len=attr.bp_len, bp_addr=attr.bp_addr,
                disabled=attr.disabled,
            )  # fmt: skip
        finally:
            bp.enabled = not bp.attr.disabled

    def modify_local(
        self, breakpoints: Sequence[Breakpoint], bp_addr: int, *, caller: Caller = ROOT
    ) -> None:
        """Move live breakpoints to another address, all or none, without touching any slot.

        So the pool cannot change and space cannot run out, and what was on stays on. Raises as
        :func:`~rvfs.hwbp.breakpoint.validate`.
        """
        moved = [replace(bp.attr, bp_addr=bp_addr) for bp in breakpoints]
        for bp, attr in zip(breakpoints, moved, strict=True):
            self._validate(attr, bp.task, caller)
        for bp, attr in zip(breakpoints, moved, strict=True):
            bp.attr = attr

    def _close_all(self, breakpoints: Collection[Breakpoint]) -> None:
        for bp in breakpoints:
            self.close(bp)

    def _validate(self, attr: Attributes, task: Task | None, caller: Caller) -> None:
        validate(self.arch, attr, task=task is not None, sys_admin=caller.sys_admin)

    def _check(self, table: "tuple[_Check, ...]", opening: Opening) -> None:
        for check in table:
            if check.broken(self, opening):
                raise check.error(check.why.format(o=opening, arch=self.arch.name))


class _Check(NamedTuple):
    """``why`` is filled in with the opening ``o`` and the name of the ``arch``."""

    broken: Callable[[Machine, Opening], bool]
    error: type[RvfsError]
    why: str


def _may_not_count_the_kernel(_: Machine, o: Opening) -> bool:
    return not (o.attr.exclude_kernel or o.caller.perfmon) and o.caller.paranoid > 1


def _is_in_state(state: State) -> Callable[[Machine, Opening], bool]:
    return lambda _, o: o.task is not None and o.task.state is state


def _may_not_trace(_: Machine, o: Opening) -> bool:
    return o.task is not None and not (o.caller.ptrace or o.caller.perfmon)


def _may_not_count_a_cpu(_: Machine, o: Opening) -> bool:
    return o.task is None and o.caller.paranoid > 0 and not o.caller.perfmon


_BEFORE = (
    _Check(_may_not_count_the_kernel, NoAccess, "counting the kernel takes CAP_PERFMON"),
    _Check(_is_in_state(State.REAPED), NoTask, "there is no task {o.task}"),
    _Check(
        lambda m, o: not m.slots.is_target(o.task, o.cpu),
        InvalidInput, "there is no CPU {o.cpu}, or every CPU is asked for without a task",
    ),
    _Check(lambda _, o: o.attr.branch_stack, NotSupported, "a breakpoint has no branch stack"),
    _Check(
        lambda m, o: m.registers.of(o.attr.bp_type) == 0,
        NotSupported, "this machine has no register for {o.attr}",
    ),
)  # fmt: skip
_AFTER = (
    _Check(_may_not_trace, NoAccess, "the caller may not trace task {o.task}"),
    _Check(_may_not_count_a_cpu, NoAccess, "counting CPU {o.cpu} takes CAP_PERFMON"),
    _Check(_is_in_state(State.ZOMBIE), NoTask, "task {o.task} has exited"),
    _Check(
        lambda m, o: o.task is None and o.cpu not in m.online, NoDevice, "CPU {o.cpu} is offline"
    ),
)
