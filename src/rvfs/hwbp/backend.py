"""What the files under ``hwbp/`` stand on: a machine whose tasks are those of this one.

==========  ==========================  ================================================
backend     breakpoints                 registers
==========  ==========================  ================================================
``model``   counted, never set          as usual for the architecture of this machine
``perf``    those of the kernel         those of this machine (:mod:`rvfs.hwbp.perf`)
==========  ==========================  ================================================

Whether a task lives is looked up in /proc when somebody asks for it.
"""

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from rvfs.hwbp.breakpoint import ARM64, NONE, X86, Arch, Attributes, Registers, W
from rvfs.hwbp.machine import Breakpoint, Machine, Opening, State, Task
from rvfs.hwbp.slots import Slots

#: What Python calls a processor → what its debug registers can do.
ARCHES: Mapping[str, Arch] = {"x86_64": X86, "aarch64": ARM64}
_CPUS = Path("/sys/devices/system/cpu")


class RealTask(Task):
    """A thread of this machine. One that has its number later is another task.

    ``comm`` is the name it had when it was last seen; empty if it never was.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(str(pid))
        self.pid = pid
        self.comm, _, self._birth = _stat(pid)
        self.look()

    def look(self) -> State:
        """What has become of it; also in ``state`` from then on."""
        comm, letter, birth = _stat(self.pid)
        if not letter or birth != self._birth:
            self.state = State.REAPED
        else:
            self.comm = comm
            self.state = State.ZOMBIE if letter in "ZX" else State.ALIVE
        return self.state


def _stat(pid: int) -> tuple[str, str, str]:
    """(name, state letter, time of birth) of a task; empty when there is none."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        comm, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()
        return comm, fields[0], fields[19]
    return "", "", ""


class Tasks:
    """The tasks of this machine by number: the same object for as long as anybody holds it."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[int, RealTask] = WeakValueDictionary()

    def __getitem__(self, pid: int) -> RealTask:
        """One that has been reaped, or never was, is an answer too; opening refuses it."""
        task = self._known.get(pid)
        if task is None or task.look() is State.REAPED:
            task = self._known[pid] = RealTask(pid)
        return task

    def threads(self, pid: int) -> list[RealTask]:
        """Every thread of the process ``pid``, in the order of their numbers.

        When it has gone, the one task that ``pid`` was: opening refuses it.
        """
        with suppress(OSError):
            folder = Path(f"/proc/{pid}/task")
            return [self[tid] for tid in sorted(int(one.name) for one in folder.iterdir())]
        return [self[pid]]


class Backend(Protocol):
    """What the files need of a machine. Everything refused changes nothing."""

    @property
    def name(self) -> str:
        """As in ``--hwbp``."""

    @property
    def arch(self) -> Arch: ...
    @property
    def registers(self) -> Registers: ...
    @property
    def slots(self) -> Slots:
        """Its own count."""

    @property
    def online(self) -> frozenset[int]: ...
    @property
    def tasks(self) -> Tasks: ...

    def open_all(self, openings: Iterable[Opening]) -> list[Breakpoint]:
        """Every one of them in this order, or none. Raises as :meth:`Machine.open`."""

    def close(self, bp: Breakpoint) -> None:
        """Its register is free when this returns."""

    def modify(self, bp: Breakpoint, attr: Attributes) -> None:
        """Raises as :meth:`Machine.modify`."""

    def enable(self, bp: Breakpoint, on: bool) -> None:
        """Disabled, it keeps its register."""

    def hits(self, bp: Breakpoint) -> int:
        """How often it was hit since it was opened."""

    def foreign(self, cpu: int, bp_type: int = W) -> int:
        """Registers of an online CPU, of the pool of that type, that other programs hold.

        Raises from :mod:`rvfs.errors` when that cannot be found out.
        """


class ModelMachine(Machine):
    """The backend that touches nothing: CPUs and tasks of this machine, registers counted."""

    name = "model"

    def __init__(
        self, cpus: int | None = None, arch: Arch | None = None, registers: Registers | None = None
    ) -> None:
        """What is not given is as on this machine."""
        if cpus is None:
            possible = cpu_list("possible")
            cpus, online = max(possible) + 1, cpu_list("online")
        else:
            online = list(range(cpus))
        chosen = arch or ARCHES.get(platform.machine(), NONE)
        super().__init__(cpus, chosen, registers, online=online)
        self.tasks = Tasks()

    def open(self, opening: Opening) -> Breakpoint:
        if isinstance(opening.task, RealTask):
            opening.task.look()
        return super().open(opening)

    def enable(self, bp: Breakpoint, on: bool) -> None:
        bp.attr, bp.enabled = replace(bp.attr, disabled=not on), on

    def hits(self, bp: Breakpoint) -> int:
        """None: nothing is watched."""
        return 0

    def foreign(self, cpu: int, bp_type: int = W) -> int:
        """None: nobody else is counted here."""
        return 0


def cpu_list(name: str) -> list[int]:
    """The CPUs in a file like ``0-3,8`` (``possible``, ``online``); without /sys, those we have."""
    with suppress(OSError):
        return list(_ranges((_CPUS / name).read_text().strip()))
    return list(range(os.cpu_count() or 1))


def _ranges(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
