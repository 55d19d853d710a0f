"""The loop: what reaches reactors and trace, and what cannot stop it."""

import dataclasses
import logging
import threading
from collections.abc import Iterator

import pytest
import trio
import trio.lowlevel
import trio.testing

from rvfs.errors import Halted, TraceError
from rvfs.event import Batch, Column, Columns, Verdict, batch_of
from rvfs.model.automaton import automaton
from rvfs.model.timing import Condition, Constraint, Timing, Value
from rvfs.monitor import Binding, Entry, Monitor, Scope
from rvfs.pump import QUEUE, Pump
from rvfs.reactors.panic import Panic
from rvfs.source import Wanted

from .registry.fakes import WAKEUP, Collect, Machine, monitor


class Plant(Machine):
    """One per-task monitor, on; a pump over it."""

    def __init__(self, reactor: object = None, one: Monitor | None = None) -> None:
        super().__init__()
        self.pump = Pump(self.engine, self.registry, self.trace)
        self.number = self.vocabulary.number(WAKEUP)
        self.monitor = self.registry.register_monitor(one or monitor("m", Scope.TASK))
        self.registry.enable(self.monitor)
        if reactor is not None:
            self.registry.register_reactor(reactor)  # type: ignore[arg-type]
            self.registry.set_reactor(self.monitor, reactor.name)  # type: ignore[attr-defined]

    def wakeups(self, *pids: int, time: int = 1, lost: dict[int, int] | None = None) -> Batch:
        batch = batch_of(
            [
                (self.number, time, 0, 0, {"comm": b"x", "pid": pid, "prio": 1, "target_cpu": 0})
                for pid in pids
            ]
        )
        return Batch(batch.tp, batch.time, batch.cpu, batch.pid, batch.fields, lost=lost or {})


class Script:
    """A source that plays what it is given: batches, errors, pauses (empty batches)."""

    name, cpus = "script", 1

    def __init__(self, *script: Batch | Exception | None) -> None:
        self._script: Iterator[Batch | Exception | None] = iter(script)
        self.subscribed: list[Wanted] = []
        self.waited = 0
        self.notes: list[str] = []

    def subscribe(self, wanted: Wanted) -> None:
        self.subscribed.append(wanted)

    def read(self, limit: int) -> Batch | None:
        one = next(self._script, None)
        if isinstance(one, Exception):
            raise one
        return one

    async def wait(self) -> None:
        self.waited += 1

    def close(self) -> None:
        """Nothing to give back."""


def keys(reactor: Collect) -> list[int | None]:
    return [verdict.key for verdict in reactor.seen]


async def test_a_drain_takes_what_a_source_has_now_and_does_not_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reactor = Collect()
    plant = Plant(reactor)
    source = Script(
        plant.wakeups(5, 5), plant.wakeups(lost={1: 3}), plant.wakeups(), plant.wakeups(6)
    )
    plant.pump.drain(source)
    assert (keys(reactor), plant.pump.events, plant.pump.lost) == ([5], 2, {1: 3})
    assert (source.subscribed, source.waited) == ([plant.registry.wanted()], 0)
    assert caplog.messages == ["the source lost 3 events on CPU 1 (3 so far)"]
    caplog.clear()


#: A task must not be woken and then left alone for more than 10 ns.
PATIENCE = Timing(
    ("clk",), (), {"on": (Condition("clk", "<", Value(10)),)},
    {("off", "on"): Constraint(None, ("clk",))},
)  # fmt: skip
IMPATIENT = Monitor(
    "m", "any", Scope.TASK, automaton("m", "off", [("off", "on", "on")], timing=PATIENCE),
    (Binding(WAKEUP, "on", Entry.START_RUN, "pid"),),
)  # fmt: skip


async def test_a_timer_runs_out_when_the_clock_advances_and_no_event_comes() -> None:
    reactor = Collect()
    plant = Plant(reactor, IMPATIENT)
    plant.pump.feed(plant.wakeups(5))
    plant.pump.advance(11)
    assert keys(reactor) == []
    plant.registry.set_monitoring(on=False)
    plant.pump.advance(12)
    assert keys(reactor) == []
    plant.registry.set_monitoring(on=True)
    plant.pump.feed(plant.wakeups(6))
    plant.pump.advance(12)
    assert [v.message for v in reactor.seen] == [
        "rv: monitor m does not allow event none on state on with env clk=10\n"
    ]


async def test_without_a_source_the_machine_s_clock_lets_timers_run_out(
    autojump_clock: trio.testing.MockClock,
) -> None:
    reactor = Collect()
    plant = Plant(reactor, IMPATIENT)
    plant.pump.feed(plant.wakeups(5))
    with trio.move_on_after(1):
        await plant.pump.keep_time()
    assert keys(reactor) == [5]


