"""The tree as a FUSE file system: inode ↔ node, errors → errno. Nobody else knows pyfuse3.

What the kernel is told, and why:

1. Sizes are exact and reads are direct (``direct_io``), nothing is kept in the page cache:
   ``cat`` of GNU, busybox and uutils, sendfile and splice then all read the same bytes.
2. Attributes and names are asked for each time (timeouts 0), so the tree can change at any
   moment without telling the kernel.
3. One write is one command; the offset means nothing (it is wrong after O_APPEND).
4. What is read comes from one snapshot per open file, made anew at offset 0.
5. ``flush`` is what close(2) returns, and so what became of a text that is taken whole.
   ``access`` and ``getxattr`` are left unimplemented: the kernel then stops asking.
6. An inode of ``trace_pipe`` that has been opened is not given to the next one who looks the
   name up: so its number tells whose descriptor it is (see ``readers.py``).

No handler lets anything out but an errno (:func:`_handler`): an exception would end the mount.
"""

import errno
import itertools
import logging
import os
import posixpath
import stat
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import pyfuse3
from pyfuse3 import FUSEError

from rvfs.errors import Interrupted, MountError, RvfsError, WouldBlock
from rvfs.files import Directory, Document, File, Node
from rvfs.handles import OpenDocument, OpenFile, OpenFolder, OpenPipe
from rvfs.inodes import ROOT, Inodes
from rvfs.pipe import TracePipe
from rvfs.tree import Tree

log = logging.getLogger(__name__)

#: Requests that may wait at the same time; each reader of ``trace_pipe`` is one.
MAX_WAITING = 100_000
#: Bytes of a name, as in tracefs.
NAME_MAX = 255

Handler = TypeVar("Handler", bound=Callable[..., Coroutine[Any, Any, Any]])


