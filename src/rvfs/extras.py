"""What is installed only by who wants it: the optional extras of ``pyproject.toml``."""

from collections.abc import Iterator
from contextlib import contextmanager

from rvfs.errors import InvalidInput


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """A block that imports what an extra brings. Raises :class:`InvalidInput` without it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"{purpose} needs {error.name}, which is not installed: pip install 'rvfs[{name}]'"
        ) from None
