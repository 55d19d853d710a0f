"""The named tasks and events of one script, on a machine of their own.

Each method is one operation and returns its answer; what the machine refuses is raised.
"""

import errno
from collections.abc import Callable, Mapping
from typing import NamedTuple

from rvfs.errors import RvfsError
from rvfs.hwbp.breakpoint import X86_CPU_ENTRY_AREA, Attributes, W
from rvfs.hwbp.machine import Breakpoint, Machine, Opening, State, Task

#: What the letters of an address stand for: a user page, the kernel's half, its entry area.
BASES: Mapping[str, int] = {
    "u": 0x7F00_0000_0000,
    "k": 0xFFFF_8880_0000_0000,
    "c": X86_CPU_ENTRY_AREA,
}
#: ``free`` stops counting here.
FREE_LIMIT = 64


class Fault(ValueError):
    """What is wrong with a line, as opposed to what the machine refuses."""


def errno_name(error: RvfsError) -> str:
    """Linux has two names for one number, and Python knows it by the other one."""
    return "EOPNOTSUPP" if error.errno == errno.EOPNOTSUPP else errno.errorcode[error.errno]


class Answer(NamedTuple):
    """``why`` is the sentence behind a refusal, else empty."""

    words: str
    why: str = ""


OK = Answer("OK")


class Session:
    """The machine of one script, with its tasks and open events by name."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._tasks: dict[str, Task] = {}
        self._threads: set[Task] = set()
        self._events: dict[str, list[Breakpoint]] = {}

    def task(self, name: str, kind: str) -> Answer:
        if self._task(name).state is State.ALIVE:
            raise Fault(f"task {name} is alive already")
        self._tasks[name] = task = Task(name)
        if kind == "thread":
            self._threads.add(task)
        return OK

    def exit(self, name: str, how: str) -> Answer:
        task = self._task(name)
        if task.state is not State.ALIVE:
            return Answer("NOTASK", f"no task {name} is alive")
        if how == "zombie" and task in self._threads:
            raise Fault(f"{name} is a thread, and only a proc can become a zombie")
        task.state = State.ZOMBIE if how == "zombie" else State.REAPED
        return OK

    def open(self, event: str, task: str, cpu: int, attr: Attributes) -> Answer:
        return self._open(event, lambda: [self.machine.open(self._opening(task, cpu, attr))])

    def wide(self, event: str, attr: Attributes) -> Answer:
        return self._open(event, lambda: self.machine.open_wide(attr))

    def modify(self, event: str, attr: Attributes) -> Answer:
        for bp in self._events.get(event, ()):
            self.machine.modify(bp, attr)
        return OK if event in self._events else Answer("NOEV", f"no event {event} is open")

    def close(self, event: str) -> Answer:
        if event not in self._events:
            return Answer("NOEV", f"no event {event} is open")
        for bp in self._events.pop(event):
            self.machine.close(bp)
        return OK

    def free(self, task: str, cpu: int, bp_type: int = W) -> Answer:
        attr = Attributes(bp_type, 8, BASES["u"])
        room, error = self.machine.room(self._opening(task, cpu, attr), FREE_LIMIT)
        if error is None:
            return Answer(f"{room} LIMIT")
        return Answer(f"{room} {errno_name(error)}", f"after {room} more: {error}")

    def _open(self, event: str, opened: Callable[[], list[Breakpoint]]) -> Answer:
        if event in self._events:
            return Answer("BUSY", f"event {event} is open already")
        self._events[event] = opened()
        return OK

    def _opening(self, task: str, cpu: int, attr: Attributes) -> Opening:
        return Opening(None if task == "-" else self._task(task), cpu, attr)

    def _task(self, name: str) -> Task:
        """A name that nobody has, or that nobody ever had, is a task that was reaped."""
        if name not in self._tasks:
            self._tasks[name] = Task(name)
            self._tasks[name].state = State.REAPED
        return self._tasks[name]
