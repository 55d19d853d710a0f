"""Mounts what machine.py builds, serves it, unmounts it.

::

    prepare the mount point ─▶ build ─▶ mount ─▶ fork ─┬─ parent: waits for a byte, exits
      (nothing changed yet)                            └─ child: serves; first asks itself
                                                          through the mount, then says so

Everything that can be refused is refused before the fork, on the caller's terminal; what
fails later reaches the caller through a pipe. One nursery holds the tasks; its end is the
end of the mount.
"""

import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio

from rvfs import fs
from rvfs.errors import MountError, RvfsError
from rvfs.logbook import Logbook
from rvfs.machine import Machine, Settings
from rvfs.pipe import TracePipe
from rvfs.readers import device_of
from rvfs.source import Source
from rvfs.source.inject import Quiet

log = logging.getLogger(__name__)

#: What a daemon that was halted by the panic reactor exits with (``--panic=exit``).
EXIT_PANIC = 70
#: Seconds between two looks whether a source is wanted already.
IDLE = 0.02
#: Where programs are, for a caller without PATH: mount(8) is one.
PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


# -- the mount point -------------------------------------------------------------------------


def prepare(mountpoint: Path) -> None:
    """See that something can be mounted there. Raises :class:`MountError`, saying why not."""
    if _is_stale(mountpoint):
        log.warning("%s was left behind by an rvfs that died; unmounting it first", mountpoint)
        unmount(mountpoint, lazy=True)
    if device_of(mountpoint):
        raise MountError(f"an rvfs is mounted on {mountpoint} already")
    try:
        entries = sorted(entry.name for entry in mountpoint.iterdir())
    except OSError as error:
        raise MountError(f"cannot mount on {mountpoint}: {error.strerror}") from None
    if entries:
        raise MountError(
            f"cannot mount on {mountpoint}: the directory is not empty, it has {entries[0]!r} in it"
        )
    _check_fuse()


def _is_stale(mountpoint: Path) -> bool:
    try:
        os.statvfs(mountpoint)  # which is always asked for; what stat(2) shows the kernel keeps
    except OSError as error:
        return error.errno == errno.ENOTCONN
    return False


def _check_fuse() -> None:
    if not Path("/dev/fuse").exists():
        raise MountError("there is no /dev/fuse: load the kernel's fuse module (modprobe fuse)")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise MountError("/dev/fuse is not ours to open: its mode should be 0666")
    if os.getuid() != 0 and _program("fusermount3") is None:
        raise MountError("there is no fusermount3: install fuse3, or mount as root")


