"""The lines of an ftrace text, a block at a time: which are events, and what the others say.

A line is an event when it has a head: task, CPU in brackets (or followed by the flags, as in
the latency format), time and a colon; the columns for TGID and flags may be there or not
(print_trace_line in kernel/trace/trace.c, tep_print_event in libtraceevent). What else may
stand in such a text is the table :data:`OTHER_LINES`; any other line is damage, except the
further lines of an event that holds free text. A last line without its newline is not
judged: a number in it may be cut.

The decoder finds the heads as they mostly are; :data:`_LINE` says what a head is, and reads
those that the decoder left.
"""

import re
from dataclasses import dataclass

import numpy as np

from rvfs._decoder import Lines, lines
from rvfs.errors import TraceError
from rvfs.event import Ints
from rvfs.source.file_bytes import FileBytes
from rvfs.source.reader import Stretch
from rvfs.source.ring_buffer import Span

#: Text is read in blocks of this size, and of this many lines at most; no line is as long as one.
BLOCK = 1024 * 1024
MOST_LINES = BLOCK // 64
#: A CPU has 5 digits at most.
MAX_CPUS = 10**5

_LINE = re.compile(
    rb"[ \t]*([^\n]{1,32}?)-(\d{1,10}) +"  # task and pid
    rb"(?:\([ \d-]*\) +)?"  # TGID
    rb"\[?(\d{1,5})\]?"  # CPU
    rb"(?: *([^\s\d\[\]][^\s]{2,11}))? +"  # flags
    rb"([0-8]?\d{1,9}(?=\.)|\d{1,15}(?=us)|\d{1,18}(?= *:))"  # time, less than 63 bits of ns
    rb"(?:\.(\d{6,9}))?(us[^\s:]?)? *: +"
    rb"(?:([\w.]+):[ \t]*)?([^\n]*)\n"  # event and its text
)

#: Events whose text may go on in further lines.
FREE_TEXT = frozenset({b"tracing_mark_write", b"print", b"bprint", b"bputs"})

#: Lines that tell of lost events: of the kernel, of trace-cmd, and the kernel's where a CPU's
#: first event stands because what was before it has been overwritten.
_LOST = re.compile(
    rb"CPU:(\d{1,5}) \[(?:LOST )?(?:(\d{1,18}) )?EVENTS(?: DROPPED)?\]\s*$"
    rb"|##### CPU (\d{1,5}) buffer started ####\s*$"
)
#: Lines that may stand between events: comments, trace-cmd's own, stack traces.
OTHER_LINES = re.compile(
    rb"\s*$|#|cpus=\d|version = \d|CPU \d+ is empty|\s*=> |\s*<(?:user )?stack trace"
)
#: What follows from a time that goes back; two recordings in one text are the usual reason.
JUMP = "what follows is taken for another recording, nothing is judged across"
_GRAPH = re.compile(rb"# tracer: \w*graph")
_CPUS = re.compile(rb"#P:(\d{1,5})|^cpus=(\d{1,5})$", re.MULTILINE)
_WRITTEN = re.compile(rb"^# entries-in-buffer/entries-written: (\d{1,18})/(\d{1,18})", re.MULTILINE)


@dataclass(slots=True, kw_only=True)
class Block(Stretch):
    """The events of some lines, which begin at ``start`` of the buffer and are in ``data``.

    ``heads`` has a row per event, and may have more; its columns are those of ``lines``, a
    decoder of :mod:`rvfs._decoder` for these lines.
    """

    start: int
    data: memoryview
    heads: Ints
    lines: Lines

    def text(self, event: int, what: int) -> bytes:
        """Name of the task or event, or text: ``what`` is the column with its place."""
        at, end = self.heads[event, what : what + 2].tolist()
        return bytes(self.data[at:end])


def no_events(start: int, lost: dict[int, dict[int, int]]) -> Block:
    """Nothing, but for what was lost."""
    heads, data = np.empty((0, lines.HEAD), dtype=np.int64), memoryview(b"\n" * lines.BEYOND)
    decoder = Lines(data, 0)
    decoder.use(heads.reshape(-1).data)
    return Block(heads[:, lines.TIME], lost, start=start, data=data, heads=heads, lines=decoder)


