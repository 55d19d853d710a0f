"""The lanes of a recording: the ring buffer pages of every CPU.

The decoder (:mod:`rvfs._decoder`) reads them where they lie in the mapped file. Here its lanes
are let go on by a stretch at a time, what they leave behind need not stay in memory, and what it
finds wrong becomes an error with its place in the file.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rvfs._decoder import Fields, Merge, pages
from rvfs.errors import TraceError
from rvfs.event import Column, Ints
from rvfs.source.file_bytes import FileBytes
from rvfs.tracepoint import Field

Words = npt.NDArray[np.uint64]

#: A lane goes on by about so many bytes at once, and all of them together by no more than that.
STRETCH, ALL = 2 << 20, 32 << 20
#: The time of what does not happen.
NEVER = (1 << 63) - 1
#: Types are 16 bits.
TYPES = 1 << 16

FAULTS: Mapping[int, str] = {
    pages.BAD_PAGE: "the last page is cut short",
    pages.BAD_TIME_STAMP: "a page begins at the impossible time {stamp} ns",
    pages.BAD_COMMIT: "a page claims {value} bytes of data",
    pages.CUT_EVENT: "an event is cut at the end of its page",
    pages.BAD_LENGTH: "an event has the impossible length {value}",
    pages.BAD_TIME: "the time {value} ns is impossible",
    pages.LONG_EVENT: "an event runs past the end of its page",
}


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


class Lanes:
    """The lanes, and the decoder that merges them. ``data`` is the mapped file.

    Raises :class:`TraceError` for what cannot be mapped.
    """

    def __init__(
        self, buffer: FileBytes, layout: Layout, spans: Sequence[Span], file: str, type_at: int
    ):
        self._buffer, self._layout, self._file = buffer, layout, file
        self._spans = [span for span in spans if span.size]
        count = len(self._spans)
        page, big = layout.page_size, layout.order == ">"
        self._room = max(min(STRETCH, ALL // max(count, 1)) // page, 1) * page
        self._mapping = buffer.mapped()
        self._torn: TraceError | None = None
        self._left = len(buffer)
        lanes = np.zeros((count + 1, pages.LANE), dtype=np.int64)
        self._state, nobody = lanes[:-1], lanes[-1]
        self._state[:, pages.POS] = self._state[:, pages.STOP] = np.arange(count) * pages.WINDOW
        nobody[pages.POS], nobody[pages.STOP] = count * pages.WINDOW, NEVER
        nobody[pages.KEY] = NEVER
        self._found = np.zeros((count + 1) * pages.WINDOW, dtype=np.int64)
        self._found[nobody[pages.POS] + pages.ORDER :: pages.FOUND] = NEVER
        starts = np.array([span.offset for span in self._spans], dtype=np.int64)
        self._state[:, pages.CPU] = [span.cpu for span in self._spans]
        self._state[:, pages.NEXT] = self._state[:, pages.FILLED] = starts
        self._ends = starts + [span.size for span in self._spans]
        self._size = int((self._ends - starts).sum())
        self._damage: list[TraceError | None] = [None] * count
        self._damaged = np.zeros(count, dtype=bool)
        self.slots = np.full(TYPES, pages.UNKNOWN, dtype=np.int32)
        self.unknown = np.zeros(TYPES, dtype=np.int64)
        heap = np.zeros(count, dtype=np.int64)
        self.data = memoryview(self._mapping)
        self.fields: Any = Fields(self.data, big)
        self.merge: Any = Merge(
            self.data, self.fields, lanes.reshape(-1), self._found,
            np.empty(pages.CHUNK + 1, dtype=np.int64), heap, self.slots, self.unknown, page,
            layout.long_size, big, type_at,
        )  # fmt: skip

    # -- bytes ---------------------------------------------------------------------------------

    def feed(self) -> int:
        """Let lanes go on that have come to the end of their stretch, and find what is pending;
        by how many bytes."""
        size, left = 0, self._buffer.left
        if self.merge.idle() or left < self._left:
            self._left = left
            for i in np.flatnonzero(self._hungry).tolist():
                size += self._go_on(i)
            beyond = self._state[:, pages.FILLED] > left
            for i in np.flatnonzero(beyond & ~self._damaged).tolist():
                self._end(i)
            self.merge.settle()
        return size

    @property
    def _idle(self) -> Any:
        """Which lanes have no event."""
        return self._state[:, pages.POS] == self._state[:, pages.STOP]

    @property
    def _hungry(self) -> Any:
        """Which lanes have no event and can have more."""
        more = (self._state[:, pages.FILLED] < self._ends) & ~self._damaged
        return self._idle & (self._state[:, pages.FAULT] == pages.FINE) & more

    def _go_on(self, i: int) -> int:
        """Let the lane have its next pages."""
        start = int(self._state[i, pages.FILLED])
        size = min(self._room, int(self._ends[i]) - start)
        self._mapping.leave(start - 4 * self._room, start)  # with what came back around the last
        self._state[i, pages.FILLED] += size
        return size

    def _end(self, i: int) -> None:
        """Let the lane end with what the file, which is shorter now, has left of it."""
        state, start, page = self._state[i], self._spans[i].offset, self._layout.page_size
        left = self._left
        self._damage[i], self._damaged[i] = self._buffer.shorter(max(left, start)), True
        state[pages.FILLED] = start + max(left - start, 0) // page * page
        if state[pages.NEXT] > left:  # amid the page that is read
            state[pages.END] = state[pages.AT]
        found = self._found[state[pages.POS] : state[pages.STOP]].reshape(-1, pages.FOUND)
        there = found[:, pages.START] + (found[:, pages.WHAT] >> 32) <= left
        stop = state[pages.STOP] = state[pages.POS] + pages.FOUND * np.count_nonzero(there)
        self._found[stop + pages.ORDER], self._found[stop + pages.WHAT] = pages.PAST, pages.ENDED

    # -- texts ---------------------------------------------------------------------------------

    def texts(self, records: Ints, field: Field, rows: slice) -> Column:
        """The characters that these rows' records have in a field, up to the first NUL."""
        wide, records = -(-field.size // 8), records[rows]
        words = np.empty(wide * len(records), dtype=np.uint64)
        self.fields.texts(records, field.offset, field.size, words)
        if sys.byteorder == "big":
            words = words.byteswap()
        return words.view(f"S{8 * wide}")

    def dynamic_texts(self, places: Words, rows: slice) -> Column:
        """The same for dynamic strings, by place and length."""
        places = places.reshape(-1, 2)[rows]
        found = np.empty(len(places), dtype=object)
        for i, (at, size) in enumerate(places.tolist()):
            found[i] = bytes(self.data[at : at + size]).partition(b"\0")[0]
        return found

    # -- what there is ---------------------------------------------------------------------------

    @property
    def hungry(self) -> bool:
        """Whether some lane may yet have the next event."""
        return bool(self.merge.idle() and self._hungry.any())

    @property
    def pending(self) -> int | None:
        """The recorded time of the next event."""
        i = self.merge.first()
        return None if i < 0 else self._next(i, pages.WHEN)

    @property
    def damage(self) -> TraceError | None:
        """The error that ends the recording here: a lane has come to where it is damaged."""
        if self._torn is not None:
            return self._torn
        if not self.merge.idle():
            return None
        faulty = self._damaged | (self._state[:, pages.FAULT] != pages.FINE)
        for i in np.flatnonzero(self._idle & faulty).tolist():
            if self._state[i, pages.FAULT] != pages.FINE:
                return self._fault(i)
            return self._damage[i]
        return None

    @property
    def torn(self) -> TraceError | None:
        """The error where the file became shorter since :meth:`feed`, so that nothing of what was
        read since is true."""
        if self._torn is None:
            place, left = self._mapping.torn, self._buffer.left
            if left < (self._left if place < 0 else len(self._buffer)):
                self._torn = self._buffer.shorter(left)
            elif place >= 0:
                self._torn = self._buffer.unreadable(place)
        return self._torn

    def _fault(self, i: int) -> TraceError:
        at, value = int(self._state[i, pages.FAULT_AT]), int(self._state[i, pages.FAULT_VALUE])
        order = "little" if self._layout.order == "<" else "big"
        stamp = int.from_bytes(self.data[at : at + 8], order)  # type: ignore[arg-type]
        message = FAULTS[int(self._state[i, pages.FAULT])].format(value=value, stamp=stamp)
        return self._spans[i].error(message, self._file, at)

    def short_record(self) -> TraceError:
        """The error for the record that the decoder found too short for what is wanted of it."""
        i = int(self.merge.lane)
        message = "a record is shorter than its fields"
        return self._spans[i].error(message, self._file, self._next(i, pages.START))

    def _next(self, i: int, what: int) -> int:
        """What was found of the lane's next event."""
        return int(self._found[self._state[i, pages.POS] + what])

    @property
    def done(self) -> float:
        """How much of the pages was let be read, from 0 to 1."""
        return 1 - float((self._ends - self._state[:, pages.FILLED]).sum()) / max(self._size, 1)

    @property
    def lost(self) -> dict[int, int]:
        """Events lost before the first event of the batch, by CPU."""
        return {self._cpu(self.merge.lane): self.merge.lost} if self.merge.lost else {}

    def take_owed(self) -> dict[int, int]:
        """Events lost after the last one, by CPU; they are told once."""
        owed = self._state[:, pages.OWED]
        found = {self._cpu(i): int(owed[i]) for i in np.flatnonzero(owed).tolist()}
        owed[:] = 0
        return found

    @property
    def uncounted(self) -> set[int]:
        """CPUs that lost events whose number the kernel did not store."""
        if not self.merge.uncounted:
            return set()
        return {self._cpu(i) for i in np.flatnonzero(self._state[:, pages.UNCOUNTED]).tolist()}

    def _cpu(self, i: int) -> int:
        return self._spans[i].cpu
