"""Tracepoints: what an event is called, which fields it has, how it prints.

A tracepoint's print template is the one description of its text. From it come the
line in ``trace``, the ``print fmt`` of its ``format`` file and the pattern that reads
such a line back. A template is literal text with ``{field}``, ``{field:codec}`` or
``{field[0]:codec}`` (an element of an array); the codecs are a table, :mod:`rvfs.codec`.

Formats follow the kernel's ``events/SYSTEM/EVENT/format`` files
(Documentation/trace/events.rst); the catalogue of those that the shipped monitors bind
is ``tracepoints.toml`` beside this file.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources

from rvfs.codec import CODECS, Codec
from rvfs.errors import InvalidInput, UnknownName
from rvfs.news import News

#: C type as format files spell it: (bytes, signed), on a 64-bit little-endian machine.
C_TYPES: Mapping[str, tuple[int, bool]] = {
    "bool": (1, False),
    "char": (1, True),
    "unsigned char": (1, False),
    "short": (2, True),
    "unsigned short": (2, False),
    "int": (4, True),
    "unsigned int": (4, False),
    "pid_t": (4, True),
    "u32": (4, False),
    "s32": (4, True),
    "long": (8, True),
    "unsigned long": (8, False),
    "u64": (8, False),
    "void *": (8, False),
}

#: The system whose tracepoints come and go: a breakpoint that opens brings one of its name.
HWBP = "hwbp"

#: The fields every event starts with.
COMMON_SIZE = 8
COMMON_TEXT = (
    "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
    "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
    "\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"
    "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n"
)

_DECLARATION = re.compile(r"^(?P<type>.*\S)\s+(?P<name>\w+)(?P<array>\[\d*\])?$")
_SLOT = re.compile(r"\{(\w+(?:\[\d+\])?)(?::([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event, as its format file declares it.

    ``type`` is the C spelling without the array part; ``count`` is the array length (0 for
    a scalar); ``offset`` and ``size`` are in bytes; ``dynamic`` is a ``__data_loc`` string,
    whose 4 stored bytes hold length << 16 | offset.

    What a subscriber names is a column: a number or a text. An array of numbers is one
    column per element, ``args[0]``.
    """

    name: str
    type: str
    offset: int
    size: int
    signed: bool
    count: int = 0
    dynamic: bool = False

    @property
    def is_string(self) -> bool:
        """Character arrays and dynamic strings; their column holds ``bytes``."""
        return self.dynamic or (self.count > 0 and self.type.removeprefix("const ") == "char")

    @property
    def columns(self) -> "Iterator[Field]":
        """The field itself, or the elements of an array of numbers."""
        if not self.count or self.is_string:
            yield self
            return
        size = self.size // self.count
        for i in range(self.count):
            name, offset = f"{self.name}[{i}]", self.offset + i * size
            yield Field(name, self.type, offset, size, self.signed)

    @property
    def declaration(self) -> str:
        """The C declaration, as format files print it."""
        if self.dynamic:
            return f"__data_loc {self.type}[] {self.name}"
        return f"{self.type} {self.name}" + (f"[{self.count}]" if self.count else "")


#: The priority of the task that was running; the engine knows it from sched_switch.
COMMON_PRIO = "common_prio"
#: Columns that every tracepoint has. A batch has the task and the CPU for itself; the CPU
#: stands in no record.
COMMON_FIELDS: Mapping[str, Field] = {
    field.name: field
    for field in (
        Field("common_flags", "unsigned char", 2, 1, False),
        Field("common_preempt_count", "unsigned char", 3, 1, False),
        Field("common_pid", "int", 4, 4, True),
        Field("common_cpu", "int", 0, 0, True),
        Field(COMMON_PRIO, "int", 0, 0, True),
    )
}


