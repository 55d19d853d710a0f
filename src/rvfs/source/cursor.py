"""A place in the bytes of a recording: reads numbers and texts, never past the end."""

from rvfs.errors import TraceError
from rvfs.source.file_bytes import FileBytes

#: What a damaged size may make us take at most; the text of all formats is 2 MB.
MAX_PIECE = 256 << 20


class Cursor:
    """A place in a buffer that moves on as it is read; :class:`TraceError` past the end."""

    def __init__(
        self, buffer: FileBytes | bytes, file: str, at: int = 0, *, order: str = "<", base: int = 0
    ):
        self.buffer, self.file, self.at, self.order, self.base = buffer, file, at, order, base

    def error(self, message: str, at: int | None = None) -> TraceError:
        return TraceError(
            message, file=self.file, offset=self.base + (self.at if at is None else at)
        )

    def take(self, size: int, what: str) -> bytes:
        if size > min(len(self.buffer) - self.at, MAX_PIECE):
            left = max(len(self.buffer) - self.at, 0)
            raise self.error(f"{what} should be here, {size} bytes; the file has {left} more")
        self.at += size
        return self.buffer[self.at - size : self.at]

    def skip(self, size: int, what: str) -> None:
        if size > len(self.buffer) - self.at:
            raise self.error(f"{what}, {size} bytes, run past the end of the file")
        self.at += size

    def number(self, size: int, what: str) -> int:
        return int.from_bytes(self.take(size, what), "little" if self.order == "<" else "big")

    def string(self, what: str) -> str:
        """A text that ends with NUL, of at most 255 bytes."""
        end = self.buffer.find(b"\0", self.at, self.at + 256)
        if end < 0:
            raise self.error(f"{what} should be here, a text that ends with NUL")
        text = self.take(end - self.at, what)
        self.at += 1
        return text.decode("utf-8", "replace")

    def expect(self, literal: bytes) -> None:
        start = self.at
        found = self.take(len(literal), f"{literal!r}")
        if found != literal:
            raise self.error(f"{literal!r} should be here, not {found!r}", start)
