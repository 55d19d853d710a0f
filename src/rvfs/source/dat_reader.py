"""Reads the events of a ``trace.dat``: what is wanted, as columns.

The decoder merges the lanes and writes the fields that are wanted, and only those, where
this file has told it to: into memory that is the batch's own, a part of it per column.
Events of one time come from the lower CPU first, as the kernel and trace-cmd print them.
Texts stay where they are in the mapped file until somebody asks for them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from rvfs._decoder import pages
from rvfs.event import Batch, Column, Columns, Ints, Maker
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
#: Entries between two columns: nine lines of the cache, lest all of them compete for the same ones.
APART = 72

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Wish:
    """A column that is wanted: ``kind`` as the decoder knows it; None for characters, which are
    looked at when they are asked for."""

    slot: int
    name: str
    field: Field
    kind: int | None

    @property
    def words(self) -> int:
        """What the decoder writes for each event."""
        return 0 if self.kind is None else 2 if self.field.dynamic else 1


class _Room:
    """What the decoder needs for batches of up to ``capacity`` events of these ``plans``.

    ``plans`` and columns are as it takes them, at the beginning of a batch. ``begin`` gets memory
    that is the next batch's own, but for the lengths, which are needed only at once.
    """

    def __init__(self, capacity: int, plans: Ints, wishes: Sequence[_Wish]) -> None:
        self.capacity, self._count = capacity, len(plans)
        self._first_plans = plans.copy()
        self._stride = capacity + APART
        self._first_plans[:, pages.CURSOR] = np.arange(len(plans)) * self._stride
        self._plans = self._first_plans.copy()
        words = np.array([0, *(wish.words for wish in wishes)]).cumsum() * self._stride
        self._words, self.starts = int(words[-1]), words[:-1].tolist()
        columns = [
            (wish.slot * pages.PLAN, wish.field.offset, wish.field.size, wish.kind,
             wish.slot * self._stride, start)
            for wish, start in zip(wishes, self.starts, strict=True) if wish.kind is not None
        ]  # fmt: skip
        self._first_columns = np.array(columns, dtype=np.int64).reshape(-1)
        self._columns = self._first_columns.copy()
        self._lengthy = any(wish.field.dynamic for wish in wishes)
        self._lengths = np.empty(len(plans) * pages.CHUNK, dtype=np.int64)

    def begin(self, lanes: Lanes) -> None:
        """The memory of a new batch: ``heads``, and the words of its fields (``out``)."""
        memory = np.empty((4 + 2 * self._count, self._stride), dtype=np.int64)
        self.heads = memory[:4]
        self._rows, self._records = memory[4:].reshape(2, -1)
        self.out = np.empty(self._words, dtype=np.uint64)
        self._plans[:], self._columns[:] = self._first_plans, self._first_columns
        where = self._plans.reshape(-1), self._records, self._lengths
        lanes.merge.begin(*where, self._lengthy, self._rows, *self.heads)
        lanes.fields.begin(*where, self._columns, self.out)

    def of(self, slot: int) -> tuple[Ints, Ints]:
        """The places of a tracepoint's events in the batch, and of their records in the file."""
        mine = slice(slot * self._stride, int(self._plans[slot, pages.CURSOR]))
        return self._rows[mine], self._records[mine]


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
        self._ended = False
        self.subscribe({})

    def subscribe(self, wanted: Wanted) -> None:
        mine = self._mine = [number for number in wanted if number in self._formats]
        formats = [self._formats[number] for number in mine]
        self._wishes = [
            wish for slot, number in enumerate(mine)
            for wish in _wishes(slot, formats[slot], wanted[number])
        ]  # fmt: skip
        slots = self._lanes.slots
        for event in self._formats.values():
            slots[event.number] = pages.UNWANTED
        for slot, event in enumerate(formats):
            slots[event.number] = slot * pages.PLAN
        plans = [
            (number, _needed(event, wanted[number]), _pid_at(event), 0)
            for number, event in zip(mine, formats, strict=True)
        ]
        words = 4 + 2 * len(mine) + sum(wish.words for wish in self._wishes)
        self._largest = min(MAX_EVENTS, MAX_WORDS // words)
        self._plans = np.array(plans, dtype=np.int64).reshape(-1, pages.PLAN)
        self._lanes.merge.want(self._plans.reshape(-1))
        self._room = _Room(0, self._plans, self._wishes)

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
        self._begin(limit)
        why = self._take(until)
        if self._lanes.torn is not None:
            raise self._lanes.torn
        self.uncounted |= self._lanes.uncounted
        if self._lanes.merge.taken or self._lanes.hungry or why == pages.LATE:
            return self._batch()
        if why == pages.SHORT:
            raise self._lanes.short_record()
        if self._lanes.damage is not None:
            raise self._lanes.damage
        owed = self._finish()
        tps, times, cpus, pids = self._room.heads[:, :0]
        return Batch(tps, times, cpus, pids, lost=owed) if owed else None

    def _begin(self, limit: int) -> None:
        """Room for a batch."""
        capacity = max(min(limit, self._largest), 1)
        if capacity != self._room.capacity:
            self._room = _Room(capacity, self._plans, self._wishes)
        self._room.begin(self._lanes)

    def _take(self, until: int | None) -> int:
        """Fill the batch, as far as it goes at once; why it did not go further."""
        last = LAST if until is None else self._recording.ticks.last_before(until)
        why: int = pages.HUNGRY
        appetite = APPETITE
        while why == pages.HUNGRY and appetite > 0:
            if size := self._lanes.feed():
                appetite -= size
                self.done = self._lanes.done
            if self._lanes.hungry:
                continue  # a lane of empty pages: it may yet have the next event
            if self._lanes.damage is not None or self._lanes.pending is None:
                break
            why = self._lanes.merge.take(self._room.capacity, last)
        return why

    def _batch(self) -> Batch:
        merge, room = self._lanes.merge, self._room
        tps, times, cpus, pids = room.heads[:, : merge.count]
        found = [room.of(slot) for slot in range(len(self._mine))]
        made: list[dict[str, Column]] = [{} for _ in self._mine]
        later: list[dict[str, Maker]] = [{} for _ in self._mine]
        for wish, start in zip(self._wishes, room.starts, strict=True):
            field, (_, records) = wish.field, found[wish.slot]
            words = room.out[start : start + wish.words * len(records)]
            if wish.kind is None:
                later[wish.slot][wish.name] = partial(self._lanes.texts, records, field)
            elif field.dynamic:
                later[wish.slot][wish.name] = partial(self._lanes.dynamic_texts, words)
            else:
                wide = field.size == 8 and not field.signed
                made[wish.slot][wish.name] = words if wide else words.view(np.int64)
        columns = dict(zip(self._mine, map(Columns, made, later), strict=True))
        times, comms = self._nanoseconds(times), self._recording.comms
        now = int(self._nanoseconds(_ints([merge.reached]))[0]) if merge.taken else None
        places = {number: rows for number, (rows, _) in zip(self._mine, found, strict=True)}
        return Batch(tps, times, cpus, pids, columns, comms, self._lanes.lost, now, places)

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


def _wishes(slot: int, event: EventFormat, wanted: Iterable[str]) -> Iterator[_Wish]:
    """The columns that this event can give; a batch has the task and the CPU for itself."""
    fields = {**event.common, **event.tracepoint.by_name}
    for name in sorted(fields.keys() & wanted):
        field, kind = fields[name], None
        if field.dynamic:
            kind = pages.RELATIVE if name in event.relative else pages.DYNAMIC
        elif not field.is_string:
            kind = pages.SIGNED if field.signed else pages.UNSIGNED
        yield _Wish(slot, name, field, kind)


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
