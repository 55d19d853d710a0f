"""Reads the events of a ``trace.dat``: pages decoded per CPU, merged by time, then projected.

Merging takes what every CPU has up to the time that the least advanced one has reached;
events of one time come from the lower CPU first, as the kernel and trace-cmd print them. A
record stays as it is until somebody wants a field of it: a field is one gather over the
bytes of a stretch, at the places of the records.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rvfs.errors import TraceError
from rvfs.event import Batch, Column, Ints
from rvfs.source import Wanted
from rvfs.source.format_file import EventFormat
from rvfs.source.reader import Reader, Stretch
from rvfs.source.recording import Recording, Ticks
from rvfs.source.ring_buffer import Events, Pages, Span
from rvfs.tracepoint import Field, Tracepoint, Vocabulary


def _none() -> Ints:
    return np.empty(0, dtype=np.int64)


@dataclass(slots=True)
class Merged(Stretch):
    """Events of all CPUs in time order: CPU, place in the buffer and length of each record.

    ``at`` is where the record begins in ``data``, which holds what the records of every CPU
    span.
    """

    cpu: Ints = field(default_factory=_none)
    place: Ints = field(default_factory=_none)
    length: Ints = field(default_factory=_none)
    at: Ints = field(default_factory=_none)
    data: bytes = b""


@dataclass(slots=True)
class _Lane:
    """A CPU's decoded events that are not merged yet. ``key`` is the time that orders them:
    it never goes back, even where the recorded time does."""

    pages: Pages
    events: Events = field(default_factory=lambda: Events(_none(), _none(), _none()))
    key: Ints = field(default_factory=_none)
    reached: int = 0

    def fill(self) -> None:
        """Decode the next pages, unless there are events yet."""
        if not len(self.events) and not self.pages.ended:
            self.events = self.pages.decode()
            if len(self.events):
                self.key = np.maximum(np.maximum.accumulate(self.events.time), self.reached)
                self.reached = int(self.key[-1])

    def take(self, count: int) -> Events:
        """The first ``count`` events, which leave the lane."""
        events, lost = self.events, self.events.lost
        self.events = Events(
            events.time[count:], events.place[count:], events.length[count:],
            events.data, events.start,
            {at - count: number for at, number in lost.items() if at >= count},
        )  # fmt: skip
        self.key = self.key[count:]
        return Events(
            events.time[:count], events.place[:count], events.length[:count],
            events.data, events.start,
            {at: number for at, number in lost.items() if at < count},
        )  # fmt: skip


class DatReader(Reader[Merged]):
    """The events of a recording. Its formats replace the vocabulary's."""

    def __init__(self, recording: Recording, file: str, vocabulary: Vocabulary):
        super().__init__()
        self.cpus, self.notes = recording.cpus, recording.notes
        self._recording, self._file = recording, file
        self._lanes = [
            _Lane(Pages(recording.buffer, recording.layout, span, file)) for span in recording.pages
        ]
        self._size = sum(span.size for span in recording.pages)
        self._unknown: Counter[int] = Counter()
        self._ended = False
        self._formats = {
            vocabulary.add(_with_template(event.tracepoint, vocabulary)): event
            for event in recording.formats.values()
        }
        self._numbers = np.zeros(1 << 16, dtype=np.int64)
        for number, event in self._formats.items():
            self._numbers[event.number] = number
        common = next(iter(recording.formats.values())).common if recording.formats else {}
        self._type = common.get("common_type", Field("common_type", "unsigned short", 0, 2, False))
        self.subscribe({})

    def subscribe(self, wanted: Wanted) -> None:
        super().subscribe(wanted)
        self._needed = np.zeros(1 << 16, dtype=np.int64)
        for number in wanted:
            if number in self._formats:
                event = self._formats[number]
                self._needed[event.number] = _size(event, wanted[number])

    def close(self) -> None:
        super().close()
        self._lanes, self._ended = [], True
        self._recording.buffer.close()

    def _load(self) -> Merged | None:
        if self._ended:
            return None
        for lane in self._lanes:
            lane.fill()
        self.done = sum(lane.pages.consumed for lane in self._lanes) / max(self._size, 1)
        for lane in self._lanes:
            if lane.pages.damage and not len(lane.events):
                raise lane.pages.damage
        if any(not len(lane.events) and not lane.pages.ended for lane in self._lanes):
            return Merged(_none())  # a lane of empty pages: it may yet have the next event
        filled = [lane for lane in self._lanes if len(lane.events)]
        if filled:
            return self._merge(filled)
        self._finish()
        owed = {lane.pages.span.cpu: lane.pages.owed for lane in self._lanes if lane.pages.owed}
        return Merged(_none(), {0: owed}) if owed else None

    def _finish(self) -> None:
        self._ended, self.done = True, 1.0
        for number, count in sorted(self._unknown.items()):
            self.notes.append(f"{count} events of type {number}, whose format is not recorded")

    def _merge(self, lanes: list[_Lane]) -> Merged:
        """Everything up to where the lane that ends first ends, which empties it."""
        growing = [lane for lane in lanes if not lane.pages.ended or lane.pages.damage]
        if growing:
            first = min(growing, key=lambda lane: int(lane.key[-1]))
        else:
            first = max(lanes, key=lambda lane: int(lane.key[-1]))
        cut, cpu = int(first.key[-1]), first.pages.span.cpu
        keys, parts, cpus = [], [], []
        for lane in lanes:
            later = lane.pages.span.cpu > cpu
            count = int(np.searchsorted(lane.key, cut, "left" if later else "right"))
            if count:
                keys.append(lane.key[:count])
                parts.append(lane.take(count))
                cpus.append(lane.pages.span.cpu)
        return _interleave(keys, parts, cpus, self._recording.ticks)

    def _project(
        self, stretch: Merged, start: int, stop: int, lost: Mapping[int, int]
    ) -> tuple[Batch, int]:
        at, length = stretch.at[start:stop], stretch.length[start:stop]
        kind = self._gather(self._type, stretch.data, at)
        short = np.flatnonzero(length < self._needed[kind])
        if len(short):
            if not short[0]:
                raise self._short_record(stretch, start)
            stop = start + int(short[0])
            at, kind = at[: short[0]], kind[: short[0]]
        self._count_unknown(kind)
        rows = np.flatnonzero(self._needed[kind])
        at, tp = at[rows], self._numbers[kind[rows]]
        rows += start
        batch = Batch(
            tp, stretch.time[rows], stretch.cpu[rows], self._pids(tp, stretch.data, at),
            {number: self._columns(number, stretch, rows[tp == number]) for number in self._wanted
             if number in self._formats},
            self._recording.comms, lost,
        )  # fmt: skip
        return batch, stop

    def _short_record(self, stretch: Merged, at: int) -> TraceError:
        where, cpu = int(stretch.place[at]), int(stretch.cpu[at])
        return self._span(cpu).error("a record is shorter than its fields", self._file, where)

    def _span(self, cpu: int) -> Span:
        return next(span for span in self._recording.pages if span.cpu == cpu)

    def _count_unknown(self, kind: Ints) -> None:
        unknown = kind[self._numbers[kind] == 0]
        if len(unknown):
            self._unknown.update(unknown.tolist())

    def _pids(self, tp: Ints, data: bytes, at: Ints) -> Ints:
        """``common_pid``, which nothing but the format says where it is."""
        pids = np.zeros(len(tp), dtype=np.int64)
        for number in np.unique(tp).tolist():
            mine = tp == number
            common = self._formats[number].common
            if "common_pid" in common:
                pids[mine] = self._gather(common["common_pid"], data, at[mine])
        return pids

    def _columns(self, number: int, stretch: Merged, rows: Ints) -> dict[str, Column]:
        event, at = self._formats[number], stretch.at[rows]
        columns = {}
        for name in self._wanted[number] & event.tracepoint.by_name.keys():
            wanted = event.tracepoint.by_name[name]
            if wanted.dynamic:
                columns[name] = self._dynamic(event, wanted, stretch.data, at, stretch.length[rows])
            else:
                columns[name] = self._gather(wanted, stretch.data, at)
        return columns

    def _gather(self, field: Field, data: bytes, at: Ints) -> Column:
        """The values of a field at these records, which are long enough for it."""
        if not len(at):
            return np.empty(0, dtype=np.bytes_ if field.is_string else np.int64)
        order = self._recording.layout.order
        if field.is_string:
            return _until_nul(_overlapping(data, field, "u1", field.size)[at])
        kind = order + ("i" if field.signed else "u") + str(field.size)
        values = _overlapping(data, field, kind)[at]
        return values.astype(np.uint64 if kind[1:] == "u8" else np.int64)

    def _dynamic(
        self, event: EventFormat, field: Field, data: bytes, at: Ints, length: Ints
    ) -> Column:
        """Dynamic strings; one that does not lie in its record is empty."""
        kind = Field(field.name, "u32", field.offset, 4, False)
        found = np.empty(len(at), dtype=object)
        base = field.offset + field.size if field.name in event.relative else 0
        for row, word in enumerate(self._gather(kind, data, at).tolist()):
            start, size = base + (word & 0xFFFF), word >> 16
            size = min(size, max(int(length[row]) - start, 0))
            start += int(at[row])
            found[row] = data[start : start + size].partition(b"\0")[0]
        return found


