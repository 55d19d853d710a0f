"""All or nothing: steps that are kept together, or undone together, last first."""

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any


class Change:
    """Something that is under way.

    ::

        with Change() as change:
            change.undo(names.remove, "mine")    # first how to undo it, or right after it is done
            names.append("mine")
            change.then(log.info, "mine is new")  # when nothing can fail any more
            change.keep()

    Who leaves the block without :meth:`keep` leaves nothing behind.
    """

    def __init__(self) -> None:
        self._undo = ExitStack()
        self._then: list[Callable[[], object]] = []

    def __enter__(self) -> "Change":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        self._undo.close()

    def undo(self, call: Callable[..., object], *args: Any) -> None:
        """What takes one step back."""
        self._undo.callback(call, *args)

    def set(self, thing: object, name: str, value: object) -> None:
        """``thing.name = value``, until it is undone."""
        self.undo(setattr, thing, name, getattr(thing, name))
        setattr(thing, name, value)

    def then(self, call: Callable[..., object], *args: Any) -> None:
        """What remains to be done once it is kept; it must not raise."""
        self._then.append(lambda: call(*args))

    def keep(self) -> None:
        """It is done and stays."""
        self._undo.pop_all()
        for call in self._then:
            call()
