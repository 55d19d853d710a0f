"""A file that a command writes: there when it is whole, as it was where that fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rvfs.errors import InvalidInput


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write; it becomes ``path`` when the block ends well, and goes when it does not.

    Raises :class:`InvalidInput` for a place that cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.open("w").close()
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from None
    try:
        yield part
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
