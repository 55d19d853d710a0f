"""What the shipped monitors say of the simulated machine: nothing, or what was planted."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from rvfs._stepper import PURE
from rvfs.engine import Engine
from rvfs.monitors import shipped
from rvfs.source.sim import NATURAL_RATE, Fault, Sim
from rvfs.source.sim.faults import OCCASIONS

from .naive_monitors import MODELS, NaiveMonitor, Report, events
from .simulation import MACHINES, VOCABULARY, machine, planted, read

SHIPPED = [loaded.monitor for top in shipped() for loaded in top if not loaded.monitor.is_container]
#: The interpreted stepper is for smaller streams.
TEN_MILLION = 1_000_000 if PURE else 10_000_000

shapes = pytest.mark.parametrize("shape", MACHINES, ids=str)


def of_naive_monitors(sim: Sim, count: int) -> Iterator[Report]:
    """What naive monitors of all kinds report, each watching all of it."""
    monitors = [NaiveMonitor(name, VOCABULARY) for name in MODELS]
    for batch in read(sim, count):
        for event in events(batch):
            for monitor in monitors:
                yield from monitor.step(*event)


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
            yield verdict.monitor, verdict.time, verdict.cpu, verdict.key, verdict.event


def every(events: float, shape: Mapping[str, Any], *monitors: str) -> list[Fault]:
    """Faults of each monitor, one for so many events on average."""
    rate = shape.get("rate") or NATURAL_RATE * shape["cpus"]
    return [Fault(monitor, rate / events) for monitor in monitors]


def in_order(reports: Sequence[Report]) -> list[tuple[object, ...]]:
    return sorted(
        (time, cpu, monitor, key or -1, event) for monitor, time, cpu, key, event in reports
    )


# -- no faults -----------------------------------------------------------------------------


def test_nobody_reports_anything_in_ten_million_events() -> None:
    assert list(of_engine(machine(), TEN_MILLION)) == []


@shapes
def test_nobody_reports_anything_on_machines_of_every_shape(shape: Mapping[str, Any]) -> None:
    assert list(of_engine(machine(**shape), 150_000)) == []
    assert list(of_naive_monitors(machine(**shape), 30_000)) == []


@shapes
def test_nobody_reports_anything_who_begins_to_watch_later(shape: Mapping[str, Any]) -> None:
    sim, engine = machine(**shape), engine_of_all()
    for batch in read(sim, 100_000, limit=337):
        engine.reset()
        assert engine.step(batch) == []


def test_the_monitors_see_every_state_and_most_steps_of_their_models() -> None:
    seen: set[tuple[str, str, str]] = set()
    monitors = [Observed(name, VOCABULARY, seen) for name in MODELS]
    for batch in read(machine(), 60_000):
        for event in events(batch):
            for monitor in monitors:
                assert list(monitor.step(*event)) == []
    steps = {(m.name, state, event) for m in monitors for state, event in m.table}
    assert {step[:2] for step in seen} == {step[:2] for step in steps}
    assert len(seen) > 0.8 * len(steps)


class Observed(NaiveMonitor):
    """A naive monitor that notes each step."""

    def __init__(self, name: str, vocabulary: Any, seen: set[tuple[str, str, str]]) -> None:
        super().__init__(name, vocabulary)
        self.seen = seen

    def violates(self, instance: tuple[str, int], entry: str, event: str) -> bool:
        if instance in self.states:
            self.seen.add((self.name, self.states[instance], event))
        return super().violates(instance, entry, event)


# -- faults --------------------------------------------------------------------------------


def test_there_is_a_fault_for_every_shipped_monitor() -> None:
    assert OCCASIONS.keys() == MODELS.keys() == {monitor.name for monitor in SHIPPED}


@pytest.mark.parametrize("monitor", OCCASIONS)
@shapes
def test_a_fault_shows_to_its_own_monitor_alone(shape: Mapping[str, Any], monitor: str) -> None:
    sim = machine(**shape, faults=every(50, shape, monitor))
    reports = list(of_engine(sim, 30_000))
    assert in_order(reports) == in_order(planted(sim))
    assert {report[0] for report in reports} == {monitor}


@pytest.mark.parametrize("often", [5000, 100, 0.001])
@shapes
def test_all_faults_at_once_are_reported_exactly(shape: Mapping[str, Any], often: float) -> None:
    sim = machine(**shape, faults=every(often, shape, *OCCASIONS))
    reports = list(of_engine(sim, 100_000))
    assert in_order(reports) == in_order(planted(sim))
    assert sim.counts == Counter(report[0] for report in reports)


@shapes
def test_naive_monitors_agree(shape: Mapping[str, Any]) -> None:
    sim = machine(**shape, faults=every(50, shape, *OCCASIONS))
    reports = list(of_naive_monitors(sim, 30_000))
    assert in_order(reports) == in_order(planted(sim))
    assert {report[0] for report in reports} == OCCASIONS.keys()


@pytest.mark.parametrize("monitor", OCCASIONS)
def test_a_rate_is_violations_per_simulated_second(monitor: str) -> None:
    sim = machine(rate=200_000.0, duration=1.0, faults=[Fault(monitor, 400)])
    assert sum(len(batch) for batch in read(sim, 10_000_000)) == pytest.approx(200_000, rel=0.05)
    assert 320 < sim.counts[monitor] < 480


def test_what_is_not_read_yet_is_not_counted() -> None:
    sim = machine(faults=[Fault("sco", 50_000)])
    while not sim.counts:
        (batch,) = read(sim, 1)
    assert sim.planted[0].time == batch.time[-1]
    assert sim.counts == {"sco": 1}
