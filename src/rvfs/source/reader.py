"""What the readers of recordings have in common: events leave in stretches.

A reader decodes a stretch of its file (some pages, some lines) without regard to who wants
what, and delivers it in parts: up to a limit, up to a time, and never across a gap, so that
what was lost always stands at the head of a batch. Only what is delivered is looked at for
wanted tracepoints and fields, hence a change of subscription holds from the next read on.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from rvfs.event import Batch, Ints
from rvfs.source import Wanted


@dataclass(slots=True)
class Stretch:
    """Decoded events, not yet projected on what is wanted.

    ``time`` has one entry per event; ``lost`` maps a position (the number of events is one,
    too: lost after the last) to the events lost per CPU before it.
    """

    time: Ints
    lost: dict[int, dict[int, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.time)


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


S = TypeVar("S", bound=Stretch)


class StretchReader(Reader, Generic[S]):
    def __init__(self) -> None:
        super().__init__()
        self._wanted: Wanted = {}
        self._stretch: S | None = None
        self._at = 0

    def subscribe(self, wanted: Wanted) -> None:
        self._wanted = dict(wanted)

    def read(self, limit: int, until: int | None = None) -> Batch | None:
        stretch = self._pending()
        if stretch is None:
            return None
        start = self._at
        lost = stretch.lost.pop(start, {})
        stop = self._stop(stretch, start, limit, until)
        batch, self._at = self._project(stretch, start, stop, lost)
        return batch

    def due(self) -> int | None:
        while (stretch := self._pending()) is not None:
            if self._at < len(stretch):
                return int(stretch.time[self._at])
            if stretch.lost:
                return int(stretch.time[-1]) if len(stretch) else 0
        return None

    def _pending(self) -> S | None:
        """The stretch with something left in it, the next one if need be."""
        if self._stretch is None or (self._at >= len(self._stretch) and not self._stretch.lost):
            self._stretch, self._at = self._load(), 0
        return self._stretch

    def _stop(self, stretch: S, start: int, limit: int, until: int | None) -> int:
        stop = min(start + max(limit, 1), len(stretch), *(at for at in stretch.lost if at > start))
        if until is not None:
            late = np.flatnonzero(stretch.time[start:stop] > until)
            stop = start + int(late[0]) if len(late) else stop
        return stop

    @abstractmethod
    def _load(self) -> S | None:
        """Decode the next stretch (it may be empty); None at the end."""

    @abstractmethod
    def _project(
        self, stretch: S, start: int, stop: int, lost: Mapping[int, int]
    ) -> tuple[Batch, int]:
        """The wanted events of ``start:stop``, and where it got to.

        A damaged event ends the batch; it raises when it comes first.
        """

    def close(self) -> None:
        self._stretch = None
