"""Decodes pages of the kernel's ring buffer: where each event is, and when.

A page is a time stamp (8 bytes), a commit word (a ``long`` of the machine: bytes used, and
the flags below), then events. An event starts with a 32-bit word of 5 bits ``type_len`` and
27 bits time delta, low bits first on little-endian machines, high bits first on others::

    type_len   meaning                      length
    1 .. 28    data of 4 * type_len bytes
    0          data                         next word, which it includes
    29         padding, or a discarded event  next word; with no time delta: to the end of the page
    30         time extend                  the next word is the delta's higher part
    31         absolute time stamp          the next word is its higher part

(include/linux/ring_buffer.h, kernel/trace/ring_buffer.c; ``header_page`` and ``header_event``
of the recording.)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rvfs.errors import TraceError
from rvfs.event import Ints
from rvfs.source.file_bytes import FileBytes

PADDING, TIME_EXTEND, TIME_STAMP = 29, 30, 31
DELTA_BITS = 27
#: A time stamp event has 59 bits; the others come from the time before it.
STAMP_MASK = (1 << 59) - 1
#: Beyond that a time can only be damage; what deltas add on one page cannot overflow 63 bits.
MAX_TIME = 1 << 62

#: Of the commit word.
COMMIT_MASK = (1 << 27) - 1
MISSED_EVENTS = 1 << 31
MISSED_STORED = 1 << 30

#: Pages are decoded in stretches of about this many bytes.
STRETCH = 128 * 1024


Words = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the recorded machine lays out a page: byte order ``<`` or ``>``, sizes in bytes."""

    order: str
    long_size: int
    data: int
    page_size: int


@dataclass(frozen=True, slots=True)
class Span:
    """The pages of one CPU: ``size`` bytes at ``offset`` of a buffer.

    ``source`` is where they lie in the file: the same offset, or that of the compressed data.
    """

    cpu: int
    offset: int
    size: int
    source: int
    compressed: bool = False

    def error(self, message: str, file: str, at: int) -> TraceError:
        """A fault at position ``at`` of the buffer, told as a place in the file."""
        message = f"CPU {self.cpu}: {message}"
        if not self.compressed:
            return TraceError(message, file=file, offset=self.source + at - self.offset)
        message += f" (at byte {at - self.offset} of the decompressed pages)"
        return TraceError(message, file=file, offset=self.source)


@dataclass(frozen=True, slots=True)
class Events:
    """Events of one CPU in the order of the buffer: time, place and length of each record.

    ``data`` are the pages that they are from, which begin at ``start`` of the buffer; ``lost``
    maps a position to the number of events that were lost before it.
    """

    time: Ints
    place: Ints
    length: Ints
    data: bytes = b""
    start: int = 0
    lost: Mapping[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.time)

    @property
    def records(self) -> tuple[int, bytes]:
        """Where the first record begins in the buffer, and the bytes from there to the last."""
        first, behind = int(self.place[0]), int(self.place[-1] + self.length[-1])
        return first, self.data[first - self.start : behind - self.start]


class _Fault(Exception):
    """The page is damaged at that word of its data."""

    def __init__(self, message: str, word: int):
        self.message, self.word = message, word