class Blocks:
    """An ftrace text, from its start to its end.

    ``notes``, ``uncounted``, ``cpus`` and ``done`` as a reader has them. Raises
    :class:`TraceError` for function graph text.
    """

    def __init__(self, buffer: FileBytes, span: Span, file: str):
        self._buffer, self._file, self._span = buffer, file, span
        self._next, self._end = span.offset, span.offset + span.size
        self.notes: list[str] = []
        self.uncounted: set[int] = set()
        self.done = 0.0
        self.seen = False
        self.damage: TraceError | None = None
        self._free = False
        self._last: int | None = None
        self._cpus = np.zeros(MAX_CPUS, dtype=np.uint8)
        self._jumps = 0
        self.cpus = self._read_header()

    def _read_header(self) -> int:
        data, size, whole = self._read()
        if not whole:
            raise self._buffer.shorter(self._next + size)
        head = bytes(data[:size])
        if _GRAPH.match(head):
            raise self._error("function graph text has neither task nor time in its lines", 0)
        written = _WRITTEN.search(head)
        if written is not None and int(written[2]) > int(written[1]):
            count = int(written[2]) - int(written[1])
            self.notes.append(f"the kernel overwrote {count} events before this text was read")
        cpus = _CPUS.search(head)
        if cpus is not None:
            return int(cpus[1] or cpus[2])
        scan = _scan(data, size, head.count(b"\n"))
        return 1 + int(scan.heads[: scan.count, lines.CPU].max(initial=0))

    def next(self) -> Block | None:
        """The next lines; None at the end. Raises :class:`TraceError` at the damage."""
        if self.damage is not None:
            raise self.damage
        if self._next >= self._end:
            self._note_jumps()
            return None
        start = self._next
        data, size, whole = self._read()
        scan = _scan(data, size, MOST_LINES)
        if not (whole or scan.full):
            self.damage = self._buffer.shorter(start + size)
            return self._parse(data, start, scan)
        self._next += scan.size or size
        self.done = (self._next - self._span.offset) / self._span.size
        return (
            self._parse(data, start, scan) if scan.size else self._rest(bytes(data[:size]), start)
        )

    def _read(self) -> tuple[memoryview, int, bool]:
        """The next bytes, with what the decoder wants behind them; how many, and if those are all
        that there should be."""
        start, stop = self._next, min(self._next + BLOCK, self._end)
        data = np.empty(stop - start + lines.BEYOND, dtype=np.uint8).data
        size = self._buffer.read_into(data[: stop - start], start)
        data[size : size + lines.BEYOND] = b"\n" * lines.BEYOND
        return data, size, size == stop - start

    def end(self) -> None:
        """Read no further."""
        self._next = self._end

    def _note_jumps(self) -> None:
        if self._jumps > 1:
            self.notes.append(f"time goes back {self._jumps} times in all")
        self._jumps = 0

    def _rest(self, data: bytes, start: int) -> Block:
        """What has no newline: the cut last line, or something that is no text."""
        if len(data) == BLOCK or not self.seen:
            raise self.line_error(start, _what(data))
        self.notes.append("the last line has no newline: it is not judged, but counted as lost")
        match = _LINE.match(data + b"\n")
        return no_events(start, {0: {int(match[3]) if match else 0: 1}})

    def _parse(self, data: memoryview, start: int, scan: "_Scan") -> Block:
        """The events of whole lines, up to one that is none and should be."""
        heads, times = scan.heads, scan.heads[:, lines.TIME]
        block = Block(times[: scan.count], start=start, data=data, heads=heads, lines=scan.decoder)
        if scan.others:
            block.time = times[: self._read_others(block, scan.others)]
        if len(block):
            self.seen = True
            self._free = block.text(len(block) - 1, lines.EVENT) in FREE_TEXT
            self._find_jumps(block)
        return block

    def _read_others(self, block: Block, others: "list[_Other]") -> int:
        """Look at the lines that are no events; how many events stand before the damage, if any."""
        for start, line, before in others:
            if before:
                self.seen = True
                self._free = block.text(before - 1, lines.EVENT) in FREE_TEXT
            gap = _LOST.match(line)
            if gap is not None:
                cpu, here = int(gap[1] or gap[3]), block.lost.setdefault(before, {})
                here[cpu] = here.get(cpu, 0) + int(gap[2] or 1)
                self.uncounted |= set() if gap[2] else {cpu}
            elif not (OTHER_LINES.match(line) or self._free):
                self.damage = self.line_error(block.start + start, _what(line))
                return before
        return len(block)

    def _find_jumps(self, block: Block) -> None:
        """Where time goes back another recording begins: a gap on every CPU seen so far."""
        times = block.time
        last = int(times[0]) if self._last is None else self._last
        found = np.empty(len(block), dtype=np.int64)
        jumps = block.lines.jumps(len(block), last, self._cpus.data, found.data)
        for event in found[:jumps].tolist():
            cpus = np.flatnonzero(self._cpus).tolist()
            block.lost[event] = dict.fromkeys(cpus, 1) | block.lost.get(event, {})
            self.uncounted.update(cpus)
            if not self._jumps:
                line = self._line_number(block.start + int(block.heads[event, lines.LINE]))
                back = ((int(times[event - 1]) if event else last) - int(times[event])) / 1e9
                self.notes.append(f"line {line}: time goes back by {back:.6f} s: {JUMP}")
            self._jumps += 1
        self._last = int(times[-1])

    def line_error(self, at: int, message: str) -> TraceError:
        """A fault in the line that begins there in the buffer."""
        if not self.seen:
            message = f"not an ftrace text: line {self._line_number(at)} {message}"
        else:
            message = f"line {self._line_number(at)} {message}"
        return self._error(message, at - self._span.offset)

    def _line_number(self, at: int) -> int:
        """Counted from 1, a block at a time: a recording may be larger than the memory."""
        places = range(self._span.offset, at, BLOCK)
        return 1 + sum(
            self._buffer[place : min(place + BLOCK, at)].count(b"\n") for place in places
        )

    def _error(self, message: str, at: int) -> TraceError:
        return TraceError(message, file=self._file, offset=self._span.source + at)


