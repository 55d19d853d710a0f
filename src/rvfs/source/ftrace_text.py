"""Reads ftrace text: ``trace``, ``trace_pipe`` and ``trace-cmd report``, also with ``-R``.

A line is an event when it has a head: task, CPU in brackets (or followed by the flags, as in
the latency format), time and a colon; the columns for TGID and flags may be there or not
(print_trace_line in kernel/trace/trace.c, tep_print_event in libtraceevent). What else may
stand in such a text is the table :data:`OTHER_LINES`; any other line is damage, except the
further lines of an event that holds free text. A last line without its newline is not
judged: a number in it may be cut.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rvfs.errors import TraceError
from rvfs.event import IDLE_PID, Batch, Ints
from rvfs.source import Wanted
from rvfs.source.event_text import BodyReader, Unreadable
from rvfs.source.file_bytes import FileBytes
from rvfs.source.reader import Stretch, StretchReader
from rvfs.source.ring_buffer import Span
from rvfs.tracepoint import Vocabulary

#: Text is read in blocks of this size; no line is as long as one.
BLOCK = 256 * 1024

_LINE = re.compile(
    rb"^(?:[ \t]*([^\n]{1,32}?)-(\d{1,10}) +"  # task and pid
    rb"(?:\([ \d-]*\) +)?"  # TGID
    rb"\[?(\d{1,5})\]?"  # CPU
    rb"(?: *[^\s\d\[\]][^\s]{2,11})? +"  # flags
    rb"([0-8]?\d{1,9}(?=\.)|\d{1,15}(?=us)|\d{1,18}(?= *:))"  # time, less than 63 bits of ns
    rb"(?:\.(\d{6,9}))?(us[^\s:]?)? *: +"
    rb"(?:([\w.]+):[ \t]*)?([^\n]*)"  # event and its text
    rb"|([^\n]*))\n",
    re.MULTILINE,
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
_IDLE = str(IDLE_PID).encode()


@dataclass(slots=True)
class Block(Stretch):
    """The events of some lines: columns of their text, and the line each stands in.

    ``start`` is where the block begins in the buffer; lines count from there, from 0.
    """

    start: int = 0
    lines: Sequence[int] = ()
    cpu: Sequence[bytes] = ()
    pid: Sequence[bytes] = ()
    comm: Sequence[bytes] = ()
    event: Sequence[bytes] = ()
    text: Sequence[bytes] = ()


class TextReader(StretchReader[Block]):
    """The events of ftrace text, in the order of its lines.

    ``span`` is where the text lies in the buffer; ``comms`` are names of tasks known already.
    Raises :class:`TraceError` for what is no ftrace text from its first line on.
    """

    def __init__(
        self,
        buffer: FileBytes,
        span: Span,
        file: str,
        vocabulary: Vocabulary,
        comms: Mapping[int, str],
    ):
        super().__init__()
        self._buffer, self._file, self._span = buffer, file, span
        self._next, self._end = span.offset, span.offset + span.size
        self._comms = dict(comms)
        self._vocabulary = vocabulary
        self._readers: dict[int, BodyReader] = {}
        self._numbers: dict[bytes, int] = {}
        self._damage: TraceError | None = None
        self._last: int | None = None
        self._cpus: set[int] = set()
        self._jumps = 0
        self._seen = self._free = False
        self._read_header(buffer[self._next : min(self._next + BLOCK, self._end)])
        self._pending()
        if self._damage is not None and not self._seen:
            raise self._damage

    def subscribe(self, wanted: Wanted) -> None:
        """A line does not name the system; of two tracepoints of one name the first is meant."""
        super().subscribe(wanted)
        known = {number: tracepoint for number, tracepoint in self._vocabulary if number in wanted}
        self._readers = {n: BodyReader(t, wanted[n]) for n, t in known.items()}
        self._numbers = {known[n].name.encode(): n for n in reversed(known)}

    def close(self) -> None:
        super().close()
        self._next = self._end
        self._buffer.close()

    def _read_header(self, head: bytes) -> None:
        if _GRAPH.match(head):
            raise self._error("function graph text has neither task nor time in its lines", 0)
        cpus = _CPUS.search(head)
        if cpus is not None:
            self.cpus = int(cpus[1] or cpus[2])
        else:
            self.cpus = 1 + max((int(row[2]) for row in _LINE.findall(head) if row[2]), default=0)
        written = _WRITTEN.search(head)
        if written is not None and int(written[2]) > int(written[1]):
            count = int(written[2]) - int(written[1])
            self.notes.append(f"the kernel overwrote {count} events before this text was read")

    def _load(self) -> Block | None:
        if self._damage is not None:
            raise self._damage
        if self._next >= self._end:
            self._note_jumps()
            return None
        start, stop = self._next, min(self._next + BLOCK, self._end)
        data = self._buffer.there(start, stop)
        size = data.rfind(b"\n") + 1
        if len(data) < stop - start:
            self._damage = self._buffer.shorter(start + len(data))
            return self._parse(data[:size], start)
        self._next += size or len(data)
        self.done = (self._next - self._span.offset) / self._span.size
        return self._parse(data[:size], start) if size else self._rest(data, start)

    def _note_jumps(self) -> None:
        if self._jumps > 1:
            self.notes.append(f"time goes back {self._jumps} times in all")
        self._jumps = 0

    def _rest(self, data: bytes, start: int) -> Block:
        """What has no newline: the cut last line, or something that is no text."""
        if len(data) == BLOCK or not self._seen:
            raise self._line_error(start, 0, _what(data))
        self.notes.append("the last line has no newline: it is not judged, but counted as lost")
        row = _LINE.match(data + b"\n")
        cpu = int(row[3]) if row and row[3] else 0
        return Block(np.empty(0, dtype=np.int64), {0: {cpu: 1}})

    def _parse(self, data: bytes, start: int) -> Block:
        """The events of these whole lines, up to one that is none and should be."""
        rows = _LINE.findall(data)
        lines = [index for index, row in enumerate(rows) if row[2]]
        lost: dict[int, dict[int, int]] = {}
        if len(lines) < len(rows):
            lines = lines[: self._others(rows, lost, start)]
        if not lines:
            return Block(np.empty(0, dtype=np.int64), lost)
        self._seen, self._free = True, rows[lines[-1]][6] in FREE_TEXT
        comm, pid, cpu, seconds, fraction, unit, event, text, _ = zip(
            *(rows[index] for index in lines), strict=True
        )
        times = _nanoseconds(seconds, fraction, unit)
        self._find_jumps(times, set(map(int, set(cpu))), lost, start, lines)
        return Block(times, lost, start, lines, cpu, pid, comm, event, text)

    def _find_jumps(
        self, times: Ints, cpus: set[int], lost: dict[int, dict[int, int]], start: int,
        lines: Sequence[int],
    ) -> None:  # fmt: skip
        """Where time goes back another recording begins: a gap on every CPU seen so far."""
        before = np.concatenate([times[:1] if self._last is None else [self._last], times[:-1]])
        self._last, self._cpus = int(times[-1]), self._cpus | cpus
        for event in np.flatnonzero(times < before).tolist():
            lost[event] = dict.fromkeys(self._cpus, 1) | lost.get(event, {})
            self.uncounted |= self._cpus
            if not self._jumps:
                line = self._line_number(self._place(start, lines[event]))
                back = (int(before[event]) - int(times[event])) / 1e9
                self.notes.append(f"line {line}: time goes back by {back:.6f} s: {JUMP}")
            self._jumps += 1

    def _others(
        self, rows: list[tuple[bytes, ...]], lost: dict[int, dict[int, int]], start: int
    ) -> int:
        """Look at the lines that are no events; how many events stand before the damage, if any."""
        events = 0
        for index, row in enumerate(rows):
            if row[2]:
                events += 1
                self._seen, self._free = True, row[6] in FREE_TEXT
                continue
            gap = _LOST.match(row[8])
            if gap is not None:
                cpu, here = int(gap[1] or gap[3]), lost.setdefault(events, {})
                here[cpu] = here.get(cpu, 0) + int(gap[2] or 1)
                self.uncounted |= set() if gap[2] else {cpu}
            elif not (OTHER_LINES.match(row[8]) or self._free):
                self._damage = self._line_error(start, index, _what(row[8]))
                break
        return events

    def _project(
        self, stretch: Block, start: int, stop: int, lost: Mapping[int, int]
    ) -> tuple[Batch, int]:
        part = slice(start, stop)
        numbers = self._numbers
        all_tp = np.array([numbers.get(name, 0) for name in stretch.event[part]], dtype=np.int64)
        rows = np.flatnonzero(all_tp)
        tp, wanted = all_tp[rows], rows.tolist()
        text, fields = stretch.text[part], {}
        for number, reader in self._readers.items():
            mine = rows[tp == number].tolist()
            try:
                fields[number] = reader.columns([text[row] for row in mine])
            except Unreadable as fault:
                bad = mine[fault.position]
                if bad:
                    return self._project(stretch, start, start + bad, lost)
                raise self._unreadable(stretch, start, number) from None
        pid, cpu, comm = (
            [column[row] for row in wanted]
            for column in (stretch.pid[part], stretch.cpu[part], stretch.comm[part])
        )
        self._learn(pid, comm)
        return Batch(
            tp, stretch.time[part][rows], _integers(cpu), _integers(pid), fields, self._comms, lost
        ), stop

    def _learn(self, pids: Sequence[bytes], comms: Sequence[bytes]) -> None:
        """Keep the names of tasks; ``<...>`` is none, and each CPU has its own idle task."""
        for pid, comm in dict(zip(pids, comms, strict=True)).items():
            if comm != b"<...>" and pid != _IDLE:
                self._comms[int(pid)] = comm.decode("utf-8", "replace")

    def _unreadable(self, block: Block, row: int, number: int) -> TraceError:
        wanted = ", ".join(sorted(self._wanted[number]))
        message = (
            f"is no {self._vocabulary[number].full_name} with {wanted}: {_quoted(block.text[row])}"
        )
        return self._line_error(block.start, block.lines[row], message)

    def _line_error(self, start: int, line: int, message: str) -> TraceError:
        """A fault in a line of the block that begins at ``start``."""
        at = self._place(start, line)
        if not self._seen:
            message = f"not an ftrace text: line {self._line_number(at)} {message}"
        else:
            message = f"line {self._line_number(at)} {message}"
        return self._error(message, at - self._span.offset)

    def _place(self, start: int, line: int) -> int:
        """Where that line of the block that begins at ``start`` begins."""
        data = self._buffer[start : min(start + BLOCK, self._end)] if line else b""
        return start + sum(len(each) + 1 for each in data.split(b"\n")[:line])

    def _line_number(self, at: int) -> int:
        """Counted from 1, a block at a time: a recording may be larger than the memory."""
        places = range(self._span.offset, at, BLOCK)
        return 1 + sum(
            self._buffer[place : min(place + BLOCK, at)].count(b"\n") for place in places
        )

    def _error(self, message: str, at: int) -> TraceError:
        return TraceError(message, file=self._file, offset=self._span.source + at)


def _what(line: bytes) -> str:
    return f"is no event: {_quoted(line)}"


def _quoted(line: bytes) -> str:
    """The start of a line, for a message."""
    text = repr(line[:60].decode("utf-8", "replace"))
    return text + "…" if len(line) > 60 else text


def _integers(texts: Sequence[bytes]) -> Ints:
    return np.array(list(map(int, texts)), dtype=np.int64)


def _nanoseconds(
    seconds: Sequence[bytes], fractions: Sequence[bytes], units: Sequence[bytes]
) -> Ints:
    """Times as the text has them: ``4808.908091`` s, ``4808.908090837`` s, ``12us``, ``117``.

    A number without a point and unit is the tick of a clock that is not in seconds.
    """
    decimals = set(map(len, fractions))
    if decimals == {6}:
        return _integers(seconds) * 1_000_000_000 + _integers(fractions) * 1000
    return np.array(
        [
            int(whole) * 10**9 + int(part) * 10 ** (9 - len(part)) if part
            else int(whole) * (1000 if unit else 1)
            for whole, part, unit in zip(seconds, fractions, units, strict=True)
        ],
        dtype=np.int64,
    )  # fmt: skip
