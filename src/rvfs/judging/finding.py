"""Which recordings an argument names: a file, all in a folder and below, what a pattern fits."""

import glob
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from rvfs.errors import TraceError
from rvfs.source.recording import MAGIC
from rvfs.source.replay import Replay
from rvfs.tracepoint import Vocabulary

#: How the kernel's text begins, even where there is no event in it.
TRACER = b"# tracer: "


def recordings(argument: str) -> Iterator[tuple[str, str | None]]:
    """(path, why it is no recording) of each file that is meant, in the order of their names.

    What was named itself is meant for a recording, whatever it is, and so is what a pattern
    fits. In a folder, files whose names begin with a dot are left out.
    """
    if Path(argument).is_dir():
        yield from ((path, _fault(path)) for path in _files(argument))
    elif found := _fitting(argument):
        for path in found:
            yield from recordings(path)
    else:
        yield argument, None


def _fitting(pattern: str) -> list[str]:
    if os.path.lexists(pattern) or not glob.has_magic(pattern):
        return []
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # Path.glob takes no /…


def _files(folder: str) -> Iterator[str]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        yield from (str(Path(here, name)) for name in sorted(files) if name[0] != ".")


def _fault(path: str) -> str | None:
    """Why a file is no recording. A damaged one is one, and so is what is empty by mistake."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(len(TRACER))
        if head and head != TRACER and not head.startswith(MAGIC):
            return _fault_of_first_event(path)
    except OSError:
        pass  # it will be told when it is judged
    return None


def _fault_of_first_event(path: str) -> str | None:
    try:
        with closing(Replay(path, Vocabulary())) as source:
            return "there is no event in it" if source.read(1) is None else None
    except TraceError as error:
        return error.message
