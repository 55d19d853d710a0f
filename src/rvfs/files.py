"""The files of the tree: what each kind says when it is read and does when it is written.

=========  ==========================  =============================  ====================
kind       read                        write                          O_TRUNC
=========  ==========================  =============================  ====================
text       its text                    EINVAL                         nothing
flag       ``0`` or ``1``, newline     a boolean                      nothing
number     a number, newline           a number, decimal or 0x        nothing
listing    one entry per line          EINVAL                         nothing
command    one entry per line          one command, 33 bytes at most  as its maker says
inject     EPERM                       ``field=value field="text"``   nothing
document   its text                    a part of a new text           it begins anew
=========  ==========================  =============================  ====================

One write is one command, wherever the descriptor stands; but a document is taken whole, when
the descriptor is closed: all that was written to it, in the order in which it came. Grammars:
kernel/trace/rv/rv.c, lib/kstrtox.c (kstrtobool) and kernel/trace/trace_events_inject.c.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from rvfs.errors import Gone, InvalidInput, NotPermitted
from rvfs.event import Batch, batch_of
from rvfs.monitor import MAX_NAME
from rvfs.news import NEVER, News
from rvfs.tracepoint import COMMON_FIELDS, Field, Tracepoint

Key = TypeVar("Key")

READ_ONLY, READ_WRITE, WRITE_ONLY, FOLDER = 0o440, 0o640, 0o200, 0o750

#: What may be written to a list file in one go: a name and a newline.
MAX_COMMAND = MAX_NAME + 1
#: What may be written to ``inject`` in one go, and the longest string in it.
MAX_INJECT, MAX_STRING = 4095, 255
#: What a text that is taken whole may have.
MAX_DOCUMENT = 1 << 20
#: The kernel's isspace() knows one more than Python's.
_SPACE = b" \t\n\v\f\r\xa0"


class Owner(Protocol):
    """What a file belongs to; a monitor in the registry is one."""

    @property
    def gone(self) -> bool:
        """Whether it was removed."""

    def hold(self) -> None:
        """A file of it was opened."""

    def release(self) -> None:
        """A file of it was closed."""


class Permanent:
    """The owner of what is never removed."""

    gone = False

    def hold(self) -> None:
        pass

    def release(self) -> None:
        pass


PERMANENT = Permanent()


@dataclass(eq=False, kw_only=True)
class Node:
    """A place in the tree. ``path`` is relative to its root, for messages.

    ``mode`` (permission bits), ``uid``, ``gid`` and ``mtime`` (ns) are what chmod, chown and
    touch change; None is whatever the mount was given. ``news`` tells of every change of its
    size (a folder: of the names in it), :data:`NEVER` of none; where it is None nobody tells.
    """

    path: str
    mode: int
    uid: int | None = None
    gid: int | None = None
    mtime: int | None = None
    owner: Owner = PERMANENT
    news: News | None = None

    def check(self) -> None:
        """Raises :class:`Gone` when what it belongs to was removed."""
        if self.owner.gone:
            raise Gone(f"{self.path} was removed")


@dataclass(eq=False, kw_only=True)
class Directory(Node):
    """``children`` makes the current listing; the nodes in it stay the same objects.

    ``make`` is what mkdir of a name in it does, ``remove`` what rmdir of it does; None where the
    tree's shape is fixed.
    """

    children: Callable[[], Mapping[str, Node]]
    mode: int = FOLDER
    make: Callable[[str], None] | None = None
    remove: Callable[[], None] | None = None

    @property
    def nlink(self) -> int:
        """2 and one per sub-directory, which find(1) relies on."""
        return 2 + sum(isinstance(child, Directory) for child in self.children().values())


class Listing(Generic[Key]):
    """Nodes for a collection that changes: made when a key is first seen, dropped with it."""

    def __init__(
        self, keys: Callable[[], Mapping[str, Key]], make: Callable[[Key], Node],
        fixed: Mapping[str, Node] | None = None,
    ) -> None:  # fmt: skip
        self._keys, self._make, self._fixed = keys, make, fixed or {}
        self._nodes: dict[Key, Node] = {}

    def __call__(self) -> Mapping[str, Node]:
        keys = self._keys()
        self._nodes = {key: self._nodes.get(key) or self._make(key) for key in keys.values()}
        return {**{name: self._nodes[key] for name, key in keys.items()}, **self._fixed}


def _nothing() -> None:
    pass


@dataclass(eq=False, kw_only=True)
class File(Node):
    """A regular file; ``read`` gives all of it, ``write`` takes one command.

    Both raise from :mod:`rvfs.errors`. ``truncate`` is what opening it for writing with
    O_TRUNC does; ``measure`` its length, for files that need not be read for that.
    """

    read: Callable[[], bytes]
    write: Callable[[bytes], None]
    truncate: Callable[[], None] = _nothing
    measure: Callable[[], int] | None = None

    @property
    def size(self) -> int:
        """What a read would give now, in bytes; 0 when it may not be read."""
        if self.owner.gone:
            return 0
        return self.measure() if self.measure else len(self.read())


@dataclass(eq=False, kw_only=True)
class Document(File):
    """A file whose ``write`` takes a whole text, of at most ``limit`` bytes."""

    limit: int = MAX_DOCUMENT


# -- the kinds -----------------------------------------------------------------------------


def text(
    path: str, read: Callable[[], bytes], *,
    owner: Owner = PERMANENT, measure: Callable[[], int] | None = None, news: News | None = None,
) -> File:  # fmt: skip
    """A file that cannot be written."""

    def refuse(_data: bytes) -> None:
        raise InvalidInput("it cannot be written")

    return File(
        path=path, mode=READ_ONLY, read=read, write=refuse, owner=owner, measure=measure, news=news
    )


def flag(
    path: str, read: Callable[[], bool], write: Callable[[bool], None], *,
    owner: Owner = PERMANENT,
) -> File:  # fmt: skip
    """A switch; two bytes, whatever it says."""

    def show() -> bytes:
        return b"1\n" if read() else b"0\n"

    def put(data: bytes) -> None:
        write(parse_bool(data))

    return File(path=path, mode=READ_WRITE, read=show, write=put, owner=owner, news=NEVER)


def number(
    path: str, read: Callable[[], int], write: Callable[[int], None], *, owner: Owner = PERMANENT
) -> File:
    """A parameter."""

    def put(data: bytes) -> None:
        write(parse_number(data))

    return File(path=path, mode=READ_WRITE, read=lambda: b"%d\n" % read(), write=put, owner=owner)


def listing(
    path: str, read: Callable[[], Iterable[str]], *,
    owner: Owner = PERMANENT, news: News | None = None,
) -> File:  # fmt: skip
    """A list that cannot be written."""
    return text(path, lambda: _lines(read()), owner=owner, news=news)


def command(
    path: str, read: Callable[[], Iterable[str]], write: Callable[[str], None], *,
    owner: Owner = PERMANENT, truncate: Callable[[], None] = _nothing, news: News | None = None,
) -> File:  # fmt: skip
    """A list that takes commands; an empty one does nothing."""

    def run(data: bytes) -> None:
        if word := parse_command(data):
            write(word)

    return File(
        path=path, mode=READ_WRITE, read=lambda: _lines(read()), write=run, owner=owner,
        truncate=truncate, news=news,
    )  # fmt: skip


def inject(path: str, write: Callable[[bytes], None], *, owner: Owner = PERMANENT) -> File:
    """A file that only takes: events, requests."""

    def refuse() -> bytes:
        raise NotPermitted("it cannot be read")

    return File(
        path=path, mode=WRITE_ONLY, read=refuse, write=write, owner=owner, measure=lambda: 0,
        news=NEVER,
    )  # fmt: skip


def document(
    path: str, read: Callable[[], str], write: Callable[[bytes], None], *,
    owner: Owner = PERMANENT, news: News | None = None,
) -> Document:  # fmt: skip
    """A text that is replaced as a whole."""
    return Document(
        path=path, mode=READ_WRITE, read=lambda: read().encode(), write=write, owner=owner,
        news=news,
    )  # fmt: skip


def _lines(entries: Iterable[str]) -> bytes:
    return "".join(f"{entry}\n" for entry in entries).encode()


# -- what is written -----------------------------------------------------------------------


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