async def test_the_source_s_clock_goes_on_where_it_says_so() -> None:
    reactor = Collect()
    plant = Plant(reactor, IMPATIENT)
    none = batch_of([])
    quiet = Batch(none.tp, none.time, none.cpu, none.pid, now=1000)
    await plant.pump.run(Script(plant.wakeups(5), quiet))
    assert (keys(reactor), plant.pump.now()) == ([5], 1000)


async def test_a_violation_reaches_the_reactor_with_the_kernel_s_text() -> None:
    reactor = Collect()
    Plant(reactor).pump.feed(Plant().wakeups(5, 5))
    assert [v.message for v in reactor.seen] == [
        "rv: monitor m does not allow event on on state on\n"
    ]


async def test_reacting_off_keeps_reactors_quiet_and_the_trace_going() -> None:
    reactor = Collect()
    plant = Plant(reactor)
    plant.trace.enable(plant.vocabulary.number("rv:error_m"), on=True)
    plant.registry.set_reacting(False)
    plant.pump.feed(plant.wakeups(5, 5))
    assert keys(reactor) == []
    assert len(plant.trace) == 1


async def test_monitoring_off_judges_nothing_but_still_traces_the_source() -> None:
    reactor = Collect()
    plant = Plant(reactor)
    plant.trace.enable(plant.number, on=True)
    plant.registry.set_monitoring(False)
    plant.pump.feed(plant.wakeups(5, 5))
    assert keys(reactor) == []
    assert len(plant.trace) == 2


async def test_steps_are_traced_once_somebody_has_switched_them_on() -> None:
    plant = Plant()
    plant.pump.feed(plant.wakeups(1))
    assert len(plant.trace) == 0
    plant.trace.enable(plant.vocabulary.number("rv:event_m"), on=True)
    plant.pump.feed(plant.wakeups(2))
    assert b"event_m: 2: off x on -> on\n" in plant.trace.text()


class Raises(Collect):
    """A reactor with a fault."""

    def react(self, verdict: Verdict) -> None:
        super().react(verdict)
        raise ValueError("broken reactor")


