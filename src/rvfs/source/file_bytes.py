"""The bytes of a file, read where they are asked for, or mapped.

A recording belongs to others, who may make it shorter while it is read. A read that finds
less than there was is an error with its place; so is a touch of what a mapping has no longer
(see ``_mapping.c``). Memory stays flat however large the file is.
"""

import os

from rvfs.errors import TraceError
from rvfs.source._mapping import Mapping


class FileBytes:
    """What a reader needs of ``bytes``: length, slices (of step 1) and ``find``.

    ``file`` is the name for errors, ``mode`` that of stat(2). The length is that of the
    beginning; the descriptor is owned. A slice or ``find`` raises :class:`TraceError` where the
    file has become shorter or cannot be read.
    """

    def __init__(self, descriptor: int, file: str):
        self.file = file
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        self.mode, self._size = status.st_mode, status.st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        data = self.there(start, stop)
        if len(data) < stop - start:
            raise self.shorter(start + len(data))
        return data

    def find(self, sub: bytes, start: int, stop: int) -> int:
        found = self[start:stop].find(sub)
        return found if found < 0 else start + found

    def there(self, start: int, stop: int) -> bytes:
        """The bytes of ``start:stop`` that are still there."""
        parts = []
        while start < stop and (part := self._read(stop - start, start)):
            parts.append(part)
            start += len(part)
        return b"".join(parts) if len(parts) != 1 else parts[0]

    def read_into(self, view: memoryview, start: int) -> int:
        """Fill the view with the bytes from ``start`` on; how many are still there."""
        done = 0
        while done < len(view):
            try:
                size = os.preadv(self._descriptor, [view[done:]], start + done)
            except OSError as error:
                raise self.unreadable(start + done, error.strerror) from None
            if not size:
                break
            done += size
        return done

    def mapped(self) -> Mapping:
        """All of it as memory, which stays when the descriptor is closed."""
        try:
            return Mapping(self._descriptor, self._size)
        except OSError as error:
            raise TraceError(f"cannot be mapped: {error.strerror}", file=self.file) from None

    @property
    def left(self) -> int:
        """How long the file is now, if that is less than at the beginning."""
        return min(os.fstat(self._descriptor).st_size, self._size)

    def _read(self, size: int, at: int) -> bytes:
        try:
            return os.pread(self._descriptor, size, at)
        except OSError as error:
            raise self.unreadable(at, error.strerror) from None

    def unreadable(self, at: int, why: str | None = None) -> TraceError:
        """The error for a place that is in the file but cannot be read."""
        return TraceError(why or "cannot be read", file=self.file, offset=at)

    def shorter(self, at: int) -> TraceError:
        """The error for a file that now ends at ``at``."""
        return TraceError(
            f"the file became shorter while it was read: it had {self._size} bytes",
            file=self.file, offset=at,
        )  # fmt: skip

    def close(self) -> None:
        """Give back the descriptor; safe to call twice. Nothing can be read after it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()
