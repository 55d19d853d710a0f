"""A naive kernel above the request handlers: it keeps what it is lent, until it is taken back."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pyfuse3
import pytest

from rvfs import fs
from rvfs.files import Directory, Node
from rvfs.leases import Name
from rvfs.pipe import TracePipe
from tests.tree.test_tree import Served

ROOT = 1
#: Entries that go into one answer to readdir.
ROOM = 5
CONTEXT: Any = SimpleNamespace(pid=4242)


class Kernel:
    """``requests`` counts what was asked. Paths are relative to the root of the tree."""

    def __init__(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fs, "_take_back", self.take_back)
        monkeypatch.setattr(fs, "_drop", self.drop)
        monkeypatch.setattr(pyfuse3, "readdir_reply", self._reply)
        self.tree = served.tree
        pipe = TracePipe(served.trace)
        self.handlers = fs.Operations(served.tree, pipe, fs.Ownership(0, 0))
        self.requests = 0
        self.attributes: dict[int, Any] = {}
        self.names: dict[tuple[int, str], int] = {}
        self.listings: dict[int, tuple[int, list[str]]] = {}
        self.dropped: list[str] = []

    # -- what it is told -------------------------------------------------------------------

    def take_back(self, inode: int) -> None:
        self.attributes.pop(inode, None)

    def drop(self, names: list[Name]) -> None:
        for folder, name, inode in names:
            self.dropped.append(name)
            self.names.pop((folder, name), None)
            self.attributes.pop(inode, None)

    def _keep(self, attr: Any) -> Any:
        self.attributes.pop(attr.st_ino, None)
        if attr.attr_timeout:
            self.attributes[attr.st_ino] = attr
        return attr

    def _keep_name(self, folder: int, name: str, attr: Any) -> None:
        if attr.entry_timeout:
            self.names[folder, name] = attr.st_ino
        self._keep(attr)

    # -- what users do ---------------------------------------------------------------------

    async def inode(self, path: str) -> int:
        inode = ROOT
        for name in filter(None, path.split("/")):
            if (inode, name) in self.names:
                inode = self.names[inode, name]
            else:
                self.requests += 1
                attr = await self.handlers.lookup(inode, name.encode(), CONTEXT)
                self._keep_name(inode, name, attr)
                inode = attr.st_ino
        return inode

    async def stat(self, path: str) -> Any:
        return await self._getattr(await self.inode(path))

    async def _getattr(self, inode: int) -> Any:
        if inode not in self.attributes:
            self.requests += 1
            return self._keep(await self.handlers.getattr(inode, CONTEXT))
        return self.attributes[inode]

    async def ls(self, path: str) -> list[str]:
        folder = await self.inode(path)
        mtime = (await self._getattr(folder)).st_mtime_ns
        kept, names = self.listings.get(folder, (None, []))
        if kept != mtime:
            names = [name async for name in self._readdir(folder)]
            self.listings[folder] = mtime, names
        return names

    async def _readdir(self, folder: int) -> Any:
        place = 0
        while True:
            self.requests += 1
            token: list[tuple[str, Any, int]] = []
            await self.handlers.readdir(folder, place, token)  # type: ignore[arg-type]
            if not token:
                return
            for name, attr, place in token:  # noqa: B007
                if name not in (".", ".."):
                    self._keep_name(folder, name, attr)
                    yield name

    def _reply(self, token: list[Any], name: bytes, attr: Any, place: int) -> bool:
        if len(token) == ROOM:
            return False
        token.append((name.decode(), attr, place))
        return True

    async def open(self, path: str, flags: int) -> int:
        info = await self.handlers.open(await self.inode(path), flags, CONTEXT)
        number: int = info.fh
        return number

    async def write(self, path: str, text: str, flags: int = 1) -> None:
        number = await self.open(path, flags)
        try:
            await self.handlers.write(number, 0, text.encode())
        finally:
            await self.handlers.release(number)

    async def mkdir(self, path: str) -> None:
        above, _, name = path.rpartition("/")
        folder = await self.inode(above)
        self._keep_name(
            folder, name, await self.handlers.mkdir(folder, name.encode(), 0o777, CONTEXT)
        )

    async def rmdir(self, path: str) -> None:
        above, _, name = path.rpartition("/")
        folder = await self.inode(above)
        await self.handlers.rmdir(folder, name.encode(), CONTEXT)
        self.names.pop((folder, name), None)  # by itself

    # -- whether it is true ----------------------------------------------------------------

    def lies(self) -> Iterator[str]:
        """What it keeps and is not so."""
        for inode, attr in self.attributes.items():
            node = self.handlers._inodes[inode]
            if attr.st_size != size(node) or attr.st_nlink != nlink(node):
                yield f"attributes of {node.path}"
            listed = self.listings.get(inode)
            if listed and listed[0] == attr.st_mtime_ns and set(listed[1]) != names(node):
                yield f"listing of {node.path}"
        for (folder, name), inode in self.names.items():
            above, node = self.handlers._inodes[folder], self.handlers._inodes[inode]
            assert isinstance(above, Directory)
            if not above.owner.gone and above.children().get(name) is not node:
                yield f"name {above.path}/{name}"


def size(node: Node) -> int:
    return 0 if isinstance(node, Directory) else node.size  # type: ignore[attr-defined]


def nlink(node: Node) -> int:
    links = node.nlink if isinstance(node, Directory) else 1
    return 0 if node.owner.gone else links


def names(node: Node) -> set[str]:
    assert isinstance(node, Directory)
    return set() if node.owner.gone else set(node.children())


def everything(node: Node) -> Iterator[str]:
    """The paths of all nodes."""
    yield node.path
    if isinstance(node, Directory):
        for child in node.children().values():
            yield from everything(child)
