"""Builds everything, mounts it, serves it, unmounts it.

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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import trio

from rvfs import fs
from rvfs.engine import Engine
from rvfs.errors import InvalidInput, MountError, RvfsError
from rvfs.hwbp.choice import choose
from rvfs.hwbp.held import Breakpoints
from rvfs.logbook import Logbook
from rvfs.monitors import Loaded, available
from rvfs.pipe import TracePipe
from rvfs.pump import Pump
from rvfs.reactors import Reactor, plugins
from rvfs.reactors.panic import SYSRQ, Panic
from rvfs.reactors.printk import Printk
from rvfs.readers import device_of
from rvfs.registry import DEFAULT_TASK_SLOTS, Registry
from rvfs.source import Source
from rvfs.source.inject import Quiet
from rvfs.source.watch import Watch
from rvfs.trace import Trace
from rvfs.tracepoint import Vocabulary, catalogue
from rvfs.tree import Tree

log = logging.getLogger(__name__)

#: What a daemon that was halted by the panic reactor exits with (``--panic=exit``).
EXIT_PANIC = 70
#: Seconds between two looks whether a source is wanted already.
IDLE = 0.02
#: Where programs are, for a caller without PATH: mount(8) is one.
PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Settings:
    """What ``rvfs mount`` was asked for.

    ``source`` is ``sim``, ``replay:FILE``, ``inject`` or ``none``; ``sim`` holds the options
    of :class:`rvfs.source.sim.Sim`. ``mode`` is that of the root folder; ``options`` are
    for the kernel (``ro``).
    """

    mountpoint: Path
    source: str = "sim"
    sim: Mapping[str, Any] = field(default_factory=dict)
    speed: float | None = None
    monitors: Path | None = None
    task_slots: int = DEFAULT_TASK_SLOTS
    panic: str = "halt"
    hwbp: str = "model"
    uid: int = field(default_factory=os.getuid)
    gid: int = field(default_factory=os.getgid)
    mode: int = 0o700
    allow_other: bool = field(default_factory=lambda: os.getuid() == 0)
    fsname: str = "rvfs"
    options: frozenset[str] = frozenset()


# -- building --------------------------------------------------------------------------------


def _sim(settings: Settings, argument: str, vocabulary: Vocabulary) -> Source:
    from rvfs.source.sim import Sim

    return Sim(vocabulary, **settings.sim)


def _replay(settings: Settings, argument: str, vocabulary: Vocabulary) -> Source:
    from rvfs.source.replay import Replay

    return Replay(argument, vocabulary, speed=settings.speed)


def _inject(settings: Settings, argument: str, vocabulary: Vocabulary) -> Source:
    return Quiet("inject")


def _none(settings: Settings, argument: str, vocabulary: Vocabulary) -> Source:
    return Quiet("none", ended=True)


#: Name → what makes it from the settings and what follows ``NAME:``.
SOURCES: Mapping[str, Callable[[Settings, str, Vocabulary], Source]] = {
    "sim": _sim, "replay": _replay, "inject": _inject, "none": _none,
}  # fmt: skip


def make_source(settings: Settings, vocabulary: Vocabulary) -> Source:
    """Raises :class:`InvalidInput` for an unknown one, :class:`TraceError` for a bad recording."""
    kind, colon, argument = settings.source.partition(":")
    if kind not in SOURCES or bool(colon) != (kind == "replay"):
        raise InvalidInput(f"source {settings.source!r} is not sim, replay:FILE, inject or none")
    for given, of in ((bool(settings.sim), "sim"), (settings.speed is not None, "replay")):
        if given and kind != of:
            raise InvalidInput(f"the source is {settings.source}, but there are options of {of}")
    return SOURCES[kind](settings, argument, vocabulary)


class Machine:
    """Everything that is served: the objects of one running rvfs, by name.

    Raises :class:`RvfsError` for monitors, reactors or sources that cannot be had.
    """

    def __init__(self, settings: Settings, logbook: Logbook) -> None:
        self.vocabulary = Vocabulary()
        for tracepoint in catalogue():
            self.vocabulary.add(tracepoint)
        self.source = make_source(settings, self.vocabulary)
        self.engine = Engine(self.vocabulary)
        self.trace = Trace(self.vocabulary, cpus=self.source.cpus)
        self.registry = Registry(
            self.engine, self.vocabulary, self.trace, task_slots=settings.task_slots
        )
        panic = Panic(SYSRQ if settings.panic == "sysrq" else None)
        shipped: tuple[Reactor, ...] = (panic, Printk())
        for reactor in shipped:
            self.registry.register_reactor(reactor)
        for reactor in plugins():
            self._register_plugin(reactor)
        for loaded in available(settings.monitors):
            self._register(loaded)
        self.pump = Pump(self.engine, self.registry, self.trace)
        self.breakpoints = Breakpoints(*choose(settings.hwbp))
        self.watch = Watch(
            self.vocabulary, cpus=self.source.cpus, came=self.registry.rebind, going=self._forget
        )
        self.breakpoints.listeners.append(self.watch)
        self.tree = Tree(
            self.registry, self.vocabulary, self.trace, self.pump, logbook, self.breakpoints
        )
        self.tree.root.mode = settings.mode

    def _forget(self, tracepoint: int) -> None:
        """Its breakpoint is being closed: take its last hits, and nothing more."""
        self.pump.drain(self.watch)
        self.trace.enable(tracepoint, False)

    def _register_plugin(self, reactor: Reactor) -> None:
        try:
            self.registry.register_reactor(reactor)
        except RvfsError as error:
            log.warning("reactor plug-in %s left out: %s", reactor.name, error)

    def _register(self, loaded: Loaded, parent: str | None = None) -> None:
        for warning in loaded.warnings:
            log.warning("%s: %s", loaded.monitor.name, warning)
        self.registry.register_monitor(loaded.monitor, parent)
        for child in loaded.children:
            self._register(child, loaded.monitor.name)


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
        mountpoint.stat()
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
                if self._settings.panic == "exit":
                    nursery.start_soon(self._stop_when_halted, stop)
                nursery.start_soon(self._stop_on_signal, signals, stop)
                log.info("mounted on %s, source %s", mountpoint, self._machine.source.name)
                ready()

    async def _answer(self, stop: Callable[[], None]) -> None:
        await fs.serve()
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
