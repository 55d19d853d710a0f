"""What the kernel may keep without asking again, and how it is taken back.

Two things are lent, for as long as they hold: the *attributes* of a node (its size above all;
what is in it is never kept) and the *names* in a folder. ``node.news`` tells of
its changes, and before anybody else hears of one it is taken back:

=================  ================  =====================================================
``node.news``      attributes        names in it, if it is a folder
=================  ================  =====================================================
None               not lent          not lent: nobody would tell of a change
:data:`NEVER`      lent              lent
else               lent, taken back  lent, and each that stands for something else is
                   at each change    *dropped*; a listing that is another has another mtime
=================  ================  =====================================================

The rules that make this exact:

1. Attributes that may change are lent only in answer to getattr. The kernel has the inode for
   certain then, and if they are taken back before it has seen the answer it drops the answer;
   an inode it has not made yet, as at a lookup, would be missed.
2. And only when the kernel has them already. It notes that they hold first, and what they are
   then (fuse_change_attributes): who looks in between, on another CPU, is shown the old ones.
   So after a change they are told, but not lent, until they must have arrived. It is sure of
   who asks for the third time: its first question may have begun before the change, then the
   kernel drops the answer; its second began after the first, and it has the answer. For those
   who ask but once, :data:`ARRIVED` is taken to be as long as that.
3. While a file is open for writing nothing of it is lent: the kernel sets its size by itself
   then, at O_TRUNC and after a write, at a time that we do not see. A file that was ever open
   for writing is lent by rule 2, even if it never changes.
4. Attributes are taken back at once, wherever the change comes from: that waits for nothing.
   Dropping a name waits for the kernel's lock of its folder, and who has that may wait for us.
   So names are only collected here, in :attr:`Leases.dropped`.
5. Names that do not exist are not lent.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from time import monotonic, time_ns
from typing import NamedTuple
from weakref import WeakKeyDictionary

from rvfs.files import Directory, Node
from rvfs.inodes import Inodes
from rvfs.news import NEVER, News

#: Seconds: until it is taken back.
LENT, NOT_LENT = 1e9, 0.0
#: Seconds in which whoever was answered has had a turn.
ARRIVED = 1.0


class Answers:
    """What was told of a node since its last change, and not lent."""

    def __init__(self) -> None:
        self._threads: Counter[int] = Counter()
        self._since, self._periods = monotonic(), 0
        self._arrived = False

    def have_arrived(self, thread: int) -> bool:
        """Whether the kernel has them; a thread asks now, 0 if nobody knows which."""
        if not self._arrived:
            self._threads[thread] += thread != 0
            if monotonic() > self._since + ARRIVED:
                self._since = monotonic()
                self._periods += 1
            self._arrived = self._threads[thread] > 2 or self._periods > 1
        return self._arrived


class Name(NamedTuple):
    """A name that no longer stands for that inode."""

    folder: int
    name: str
    inode: int


class Leases:
    """``take_back`` makes the kernel ask for the attributes of an inode again, and never waits;
    ``rung`` is called when names were added to ``dropped`` (those in a folder before it)."""

    def __init__(
        self, inodes: Inodes, take_back: Callable[[int], None], rung: Callable[[], None]
    ) -> None:
        self.dropped: list[Name] = []
        self._inodes, self._take_back, self._rung = inodes, take_back, rung
        self._attributes: dict[News, set[int]] = {}
        self._folders: dict[News, set[int]] = {}
        self._answers: dict[int, Answers] = {}
        self._writing: Counter[int] = Counter()
        self._written: set[int] = set()
        self._listings: WeakKeyDictionary[Directory, Mapping[str, Node]] = WeakKeyDictionary()

    # -- lending ---------------------------------------------------------------------------

    def told(self, node: Node, inode: int) -> float:
        """How long the attributes hold in any answer but that to getattr, in seconds."""
        lent = node.news is NEVER and not node.owner.gone and inode not in self._written
        return LENT if lent else NOT_LENT

    def asked(self, node: Node, inode: int, thread: int) -> float:
        """The same in the answer to getattr; ``thread`` asks, 0 if nobody knows which."""
        if node.news is None or node.owner.gone:
            return NOT_LENT
        if node.news is not NEVER:
            self._hear(node.news)
            self._attributes[node.news].add(inode)
        elif inode not in self._written:
            return LENT
        if inode in self._writing:
            return NOT_LENT
        if inode not in self._answers:
            self._answers[inode] = Answers()
        return LENT if self._answers[inode].have_arrived(thread) else NOT_LENT

    def name(self, folder: Directory, inode: int) -> float:
        """How long a name in a folder holds, in seconds."""
        if folder.news is None:
            return NOT_LENT
        if folder.news is not NEVER:
            self._hear(folder.news)
            self._folders[folder.news].add(inode)
        return LENT

    def _hear(self, news: News) -> None:
        if news not in self._attributes:
            self._attributes[news], self._folders[news] = set(), set()
            news.listen(partial(self._changed, news))

    def mtime(self, folder: Directory) -> int | None:
        """When the listing was first seen as it is, in ns; None if it has always been so.

        By this the kernel knows whether the listing that it keeps still holds.
        """
        if folder.news is not NEVER:
            before, now = self._listings.get(folder), dict(folder.children())
            if before is not None and before != now:
                folder.mtime = max(time_ns(), (folder.mtime or 0) + 1)
            self._listings[folder] = now
        return folder.mtime

    # -- taking back -----------------------------------------------------------------------

    def _changed(self, news: News) -> None:
        told, self._attributes[news] = self._attributes[news], set()
        for inode in told:
            self._answers.pop(inode, None)
            self._take_back(inode)
        before = len(self.dropped)
        for folder in tuple(self._folders[news]):
            self._check_names(folder, news)
        if len(self.dropped) > before:
            self._rung()

    def _check_names(self, folder: int, news: News) -> None:
        if folder not in self._inodes:
            self._folders[news].discard(folder)
            return
        node = self._inodes[folder]
        assert isinstance(node, Directory)
        now = {} if node.owner.gone else node.children()
        for name, inode in tuple(self._inodes.names(folder).items()):
            if now.get(name) is not self._inodes[inode]:
                self.dropped += self._below(Name(folder, name, inode))

    def _below(self, top: Name) -> Iterator[Name]:
        """A name and all below it, last what is above."""
        for name, inode in tuple(self._inodes.names(top.inode).items()):
            yield from self._below(Name(top.inode, name, inode))
        self._take_back(top.inode)
        yield top

    def writing(self, inode: int) -> None:
        """A file is being opened for writing."""
        self._writing[inode] += 1
        if self._answers.pop(inode, None) or inode not in self._written:
            self._take_back(inode)
        self._written.add(inode)

    def wrote(self, inode: int) -> None:
        """The opposite: it was closed."""
        self._writing[inode] -= 1
        if not self._writing[inode]:
            del self._writing[inode]

    def forgotten(self, inode: int) -> None:
        """The kernel has nothing of it any more."""
        self._answers.pop(inode, None)
        self._written.discard(inode)
