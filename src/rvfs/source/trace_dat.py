"""Reads the container ``trace.dat``: what a recording carries, and where its pages are.

Both versions begin alike: magic, version, byte order, long size, page size. Version 6 is
one sequence after that (trace-cmd.dat.v6(5)); version 7 is sections that options point to,
each of them possibly compressed (trace-cmd.dat.v7(5)).
"""

import importlib
import importlib.util
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from typing import Any

from rvfs.errors import InvalidInput, TraceError
from rvfs.source.format_file import EventFormat, parse_fields, parse_format
from rvfs.source.ring_buffer import Layout, Span

MAGIC = b"\x17\x08\x44tracing"
ORDERS: Mapping[int, str] = {0: "<", 1: ">"}

#: Options and sections (version 7 numbers its sections by the option that points to them).
DATE, CPUSTAT, BUFFER, TRACECLOCK, OFFSET, CPUCOUNT, TSC2NSEC = 1, 2, 3, 4, 7, 8, 14
HEADER_INFO, EVENT_FORMATS, CMDLINES, BUFFER_TEXT = 16, 18, 21, 22
COMPRESSED = 1

#: What a damaged size may make us allocate at most; the text of all formats is 2 MB.
MAX_PIECE = 256 << 20
MAX_CPUS = 1 << 13
PAGE_SIZES = range(64, (1 << 24) + 1)

#: Clocks whose ticks are nanoseconds.
NS_CLOCKS = ("local", "global", "uptime", "perf", "mono", "mono_raw", "boot", "tai", "tsc2nsec")


@dataclass(frozen=True, slots=True)
class Ticks:
    """From the time in the pages to ns: ``(ticks * mult >> shift) + offset``."""

    mult: int = 0
    shift: int = 0
    offset: int = 0


@dataclass(slots=True)
class Recording:
    """What ``trace.dat`` holds. ``pages`` are the spans of the CPUs in ``buffer``, ascending.

    ``text`` is set in their place where the file holds ftrace text (a latency tracer's).
    """

    buffer: mmap
    layout: Layout
    formats: dict[int, EventFormat] = field(default_factory=dict)
    comms: dict[int, str] = field(default_factory=dict)
    pages: list[Span] = field(default_factory=list)
    text: Span | None = None
    cpus: int = 0
    ticks: Ticks = field(default_factory=Ticks)
    notes: list[str] = field(default_factory=list)


def _zstd(data: bytes, size: int) -> bytes:
    zstd: Any = importlib.import_module("compression.zstd")  # Python 3.14
    return bytes(zstd.ZstdDecompressor().decompress(data, size))


#: By the name in the file: data and the size it unpacks to → at most one byte more than that.
DECOMPRESS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "zlib": lambda data, size: zlib.decompressobj().decompress(data, size + 1),
    "zstd": _zstd,
}


