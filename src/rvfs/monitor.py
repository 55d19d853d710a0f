"""A monitor is data: a model, and a table that binds tracepoints to its events.

A binding says: when this tracepoint fires and this condition holds on its fields, the
instance of that task (or of the event's CPU, or of that object) takes this model event
through this entry point. Bindings of one tracepoint that name the same instance are
alternatives: the first whose condition holds is taken. Bindings that name different
instances (``prev_pid``, ``next_pid``) each apply, in the order of the file.

The bindings of an LTL rule name no event but tell atoms: each that holds applies, in the
order of the file.
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from rvfs.errors import InvalidInput, UnknownName
from rvfs.model.automaton import Automaton
from rvfs.model.filter import Filter
from rvfs.model.rule import Rule
from rvfs.model.terms import Sum

Model: TypeAlias = Automaton | Rule
#: What a binding tells of an environment variable: a sum of fields, or 1 where a condition holds.
Reading: TypeAlias = Filter | Sum

#: Since Linux 5.20 (include/linux/rv.h): 32 bytes with the closing NUL.
MAX_NAME = 32
_BAD_NAME = re.compile(r"[\s/:!\x00]|^\.")


class Scope(enum.Enum):
    """What an instance of the automaton belongs to."""

    GLOBAL = "global"
    CPU = "cpu"
    TASK = "task"
    OBJECT = "object"  # an integer id that the binding computes


class Entry(enum.Enum):
    """How an event meets an instance that is not monitoring yet (include/rv/da_monitor.h).

    An instance that is monitoring takes the event in all three cases.
    """

    HANDLE = "handle"  # ignored
    START = "start"  # begins to monitor, in the initial state; the event itself is not taken
    START_RUN = "start_run"  # begins to monitor, then takes the event
    RESET = "reset"  # no event of the model: whoever is monitoring stops, its object is gone


class Action(enum.Enum):
    """What a binding does with the atoms of an LTL rule (include/rv/ltl_monitor.h)."""

    SET = "set"  # they are known now; no step
    UPDATE = "update"  # they are known now, and the rule takes a step
    PULSE = "pulse"  # a step with them, and a step with their opposite


@dataclass(frozen=True, slots=True)
class Binding:
    """One line of the table.

    ``tracepoint`` is ``system:name``. ``task`` names the field that holds the pid of the
    instance (per-task monitors; None is the current task); ``cpu`` names the field that
    holds the CPU (of a per-CPU instance, or of an idle task; None is the CPU of the event);
    ``id`` computes the key of a per-object instance.

    ``event`` and ``entry`` are what an automaton takes (the event is empty for
    :attr:`Entry.RESET`), after ``env`` has told the instance its environment. An LTL rule has
    ``action`` and ``atoms`` instead, each atom with its value or the condition for it.
    """

    tracepoint: str
    event: str = ""
    entry: Entry = Entry.HANDLE
    task: str | None = None
    cpu: str | None = None
    when: Filter | None = None
    id: Sum | None = None
    env: Mapping[str, Reading] = field(default_factory=dict, hash=False)
    action: Action | None = None
    atoms: Mapping[str, "bool | Filter"] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Monitor:
    """A specification and its bindings; without a model it is a container.

    ``params`` are the parameters with their defaults, which ``monitors/NAME/params`` shows;
    ``constants`` cannot be changed. ``values`` says what ``NAME()`` of a guard is: a sum of
    environment variables, parameters and constants. ``init`` is what is known of the atoms
    of an LTL rule from the start.
    """

    name: str
    description: str
    scope: Scope = Scope.GLOBAL
    model: Model | None = None
    bindings: tuple[Binding, ...] = ()
    params: Mapping[str, int] = field(default_factory=dict, hash=False)
    constants: Mapping[str, int] = field(default_factory=dict, hash=False)
    values: Mapping[str, Sum] = field(default_factory=dict, hash=False)
    init: Mapping[str, bool] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_name("monitor", self.name)
        if self.model is None:
            if self.bindings:
                raise InvalidInput(f"container {self.name} has bindings but no model")
            return
        for binding in self.bindings:
            self._check_names(binding, self.model)
            if binding.task is not None and self.scope is not Scope.TASK:
                raise InvalidInput(
                    f"monitor {self.name}: the binding of {binding.tracepoint} names a task, "
                    f"but the monitor is per {self.scope.value}"
                )

    def _check_names(self, binding: Binding, model: Model) -> None:
        if isinstance(model, Rule):
            kind, known, named = "atom", model.atoms, set(binding.atoms)
        else:
            kind, known = "event", model.events
            named = {binding.event} if binding.entry is not Entry.RESET else set()
        for name in sorted(named - set(known)):
            raise UnknownName(
                f"monitor {self.name}: the model has no {kind} {name!r} "
                f"(it has: {', '.join(known)})"
            )

    @property
    def is_container(self) -> bool:
        return self.model is None


def check_name(kind: str, name: str) -> None:
    """Raises :class:`InvalidInput` for a name that could not be addressed in the tree."""
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise InvalidInput(f"{kind} name {name!r} is not UTF-8 text")
    if len(name.encode()) >= MAX_NAME:
        raise InvalidInput(f"{kind.capitalize()} {name} has a name longer than {MAX_NAME}")
    if not name:
        raise InvalidInput(f"a {kind} needs a name")
    if _BAD_NAME.search(name):
        raise InvalidInput(f"{kind} name {name!r} has '/', ':', '!', white space or a leading dot")
