"""What was read from a folder of rvfs, kept as Python keeps its bytecode.

Beside the ``.pyc`` files lies a pickle of what a folder's texts made, and they are read anew
where it does not fit. It is trusted as much as those files are: who may write there may write
code. Like them, it is for this version of Python, is not written under ``-B``, and lies where
``sys.pycache_prefix`` says.

========  ===========================================================================
a line    the key: version, folder, size and time of each file that has a say in it;
          behind that the checksum of the rest
the rest  the pickle
========  ===========================================================================

So a file that is cut off, damaged, or of another time does not fit. It is replaced as a whole:
whoever reads at that moment sees the old one or the new one.
"""

import importlib.util
import os
import pickle
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import rvfs

_Read = TypeVar("_Read")

_PACKAGE = Path(__file__).parents[1]
#: Where the code is that reads texts and the tables that it goes by, beside the texts.
READERS = (_PACKAGE, _PACKAGE / "model", _PACKAGE / "monitors")


def read_once(folder: Traversable, read: Callable[[Traversable], _Read]) -> _Read:
    """What ``read`` makes of a folder, from what was kept of it if that fits.

    Raises as ``read`` does; then nothing is kept.
    """
    if not isinstance(folder, Path):  # in an archive: nothing can be kept beside it
        return read(folder)
    place, key = _place(folder), _key(folder)  # the key first: a text may change while it is read
    try:
        made: _Read = _fitting(place.read_bytes(), key)
    except (OSError, ValueError):
        made = read(folder)
        _keep(place, key, made)
    return made


def _place(folder: Path) -> Path:
    return Path(importlib.util.cache_from_source(f"{folder}.py")).with_suffix(".pickle")


def _key(folder: Path) -> bytes:
    files = sorted(stamp for each in (*READERS, *_folders(folder)) for stamp in _stamps(each))
    return repr((rvfs.__version__, str(folder), files)).encode()


def _folders(folder: Path) -> Iterator[Path]:
    yield folder
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _folders(Path(entry.path))


def _stamps(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Path, bytes and nanoseconds of the last change."""
    for entry in os.scandir(folder):
        if entry.is_file():
            status = entry.stat()
            yield entry.path, status.st_size, status.st_mtime_ns


def _line(key: bytes, rest: bytes) -> bytes:
    return b"%b %08x" % (key, zlib.crc32(rest))


def _fitting(data: bytes, key: bytes) -> Any:
    """Raises ValueError for what is not whole, or of another key."""
    line, _, rest = data.partition(b"\n")
    if line != _line(key, rest):
        raise ValueError("not what is looked for")
    return pickle.loads(rest)


def _keep(place: Path, key: bytes, made: object) -> None:
    """Where that cannot be, the texts are read the next time too."""
    if sys.dont_write_bytecode:
        return
    rest = pickle.dumps(made, pickle.HIGHEST_PROTOCOL)
    part = place.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}")
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(_line(key, rest) + b"\n" + rest)
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)