class Cursor:
    """A place in a buffer that moves on as it is read; :class:`TraceError` past the end."""

    def __init__(
        self, buffer: mmap | bytes, file: str, at: int = 0, *, order: str = "<", base: int = 0
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


def read_recording(buffer: mmap, file: str) -> Recording:
    """Everything but the events. Raises :class:`TraceError`."""
    at = Cursor(buffer, file)
    at.expect(MAGIC)
    version = at.string("the version")
    if version not in ("6", "7"):
        raise at.error(f"trace.dat version {version!r} is not known (6 and 7 are)", len(MAGIC))
    order = at.number(1, "the byte order")
    if order not in ORDERS:
        raise at.error(f"the byte order is {order}, not 0 (little) or 1 (big)", at.at - 1)
    at.order = ORDERS[order]
    long_size = at.number(1, "the size of a long")
    page_size = at.number(4, "the page size")
    if page_size not in PAGE_SIZES:
        raise at.error(f"the page size {page_size} is impossible", at.at - 4)
    recording = Recording(buffer, Layout(at.order, long_size, 8 + long_size, page_size))
    (_Version6 if version == "6" else _Version7)(recording, at).read()
    return recording


@dataclass(slots=True)
class _Buffer:
    """A trace buffer of the recording: the top one (no name) or an instance."""

    name: str
    pages: list[Span]
    text: Span | None = None

    @property
    def filled(self) -> bool:
        return self.text is not None or any(span.size for span in self.pages)


class _Version:
    """What both versions share: the pieces, once their place is known."""

    def __init__(self, recording: Recording, at: Cursor):
        self.recording, self.at = recording, at
        self.file = at.file
        self.buffers: list[_Buffer] = []

    def read_header_info(self, at: Cursor) -> None:
        """``header_page`` says how long the kernel's long is, and where a page's data begin."""
        at.expect(b"header_page\0")
        start = at.at
        text = self.text(at, at.number(8, "the size of header_page"), "header_page")
        fields = {field.name: field for field in parse_fields(text)[0]}
        layout = self.recording.layout
        if "commit" in fields and "data" in fields:
            long_size, data = fields["commit"].size, fields["data"].offset
            if long_size not in (4, 8) or data != 8 + long_size:
                raise at.error("header_page describes a page that no kernel has", start)
            layout = Layout(layout.order, long_size, data, layout.page_size)
        if layout.long_size not in (4, 8):
            raise at.error(f"a long of {layout.long_size} bytes is impossible", start)
        self.recording.layout = layout
        at.expect(b"header_event\0")
        at.skip(at.number(8, "the size of header_event"), "header_event")

    def read_formats(self, at: Cursor) -> None:
        for _ in range(at.number(4, "the number of event systems")):
            system = at.string("the name of an event system")
            for _ in range(at.number(4, f"the number of events of {system}")):
                size = at.number(8, f"the size of a format of {system}")
                start = at.at
                try:
                    event = parse_format(self.text(at, size, f"a format of {system}"), system)
                except InvalidInput as error:
                    raise at.error(str(error), start) from None
                self.recording.formats[event.number] = event

    def read_cmdlines(self, at: Cursor) -> None:
        text = self.text(at, at.number(8, "the size of the command lines"), "the command lines")
        for line in text.splitlines():
            pid, _, comm = line.partition(" ")
            if pid.isdecimal() and comm:
                self.recording.comms[int(pid)] = comm

    def text(self, at: Cursor, size: int, what: str) -> str:
        return at.take(size, what).decode("utf-8", "replace")

    def read_option(self, number: int, at: Cursor) -> None:
        """The options that both versions have; ``at`` is over the option's own bytes."""
        recording, old = self.recording, self.recording.ticks
        if number == CPUCOUNT:
            recording.cpus = at.number(4, "the number of CPUs")
        elif number == CPUSTAT:
            self.note_overrun(at.buffer[:].decode("utf-8", "replace"))
        elif number == TRACECLOCK:
            self.note_clock(at.buffer[:].decode("utf-8", "replace"))
        elif number in (DATE, OFFSET):
            scale = 1000 if number == DATE else 1  # DATE is in µs
            recording.ticks = Ticks(old.mult, old.shift, old.offset + scale * self.integer(at))
        elif number == TSC2NSEC:
            mult, shift = at.number(4, "the multiplier"), at.number(4, "the shift")
            if shift > 32:
                raise at.error(f"the clock's shift {shift} is impossible")
            recording.ticks = Ticks(mult, shift, old.offset)

    def integer(self, at: Cursor) -> int:
        text = at.buffer[:].rstrip(b"\0\n ")
        try:
            value = int(text, 0)
        except ValueError:
            raise at.error(f"a time offset should be here, not {text[:40]!r}") from None
        if abs(value) >= 1 << 62:
            raise at.error(f"the time offset {value} is impossible")
        return value

    def note_overrun(self, stat: str) -> None:
        """``CPU: 0``, then lines such as ``overrun: 12``."""
        values = dict(line.split(": ", 1) for line in stat.splitlines() if ": " in line)
        count = values.get("overrun", "0").strip()
        if count.isdecimal() and int(count):
            cpu = values.get("CPU", "?").strip()
            self.recording.notes.append(f"CPU {cpu}: the kernel counted {count} events overrun")

    def note_clock(self, clocks: str) -> None:
        """The clock is the one in brackets: ``[local] global counter``."""
        clock = clocks.partition("[")[2].partition("]")[0] or clocks.strip("\0\n ")
        if clock and clock not in NS_CLOCKS and not self.recording.ticks.mult:
            self.recording.notes.append(f"clock {clock}: its ticks are taken for nanoseconds")

    def spans(self, at: Cursor, what: str, count: int, *, numbered: bool) -> list[Span]:
        """CPU (version 7), offset and size of the pages, per CPU."""
        if count > MAX_CPUS:
            raise at.error(f"{what} has pages of {count} CPUs; at most {MAX_CPUS} are possible")
        found = []
        for index in range(count):
            cpu = at.number(4, "a CPU's number") if numbered else index
            place = at.at
            offset, size = at.number(8, "a CPU's offset"), at.number(8, "a CPU's size")
            end = len(self.recording.buffer)
            if size and offset + size > end:
                raise at.error(
                    f"CPU {cpu} has {size} bytes of pages at {offset}, "
                    f"but the file ends at {end}: it was cut short", place
                )  # fmt: skip
            if cpu >= MAX_CPUS:
                raise at.error(f"there is no CPU {cpu}", place)
            found.append(Span(cpu, offset, size, offset))
        return found

    def choose_buffer(self) -> None:
        """The top buffer, or where that is empty the first instance that is not."""
        filled = [buffer for buffer in self.buffers if buffer.filled] or self.buffers[:1]
        for other in filled[1:]:
            self.recording.notes.append(f"instance {other.name!r} of the recording is not read")
        if not filled:
            raise self.at.error("the recording has no trace buffer")
        chosen = filled[0]
        self.recording.pages = sorted(chosen.pages, key=lambda span: span.cpu)
        self.recording.text = chosen.text
        highest = max((span.cpu + 1 for span in chosen.pages), default=0)
        self.recording.cpus = max(self.recording.cpus, highest)


class _Version6(_Version):
    def read(self) -> None:
        at = self.at
        self.read_header_info(at)
        for _ in range(at.number(4, "the number of ftrace formats")):
            at.skip(at.number(8, "the size of an ftrace format"), "an ftrace format")
        self.read_formats(at)
        at.skip(at.number(4, "the size of kallsyms"), "kallsyms")
        at.skip(at.number(4, "the size of the printk formats"), "the printk formats")
        self.read_cmdlines(at)
        self.recording.cpus = at.number(4, "the number of CPUs")
        instances = []
        kind = at.take(10, "the kind of the data")
        if kind.startswith(b"options"):
            instances = list(self.options(at))
            kind = at.take(10, "the kind of the data")
        self.buffers.append(self.buffer("", kind, at))
        for name, offset in instances:
            inner = Cursor(at.buffer, self.file, offset, order=at.order)
            self.buffers.append(self.buffer(name, inner.take(10, "the kind of the data"), inner))
        self.choose_buffer()

    def options(self, at: Cursor) -> Iterator[tuple[str, int]]:
        """Reads the options; yields name and offset of the instances among them."""
        while number := at.number(2, "an option"):
            size = at.number(4, "the size of an option")
            start = at.at
            option = Cursor(at.take(size, "an option"), self.file, order=at.order, base=start)
            if number == BUFFER:
                offset = option.number(8, "the offset of an instance")
                yield option.string("the name of an instance"), offset
            else:
                self.read_option(number, option)

    def buffer(self, name: str, kind: bytes, at: Cursor) -> _Buffer:
        if kind.startswith(b"latency"):
            return _Buffer(name, [], Span(0, at.at, len(at.buffer) - at.at, at.at))
        if kind != b"flyrecord\0":
            raise at.error(f"'flyrecord' or 'latency' should be here, not {kind!r}", at.at - 10)
        what = f"instance {name!r}" if name else "the recording"
        return _Buffer(name, self.spans(at, what, self.recording.cpus, numbered=False))


class _Version7(_Version):
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

    def buffer(self, number: int, at: Cursor) -> _Buffer:
        offset = at.number(8, "the offset of a buffer")
        name = at.string("the name of a buffer")
        clock = at.string("the clock of a buffer")
        body, compressed, size = self.header(number, offset)
        if number == BUFFER_TEXT:
            size = min(size, len(body.buffer) - body.at)
            return _Buffer(name, [], Span(0, body.at, size, body.at, compressed))
        self.note_clock(clock)
        page_size, count = at.number(4, "the page size"), at.number(4, "the number of CPUs")
        if page_size not in PAGE_SIZES:
            raise at.error(f"the page size {page_size} is impossible", at.at - 8)
        layout = self.recording.layout
        self.recording.layout = Layout(layout.order, layout.long_size, layout.data, page_size)
        spans = self.spans(at, f"buffer {name!r}", count, numbered=True)
        return _Buffer(
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
            size = file.tell()
            recording.buffer = (
                mmap(file.fileno(), size, access=ACCESS_READ) if size else recording.buffer
            )
        recording.pages = moved if not recording.text else []
        recording.text = moved[0] if recording.text else None

    def chunks(self, span: Span) -> Iterator[bytes]:
        if not span.size:
            return
        at = Cursor(self.recording.buffer, self.file, span.offset, order=self.at.order)
        for _ in range(at.number(4, "the number of compressed chunks")):
            yield self.piece(at)