def _walk(
    heads: memoryview, words: memoryview, at: int, end: int, time: int,
    starts: list[int], times: list[int],
) -> None:  # fmt: skip
    """Go through one page's events; append the word each starts at and its time.

    ``heads`` are the words with ``type_len`` in the low 5 bits, ``words`` as they are;
    the events are those of the words from ``at`` to ``end``.
    """
    while at < end:
        head = heads[at]
        kind = head & 31
        if 0 < kind < PADDING:
            time += head >> 5
            starts.append(at)
            times.append(time)
            at += kind + 1
            continue
        if kind == PADDING and not head >> 5:
            return
        if at + 1 == end:
            raise _Fault("an event is cut at the end of its page", at)
        following = words[at + 1]
        if kind == 0:
            if following < 8:
                raise _Fault(f"an event has the impossible length {following}", at)
            time += head >> 5
            starts.append(at)
            times.append(time)
            at += 1 + (following + 3) // 4
        elif kind == PADDING:
            time += head >> 5
            at += 1 + max((following + 3) // 4, 1)
        else:
            moved = (following << DELTA_BITS) + (head >> 5)
            time = time + moved if kind == TIME_EXTEND else (time & ~STAMP_MASK) | moved
            if time > MAX_TIME:
                raise _Fault(f"the time {time} ns is impossible", at)
            at += 2
    if at > end:
        if starts and kind < PADDING:
            at = starts.pop()
            times.pop()
        raise _Fault("an event runs past the end of its page", min(at, end - 1))


@dataclass(slots=True)
class _Stretch:
    """Some pages, word by word, and the events found in them so far."""

    heads: memoryview
    words: memoryview
    starts: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    lost: dict[int, int] = field(default_factory=dict)


class Pages:
    """The pages of one CPU, decoded a stretch at a time, in order.

    ``damage`` is the error that ends them, once it was met; events before it are delivered.
    ``owed`` counts events lost after the last one.
    """

    def __init__(self, buffer: FileBytes, layout: Layout, span: Span, file: str):
        self.span = span
        self.damage: TraceError | None = None
        self.owed = 0
        self._buffer, self._layout, self._file = buffer, layout, file
        self._at, self._end = span.offset, span.offset + span.size

    @property
    def ended(self) -> bool:
        """Whether nothing is left to decode."""
        return self._at >= self._end

    @property
    def consumed(self) -> int:
        """Bytes decoded so far."""
        return self._at - self.span.offset

    def decode(self) -> Events:
        """The events of the next pages."""
        layout, start = self._layout, self._at
        count = max(STRETCH // layout.page_size, 1) * layout.page_size
        data = self._take(min(count, self._end - start))
        size = len(data)
        words = np.frombuffer(data, layout.order + "u4", size // 4).astype(np.uint32)
        heads = words if layout.order == "<" else words << np.uint32(5) | words >> np.uint32(27)
        stretch = _Stretch(heads.data, words.data)
        self._at += size
        for page in range(0, size, layout.page_size):
            try:
                self._page(stretch, page // 4, min(page + layout.page_size, size) // 4)
            except _Fault as fault:
                self.damage = self.span.error(fault.message, self._file, start + 4 * fault.word)
                self._at = self._end = start + page
                break
        return _events(stretch, data, start, heads, words)

    def _take(self, size: int) -> bytes:
        """The next pages; those that are left where the file has become shorter."""
        data = self._buffer.there(self._at, self._at + size)
        if len(data) < size:
            self.damage = self._buffer.shorter(self._at + len(data))
            data = data[: len(data) // self._layout.page_size * self._layout.page_size]
            self._end = self._at + len(data)
        return data

    def _page(self, stretch: _Stretch, at: int, end: int) -> None:
        """Find the events of the page in these words."""
        words, data = stretch.words, at + self._layout.data // 4
        if data > end:
            raise _Fault("the last page is cut short", at)
        time = self._number(words, at, 8)
        commit = self._number(words, at + 2, self._layout.long_size)
        used = commit & COMMIT_MASK
        if time > MAX_TIME:
            raise _Fault(f"a page begins at the impossible time {time} ns", at)
        if used % 4 or data + used // 4 > end:
            raise _Fault(f"a page claims {used} bytes of data", at + 2)
        if commit & MISSED_EVENTS:
            self.owed += self._missed(words, commit, data + used // 4, end)
        known, last = len(stretch.starts), data + used // 4
        try:
            _walk(stretch.heads, words, data, last, time, stretch.starts, stretch.times)
        finally:
            if self.owed and len(stretch.starts) > known:
                stretch.lost[known], self.owed = self.owed, 0

    def _missed(self, words: memoryview, commit: int, at: int, end: int) -> int:
        """Events lost before this page; one at least where the kernel did not count them."""
        stored = commit & MISSED_STORED and at + self._layout.long_size // 4 <= end
        return max(self._number(words, at, self._layout.long_size), 1) if stored else 1

    def _number(self, words: memoryview, at: int, size: int) -> int:
        """4 or 8 bytes; the higher word is the second one on little-endian machines."""
        if size == 4:
            return int(words[at])
        low, high = (at, at + 1) if self._layout.order == "<" else (at + 1, at)
        return int(words[high]) << 32 | int(words[low])


def _events(stretch: _Stretch, data: bytes, start: int, heads: Words, words: Words) -> Events:
    """Place and length of the records, for all pages at once."""
    at = np.array(stretch.starts, dtype=np.int64)
    kind = (heads[at] & 31).astype(np.int64)
    long = kind == 0
    length = np.where(long, words[np.where(long, at + 1, at)].astype(np.int64) - 4, 4 * kind)
    times = np.array(stretch.times, dtype=np.int64)
    return Events(times, start + 4 * at + 4 + 4 * long, length, data, start, stretch.lost)
