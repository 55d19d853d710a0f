"""Reads ftrace text: ``trace``, ``trace_pipe`` and ``trace-cmd report``, also with ``-R``.

Lines come in blocks (:mod:`rvfs.source.text_lines`); the fields behind their heads are read as
:mod:`rvfs.source.event_text` says.
"""

from collections.abc import Mapping

import numpy as np

from rvfs._decoder import Lines, lines
from rvfs.errors import TraceError
from rvfs.event import IDLE_PID, Batch, Column, Ints
from rvfs.source import Wanted
from rvfs.source.event_text import BodyReader, Unreadable
from rvfs.source.file_bytes import FileBytes
from rvfs.source.flag_letters import LETTERS, MARKS
from rvfs.source.reader import StretchReader
from rvfs.source.ring_buffer import Span
from rvfs.source.text_lines import Block, Blocks, quoted
from rvfs.tracepoint import Vocabulary


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
        self._names = b"".join(t.name.encode() for t in known.values())
        ends = np.cumsum([0, *(len(t.name.encode()) for t in known.values())]).tolist()
        rows = [*zip(ends, ends[1:], known, strict=False)]
        self._table = np.array(rows, dtype=np.int64).reshape(-1)

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
        heads = block.heads[:, start:stop]
        numbers = np.empty(stop - start, dtype=np.int64)
        event, behind = (np.ascontiguousarray(heads[i]) for i in (lines.EVENT, lines.EVENT_END))
        Lines(block.data).kinds(
            event.data, behind.data, self._names, self._table.data, numbers.data
        )
        rows = np.flatnonzero(numbers)
        tp, heads = numbers[rows], np.take(heads, rows, axis=1)
        fields: dict[int, dict[str, Column]] = {}
        for number, reader in self._readers.items():
            mine = np.flatnonzero(tp == number)
            try:
                fields[number] = reader.columns(
                    block.data, heads[lines.TEXT, mine], heads[lines.TEXT_END, mine]
                )
            except Unreadable as fault:
                bad = start + int(rows[mine[fault.position]])
                if bad > start:
                    return self._project(block, start, bad, lost)
                raise self._unreadable(block, bad, number) from None
            flags = np.stack([heads[lines.FLAGS, mine], heads[lines.FLAGS_END, mine]])
            fields[number] |= self._marks(block, flags, number)
        self._learn(block, heads)
        return Batch(
            tp, heads[lines.TIME], heads[lines.CPU], heads[lines.PID], fields, self._comms, lost,
            int(block.time[stop - 1]) if stop > start else None,
        ), stop  # fmt: skip

    def _marks(self, block: Block, flags: Ints, number: int) -> dict[str, Column]:
        """The columns that come from the flags of a head; 0 where it has none."""
        if not self._wanted[number] & MARKS.keys():
            return {}
        found = np.empty_like(flags)
        Lines(block.data).marks(
            flags[0].data, flags[1].data, LETTERS.data, found[0].data, found[1].data
        )
        return {name: found[row] for name, row in MARKS.items() if name in self._wanted[number]}

    def _learn(self, block: Block, heads: Ints) -> None:
        """Keep the names of tasks; ``<...>`` is none, and each CPU has its own idle task."""
        found = np.empty(heads.shape[1], dtype=np.int64)
        pid, comm, end = heads[lines.PID], heads[lines.COMM], heads[lines.COMM_END]
        count = Lines(block.data).strangers(
            pid.data, comm.data, end.data, self._known.data, found.data
        )
        for row in found[:count].tolist():
            name = block.data[comm[row] : end[row]]
            if name != b"<...>" and pid[row] != IDLE_PID:
                self._comms[int(pid[row])] = name.decode("utf-8", "replace")

    def _unreadable(self, block: Block, event: int, number: int) -> TraceError:
        wanted = ", ".join(sorted(self._wanted[number]))
        text = quoted(block.text(event, lines.TEXT))
        at = block.start + int(block.heads[lines.LINE, event])
        name = self._vocabulary[number].full_name
        return self._blocks.line_error(at, f"is no {name} with {wanted}: {text}")
