"""``trace.dat`` version 7: sections that options point to, each of them possibly compressed.

After trace-cmd.dat.v7(5). Compressed pages are unpacked to a temporary file, so that memory
stays flat and pages are read alike.
"""

import importlib
import importlib.util
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rvfs.source.cursor import MAX_PIECE, Cursor
from rvfs.source.file_bytes import FileBytes
from rvfs.source.recording import (
    BUFFER,
    BUFFER_TEXT,
    CMDLINES,
    COMPRESSED,
    EVENT_FORMATS,
    HEADER_INFO,
    PAGE_SIZES,
    Parts,
    TraceBuffer,
)
from rvfs.source.ring_buffer import Layout, Span


def _zstd(data: bytes, size: int) -> bytes:
    zstd: Any = importlib.import_module("compression.zstd")  # Python 3.14
    return bytes(zstd.ZstdDecompressor().decompress(data, size))


#: By the name in the file: data and the size it unpacks to → at most one byte more than that.
DECOMPRESS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "zlib": lambda data, size: zlib.decompressobj().decompress(data, size + 1),
    "zstd": _zstd,
}


class Version7(Parts):
    def read(self) -> None:
        at = self.at
        self.algorithm = at.string("the compression")
        at.string("the version of the compression")
        self.sections: dict[int, int] = {}
        self.descriptions: list[tuple[int, Cursor]] = []
        place = at.at
        following = at.number(8, "the offset of the options")
        seen: set[int] = set()
        while following:
            if following in seen:
                raise at.error(f"the options at {following} point back to themselves", place)
            seen.add(following)
            following = self.options(following)
        readers = {
            HEADER_INFO: self.read_header_info,
            EVENT_FORMATS: self.read_formats,
            CMDLINES: self.read_cmdlines,
        }
        for number, read in readers.items():
            if number in self.sections:
                read(self.section(number, self.sections[number]))
        for number, description in self.descriptions:
            self.buffers.append(self.buffer(number, description))
        self.choose_buffer()
        self.unpack()

    def options(self, offset: int) -> int:
        """One section of options; the offset of the next one, or 0."""
        at = self.section(0, offset)
        while True:
            number, size = at.number(2, "an option"), at.number(4, "the size of an option")
            start = at.base + at.at
            option = Cursor(at.take(size, "an option"), self.file, order=at.order, base=start)
            if number == 0:
                return option.number(8, "the offset of the next options")
            if number in (HEADER_INFO, EVENT_FORMATS, CMDLINES):
                self.sections[number] = option.number(8, "the offset of a section")
            elif number in (BUFFER, BUFFER_TEXT):
                self.descriptions.append((number, option))
            else:
                self.read_option(number, option)

    def header(self, number: int, offset: int) -> tuple[Cursor, bool, int]:
        """A section's start: a cursor behind the header, whether it is compressed, its size."""
        at = Cursor(self.recording.buffer, self.file, offset, order=self.at.order)
        found = at.number(2, f"section {number}")
        if found != number:
            raise at.error(f"section {number} should be here, not {found}", offset)
        flags = at.number(2, "the flags of a section")
        at.skip(4, "the name of a section")
        return at, bool(flags & COMPRESSED), at.number(8, "the size of a section")

    def section(self, number: int, offset: int) -> Cursor:
        """A cursor over the section's bytes, decompressed if need be."""
        at, compressed, _ = self.header(number, offset)
        if not compressed:
            return at
        start = at.at
        return Cursor(self.piece(at), self.file, order=at.order, base=start)

    def piece(self, at: Cursor) -> bytes:
        """Compressed size, size and data of one compressed piece → the data."""
        start = at.at
        packed, size = at.number(4, "a compressed size"), at.number(4, "a decompressed size")
        if size > MAX_PIECE:
            raise at.error(f"a compressed piece claims to unpack to {size} bytes", start)
        data = at.take(packed, "compressed data")
        try:
            unpacked = self.decompress(at)(data, size)
        except (ValueError, EOFError, zlib.error) as error:
            raise at.error(f"cannot decompress ({self.algorithm}): {error}", start) from None
        except Exception as error:  # each library has an exception of its own
            if type(error).__module__.partition(".")[0] in ("compression", "_zstd"):
                raise at.error(f"cannot decompress (zstd): {error}", start) from None
            raise
        if len(unpacked) != size:
            raise at.error(f"a compressed piece does not unpack to its {size} bytes", start)
        return unpacked

    def decompress(self, at: Cursor) -> Callable[[bytes, int], bytes]:
        known = self.algorithm in DECOMPRESS
        if self.algorithm == "zstd":
            known = importlib.util.find_spec("compression") is not None
        if not known:
            hint = f"trace-cmd convert --compression none -i {self.file} -o OUT makes it readable"
            raise at.error(
                f"it is compressed with {self.algorithm}, which is not available: {hint}"
            )
        return DECOMPRESS[self.algorithm]

    def buffer(self, number: int, at: Cursor) -> TraceBuffer:
        offset = at.number(8, "the offset of a buffer")
        name = at.string("the name of a buffer")
        clock = at.string("the clock of a buffer")
        body, compressed, size = self.header(number, offset)
        if number == BUFFER_TEXT:
            size = min(size, len(body.buffer) - body.at)
            return TraceBuffer(name, [], Span(0, body.at, size, body.at, compressed))
        self.note_clock(clock)
        page_size, count = at.number(4, "the page size"), at.number(4, "the number of CPUs")
        if page_size not in PAGE_SIZES:
            raise at.error(f"the page size {page_size} is impossible", at.at - 8)
        layout = self.recording.layout
        self.recording.layout = Layout(layout.order, layout.long_size, layout.data, page_size)
        spans = self.spans(at, f"buffer {name!r}", count, numbered=True)
        return TraceBuffer(
            name,
            [Span(s.cpu, s.offset, s.size, s.source, compressed and bool(s.size)) for s in spans],
        )

    def unpack(self) -> None:
        """Compressed pages go, unpacked, to a temporary file that takes the buffer's place."""
        recording = self.recording
        spans = [*recording.pages, *([recording.text] if recording.text else [])]
        if not any(span.compressed for span in spans):
            return
        with tempfile.TemporaryFile(prefix="rvfs-") as file:
            moved = []
            for span in spans:
                start = file.tell()
                for chunk in self.chunks(span):
                    file.write(chunk)
                moved.append(
                    Span(span.cpu, start, file.tell() - start, span.source, span.compressed)
                )
            file.flush()
            recording.buffer = FileBytes(os.dup(file.fileno()), self.file)
        recording.pages = moved if not recording.text else []
        recording.text = moved[0] if recording.text else None

    def chunks(self, span: Span) -> Iterator[bytes]:
        if not span.size:
            return
        at = Cursor(self.recording.buffer, self.file, span.offset, order=self.at.order)
        for _ in range(at.number(4, "the number of compressed chunks")):
            yield self.piece(at)
