"""What is served: everything below the file system, built from the settings of one mount."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rvfs.engine import Engine
from rvfs.errors import InvalidInput, RvfsError
from rvfs.hwbp.choice import choose
from rvfs.hwbp.held import Breakpoints
from rvfs.logbook import Logbook
from rvfs.monitors import Loaded, available
from rvfs.pump import Pump
from rvfs.reactors import Reactor, plugins
from rvfs.reactors.panic import SYSRQ, Panic
from rvfs.reactors.printk import Printk
from rvfs.registered import Form
from rvfs.registry import DEFAULT_TASK_SLOTS, Registry
from rvfs.source import Source
from rvfs.source.inject import Quiet
from rvfs.source.watch import Watch
from rvfs.state import Shelf
from rvfs.trace import Trace
from rvfs.tracepoint import Vocabulary, catalogue
from rvfs.tree import Tree
from rvfs.workshop import Workshop

log = logging.getLogger(__name__)


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
    state: Path | None = None
    task_slots: int = DEFAULT_TASK_SLOTS
    panic: str = "halt"
    hwbp: str = "model"
    uid: int = field(default_factory=os.getuid)
    gid: int = field(default_factory=os.getgid)
    mode: int = 0o700
    allow_other: bool = field(default_factory=lambda: os.getuid() == 0)
    fsname: str = "rvfs"
    options: frozenset[str] = frozenset()


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
        shelf = Shelf(settings.state) if settings.state else None
        self.workshop = Workshop(self.registry, self.vocabulary, shelf)
        if shelf:
            self.workshop.restore()
        self.pump = Pump(self.engine, self.registry, self.trace)
        self.breakpoints = Breakpoints(*choose(settings.hwbp))
        self.watch = Watch(
            self.vocabulary, cpus=self.source.cpus, came=self.registry.rebind, going=self._forget
        )
        self.breakpoints.listeners.append(self.watch)
        self.tree = Tree(
            self.registry, self.vocabulary, self.trace, self.pump, logbook, self.breakpoints,
            self.workshop,
        )  # fmt: skip
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
        self.registry.register_monitor(Form(loaded.monitor, loaded.texts), parent)
        for child in loaded.children:
            self._register(child, loaded.monitor.name)
