"""What a descriptor of the tree remembers: its file, and what it has read so far.

Reads of an ordinary file come from one snapshot per descriptor, made anew at offset 0; each
write is one command, wherever the descriptor stands. A descriptor holds what its file
belongs to, so that a removal ends only after the last of them (see ``registry.py``).
"""

import select
from contextlib import suppress
from functools import partial
from typing import Protocol

from rvfs.files import Directory, File, Node
from rvfs.pipe import Reader, TracePipe

READABLE = select.POLLIN | select.POLLRDNORM
WRITABLE = select.POLLOUT | select.POLLWRNORM


class PollHandle(Protocol):
    """How the kernel is told that a poll it was answered no longer holds."""

    def notify(self) -> None:
        """Wake who polls. Raises OSError when nobody does any more."""


class OpenFile:
    """A descriptor of an ordinary file."""

    def __init__(self, file: File) -> None:
        self.node = file
        self._snapshot: bytes | None = None
        file.owner.hold()

    async def read(self, offset: int, size: int) -> bytes:
        self.node.check()
        if offset == 0 or self._snapshot is None:
            self._snapshot = self.node.read()
        return self._snapshot[offset : offset + size]

    def write(self, data: bytes) -> None:
        self.node.check()
        self.node.write(data)

    def poll(self, handle: PollHandle | None) -> int:
        return READABLE | WRITABLE

    def release(self) -> None:
        self.node.owner.release()


class OpenPipe:
    """A descriptor of ``trace_pipe``."""

    def __init__(self, file: File, pipe: TracePipe, reader: Reader) -> None:
        self.node = file
        self._pipe, self._reader = pipe, reader

    async def read(self, offset: int, size: int) -> bytes:
        return await self._pipe.read(self._reader, size)

    def write(self, data: bytes) -> None:
        self.node.write(data)

    def poll(self, handle: PollHandle | None) -> int:
        notify = partial(_notify, handle) if handle else None
        return READABLE if self._pipe.poll(self._reader, notify) else 0

    def release(self) -> None:
        self._pipe.release(self._reader)


def _notify(handle: PollHandle) -> None:
    with suppress(OSError):  # nobody polls it any more
        handle.notify()


class OpenFolder:
    """A descriptor of a folder; its listing is made anew at the beginning."""

    def __init__(self, node: Directory) -> None:
        self.node = node
        self.entries: list[tuple[str, Node]] = []
