"""Reactors: what is done about a violation. One small file each.

A reactor is any object with a ``name``, a ``description`` and ``react(verdict)``. With
``inline = True`` it is called on the event path and must not block; without, it runs off
that path, fed by a bounded queue. One that raises is dropped from its monitor.

A reactor of your own comes in a package with an entry point in the group
``rvfs.reactors`` that loads to such an object, or to a class or function that makes one.
"""

import logging
from collections.abc import Iterator
from importlib import metadata
from typing import Protocol, runtime_checkable

from rvfs.errors import InvalidInput
from rvfs.event import Verdict

log = logging.getLogger(__name__)


@runtime_checkable
class Reactor(Protocol):
    """See the head of this file."""

    name: str
    description: str

    def react(self, verdict: Verdict) -> None:
        """Called once per violation; ``verdict.message`` is the kernel's text."""


def is_inline(reactor: Reactor) -> bool:
    """Whether it is called on the event path."""
    return bool(getattr(reactor, "inline", False))


def plugins() -> Iterator[Reactor]:
    """The reactors of installed packages. One that cannot be loaded is logged and left out."""
    for entry in metadata.entry_points(group="rvfs.reactors"):
        try:
            yield _made(entry.load())
        except Exception as error:
            log.warning("reactor plug-in %s (%s) left out: %s", entry.name, entry.value, error)


def _made(loaded: object) -> Reactor:
    reactor = loaded() if callable(loaded) and not hasattr(type(loaded), "react") else loaded
    if not isinstance(reactor, Reactor):
        raise InvalidInput("it has no name, description and react(verdict)")
    return reactor
