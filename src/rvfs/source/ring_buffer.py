"""The lanes of a recording: the ring buffer pages of every CPU, a stretch of each in memory.

The decoder (:mod:`rvfs._decoder`) knows only the arena, in which each lane has its part;
here its parts are filled from the file, and what it finds wrong becomes an error with its
place in the file.
"""

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rvfs._decoder import Merge, pages
from rvfs.errors import TraceError
from rvfs.source.file_bytes import FileBytes

#: A lane has about this many bytes in memory, and all of them together no more than that.
STRETCH, ARENA = 256 * 1024, 32 << 20
#: More memory than that no recording gets: its pages or its CPUs are impossible.
MAX_ARENA = 4 << 30
#: What a text may be read beyond its end.
BEHIND = 8
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


#: Whether this machine has the lowest byte of a number first, and reads it from any address; what
#: is interpreted does not.
SWIFT = platform.machine() in ("x86_64", "aarch64") and sys.byteorder == "little"


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


def _at_each_byte(data: npt.NDArray[np.uint8], kind: str) -> memoryview:
    """The numbers of this kind that begin at each byte."""
    count = len(data) - np.dtype(kind).itemsize + 1
    return np.ndarray((count,), dtype=kind, buffer=data, strides=(1,)).data


@dataclass(slots=True)
class _Lane:
    """A CPU's part of the arena (from ``base``), and what it holds of the file (from ``start``)."""

    span: Span
    base: int
    start: int
    damage: TraceError | None = None

    @property
    def end(self) -> int:
        return self.span.offset + self.span.size


class Lanes:
    """The lanes, and the decoder that merges them.

    ``data`` is the arena. Raises :class:`TraceError` for pages that no memory could hold.
    """

    def __init__(
        self, buffer: FileBytes, layout: Layout, spans: Sequence[Span], file: str, type_at: int
    ):
        self._buffer, self._layout, self._file = buffer, layout, file
        spans = [span for span in spans if span.size]
        page = layout.page_size
        self._room = max(min(STRETCH, ARENA // max(len(spans), 1)) // page, 1) * page
        size = self._room * len(spans)
        if size > MAX_ARENA:
            raise TraceError(f"pages of {page} bytes on {len(spans)} CPUs: impossible", file=file)
        self.data = np.empty(size + BEHIND, dtype=np.uint8)
        self._lanes = [_Lane(s, i * self._room, s.offset) for i, s in enumerate(spans)]
        self._state = np.zeros((len(spans), pages.LANE), dtype=np.int64)
        self._state[:, pages.CPU] = [span.cpu for span in spans]
        self._filled = [span.offset for span in spans]
        self.slots = np.full(TYPES, pages.UNKNOWN, dtype=np.int32)
        self.unknown = np.zeros(TYPES, dtype=np.int64)
        heap = np.zeros(len(spans), dtype=np.int64)
        self.merge: Any = Merge(
            self.data.data, _at_each_byte(self.data, "u4"), _at_each_byte(self.data, "u8"),
            SWIFT and Merge is not pages.Merge, self._state.reshape(-1).data, heap.data,
            self.slots.data, self.unknown.data, page, layout.long_size, layout.order == ">",
            type_at,
        )  # fmt: skip

    # -- bytes ---------------------------------------------------------------------------------

    def feed(self) -> int:
        """Read on where a lane has used up its bytes, and find what is pending; bytes read."""
        size = 0
        for i in np.flatnonzero(self._hungry).tolist():
            size += self._fill(i)
        self.merge.settle()
        return size

    @property
    def _hungry(self) -> Any:
        """Which lanes have nothing pending and can have more."""
        state = self._state
        more = [f < lane.end and lane.damage is None
                for f, lane in zip(self._filled, self._lanes, strict=True)]  # fmt: skip
        idle = (state[:, pages.RECORD] == 0) & (state[:, pages.FAULT] == pages.FINE)
        return idle & np.array(more, dtype=bool)

    def _fill(self, i: int) -> int:
        """The lane's next pages; those that are left where the file has become shorter."""
        lane, state, page = self._lanes[i], self._state[i], self._layout.page_size
        lane.start = self._filled[i]
        want = min(self._room, lane.end - lane.start)
        try:
            size = self._buffer.read_into(self.data.data[lane.base : lane.base + want], lane.start)
        except TraceError as error:
            lane.damage = error
            return 0
        if size < want:
            lane.damage = self._buffer.shorter(lane.start + size)
            size = size // page * page
        self._filled[i] += size
        state[pages.AT] = state[pages.END] = 0
        state[pages.NEXT], state[pages.FILLED] = lane.base, lane.base + size
        return size

    # -- what there is ---------------------------------------------------------------------------

    @property
    def hungry(self) -> bool:
        """Whether some lane may yet have the next event."""
        return bool(self._hungry.any())

    @property
    def pending(self) -> int | None:
        """The recorded time of the next event."""
        i = self.merge.first()
        return None if i < 0 else int(self._state[i, pages.TIME])

    @property
    def damage(self) -> TraceError | None:
        """The error that ends the recording here: a lane has come to where it is damaged."""
        for i, lane in enumerate(self._lanes):
            if self._state[i, pages.RECORD] == 0:
                if self._state[i, pages.FAULT] != pages.FINE:
                    return self._fault(i)
                if lane.damage is not None:
                    return lane.damage
        return None

    def _fault(self, i: int) -> TraceError:
        at, value = int(self._state[i, pages.FAULT_AT]), int(self._state[i, pages.FAULT_VALUE])
        order = "little" if self._layout.order == "<" else "big"
        stamp = int.from_bytes(self.data[at : at + 8].tobytes(), order)  # type: ignore[arg-type]
        message = FAULTS[int(self._state[i, pages.FAULT])].format(value=value, stamp=stamp)
        return self._error(i, message, at)

    def short_record(self) -> TraceError:
        """The error for the record that the decoder found too short for what is wanted of it."""
        i = self.merge.lane
        message = "a record is shorter than its fields"
        return self._error(i, message, int(self._state[i, pages.RECORD]))

    def _error(self, i: int, message: str, at: int) -> TraceError:
        lane = self._lanes[i]
        return lane.span.error(message, self._file, lane.start + at - lane.base)

    @property
    def consumed(self) -> int:
        """Bytes read so far."""
        return sum(f - lane.span.offset for f, lane in zip(self._filled, self._lanes, strict=True))

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
        return {self._cpu(i) for i in np.flatnonzero(self._state[:, pages.UNCOUNTED]).tolist()}

    def _cpu(self, i: int) -> int:
        return self._lanes[i].span.cpu
