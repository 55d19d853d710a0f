"""The engine against a naive model: any monitor, any events, any cut into batches."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs import _stepper
from rvfs.engine import Engine
from rvfs.errors import InvalidInput, UnknownName
from rvfs.event import Batch, Verdict
from rvfs.model.automaton import automaton
from rvfs.model.filter import parse_filter
from rvfs.monitor import Binding, Entry, Monitor, Scope
from rvfs.program import MAX_PID, compile_monitor

from .drawn import EXIT, FORK, IRQ, MODELS, RESCHED, SWITCH, VOCABULARY, WAKEUP, monitors, streams
from .naive import Event
from .verbs import run, run_naive, to_batch

# -- the rules ---------------------------------------------------------------------------------


#: The native code as it is chosen here, without what only some machines have, and interpreted.
TWINS = {"chosen": _stepper.chosen}
if _stepper.chosen.compiled:
    TWINS["portable"] = _stepper.load(compiled=True, wide=False)
    TWINS["interpreted"] = _stepper.load(compiled=False)


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("models", MODELS)
@given(data=st.data())
def test_any_monitor_judges_any_events_as_the_naive_model_does(
    models: str, twin: str, data: st.DataObject
) -> None:
    monitor = data.draw(monitors(models))
    found = data.draw(streams())
    cuts = data.draw(st.lists(st.integers(0, len(found)), max_size=3))
    assert run(monitor, found, cuts, TWINS[twin]) == run_naive(monitor, found)


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "unwatched"])
@pytest.mark.parametrize("twin", [name for name in TWINS if name != "interpreted"])
@given(data=st.data())
def test_any_monitors_together_judge_as_each_alone(
    twin: str, watched: bool, data: st.DataObject
) -> None:
    """However many there are of a scope, and whoever comes and goes between two batches."""
    found = data.draw(streams())
    crowd = [
        replace(data.draw(monitors("automaton")), name=f"m{n}")
        for n in range(data.draw(st.integers(1, 6)))
    ]
    cut = data.draw(st.integers(0, len(found)))
    late, leaves = data.draw(st.booleans()), data.draw(st.booleans())
    engine = Engine(VOCABULARY, TWINS[twin], watched=watched)
    for monitor in crowd[late:]:
        engine.add(monitor)
    verdicts = named(engine.step(to_batch(found)[:cut]), 0)
    if late:
        engine.add(crowd[0])
    if leaves:
        engine.remove(crowd[-1].name)
    verdicts += named(engine.step(to_batch(found)[cut:]), cut)
    told = []
    for monitor in crowd:
        first = cut if late and monitor is crowd[0] else 0
        last = cut if leaves and monitor is crowd[-1] else len(found)
        alone = Engine(VOCABULARY, _stepper.chosen)
        alone.add(monitor)
        told += named(alone.step(to_batch(found)[first:last]), first)
    assert sorted(verdicts, key=str) == sorted(told, key=str)


def named(verdicts: list[Verdict], first: int) -> list[tuple[object, ...]]:
    return [(first + v.position, v.monitor, v.key, v.comm, v.state, v.event) for v in verdicts]


PINGPONG = automaton("m", "off", [("off", "on", "on"), ("on", "off", "off")])


def per_task(*bindings: Binding) -> Monitor:
    return Monitor("m", "any", Scope.TASK, PINGPONG, bindings)


def wakeup(pid: int, *, cpu: int = 0, current: int = 9) -> Event:
    fields = {"comm": b"task", "pid": pid, "prio": 120, "target_cpu": 0}
    return WAKEUP, 7_000, cpu, current, fields


def resched(pid: int, cpu: int) -> Event:
    return RESCHED, 0, 0, 9, {"comm": b"task", "pid": pid, "cpu": cpu, "tif": 3}


def judge(monitor: Monitor, *found: Event) -> list[Verdict]:
    engine = Engine(VOCABULARY)
    engine.add(monitor)
    return engine.step(to_batch(list(found)))


START_ON = Binding(WAKEUP, "on", Entry.START_RUN, "pid")


def test_a_verdict_says_when_where_who_and_why() -> None:
    (verdict,) = judge(per_task(START_ON), wakeup(5), wakeup(5, cpu=1))
    assert verdict == Verdict(
        monitor="m", time=7_000, cpu=1, pid=9, current="<...>", key=5, comm="task",
        state="on", event="on", position=1,
    )  # fmt: skip
    assert verdict.message == "rv: monitor m does not allow event on on state on\n"


def test_a_violation_leaves_the_instance_unmonitored_until_the_next_start() -> None:
    handle = Binding(EXIT, "off", Entry.HANDLE)
    monitor = Monitor("m", "any", Scope.GLOBAL, PINGPONG, (
        Binding(WAKEUP, "on", Entry.START_RUN), handle,
    ))  # fmt: skip
    dead: Event = (EXIT, 0, 0, 9, {"comm": b"x", "pid": 1, "prio": 1})
    verdicts = judge(monitor, wakeup(1), wakeup(1), dead, dead, wakeup(1), wakeup(1))
    assert [verdict.position for verdict in verdicts] == [1, 5]


def test_idle_tasks_share_pid_0_and_are_one_task_per_cpu() -> None:
    monitor = per_task(Binding(RESCHED, "on", Entry.START_RUN, "pid", "cpu"))
    assert not judge(monitor, resched(0, 0), resched(0, 1))
    (verdict,) = judge(monitor, resched(0, 1), resched(0, 1))
    assert verdict.key == 0


def test_a_fork_starts_a_new_instance_whoever_had_the_pid_before() -> None:
    fork: Event = (
        FORK, 0, 0, 9,
        {"parent_comm": b"p", "parent_pid": 9, "child_comm": b"c", "child_pid": 5},
    )  # fmt: skip
    assert not judge(per_task(START_ON), wakeup(5), fork, wakeup(5))


@pytest.mark.parametrize("state", [0x10, 0x20])
def test_a_dead_task_s_last_switch_frees_its_instance(state: int) -> None:
    last: Event = (
        SWITCH, 0, 0, 5,
        {"prev_comm": b"d", "prev_pid": 5, "prev_prio": 1, "prev_state": state,
         "next_comm": b"i", "next_pid": 0, "next_prio": 1},
    )  # fmt: skip
    assert not judge(per_task(START_ON), wakeup(5), last, wakeup(5))


def test_exit_frees_the_instance() -> None:
    gone: Event = (EXIT, 0, 0, 5, {"comm": b"x", "pid": 5, "prio": 1})
    assert not judge(per_task(START_ON), wakeup(5), gone, wakeup(5))


@pytest.mark.parametrize("pid", [-1, MAX_PID + 1])
def test_an_impossible_pid_is_dropped_and_counted(pid: int) -> None:
    engine = Engine(VOCABULARY)
    engine.add(per_task(START_ON))
    assert engine.step(to_batch([wakeup(pid), wakeup(pid)])) == []
    assert engine.dropped == 2


def test_the_largest_pid_is_an_instance() -> None:
    (verdict,) = judge(per_task(START_ON), wakeup(MAX_PID), wakeup(MAX_PID))
    assert verdict.key == MAX_PID


@pytest.mark.parametrize(
    ("scope", "judged_on"), [(Scope.CPU, [0]), (Scope.GLOBAL, []), (Scope.TASK, [])]
)
def test_no_instance_is_judged_on_a_gap(scope: Scope, judged_on: list[int]) -> None:
    """Lost on CPU 1: only the instance of another CPU still knows its state."""
    task = "pid" if scope is Scope.TASK else None
    binding = Binding(WAKEUP, "on", Entry.START_RUN, task)
    engine = Engine(VOCABULARY)
    engine.add(Monitor("m", "any", scope, PINGPONG, (binding,)))
    both = to_batch([wakeup(5, cpu=0), wakeup(6, cpu=1)])
    engine.step(both if scope is not Scope.GLOBAL else both[:1])
    after_gap = Batch(both.tp, both.time, both.cpu, both.pid, both.fields, lost={1: 3})
    verdicts = engine.step(after_gap if scope is not Scope.GLOBAL else after_gap[:1])
    assert [verdict.cpu for verdict in verdicts] == judged_on


def test_verdicts_of_several_monitors_come_in_the_order_of_events() -> None:
    engine = Engine(VOCABULARY)
    for name in ("late", "early"):
        engine.add(Monitor(name, "any", Scope.TASK, PINGPONG, (START_ON,)))
    found = [(v.position, v.monitor) for v in engine.step(to_batch([wakeup(5)] * 4))]
    assert found == [(1, "late"), (1, "early"), (3, "late"), (3, "early")]


def test_only_what_the_monitors_need_is_wanted() -> None:
    engine = Engine(VOCABULARY)
    engine.add(Monitor("m", "any", Scope.CPU, PINGPONG, (Binding(IRQ, "on"),)))
    assert engine.wanted() == {VOCABULARY.number(IRQ): frozenset()}
    engine.remove("m")
    assert engine.wanted() == {}


def test_a_tracepoint_that_nobody_knows_is_missing_not_an_error() -> None:
    monitor = Monitor("m", "any", Scope.CPU, PINGPONG, (Binding("no:such", "on"),))
    assert compile_monitor(monitor, VOCABULARY).missing == ("no:such",)


BAD: list[tuple[Callable[[], Monitor], type[Exception], str]] = [
    (lambda: Monitor("box", "a container"), InvalidInput, "container"),
    (lambda: per_task(Binding(WAKEUP, "on", task="pod")), UnknownName, "'pod'"),
    (lambda: per_task(Binding(WAKEUP, "on", task="comm")), InvalidInput, "not a key"),
    (lambda: per_task(Binding(WAKEUP, "on", when=parse_filter("pod == 1"))), UnknownName, "'pod'"),
    (lambda: per_task(Binding(WAKEUP, "on", when=parse_filter("comm == 1"))), InvalidInput, "text"),
    (lambda: per_task(Binding(WAKEUP, "on", when=parse_filter('pid == "1"'))),
     InvalidInput, "number"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "error", "says"), BAD)
def test_a_monitor_that_cannot_run_is_refused_with_the_reason(
    build: Callable[[], Monitor], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        compile_monitor(build(), VOCABULARY)
