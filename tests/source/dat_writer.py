"""Writes ``trace.dat`` files for tests, in every form the format has.

Events are :class:`Event`; :class:`Lost`, :class:`Discarded` and :class:`Stamp` between them
become what the kernel's ring buffer has for that. After trace-cmd.dat.v6(5), v7(5) and
include/linux/ring_buffer.h; what it writes is held against ``trace-cmd report`` by a test.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """A kind of event: ``fields`` are (declaration, size or "long", signed)."""

    number: int
    system: str
    name: str
    fields: tuple[tuple[str, int | str, bool], ...]


SWITCH = Kind(
    314, "sched", "sched_switch",
    (("char prev_comm[16]", 16, False), ("pid_t prev_pid", 4, True), ("int prev_prio", 4, True),
     ("long prev_state", "long", True), ("char next_comm[16]", 16, False),
     ("pid_t next_pid", 4, True), ("int next_prio", 4, True)),
)  # fmt: skip
WAKEUP = Kind(
    315, "sched", "sched_wakeup",
    (("char comm[16]", 16, False), ("pid_t pid", 4, True), ("int prio", 4, True),
     ("int target_cpu", 4, True)),
)  # fmt: skip
IRQ = Kind(
    120, "irq", "irq_handler_entry",
    (("int irq", 4, True), ("__data_loc char[] name", 4, False)),
)  # fmt: skip
ODD = Kind(
    77, "test", "odd",
    (("u8 small", 1, False), ("s16 short_one", 2, True), ("u64 wide", 8, False),
     ("int array[2]", 8, True), ("char text[8]", 8, False)),
)  # fmt: skip
RELATIVE = Kind(
    78, "test", "relative", (("u64 before", 8, False), ("__rel_loc char[] name", 4, False))
)
KINDS = (SWITCH, WAKEUP, IRQ, ODD, RELATIVE)


@dataclass(frozen=True)
class Event:
    """``values`` by column; a dynamic string is given as bytes. ``pad`` makes the record longer."""

    time: int
    kind: Kind
    pid: int
    values: Mapping[str, object] = field(default_factory=dict)
    pad: int = 0
    flags: int = 0
    preempt_count: int = 0


@dataclass(frozen=True)
class Lost:
    """A new page before which events were lost; None: the kernel did not count them."""

    count: int | None


@dataclass(frozen=True)
class Discarded:
    """An event that was reserved and taken back."""

    time: int
    size: int = 16


@dataclass(frozen=True)
class Stamp:
    """An absolute time stamp."""

    time: int


@dataclass(frozen=True)
class Raw:
    """Words of a page as they are."""

    time: int
    words: tuple[int, ...]


Item = Event | Lost | Discarded | Stamp | Raw
Pages = Mapping[int, bytes]


@dataclass
class _Page:
    """A page that is being filled."""

    data: bytes = b""
    start: int = 0
    now: int = 0
    flags: int = 0
    lost: bytes = b""


@dataclass
class Writer:
    """The machine that was recorded: version of the file, byte order, long and page size."""

    version: int = 6
    order: str = "<"
    long_size: int = 8
    page_size: int = 4096
    compression: str = "none"
    comms: Mapping[int, str] = field(default_factory=dict)
    kinds: Sequence[Kind] = KINDS
    options: Sequence[tuple[int, bytes]] = ()
    instances: Mapping[str, Mapping[int, Sequence[Item]]] = field(default_factory=dict)
    text: bytes | None = None

    # numbers

    def pack(self, size: int, value: int, signed: bool = False) -> bytes:
        return value.to_bytes(size, "little" if self.order == "<" else "big", signed=signed)

    def layout(self, kind: Kind) -> list[tuple[str, str, int, int, bool]]:
        """(name, declaration, offset, size, signed), aligned as C does."""
        at, found = 8, []
        for declaration, size, signed in kind.fields:
            width = self.long_size if size == "long" else int(size)
            unit = 1 if "char " in declaration else 4 if "[" in declaration else width
            unit = 4 if "_loc" in declaration else unit
            at = -(-at // unit) * unit
            name = declaration.split()[-1].partition("[")[0]
            found.append((name, declaration, at, width, signed))
            at += width
        return found

    def format_text(self, kind: Kind) -> bytes:
        common = (
            ("unsigned short common_type", 0, 2, 0), ("unsigned char common_flags", 2, 1, 0),
            ("unsigned char common_preempt_count", 3, 1, 0), ("int common_pid", 4, 4, 1),
        )  # fmt: skip
        own = [(d, at, size, int(signed)) for _, d, at, size, signed in self.layout(kind)]
        lines = [f"name: {kind.name}\nID: {kind.number}\nformat:\n"]
        for place, fields in (("", common), ("\n", own)):
            lines.append(place)
            lines += [
                f"\tfield:{d};\toffset:{at};\tsize:{size};\tsigned:{signed};\n"
                for d, at, size, signed in fields
            ]
        names = [name for name, declaration, *_ in self.layout(kind) if "[" not in declaration]
        shown = " ".join(f"{name}=%d" for name in names)
        arguments = "".join(f", REC->{name}" for name in names)
        lines.append(f'\nprint fmt: "{shown}"{arguments}\n')
        return "".join(lines).encode()

    def record(self, event: Event) -> bytes:
        parts = self.layout(event.kind)
        end = max((at + size for *_, at, size, _ in parts), default=8)
        data = bytearray(-(-end // 4) * 4)
        data[:4] = self.pack(2, event.kind.number) + bytes([event.flags, event.preempt_count])
        data[4:8] = self.pack(4, event.pid, signed=True)
        for name, declaration, at, size, signed in parts:
            value = event.values.get(name, 0)
            if "_loc" in declaration:
                text = (value if isinstance(value, bytes) else b"") + b"\0"
                base = at + 4 if "__rel_loc" in declaration else 0
                data[at : at + 4] = self.pack(4, len(text) << 16 | len(data) - base)
                data += text
            elif isinstance(value, bytes):
                data[at : at + size] = value.ljust(size, b"\0")[:size]
            else:
                count = int(declaration.partition("[")[2].removesuffix("]") or 0)
                names = [f"{name}[{i}]" for i in range(count)] or [name]
                values = [event.values.get(each, 0) for each in names]
                width = size // len(names)
                packed = [self.pack(width, v, signed) for v in values if isinstance(v, int)]
                data[at : at + size] = b"".join(packed)
        return bytes(data) + b"\xee" * event.pad

    # pages

    def head(self, kind: int, delta: int) -> bytes:
        return self.pack(4, kind | delta << 5 if self.order == "<" else kind << 27 | delta)

    def entry(self, record: bytes, delta: int) -> bytes:
        record += b"\0" * (-len(record) % 4)
        if len(record) <= 112:
            return self.head(len(record) // 4, delta) + record
        return self.head(0, delta) + self.pack(4, len(record) + 4) + record

    def timed(self, delta: int) -> tuple[bytes, int]:
        """A time extend, where the delta needs one, and the delta that remains."""
        if delta < 1 << 27:
            return b"", delta
        return self.head(30, delta & (1 << 27) - 1) + self.pack(4, delta >> 27), 0

    def pages(self, items: Iterable[Item]) -> bytes:
        pages: list[bytes] = []
        room = self.page_size - 8 - self.long_size
        page = _Page()

        def flush() -> None:
            nonlocal page
            if page.data or page.flags:
                head = self.pack(8, page.start)
                head += self.pack(self.long_size, len(page.data) | page.flags)
                pages.append((head + page.data + page.lost).ljust(self.page_size, b"\0"))
            page = _Page()

        for item in items:
            if isinstance(item, Lost):
                flush()
                page.flags = 1 << 31 | (0 if item.count is None else 1 << 30)
                page.lost = b"" if item.count is None else self.pack(self.long_size, item.count)
                continue
            if not page.data:
                page.start = page.now = item.time
            piece = self.piece(item, item.time - page.now)
            if len(page.data) + len(piece) + len(page.lost) > room:
                flush()
                page.start = item.time
                piece = self.piece(item, 0)
            unmoved = isinstance(item, Discarded) and not self.timed(item.time - page.now)[1]
            page.data += piece
            page.now = item.time + unmoved  # as its delta, which may not be 0, says
        flush()
        return b"".join(pages)

    def piece(self, item: Event | Discarded | Stamp | Raw, delta: int) -> bytes:
        if isinstance(item, Raw):
            return b"".join(self.pack(4, word) for word in item.words)
        if isinstance(item, Stamp):
            low = item.time & (1 << 59) - 1
            return self.head(31, low & (1 << 27) - 1) + self.pack(4, low >> 27)
        extend, delta = self.timed(delta)
        if isinstance(item, Discarded):
            return (
                extend
                + self.head(29, max(delta, 1))
                + self.pack(4, item.size)
                + b"\xdd" * (item.size - 4)
            )
        return extend + self.entry(self.record(item), delta)

    # the file

    def file(self, cpus: Mapping[int, Iterable[Item]]) -> bytes:
        buffers = {
            name: {cpu: self.pages(items) for cpu, items in mine.items()}
            for name, mine in {"": cpus, **self.instances}.items()
        }
        start = b"\x17\x08\x44tracing" + f"{self.version}\0".encode()
        start += self.pack(1, int(self.order == ">")) + self.pack(1, self.long_size)
        start += self.pack(4, self.page_size)
        count = max((cpu for pages in buffers.values() for cpu in pages), default=0) + 1
        write = self.version6 if self.version == 6 else self.version7
        return write(start, buffers, count)

    def header_info(self) -> bytes:
        long, room = self.long_size, self.page_size - 8 - self.long_size
        page = (
            "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
            f"\tfield: local_t commit;\toffset:8;\tsize:{long};\tsigned:1;\n"
            f"\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
            f"\tfield: char data;\toffset:{8 + long};\tsize:{room};\tsigned:1;\n"
        ).encode()
        event = b"# compressed entry header\n\ttype_len    :    5 bits\n\ttime_delta  :   27 bits\n"
        event += b"\tarray       :   32 bits\n\n\tpadding     : type == 29\n"
        event += (
            b"\ttime_extend : type == 30\n\ttime_stamp : type == 31\n\tdata max type_len  == 28\n"
        )
        return (
            b"header_page\0" + self.pack(8, len(page)) + page
            + b"header_event\0" + self.pack(8, len(event)) + event
        )  # fmt: skip

    def formats(self) -> bytes:
        systems: dict[str, list[bytes]] = {}
        for kind in self.kinds:
            systems.setdefault(kind.system, []).append(self.format_text(kind))
        data = self.pack(4, len(systems))
        for system, texts in systems.items():
            data += system.encode() + b"\0" + self.pack(4, len(texts))
            data += b"".join(self.pack(8, len(text)) + text for text in texts)
        return data

    def cmdlines(self) -> bytes:
        text = "".join(f"{pid} {comm}\n" for pid, comm in self.comms.items()).encode()
        return self.pack(8, len(text)) + text

    def option(self, number: int, data: bytes) -> bytes:
        return self.pack(2, number) + self.pack(4, len(data)) + data

    def version6(self, data: bytes, buffers: Mapping[str, Pages], count: int) -> bytes:
        data += self.header_info() + self.pack(4, 0) + self.formats()
        data += self.pack(4, 0) + self.pack(4, 0) + self.cmdlines()
        data += self.pack(4, count) + b"options  \0"
        data += b"".join(self.option(number, value) for number, value in self.options)
        if self.text is not None:
            return data + self.pack(2, 0) + b"latency  \0" + self.text
        names = [name.encode() + b"\0" for name in buffers][1:]
        at = len(data) + sum(14 + len(name) for name in names) + 2
        body, places = b"", []
        for pages in buffers.values():
            places.append(self.pack(8, at + len(body)))
            body += self.flyrecord(at + len(body), pages, count)
        for name, place in zip(names, places[1:], strict=True):
            data += self.option(3, place + name)
        return data + self.pack(2, 0) + body

    def flyrecord(self, at: int, pages: Pages, count: int) -> bytes:
        """The table of the CPUs, then their pages."""
        start = self.aligned(at + 10 + 16 * count)
        table, body = b"flyrecord\0", b""
        for cpu in range(count):
            mine = pages.get(cpu, b"")
            table += self.pack(8, start + len(body)) + self.pack(8, len(mine))
            body += mine
        return table.ljust(start - at, b"\0") + body

    def aligned(self, at: int) -> int:
        return -(-at // self.page_size) * self.page_size

    def section(self, number: int, data: bytes) -> bytes:
        packed = self.compression != "none"
        if packed:
            data = self.packed(data)
        head = self.pack(2, number) + self.pack(2, int(packed)) + self.pack(4, 0)
        return head + self.pack(8, len(data)) + data

    def packed(self, data: bytes) -> bytes:
        small = zlib.compress(data)
        return self.pack(4, len(small)) + self.pack(4, len(data)) + small

    def chunks(self, pages: bytes) -> bytes:
        size = 2 * self.page_size
        pieces = [pages[at : at + size] for at in range(0, len(pages), size)]
        return self.pack(4, len(pieces)) + b"".join(map(self.packed, pieces))

    def version7(self, data: bytes, buffers: Mapping[str, Pages], count: int) -> bytes:
        data += self.compression.encode() + b"\0" + b"1.0\0"
        place = len(data)
        data += b"\0" * 8
        options = b""
        for number, content in (
            (16, self.header_info()), (17, self.pack(4, 0)), (18, self.formats()),
            (21, self.cmdlines()),
        ):  # fmt: skip
            options += self.option(number, self.pack(8, len(data)))
            data += self.section(number, content)
        options += b"".join(self.option(number, value) for number, value in self.options)
        options += self.option(8, self.pack(4, count))
        for name, pages in buffers.items():
            described, data = self.buffer(data, name, pages)
            options += described
        first = self.pack(8, len(data))
        tail = self.section(0, options + self.option(0, self.pack(8, 0)))
        return data[:place] + first + data[place + 8 :] + tail

    def buffer(self, data: bytes, name: str, pages: Pages) -> tuple[bytes, bytes]:
        """The option that describes a buffer, and the data with its section."""
        packed, at = self.compression != "none", len(data)
        described = self.pack(8, at) + name.encode() + b"\0local\0"
        if self.text is not None:
            chunks = self.pack(4, 1) + self.packed(self.text) if packed else self.text
            head = self.pack(2, 22) + self.pack(2, int(packed)) + self.pack(4, 0)
            return self.option(22, described), data + head + self.pack(8, len(chunks)) + chunks
        start = self.aligned(at + 16)
        body, cpus = b"", b""
        for cpu, mine in pages.items():
            stored = self.chunks(mine) if packed and mine else mine
            cpus += self.pack(4, cpu) + self.pack(8, start + len(body)) + self.pack(8, len(stored))
            body += stored
        data += self.pack(2, 3) + self.pack(2, int(packed)) + self.pack(4, 0)
        data += self.pack(8, start - at - 16 + len(body))
        described += self.pack(4, self.page_size) + self.pack(4, len(pages)) + cpus
        return self.option(3, described), data.ljust(start, b"\0") + body
