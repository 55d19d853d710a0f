"""The request handlers without a mount: nothing but an errno comes out of them."""

import errno
import inspect
import logging
import os
from types import SimpleNamespace
from typing import Any

import pyfuse3
import pytest

from rvfs import fs
from rvfs.files import Directory, File
from rvfs.pipe import TracePipe
from rvfs.tree import Tree
from tests.mount.kernel import CONTEXT
from tests.tree.test_tree import Served

#: These are not asked on behalf of anybody, or cannot fail.
UNGUARDED = {"forget", "statfs", "opendir"}


class Broken:
    """A tree of two files: one fails in every way, one is all right."""

    def __init__(self) -> None:
        def fail(*_: object) -> Any:
            raise RuntimeError("a bug")

        files = {
            "broken": File(path="broken", mode=0o640, read=fail, write=fail, measure=lambda: 0),
            "sound": File(path="sound", mode=0o640, read=lambda: b"text", write=lambda _: None),
        }
        self.root = Directory(path="", mode=0o700, children=lambda: files)
        self.pipe = None


def operations(tree: object) -> fs.Operations:
    return fs.Operations(tree, SimpleNamespace(), fs.Ownership(0, 0))  # type: ignore[arg-type]


async def opened(handlers: fs.Operations, name: bytes) -> int:
    entry = await handlers.lookup(1, name, CONTEXT)
    return (await handlers.open(entry.st_ino, 0, CONTEXT)).fh


async def test_a_bug_costs_its_caller_eio_and_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    handlers = operations(Broken())
    broken, sound = await opened(handlers, b"broken"), await opened(handlers, b"sound")
    with pytest.raises(pyfuse3.FUSEError) as read:
        await handlers.read(broken, 0, 10)
    with pytest.raises(pyfuse3.FUSEError) as write:
        await handlers.write(broken, 0, b"x")
    assert read.value.errno == write.value.errno == errno.EIO
    assert await handlers.read(sound, 1, 2) == b"ex"
    assert [record.getMessage() for record in caplog.records] == [
        "read of broken failed", "write to broken failed",
    ]  # fmt: skip
    assert all("a bug" in str(record.exc_info) for record in caplog.records)
    caplog.clear()


async def test_a_number_that_nobody_was_given_is_eio(caplog: pytest.LogCaptureFixture) -> None:
    handlers = operations(Broken())
    with pytest.raises(pyfuse3.FUSEError):
        await handlers.read(99, 0, 1)
    with pytest.raises(pyfuse3.FUSEError):
        await handlers.getattr(99, CONTEXT)
    assert len(caplog.records) == 2
    caplog.clear()


def test_every_handler_is_guarded() -> None:
    own = {
        name: method
        for name, method in vars(fs.Operations).items()
        if inspect.iscoroutinefunction(method) and hasattr(pyfuse3.Operations, name)
    }
    unguarded = {
        name
        for name, method in own.items()
        if not hasattr(method, "__wrapped__") and method.__name__ != "refuse"
    }
    assert unguarded == UNGUARDED
    assert len(own) > 20


async def test_the_file_of_a_monitor_that_was_removed(caplog: pytest.LogCaptureFixture) -> None:
    """It answers ENODEV, is gone from the listing, and its number is not used again."""
    served = Served()
    tree = served.tree
    assert isinstance(tree, Tree)
    pipe = TracePipe(served.trace)
    handlers = fs.Operations(tree, pipe, fs.Ownership(0, 0))
    monitors = await handlers.lookup(1, b"monitors", CONTEXT)
    wip = await handlers.lookup(monitors.st_ino, b"wip", CONTEXT)
    enable = await handlers.lookup(wip.st_ino, b"enable", CONTEXT)
    file = await handlers.open(enable.st_ino, 2, CONTEXT)
    removed = served.registry.unregister_monitor("wip")
    assert not removed.free

    for call in (handlers.read(file.fh, 0, 10), handlers.write(file.fh, 0, b"1")):
        with pytest.raises(pyfuse3.FUSEError) as error:
            await call
        assert error.value.errno == errno.ENODEV
    with pytest.raises(pyfuse3.FUSEError) as error:
        await handlers.open(enable.st_ino, 0, CONTEXT)
    assert error.value.errno == errno.ENODEV
    for inode, name in ((monitors.st_ino, b"wip"), (wip.st_ino, b"enable")):
        with pytest.raises(pyfuse3.FUSEError) as error:
            await handlers.lookup(inode, name, CONTEXT)
        assert error.value.errno == errno.ENOENT
    assert (await handlers.getattr(enable.st_ino, CONTEXT)).st_nlink == 0

    served.registry.register_monitor(removed.monitor)
    again = await handlers.lookup(monitors.st_ino, b"wip", CONTEXT)
    assert again.st_ino not in (wip.st_ino, enable.st_ino)
    await handlers.release(file.fh)
    assert removed.free
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert "read of monitors/wip/enable: monitors/wip/enable was removed" in caplog.messages
    caplog.clear()


async def test_the_kernel_forgets_and_nothing_is_kept() -> None:
    handlers = operations(Broken())
    entry = await handlers.lookup(1, b"sound", CONTEXT)
    again = await handlers.lookup(1, b"sound", CONTEXT)
    assert entry.st_ino == again.st_ino
    await handlers.release((await handlers.open(entry.st_ino, os.O_WRONLY, CONTEXT)).fh)
    await handlers.forget([(entry.st_ino, 1)])
    assert (await handlers.getattr(entry.st_ino, CONTEXT)).st_size == 4
    await handlers.forget([(entry.st_ino, 1), (entry.st_ino, 5), (77, 1)])
    assert entry.st_ino not in handlers._inodes
    leases = handlers._leases
    assert [*leases._writing, *leases._written, *leases._answers] == []
    later = await handlers.lookup(1, b"sound", CONTEXT)
    assert later.st_ino == entry.st_ino
