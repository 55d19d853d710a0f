"""One monitor in the registry: what it is now, who holds it, and how it goes.

Removal has two phases: *begin* takes the monitor out of every listing at once, *end* frees
it after the last one who holds it has let go.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from rvfs.bundle import quoted
from rvfs.inside import Inside
from rvfs.monitor import Model, Monitor
from rvfs.monitors.texts import Texts
from rvfs.program import Program
from rvfs.reactors import Reactor
from rvfs.tracepoint import Tracepoint


@dataclass(frozen=True, slots=True)
class Form:
    """What a monitor is now, and the texts it was made of.

    While only one of two texts is there, ``waits_for`` names the other one (``model``,
    ``bindings``), ``monitor`` has no model yet, and ``draft`` is the model if that came first.
    """

    monitor: Monitor
    texts: Texts = field(default_factory=Texts)
    waits_for: str | None = None
    draft: Model | None = None

    @property
    def model(self) -> Model | None:
        return self.monitor.model or self.draft

    @property
    def is_container(self) -> bool:
        """Whether it can have children."""
        return self.monitor.model is None and self.waits_for is None


class Registered:
    """One monitor in the registry. A name that is registered again is another object.

    ``children`` are in the order of their registration. ``removable`` are those that users
    have made. ``gone`` is set when the removal begins; from then on whoever still holds it
    may only let go. ``params`` are its parameters as they are set, on or off. ``inside`` is what
    can be seen of it since it was switched on last, None before. ``error`` is what was wrong with
    the last text that was written for it, ``""`` if nothing was.
    """

    def __init__(
        self, form: Form, parent: "Registered | None", reactor: Reactor, *, removable: bool
    ) -> None:
        self.form = form
        self.parent = parent
        self.removable = removable
        self.children: list[Registered] = []
        self.reactor = reactor
        self.enabled = False
        self.gone = False
        self.program: Program | None = None
        self.params: dict[str, int] = dict(form.monitor.params)
        self.inside: Inside | None = None
        self.tracepoints: dict[str, Tracepoint] = {}
        self.error = ""
        self._holders = 0
        self.listed = ExitStack()  # undone when the removal begins
        self.owned = ExitStack()  # undone when it ends

    @property
    def monitor(self) -> Monitor:
        return self.form.monitor

    @property
    def name(self) -> str:
        return self.monitor.name

    @property
    def container(self) -> str | None:
        """The name of what it is nested in."""
        return self.parent.name if self.parent else None

    @property
    def path(self) -> str:
        """``name``, or ``parent:name``."""
        return f"{self.parent.name}:{self.name}" if self.parent else self.name

    def changed_params(self) -> Iterator[tuple[str, int]]:
        """The parameters that are not as the monitor has them by default."""
        defaults = self.monitor.params
        return ((n, value) for n, value in self.params.items() if value != defaults[n])

    @property
    def bindings_text(self) -> str | None:
        """The text of its bindings: of a container, the description and the children there are."""
        if not self.form.is_container:
            return self.form.texts.bindings
        names = ", ".join(quoted(child.name) for child in self.children)
        return f"description = {quoted(self.monitor.description)}\nchildren = [{names}]\n"

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

    def begin_removal(self) -> None:
        """Out of every listing, however far it was built; freed when nobody holds it."""
        self.listed.close()
        self.gone = True
        self._end_removal()

    def _end_removal(self) -> None:
        if self.free:
            self.owned.close()
