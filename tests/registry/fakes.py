"""Monitors, a machine's worth of objects, and things that fail when told to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rvfs.engine import Engine
from rvfs.event import Verdict
from rvfs.model.automaton import automaton
from rvfs.monitor import Binding, Entry, Monitor, Scope
from rvfs.registry import Registry
from rvfs.trace import Trace
from rvfs.tracepoint import Vocabulary, catalogue

MODEL = automaton("any", "off", [("off", "on", "on"), ("on", "off", "off")])
WAKEUP = "sched:sched_wakeup"


def monitor(name: str, scope: Scope = Scope.CPU) -> Monitor:
    task = "pid" if scope is Scope.TASK else None
    return Monitor(name, "any", scope, MODEL, (Binding(WAKEUP, "on", Entry.START_RUN, task),))


def container(name: str) -> Monitor:
    return Monitor(name, "a container")


class Fails(Exception):
    """What the injected faults raise."""


Steps = tuple[Callable[..., None], ...]


def failing(steps: Steps, nth: int) -> Iterator[Steps]:
    """The steps with one that fails: before it did anything, and right after it did all."""

    def before(*_: Any) -> None:
        raise Fails

    def after(*args: Any) -> None:
        steps[nth](*args)
        raise Fails

    for faulty in (before, after):
        yield (*steps[:nth], faulty, *steps[nth + 1 :])


@dataclass
class Collect:
    """A reactor that keeps what it is given; ``inline`` as the test says."""

    name: str = "collect"
    description: str = "keeps violations."
    inline: bool = True
    seen: list[Verdict] = field(default_factory=list)

    def react(self, verdict: Verdict) -> None:
        self.seen.append(verdict)


class Machine:
    """Everything below the tree."""

    def __init__(self, task_slots: int = 32) -> None:
        self.vocabulary = Vocabulary()
        for tracepoint in catalogue():
            self.vocabulary.add(tracepoint)
        self.engine = Engine(self.vocabulary)
        self.trace = Trace(self.vocabulary)
        self.registry = Registry(self.engine, self.vocabulary, self.trace, task_slots=task_slots)

    def listing(self) -> list[str]:
        return [registered.path for registered in self.registry.monitors]

    def enabled(self) -> list[str]:
        return [registered.path for registered in self.registry.monitors if registered.enabled]

    def state(self) -> tuple[object, ...]:
        """Everything that a failed operation must leave as it was."""
        return (
            self.listing(),
            self.enabled(),
            [r.reactor.name for r in self.registry.monitors],
            [t.full_name for _, t in self.vocabulary],
            self.engine.wanted(),
            list(self.registry.task_slots.holders),
            list(self.registry.reactors),
            set(self.trace.enabled),
        )
