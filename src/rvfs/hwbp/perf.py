"""The debug registers of this machine: a :class:`Machine` whose breakpoints are the kernel's.

The kernel decides, and the slot table keeps its own count beside it:

==============  ==============  ==========================================================
the kernel      the table       what happens
==============  ==============  ==========================================================
opens it        has room        it is open, and counted
refuses         refuses alike   the table's sentence: it knows who holds what
refuses         would open it   the kernel's errno; of ENOSPC, that others hold registers
opens it        has no room     closed again; the table's refusal, and an error in the log
==============  ==============  ==========================================================

What other programs hold (debuggers, tracers) is seen only by trying: :meth:`PerfMachine.foreign`.
"""

import logging
import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from rvfs.errors import NoSpace, NotSupported, RvfsError
from rvfs.hwbp.backend import ARCHES, RealTask, Tasks, cpu_list
from rvfs.hwbp.breakpoint import Arch, Attributes, Pool, Registers, W, X
from rvfs.hwbp.machine import ROOT, Breakpoint, Caller, Machine, Opening, Task
from rvfs.hwbp.perf_event import NoRegister, PerfEvent, open_event
from rvfs.hwbp.slots import all_or_nothing
from rvfs.hwbp.table import EVERY_CPU, Request

log = logging.getLogger(__name__)

#: A breakpoint that is only there to see whether there is room, by the type its pool is for.
_PROBES = {kind: Attributes(kind, 8, 0) for kind in (W, X)}
#: No machine has more registers of one kind.
_MOST = 16


@dataclass(eq=False)
class RealBreakpoint(Breakpoint):
    """``event`` is the kernel's side of it."""

    event: PerfEvent


class PerfMachine(Machine):
    """This machine, a :class:`rvfs.hwbp.backend.Backend` with breakpoints of the kernel."""

    name = "perf"

    def __init__(self) -> None:
        """Raises :class:`NotSupported` without registers, :class:`NoAccess` without the right."""
        arch = ARCHES.get(platform.machine())
        if arch is None:
            raise NotSupported(f"breakpoints of {platform.machine()} are not known here")
        check_access()
        cpus = max(cpu_list("possible")) + 1
        super().__init__(cpus, arch, _registers(arch), online=cpu_list("online"))
        self.tasks = Tasks()

    # -- what a machine does -------------------------------------------------------------------

    def open(self, opening: Opening) -> RealBreakpoint:
        """Raises as perf_event_open(2)."""
        task = opening.task
        if isinstance(task, RealTask):
            task.look()
        event = self._open_event(opening)
        try:
            reservation = self.slots.reserve(_request(opening))
        except RvfsError as error:
            event.close()
            log.error("the kernel opened what has no room by our count: %s", error)
            raise
        return RealBreakpoint(task, opening.cpu, opening.attr, reservation, event)

    def close(self, bp: Breakpoint) -> None:
        super().close(bp)
        _event(bp).close()

    def modify(
        self, bp: Breakpoint, attr: Attributes, *, check: bool = True, caller: Caller = ROOT
    ) -> None:
        """PERF_EVENT_IOC_MODIFY_ATTRIBUTES; the kernel always checks what must not change."""
        try:
            _event(bp).modify(attr)
        except RvfsError as error:
            raise _clearer(error, self._broken_rule(attr, bp.task)) from None
        self.slots.modify(bp.reservation, attr.bp_type)
        bp.attr, bp.enabled = attr, not attr.disabled

    def modify_local(
        self, breakpoints: Sequence[Breakpoint], bp_addr: int, *, caller: Caller = ROOT
    ) -> None:
        """All or none. The kernel has no such call; a type that stays the same keeps its slot."""
        before = {id(bp): bp.attr for bp in breakpoints}

        def move(bp: Breakpoint) -> Breakpoint:
            self.modify(bp, replace(bp.attr, bp_addr=bp_addr), caller=caller)
            return bp

        all_or_nothing(move, lambda bp: self.modify(bp, before[id(bp)]), breakpoints)

    def enable(self, bp: Breakpoint, on: bool) -> None:
        """Disabled, it keeps its register."""
        _event(bp).enable(on)
        bp.attr, bp.enabled = replace(bp.attr, disabled=not on), on

    def hits(self, bp: Breakpoint) -> int:
        """As many as the kernel has counted."""
        return _event(bp).count

    def _open_event(self, opening: Opening) -> PerfEvent:
        task = opening.task
        pid = task.pid if isinstance(task, RealTask) else -1
        try:
            return PerfEvent(pid, opening.cpu, opening.attr)
        except NoRegister:
            raise self._by_our_count(opening) or self._held_by_others(opening) from None
        except RvfsError as error:
            raise _clearer(error, self._by_our_count(opening)) from None

    def _by_our_count(self, opening: Opening) -> RvfsError | None:
        """Why the rules and the table would refuse it, the kernel aside."""
        try:
            Machine.close(self, Machine.open(self, opening))
        except RvfsError as error:
            return error
        return None

    def _broken_rule(self, attr: Attributes, task: Task | None) -> RvfsError | None:
        try:
            self._validate(attr, task, ROOT)
        except RvfsError as error:
            return error
        return None

    def _held_by_others(self, opening: Opening) -> NoSpace:
        request = _request(opening)
        pool = self.registers.pool(request.bp_type)
        free, slots = self.slots.room(request), self.slots.pools[pool]
        return NoSpace(
            f"no room for {request}: by our count {free} of {slots} {pool} registers are free, "
            "but other programs hold them",
            cpu=opening.cpu, pool=pool, slots=slots, pinned=slots - free,
            holder=None, held=0, asked=request.weight,
        )  # fmt: skip

    # -- what only trying can tell -------------------------------------------------------------

    def foreign(self, cpu: int, bp_type: int = W) -> int:
        """The registers of a CPU that other programs hold, seen from the CPU: found by trying.

        For as long as that takes they have them all. Raises :class:`NoAccess`.
        """
        ours = self.slots.room(Request(None, cpu, bp_type))
        free = room_in_kernel(-1, cpu, bp_type)
        if free > ours:
            log.error("CPU %d: the kernel has %d registers free, by our count %d", cpu, free, ours)
        return max(ours - free, 0)


def check_access() -> None:
    """Raises :class:`NotSupported` or :class:`NoAccess` where no breakpoint can be had at all."""
    with suppress(NoRegister):
        os.close(open_event(0, EVERY_CPU, _PROBES[W]))


def room_in_kernel(pid: int, cpu: int, bp_type: int = W) -> int:
    """The registers that a target could get from the kernel now; ``pid`` -1 is the CPU itself."""
    opened: list[int] = []
    try:
        while len(opened) < _MOST:
            opened.append(open_event(pid, cpu, _PROBES[bp_type]))
    except NoRegister:
        pass
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return len(opened)


def _clearer(kernels: RvfsError, ours: RvfsError | None) -> RvfsError:
    """Our sentence where it says the same as the kernel's errno."""
    return ours if ours is not None and ours.errno == kernels.errno else kernels


def _request(opening: Opening) -> Request:
    return Request(opening.task, opening.cpu, opening.attr.bp_type)


def _event(bp: Breakpoint) -> PerfEvent:
    assert isinstance(bp, RealBreakpoint)
    return bp.event


def _registers(arch: Arch) -> Registers:
    """x86 always has the same; arm64 says it only by what it gives."""
    if Pool.SHARED in arch.registers.slots:
        return arch.registers
    return Registers.split(
        inst=room_in_kernel(0, EVERY_CPU, X), data=room_in_kernel(0, EVERY_CPU, W)
    )