def _lay_out(declarations: Iterable[str]) -> Iterator[Field]:
    """Fields with offsets, aligned as a C compiler would lay out the record."""
    offset = COMMON_SIZE
    for declaration in declarations:
        dynamic = declaration.startswith("__data_loc ")
        match = _DECLARATION.match(declaration.removeprefix("__data_loc "))
        if match is None:
            raise InvalidInput(f"cannot read field declaration {declaration!r}")
        c_type = match["type"].removesuffix("[]")
        if c_type not in C_TYPES:
            raise InvalidInput(f"field declaration {declaration!r} has the unknown type {c_type!r}")
        size, signed = (4, False) if dynamic else C_TYPES[c_type]
        count = int(match["array"][1:-1]) if match["array"] else 0
        offset = -(-offset // size) * size
        width = size * max(count, 1)
        yield Field(match["name"], c_type, offset, width, signed, count, dynamic)
        offset += width


@dataclass(frozen=True)
class Tracepoint:
    """A kind of event: ``system:name``, its fields, and the template of its text."""

    system: str
    name: str
    fields: tuple[Field, ...]
    template: str

    @classmethod
    def declare(
        cls, system: str, name: str, fields: Iterable[str], template: str | None = None
    ) -> "Tracepoint":
        """A tracepoint from C declarations (``"pid_t pid"``, ``"char comm[16]"``).

        Without a template it prints ``field=value`` for each field. Raises
        :class:`InvalidInput` for a declaration or template that cannot be read.
        """
        laid_out = tuple(_lay_out(fields))
        tracepoint = cls(system, name, laid_out, template or default_template(laid_out))
        for slot, _codec in tracepoint.slots:
            tracepoint.field(slot)
        return tracepoint

    @property
    def full_name(self) -> str:
        return f"{self.system}:{self.name}"

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """Its own columns; an array of numbers stands there element by element."""
        return {column.name: column for f in self.fields for column in f.columns}

    def field(self, name: str) -> Field:
        """The column of that name, its own or a common one. Raises :class:`UnknownName`."""
        found = self.by_name.get(name) or COMMON_FIELDS.get(name)
        if found is None:
            known = ", ".join(self.by_name) or "none"
            raise UnknownName(f"{self.full_name} has no field {name!r} (it has: {known})")
        return found

    @cached_property
    def slots(self) -> tuple[tuple[str, Codec], ...]:
        """(field, codec) in the order of the template."""
        return tuple(
            (match[1], self._codec(match[1], match[2])) for match in _SLOT.finditer(self.template)
        )

    def _codec(self, name: str, codec: str | None) -> Codec:
        if codec is None:
            chosen = self.by_name.get(name)
            codec = "d" if chosen is None or not chosen.is_string else "s"
            if chosen is not None and chosen.dynamic:
                codec = "str"
        if codec not in CODECS:
            raise InvalidInput(f"{self.full_name}: unknown codec {codec!r} in its print template")
        return CODECS[codec]

    @cached_property
    def literals(self) -> tuple[str, ...]:
        """The text around the slots: one more than there are slots."""
        return tuple(_SLOT.split(self.template)[::3])

    def text(self, values: Mapping[str, object]) -> str:
        """The event's text, as it stands behind ``EVENT:`` in ``trace``."""
        parts = [self.literals[0]]
        for (name, codec), literal in zip(self.slots, self.literals[1:], strict=True):
            parts += (codec.to_text(values[name]), literal)
        return "".join(parts)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches that text; one group per slot."""
        parts = [re.escape(self.literals[0])]
        for (_, codec), literal in zip(self.slots, self.literals[1:], strict=True):
            parts.append(f"({codec.pattern}){re.escape(literal)}")
        return re.compile("".join(parts))

    def format_text(self, number: int) -> str:
        """The content of the tracepoint's ``format`` file, in the kernel's syntax."""
        lines = [f"name: {self.name}\nID: {number}\nformat:\n", COMMON_TEXT, "\n"]
        lines += [
            f"\tfield:{f.declaration};\toffset:{f.offset};\tsize:{f.size};\tsigned:{int(f.signed)};\n"
            for f in self.fields
        ]
        c_format = self.literals[0]
        arguments = ""
        for (name, codec), literal in zip(self.slots, self.literals[1:], strict=True):
            c_format += codec.c_format + literal
            arguments += ", " + codec.c_argument.replace("{name}", name)
        lines.append(f'\nprint fmt: "{c_format}"{arguments}\n')
        return "".join(lines)


def default_template(fields: Iterable[Field]) -> str:
    """``a={a} b={b[0]},{b[1]}``, for tracepoints whose own text is not known."""
    return " ".join(
        f"{f.name}=" + ",".join(f"{{{column.name}}}" for column in f.columns) for f in fields
    )


@dataclass
class Vocabulary:
    """The tracepoints of one running rvfs, each with a small number.

    The number is the ``id`` file, and the ``tp`` column of a batch. A tracepoint that is
    added again keeps its number; a source that carries formats of its own (a recording)
    so replaces the catalogue's.
    """

    _by_name: dict[str, int] = field(default_factory=dict)
    _tracepoints: dict[int, Tracepoint] = field(default_factory=dict)
    _next: int = 1
    news: News = field(default_factory=News, repr=False, compare=False)

    def add(self, tracepoint: Tracepoint) -> int:
        """Make it known, or replace what was known under its name; its number."""
        number = self._by_name.get(tracepoint.full_name)
        if number is None:
            number, self._next = self._next, self._next + 1
            self._by_name[tracepoint.full_name] = number
        self._tracepoints[number] = tracepoint
        self.news.tell()
        return number

    def remove(self, full_name: str) -> None:
        """Forget a tracepoint; its number is not used again."""
        del self._tracepoints[self._by_name.pop(full_name)]
        self.news.tell()

    def number(self, full_name: str) -> int:
        """The number of ``system:name``. Raises :class:`UnknownName`."""
        try:
            return self._by_name[full_name]
        except KeyError:
            raise UnknownName(f"there is no tracepoint {full_name!r}") from None

    def __getitem__(self, number: int) -> Tracepoint:
        return self._tracepoints[number]

    def __contains__(self, full_name: object) -> bool:
        return full_name in self._by_name

    def __iter__(self) -> Iterator[tuple[int, Tracepoint]]:
        return iter(self._tracepoints.items())

    def __len__(self) -> int:
        return len(self._tracepoints)


def catalogue() -> tuple[Tracepoint, ...]:
    """The tracepoints that rvfs knows by itself, in the order of ``tracepoints.toml``."""
    text = resources.files("rvfs").joinpath("tracepoints.toml").read_text()
    return tuple(
        Tracepoint.declare(system, name, entry["fields"], entry.get("print"))
        for system, entries in tomllib.loads(text).items()
        for name, entry in entries.items()
    )