def _handler(doing: str) -> Callable[[Handler], Handler]:
    """A request handler; its first argument is an inode or an open file."""

    def decorate(method: Handler) -> Handler:
        @wraps(method)
        async def guarded(self: "Operations", *args: Any) -> Any:
            try:
                return await method(self, *args)
            except FUSEError:
                raise
            except (WouldBlock, Interrupted) as error:
                raise FUSEError(error.errno) from None
            except RvfsError as error:
                log.warning("%s %s: %s", doing, self.path(args[0]), error)
                raise FUSEError(error.errno) from None
            except Exception:
                log.exception("%s %s failed", doing, self.path(args[0]))
                raise FUSEError(errno.EIO) from None

        return cast(Handler, guarded)

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
        self._numbers = itertools.count(ROOT + 1)
        self._inodes = Inodes(tree.root, self._numbers)
        self._open: dict[int, OpenFile | OpenPipe | OpenFolder] = {}

    def path(self, number: int) -> str:
        """The path of an inode or of an open file, for messages; never fails."""
        if number in self._open:
            return self._open[number].node.path
        return self._inodes[number].path or "/" if number in self._inodes else f"number {number}"

    # -- names and attributes ----------------------------------------------------------------

    @_handler("lookup in")
    async def lookup(
        self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        if len(name) > NAME_MAX:
            raise FUSEError(errno.ENAMETOOLONG)
        child = self._folder(parent_inode).children().get(os.fsdecode(name))
        if child is None:
            raise FUSEError(errno.ENOENT)
        self._inodes.looked_up(child)
        return self._attributes(child)

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        for inode, lookups in inode_list:
            self._inodes.forget(inode, lookups)

    @_handler("stat of")
    async def getattr(self, inode: int, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        return self._attributes(self._inodes[inode], inode)

    @_handler("change of")
    async def setattr(
        self, inode: int, attr: pyfuse3.EntryAttributes, fields: pyfuse3.SetattrFields,
        fh: int | None, ctx: pyfuse3.RequestContext,
    ) -> pyfuse3.EntryAttributes:  # fmt: skip
        """chmod, chown and touch are kept; truncate(2) succeeds and does nothing, but that
        ftruncate(2) to 0 makes a text that is being written begin anew."""
        node = self._inodes[inode]
        if fields.update_size and attr.st_size == 0 and fh is not None:
            self._file(fh).truncate()
        if fields.update_mode:
            node.mode = stat.S_IMODE(attr.st_mode)
        if fields.update_uid:
            node.uid = attr.st_uid
        if fields.update_gid:
            node.gid = attr.st_gid
        if fields.update_mtime:
            node.mtime = attr.st_mtime_ns
        return self._attributes(node, inode)

    def _attributes(self, node: Node, inode: int | None = None) -> pyfuse3.EntryAttributes:
        attr = pyfuse3.EntryAttributes()
        attr.st_ino = inode or self._inodes.number(node)
        attr.entry_timeout = attr.attr_timeout = 0
        attr.st_uid = self._ownership.uid if node.uid is None else node.uid
        attr.st_gid = self._ownership.gid if node.gid is None else node.gid
        attr.st_atime_ns = attr.st_ctime_ns = self._made
        attr.st_mtime_ns = node.mtime or self._made
        if isinstance(node, Directory):
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

    @_handler("opening")
    async def opendir(self, inode: int, ctx: pyfuse3.RequestContext) -> int:
        return self._opened(OpenFolder(self._folder(inode)))

    @_handler("listing")
    async def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        folder = self._open[fh]
        assert isinstance(folder, OpenFolder)
        if start_id == 0:
            folder.entries = list(self._entries(folder.node).items())
        for place, (name, node) in enumerate(folder.entries[start_id:], start_id + 1):
            if not pyfuse3.readdir_reply(token, os.fsencode(name), self._attributes(node), place):
                break
            if name not in (".", ".."):
                self._inodes.looked_up(node)

    def _entries(self, folder: Directory) -> dict[str, Node]:
        if folder.owner.gone:
            raise FUSEError(errno.ENOENT)
        above = self._tree.node(posixpath.dirname(folder.path))
        return {".": folder, "..": above, **folder.children()}

    @_handler("closing")
    async def releasedir(self, fh: int) -> None:
        del self._open[fh]

    @_handler("making a folder in")
    async def mkdir(
        self, parent_inode: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """A folder has the mode of its kind, whatever is asked for, as in tracefs."""
        folder = self._folder(parent_inode)
        if folder.make is None:
            raise FUSEError(errno.EPERM)
        folder.make(os.fsdecode(name))
        child = folder.children()[os.fsdecode(name)]
        self._inodes.looked_up(child)
        return self._attributes(child)

    @_handler("removal in")
    async def rmdir(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        child = self._folder(parent_inode).children().get(os.fsdecode(name))
        if child is None:
            raise FUSEError(errno.ENOENT)
        if not isinstance(child, Directory) or child.remove is None:
            raise FUSEError(errno.EPERM)
        child.remove()

    # -- files -------------------------------------------------------------------------------

    @_handler("opening")
    async def open(self, inode: int, flags: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
        node = self._inodes[inode]
        assert isinstance(node, File)
        node.check()
        if node is self._tree.pipe:
            self._inodes.retire(node)
            reader = self._pipe.open(inode, ctx.pid, flags)
            return self._info(OpenPipe(node, self._pipe, reader), nonseekable=True)
        if flags & os.O_TRUNC and flags & os.O_ACCMODE != os.O_RDONLY:
            node.truncate()
        return self._info(OpenDocument(node) if isinstance(node, Document) else OpenFile(node))

    def _info(self, opened: OpenFile | OpenPipe, *, nonseekable: bool = False) -> pyfuse3.FileInfo:
        return pyfuse3.FileInfo(
            fh=self._opened(opened), direct_io=True, keep_cache=False, nonseekable=nonseekable
        )

    def _opened(self, opened: OpenFile | OpenPipe | OpenFolder) -> int:
        number = next(self._numbers)
        self._open[number] = opened
        return number

    def _file(self, fh: int) -> OpenFile | OpenPipe:
        opened = self._open[fh]
        assert not isinstance(opened, OpenFolder)
        return opened

    @_handler("read of")
    async def read(self, fh: int, off: int, size: int) -> bytes:
        return await self._file(fh).read(off, size)

    @_handler("write to")
    async def write(self, fh: int, off: int, buf: bytes) -> int:
        self._file(fh).write(buf)
        return len(buf)

    @_handler("poll of")
    async def poll(
        self, inode: int, fh: int, poll_handle: pyfuse3.PollHandle | None,
        ctx: pyfuse3.RequestContext,
    ) -> int:  # fmt: skip
        return self._file(fh).poll(poll_handle)

    @_handler("closing")
    async def flush(self, fh: int) -> None:
        self._file(fh).flush()

    @_handler("closing")
    async def release(self, fh: int) -> None:
        self._file(fh).release()
        del self._open[fh]

    @_handler("attributes of")
    async def listxattr(self, inode: int, ctx: pyfuse3.RequestContext) -> list[bytes]:
        """None, which is no error: so ``getfattr`` and ``tar`` are content."""
        return []

    # -- what tracefs refuses ----------------------------------------------------------------

    unlink = rename = symlink = link = mknod = _refusal(errno.EPERM)
    create = _refusal(errno.EACCES)
    setxattr = removexattr = _refusal(errno.EOPNOTSUPP)


# -- the mount -------------------------------------------------------------------------------


def mount(operations: Operations, mountpoint: Path, options: Iterable[str]) -> None:
    """Mount, so that requests wait for :func:`serve`. Raises :class:`MountError`."""
    always = {"default_permissions", "subtype=rvfs"}
    try:
        pyfuse3.init(operations, str(mountpoint), always.union(options))
    except RuntimeError as error:
        raise MountError(f"cannot mount on {mountpoint}: {error}") from None


async def serve() -> None:
    """Answer requests until the file system is unmounted from outside."""
    await pyfuse3.main(max_tasks=MAX_WAITING)


def unmount() -> None:
    """End the mount, whatever still waits."""
    pyfuse3.close(unmount=True)
