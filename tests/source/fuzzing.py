"""The decoders on bytes that could be anything: both twins must agree, and the patterns too.

:data:`TARGETS` are what ``tools/fuzz`` drives, and what a test drives over the corpus.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from rvfs import _decoder
from rvfs.errors import TraceError
from rvfs.event import Batch
from rvfs.source import event_text, ring_buffer, text_lines
from rvfs.source.dat_reader import DatReader
from rvfs.source.file_bytes import FileBytes
from rvfs.source.ftrace_text import TextReader
from rvfs.source.reader import Reader
from rvfs.source.ring_buffer import Span
from rvfs.source.trace_dat import read_recording
from tests.source.dat_writer import Writer
from tests.source.reading import events, lost, vocabulary

WANTED = (
    "sched:sched_switch", "sched:sched_wakeup", "irq:irq_handler_entry", "signal:signal_deliver",
)  # fmt: skip
COMMON = frozenset({"common_flags", "common_preempt_count"})
PAGE = 256


class NoLines(_decoder.lines.Lines):  # type: ignore[misc, name-defined]
    """Leaves all heads to the pattern."""

    def head(self, at: int, end: int, row: int) -> bool:
        return False


class NoTexts(_decoder.texts.Texts):  # type: ignore[misc, name-defined]
    """Leaves all texts to the patterns."""

    def match(self, at: int, end: int, step: int, row: int) -> int:
        return int(_decoder.texts.ASK)


#: Name → lines, texts, pages, their fields.
READERS: dict[str, tuple[Any, Any, Any, Any]] = {
    "chosen": (_decoder.Lines, _decoder.Texts, _decoder.Merge, _decoder.Fields),
    "interpreted": (
        _decoder.lines.Lines,
        _decoder.texts.Texts,
        _decoder.pages.Merge,
        _decoder.fields.Fields,
    ),
    "patterns": (NoLines, NoTexts, _decoder.pages.Merge, _decoder.fields.Fields),
}


@contextmanager
def reading_with(name: str) -> Iterator[None]:
    """One of :data:`READERS` for the time being."""
    lines, texts, merge, fields = READERS[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_lines, "Lines", lines)
        patch.setattr(event_text, "Texts", texts)
        patch.setattr(ring_buffer, "Merge", merge)
        patch.setattr(ring_buffer, "Fields", fields)
        yield


def in_memory(data: bytes) -> FileBytes:
    descriptor = os.memfd_create("fuzzed")
    os.write(descriptor, data)
    return FileBytes(descriptor, "fuzzed")


def told(open_reader: Callable[[Any], Reader], limit: int) -> tuple[object, ...]:
    """All that a reader has to say."""
    known, found, error = vocabulary(), list[Batch](), ""
    notes: list[str] = []
    try:
        reader = open_reader(known)
        notes = reader.notes
        numbers = [known.number(name) for name in WANTED]
        reader.subscribe({n: frozenset(known[n].by_name) | COMMON for n in numbers})
        while (batch := reader.read(limit)) is not None:
            found.append(batch)
        reader.close()
    except TraceError as fault:
        error = str(fault)
    comms = dict(found[-1].comms) if found else {}
    return events(found, known), lost(found), error, notes, comms


def same(ways: tuple[str, ...], read: Callable[[], tuple[object, ...]]) -> None:
    """Raises :class:`AssertionError` where two ways of reading do not agree."""
    results = []
    for way in ways:
        with reading_with(way):
            results.append(read())
    for way, result in zip(ways[1:], results[1:], strict=True):
        assert result == results[0], (way, result, ways[0], results[0])


def lines(data: bytes) -> None:
    """An ftrace text."""
    if data:
        span = Span(0, 0, len(data), 0)
        same(
            ("chosen", "interpreted", "patterns"),
            lambda: told(lambda v: TextReader(in_memory(data), span, "fuzzed", v, {}), 7),
        )


class _AsTheyAre(Writer):
    """Writes pages that are bytes already."""

    def pages(self, items: Any) -> bytes:
        return bytes(items)


def pages(data: bytes) -> None:
    """Pages of two CPUs; the first byte says of what machine."""
    if len(data) < 2:
        return
    kind, half = data[0], (len(data) // 2 // PAGE + 1) * PAGE
    writer = _AsTheyAre(order="<>"[kind & 1], long_size=4 + (kind & 2) * 2, page_size=PAGE)
    recording = writer.file({0: data[1 : half + 1], 1: data[half + 1 :]})  # type: ignore[dict-item]
    same(
        ("chosen", "interpreted"),
        lambda: told(lambda v: DatReader(read_recording(in_memory(recording), "f"), "f", v), 5),
    )


TARGETS: Mapping[str, Callable[[bytes], None]] = {"lines": lines, "pages": pages}