def _size(event: EventFormat, wanted: frozenset[str]) -> int:
    """How long a record must be to have these fields."""
    fields = [*event.common.values()]
    fields += [f for name, f in event.tracepoint.by_name.items() if name in wanted]
    return max(each.offset + each.size for each in fields)


def _with_template(tracepoint: Tracepoint, vocabulary: Vocabulary) -> Tracepoint:
    """With the print template already known for it, if the fields that names are there."""
    if tracepoint.full_name not in vocabulary:
        return tracepoint
    known = vocabulary[vocabulary.number(tracepoint.full_name)]
    if not {name for name, _ in known.slots} <= tracepoint.by_name.keys():
        return tracepoint
    return Tracepoint(tracepoint.system, tracepoint.name, tracepoint.fields, known.template)


def _overlapping(data: bytes, field: Field, kind: str, width: int = 1) -> npt.NDArray[np.generic]:
    """A view with the field of a record that would start at each byte."""
    count = len(data) - field.offset - field.size + 1
    shape, strides = ((count, width), (1, 1)) if kind == "u1" and width > 1 else ((count,), (1,))
    return np.ndarray(shape, dtype=kind, buffer=data, offset=field.offset, strides=strides)


def _until_nul(texts: npt.NDArray[np.generic]) -> Column:
    """Rows of bytes → strings that end before their first NUL."""
    texts = texts.reshape(len(texts), -1)
    texts[np.maximum.accumulate(texts == 0, axis=1)] = 0
    return np.ascontiguousarray(texts).view(f"S{texts.shape[1]}").reshape(-1)


