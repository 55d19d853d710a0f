"""What the readers of recordings have in common, whatever the format."""

from abc import ABC, abstractmethod

from rvfs.event import Batch
from rvfs.source import Wanted


class Reader(ABC):
    """A recording, read from its start to its end. ``cpus`` is how many CPUs it has.

    ``notes`` are sentences about what was left out or could not be judged; they may grow
    until the end. ``uncounted`` are the CPUs that lost events whose number nobody knows: each
    such loss is told as 1, so that it is a gap. ``done`` is how much of the file was decoded,
    from 0 to 1.
    """

    cpus: int
    notes: list[str]
    uncounted: set[int]
    done: float

    def __init__(self) -> None:
        self.cpus, self.notes, self.uncounted, self.done = 0, [], set(), 0.0

    @abstractmethod
    def subscribe(self, wanted: Wanted) -> None:
        """Deliver exactly these tracepoints with these fields, from the next read on."""

    @abstractmethod
    def read(self, limit: int, until: int | None = None) -> Batch | None:
        """The next of ``limit`` events, none later than ``until`` (ns); None at the end.

        Events that nobody wants count too, so a batch may be empty before the end.
        Raises :class:`rvfs.errors.TraceError` where the recording is damaged, after the
        events before the damage.
        """

    @abstractmethod
    def due(self) -> int | None:
        """The time of the next event in ns; None at the end. Raises as :meth:`read`."""

    @abstractmethod
    def close(self) -> None:
        """Give back the file; safe to call twice."""
