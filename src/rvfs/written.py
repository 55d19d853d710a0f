"""What may be written to the files of the tree: a boolean, a number, a word, an event.

Whatever else comes is refused with one sentence, and nothing has changed. Grammars:
kernel/trace/rv/rv.c, lib/kstrtox.c (kstrtobool) and kernel/trace/trace_events_inject.c.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from rvfs.errors import InvalidInput
from rvfs.event import Batch, batch_of
from rvfs.monitor import MAX_NAME
from rvfs.tracepoint import COMMON_FIELDS, Field, Tracepoint

#: What may be written to a list file in one go: a name and a newline.
MAX_COMMAND = MAX_NAME + 1
#: What may be written to ``inject`` in one go, and the longest string in it.
MAX_INJECT, MAX_STRING = 4095, 255
#: The kernel's isspace() knows one more than Python's.
_SPACE = b" \t\n\v\f\r\xa0"


def parse_bool(data: bytes) -> bool:
    """kstrtobool(): only the first two bytes count. Raises :class:`InvalidInput`."""
    word = data[:2].lower()
    if word[:1] in (b"y", b"t", b"1") or word == b"on":
        return True
    if word[:1] in (b"n", b"f", b"0") or word == b"of":
        return False
    raise InvalidInput(f"{_shown(data)} is no boolean (1, 0, y, n, t, f, on, off)")


def parse_number(data: bytes) -> int:
    """A number of 64 bits alone, as :func:`_to_int` reads it. Raises :class:`InvalidInput`."""
    try:
        value = _to_int(data.split(b"\0")[0].strip(_SPACE).decode())
    except ValueError:
        raise InvalidInput(f"{_shown(data)} is no number") from None
    if not -(1 << 63) <= value < 1 << 64:
        raise InvalidInput(f"{_shown(data)} does not fit in 64 bits")
    return value


def _to_int(written: str) -> int:
    """As kstrtoll() with base 0 reads it: decimal, ``0x``, or octal after ``0``."""
    if not written.isascii() or "_" in written:
        raise ValueError(written)
    digits = written.lstrip("+-").lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    return int(written, base)


def parse_command(data: bytes) -> str:
    """The word in a write to a list file, trimmed. Raises :class:`InvalidInput` for its length."""
    if not 0 < len(data) <= MAX_COMMAND:
        raise InvalidInput(f"a command has 1 to {MAX_COMMAND} bytes, not {len(data)}")
    return data.split(b"\0")[0].strip(_SPACE).decode(errors="surrogateescape")


_FIELD = re.compile(
    rb"""\s*(?P<name>[0-9A-Za-z_]+(?:\[\d+\])?)\s*=\s*(?:
         (?P<number>-?[0-9][0-9A-Za-z]*)(?=\s|$)
       | (?P<quote>["'])(?P<text>(?:\\.|(?!(?P=quote)).)*)(?P=quote) )""",
    re.VERBOSE | re.DOTALL,
)
#: Not fields of the event itself, but what every event has; the limits are the kernel's (64 bit).
_COMMON = {
    "common_cpu": range(1 << 13),
    "common_pid": range(1 << 22),
    "common_flags": range(1 << 8),
    "common_preempt_count": range(1 << 8),
}
#: Of these, what a batch has for itself.
_PLACE = "common_cpu", "common_pid"


@dataclass
class Injected:
    """One event as it was written: its own fields, and where and how it happens."""

    values: dict[str, object]
    common: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COMMON, 0))

    def batch(self, number: int, time: int) -> Batch:
        """The event as a batch of one; ``time`` in ns."""
        head = {name: value for name, value in self.common.items() if name not in _PLACE}
        cpu, pid = (self.common[name] for name in _PLACE)
        return batch_of([(number, time, cpu, pid, {**self.values, **head})], dict(self._comms()))

    def _comms(self) -> Iterable[tuple[int, str]]:
        """The names of tasks, from fields in pairs: ``comm`` and ``pid``, ``prev_comm`` …"""
        for name, value in self.values.items():
            pid = self.values.get(name.removesuffix("comm") + "pid")
            if name.endswith("comm") and isinstance(value, bytes) and value and pid:
                yield int(pid), value.decode(errors="replace")  # type: ignore[call-overload]


def parse_event(data: bytes, tracepoint: Tracepoint) -> Injected:
    """``field=1 field="text" …``; what is not named is 0 or empty.

    Numbers are decimal, hexadecimal (0x) or octal (0) and must fit the field; a string is cut
    to the length of its array. ``common_cpu`` and ``common_pid`` say where the event happens,
    ``common_flags`` and ``common_preempt_count`` how (default 0). Raises
    :class:`InvalidInput`, :class:`UnknownName`.
    """
    if len(data) > MAX_INJECT:
        raise InvalidInput(f"an event has {MAX_INJECT} bytes at most, not {len(data)}")
    line = data.split(b"\0")[0].strip(_SPACE)
    event = Injected(
        {name: b"" if column.is_string else 0 for name, column in tracepoint.by_name.items()}
    )
    place = 0
    while place < len(line):
        match = _FIELD.match(line, place)
        if match is None:
            raise InvalidInput(f'expected field=number or field="text" at {_shown(line[place:])}')
        place = match.end()
        _put(event, match, tracepoint)
    return event


def _put(event: Injected, match: re.Match[bytes], tracepoint: Tracepoint) -> None:
    name = match["name"].decode()
    if name in _COMMON:
        event.common[name] = _number(name, match, _COMMON[name])
        return
    if name in COMMON_FIELDS:
        raise InvalidInput(f"{name} cannot be told: sched_switch tells it")
    declared = tracepoint.field(name)
    if declared.is_string:
        event.values[name] = _string(declared, match)
    else:
        event.values[name] = _number(name, match, _range(declared))


def _range(declared: Field) -> range:
    bits = 8 * declared.size
    return range(-(1 << bits - 1), 1 << bits - 1) if declared.signed else range(1 << bits)


def _number(name: str, match: re.Match[bytes], allowed: range) -> int:
    if match["number"] is None:
        raise InvalidInput(f"field {name} is a number, not a string")
    written = match["number"].decode()
    try:
        value = _to_int(written)
    except ValueError:
        raise InvalidInput(f"field {name}: {written!r} is no number") from None
    if value not in allowed:
        raise InvalidInput(
            f"field {name}: {written} is outside {allowed.start}..{allowed.stop - 1}"
        )
    return value


def _string(declared: Field, match: re.Match[bytes]) -> bytes:
    if match["quote"] is None:
        raise InvalidInput(f"field {declared.name} is a string and wants quotes")
    value: bytes = match["text"]
    if len(value) > MAX_STRING:
        raise InvalidInput(f"field {declared.name}: a string has {MAX_STRING} bytes at most")
    return value if declared.dynamic else value[: declared.count - 1]


def _shown(data: bytes) -> str:
    """What was written, short enough for a message."""
    return repr(data[:40].decode(errors="replace")) + ("…" if len(data) > 40 else "")
