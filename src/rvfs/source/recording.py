"""What a ``trace.dat`` carries, and how the pieces are read that both of its versions have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import numpy as np

from rvfs.errors import InvalidInput
from rvfs.event import Ints
from rvfs.source.cursor import Cursor
from rvfs.source.file_bytes import FileBytes
from rvfs.source.format_file import EventFormat, parse_fields, parse_format
from rvfs.source.ring_buffer import Layout, Span

P = ParamSpec("P")
T = TypeVar("T")

MAGIC = b"\x17\x08\x44tracing"
ORDERS: Mapping[int, str] = {0: "<", 1: ">"}

#: Options and sections (version 7 numbers its sections by the option that points to them).
DATE, CPUSTAT, BUFFER, TRACECLOCK, OFFSET, CPUCOUNT, TSC2NSEC = 1, 2, 3, 4, 7, 8, 14
HEADER_INFO, EVENT_FORMATS, CMDLINES, BUFFER_TEXT = 16, 18, 21, 22
COMPRESSED = 1

MAX_CPUS = 1 << 13
PAGE_SIZES = range(64, (1 << 24) + 1, 4)

#: Clocks whose ticks are nanoseconds.
NS_CLOCKS = ("local", "global", "uptime", "perf", "mono", "mono_raw", "boot", "tai", "tsc2nsec")


@dataclass(frozen=True, slots=True)
class Ticks:
    """From the time in the pages to ns: ``(ticks * mult >> shift) + offset``.

    ``mult`` is 0 where the ticks are nanoseconds.
    """

    mult: int = 0
    shift: int = 0
    offset: int = 0

    def nanoseconds(self, ticks: Ints) -> Ints:
        """Of a column; in two parts, so that 64 bits do."""
        if self.mult:
            low = (ticks & 0xFFFFFFFF).astype(np.uint64) * np.uint64(self.mult)
            high = (ticks >> 32) * self.mult << (32 - self.shift)
            ticks = (low >> np.uint64(self.shift)).astype(np.int64) + high
        return ticks + self.offset if self.offset else ticks

    def last_before(self, time: int) -> int:
        """The last tick that is not later than ``time`` (ns), in 64 bits."""
        ticks = time - self.offset
        if self.mult:
            ticks = ((ticks + 1 << self.shift) - 1) // self.mult
        return min(max(ticks, -1), (1 << 63) - 1)


@dataclass(slots=True)
class Recording:
    """What ``trace.dat`` holds. ``pages`` are the spans of the CPUs in ``buffer``, ascending.

    ``text`` is set in their place where the file holds ftrace text (a latency tracer's).
    """

    buffer: FileBytes
    layout: Layout
    formats: dict[int, EventFormat] = field(default_factory=dict)
    comms: dict[int, str] = field(default_factory=dict)
    pages: list[Span] = field(default_factory=list)
    text: Span | None = None
    cpus: int = 0
    ticks: Ticks = field(default_factory=Ticks)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class TraceBuffer:
    """A trace buffer of the recording: the top one (no name) or an instance."""

    name: str
    pages: list[Span]
    text: Span | None = None

    @property
    def filled(self) -> bool:
        return self.text is not None or any(span.size for span in self.pages)


class Parts:
    """What both versions share: the pieces, once their place is known."""

    def __init__(self, recording: Recording, at: Cursor):
        self.recording, self.at = recording, at
        self.file = at.file
        self.buffers: list[TraceBuffer] = []

    def read_header_info(self, at: Cursor) -> None:
        """``header_page`` says how long the kernel's long is, and where a page's data begin."""
        at.expect(b"header_page\0")
        start = at.at
        text = self.text(at, at.number(8, "the size of header_page"), "header_page")
        fields = {field.name: field for field in self.parsed(at, start, parse_fields, text)[0]}
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
                text = self.text(at, size, f"a format of {system}")
                event = self.parsed(at, start, parse_format, text, system)
                self.recording.formats[event.number] = event

    def read_cmdlines(self, at: Cursor) -> None:
        text = self.text(at, at.number(8, "the size of the command lines"), "the command lines")
        for line in text.splitlines():
            pid, _, comm = line.partition(" ")
            if pid.isdecimal() and comm:
                self.recording.comms[int(pid)] = comm

    def parsed(
        self, at: Cursor, start: int, parse: Callable[P, T], *args: P.args, **kw: P.kwargs
    ) -> T:
        """What ``parse`` makes of a text that began at ``start``."""
        try:
            return parse(*args, **kw)
        except InvalidInput as error:
            raise at.error(str(error), start) from None

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
