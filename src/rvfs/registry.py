"""What exists and what is on: the one authority, below the tree and above the engine.

Everything here is synchronous, hence atomic between the checkpoints of the event loop:
there are no locks. Whoever adds an ``await`` below ``fs.py`` breaks that.

A monitor is built in steps (:data:`_BUILD`) and replaced in steps (:data:`_REPLACE`), each
of which leaves its own undoing behind: whichever fails, what was is in force. How one goes
is in ``registered.py``. Semantics: kernel/trace/rv/rv.c and rv_reactors.c.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType

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
from rvfs.monitor import Monitor, Scope, check_name
from rvfs.program import Program
from rvfs.reactors import Reactor
from rvfs.reactors.nop import Nop
from rvfs.registered import Form, Registered
from rvfs.task_slots import TaskSlots
from rvfs.trace import Trace, event_tracepoints
from rvfs.tracepoint import Tracepoint, Vocabulary

log = logging.getLogger(__name__)

DEFAULT_TASK_SLOTS = 32
#: The files of a monitor's folder (see ``monitor_files.py``); a child cannot have their names.
FILES = ("enable", "desc", "reactors", "model", "bindings", "error")


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
        for build in self._BUILD:
            build(self, registered)
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
        for listing in (self._monitors, registered.parent.children if registered.parent else []):
            change.undo(listing.__setitem__, slice(None), tuple(listing))
        self._unlist(registered)
        change.then(self._remove, registered)

    def _remove(self, registered: Registered) -> None:
        self.disable(registered)
        registered.begin_removal()

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

    def _compile(self, registered: Registered) -> None:
        registered.owned.callback(setattr, registered, "program", None)
        registered.program = self._compiled(registered.form)

    def _compiled(self, form: Form) -> Program | None:
        return self._engine.compile(form.monitor) if form.monitor.model else None

    def _add_tracepoints(self, registered: Registered) -> None:
        registered.listed.callback(self._set_tracepoints, registered, ())
        self._set_tracepoints(registered, event_tracepoints(registered.monitor))

    def _set_tracepoints(self, registered: Registered, wanted: Iterable[Tracepoint]) -> None:
        """Make these, and no others, the monitor's; one that it has already keeps its number."""
        names = {tracepoint.full_name: tracepoint for tracepoint in wanted}
        for name in [name for name in registered.tracepoints if name not in names]:
            self._trace.enable(self._vocabulary.number(name), False)
            self._vocabulary.remove(name)
            del registered.tracepoints[name]
        for name, tracepoint in names.items():
            self._vocabulary.add(tracepoint)
            registered.tracepoints[name] = tracepoint

    def _list(self, registered: Registered) -> None:
        parent = registered.parent
        place = len(self._monitors) if parent is None else self._monitors.index(parent) + 1
        registered.listed.callback(self._unlist, registered)
        self._monitors.insert(place, registered)
        if parent is not None:
            parent.children.append(registered)

    def _unlist(self, registered: Registered) -> None:
        parent = registered.parent
        for listing in (self._monitors, parent.children if parent else []):
            if registered in listing:
                listing.remove(registered)

    #: The steps of a registration, in order.
    _BUILD: tuple[Callable[["Registry", Registered], None], ...] = (
        _compile, _add_tracepoints, _list,
    )  # fmt: skip

    # -- another form ----------------------------------------------------------------------

    def replace(self, registered: Registered, form: Form, change: Change) -> None:
        """Give a monitor another form, between two batches, as part of a larger change.

        One that is on stays on: an instance keeps its state where the new model has a state of
        that name. Raises :class:`InvalidInput` where a container would get a model or lose
        its children, and as :meth:`register_monitor`, :meth:`enable`.
        """
        if registered.monitor.model and not form.monitor.model:
            raise InvalidInput(
                f"monitor {registered.name} is whole; without {form.waits_for or 'a model'} it "
                "would not be"
            )
        if registered.children and not form.is_container:
            raise InvalidInput(f"monitor {registered.name} has children and cannot have a model")
        for step in self._REPLACE:
            step(self, registered, form, change)
        self._version += 1

    def _swap_tracepoints(self, registered: Registered, form: Form, change: Change) -> None:
        """Those that are too much go when all is well: their numbers would not come back."""
        old, new = dict(registered.tracepoints), event_tracepoints(form.monitor)
        change.undo(self._set_tracepoints, registered, tuple(old.values()))
        self._set_tracepoints(registered, (*old.values(), *new))
        change.then(self._set_tracepoints, registered, new)

    def _swap_slot(self, registered: Registered, form: Form, change: Change) -> None:
        has, wants = (m.scope is Scope.TASK for m in (registered.monitor, form.monitor))
        if registered.enabled and has != wants:
            change.undo(self.task_slots.put_back, tuple(self.task_slots.holders))
            (self.task_slots.take if wants else self.task_slots.give_back)(registered.name)

    def _swap_program(self, registered: Registered, form: Form, change: Change) -> None:
        program = self._compiled(form)
        if registered.enabled and program is not None:
            if registered.program is None:
                change.undo(self._engine.remove, registered.name)
                self._engine.add(program)
            else:
                replaced = _replace(self._engine, program)
                change.undo(replaced.undo)
                change.then(
                    log.info,
                    "monitor %s was replaced: %d instances keep their state, %d begin anew",
                    registered.path, replaced.kept, replaced.anew,
                )  # fmt: skip
            self._warn_missing(program)
        change.set(registered, "program", program)

    def _swap_form(self, registered: Registered, form: Form, change: Change) -> None:
        """Parameters keep their values by name; what is not whole yet is not on."""
        kept = {
            name: registered.params.get(name, value) for name, value in form.monitor.params.items()
        }
        change.set(registered, "params", kept)
        if form.waits_for:
            change.set(registered, "enabled", False)
        change.set(registered, "form", form)

    #: The steps of a replacement, in order.
    _REPLACE: tuple[Callable[["Registry", Registered, Form, Change], None], ...] = (
        _swap_tracepoints, _swap_slot, _swap_program, _swap_form,
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
        if registered.form.waits_for:
            raise InvalidInput(f"monitor {registered.name} has no {registered.form.waits_for} yet")
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


@dataclass(frozen=True)
class _Replaced:
    kept: int
    anew: int
    undo: Callable[[], None]


def _replace(engine: Engine, program: Program) -> _Replaced:
    running = engine._running
    name = program.monitor.name
    old = running[name]
    engine.add(program)
    return _Replaced(0, 0, lambda: running.__setitem__(name, old))
