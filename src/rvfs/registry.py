"""What exists and what is on: the one authority, below the tree and above the engine.

Everything here is synchronous, hence atomic between the checkpoints of the event loop:
there are no locks. Whoever adds an ``await`` below ``fs.py`` breaks that.

How a monitor is built and replaced is in ``building.py``, how it goes in ``registered.py``.
Semantics: kernel/trace/rv/rv.c and rv_reactors.c.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType

from rvfs.building import Builder
from rvfs.change import Change
from rvfs.engine import Engine
from rvfs.errors import (
    AlreadyRegistered,
    Busy,
    CannotMake,
    InvalidInput,
    RvfsError,
    UnknownName,
)
from rvfs.monitor import Monitor, check_name
from rvfs.news import News
from rvfs.reactors import Reactor
from rvfs.reactors.nop import Nop
from rvfs.registered import Form, Registered
from rvfs.task_slots import TaskSlots
from rvfs.trace import Trace
from rvfs.tracepoint import Vocabulary

log = logging.getLogger(__name__)

DEFAULT_TASK_SLOTS = 32
#: The files of a monitor's folder (see ``monitor_files.py``); a child cannot have their names.
FILES = (
    "enable", "desc", "reactors", "model", "bindings", "error", "params", "instances", "stats",
    "coverage", "violations",
)  # fmt: skip


class Registry:
    """Monitors, reactors, switches and task slots of one running rvfs.

    ``version`` changes whenever what a source must deliver may have changed. ``listed`` are the
    news of which monitors there are, ``switched`` of all that is said of them: that too (a
    container's bindings name its children), which are on, with which reactors and texts.
    """

    def __init__(
        self, engine: Engine, vocabulary: Vocabulary, trace: Trace,
        *, task_slots: int = DEFAULT_TASK_SLOTS,
    ) -> None:  # fmt: skip
        self._engine, self._trace = engine, trace
        self._monitors: list[Registered] = []
        self._reactors: dict[str, Reactor] = {}
        self._version = 0
        self.listed, self.switched = News(), News()
        self.listed.listen(self.switched.tell)
        self._idle_reactor = Nop()
        self.task_slots = TaskSlots(task_slots)
        self._builder = Builder(engine, vocabulary, trace, self.task_slots)
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

    def register_monitor(
        self, monitor: Monitor | Form, parent: str | None = None, *, removable: bool = False
    ) -> Registered:
        """Make a monitor known, below the container ``parent`` if one is named.

        Raises :class:`AlreadyRegistered` for a taken name; :class:`InvalidInput` for a parent
        that is nested itself or no container; :class:`CannotMake` for a child that has the name
        of a file of its container; :class:`UnknownName` for an unknown parent, or a field that
        a bound tracepoint does not have. Whatever is raised, nothing is left of it.
        """
        form = monitor if isinstance(monitor, Form) else Form(monitor)
        with Change() as change:
            registered = self.add(form, parent, change, removable=removable)
            change.keep()
        return registered

    def add(self, form: Form, parent: str | None, change: Change, *, removable: bool) -> Registered:
        """:meth:`register_monitor` as part of a larger change."""
        registered = Registered(
            form, self._parent(form.monitor, parent), self._idle_reactor, removable=removable
        )
        change.undo(registered.begin_removal)
        self._builder.build(registered)
        self._list(registered)
        return registered

    def unregister_monitor(self, name: str) -> Registered:
        """Disable it and take it, with its children, out of every listing; never waits.

        It is freed when nobody holds it any more. Raises :class:`UnknownName`.
        """
        registered = self.find(name)
        for child in tuple(registered.children):
            self.unregister_monitor(child.name)
        with Change() as change:
            self.withdraw(registered, change)
            change.keep()
        return registered

    def withdraw(self, registered: Registered, change: Change) -> None:
        """Take a monitor without children away, as part of a larger change."""
        change.undo(self.listed.tell)
        for listing in (self._monitors, registered.parent.children if registered.parent else []):
            change.undo(listing.__setitem__, slice(None), tuple(listing))
        self._unlist(registered)
        change.then(self._remove, registered)

    def _remove(self, registered: Registered) -> None:
        self.disable(registered)
        registered.begin_removal()
        self.listed.tell()

    def _parent(self, monitor: Monitor, parent: str | None) -> Registered | None:
        if any(registered.name == monitor.name for registered in self._monitors):
            raise AlreadyRegistered(f"Monitor {monitor.name} is already registered")
        if parent is None:
            return None
        found = self.find(parent)
        if found.parent is not None:
            raise InvalidInput(f"Parent monitor {parent} is already nested, cannot nest further")
        if not found.form.is_container:
            raise InvalidInput(f"parent monitor {parent} is no container")
        if monitor.name in FILES:
            raise CannotMake(
                f"monitor {monitor.name} has the name of a file of its container {parent}"
            )
        return found

    def _list(self, registered: Registered) -> None:
        parent = registered.parent
        place = len(self._monitors) if parent is None else self._monitors.index(parent) + 1
        registered.listed.callback(self._unlist, registered)
        self._monitors.insert(place, registered)
        if parent is not None:
            parent.children.append(registered)
        self.listed.tell()

    def _unlist(self, registered: Registered) -> None:
        parent = registered.parent
        for listing in (self._monitors, parent.children if parent else []):
            if registered in listing:
                listing.remove(registered)
        self.listed.tell()

    # -- another form ----------------------------------------------------------------------

    def replace(self, registered: Registered, form: Form, change: Change) -> None:
        """Give a monitor another form, between two batches, as part of a larger change.

        One that is on stays on: an instance keeps its state where the new model has a state of
        that name. Raises :class:`InvalidInput` where a container would get a model or lose
        its children, and as :meth:`register_monitor`, :meth:`enable`.
        """
        change.undo(self.listed.tell)
        change.then(self.listed.tell)
        if registered.monitor.model and not form.monitor.model:
            raise InvalidInput(
                f"monitor {registered.name} is whole; without {form.waits_for or 'a model'} it "
                "would not be"
            )
        if registered.children and not form.is_container:
            raise InvalidInput(f"monitor {registered.name} has children and cannot have a model")
        self._builder.replace(registered, form, change)
        self._version += 1

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
        self._builder.switch_on(registered)
        self._version += 1
        self.switched.tell()

    def _switch_off(self, registered: Registered) -> None:
        self._version += 1
        self._builder.switch_off(registered)
        self.switched.tell()

    def set_param(self, registered: Registered, name: str, value: int) -> None:
        """Change a parameter of a monitor, on or off; its instances go on.

        Raises :class:`UnknownName` for one that it does not have, :class:`InvalidInput` for a
        value that its guards cannot take.
        """
        if name not in registered.params:
            known = ", ".join(registered.params) or "none"
            raise UnknownName(f"monitor {registered.name} has no parameter {name!r} (has: {known})")
        self._builder.set_param(registered, name, value)

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
        self.switched.tell()

    def unregister_reactor(self, name: str) -> None:
        """Raises :class:`Busy` while a monitor uses it, as the kernel did until 6.12."""
        reactor = self.reactor(name)
        users = sum(registered.reactor is reactor for registered in self._monitors)
        if users or reactor is self._idle_reactor:
            log.warning("rv: the rv_reactor %s is in use by %d monitor(s)", name, users)
            log.warning("rv: the rv_reactor %s cannot be removed", name)
            raise Busy(f"reactor {name} is in use by {users} monitor(s)")
        del self._reactors[name]
        self.switched.tell()

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
