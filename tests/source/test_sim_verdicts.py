"""What the shipped monitors say of the simulated machine: nothing, or what was planted."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from rvfs._stepper import PURE
from rvfs.engine import Engine
from rvfs.event import Batch
from rvfs.monitors import shipped
from rvfs.source.sim import NATURAL_RATE, Fault, Sim
from rvfs.source.sim.faults import OCCASIONS

from .naive_monitors import MODELS, NaiveMonitor, Report, events
from .naive_rules import NAIVE, NaiveRule, naive
from .simulation import MACHINES, VOCABULARY, machine, planted, read

SHIPPED = [loaded.monitor for top in shipped() for loaded in top if not loaded.monitor.is_container]
#: The interpreted stepper is for smaller streams.
MILLIONS = 200_000 if PURE else 2_000_000

#: Their faults take so long that they show on machines that do little: 4 s of simulated time.
SLOW = {"stall"}
QUICK = sorted(OCCASIONS.keys() - SLOW)
#: Machines that get to seconds with few events.
SLOW_MACHINES: tuple[Mapping[str, Any], ...] = (
    {"cpus": 2, "tasks": 16, "seed": 0, "rate": 2_000.0},
    {"cpus": 1, "tasks": 1, "seed": 1, "rate": 1_000.0},
    {"cpus": 1, "tasks": 30, "seed": 2, "rate": 2_000.0},
    {"cpus": 8, "tasks": 5, "seed": 3, "rate": 2_000.0},
)

shapes = pytest.mark.parametrize("shape", MACHINES, ids=str)
slow_shapes = pytest.mark.parametrize("shape", SLOW_MACHINES, ids=str)


def of_naive_monitors(sim: Sim, count: int) -> Iterator[Report]:
    """What naive monitors of all kinds report, each watching all of it."""
    monitors = [naive(name, VOCABULARY) for name in NAIVE]
    for batch in read(sim, count):
        for event in events(batch):
            for monitor in monitors:
                yield from monitor.step(*event)
        for monitor in monitors:
            yield from monitor.pass_time(_now(batch))


def _now(batch: Batch) -> int:
    assert batch.now is not None
    return batch.now


def engine_of_all() -> Engine:
    engine = Engine(VOCABULARY)
    for monitor in SHIPPED:
        engine.add(monitor)
    return engine


def of_engine(sim: Sim, count: int) -> Iterator[Report]:
    """What the engine reports, watching what it asks for."""
    engine = engine_of_all()
    sim.subscribe(engine.wanted())
    for batch in read(sim, count):
        for verdict in engine.step(batch):
            cpu = -1 if verdict.event == "none" else verdict.cpu
            yield verdict.monitor, verdict.time, cpu, verdict.key, verdict.event


def every(events: float, shape: Mapping[str, Any], *monitors: str) -> list[Fault]:
    """Faults of each monitor, one for so many events on average."""
    rate = shape.get("rate") or NATURAL_RATE * shape["cpus"]
    return [Fault(monitor, rate / events) for monitor in monitors]


def in_order(reports: Sequence[Report]) -> list[tuple[object, ...]]:
    return sorted(
        (time, cpu, monitor, key or -1, event) for monitor, time, cpu, key, event in reports
    )


# -- no faults -----------------------------------------------------------------------------


def test_nobody_reports_anything_in_millions_of_events() -> None:
    assert list(of_engine(machine(tasks=30), MILLIONS)) == []


#: A machine that has so little time for its tasks that somebody would wait too long.
HARD_PRESSED: Mapping[str, Any] = {"cpus": 1, "tasks": 30, "seed": 5, "rate": 20.0}


@pytest.mark.parametrize("shape", [*MACHINES, *SLOW_MACHINES, HARD_PRESSED], ids=str)
def test_nobody_reports_anything_on_machines_of_every_shape(shape: Mapping[str, Any]) -> None:
    assert list(of_engine(machine(**shape), 150_000)) == []
    assert list(of_naive_monitors(machine(**shape), 20_000)) == []


@shapes
def test_nobody_reports_anything_who_begins_to_watch_later(shape: Mapping[str, Any]) -> None:
    sim, engine = machine(**shape), engine_of_all()
    for batch in read(sim, 100_000, limit=337):
        engine.reset()
        assert engine.step(batch) == []


def test_the_monitors_see_every_state_and_most_steps_of_their_models() -> None:
    seen: set[tuple[str, str, str]] = set()
    monitors = [observed(name, seen) for name in MODELS]
    for batch in read(machine(tasks=30, rate=20_000.0), 60_000):
        for event in events(batch):
            for monitor in monitors:
                assert list(monitor.step(*event)) == []
    steps = {(m.name, state, event) for m in monitors for state, event in m.table}
    assert {step[:2] for step in seen} == {step[:2] for step in steps}
    assert len(seen) > 0.7 * len(steps)


def observed(name: str, seen: set[tuple[str, str, str]]) -> NaiveMonitor:
    """A naive monitor that notes each step."""
    monitor = naive(name, VOCABULARY)
    allows = monitor.allows

    def note(instance: tuple[str, int], event: str, *rest: Any) -> bool:
        seen.add((name, monitor.states[instance], event))
        return allows(instance, event, *rest)

    monitor.allows = note  # type: ignore[method-assign, assignment]
    return monitor


def test_real_time_tasks_sleep_in_every_way_that_the_rules_allow() -> None:
    rule = NaiveRule("sleep", VOCABULARY)
    ways: set[tuple[str, ...]] = set()
    for batch in read(machine(cpus=2, tasks=30), 50_000):
        for event in events(batch):
            assert list(rule.step(*event)) == []
            if VOCABULARY[event[0]].name == "sched_set_state_tp":
                known = rule.known.get(("task", event[4]["pid"]), {})
                if known.get("RT") and known.get("USER_THREAD"):
                    ways.add(tuple(atom for atom in WAYS if known.get(atom)))
    assert {way for ways_at_once in ways for way in ways_at_once} == set(WAYS)


WAYS = ("BLOCK_ON_RT_MUTEX", "CLOCK_NANOSLEEP", "EPOLL_WAIT", "FUTEX_LOCK_PI", "FUTEX_WAIT")


# -- faults --------------------------------------------------------------------------------


def test_there_is_a_fault_for_every_shipped_monitor() -> None:
    assert OCCASIONS.keys() == NAIVE.keys() == {monitor.name for monitor in SHIPPED}


@pytest.mark.parametrize("monitor", QUICK)
@shapes
def test_a_fault_shows_to_its_own_monitor_alone(shape: Mapping[str, Any], monitor: str) -> None:
    sim = machine(**shape, faults=every(50, shape, monitor))
    reports = list(of_engine(sim, 30_000))
    assert in_order(reports) == in_order(planted(sim))
    assert {report[0] for report in reports} <= {monitor}
    assert reports or not has_occasion(shape, monitor)


def has_occasion(shape: Mapping[str, Any], monitor: str) -> bool:
    """Whether so few events are time enough for a deadline."""
    return monitor != "nomiss" or shape.get("rate", 0) < 1e9


@pytest.mark.parametrize("monitor", sorted(SLOW))
@slow_shapes
def test_a_slow_fault_shows_to_its_own_monitor_alone(
    shape: Mapping[str, Any], monitor: str
) -> None:
    sim = machine(**shape, faults=[Fault(monitor, 1)])
    reports = list(of_engine(sim, 60_000))
    assert in_order(reports) == in_order(planted(sim))
    assert len(reports) > 2


@pytest.mark.parametrize("often", [5000, 100, 0.001])
@shapes
def test_all_faults_at_once_are_reported_exactly(shape: Mapping[str, Any], often: float) -> None:
    sim = machine(**shape, faults=every(often, shape, *OCCASIONS))
    reports = list(of_engine(sim, 100_000))
    assert in_order(reports) == in_order(planted(sim))
    assert sim.counts == Counter(report[0] for report in reports)


@slow_shapes
def test_all_faults_at_once_are_reported_exactly_by_and_by(shape: Mapping[str, Any]) -> None:
    faults = [Fault(monitor, 1 if monitor in SLOW else 10) for monitor in OCCASIONS]
    sim = machine(**shape, faults=faults)
    reports = list(of_engine(sim, 100_000))
    assert in_order(reports) == in_order(planted(sim))
    assert {report[0] for report in reports} == OCCASIONS.keys()


@shapes
def test_naive_monitors_agree(shape: Mapping[str, Any]) -> None:
    """A deadline that passes keeps a CPU from everything else: that one is planted less often."""
    monitors = {monitor for monitor in QUICK if has_occasion(shape, monitor)}
    rare = monitors & {"nomiss"}
    faults = every(50, shape, *sorted(monitors - rare)) + every(10_000, shape, *rare)
    sim = machine(**shape, faults=faults)
    reports = list(of_naive_monitors(sim, 40_000))
    assert in_order(reports) == in_order(planted(sim))
    assert {report[0] for report in reports} == monitors


@slow_shapes
def test_naive_monitors_agree_by_and_by(shape: Mapping[str, Any]) -> None:
    faults = [Fault(monitor, 1 if monitor in SLOW else 10) for monitor in OCCASIONS]
    sim = machine(**shape, faults=faults)
    reports = list(of_naive_monitors(sim, 40_000))
    assert in_order(reports) == in_order(planted(sim))
    assert {report[0] for report in reports} == OCCASIONS.keys()


@pytest.mark.parametrize("monitor", QUICK)
def test_a_rate_is_violations_per_simulated_second(monitor: str) -> None:
    wanted = 50 if monitor == "nomiss" else 400
    sim = machine(rate=200_000.0, duration=1.0, faults=[Fault(monitor, wanted)])
    assert sum(len(batch) for batch in read(sim, 10_000_000)) == pytest.approx(200_000, rel=0.05)
    assert 0.75 * wanted < sim.counts[monitor] < 1.25 * wanted


def test_slow_faults_have_their_rate_too() -> None:
    sim = machine(rate=1_000.0, duration=200.0, faults=[Fault("stall", 0.5)])
    assert sum(len(batch) for batch in read(sim, 10_000_000)) == pytest.approx(200_000, rel=0.05)
    assert 75 < sim.counts["stall"] < 125


def test_what_is_not_read_yet_is_not_counted() -> None:
    sim = machine(faults=[Fault("sco", 50_000)])
    while not sim.counts:
        (batch,) = read(sim, 1)
    assert sim.planted[0].time == batch.time[-1]
    assert sim.counts == {"sco": 1}


def test_what_time_has_not_violated_yet_is_not_counted() -> None:
    sim = machine(rate=1_000.0, faults=[Fault("stall", 1)])
    times = [0]
    while not sim.counts:
        (batch,) = read(sim, 1)
        times.append(_now(batch))
    assert times[-2] < sim.planted[0].time <= times[-1]
