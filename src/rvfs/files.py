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
the descriptor is closed: all that was written to it, in the order in which it came. The
grammars of what is written are in ``written.py``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from rvfs.errors import Gone, InvalidInput, NotPermitted
from rvfs.news import NEVER, News
from rvfs.written import parse_bool, parse_command, parse_number

Key = TypeVar("Key")

READ_ONLY, READ_WRITE, WRITE_ONLY, FOLDER = 0o440, 0o640, 0o200, 0o750

#: What a text that is taken whole may have.
MAX_DOCUMENT = 1 << 20


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
