"""Any sequence of commands: the registry against a naive model of the interface's text."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rvfs.errors import RvfsError
from rvfs.monitor import Scope

from .fakes import Collect, Machine, container, monitor

NAMES = [f"m{i}" for i in range(6)]
CONTAINERS = ["boxA", "boxB"]
SLOTS = 3


@dataclass
class Known:
    """What the naive model keeps of one monitor."""

    name: str
    parent: str | None
    per_task: bool
    on: bool = False
    reactor: str = "nop"


@dataclass
class Naive:
    """Lists and flags; every rule is spelled out where it applies."""

    tops: list[str] = field(default_factory=list)
    children: dict[str, list[str]] = field(default_factory=dict)  # oldest first
    known: dict[str, Known] = field(default_factory=dict)

    def listing(self) -> list[Known]:
        found = []
        for top in self.tops:
            found.append(self.known[top])
            found += [self.known[c] for c in reversed(self.children.get(top, []))]
        return found

    def family(self, name: str) -> list[Known]:
        return [self.known[c] for c in [*reversed(self.children.get(name, [])), name]]

    def free_slots(self) -> int:
        return SLOTS - sum(k.on and k.per_task for k in self.known.values())

    def register(self, name: str, parent: str | None, per_task: bool) -> bool:
        no_parent = parent is not None and parent not in self.children
        if name in self.known or no_parent:
            return False
        (self.tops if parent is None else self.children[parent]).append(name)
        self.known[name] = Known(name, parent, per_task)
        if name in CONTAINERS:
            self.children[name] = []
        return True

    def unregister(self, name: str) -> bool:
        if name not in self.known:
            return False
        for child in self.children.pop(name, []):
            del self.known[child]
        parent = self.known.pop(name).parent
        (self.tops if parent is None else self.children[parent]).remove(name)
        return True

    def enable(self, name: str) -> bool:
        if name not in self.known:
            return False
        needed = sum(k.per_task and not k.on for k in self.family(name))
        if needed > self.free_slots():
            return False
        for one in self.family(name):
            one.on = True
        return True

    def disable(self, name: str) -> bool:
        for one in self.family(name) if name in self.known else []:
            one.on = False
        return name in self.known

    def set_reactor(self, name: str, reactor: str) -> bool:
        if name not in self.known or reactor not in ("nop", "collect"):
            return False
        for one in self.family(name):
            one.reactor = reactor
        return True


names = st.sampled_from([*NAMES, *CONTAINERS, "nobody"])


class RegistryMachine(RuleBasedStateMachine):
    """Each rule does the same to both; both must agree whether it is possible."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(task_slots=SLOTS)
        self.registry = self.machine.registry
        self.registry.register_reactor(Collect())
        self.naive = Naive()

    def agree(self, possible: bool, act: object) -> None:
        assert callable(act)
        if possible:
            act()
        else:
            before = self.machine.state()
            with pytest.raises(RvfsError):
                act()
            assert self.machine.state() == before

    @rule(
        name=st.sampled_from(NAMES), parent=st.sampled_from([None, *CONTAINERS]), task=st.booleans()
    )
    def register(self, name: str, parent: str | None, task: bool) -> None:
        possible = self.naive.register(name, parent, task)
        made = monitor(name, Scope.TASK if task else Scope.CPU)
        self.agree(possible, lambda: self.registry.register_monitor(made, parent))

    @rule(name=st.sampled_from(CONTAINERS))
    def register_container(self, name: str) -> None:
        possible = self.naive.register(name, None, per_task=False)
        self.agree(possible, lambda: self.registry.register_monitor(container(name)))

    @rule(name=names)
    def unregister(self, name: str) -> None:
        self.agree(self.naive.unregister(name), lambda: self.registry.unregister_monitor(name))

    @rule(name=names)
    def enable(self, name: str) -> None:
        possible = self.naive.enable(name)
        self.agree(possible, lambda: self.registry.enable(self.registry.find(name)))

    @rule(name=names)
    def disable(self, name: str) -> None:
        possible = self.naive.disable(name)
        self.agree(possible, lambda: self.registry.disable(self.registry.find(name)))

    @rule()
    def disable_all(self) -> None:
        for one in self.naive.known.values():
            one.on = False
        self.registry.disable_all()

    @rule(name=names, reactor=st.sampled_from(["nop", "collect", "none"]))
    def set_reactor(self, name: str, reactor: str) -> None:
        possible = self.naive.set_reactor(name, reactor)
        self.agree(possible, lambda: self.registry.set_reactor(self.registry.find(name), reactor))

    @invariant()
    def the_same_is_known_and_on(self) -> None:
        assert [(r.name, r.enabled, r.reactor.name) for r in self.registry.monitors] == [
            (k.name, k.on, k.reactor) for k in self.naive.listing()
        ]

    @invariant()
    def slots_are_held_by_what_is_on(self) -> None:
        held = sorted(h for h in self.registry.task_slots.holders if h)
        assert held == sorted(k.name for k in self.naive.known.values() if k.on and k.per_task)

    @invariant()
    def the_engine_steps_what_is_on(self) -> None:
        stepping = any(k.on and k.name not in CONTAINERS for k in self.naive.known.values())
        assert bool(self.machine.engine.wanted()) == stepping

    @invariant()
    def each_monitor_has_its_tracepoints(self) -> None:
        found = {t.name for _, t in self.machine.vocabulary if t.system == "rv"}
        models = [name for name in self.naive.known if name not in CONTAINERS]
        assert found == {f"{kind}_{name}" for name in models for kind in ("event", "error")}


TestRegistry = RegistryMachine.TestCase
TestRegistry.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
