"""What a descriptor of the tree remembers: its file, and what it has read so far.

Reads of an ordinary file come from one snapshot per descriptor, made anew at offset 0; each
write is one command, wherever the descriptor stands, or a part of a document. A descriptor
holds what its file belongs to, so that a removal ends only after the last of them (see
``registered.py``).
"""

import select
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from rvfs.errors import TooBig
from rvfs.files import Document, File
from rvfs.pipe import Reader, TracePipe

READABLE = select.POLLIN | select.POLLRDNORM
WRITABLE = select.POLLOUT | select.POLLWRNORM


class PollHandle(Protocol):
    """How the kernel is told that a poll it was answered no longer holds."""

    def notify(self) -> None:
        """Wake who polls. Raises OSError when nobody does any more."""


class OpenFile:
    """A descriptor of an ordinary file; ``flushed`` says whether a close is an event for it,
    ``written`` is the inode if it is for writing, else 0."""

    __slots__ = ("_snapshot", "node", "written")
    seekable, flushed = True, False

    def __init__(self, file: File, written: int = 0) -> None:
        self.node, self.written = file, written
        self._snapshot: bytes | None = None
        file.owner.hold()

    def read(self, offset: int, size: int) -> bytes:
        self.node.check()
        if offset == 0 or self._snapshot is None:
            self._snapshot = self.node.read()
        return self._snapshot[offset : offset + size]

    def write(self, data: bytes) -> None:
        self.node.check()
        self.node.write(data)

    def truncate(self) -> None:
        """What ftruncate(2) to 0 does."""

    def flush(self) -> None:
        """One of those who have the descriptor has closed it."""

    def poll(self, handle: PollHandle | None) -> int:
        return READABLE | WRITABLE

    def release(self) -> None:
        self.node.owner.release()


class OpenDocument(OpenFile):
    """A descriptor of a text that is taken whole.

    A shell's ``cat new > model`` closes the descriptor twice, before and after ``cat`` has
    written: without anything new, closing it does nothing.
    """

    flushed = True

    def __init__(self, file: File, written: int = 0) -> None:
        super().__init__(file, written)
        assert isinstance(file, Document)
        self._document = file
        self._written = bytearray()
        self._new = self._too_big = False

    def write(self, data: bytes) -> None:
        self.node.check()
        self._too_big |= len(self._written) + len(data) > self._document.limit
        if self._too_big:
            self._new = False
            raise TooBig(f"a text has {self._document.limit} bytes at most")
        self._written += data
        self._new = True

    def truncate(self) -> None:
        self._written.clear()
        self._new = self._too_big = False

    def flush(self) -> None:
        if self._new:
            self._new = False
            self.node.check()
            self.node.write(bytes(self._written))


class OpenPipe:
    """A descriptor of ``trace_pipe``."""

    seekable = flushed = False
    written = 0

    def __init__(self, file: File, pipe: TracePipe, reader: Reader) -> None:
        self.node = file
        self._pipe, self._reader = pipe, reader

    def read(self, offset: int, size: int) -> Coroutine[Any, Any, bytes]:
        return self._pipe.read(self._reader, size)

    def write(self, data: bytes) -> None:
        self.node.write(data)

    def poll(self, handle: PollHandle | None) -> int:
        notify = partial(_notify, handle) if handle else None
        return READABLE if self._pipe.poll(self._reader, notify) else 0

    def truncate(self) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing: a reader goes with the last who has the descriptor."""

    def release(self) -> None:
        self._pipe.release(self._reader)


def _notify(handle: PollHandle) -> None:
    with suppress(OSError):  # nobody polls it any more
        handle.notify()