def _interleave(keys: list[Ints], parts: list[Events], cpus: list[int], ticks: Ticks) -> Merged:
    """One stretch out of several, by key; equal keys keep the order of the parts."""
    order = np.argsort(np.concatenate(keys), kind="stable")
    counts = [len(part) for part in parts]
    cpu = np.repeat(np.array(cpus, dtype=np.int64), counts)[order]
    lost: dict[int, dict[int, int]] = {}
    for start, part, number in zip(np.cumsum([0, *counts]).tolist(), parts, cpus, strict=False):
        for at, count in part.lost.items():
            lost[int(np.flatnonzero(order == start + at)[0])] = {number: count}
    begin, data = _together(parts)
    return Merged(
        _nanoseconds(np.concatenate([part.time for part in parts])[order], ticks), lost, cpu,
        np.concatenate([part.place for part in parts])[order],
        np.concatenate([part.length for part in parts])[order],
        begin[order], data,
    )  # fmt: skip


def _together(parts: list[Events]) -> tuple[Ints, bytes]:
    """The bytes that the records of the parts span, one part behind the other, and where each
    record begins in them."""
    places, pieces, behind = [], [], 0
    for part in parts:
        first, piece = part.records
        places.append(part.place + (behind - first))
        pieces.append(piece)
        behind += len(piece)
    return np.concatenate(places), b"".join(pieces)


def _nanoseconds(time: Ints, ticks: Ticks) -> Ints:
    if ticks.mult:
        low = (time & 0xFFFFFFFF).astype(np.uint64) * np.uint64(ticks.mult) >> np.uint64(
            ticks.shift
        )
        time = low.astype(np.int64) + ((time >> 32) * ticks.mult << (32 - ticks.shift))
    return time + ticks.offset
