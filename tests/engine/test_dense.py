"""Long streams over few instances, and over many: what a short random one seldom comes to."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from rvfs import _stepper
from rvfs.engine import Engine
from rvfs.event import Batch, Verdict
from rvfs.model.automaton import automaton
from rvfs.model.filter import parse_filter
from rvfs.model.ltl import parse_ltl
from rvfs.model.terms import parse_sum
from rvfs.model.timing import Condition, Constraint, Timing, Value
from rvfs.monitor import Action, Binding, Entry, Monitor, Scope
from rvfs.program import MAX_PID

from .drawn import EXIT, IRQ, RESCHED, SWITCH, VOCABULARY, WAKEUP
from .naive import Event
from .verbs import run, run_naive, to_batch

#: States in which an instance may be for 40 ns, for what it was told, and for ever.
WAITING = Timing(
    ("c", "d"), ("e",),
    {"waits": (Condition("c", "<", Value(40)),),
     "runs": (Condition("d", "<", Value(name="OWN", of_instance=True)),
              Condition("c", "<", Value(name="limit", unit="ns")))},
    {("rests", "wake"): Constraint(None, ("c",)), ("waits", "wake"): Constraint(None, ("c",)),
     ("waits", "in"): Constraint(Condition("e", "<", Value(90)), ("d",)),
     ("runs", "in"): Constraint(None, ("d",))},
)  # fmt: skip
TIMED = automaton(
    "m", "rests",
    [("rests", "wake", "waits"), ("waits", "wake", "waits"), ("waits", "in", "runs"),
     ("runs", "out", "rests"), ("runs", "in", "runs"), ("runs", "wake", "runs"),
     ("rests", "in", "runs")],
    timing=WAITING,
)  # fmt: skip
PLAIN = automaton("m", "off", [("off", "on", "on"), ("on", "off", "off"), ("off", "off", "off")])
RULE = parse_ltl("RULE = always (A imply (not B until C))\n", file="m.ltl").model


def timed(scope: Scope) -> Monitor:
    task = "pid" if scope is Scope.TASK else None
    ids = parse_sum("0 - pid") if scope is Scope.OBJECT else None
    told = {"e": parse_sum("prio")}
    return Monitor("m", "any", scope, TIMED, (
        Binding(WAKEUP, "wake", Entry.START_RUN, task, id=ids, env=told),
        Binding(RESCHED, "in", Entry.HANDLE, task, id=ids),
        Binding(EXIT, "out", Entry.START, task, id=ids),
    ), params={"limit": 70}, values={"OWN": parse_sum("e - 20")})  # fmt: skip


def plain() -> Monitor:
    ids = parse_sum("pid")
    return Monitor("m", "any", Scope.OBJECT, PLAIN, (
        Binding(WAKEUP, "on", Entry.START_RUN, id=ids), Binding(RESCHED, "off", id=ids),
        Binding(EXIT, entry=Entry.RESET, id=ids),
    ))  # fmt: skip


def rule() -> Monitor:
    ids = parse_sum("pid")
    return Monitor("m", "any", Scope.OBJECT, RULE, (
        Binding(WAKEUP, id=ids, action=Action.PULSE, atoms={"A": True}),
        Binding(RESCHED, id=ids, action=Action.UPDATE, atoms={"B": True}),
        Binding(RESCHED, id=ids, action=Action.PULSE, atoms={"C": True, "B": False}),
        Binding(EXIT, id=ids, entry=Entry.RESET),
    ), init={"A": False, "B": False, "C": False})  # fmt: skip


def stream(seed: int, count: int, pids: int, pause: int) -> Iterator[Event]:
    """Events of ``pids`` tasks, up to ``pause`` ns apart."""
    draw, time = random.Random(seed), 1_000
    for _ in range(count):
        time += draw.randint(0, pause)
        pid, cpu = draw.randint(1, pids) * 0x100000001 % 0x3FFFFF, draw.randint(0, 3)
        prio = draw.choice([50, 60, 80, 120])
        name, own = draw.choice([
            (WAKEUP, {"prio": prio, "target_cpu": 0}), (WAKEUP, {"prio": prio, "target_cpu": 0}),
            (RESCHED, {"cpu": cpu, "tif": 3}), (RESCHED, {"cpu": cpu, "tif": 3}),
            (EXIT, {"prio": prio}),
        ])  # fmt: skip
        yield name, time, cpu, pid, {"comm": b"t", "pid": pid, **own}


PROCESSOR = Path("/proc/cpuinfo").read_text().split()
MONITORS = {
    "timed tasks": timed(Scope.TASK), "timed CPUs": timed(Scope.CPU),
    "timed objects": timed(Scope.OBJECT), "objects": plain(), "ruled objects": rule(),
}  # fmt: skip


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "interpreted"])
@pytest.mark.parametrize("pids", [5, 300])
@pytest.mark.parametrize("name", MONITORS)
def test_a_long_stream_is_judged_as_the_naive_model_does(
    name: str, pids: int, compiled: bool
) -> None:
    if compiled and _stepper.PURE:
        pytest.skip("RVFS_PURE is set: this run does without the compiled stepper")
    monitor, twin = MONITORS[name], _stepper.load(compiled=compiled)
    for seed in range(8):
        found = list(stream(seed, 1500, pids, 60 * 5 // pids + 3))
        verdicts, transitions = run(monitor, found, [200, 201, 900], twin)
        told, taken = run_naive(monitor, found)
        assert sorted(verdicts, key=str) == sorted(told, key=str)
        assert transitions == taken
        assert len(told) > 5


def objects(count: int, first: int) -> list[Event]:
    """Each of ``count`` objects is told on twice, which the second time is a violation."""
    return [
        (WAKEUP, n, 0, 9, {"comm": b"t", "pid": pid, "prio": 1, "target_cpu": 0})
        for n, pid in enumerate(range(first, first + count))
        for _ in range(2)
    ]


def test_there_is_room_for_any_number_of_objects_and_gone_ones_give_theirs_back() -> None:
    engine = Engine(VOCABULARY)
    engine.add(plain())
    seen: list[Verdict] = []
    for wave in range(3):
        found = objects(20_000, first=wave * 20_000)
        seen += engine.step(to_batch(found))
        assert list(engine.inside("m").instances()) == []  # each violation ended one
    assert [verdict.key for verdict in seen] == list(range(60_000))
    assert len(engine._running["m"].rows) <= 1 << 16


def test_an_object_keeps_its_state_while_others_come() -> None:
    engine = Engine(VOCABULARY)
    engine.add(plain())
    once = objects(30_000, 0)[::2]
    assert engine.step(to_batch(once)) == []
    assert len(list(engine.inside("m").instances())) == 30_000
    assert [verdict.key for verdict in engine.step(to_batch(once))] == list(range(30_000))


def switches(scope: Scope) -> Monitor:
    """Of tasks and CPUs, some as the event has them and some that are its own, idle ones too."""
    off, task = parse_filter("prev_state & 1 && prev_prio < 90"), scope is Scope.TASK
    return Monitor("m", "any", scope, PLAIN, (
        Binding(SWITCH, "off", task="prev_pid" if task else None, when=off),
        Binding(SWITCH, "on", Entry.START_RUN, task="next_pid" if task else None),
        Binding(WAKEUP, "off", task=None, cpu=None if task else "target_cpu"),
        Binding(EXIT, entry=Entry.RESET, task="pid" if task else None),
    ))  # fmt: skip


def switching(seed: int, count: int) -> Batch:
    """A stream of that, in which now and then a pid or a CPU is none."""
    draw, found = random.Random(seed), list[Event]()
    pids: list[int] = [*range(12)] * 400 + [-1, MAX_PID + 1, 1 << 40]

    def pid() -> int:
        return pids[draw.randrange(len(pids))]

    for time in range(count):
        cpu = draw.randint(0, 3)
        name, own = draw.choice([
            (SWITCH, {"prev_pid": pid(), "next_pid": pid(), "prev_state": draw.randint(0, 3),
                      "prev_prio": draw.choice([80, 120]), "next_prio": 1, "next_comm": b"n",
                      "prev_comm": b"p"}),
            (WAKEUP, {"pid": pid(), "prio": 1, "target_cpu": cpu if draw.randrange(99) else -1,
                      "comm": b"w"}),
            (EXIT, {"pid": pid(), "prio": 1, "comm": b"e"}), (IRQ, {"irq": 1, "name": b"i"}),
        ])  # fmt: skip
        found.append((name, time, cpu, abs(pid()), own))
    return to_batch(found)


@pytest.mark.skipif(not _stepper.chosen.wide, reason="RVFS_PURE or RVFS_PORTABLE is set")
@pytest.mark.skipif("avx512dq" not in PROCESSOR, reason="this processor has no AVX-512")
@pytest.mark.parametrize("scope", [Scope.TASK, Scope.CPU, Scope.GLOBAL])
def test_what_only_some_machines_have_judges_as_the_portable_code_does(scope: Scope) -> None:
    told = []
    for twin in (_stepper.chosen, _stepper.load(compiled=True, wide=False)):
        engine = Engine(VOCABULARY, twin)
        engine.add(switches(scope))
        verdicts = [
            verdict for seed in range(4) for batch in [switching(seed, 6_000)]
            for part in (batch[:5_003], batch[5_003:]) for verdict in engine.step(part)
        ]  # fmt: skip
        told.append((verdicts, engine.dropped, list(engine.inside("m").instances())))
    assert told[0] == told[1]
    assert len(told[0][0]) > 100
