"""Tracepoints that come and go, and the monitors that bind them."""

import pytest

from rvfs.errors import UnknownName
from rvfs.monitor import Binding, Monitor, Scope
from rvfs.tracepoint import Tracepoint

from .fakes import MODEL, Machine, monitor


@pytest.fixture
def machine() -> Machine:
    machine = Machine()
    machine.registry.register_monitor(monitor("wip"))
    return machine


def enable(machine: Machine, name: str) -> None:
    machine.registry.enable(machine.registry.find(name))


def later(field: str = "pid") -> Monitor:
    """A monitor of a tracepoint that is not there yet."""
    return Monitor("later", "any", Scope.TASK, MODEL, (Binding("hwbp:x", "on", task=field),))


def come(machine: Machine) -> int:
    return machine.vocabulary.add(Tracepoint.declare("hwbp", "x", ["pid_t pid"]))


def test_a_tracepoint_that_comes_before_the_monitor_is_enabled_is_bound(machine: Machine) -> None:
    machine.registry.register_monitor(later())
    number = come(machine)
    enable(machine, "later")
    assert machine.engine.wanted()[number] == {"pid"}


def test_a_tracepoint_that_comes_or_comes_back_while_it_is_on_is_bound(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.registry.register_monitor(later())
    enable(machine, "later")
    assert caplog.messages == ["later: there is no tracepoint hwbp:x"]
    caplog.clear()
    for _ in range(2):
        number = come(machine)
        version = machine.registry.version
        machine.registry.rebind("hwbp:x")
        assert machine.engine.wanted()[number] == {"pid"}
        assert machine.registry.version != version
        machine.vocabulary.remove("hwbp:x")


def test_a_rebind_touches_only_what_is_on_and_bound(machine: Machine) -> None:
    machine.registry.register_monitor(later())
    enable(machine, "wip")
    come(machine)
    before = machine.state(), machine.registry.version
    machine.registry.rebind("hwbp:x")
    assert (machine.state(), machine.registry.version) == before


def test_a_tracepoint_that_came_without_the_field_refuses_the_monitor(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.registry.register_monitor(later("tid"))
    come(machine)
    before = machine.state()
    with pytest.raises(UnknownName, match="hwbp:x has no field 'tid'"):
        enable(machine, "later")
    assert machine.state() == before
    machine.vocabulary.remove("hwbp:x")
    enable(machine, "later")
    caplog.clear()
    come(machine)
    machine.registry.rebind("hwbp:x")
    assert caplog.messages == ["monitor later is off: hwbp:x has no field 'tid' (it has: pid)"]
    assert machine.enabled() == []
    caplog.clear()
