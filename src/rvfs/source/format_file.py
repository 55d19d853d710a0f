"""Reads the kernel's ``format`` texts: what an event's record looks like in memory.

A recording carries one such text per event, as ``events/SYSTEM/EVENT/format`` had it on
the machine that was recorded (Documentation/trace/events.rst); offsets and sizes in it are
that machine's. Type names play no part here: a number is its size and its sign.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rvfs.errors import InvalidInput
from rvfs.tracepoint import Field, Tracepoint, default_template

_NAME = re.compile(r"^name: (\S+)$", re.MULTILINE)
_ID = re.compile(r"^ID: (\d{1,5})$", re.MULTILINE)
_FIELD = re.compile(
    r"^\s*field:\s*(?P<declaration>[^;\n]*);\s*offset:(?P<offset>\d{1,9});"
    r"\s*size:(?P<size>\d{1,9});(?:\s*signed:(?P<signed>[01]);)?",
    re.MULTILINE,
)
_DECLARATION = re.compile(
    r"^(?P<dynamic>__data_loc |__rel_loc )?(?P<type>.*?)(?P<brackets>\[\])?\s*"
    r"(?P<name>\b[A-Za-z_]\w*)(?P<array>\[.*\])?$"
)
#: Sizes of a field that is one number.
NUMBER_SIZES = (1, 2, 4, 8)
#: Longer arrays are not looked into.
MAX_ELEMENTS, MAX_TEXT = 64, 1024
#: The numbers of formats are those of ``common_type``, which has 16 bits.
MAX_ID = 0xFFFF


@dataclass(frozen=True, slots=True)
class EventFormat:
    """The layout of one kind of record.

    ``number`` is its ``common_type``; ``common`` are the fields every event starts with;
    ``relative`` names the dynamic strings whose offset counts from the end of the field
    (``__rel_loc``) and not from the start of the record.
    """

    number: int
    tracepoint: Tracepoint
    common: Mapping[str, Field]
    relative: frozenset[str]


def parse_fields(text: str) -> tuple[list[Field], frozenset[str]]:
    """The fields of a format text (``header_page`` is one too), and which are ``__rel_loc``.

    Raises :class:`InvalidInput` for a declaration without a name.
    """
    fields, relative = [], set()
    for match in _FIELD.finditer(text):
        parts = _DECLARATION.match(match["declaration"])
        if parts is None:
            raise InvalidInput(f"cannot read field declaration {match['declaration']!r}")
        if parts["dynamic"] == "__rel_loc ":
            relative.add(parts["name"])
        size = int(match["size"])
        kind, place, dynamic = parts["type"].strip(), int(match["offset"]), bool(parts["dynamic"])
        signed, length = match["signed"] == "1", _length(parts["array"], kind, size)
        fields.append(Field(parts["name"], kind, place, size, signed, length, dynamic))
    return fields, frozenset(relative)


def _length(array: str | None, kind: str, size: int) -> int:
    """``[16]`` → 16; a symbolic length (``[TASK_COMM_LEN]``, older kernels) of a text is its
    size, of anything else not known: -1."""
    if array is None:
        return 0
    digits = array[1:-1]
    if digits.isdecimal() and len(digits) < 10:
        return int(digits)
    return size if kind.removeprefix("const ") == "char" else -1


def readable(field: Field) -> bool:
    """Whether the field is a text, a number or a short array of numbers; a struct is not."""
    if field.is_string:
        return field.size == 4 if field.dynamic else 0 < field.size <= MAX_TEXT
    count = field.count or 1
    return count <= MAX_ELEMENTS and field.size % count == 0 and field.size // count in NUMBER_SIZES


def _is_number(field: Field, size: int) -> bool:
    return not field.count and not field.dynamic and field.size == size


def parse_format(text: str, system: str) -> EventFormat:
    """The event that a format text describes, with the default print template.

    Fields that cannot be columns are left out. Raises :class:`InvalidInput` for a text
    without a name, an ID or ``common_type``.
    """
    name, number = _NAME.search(text), _ID.search(text)
    if name is None or number is None:
        raise InvalidInput(f"a format text of {system} has no name or no ID")
    fields, relative = parse_fields(text.partition("\nprint fmt:")[0])
    common = {field.name: field for field in fields if field.name.startswith("common_")}
    kind, pid = common.get("common_type"), common.get("common_pid")
    if kind is None or not _is_number(kind, 2) or kind.offset > 2 or int(number[1]) > MAX_ID:
        raise InvalidInput(f"the format of {system}:{name[1]} has no common_type")
    if pid is not None and not _is_number(pid, 4):
        raise InvalidInput(f"the format of {system}:{name[1]} has an impossible common_pid")
    own = tuple(f for f in fields if f.name not in common and readable(f))
    tracepoint = Tracepoint(system, name[1], own, default_template(own))
    return EventFormat(int(number[1]), tracepoint, common, relative)
