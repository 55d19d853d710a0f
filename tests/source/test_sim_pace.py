"""The pace of the simulated machine: events are due by a clock, and waiting is sleeping."""

import pytest
import trio
from trio.testing import MockClock

from rvfs.source.sim import Sim

from .simulation import EVERYTHING, VOCABULARY, machine, read

SWITCH = VOCABULARY.number("sched:sched_switch")


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.seconds = 1234.5

    def __call__(self) -> float:
        return self.seconds


def drain(sim: Sim) -> list[int]:
    """The times (ns since the machine began) of all that is due now."""
    times: list[int] = []
    while (batch := sim.read(1000)) is not None and len(batch):
        times += (batch.time - 1_000_000_000).tolist()
    return times


def test_a_read_gives_what_is_due_and_no_more() -> None:
    clock = Clock()
    sim = Sim(VOCABULARY, rate=10_000.0, clock=clock)
    sim.subscribe(EVERYTHING)
    drain(sim)
    count = 0
    for tenth in range(1, 51):
        clock.seconds = 1234.5 + tenth / 10
        times = drain(sim)
        count += len(times)
        assert (tenth - 1) * 0.1e9 < times[0] <= times[-1] <= tenth * 0.1e9
    assert count == pytest.approx(50_000, rel=0.05)


def test_the_pace_does_not_change_the_events() -> None:
    clock = Clock()
    times: list[int] = []
    paced = Sim(VOCABULARY, rate=1_000.0, clock=clock, seed=5)
    paced.subscribe(EVERYTHING)
    while len(times) < 3000:
        times += drain(paced)
        clock.seconds += 0.0371
    at_once = machine(rate=1_000.0, seed=5)
    expected = [t - 1_000_000_000 for b in read(at_once, len(times)) for t in b.time.tolist()]
    assert times == expected


@pytest.mark.parametrize("rate", [20.0, 1_000.0, 30_000.0, 5_000_000.0])
def test_a_rate_is_events_per_second(rate: float) -> None:
    sim = machine(rate=rate, duration=60_000 / rate)
    assert sum(map(len, read(sim, 1_000_000))) == pytest.approx(60_000, rel=0.1)


async def test_waiting_is_sleeping_until_something_is_due(
    autojump_clock: MockClock,
) -> None:
    sim = Sim(VOCABULARY, rate=10_000.0)
    sim.subscribe(EVERYTHING)
    waits, events, late = 0, 0, 0.0
    while trio.current_time() < 10:
        batch = sim.read(1 << 16)
        assert batch is not None
        if len(batch):
            events += len(batch)
            late = max(late, trio.current_time() - (int(batch.time[0]) / 1e9 - 1))
        else:
            await sim.wait()
            waits += 1
    assert events == pytest.approx(100_000, rel=0.05)
    assert waits <= 10 / 0.005 + 1
    assert late <= 0.0051


async def test_a_wait_ends_now_and_then_for_who_has_subscribed_meanwhile(
    autojump_clock: MockClock,
) -> None:
    sim = Sim(VOCABULARY, rate=0.001)
    sim.subscribe({SWITCH: frozenset()})
    drain(sim)
    for rate in (0.001, None):
        sim = Sim(VOCABULARY, rate=rate)
        began = trio.current_time()
        assert sim.read(100) is not None
        await sim.wait()
        assert 0 < trio.current_time() - began <= 0.051


async def test_without_a_rate_nobody_waits(autojump_clock: MockClock) -> None:
    sim = Sim(VOCABULARY, rate=None, duration=0.01)
    sim.subscribe(EVERYTHING)
    while (batch := sim.read(100)) is not None:
        assert len(batch)
        await sim.wait()
    await sim.wait()
    assert trio.current_time() == 0