#: A line that is no event: where it begins, what it says, how many events stand before it.
_Other = tuple[int, bytes, int]


@dataclass(frozen=True, slots=True)
class _Scan:
    """The heads of ``count`` events, and the other lines, of whole lines: ``size`` bytes, and
    ``full`` if they are as many as can be."""

    decoder: Lines
    heads: Ints
    count: int
    others: list[_Other]
    size: int
    full: bool


def _scan(data: memoryview, size: int, most: int) -> _Scan:
    """What is in the first ``size`` bytes, ``most`` lines at most."""
    heads = np.empty((most, lines.HEAD), dtype=np.int64)
    left = np.empty(3 * most, dtype=np.int64)
    decoder = Lines(data, size)
    decoder.read(heads.reshape(-1).data, left.data)
    others: list[_Other] = []
    late: list[tuple[int, list[int]]] = []
    for start, end, before in left[: 3 * decoder.left].reshape(-1, 3).tolist():
        match = _LINE.match(data, start)
        if match is None:
            others.append((start, bytes(data[start:end]), before + len(late)))
        else:
            late.append((before, _head(match)))
    if late:
        rows = np.array([head for _, head in late], dtype=np.int64)
        heads = np.insert(heads[: decoder.count], [before for before, _ in late], rows, axis=0)
        decoder.use(heads.reshape(-1).data)
    full = decoder.count + decoder.left == most
    return _Scan(decoder, heads, decoder.count + len(late), others, decoder.at, full)


def _head(match: re.Match[bytes]) -> list[int]:
    """What the decoder would have made of the line."""
    span = {group: match.span(group) if match[group] is not None else (0, 0) for group in (4, 8)}
    time = _nanoseconds(match[5], match[6], match[7])
    return [
        match.start(), *match.span(1), int(match[2]), int(match[3]), time, *span[4], *span[8],
        *match.span(9),
    ]  # fmt: skip


def _nanoseconds(whole: bytes, part: bytes | None, unit: bytes | None) -> int:
    """Times as the text has them: ``4808.908091`` s, ``4808.908090837`` s, ``12us``, ``117``.

    A number without a point and unit is the tick of a clock that is not in seconds.
    """
    if part:
        return int(whole) * 10**9 + int(part.ljust(9, b"0"))
    return int(whole) * (1000 if unit else 1)


def _what(line: bytes) -> str:
    return f"is no event: {quoted(line)}"


def quoted(line: bytes) -> str:
    """The start of a line, for a message."""
    text = repr(line[:60].decode("utf-8", "replace"))
    return text + "…" if len(line) > 60 else text