@pytest.mark.parametrize("inline", [True, False])
async def test_a_reactor_that_raises_is_dropped_and_logged_and_the_pump_goes_on(
    inline: bool, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    reactor = Raises(inline=inline)
    plant = Plant(reactor)
    nursery.start_soon(plant.pump.serve_reactors)
    with caplog.at_level(logging.ERROR, "rvfs"):
        plant.pump.feed(plant.wakeups(5, 5))
        while plant.monitor.reactor is reactor:
            await trio.lowlevel.checkpoint()
    assert plant.monitor.reactor.name == "nop"
    assert "reactor collect failed; monitor m goes on with nop" in caplog.text
    caplog.clear()
    plant.pump.feed(plant.wakeups(5, 5))
    assert keys(reactor) == [5]


class Exits(Collect):
    """A reactor that wants to end the process."""

    def __init__(self, inline: bool, error: BaseException) -> None:
        super().__init__(inline=inline)
        self.error = error

    def react(self, verdict: Verdict) -> None:
        raise self.error


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
async def test_a_reactor_that_exits_takes_nobody_along(
    inline: bool, error: BaseException, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    plant = Plant(Exits(inline, error))
    nursery.start_soon(plant.pump.serve_reactors)
    plant.pump.feed(plant.wakeups(5, 5))
    while plant.monitor.reactor.name != "nop":
        await trio.lowlevel.checkpoint()
    assert f"ReactorError: {type(error).__name__}" in caplog.text
    caplog.clear()
    plant.pump.feed(plant.wakeups(5, 5))


class Slow(Collect):
    """A reactor that blocks its thread until it is let go."""

    def __init__(self) -> None:
        super().__init__(inline=False)
        self.let_go = threading.Event()

    def react(self, verdict: Verdict) -> None:
        self.let_go.wait()
        super().react(verdict)


async def test_a_slow_reactor_stops_nobody_and_what_it_misses_is_counted(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    reactor = Slow()
    plant = Plant(reactor)
    nursery.start_soon(plant.pump.serve_reactors)
    violations = [pid for n in range(1, QUEUE + 6) for pid in (n, n)]
    with caplog.at_level(logging.WARNING, "rvfs"):
        plant.pump.feed(plant.wakeups(*violations))
    assert plant.pump.overflow == {"collect": 5}
    assert "reactor collect is too slow: it missed 1 violations" in caplog.text
    caplog.clear()
    reactor.let_go.set()
    while len(reactor.seen) < QUEUE:
        await trio.lowlevel.checkpoint()
    assert keys(reactor) == list(range(1, QUEUE + 1))


async def test_a_removed_monitor_is_freed_after_its_last_reaction(nursery: trio.Nursery) -> None:
    reactor = Slow()
    plant = Plant(reactor)
    plant.pump.feed(plant.wakeups(5, 5))
    plant.registry.unregister_monitor("m")
    assert not plant.monitor.free
    reactor.let_go.set()
    nursery.start_soon(plant.pump.serve_reactors)
    while not plant.monitor.free:
        await trio.lowlevel.checkpoint()
    assert keys(reactor) == [5]


async def test_panic_halts_verification_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    plant = Plant(Panic())
    with caplog.at_level(logging.ERROR, "rvfs"):
        plant.pump.feed(plant.wakeups(5, 5))
    assert "verification halted: rv: monitor m does not allow event on on state on" in caplog.text
    caplog.clear()
    assert await plant.pump.wait_halted() == plant.pump.halted
    with pytest.raises(Halted, match="monitor m"):
        plant.pump.feed(plant.wakeups(5))


async def test_a_halted_pump_reads_no_more(caplog: pytest.LogCaptureFixture) -> None:
    plant = Plant(Panic())
    source = Script(plant.wakeups(5, 5), plant.wakeups(6))
    await plant.pump.run(source)
    assert plant.pump.events == 2
    caplog.clear()


async def test_a_source_that_ends_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    plant = Plant()
    with caplog.at_level(logging.INFO, "rvfs"):
        await plant.pump.run(Script(plant.wakeups(1), plant.wakeups(2)))
    assert "source script has ended after 2 events" in caplog.text


async def test_what_a_source_could_not_deliver_is_said_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Script()
    source.notes.append("2 events of type 9, whose format is not recorded")
    await Plant().pump.run(source)
    assert [record.message for record in caplog.records] == [
        "source script: 2 events of type 9, whose format is not recorded"
    ]
    caplog.clear()


async def test_a_damaged_recording_ends_the_source_not_the_pump(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plant = Plant()
    with caplog.at_level(logging.ERROR, "rvfs"):
        await plant.pump.run(Script(plant.wakeups(1), TraceError("cut", file="f", offset=9)))
    assert "source script: f: offset 9: cut" in caplog.text
    caplog.clear()
    plant.pump.feed(plant.wakeups(1))


async def test_a_column_that_cannot_be_made_ends_the_source_not_the_pump(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def made(_: slice) -> Column:
        raise TraceError("cut", file="f")

    plant = Plant()
    batch = plant.wakeups(1)
    later = {tp: Columns({}, dict.fromkeys(columns, made)) for tp, columns in batch.fields.items()}
    with caplog.at_level(logging.ERROR, "rvfs"):
        await plant.pump.run(Script(dataclasses.replace(batch, fields=later), plant.wakeups(2)))
    assert "source script: f: cut" in caplog.text
    caplog.clear()
    plant.pump.feed(plant.wakeups(1))


async def test_the_pump_waits_when_nothing_is_due() -> None:
    plant = Plant()
    source = Script(plant.wakeups(), plant.wakeups(), plant.wakeups(1))
    await plant.pump.run(source)
    assert source.waited == 2


async def test_a_source_is_told_anew_what_is_wanted_when_that_changes() -> None:
    plant = Plant()
    source = Script(plant.wakeups(1), plant.wakeups(2), plant.wakeups(3))
    deliver = source.read

    def read(limit: int) -> Batch | None:
        if plant.pump.events == 1:
            plant.registry.disable_all()
        return deliver(limit)

    source.read = read  # type: ignore[method-assign]
    await plant.pump.run(source)
    assert [set(wanted) != set() for wanted in source.subscribed] == [True, False]


async def test_lost_events_are_counted_per_cpu_and_said(caplog: pytest.LogCaptureFixture) -> None:
    plant = Plant()
    with caplog.at_level(logging.WARNING, "rvfs"):
        plant.pump.feed(plant.wakeups(1, lost={0: 3}))
        plant.pump.feed(plant.wakeups(1, lost={0: 4, 1: 1}))
    assert plant.pump.lost == {0: 7, 1: 1}
    assert "the source lost 4 events on CPU 0 (7 so far)" in caplog.text
    caplog.clear()


async def test_an_injected_event_gets_the_time_of_the_source() -> None:
    plant = Plant()
    assert plant.pump.now() > 0
    await plant.pump.run(Script(plant.wakeups(1, time=4711)))
    assert plant.pump.now() == 4711
