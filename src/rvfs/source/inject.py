"""Sources without events of their own."""

import math

import trio

from rvfs.event import Batch, batch_of
from rvfs.source import Wanted


class Quiet:
    """Never has an event and never ends: all events are injected through the tree.

    With ``ended`` it has ended before it began.
    """

    cpus = 1
    notes = ()

    def __init__(self, name: str, *, ended: bool = False) -> None:
        self.name = name
        self._nothing = None if ended else batch_of([])

    def subscribe(self, wanted: Wanted) -> None:
        """There is nothing to leave out."""

    def read(self, limit: int) -> Batch | None:
        return self._nothing

    async def wait(self) -> None:
        await trio.sleep(math.inf)

    def close(self) -> None:
        """There is nothing to give back."""
