"""Registration, enabling, containers, reactors, slots: each rule as a sentence."""

import errno
import logging
from collections.abc import Callable
from typing import Any

import pytest

from rvfs.building import Builder
from rvfs.errors import AlreadyRegistered, Busy, CannotMake, InvalidInput, RvfsError, UnknownName
from rvfs.event import batch_of
from rvfs.monitor import Binding, Monitor, Scope
from rvfs.registry import Registry

from .fakes import MODEL, WAKEUP, Collect, Fails, Machine, container, failing, monitor


@pytest.fixture
def machine() -> Machine:
    """wip, wwnr (per task), and the container box with one, two and three."""
    machine = Machine()
    machine.registry.register_reactor(Collect())
    machine.registry.register_monitor(monitor("wip"))
    machine.registry.register_monitor(monitor("wwnr", Scope.TASK))
    machine.registry.register_monitor(container("box"))
    for child in ("one", "two", "three"):
        machine.registry.register_monitor(monitor(child, Scope.TASK), "box")
    return machine


def enable(machine: Machine, *names: str) -> None:
    for name in names:
        machine.registry.enable(machine.registry.find(name))


def disable(machine: Machine, name: str) -> None:
    machine.registry.disable(machine.registry.find(name))


# -- listing -------------------------------------------------------------------------------------


def test_children_stand_after_their_container_the_newest_first(machine: Machine) -> None:
    assert machine.listing() == ["wip", "wwnr", "box", "box:three", "box:two", "box:one"]


def test_a_later_monitor_comes_after_every_child(machine: Machine) -> None:
    machine.registry.register_monitor(monitor("last"))
    assert machine.listing()[-1] == "last"


# -- registration errors -------------------------------------------------------------------------

REFUSED: list[tuple[Callable[[Registry], object], type[RvfsError], int, str]] = [
    (lambda r: r.register_monitor(monitor("wip")), AlreadyRegistered, errno.EEXIST,
     "Monitor wip is already registered"),
    (lambda r: r.register_monitor(monitor("one")), AlreadyRegistered, errno.EEXIST,
     "Monitor one is already registered"),
    (lambda r: r.register_monitor(monitor("new"), "one"), InvalidInput, errno.EINVAL,
     "Parent monitor one is already nested, cannot nest further"),
    (lambda r: r.register_monitor(monitor("new"), "wip"), InvalidInput, errno.EINVAL,
     "no container"),
    (lambda r: r.register_monitor(monitor("new"), "who"), UnknownName, errno.EINVAL, "'who'"),
    (lambda r: r.register_monitor(monitor("enable"), "box"), CannotMake, errno.ENOMEM, "enable"),
    (lambda r: r.register_monitor(monitor("desc"), "box"), CannotMake, errno.ENOMEM, "desc"),
    (lambda r: r.register_monitor(monitor("reactors"), "box"), CannotMake, errno.ENOMEM,
     "reactors"),
    (lambda r: r.register_monitor(monitor("x" * 32)), InvalidInput, errno.EINVAL, "longer than 32"),
    (lambda r: r.register_reactor(Collect("nop")), InvalidInput, errno.EINVAL,
     "Reactor nop is already registered"),
    (lambda r: r.register_reactor(Collect("x" * 32)), InvalidInput, errno.EINVAL, "longer than 32"),
    (lambda r: r.unregister_monitor("who"), UnknownName, errno.EINVAL, "'who'"),
    (lambda r: r.unregister_reactor("who"), UnknownName, errno.EINVAL, "'who'"),
    (lambda r: r.set_reactor(r.find("wip"), "who"), UnknownName, errno.EINVAL, "'who'"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "error", "code", "says"), REFUSED)
def test_a_refusal_says_why_carries_its_errno_and_changes_nothing(
    machine: Machine,
    act: Callable[[Registry], object],
    error: type[RvfsError],
    code: int,
    says: str,
) -> None:
    before = machine.state()
    with pytest.raises(error, match=says) as caught:
        act(machine.registry)
    assert caught.value.errno == code
    assert machine.state() == before


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a!b", "a b", "a\tb", ".hidden", "a\0b"])
def test_a_name_that_cannot_be_addressed_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        monitor(name)


def test_31_bytes_are_a_name_and_a_monitor_may_be_called_nop(machine: Machine) -> None:
    machine.registry.register_monitor(monitor("x" * 31))
    machine.registry.register_monitor(monitor("nop"))
    assert machine.listing()[-2:] == ["x" * 31, "nop"]


def test_a_binding_to_a_field_that_is_not_there_leaves_nothing_behind(machine: Machine) -> None:
    before = machine.state()
    bad = Monitor("bad", "any", Scope.TASK, MODEL, (Binding(WAKEUP, "on", task="pod"),))
    with pytest.raises(UnknownName, match="pod"):
        machine.registry.register_monitor(bad, "box")
    assert machine.state() == before


