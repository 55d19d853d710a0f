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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from mmap import mmap
from typing import NamedTuple

import numpy as np

from rvfs.errors import TraceError
from rvfs.event import Ints

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

    ``lost`` maps a position to the number of events that were lost before it.
    """

    time: Ints
    place: Ints
    length: Ints
    lost: Mapping[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.time)


class _Fault(Exception):
    """The page is damaged at that word of its data."""

    def __init__(self, message: str, word: int):
        self.message, self.word = message, word


def _walk(
    heads: memoryview, words: memoryview, time: int, starts: list[int], times: list[int]
) -> None:
    """Go through one page's events; append the word each starts at and its time.

    ``heads`` are the words with ``type_len`` in the low 5 bits, ``words`` as they are.
    """
    at, end = 0, len(words)
    while at < end:
        head = heads[at]
        kind = head & 31
        if 0 < kind < PADDING:
            following = at + 1 + kind
            if following > end:
                raise _Fault("an event runs past the end of its page", at)
            time += head >> 5
            starts.append(at)
            times.append(time)
            at = following
            continue
        if at + 1 == end and (kind != PADDING or head >> 5):
            raise _Fault("an event is cut at the end of its page", at)
        if kind == 0:
            length = words[at + 1]
            if length < 8 or length > 4 * (end - at - 1):
                raise _Fault(f"an event has the impossible length {length}", at)
            time += head >> 5
            starts.append(at)
            times.append(time)
            at += 1 + (length + 3) // 4
        elif kind == PADDING:
            if not head >> 5:
                return
            time += head >> 5
            at += 1 + max((words[at + 1] + 3) // 4, 1)
        else:
            moved = (words[at + 1] << DELTA_BITS) + (head >> 5)
            time = time + moved if kind == TIME_EXTEND else (time & ~STAMP_MASK) | moved
            if time > MAX_TIME:
                raise _Fault(f"the time {time} ns is impossible", at)
            at += 2


class Pages:
    """The pages of one CPU, decoded a stretch at a time, in order.

    ``damage`` is the error that ends them, once it was met; events before it are delivered.
    """

    def __init__(self, buffer: mmap, layout: Layout, span: Span, file: str):
        self.span = span
        self.damage: TraceError | None = None
        self._buffer, self._layout, self._file = buffer, layout, file
        self._at, self._end = span.offset, span.offset + span.size
        self._owed = 0

    @property
    def ended(self) -> bool:
        """Whether nothing is left to decode."""
        return self._at >= self._end

    @property
    def consumed(self) -> int:
        """Bytes decoded so far."""
        return self._at - self.span.offset

    @property
    def owed(self) -> int:
        """Events lost after the last one; zero before the end."""
        return self._owed

    def decode(self) -> Events:
        """The events of the next pages."""
        pages = max(STRETCH // self._layout.page_size, 1)
        found, lost, count = [], {}, 0
        for page in self._next_pages(pages):
            if page.missed:
                self._owed += page.missed
            if len(page.time):
                if self._owed:
                    lost[count], self._owed = self._owed, 0
                found.append(page)
                count += len(page.time)
        if not found:
            empty = np.empty(0, dtype=np.int64)
            return Events(empty, empty, empty)
        time, place, length = (
            np.concatenate([page[column] for page in found]) for column in range(3)
        )
        return Events(time, place, length, lost)

    def _next_pages(self, count: int) -> "Iterator[_Page]":
        for _ in range(count):
            if self.ended:
                return
            start, self._at = self._at, self._at + self._layout.page_size
            yield self._page(start)

    def _page(self, start: int) -> "_Page":
        """One page; a fault in it ends the span, after the events before the fault."""
        layout = self._layout
        size = min(layout.page_size, self._end - start)
        if size < layout.data:
            return self._damaged("the last page is cut short", start)
        time = self._number(start, 8)
        commit = self._number(start + 8, layout.long_size)
        used = commit & COMMIT_MASK
        if time > MAX_TIME:
            return self._damaged(f"a page begins at the impossible time {time} ns", start)
        if used % 4 or used > size - layout.data:
            return self._damaged(f"a page claims {used} bytes of data", start + 8)
        page = self._events(start + layout.data, used, time)
        return page._replace(missed=self._missed(commit, start + layout.data + used, start + size))

    def _missed(self, commit: int, at: int, end: int) -> int:
        """Events lost before this page; at least one where the kernel did not count them."""
        if not commit & MISSED_EVENTS:
            return 0
        stored = commit & MISSED_STORED and at + self._layout.long_size <= end
        return max(self._number(at, self._layout.long_size), 1) if stored else 1

    def _events(self, start: int, size: int, time: int) -> "_Page":
        words = np.frombuffer(self._buffer, self._layout.order + "u4", size // 4, start)
        words = words.astype(np.uint32)
        heads = words if self._layout.order == "<" else (words << 5) | (words >> 27)
        starts: list[int] = []
        times: list[int] = []
        try:
            _walk(heads.data, words.data, time, starts, times)
        except _Fault as fault:
            self._damaged(fault.message, start + 4 * fault.word)
        at = np.array(starts, dtype=np.int64)
        kind = (heads[at] & 31).astype(np.int64)
        long = kind == 0
        place = start + 4 * at + 4 + 4 * long
        length = np.where(
            long, words[np.minimum(at + 1, len(words) - 1)].astype(np.int64) - 4, 4 * kind
        )
        return _Page(np.array(times, dtype=np.int64), place, length)

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(
            self._buffer[at : at + size], "little" if self._layout.order == "<" else "big"
        )

    def _damaged(self, message: str, at: int) -> "_Page":
        self.damage = self.span.error(message, self._file, at)
        self._end = self._at
        empty = np.empty(0, dtype=np.int64)
        return _Page(empty, empty, empty)


class _Page(NamedTuple):
    time: Ints
    place: Ints
    length: Ints
    missed: int = 0
