"""Timers to the nanosecond, parameters, and programs that are replaced while they run."""

import dataclasses

import pytest

from rvfs.engine import Engine
from rvfs.errors import UnknownName
from rvfs.event import Verdict
from rvfs.model.automaton import Automaton, automaton
from rvfs.model.ltl import parse_ltl
from rvfs.model.timing import JIFFY, Condition, Constraint, Timing, Value
from rvfs.monitor import Action, Binding, Entry, Monitor, Scope

from .drawn import EXIT, VOCABULARY, WAKEUP
from .naive import Event
from .verbs import to_batch


def patient(value: Value, *more: tuple[str, str, str]) -> Automaton:
    """A task that was woken must be gone before its time is over."""
    timing = Timing(
        ("clk",), (), {"woken": (Condition("clk", "<", value),)},
        {("asleep", "wake"): Constraint(None, ("clk",))},
    )  # fmt: skip
    edges = [("asleep", "wake", "woken"), ("woken", "exit", "asleep"), *more]
    return automaton("m", "asleep", edges, timing=timing)


def monitor_of(model: Automaton) -> Monitor:
    return Monitor("m", "any", Scope.TASK, model, (
        Binding(WAKEUP, "wake", Entry.START_RUN, "pid"), Binding(EXIT, "exit"),
    ), params={"limit": 10})  # fmt: skip


def wakeup(time: int, pid: int = 5) -> Event:
    return WAKEUP, time, 0, 9, {"comm": b"t", "pid": pid, "prio": 1, "target_cpu": 0}


def gone(time: int, current: int = 5) -> Event:
    return EXIT, time, 0, current, {"comm": b"t", "pid": 77, "prio": 1}


def engine_of(monitor: Monitor) -> Engine:
    engine = Engine(VOCABULARY)
    engine.add(monitor)
    return engine


def step(engine: Engine, *found: Event) -> list[Verdict]:
    return engine.step(to_batch(list(found)))


@pytest.mark.parametrize(
    ("value", "last"),
    [(Value(10), 110), (Value(2, unit="j"), 100 + 2 * JIFFY - 1)],
    ids=["ns", "jiffies"],
)
def test_the_last_moment_of_a_bound(value: Value, last: int) -> None:
    """A clock in ns may still show its limit, one in jiffies may not."""
    assert step(engine_of(monitor_of(patient(value))), wakeup(100), gone(last)) == []
    (late,) = step(engine_of(monitor_of(patient(value))), wakeup(100), gone(last + 1))
    assert (late.event, late.position, late.key) == ("none", 1, 5)
    assert late.time == (110 if value.unit is None else last + 1)


def test_timers_run_out_in_the_order_of_their_deadlines_each_in_its_place() -> None:
    engine = engine_of(monitor_of(patient(Value(10))))
    found = step(engine, wakeup(1, 8), wakeup(3, 7), wakeup(12, 9), wakeup(40, 6))
    assert [(v.key, v.time, v.position) for v in found] == [(8, 11, 2), (7, 13, 3), (9, 22, 3)]
    assert [(v.key, v.time) for v in engine.advance(51)] == [(6, 50)]
    assert engine.advance(1000) == []


def test_a_parameter_counts_from_the_next_timer_on() -> None:
    engine = engine_of(monitor_of(patient(Value(name="limit"))))
    step(engine, wakeup(0, 5))
    engine.set_param("m", "limit", 1000)
    step(engine, wakeup(0, 6))
    assert engine.params("m") == {"limit": 1000}
    assert [v.key for v in engine.advance(900)] == [5]


def test_a_condition_that_mentions_what_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownName, match="patience is neither a parameter"):
        engine_of(monitor_of(patient(Value(name="patience"))))


def test_an_instance_keeps_its_state_and_clocks_where_the_new_model_has_them() -> None:
    engine = engine_of(monitor_of(patient(Value(10))))
    step(engine, wakeup(0, 5), wakeup(5, 6), gone(7, 6))
    wider = monitor_of(patient(Value(50), ("woken", "wake", "woken")))
    replaced = engine.replace(engine.compile(wider))
    assert (replaced.kept, replaced.anew) == (2, 0)
    assert step(engine, wakeup(40, 5)) == []
    (late,) = engine.advance(60)
    assert (late.key, late.time, late.env) == (5, 50, "clk=50")


def test_an_instance_whose_state_is_gone_starts_anew_and_undo_restores_all() -> None:
    engine = engine_of(monitor_of(patient(Value(1000))))
    step(engine, wakeup(0, 5), wakeup(1, 6), gone(2, 6))
    other = automaton("m", "asleep", [("asleep", "wake", "up"), ("up", "exit", "asleep")])
    replaced = engine.replace(engine.compile(monitor_of(other)))
    assert (replaced.kept, replaced.anew) == (1, 1)
    assert [(i.key, i.state) for i in engine.inside("m").instances()] == [(6, "asleep")]
    step(engine, wakeup(3, 7))
    replaced.undo()
    told = [(i.key, i.state, i.since) for i in engine.inside("m").instances()]
    assert told == [(5, "woken", 0), (6, "asleep", 2)]
    assert [v.key for v in engine.advance(2000)] == [5]


def test_what_is_known_of_a_task_s_atoms_is_kept() -> None:
    def ruled(text: str, bindings: tuple[Binding, ...]) -> Monitor:
        rule = parse_ltl(text, file="m.ltl", name="m").model
        return Monitor("m", "any", Scope.TASK, rule, bindings)

    told = Binding(WAKEUP, task="pid", action=Action.SET, atoms={"A": True})
    both = Binding(EXIT, action=Action.UPDATE, atoms={"B": True})
    engine = engine_of(ruled("RULE = always (A imply B)\n", (told, both)))
    step(engine, wakeup(0, 5))
    unbound = dataclasses.replace(both, atoms={"B": False})
    new = ruled("RULE = always (not (A and B) or B)\n", (unbound,))
    engine.replace(engine.compile(new))
    assert step(engine, gone(1)) == []
    assert [i.key for i in engine.inside("m").instances()] == [5]
