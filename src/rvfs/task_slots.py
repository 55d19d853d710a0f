"""How many per-task monitors can be on at once, and which are."""

from collections.abc import Sequence

from rvfs.errors import Busy, InvalidInput


class TaskSlots:
    """The per-task monitors that can be on at once (CONFIG_RV_PER_TASK_MONITORS)."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise InvalidInput(f"there must be at least 1 task slot, not {count}")
        self.holders: list[str | None] = [None] * count

    def take(self, name: str) -> None:
        """The lowest free slot. Raises :class:`Busy`, naming the holders, when there is none."""
        if None not in self.holders:
            holders = ", ".join(str(holder) for holder in self.holders)
            raise Busy(
                f"no task slot for monitor {name}: all {len(self.holders)} are held by {holders}"
            )
        self.holders[self.holders.index(None)] = name

    def give_back(self, name: str) -> None:
        self.holders[self.holders.index(name)] = None

    def put_back(self, holders: Sequence[str | None]) -> None:
        """All of them as they were."""
        self.holders[:] = holders
