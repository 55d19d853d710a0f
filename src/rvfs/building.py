"""What a monitor has beside its place in the listings: program, tracepoints, slot, instances.

It is built in steps (:data:`Builder.BUILD`) and given another form in steps
(:data:`Builder.REPLACE`). Each step leaves its own undoing behind, so that whichever fails,
what was is in force.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from rvfs.change import Change
from rvfs.engine import Engine
from rvfs.errors import InvalidInput
from rvfs.monitor import Scope
from rvfs.program import Program
from rvfs.registered import Form, Registered
from rvfs.task_slots import TaskSlots
from rvfs.trace import Trace, event_tracepoints
from rvfs.tracepoint import Tracepoint, Vocabulary

log = logging.getLogger(__name__)


class Builder:
    """Builds, replaces and switches one monitor, whatever it is nested in."""

    def __init__(
        self, engine: Engine, vocabulary: Vocabulary, trace: Trace, task_slots: TaskSlots
    ) -> None:
        self._engine, self._vocabulary, self._trace = engine, vocabulary, trace
        self._task_slots = task_slots

    def build(self, registered: Registered) -> None:
        """All that it has while it is off. What raises leaves the rest to ``begin_removal``."""
        for step in self.BUILD:
            step(self, registered)

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

    #: The steps of a registration, in order.
    BUILD: tuple[Callable[["Builder", Registered], None], ...] = (_compile, _add_tracepoints)

    # -- another form ----------------------------------------------------------------------

    def replace(self, registered: Registered, form: Form, change: Change) -> None:
        """See :meth:`rvfs.registry.Registry.replace`."""
        for step in self.REPLACE:
            step(self, registered, form, change)

    def _swap_tracepoints(self, registered: Registered, form: Form, change: Change) -> None:
        """Those that are too much go when all is well: their numbers would not come back."""
        old, new = tuple(registered.tracepoints.values()), event_tracepoints(form.monitor)
        change.undo(self._set_tracepoints, registered, old)
        self._set_tracepoints(registered, (*old, *new))
        change.then(self._set_tracepoints, registered, new)

    def _swap_slot(self, registered: Registered, form: Form, change: Change) -> None:
        has, wants = (m.scope is Scope.TASK for m in (registered.monitor, form.monitor))
        if registered.enabled and has != wants:
            change.undo(self._task_slots.put_back, tuple(self._task_slots.holders))
            (self._task_slots.take if wants else self._task_slots.give_back)(registered.name)

    def _swap_program(self, registered: Registered, form: Form, change: Change) -> None:
        program = self._compiled(form)
        if registered.enabled and program is not None:
            if registered.program is None:
                self._engine.add(program)
                change.undo(self._engine.remove, registered.name)
            else:
                replaced = self._engine.replace(program)
                change.undo(replaced.undo)
                change.then(
                    log.info,
                    "monitor %s was replaced: %d instances keep their state, %d begin anew",
                    registered.path, replaced.kept, replaced.anew,
                )  # fmt: skip
            change.set(registered, "inside", self._engine.inside(registered.name))
            change.then(_warn_missing, program)
        change.set(registered, "program", program)

    def _swap_form(self, registered: Registered, form: Form, change: Change) -> None:
        """Parameters keep their values by name; what is not whole yet is not on."""
        params = form.monitor.params.items()
        kept = {name: registered.params.get(name, default) for name, default in params}
        change.set(registered, "params", kept)
        if form.waits_for:
            change.set(registered, "enabled", False)
        change.set(registered, "form", form)

    #: The steps of a replacement, in order.
    REPLACE: tuple[Callable[["Builder", Registered, Form, Change], None], ...] = (
        _swap_tracepoints, _swap_slot, _swap_program, _swap_form,
    )  # fmt: skip

    # -- on and off ------------------------------------------------------------------------

    def switch_on(self, registered: Registered) -> None:
        """Raises as :meth:`rvfs.registry.Registry.enable`; then it is off."""
        if registered.form.waits_for:
            raise InvalidInput(f"monitor {registered.name} has no {registered.form.waits_for} yet")
        with ExitStack() as undo:
            if registered.monitor.scope is Scope.TASK:
                self._task_slots.take(registered.name)
                undo.callback(self._task_slots.give_back, registered.name)
            if registered.program is not None:
                # Anew: a tracepoint may have come, or come back, since it was registered.
                registered.program = self._engine.add(registered.monitor)
                undo.callback(self._engine.remove, registered.name)
                for name, value in registered.changed_params():
                    self._engine.set_param(registered.name, name, value)
                registered.inside = self._engine.inside(registered.name)
                _warn_missing(registered.program)
            undo.pop_all()
        registered.enabled = True

    def switch_off(self, registered: Registered) -> None:
        registered.enabled = False
        if registered.program is not None:
            self._engine.remove(registered.name)
        if registered.monitor.scope is Scope.TASK:
            self._task_slots.give_back(registered.name)

    def set_param(self, registered: Registered, name: str, value: int) -> None:
        """See :meth:`rvfs.registry.Registry.set_param`."""
        if registered.enabled:
            self._engine.set_param(registered.name, name, value)
        registered.params[name] = value


def _warn_missing(program: Program) -> None:
    # Since Linux 5.20 a tracepoint that cannot be attached is a warning (rv/instrumentation.h).
    for tracepoint in program.missing:
        log.warning("%s: there is no tracepoint %s", program.monitor.name, tracepoint)
