"""The tree as a FUSE file system: inode ↔ node, errors → errno. Nobody else knows pyfuse3.

What the kernel is told, and why:

1. Sizes are exact and reads are direct (``direct_io``), nothing is kept in the page cache:
   ``cat`` of GNU, busybox and uutils then all read the same bytes.
2. Attributes, names and listings are kept by the kernel for as long as they hold; what lends
   them and takes them back is in ``leases.py``.
3. One write is one command; the offset means nothing (it is wrong after O_APPEND).
4. What is read comes from one snapshot per open file, made anew at offset 0.
5. ``flush`` is what close(2) returns, and so what became of a text that is taken whole; for
   other files ``_libfuse.c`` keeps the kernel from asking.
   ``access`` and ``getxattr`` are left unimplemented: the kernel then stops asking.
6. An inode of ``trace_pipe`` that has been opened is not given to the next one who looks the
   name up: so its number tells whose descriptor it is (see ``readers.py``).
7. ``opendir`` is left unimplemented too, where ``_libfuse.c`` is in force: listings are kept
   then, and the descriptor of a folder is its inode.

No handler lets anything out but an errno (:func:`_handler`): an exception would end the mount.
"""

import errno
import itertools
import logging
import os
import posixpath
import stat
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from types import CoroutineType, ModuleType
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import trio

from rvfs import _loop
from rvfs.errors import Interrupted, MountError, RvfsError, WouldBlock
from rvfs.files import Directory, Document, File, Node
from rvfs.handles import OpenDocument, OpenFile, OpenPipe
from rvfs.inodes import ROOT, Inodes
from rvfs.leases import NOT_LENT, Leases, Name
from rvfs.news import NEVER
from rvfs.pipe import TracePipe
from rvfs.tree import Tree


def _load_libfuse() -> ModuleType | None:
    """What stands between pyfuse3 and libfuse, in sight of both; None where it was not built."""
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_GLOBAL)
    try:
        from rvfs import _libfuse
    except ImportError:
        return None
    finally:
        sys.setdlopenflags(flags)
    return _libfuse


_libfuse = _load_libfuse()  # before pyfuse3, or it would not be found
import pyfuse3  # noqa: E402
from pyfuse3 import FileInfo, FUSEError  # noqa: E402

log = logging.getLogger(__name__)

#: Requests that may wait at the same time; each reader of ``trace_pipe`` is one.
MAX_WAITING = 100_000
#: Bytes of a name, as in tracefs.
NAME_MAX = 255
#: What an open for writing has.
WRITES = os.O_WRONLY | os.O_RDWR
#: How every file is opened.
DIRECT_IO, KEEP_CACHE = True, False
#: The places of ``.`` and ``..`` in a listing; inodes, the places of the others, are above.
HERE, PARENT = ROOT, ROOT + 1

P = ParamSpec("P")
R = TypeVar("R")
Handler = Callable[Concatenate["Operations", P], Coroutine[Any, Any, R]]
#: A method that answers at once, or after having waited.
Method = Callable[Concatenate["Operations", P], R | Coroutine[Any, Any, R]]


def _handler(doing: str, *, ends_names: bool = False) -> Callable[[Method[P, R]], Handler[P, R]]:
    """A request handler; its first argument is an inode or an open file.

    Those that never wait are plain functions: a coroutine less for each request. ``ends_names``
    says that names may end by it, which the kernel must have dropped when the request is
    answered; and that the kernel holds no folder meanwhile, or it could not drop them.
    """

    def decorate(method: Method[P, R]) -> Handler[P, R]:
        @wraps(method)
        async def guarded(self: "Operations", *args: Any) -> Any:
            try:
                result: Any = method(self, *args)  # type: ignore[call-arg]
                if type(result) is CoroutineType:
                    result = await result
                if ends_names and self._leases.dropped:
                    await self.drop_names()
                return result
            except FUSEError:
                raise
            except Exception as error:
                raise self._refused(doing, args[0], error) from None

        return cast(Handler[P, R], guarded)

    return decorate


def _refusal(number: int) -> Any:
    """A handler for what tracefs refuses, whoever asks."""

    async def refuse(*_: object) -> None:
        raise FUSEError(number)

    return refuse


