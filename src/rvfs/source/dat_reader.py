"""Reads the events of a ``trace.dat``: what is wanted, as columns.

The decoder merges the lanes and writes the fields that are wanted, and only those, where
this file has told it to: into an arena that is the batch's own, a part of it per column.
Events of one time come from the lower CPU first, as the kernel and trace-cmd print them.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from dataclasses import field as fresh

import numpy as np
import numpy.typing as npt

from rvfs._decoder import pages
from rvfs.event import Batch, Column, Ints
from rvfs.source import Wanted
from rvfs.source.format_file import EventFormat
from rvfs.source.reader import Reader
from rvfs.source.recording import Recording
from rvfs.source.ring_buffer import Lanes
from rvfs.tracepoint import Field, Tracepoint, Vocabulary

#: A read takes no more bytes in than that, whether or not it meets an event.
APPETITE = 8 << 20
#: A batch has at most so many events, and so many words of fields.
MAX_EVENTS, MAX_WORDS = 1 << 16, 16 << 20
LAST = (1 << 63) - 1

Words = npt.NDArray[np.uint64]


@dataclass(slots=True)
class _Wish:
    """A column that is wanted: ``kind`` as the decoder knows it, ``words`` per event.

    ``texts`` are the dynamic strings of the batch so far.
    """

    slot: int
    number: int
    name: str
    field: Field
    kind: int
    texts: list[bytes] = fresh(default_factory=list)

    @property
    def words(self) -> int:
        if self.field.dynamic:
            return 2
        return -(-self.field.size // 8) if self.kind == pages.TEXT else 1

    @property
    def row(self) -> tuple[int, ...]:
        """As the decoder takes it; the place of the column is not known yet."""
        return self.slot, self.field.offset, self.field.size, self.kind, 0

    def column(self, words: Words) -> Column:
        """The column, from its words."""
        if self.field.dynamic:
            return np.array(self.texts, dtype=object)
        if self.kind == pages.TEXT:
            if sys.byteorder == "big":
                words = words.byteswap()
            return words.view(f"S{8 * self.words}")
        wide = self.field.size == 8 and not self.field.signed
        return words if wide else words.view(np.int64)


class DatReader(Reader):
    """The events of a recording. Its formats replace the vocabulary's."""

    def __init__(self, recording: Recording, file: str, vocabulary: Vocabulary):
        super().__init__()
        self.cpus, self.notes = recording.cpus, recording.notes
        self._recording, self._nanoseconds = recording, recording.ticks.nanoseconds
        self._formats = {
            vocabulary.add(_with_template(event.tracepoint, vocabulary)): event
            for event in recording.formats.values()
        }
        common = next(iter(recording.formats.values())).common if recording.formats else {}
        type_at = common["common_type"].offset if common else 0
        self._lanes = Lanes(recording.buffer, recording.layout, recording.pages, file, type_at)
        self._size = sum(span.size for span in recording.pages)
        self._ended = False
        self.subscribe({})

    def subscribe(self, wanted: Wanted) -> None:
        mine = self._mine = [number for number in wanted if number in self._formats]
        formats = [self._formats[number] for number in mine]
        self._wishes = [
            wish for slot, number in enumerate(mine)
            for wish in _wishes(slot, number, formats[slot], wanted[number])
        ]  # fmt: skip
        slots = self._lanes.slots
        for event in self._formats.values():
            slots[event.number] = pages.UNWANTED
        for slot, event in enumerate(formats):
            slots[event.number] = slot
        self._columns = np.array([wish.row for wish in self._wishes], dtype=np.int64)
        self._columns = self._columns.reshape(-1, pages.COLUMN)
        self._rows = np.zeros(len(mine), dtype=np.int64)
        found = np.zeros((2, len(mine) * pages.CHUNK), dtype=np.int64)
        needed = _ints(_needed(self._formats[number], wanted[number]) for number in mine)
        self._lanes.merge.want(
            _ints(mine).data, needed.data, _ints(map(_pid_at, formats)).data, self._columns.data,
            self._rows.data, found[0].data, found[1].data, np.zeros(len(mine), np.int64).data,
        )  # fmt: skip

    def due(self) -> int | None:
        if not self._ended:
            while self._lanes.feed():
                pass  # pages without an event
            if self._lanes.damage is not None:
                raise self._lanes.damage
        pending = None if self._ended else self._lanes.pending
        return None if pending is None else int(self._nanoseconds(_ints([pending]))[0])

    def read(self, limit: int, until: int | None = None) -> Batch | None:
        if self._ended:
            return None
        heads, out = self._begin(max(limit, 1))
        why = self._take(out, until)
        self.uncounted |= self._lanes.uncounted
        self.done = self._lanes.consumed / max(self._size, 1)
        if self._lanes.merge.taken or self._lanes.hungry or why == pages.LATE:
            return self._batch(heads, out)
        if why == pages.SHORT:
            raise self._lanes.short_record()
        if self._lanes.damage is not None:
            raise self._lanes.damage
        owed = self._finish()
        tps, times, cpus, pids = heads[:, :0]
        return Batch(tps, times, cpus, pids, lost=owed) if owed else None

    def _begin(self, limit: int) -> tuple[Ints, Words]:
        """Room for a batch of its own: the heads of its events, and the words of their fields."""
        words = np.array([0, *(wish.words for wish in self._wishes)]).cumsum()
        self._capacity = max(min(limit, MAX_EVENTS, MAX_WORDS // max(int(words[-1]), 1)), 1)
        heads = np.empty((4, self._capacity), dtype=np.int64)
        out = np.empty(int(words[-1]) * self._capacity, dtype=np.uint64)
        self._columns[:, pages.BASE] = words[:-1] * self._capacity
        self._lanes.merge.begin(*(row.data for row in heads), out.data)
        for wish in self._wishes:
            wish.texts = []
        return heads, out

    def _take(self, out: Words, until: int | None) -> int:
        """Fill the batch, as far as it goes at once; why it did not go further."""
        last = LAST if until is None else self._recording.ticks.last_before(until)
        why: int = pages.HUNGRY
        appetite = APPETITE
        while why == pages.HUNGRY and appetite > 0:
            appetite -= self._lanes.feed()
            if self._lanes.hungry:
                continue  # a lane of empty pages: it may yet have the next event
            if self._lanes.damage is not None or self._lanes.pending is None:
                break
            why = self._lanes.merge.take(self._capacity, last)
            self._keep_texts(out)
        return why

    def _keep_texts(self, out: Words) -> None:
        """Take the dynamic strings out of the arena before it is filled with other bytes."""
        data = self._lanes.data
        for wish, base in zip(self._wishes, self._columns[:, pages.BASE].tolist(), strict=True):
            if wish.field.dynamic:
                known, rows = len(wish.texts), int(self._rows[wish.slot])
                places = out[base + 2 * known : base + 2 * rows].reshape(-1, 2)
                wish.texts += [
                    data[at : at + size].tobytes().partition(b"\0")[0]
                    for at, size in places.tolist()
                ]

    def _batch(self, heads: Ints, out: Words) -> Batch:
        merge = self._lanes.merge
        tps, times, cpus, pids = heads[:, : merge.count]
        fields: dict[int, dict[str, Column]] = {number: {} for number in self._mine}
        for wish, base in zip(self._wishes, self._columns[:, pages.BASE].tolist(), strict=True):
            words = out[base : base + wish.words * int(self._rows[wish.slot])]
            fields[wish.number][wish.name] = wish.column(words)
        times, comms = self._nanoseconds(times), self._recording.comms
        now = int(self._nanoseconds(_ints([merge.reached]))[0]) if merge.taken else None
        return Batch(tps, times, cpus, pids, fields, comms, self._lanes.lost, now)

    def _finish(self) -> dict[int, int]:
        """Say what could not be read; events lost after the last one."""
        self._ended, self.done = True, 1.0
        for number in np.flatnonzero(self._lanes.unknown).tolist():
            count = self._lanes.unknown[number]
            self.notes.append(f"{count} events of type {number}, whose format is not recorded")
        return self._lanes.take_owed()

    def close(self) -> None:
        self._ended = True
        self._recording.buffer.close()


def _wishes(slot: int, number: int, event: EventFormat, wanted: Iterable[str]) -> Iterator[_Wish]:
    """The columns that this event can give; a batch has the task and the CPU for itself."""
    fields = {**event.common, **event.tracepoint.by_name}
    for name in sorted(fields.keys() & wanted):
        field = fields[name]
        kind = pages.SIGNED if field.signed else pages.UNSIGNED
        if field.dynamic:
            kind = pages.RELATIVE if name in event.relative else pages.DYNAMIC
        elif field.is_string:
            kind = pages.TEXT
        yield _Wish(slot, number, name, field, kind)


def _needed(event: EventFormat, wanted: Iterable[str]) -> int:
    """How long a record must be to have these fields."""
    fields = [*event.common.values()]
    fields += [event.tracepoint.by_name[name] for name in event.tracepoint.by_name.keys() & wanted]
    return max(each.offset + each.size for each in fields)


def _pid_at(event: EventFormat) -> int:
    """``common_pid``, which nothing but the format says where it is."""
    return event.common["common_pid"].offset if "common_pid" in event.common else -1


def _with_template(tracepoint: Tracepoint, vocabulary: Vocabulary) -> Tracepoint:
    """With the print template already known for it, if the fields that names are there."""
    if tracepoint.full_name not in vocabulary:
        return tracepoint
    known = vocabulary[vocabulary.number(tracepoint.full_name)]
    if not {name for name, _ in known.slots} <= tracepoint.by_name.keys():
        return tracepoint
    return Tracepoint(tracepoint.system, tracepoint.name, tracepoint.fields, known.template)


def _ints(values: Iterable[int]) -> Ints:
    return np.fromiter(values, dtype=np.int64)
