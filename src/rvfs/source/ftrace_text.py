"""Reads ftrace text: ``trace``, ``trace_pipe`` and ``trace-cmd report``, also with ``-R``.

Lines come in blocks (:mod:`rvfs.source.text_lines`); the fields behind their heads are read as
:mod:`rvfs.source.event_text` says.
"""

from collections.abc import Mapping
from itertools import accumulate

import numpy as np

from rvfs._decoder import lines
from rvfs.errors import TraceError
from rvfs.event import IDLE_PID, Batch, Columns, Ints
from rvfs.source import Wanted
from rvfs.source.event_text import BodyReader, Unreadable
from rvfs.source.file_bytes import FileBytes
from rvfs.source.flag_letters import LETTERS, MARKS
from rvfs.source.reader import StretchReader
from rvfs.source.ring_buffer import Span
from rvfs.source.text_lines import Block, Blocks, no_events, quoted
from rvfs.tracepoint import Vocabulary

#: A column that is made later keeps the whole block, so there must be an event in so many bytes.
DENSE = 1024


class TextReader(StretchReader[Block]):
    """The events of ftrace text, in the order of its lines.

    ``span`` is where the text lies in the buffer; ``comms`` are names of tasks known already.
    Raises :class:`TraceError` for what is no ftrace text from its first line on.
    """

    def __init__(
        self, buffer: FileBytes, span: Span, file: str, vocabulary: Vocabulary,
        comms: Mapping[int, str],
    ):  # fmt: skip
        super().__init__()
        self._buffer, self._vocabulary, self._comms = buffer, vocabulary, dict(comms)
        self._blocks = Blocks(buffer, span, file)
        self.cpus, self.notes = self._blocks.cpus, self._blocks.notes
        self.uncounted = self._blocks.uncounted
        self._known = np.zeros(lines.KNOWN * lines.KNOWN_WORDS, dtype=np.uint64)
        self.subscribe({})
        self._pending()
        if self._blocks.damage is not None and not self._blocks.seen:
            raise self._blocks.damage

    def subscribe(self, wanted: Wanted) -> None:
        """A line does not name the system; of two tracepoints of one name the first is meant."""
        known = {number: tracepoint for number, tracepoint in self._vocabulary if number in wanted}
        super().subscribe(wanted)
        self._readers = {n: BodyReader(t, wanted[n]) for n, t in known.items()}
        names = [t.name.encode() for t in known.values()]
        self._names = b"".join(names) + bytes(lines.BEYOND)
        sizes = [*map(len, names)]
        rows = [*zip(accumulate(sizes, initial=0), sizes, known, strict=False)]
        self._table = np.array(rows, dtype=np.int64).reshape(-1)
        nothing, none = no_events(0, {}), np.empty(0, dtype=np.int64)
        self._nothing = {number: self._fields(number, nothing, none) for number in known}

    def close(self) -> None:
        super().close()
        self._blocks.end()
        self._buffer.close()

    def _load(self) -> Block | None:
        block = self._blocks.next()
        self.done = self._blocks.done
        return block

    def _project(
        self, block: Block, start: int, stop: int, lost: Mapping[int, int]
    ) -> tuple[Batch, int]:
        selected = np.empty((lines.SELECTED, stop - start), dtype=np.int64)
        bounds = np.zeros(len(self._readers) + 2, dtype=np.int64)
        count = block.lines.select(
            start, stop, self._names, self._table.data, selected.reshape(-1).data, bounds.data
        )
        fields, (first, *lasts, _) = dict(self._nothing), bounds.tolist()
        for number, last in zip(self._readers, lasts, strict=True):
            mine, first = selected[lines.ORDER, first:last], last
            if not len(mine):
                continue
            try:
                fields[number] = self._fields(number, block, mine)
            except Unreadable as fault:
                bad = int(mine[fault.position])
                if bad > start:
                    return self._project(block, start, bad, lost)
                raise self._unreadable(block, bad, number) from None
        self._learn(block, selected[lines.PLACE, :count])
        tp, time, cpu, pid = selected[: lines.NAME, :count]
        now = int(block.time[stop - 1]) if stop > start else None
        return Batch(tp, time, cpu, pid, fields, self._comms, lost, now), stop

    def _fields(self, number: int, block: Block, events: Ints) -> Columns:
        """The columns of a tracepoint; what comes from the flags of a head is 0 without any."""
        made, later = self._readers[number].columns(block, events)
        marks = self._wanted[number] & MARKS.keys()
        if marks:
            flags = np.empty((2, len(events)), dtype=np.int64)
            block.lines.flags(events.data, LETTERS.data, flags[0].data, flags[1].data)
            made |= {name: flags[MARKS[name]] for name in marks}
        if DENSE * len(events) < len(block.data):
            made |= {name: make(slice(None)) for name, make in later.items()}
            later = {}
        return Columns(made, later)

    def _learn(self, block: Block, events: Ints) -> None:
        """Keep the names of tasks; ``<...>`` is none, and each CPU has its own idle task."""
        found = np.empty(len(events), dtype=np.int64)
        count = block.lines.strangers(events.data, self._known.data, found.data)
        for at, end, pid in block.heads[found[:count], lines.COMM : lines.PID + 1].tolist():
            name = str(block.data[at:end], "utf-8", "replace")
            if name != "<...>" and pid != IDLE_PID:
                self._comms[pid] = name

    def _unreadable(self, block: Block, event: int, number: int) -> TraceError:
        wanted = ", ".join(sorted(self._wanted[number]))
        text = quoted(block.text(event, lines.TEXT))
        at = block.start + int(block.heads[event, lines.LINE])
        name = self._vocabulary[number].full_name
        return self._blocks.line_error(at, f"is no {name} with {wanted}: {text}")
