"""The served tree as data: a path, its mode, what it reads and what it takes.

::

    available_monitors  enabled_monitors  monitoring_on  available_reactors  reacting_on
    monitors/NAME/...                          one folder per monitor; see monitor_files.py
    monitors/NAME/CHILD/...                    and per child of a container
    load                                       takes a set of monitors; see workshop.py
    events/enable  events/SYSTEM/enable        the tracepoints
    events/SYSTEM/EVENT/{enable,format,id,inject}
    trace  trace_pipe  log
    hwbp/...                                   breakpoints; see hwbp_files.py

Names, modes and content are those of ``<tracefs>/rv`` and ``<tracefs>/events``
(kernel/trace/rv/, kernel/trace/trace_events.c). Folders are listed anew at each look, so
what the registry or the vocabulary drops is gone from the tree at once; a node stays the
same object for as long as what it shows exists.
"""

from collections.abc import Callable, Iterable, Mapping

from rvfs.errors import InvalidInput, UnknownName
from rvfs.files import (
    PERMANENT,
    READ_WRITE,
    Directory,
    File,
    Listing,
    Node,
    Owner,
    command,
    document,
    flag,
    inject,
    listing,
    text,
)
from rvfs.hwbp.held import Breakpoints
from rvfs.hwbp_files import hwbp_folder
from rvfs.logbook import Logbook
from rvfs.monitor_files import Kit, monitors_folder
from rvfs.news import NEVER
from rvfs.pump import Pump
from rvfs.registered import Registered
from rvfs.registry import Registry
from rvfs.trace import Trace
from rvfs.tracepoint import Tracepoint, Vocabulary
from rvfs.workshop import LOAD, Workshop
from rvfs.written import parse_bool, parse_event


class _Event:
    """The owner of a tracepoint's files."""

    def __init__(self, vocabulary: Vocabulary, number: int) -> None:
        self._vocabulary, self.number = vocabulary, number

    @property
    def gone(self) -> bool:
        return all(number != self.number for number, _ in self._vocabulary)

    @property
    def tracepoint(self) -> Tracepoint:
        return self._vocabulary[self.number]

    def hold(self) -> None:
        pass

    def release(self) -> None:
        pass