@dataclass(frozen=True)
class Ownership:
    """What chown has not changed belongs to these."""

    uid: int
    gid: int


class Operations(pyfuse3.Operations):
    """The request handlers. Which errno tracefs answers with is from experiment."""

    supports_dot_lookup = False

    def __init__(self, tree: Tree, pipe: TracePipe, ownership: Ownership) -> None:
        super().__init__()
        self._tree, self._pipe, self._ownership = tree, pipe, ownership
        self._made = time.time_ns()
        # Inodes and open files are numbered in one sequence, so that a number names either.
        self._numbers = itertools.count(PARENT + 1)
        self._inodes = Inodes(tree.root, self._numbers)
        self._leases = Leases(self._inodes, _take_back, self._ring)
        self._bell = trio.Event()
        self._late: list[Name] = []
        self.keeps_listings = False  # whether _libfuse.c is in force
        self._open: dict[int, OpenFile | OpenPipe] = {}

    def path(self, number: int) -> str:
        """The path of an inode or of an open file, for messages; never fails."""
        if number in self._open:
            return self._open[number].node.path
        return self._inodes[number].path or "/" if number in self._inodes else f"number {number}"

    def _refused(self, doing: str, number: int, error: Exception) -> FUSEError:
        """The errno for what was raised; the log has the sentence."""
        if isinstance(error, WouldBlock | Interrupted):
            return FUSEError(error.errno)
        if isinstance(error, RvfsError):
            log.warning("%s %s: %s", doing, self.path(number), error)
            return FUSEError(error.errno)
        log.error("%s %s failed", doing, self.path(number), exc_info=error)
        return FUSEError(errno.EIO)

    # -- names and attributes ----------------------------------------------------------------

    @_handler("lookup in")
    def lookup(
        self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        if len(name) > NAME_MAX:
            raise FUSEError(errno.ENAMETOOLONG)
        folder = self._folder(parent_inode)
        child = folder.children().get(os.fsdecode(name))
        if child is None:
            raise FUSEError(errno.ENOENT)
        self._inodes.looked_up(child, parent_inode, os.fsdecode(name))
        return self._entry(child, folder, parent_inode)

    def _entry(self, node: Node, folder: Directory, inode: int) -> pyfuse3.EntryAttributes:
        """What a name in a folder stands for; ``inode`` is the folder's."""
        number = self._inodes.number(node)
        attr = self._attributes(node, number, self._leases.told(node, number))
        if node is not self._tree.pipe:
            attr.entry_timeout = self._leases.name(folder, inode)
        return attr

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        for inode, lookups in inode_list:
            if self._inodes.forget(inode, lookups):
                self._leases.forgotten(inode)

    @_handler("stat of")
    def getattr(self, inode: int, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        node = self._inodes[inode]
        return self._attributes(node, inode, self._leases.asked(node, inode, ctx.pid))

    @_handler("change of")
    def setattr(
        self, inode: int, attr: pyfuse3.EntryAttributes, fields: pyfuse3.SetattrFields,
        fh: int | None, ctx: pyfuse3.RequestContext,
    ) -> pyfuse3.EntryAttributes:  # fmt: skip
        """chmod, chown and touch are kept; truncate(2) succeeds and does nothing, but that
        ftruncate(2) to 0 makes a text that is being written begin anew."""
        node = self._inodes[inode]
        if fields.update_size and attr.st_size == 0 and fh is not None:
            self._open[fh].truncate()
        if fields.update_mode:
            node.mode = stat.S_IMODE(attr.st_mode)
        if fields.update_uid:
            node.uid = attr.st_uid
        if fields.update_gid:
            node.gid = attr.st_gid
        if fields.update_mtime:
            node.mtime = attr.st_mtime_ns
        return self._attributes(node, inode, self._leases.told(node, inode))

    def _attributes(self, node: Node, inode: int, lent: float) -> pyfuse3.EntryAttributes:
        """``lent`` is for how many seconds."""
        attr = pyfuse3.EntryAttributes()
        attr.st_ino = inode
        attr.entry_timeout, attr.attr_timeout = NOT_LENT, lent
        attr.st_uid = self._ownership.uid if node.uid is None else node.uid
        attr.st_gid = self._ownership.gid if node.gid is None else node.gid
        attr.st_atime_ns = attr.st_ctime_ns = self._made
        attr.st_mtime_ns = node.mtime or self._made
        if isinstance(node, Directory):
            attr.st_mtime_ns = self._leases.mtime(node) or self._made
            attr.st_mode, attr.st_nlink = stat.S_IFDIR | node.mode, node.nlink
        elif isinstance(node, File):
            attr.st_mode, attr.st_size = stat.S_IFREG | node.mode, node.size
            attr.st_blocks = -(-attr.st_size // 512)
        if node.owner.gone:
            attr.st_nlink = 0
        return attr

    def _folder(self, inode: int) -> Directory:
        node = self._inodes[inode]
        if not isinstance(node, Directory):
            raise FUSEError(errno.ENOTDIR)
        if node.owner.gone:
            raise FUSEError(errno.ENOENT)
        return node

    async def statfs(self, ctx: pyfuse3.RequestContext) -> pyfuse3.StatvfsData:
        data = pyfuse3.StatvfsData()
        data.f_bsize = data.f_frsize = 4096
        data.f_namemax = NAME_MAX
        return data

    # -- folders -----------------------------------------------------------------------------

    async def opendir(self, inode: int, ctx: pyfuse3.RequestContext) -> int:
        if self.keeps_listings:
            raise FUSEError(errno.ENOSYS)
        return inode

    @_handler("listing")
    def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        """``fh`` is the folder's inode. A place is the inode listed last: so it stays good, and
        nothing is listed twice, while others come and go."""
        folder = self._folder(fh)
        for place, name, node in self._entries(folder, fh):
            if place <= start_id:
                continue
            attr = self._entry(node, folder, fh)
            if not pyfuse3.readdir_reply(token, os.fsencode(name), attr, place):
                break
            if place > PARENT:
                self._inodes.looked_up(node, fh, name)

    def _entries(self, folder: Directory, inode: int) -> list[tuple[int, str, Node]]:
        """Place, name and node of all that is in a folder, in the order of the places."""
        above = self._tree.node(posixpath.dirname(folder.path))
        children = folder.children().items()
        named = [(self._inodes.number(node), name, node) for name, node in children]
        named.sort(key=lambda entry: entry[0])
        return [(HERE, ".", folder), (PARENT, "..", above), *named]

    @_handler("making a folder in")
    def mkdir(
        self, parent_inode: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """A folder has the mode of its kind, whatever is asked for, as in tracefs."""
        folder = self._folder(parent_inode)
        if folder.make is None:
            raise FUSEError(errno.EPERM)
        folder.make(os.fsdecode(name))
        child = folder.children()[os.fsdecode(name)]
        self._inodes.looked_up(child, parent_inode, os.fsdecode(name))
        return self._entry(child, folder, parent_inode)

    @_handler("removal in")  # type: ignore[arg-type]
    def rmdir(
        self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> Coroutine[Any, Any, None]:
        child = self._folder(parent_inode).children().get(os.fsdecode(name))
        if child is None:
            raise FUSEError(errno.ENOENT)
        if not isinstance(child, Directory) or child.remove is None:
            raise FUSEError(errno.EPERM)
        child.remove()
        return self._drop_but({parent_inode, self._inodes.number(child)})

    # -- files -------------------------------------------------------------------------------

    @_handler("opening", ends_names=True)
    def open(self, inode: int, flags: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
        node = self._inodes[inode]
        assert isinstance(node, File)
        if node.owner.gone:
            node.check()
        if node is self._tree.pipe:
            self._inodes.retire(node)
            reader = self._pipe.open(inode, ctx.pid, flags)
            return self._info(OpenPipe(node, self._pipe, reader))
        written = inode if flags & WRITES else 0
        if written:
            if flags & os.O_TRUNC:
                node.truncate()
            self._leases.writing(inode)
        kind = OpenDocument if isinstance(node, Document) else OpenFile
        return self._info(kind(node, written))

    def _info(self, opened: OpenFile | OpenPipe) -> FileInfo:
        number = next(self._numbers)
        if opened.flushed and _libfuse:
            number |= _libfuse.FLUSHED
        self._open[number] = opened
        return FileInfo(number, DIRECT_IO, KEEP_CACHE, not opened.seekable)

    @_handler("read of")
    def read(self, fh: int, off: int, size: int) -> bytes | Coroutine[Any, Any, bytes]:
        opened = self._open.get(fh) or self._for_the_cache(fh)
        return opened.read(off, size)

    def _for_the_cache(self, fh: int) -> OpenFile | OpenPipe:
        """For sendfile(2), splice(2): the kernel takes the bytes at one time and their number at
        another. Where the size may change they are refused, as in tracefs, and cat(1) reads."""
        opened = self._open[fh & ~_libfuse.CACHED] if _libfuse else self._open[fh]
        if opened.node.news is not NEVER:
            raise FUSEError(errno.EINVAL)
        return opened

    @_handler("write to", ends_names=True)
    def write(self, fh: int, off: int, buf: bytes) -> int:
        self._open[fh].write(buf)
        return len(buf)

    @_handler("poll of")
    def poll(
        self, inode: int, fh: int, poll_handle: pyfuse3.PollHandle | None,
        ctx: pyfuse3.RequestContext,
    ) -> int:  # fmt: skip
        return self._open[fh].poll(poll_handle)

    @_handler("closing", ends_names=True)
    def flush(self, fh: int) -> None:
        self._open[fh].flush()

    @_handler("closing", ends_names=True)
    def release(self, fh: int) -> None:
        opened = self._open.pop(fh)
        opened.release()
        if opened.written:
            self._leases.wrote(opened.written)

    @_handler("attributes of")
    def listxattr(self, inode: int, ctx: pyfuse3.RequestContext) -> list[bytes]:
        """None, which is no error: so ``getfattr`` and ``tar`` are content."""
        return []

    # -- what tracefs refuses ----------------------------------------------------------------

    unlink = rename = symlink = link = mknod = _refusal(errno.EPERM)
    create = _refusal(errno.EACCES)
    setxattr = removexattr = _refusal(errno.EOPNOTSUPP)

    # -- what the kernel keeps ---------------------------------------------------------------

    def _ring(self) -> None:
        self._bell.set()

    async def drop_names(self) -> None:
        """Returns when the kernel knows no more what it should not."""
        names, self._leases.dropped = self._leases.dropped, []
        await trio.to_thread.run_sync(partial(_drop, names), abandon_on_cancel=True)

    async def _drop_but(self, locked: set[int]) -> None:
        """The kernel holds these folders until it is answered: names in them go after that."""
        dropped = self._leases.dropped
        self._late += [name for name in dropped if name.folder in locked]
        self._leases.dropped = [name for name in dropped if name.folder not in locked]
        await self.drop_names()

    async def serve_drops(self) -> None:
        """Drop the names that no handler waits for, until cancelled."""
        while True:
            await self._bell.wait()
            self._bell = trio.Event()
            self._leases.dropped += self._late
            self._late = []
            await self.drop_names()


def _take_back(inode: int) -> None:
    with suppress(OSError):  # the kernel has it no more, or not yet
        pyfuse3.invalidate_inode(inode, attr_only=True)


def _drop(names: Iterable[Name]) -> None:
    for folder, name, inode in names:
        with suppress(OSError):  # gone already; or kept open by somebody, but not found any more
            pyfuse3.invalidate_entry(folder, os.fsencode(name), inode)


# -- the mount -------------------------------------------------------------------------------


def mount(operations: Operations, mountpoint: Path, options: Iterable[str]) -> None:
    """Mount, so that requests wait for :func:`serve`. Raises :class:`MountError`."""
    always = {"default_permissions", "subtype=rvfs"}
    try:
        pyfuse3.init(operations, str(mountpoint), always.union(options))
    except RuntimeError as error:
        raise MountError(f"cannot mount on {mountpoint}: {error}") from None
    operations.keeps_listings = _libfuse is not None and _libfuse.active()


async def serve(operations: Operations) -> None:
    """Answer requests until the file system is unmounted from outside."""
    _loop.install(pyfuse3, _libfuse.ready if _libfuse else _loop.ready)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(operations.serve_drops)
        await pyfuse3.main(max_tasks=MAX_WAITING)
        nursery.cancel_scope.cancel()


def unmount() -> None:
    """End the mount, whatever still waits."""
    pyfuse3.close(unmount=True)
