"""Reads the container ``trace.dat``: what a recording carries, and where its pages are.

Both versions begin alike: magic, version, byte order, long size, page size. Version 6 is
one sequence after that (trace-cmd.dat.v6(5)), read here; version 7 is in ``trace_dat7.py``.
"""

from collections.abc import Iterator

from rvfs.source.cursor import Cursor
from rvfs.source.file_bytes import FileBytes
from rvfs.source.recording import BUFFER, MAGIC, ORDERS, PAGE_SIZES, Parts, Recording, TraceBuffer
from rvfs.source.ring_buffer import Layout, Span
from rvfs.source.trace_dat7 import Version7


def read_recording(buffer: FileBytes, file: str) -> Recording:
    """Everything but the events. Raises :class:`TraceError`."""
    at = Cursor(buffer, file)
    at.expect(MAGIC)
    version = at.string("the version")
    if version not in ("6", "7"):
        raise at.error(f"trace.dat version {version!r} is not known (6 and 7 are)", len(MAGIC))
    order = at.number(1, "the byte order")
    if order not in ORDERS:
        raise at.error(f"the byte order is {order}, not 0 (little) or 1 (big)", at.at - 1)
    at.order = ORDERS[order]
    long_size = at.number(1, "the size of a long")
    page_size = at.number(4, "the page size")
    if page_size not in PAGE_SIZES:
        raise at.error(f"the page size {page_size} is impossible", at.at - 4)
    recording = Recording(buffer, Layout(at.order, long_size, 8 + long_size, page_size))
    (Version6 if version == "6" else Version7)(recording, at).read()
    return recording


class Version6(Parts):
    def read(self) -> None:
        at = self.at
        self.read_header_info(at)
        for _ in range(at.number(4, "the number of ftrace formats")):
            at.skip(at.number(8, "the size of an ftrace format"), "an ftrace format")
        self.read_formats(at)
        at.skip(at.number(4, "the size of kallsyms"), "kallsyms")
        at.skip(at.number(4, "the size of the printk formats"), "the printk formats")
        self.read_cmdlines(at)
        self.recording.cpus = at.number(4, "the number of CPUs")
        instances = []
        kind = at.take(10, "the kind of the data")
        if kind.startswith(b"options"):
            instances = list(self.options(at))
            kind = at.take(10, "the kind of the data")
        self.buffers.append(self.buffer("", kind, at))
        for name, offset in instances:
            inner = Cursor(at.buffer, self.file, offset, order=at.order)
            self.buffers.append(self.buffer(name, inner.take(10, "the kind of the data"), inner))
        self.choose_buffer()

    def options(self, at: Cursor) -> Iterator[tuple[str, int]]:
        """Reads the options; yields name and offset of the instances among them."""
        while number := at.number(2, "an option"):
            size = at.number(4, "the size of an option")
            start = at.at
            option = Cursor(at.take(size, "an option"), self.file, order=at.order, base=start)
            if number == BUFFER:
                offset = option.number(8, "the offset of an instance")
                yield option.string("the name of an instance"), offset
            else:
                self.read_option(number, option)

    def buffer(self, name: str, kind: bytes, at: Cursor) -> TraceBuffer:
        if kind.startswith(b"latency"):
            return TraceBuffer(name, [], Span(0, at.at, len(at.buffer) - at.at, at.at))
        if kind != b"flyrecord\0":
            raise at.error(f"'flyrecord' or 'latency' should be here, not {kind!r}", at.at - 10)
        what = f"instance {name!r}" if name else "the recording"
        return TraceBuffer(name, self.spans(at, what, self.recording.cpus, numbered=False))