class Tree:
    """The root and everything below it; ``pipe`` is ``trace_pipe``, which only fs.py can serve."""

    def __init__(
        self, registry: Registry, vocabulary: Vocabulary, trace: Trace, pump: Pump, log: Logbook,
        breakpoints: Breakpoints, workshop: Workshop,
    ) -> None:  # fmt: skip
        self._registry, self._vocabulary, self._trace, self._pump = (
            registry, vocabulary, trace, pump,
        )  # fmt: skip
        self._workshop = workshop
        self.pipe = text("trace_pipe", self._refuse_pipe, measure=lambda: 0)
        root = self._rv_files() | {
            "events": self._events(),
            "trace": self._trace_file(),
            "trace_pipe": self.pipe,
            "log": text("log", log.text, news=log.news),
            "hwbp": hwbp_folder(breakpoints),
        }
        self.root = Directory(path="", mode=0o700, children=lambda: root, news=NEVER)

    def node(self, path: str) -> Node:
        """The node at a path relative to the root. Raises KeyError when there is none."""
        here: Node = self.root
        for name in filter(None, path.split("/")):
            if not isinstance(here, Directory):
                raise KeyError(path)
            here = here.children()[name]
        return here

    # -- runtime verification ----------------------------------------------------------------

    def _rv_files(self) -> dict[str, Node]:
        registry = self._registry
        return {
            "monitors": monitors_folder(Kit(registry, self._workshop)),
            LOAD: document(LOAD, lambda: self._workshop.report, self._workshop.load),
            "available_monitors": listing(
                "available_monitors",
                lambda: (one.path for one in registry.monitors),
                news=registry.listed,
            ),
            "enabled_monitors": command(
                "enabled_monitors",
                lambda: (one.path for one in registry.monitors if one.enabled),
                self._enable_or_disable,
                truncate=registry.disable_all,
                news=registry.switched,
            ),
            "monitoring_on": flag(
                "monitoring_on", lambda: registry.monitoring_on, registry.set_monitoring
            ),
            "available_reactors": listing(
                "available_reactors", lambda: registry.reactors, news=registry.switched
            ),
            "reacting_on": flag("reacting_on", lambda: registry.reacting_on, registry.set_reacting),
        }

    def _enable_or_disable(self, written: str) -> None:
        """``name``, ``parent:name``, with ``!`` before it to disable."""
        name = written.removeprefix("!")
        if name:
            one = self._find(name)
            (self._registry.disable if written.startswith("!") else self._registry.enable)(one)

    def _find(self, name: str) -> Registered:
        parent, colon, child = name.partition(":")
        one = self._registry.find(child if colon else name)
        if colon and one.path != name:
            raise UnknownName(f"monitor {child!r} is not in {parent!r}; its name is {one.path!r}")
        return one

    # -- events ------------------------------------------------------------------------------

    def _events(self) -> Directory:
        def systems() -> Mapping[str, str]:
            return {tracepoint.system: tracepoint.system for _, tracepoint in self._vocabulary}

        enable = self._enable_file("events", lambda: [n for n, _ in self._vocabulary])
        children = Listing(systems, self._system, {"enable": enable})
        return Directory(path="events", children=children, news=self._vocabulary.news)

    def _system(self, system: str) -> Directory:
        def numbers() -> Mapping[str, int]:
            return {tp.name: n for n, tp in self._vocabulary if tp.system == system}

        enable = self._enable_file(f"events/{system}", lambda: numbers().values())
        return Directory(
            path=f"events/{system}", children=Listing(numbers, self._event, {"enable": enable}),
            news=self._vocabulary.news,
        )  # fmt: skip

    def _event(self, number: int) -> Directory:
        event = _Event(self._vocabulary, number)
        path = f"events/{event.tracepoint.system}/{event.tracepoint.name}"
        files: dict[str, Node] = {
            "enable": self._enable_file(path, lambda: [number], event),
            "format": text(
                f"{path}/format",
                lambda: event.tracepoint.format_text(number).encode(), owner=event,
                news=self._vocabulary.news,
            ),
            "id": text(f"{path}/id", lambda: b"%d\n" % number, owner=event, news=NEVER),
            "inject": inject(
                f"{path}/inject", lambda data: self._inject(event, data), owner=event
            ),
        }  # fmt: skip
        return Directory(path=path, owner=event, children=lambda: files, news=NEVER)

    def _enable_file(
        self, folder: str, numbers: Callable[[], Iterable[int]], owner: Owner = PERMANENT
    ) -> File:
        """``1`` or ``0``, for one tracepoint or many; ``X`` while some are on and some off."""

        def show() -> bytes:
            on = {number in self._trace.enabled for number in numbers()}
            return b"X\n" if len(on) == 2 else b"%d\n" % (True in on)

        def put(data: bytes) -> None:
            on = parse_bool(data)
            for number in numbers():
                self._trace.enable(number, on)

        return File(
            path=f"{folder}/enable", mode=READ_WRITE, read=show, write=put, owner=owner, news=NEVER
        )

    def _inject(self, event: _Event, data: bytes) -> None:
        """Through the pump like any other event, before the write returns."""
        injected = parse_event(data, event.tracepoint)
        self._pump.feed(injected.batch(event.number, self._pump.now()))

    # -- the trace ---------------------------------------------------------------------------

    def _trace_file(self) -> File:
        """As in ftrace, what is written is ignored, and opening it with O_TRUNC clears it."""
        trace = self._trace
        return File(
            path="trace", mode=READ_WRITE, read=trace.text, write=lambda data: None,
            truncate=trace.clear, measure=lambda: trace.size, news=trace.news,
        )  # fmt: skip

    def _refuse_pipe(self) -> bytes:
        raise InvalidInput("it is read through its mount only")