def unmount(mountpoint: Path, *, lazy: bool = False) -> None:
    """Unmount an rvfs, dead or alive, from outside. Raises :class:`MountError` with the reason."""
    if device_of(mountpoint) is None:
        raise MountError(f"no rvfs is mounted on {mountpoint}")
    umount = ["umount"] if os.getuid() == 0 else ["fusermount3", "-u"]
    option = [] if not lazy else ["-l"] if os.getuid() == 0 else ["-z"]
    program = _program(umount[0])
    if program is None:
        raise MountError(f"there is no program {umount[0]}")
    done = subprocess.run(
        [program, *umount[1:], *option, "--", str(mountpoint)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise MountError(done.stderr.strip() or f"cannot unmount {mountpoint}")


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + PROGRAMS)


# -- serving ---------------------------------------------------------------------------------


class Server:
    """One mount, from its nursery to its exit status."""

    def __init__(self, settings: Settings, machine: Machine) -> None:
        self._settings, self._machine = settings, machine
        self._pipe = TracePipe(machine.trace)
        self._status = 0
        ownership = fs.Ownership(settings.uid, settings.gid)
        self._operations = fs.Operations(machine.tree, self._pipe, ownership)

    def mount(self) -> None:
        """Raises :class:`MountError`."""
        settings = self._settings
        allow = {"allow_other"} if settings.allow_other else set()
        options = settings.options | allow | {f"fsname={settings.fsname}"}
        fs.mount(self._operations, settings.mountpoint, options)

    def run(self, ready: Callable[[], None]) -> int:
        """Serve until told to stop or unmounted from outside; the exit status.

        ``ready`` is called when the tree has answered.
        """
        try:
            trio.run(self._serve, ready)
        except BaseExceptionGroup as group:
            raise _first(group) from group
        finally:
            fs.unmount()
            self._machine.source.close()
            self._machine.watch.close()
        return self._status

    async def _serve(self, ready: Callable[[], None]) -> None:
        mountpoint = self._settings.mountpoint
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                stop = nursery.cancel_scope.cancel
                nursery.start_soon(self._answer, stop)
                await trio.to_thread.run_sync(os.stat, mountpoint)
                nursery.start_soon(self._pipe.serve, device_of(mountpoint) or "")
                nursery.start_soon(self._machine.pump.serve_reactors)
                nursery.start_soon(self._run_source)
                nursery.start_soon(self._run, self._machine.watch)
                if isinstance(self._machine.source, Quiet):
                    nursery.start_soon(self._machine.pump.keep_time)
                if self._settings.panic == "exit":
                    nursery.start_soon(self._stop_when_halted, stop)
                nursery.start_soon(self._stop_on_signal, signals, stop)
                log.info("mounted on %s, source %s", mountpoint, self._machine.source.name)
                ready()

    async def _answer(self, stop: Callable[[], None]) -> None:
        await fs.serve(self._operations)
        stop()

    async def _run_source(self) -> None:
        """From when something is first switched on, so that a recording does not pass unseen."""
        machine = self._machine
        while not machine.registry.wanted():  # noqa: ASYNC110 - the registry knows no trio
            await trio.sleep(IDLE)
        await self._run(machine.source)

    async def _run(self, source: Source) -> None:
        """A source that fails costs its events, not the mount."""
        try:
            await self._machine.pump.run(source)
        except Exception:
            log.exception("source %s failed; the tree stays", source.name)

    async def _stop_on_signal(self, signals: Any, stop: Callable[[], None]) -> None:
        async for _ in signals:
            await self._stop(stop)

    async def _stop_when_halted(self, stop: Callable[[], None]) -> None:
        await self._machine.pump.wait_halted()
        self._status = EXIT_PANIC
        await self._stop(stop)

    async def _stop(self, stop: Callable[[], None]) -> None:
        await self._pipe.close()
        stop()


def _first(error: BaseException) -> BaseException:
    """What went wrong, out of the groups that nurseries wrap it in."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def run(settings: Settings, *, foreground: bool) -> int:
    """Mount and serve; in the background, return when the tree answers.

    Raises :class:`RvfsError` for everything that keeps it from being mounted.
    """
    logger = logging.getLogger("rvfs")
    logbook = Logbook()
    for name in ("rvfs", "pyfuse3"):
        logging.getLogger(name).addHandler(logbook)
    logger.setLevel(logging.INFO)
    prepare(settings.mountpoint)
    server = Server(settings, Machine(settings, logbook))
    server.mount()
    if foreground:
        return server.run(lambda: None)
    return _in_background(server)


def _in_background(server: Server) -> int:
    """Fork; the child serves, the parent returns when it is told that the child does."""
    listen, tell = os.pipe()
    if os.fork():
        os.close(tell)
        with os.fdopen(listen) as pipe:
            report = pipe.read()
        if report == "ready":
            return 0
        fs.unmount()
        raise MountError(report or "the daemon died before the tree answered")
    os.close(listen)
    os.setsid()
    os._exit(_serve_and_report(server, tell))


def _serve_and_report(server: Server, tell: int) -> int:
    report = partial(_report, tell)
    try:
        return server.run(lambda: report("ready"))
    except BaseException as error:
        log.exception("the daemon failed")
        report(str(error) if isinstance(error, RvfsError) else f"{type(error).__name__}: {error}")
        return 1


def _report(tell: int, text: str) -> None:
    """Once: the pipe is closed then, and so is the caller's terminal."""
    try:
        os.write(tell, text.encode())
        os.close(tell)
    except OSError:
        return  # the caller is gone, or has been told
    with Path(os.devnull).open("r+b") as null:
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            os.dup2(null.fileno(), stream.fileno())
