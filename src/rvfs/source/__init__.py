"""Where events come from.

A source hands out batches when it is asked (so the pump sets the pace) and waits when
nothing is due. ``read`` never blocks; ``wait`` is the only thing here that is async.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from rvfs.event import Batch

#: Tracepoint number → names of the fields that somebody wants.
Wanted = Mapping[int, frozenset[str]]


class Source(Protocol):
    """A stream of events, in time order.

    ``name`` says what it is, for the log (``sim``, ``replay FILE``). ``cpus`` is how many
    CPUs the source has, as far as it knows; the engine takes larger numbers too. ``notes``
    are sentences on what it could not deliver, complete once it has ended.
    """

    name: str
    cpus: int

    @property
    def notes(self) -> Sequence[str]:
        """See above."""

    def subscribe(self, wanted: Wanted) -> None:
        """From the next read on, deliver exactly these tracepoints with these fields.

        A number or field that this source does not have is ignored.
        """

    def read(self, limit: int) -> Batch | None:
        """The next events, ``limit`` at most. Empty: none is due now. None: the source has ended.

        Raises :class:`rvfs.errors.TraceError` when a recording turns out to be damaged;
        the events before the damage have been delivered by then.
        """

    async def wait(self) -> None:
        """Return when a read may have events."""

    def close(self) -> None:
        """Give back files and memory; safe to call twice."""
