"""What exists and what is on: the one authority, below the tree and above the engine.

Everything here is synchronous, hence atomic between the checkpoints of the event loop:
there are no locks. Whoever adds an ``await`` below ``fs.py`` breaks that.

A monitor is built in steps (:data:`_STEPS`), each of which leaves its own undoing behind;
one routine, :meth:`Registry._free`, undoes however many there are, last first. Removal has
two phases: *begin* takes the monitor out of every listing at once, *end* frees it after
the last one who holds it has let go. Semantics: kernel/trace/rv/rv.c and rv_reactors.c.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType

from rvfs.engine import Engine
from rvfs.errors import (
    AlreadyRegistered,
    Busy,
    CannotMake,
    InvalidInput,
    RvfsError,
    UnknownName,
)
from rvfs.monitor import Monitor, Scope, check_name
from rvfs.program import Program
from rvfs.reactors import Reactor
from rvfs.reactors.nop import Nop
from rvfs.task_slots import TaskSlots
from rvfs.trace import Trace, event_tracepoints
from rvfs.tracepoint import Vocabulary

log = logging.getLogger(__name__)

DEFAULT_TASK_SLOTS = 32
#: The files of a container's own folder; a child cannot have their names.
FILES = ("enable", "desc", "reactors")


class Registered:
    """One monitor in the registry. A name that is registered again is another object.

    ``children`` are in the order of their registration. ``gone`` is set when the removal
    begins; from then on whoever still holds it may only let go.
    """

    def __init__(self, monitor: Monitor, parent: "Registered | None", reactor: Reactor) -> None:
        self.monitor = monitor
        self.parent = parent
        self.children: list[Registered] = []
        self.reactor = reactor
        self.enabled = False
        self.gone = False
        self.program: Program | None = None
        self._holders = 0
        self._listed = ExitStack()  # undone when the removal begins
        self._owned = ExitStack()  # undone when it ends

    @property
    def name(self) -> str:
        return self.monitor.name

    @property
    def path(self) -> str:
        """``name``, or ``parent:name``."""
        return f"{self.parent.name}:{self.name}" if self.parent else self.name

    @property
    def free(self) -> bool:
        """Whether its removal has ended."""
        return self.gone and self._holders == 0

    def hold(self) -> None:
        """Keep the object from being freed, not from being removed."""
        self._holders += 1

    def release(self) -> None:
        """The opposite of :meth:`hold`; the last one ends a removal that has begun."""
        self._holders -= 1
        self._end_removal()

    def _begin_removal(self) -> None:
        self._listed.close()
        self.gone = True
        self._end_removal()

    def _end_removal(self) -> None:
        if self.free:
            self._owned.close()


class Registry:
    """Monitors, reactors, switches and task slots of one running rvfs.

    ``version`` changes whenever what a source must deliver may have changed.
    """

    def __init__(
        self, engine: Engine, vocabulary: Vocabulary, trace: Trace,
        *, task_slots: int = DEFAULT_TASK_SLOTS,
    ) -> None:  # fmt: skip
        self._engine, self._vocabulary, self._trace = engine, vocabulary, trace
        self._monitors: list[Registered] = []
        self._reactors: dict[str, Reactor] = {}
        self._version = 0
        self._idle_reactor = Nop()
        self.task_slots = TaskSlots(task_slots)
        self.monitoring_on = True
        self.reacting_on = True
        self.register_reactor(self._idle_reactor)

    @property
    def monitors(self) -> Sequence[Registered]:
        """In the order of ``available_monitors``: a child directly after its parent, so the
        children of a container stand in the reverse order of their registration."""
        return tuple(self._monitors)

    @property
    def reactors(self) -> Mapping[str, Reactor]:
        """In the order of their registration."""
        return MappingProxyType(self._reactors)

    @property
    def version(self) -> tuple[int, int]:
        return self._version, self._trace.version

    def wanted(self) -> dict[int, frozenset[str]]:
        """What a source must deliver, for the monitors and the trace together.

        While ``monitoring_on`` is 0 the monitors want nothing: so a recording waits until all
        that shall judge it are switched on.
        """
        wanted = self._engine.wanted() if self.monitoring_on else {}
        for tp, fields in self._trace.wanted().items():
            wanted[tp] = wanted.get(tp, frozenset()) | fields
        return wanted

    def find(self, name: str) -> Registered:
        """The monitor of that name, nested or not. Raises :class:`UnknownName`."""
        for registered in self._monitors:
            if registered.name == name:
                return registered
        raise UnknownName(f"there is no monitor {name!r}")

    def reactor(self, name: str) -> Reactor:
        """The reactor of that name. Raises :class:`UnknownName`."""
        if name not in self._reactors:
            known = ", ".join(self._reactors)
            raise UnknownName(f"there is no reactor {name!r} (there are: {known})")
        return self._reactors[name]

    # -- monitors come and go --------------------------------------------------------------

    def register_monitor(self, monitor: Monitor, parent: str | None = None) -> Registered:
        """Make a monitor known, below the container ``parent`` if one is named.

        Raises :class:`AlreadyRegistered` for a taken name; :class:`InvalidInput` for a parent
        that is nested itself or no container; :class:`CannotMake` for a child that has the name
        of a file of its container; :class:`UnknownName` for an unknown parent, or a field that
        a bound tracepoint does not have. Whatever is raised, nothing is left of it.
        """
        registered = Registered(monitor, self._parent(monitor, parent), self._idle_reactor)
        try:
            for build in self._STEPS:
                build(self, registered)
        except BaseException:
            registered._begin_removal()
            raise
        return registered

    def unregister_monitor(self, name: str) -> Registered:
        """Disable it and take it, with its children, out of every listing; never waits.

        It is freed when nobody holds it any more. Raises :class:`UnknownName`.
        """
        registered = self.find(name)
        for child in tuple(registered.children):
            self.unregister_monitor(child.name)
        self.disable(registered)
        registered._begin_removal()
        return registered

    def _parent(self, monitor: Monitor, parent: str | None) -> Registered | None:
        if any(registered.name == monitor.name for registered in self._monitors):
            raise AlreadyRegistered(f"Monitor {monitor.name} is already registered")
        if parent is None:
            return None
        found = self.find(parent)
        if found.parent is not None:
            raise InvalidInput(f"Parent monitor {parent} is already nested, cannot nest further")
        if not found.monitor.is_container:
            raise InvalidInput(f"parent monitor {parent} is no container")
        if monitor.name in FILES:
            raise CannotMake(
                f"monitor {monitor.name} has the name of a file of its container {parent}"
            )
        return found

    def _compile(self, registered: Registered) -> None:
        if not registered.monitor.is_container:
            registered.program = self._engine.compile(registered.monitor)
            registered._owned.callback(setattr, registered, "program", None)

    def _add_tracepoints(self, registered: Registered) -> None:
        for tracepoint in event_tracepoints(registered.monitor):
            number = self._vocabulary.add(tracepoint)
            registered._listed.callback(self._vocabulary.remove, tracepoint.full_name)
            registered._listed.callback(self._trace.enable, number, False)

    def _list(self, registered: Registered) -> None:
        parent = registered.parent
        place = len(self._monitors) if parent is None else self._monitors.index(parent) + 1
        self._monitors.insert(place, registered)
        registered._listed.callback(self._monitors.remove, registered)
        if parent is not None:
            parent.children.append(registered)
            registered._listed.callback(parent.children.remove, registered)

    #: The steps of a registration, in order.
    _STEPS: tuple[Callable[["Registry", Registered], None], ...] = (
        _compile, _add_tracepoints, _list,
    )  # fmt: skip

    # -- enable and disable ----------------------------------------------------------------

    def enable(self, registered: Registered) -> None:
        """Switch a monitor on, or a container with all its children.

        A monitor that is on stays as it is. Raises :class:`Busy` when a per-task monitor
        finds no slot, and :class:`InvalidInput` when a tracepoint that came since lacks what the
        bindings name; then those that this call had switched on are off again.
        """
        with ExitStack() as undo:
            for one in self._with_children(registered):
                if not one.enabled:
                    self._switch_on(one)
                    undo.callback(self.disable, one)
            undo.pop_all()

    def rebind(self, tracepoint: str) -> None:
        """``system:name`` has just come: monitors that are on and bind it begin anew, with it.

        One that cannot have it is off, and the log says why.
        """
        for one in self._monitors:
            if one.enabled and tracepoint in {b.tracepoint for b in one.monitor.bindings}:
                self._switch_off(one)
                try:
                    self._switch_on(one)
                except RvfsError as error:
                    log.warning("monitor %s is off: %s", one.name, error)

    def disable(self, registered: Registered) -> None:
        """Switch a monitor off, or a container with all its children."""
        for one in self._with_children(registered):
            if one.enabled:
                self._switch_off(one)

    def disable_all(self) -> None:
        """What opening ``enabled_monitors`` with O_TRUNC does."""
        for registered in self._monitors:
            self.disable(registered)

    def _with_children(self, registered: Registered) -> Iterator[Registered]:
        """Children in listing order, the container last: it is on when all of them are."""
        yield from reversed(registered.children)
        yield registered

    def _switch_on(self, registered: Registered) -> None:
        with ExitStack() as undo:
            if registered.monitor.scope is Scope.TASK:
                self.task_slots.take(registered.name)
                undo.callback(self.task_slots.give_back, registered.name)
            if registered.program is not None:
                # Anew: a tracepoint may have come, or come back, since it was registered.
                registered.program = self._engine.add(registered.monitor)
                self._warn_missing(registered.program)
            undo.pop_all()
        registered.enabled = True
        self._version += 1

    def _warn_missing(self, program: Program) -> None:
        # Since Linux 5.20 a tracepoint that cannot be attached is a warning (rv/instrumentation.h).
        for tracepoint in program.missing:
            log.warning("%s: there is no tracepoint %s", program.monitor.name, tracepoint)

    def _switch_off(self, registered: Registered) -> None:
        registered.enabled = False
        self._version += 1
        if registered.program is not None:
            self._engine.remove(registered.name)
        if registered.monitor.scope is Scope.TASK:
            self.task_slots.give_back(registered.name)

    # -- switches --------------------------------------------------------------------------

    def set_monitoring(self, on: bool) -> None:
        """``monitoring_on``; going from off to on makes every instance begin anew."""
        if on and not self.monitoring_on:
            self._engine.reset()
        self.monitoring_on = on
        self._version += 1

    def set_reacting(self, on: bool) -> None:
        """``reacting_on``."""
        self.reacting_on = on

    # -- reactors --------------------------------------------------------------------------

    def register_reactor(self, reactor: Reactor) -> None:
        """Make a reactor known. Raises :class:`InvalidInput` for a bad or taken name."""
        check_name("reactor", reactor.name)
        if reactor.name in self._reactors:
            raise InvalidInput(f"Reactor {reactor.name} is already registered")
        self._reactors[reactor.name] = reactor

    def unregister_reactor(self, name: str) -> None:
        """Raises :class:`Busy` while a monitor uses it, as the kernel did until 6.12."""
        reactor = self.reactor(name)
        users = sum(registered.reactor is reactor for registered in self._monitors)
        if users or reactor is self._idle_reactor:
            log.warning("rv: the rv_reactor %s is in use by %d monitor(s)", name, users)
            log.warning("rv: the rv_reactor %s cannot be removed", name)
            raise Busy(f"reactor {name} is in use by {users} monitor(s)")
        del self._reactors[name]

    def set_reactor(self, registered: Registered, name: str) -> None:
        """Select the reactor of a monitor, or of a container and all its children.

        Where that is a change, every instance begins anew. Raises :class:`UnknownName`.
        """
        reactor = self.reactor(name)
        for one in self._with_children(registered):
            if one.reactor is not reactor:
                one.reactor = reactor
                if one.enabled:
                    self._switch_off(one)
                    self._switch_on(one)

    def drop_reactor(self, registered: Registered) -> None:
        """Back to ``nop``, because the reactor failed; the instances go on."""
        registered.reactor = self._idle_reactor
