"""A monitor is data: a model, and a table that binds tracepoints to its events.

A binding says: when this tracepoint fires and this condition holds on its fields, the
instance of that task (or of the event's CPU) takes this model event through this entry
point. Bindings of one tracepoint that name the same instance are alternatives: the first
whose condition holds is taken. Bindings that name different instances (``prev_pid``,
``next_pid``) each apply, in the order of the file.
"""

import enum
import re
from dataclasses import dataclass

from rvfs.errors import InvalidInput, UnknownName
from rvfs.model.automaton import Automaton
from rvfs.model.filter import Filter

#: Since Linux 5.20 (include/linux/rv.h): 32 bytes with the closing NUL.
MAX_NAME = 32
_BAD_NAME = re.compile(r"[\s/:!\x00]|^\.")


class Scope(enum.Enum):
    """What an instance of the automaton belongs to."""

    GLOBAL = "global"
    CPU = "cpu"
    TASK = "task"


class Entry(enum.Enum):
    """How an event meets an instance that is not monitoring yet (include/rv/da_monitor.h).

    An instance that is monitoring takes the event in all three cases.
    """

    HANDLE = "handle"  # ignored
    START = "start"  # begins to monitor, in the initial state; the event itself is not taken
    START_RUN = "start_run"  # begins to monitor, then takes the event


@dataclass(frozen=True, slots=True)
class Binding:
    """One line of the table.

    ``tracepoint`` is ``system:name``. ``task`` names the field that holds the pid of the
    instance (per-task monitors; None is the current task); ``cpu`` names the field that
    holds the CPU (of a per-CPU instance, or of an idle task; None is the CPU of the event).
    """

    tracepoint: str
    event: str
    entry: Entry = Entry.HANDLE
    task: str | None = None
    cpu: str | None = None
    when: Filter | None = None


@dataclass(frozen=True, slots=True)
class Monitor:
    """A specification and its bindings; without a model it is a container."""

    name: str
    description: str
    scope: Scope = Scope.GLOBAL
    model: Automaton | None = None
    bindings: tuple[Binding, ...] = ()

    def __post_init__(self) -> None:
        check_name("monitor", self.name)
        if self.model is None:
            if self.bindings:
                raise InvalidInput(f"container {self.name} has bindings but no model")
            return
        for binding in self.bindings:
            if binding.event not in self.model.events:
                raise UnknownName(
                    f"monitor {self.name}: the model has no event {binding.event!r} "
                    f"(it has: {', '.join(self.model.events)})"
                )
            if binding.task is not None and self.scope is not Scope.TASK:
                raise InvalidInput(
                    f"monitor {self.name}: the binding of {binding.tracepoint} names a task, "
                    f"but the monitor is per {self.scope.value}"
                )

    @property
    def is_container(self) -> bool:
        return self.model is None


def check_name(kind: str, name: str) -> None:
    """Raises :class:`InvalidInput` for a name that could not be addressed in the tree."""
    if len(name.encode()) >= MAX_NAME:
        raise InvalidInput(f"{kind.capitalize()} {name} has a name longer than {MAX_NAME}")
    if not name:
        raise InvalidInput(f"a {kind} needs a name")
    if _BAD_NAME.search(name):
        raise InvalidInput(f"{kind} name {name!r} has '/', ':', '!', white space or a leading dot")
