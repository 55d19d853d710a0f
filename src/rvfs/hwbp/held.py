"""Breakpoints by name: opened, changed and released as commands say.

One name may stand for many: one on each CPU (``wide``), one on each thread of a process. They
are opened, changed and released together, and what is refused for one is done for none.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

from rvfs.errors import Busy, Missing, RvfsError
from rvfs.hwbp.backend import Backend, RealTask
from rvfs.hwbp.breakpoint import Attributes
from rvfs.hwbp.machine import Breakpoint, Opening, State, Task
from rvfs.hwbp.session import errno_name
from rvfs.hwbp.slots import all_or_nothing
from rvfs.news import News


class Target(NamedTuple):
    """Whom to watch. ``kind`` is ``task``, ``process``, ``cpu`` or ``wide``; ``cpu`` may be -1."""

    kind: str
    pid: int = -1
    cpu: int = -1

    def openings(self, backend: Backend, attr: Attributes) -> list[Opening]:
        """What must be opened for it now: never nothing."""
        if self.kind == "wide":
            return [Opening(None, cpu, attr) for cpu in sorted(backend.online)]
        return [Opening(task, self.cpu, attr) for task in self._tasks(backend)]

    def _tasks(self, backend: Backend) -> Iterable[Task | None]:
        if self.kind == "process":
            return backend.tasks.threads(self.pid)
        return [backend.tasks[self.pid] if self.kind == "task" else None]


@dataclass(frozen=True)
class Wish:
    """What a line asks to be opened; ``line`` counts from 1."""

    name: str
    target: Target
    attr: Attributes
    line: int = 1


class Held:
    """The breakpoints of one name; the owner of the files that show them.

    ``members`` all have the same attributes. ``gone`` is set when they are released.
    """

    def __init__(self, name: str, members: list[Breakpoint]) -> None:
        self.name, self.members, self.gone = name, members, False

    @property
    def attr(self) -> Attributes:
        return self.members[0].attr

    @property
    def enabled(self) -> bool:
        return self.members[0].enabled

    def hold(self) -> None:
        pass

    def release(self) -> None:
        pass


class Listener(Protocol):
    """Who wants to know of breakpoints; not of those that are only tried."""

    def opened(self, name: str, breakpoints: Iterable[Breakpoint]) -> None:
        """They are open."""

    def closing(self, name: str) -> None:
        """They are about to be closed."""


class Breakpoints:
    """Everything that is open, by name, on one backend.

    ``note`` is why it is not the backend that was asked for; empty when it is. ``last_error``
    is the sentence of the last refusal, ``last_check`` the answer to the last dry run. ``news``
    are of which there are and of their attributes.
    """

    def __init__(self, backend: Backend, note: str = "") -> None:
        self.backend, self.note = backend, note
        self.last_error = self.last_check = ""
        self.listeners: list[Listener] = []
        self.news = News()
        self._held: dict[str, Held] = {}

    @property
    def held(self) -> Mapping[str, Held]:
        """In the order of their opening."""
        return MappingProxyType(self._held)

    def find(self, name: str) -> Held:
        """Raises :class:`Missing`."""
        if name not in self._held:
            raise Missing(f"no breakpoint {name} is open")
        return self._held[name]

    def open(self, wishes: Iterable[Wish]) -> list[Held]:
        """All of them in this order, or none.

        Raises :class:`Busy` for a name that is taken, and as :meth:`Machine.open`; a note on the
        error names the line.
        """
        opened = all_or_nothing(self._open, self._close, wishes)
        for held in opened:
            for listener in self.listeners:
                listener.opened(held.name, held.members)
        return opened

    def check(self, wishes: Iterable[Wish]) -> None:
        """Raises what :meth:`open` would; nothing is open afterwards."""
        for held in reversed(all_or_nothing(self._open, self._close, wishes)):
            self._close(held)

    def release(self, held: Held) -> None:
        """The registers are free when this returns; the files that show it are dead."""
        for listener in self.listeners:
            listener.closing(held.name)
        self._close(held)

    def _close(self, held: Held) -> None:
        del self._held[held.name]
        held.gone = True
        for bp in reversed(held.members):
            self.backend.close(bp)
        self.news.tell()

    def modify(self, held: Held, attr: Attributes) -> None:
        """Raises as :meth:`Machine.modify`."""

        def change(bp: Breakpoint) -> tuple[Breakpoint, Attributes]:
            before = bp.attr
            self.backend.modify(bp, attr)
            return bp, before

        all_or_nothing(change, lambda done: self.backend.modify(*done), held.members)
        self.news.tell()

    def enable(self, held: Held, on: bool) -> None:
        """Disabled, they keep their registers."""
        before = held.enabled

        def switch(bp: Breakpoint) -> Breakpoint:
            self.backend.enable(bp, on)
            return bp

        all_or_nothing(switch, lambda bp: self.backend.enable(bp, before), held.members)

    def hits(self, held: Held) -> int:
        return sum(self.backend.hits(bp) for bp in held.members)

    @contextmanager
    def noting(self, where: str) -> Iterator[None]:
        """What is refused inside is the last error."""
        try:
            yield
        except RvfsError as error:
            self.last_error = f"{where}: {sentence(error)}"
            raise

    def _open(self, wish: Wish) -> Held:
        try:
            if wish.name in self._held:
                raise Busy(f"breakpoint {wish.name} is open already")
            openings = wish.target.openings(self.backend, wish.attr)
            held = self._held[wish.name] = Held(wish.name, self.backend.open_all(openings))
        except RvfsError as error:
            error.add_note(f"line {wish.line}")
            raise
        self.news.tell()
        return held


def sentence(error: RvfsError) -> str:
    """``line N: ERRNO: why``; the line where there is one."""
    return ": ".join([*getattr(error, "__notes__", ()), errno_name(error), str(error)])


def holder(bp: Breakpoint) -> str:
    """Who keeps the register from others, for people: a task, dead or alive, or the CPU."""
    task = bp.task
    if not isinstance(task, RealTask):
        return f"CPU {bp.cpu}"
    fate = _FATE[task.look()]
    comm = "".join(letter if letter.isprintable() else "?" for letter in task.comm)
    return f"task {task} ({comm}){fate}"


_FATE: Mapping[State, str] = {
    State.ALIVE: "", State.ZOMBIE: ", dead (zombie)", State.REAPED: ", dead",
}  # fmt: skip
