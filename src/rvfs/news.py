"""News of what the tree shows, for who has shown it and must take it back.

Who keeps a state tells: each time it has become another, before anybody else can look.
Nobody listening costs nothing.
"""

from collections.abc import Callable


class News:
    """Of one thing that changes."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Call it at every change from now on."""
        self._listeners.append(listener)

    def tell(self) -> None:
        """It has changed."""
        for listener in self._listeners:
            listener()


#: Of what never changes.
NEVER = News()