@pytest.mark.parametrize("nth", range(len(Builder.BUILD)))
def test_whichever_step_of_a_registration_fails_nothing_is_left(
    machine: Machine, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step fails before it did anything, and right after it did all."""
    before = machine.state()
    for faulty in failing(Builder.BUILD, nth):
        monkeypatch.setattr(Builder, "BUILD", faulty)
        with pytest.raises(Fails):
            machine.registry.register_monitor(monitor("new"), "box")
        monkeypatch.undo()
        assert machine.state() == before
    machine.registry.register_monitor(monitor("new"), "box")


@pytest.mark.parametrize("nth", [1, 2])
def test_a_fault_within_a_step_leaves_nothing_either(
    machine: Machine, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of the two tracepoints cannot be added."""
    before = machine.state()
    add, calls = machine.vocabulary.add, []

    def add_some(tracepoint: Any) -> int:
        calls.append(tracepoint)
        if len(calls) == nth:
            raise Fails
        return add(tracepoint)

    monkeypatch.setattr(machine.vocabulary, "add", add_some)
    with pytest.raises(Fails):
        machine.registry.register_monitor(monitor("new"))
    assert machine.state() == before


# -- removal -------------------------------------------------------------------------------------


def test_a_removed_monitor_is_off_every_listing_at_once_and_freed_after_its_last_holder(
    machine: Machine,
) -> None:
    enable(machine, "wwnr")
    removed = machine.registry.find("wwnr")
    removed.hold()
    removed.hold()
    machine.registry.unregister_monitor("wwnr")
    assert "wwnr" not in machine.listing()
    assert removed.gone
    assert machine.registry.task_slots.holders[0] is None
    removed.release()
    assert removed.program is not None
    removed.release()
    assert removed.free
    assert removed.program is None


def test_a_new_monitor_of_the_same_name_is_a_new_object(machine: Machine) -> None:
    old = machine.registry.unregister_monitor("wip")
    new = machine.registry.register_monitor(monitor("wip"))
    assert new is not old
    assert old.gone
    assert not new.gone


def test_a_container_takes_its_children_along(machine: Machine) -> None:
    enable(machine, "box")
    child = machine.registry.find("two")
    machine.registry.unregister_monitor("box")
    assert machine.listing() == ["wip", "wwnr"]
    assert child.gone
    assert machine.engine.wanted() == {}


def test_removal_takes_its_tracepoints_with_it_switched_on_or_not(machine: Machine) -> None:
    machine.trace.enable(machine.vocabulary.number("rv:error_wip"), on=True)
    machine.registry.unregister_monitor("wip")
    assert "rv:error_wip" not in machine.vocabulary
    assert machine.trace.enabled == set()


# -- enable and disable --------------------------------------------------------------------------


def test_enabling_twice_and_disabling_twice_is_no_error_and_no_reset(machine: Machine) -> None:
    enable(machine, "wip")
    version = machine.registry.version
    enable(machine, "wip")
    assert machine.registry.version == version
    disable(machine, "wip")
    disable(machine, "wip")
    assert machine.enabled() == []


def test_a_container_switches_all_its_children(machine: Machine) -> None:
    enable(machine, "box")
    assert machine.enabled() == ["box", "box:three", "box:two", "box:one"]
    disable(machine, "box")
    assert machine.enabled() == []


def test_a_child_alone_leaves_the_container_as_it_is(machine: Machine) -> None:
    enable(machine, "two")
    assert machine.enabled() == ["box:two"]
    enable(machine, "box")
    disable(machine, "two")
    assert machine.enabled() == ["box", "box:three", "box:one"]


def test_enabling_a_container_again_brings_back_its_children(machine: Machine) -> None:
    enable(machine, "box")
    disable(machine, "two")
    enable(machine, "box")
    assert "box:two" in machine.enabled()


def test_disabling_a_container_that_is_off_switches_off_its_children(machine: Machine) -> None:
    enable(machine, "two")
    disable(machine, "box")
    assert machine.enabled() == []


def test_an_empty_container_is_a_switch_without_effect(machine: Machine) -> None:
    machine.registry.register_monitor(container("empty"))
    enable(machine, "empty")
    assert machine.enabled() == ["empty"]


def test_disable_all_switches_off_containers_and_children(machine: Machine) -> None:
    enable(machine, "wip", "wwnr", "box")
    machine.registry.disable_all()
    assert machine.enabled() == []


# -- task slots ----------------------------------------------------------------------------------


def few_slots(count: int) -> Machine:
    machine = Machine(task_slots=count)
    for name in ("first", "second"):
        machine.registry.register_monitor(monitor(name, Scope.TASK))
    machine.registry.register_monitor(container("box"))
    for name in ("one", "two"):
        machine.registry.register_monitor(monitor(name, Scope.TASK), "box")
    return machine


def test_without_a_free_slot_a_per_task_monitor_is_busy_and_the_holders_are_named() -> None:
    machine = few_slots(1)
    enable(machine, "first")
    before = machine.state()
    with pytest.raises(Busy, match=r"monitor second: all 1 are held by first") as caught:
        enable(machine, "second")
    assert caught.value.errno == errno.EBUSY
    assert machine.state() == before


def test_the_lowest_free_slot_is_taken() -> None:
    machine = few_slots(3)
    enable(machine, "first", "second")
    disable(machine, "first")
    enable(machine, "one")
    assert machine.registry.task_slots.holders == ["one", "second", None]


def test_a_container_that_does_not_fit_switches_off_only_what_it_had_switched_on() -> None:
    machine = few_slots(3)
    enable(machine, "first", "second", "one")
    with pytest.raises(Busy):
        enable(machine, "box")
    assert machine.enabled() == ["first", "second", "box:one"]
    disable(machine, "second")
    enable(machine, "box")


def test_an_engine_that_fails_gives_the_slot_back(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = few_slots(1)
    before = machine.state()

    def fail(program: Any) -> None:
        raise Fails

    monkeypatch.setattr(machine.engine, "add", fail)
    with pytest.raises(Fails):
        enable(machine, "first")
    assert machine.state() == before


def test_a_missing_tracepoint_is_a_warning_not_an_error(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    lonely = Monitor("lonely", "any", Scope.CPU, MODEL, (Binding("no:such", "on"),))
    machine.registry.register_monitor(lonely)
    with caplog.at_level(logging.WARNING, "rvfs"):
        enable(machine, "lonely")
    assert "lonely: there is no tracepoint no:such" in caplog.text
    assert machine.enabled() == ["lonely"]
    caplog.clear()


# -- switches and reactors -----------------------------------------------------------------------


def wakeup_twice(machine: Machine, start: bool = True) -> int:
    """Violations of two wakeups of one task on one CPU."""
    fields = {"comm": b"x", "pid": 1, "prio": 1, "target_cpu": 0}
    one = (machine.vocabulary.number(WAKEUP), 0, 0, 0, fields)
    return len(machine.engine.step(batch_of([one, one] if start else [one])))


def test_monitoring_on_again_resets_every_instance_but_on_while_on_does_not(
    machine: Machine,
) -> None:
    enable(machine, "wip")
    wakeup_twice(machine, start=False)
    machine.registry.set_monitoring(True)
    assert wakeup_twice(machine, start=False) == 1
    wakeup_twice(machine, start=False)
    machine.registry.set_monitoring(False)
    machine.registry.set_monitoring(True)
    assert wakeup_twice(machine, start=False) == 0


def test_while_monitoring_is_off_only_the_trace_wants_events(machine: Machine) -> None:
    enable(machine, "wip")
    version = machine.registry.version
    machine.registry.set_monitoring(False)
    assert machine.registry.wanted() == {}
    machine.trace.enable(machine.vocabulary.number(WAKEUP), on=True)
    assert set(machine.registry.wanted()) == {machine.vocabulary.number(WAKEUP)}
    machine.registry.set_monitoring(True)
    assert machine.registry.version != version
    assert set(machine.engine.wanted()) <= set(machine.registry.wanted())


def reactors(machine: Machine) -> dict[str, str]:
    return {r.name: r.reactor.name for r in machine.registry.monitors}


def test_a_reactor_is_chosen_per_monitor_and_begins_with_nop(machine: Machine) -> None:
    assert set(reactors(machine).values()) == {"nop"}
    machine.registry.set_reactor(machine.registry.find("one"), "collect")
    assert [name for name, r in reactors(machine).items() if r == "collect"] == ["one"]


def test_a_container_gives_its_reactor_to_all_children_and_what_is_on_stays_on(
    machine: Machine,
) -> None:
    enable(machine, "one")
    machine.registry.set_reactor(machine.registry.find("box"), "collect")
    assert [n for n, r in reactors(machine).items() if r == "collect"] == [
        "box", "three", "two", "one",
    ]  # fmt: skip
    assert machine.enabled() == ["box:one"]


def test_another_reactor_makes_the_instances_begin_anew_the_same_one_does_not(
    machine: Machine,
) -> None:
    enable(machine, "wip")
    wip = machine.registry.find("wip")
    wakeup_twice(machine, start=False)
    machine.registry.set_reactor(wip, "nop")
    assert wakeup_twice(machine, start=False) == 1
    wakeup_twice(machine, start=False)
    machine.registry.set_reactor(wip, "collect")
    assert wakeup_twice(machine, start=False) == 0


def test_a_reactor_in_use_cannot_be_removed(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.registry.set_reactor(machine.registry.find("wip"), "collect")
    with pytest.raises(Busy) as caught:
        machine.registry.unregister_reactor("collect")
    assert caught.value.errno == errno.EBUSY
    assert [r.message for r in caplog.records] == [
        "rv: the rv_reactor collect is in use by 1 monitor(s)",
        "rv: the rv_reactor collect cannot be removed",
    ]
    caplog.clear()
    machine.registry.set_reactor(machine.registry.find("wip"), "nop")
    machine.registry.unregister_reactor("collect")
    assert list(machine.registry.reactors) == ["nop"]
