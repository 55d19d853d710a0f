"""Stepping: the engine beside C that does the same, beside its interpreted twin."""

import ctypes
import dataclasses
import shutil
import subprocess
import tempfile
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from bench.table import Goal, Row, best, clocked, in_turns
from rvfs._stepper import Twin, chosen, load
from rvfs.engine import Engine
from rvfs.event import Batch
from rvfs.model.automaton import automaton
from rvfs.model.ltl import parse_ltl
from rvfs.monitor import Action, Binding, Monitor, Scope
from rvfs.monitors import load_monitor, shipped, shipped_monitor
from rvfs.source import Wanted
from rvfs.source.sim import Sim
from rvfs.tracepoint import Vocabulary, catalogue

EVENTS = 10_000_000
FEW = 100_000  # for what is interpreted
SWITCH, WAKEUP = "sched:sched_switch", "sched:sched_wakeup"
SIMULATED = 1_000_000
MANY = 1_000_000  # tasks
HEADS = ("tp", "time", "cpu", "pid")


def filled_vocabulary() -> Vocabulary:
    vocabulary = Vocabulary()
    for tracepoint in catalogue():
        vocabulary.add(tracepoint)
    return vocabulary


def mega_per_second(events: int, run: Callable[..., object], *arguments: Any) -> float:
    return events / best(lambda: run(*arguments)) / 1e6


def simulated(vocabulary: Vocabulary, wanted: Wanted, events: int) -> list[Batch]:
    """What the simulated machine does, in the batches that it makes."""
    source = Sim(vocabulary, cpus=2, tasks=64, rate=None)
    source.subscribe(wanted)
    batches: list[Batch] = []
    while sum(map(len, batches)) < events:
        batch = source.read(events)
        assert batch is not None
        batches.append(batch)
    return batches


def in_one(batches: Sequence[Batch]) -> Batch:
    """The same events in one batch."""
    fields: dict[int, dict[str, list[Any]]] = {}
    for batch in batches:
        for tp, columns in batch.fields.items():
            for name, column in columns.items():
                fields.setdefault(tp, {}).setdefault(name, []).append(column)
    joined = {
        tp: {name: np.concatenate(parts) for name, parts in columns.items()}
        for tp, columns in fields.items()
    }
    heads = [np.concatenate([getattr(b, name) for b in batches]) for name in HEADS]
    return Batch(heads[0], heads[1], heads[2], heads[3], joined, batches[-1].comms)


def engine_of(
    monitors: Iterable[Monitor], vocabulary: Vocabulary, twin: Twin, *, watched: bool = False
) -> Engine:
    engine = Engine(vocabulary, twin, watched=watched)
    for monitor in monitors:
        engine.add(monitor)
    return engine


def engine_rows(monitors: Sequence[Monitor]) -> Iterator[Row]:
    vocabulary = filled_vocabulary()
    engine = engine_of(monitors, vocabulary, chosen)
    batches = simulated(vocabulary, engine.wanted(), SIMULATED)
    events = sum(map(len, batches))
    small = mega_per_second(events, lambda: [engine.step(batch) for batch in batches])
    whole = in_one(batches)
    large = mega_per_second(events, engine.step, whole)
    what = f"{len(engine)} monitor{'s' * (len(engine) > 1)}"
    size = events // len(batches)
    yield Row(f"batch to verdicts, {what}", large, "Mev/s", f"in batches of {size:,}", small)
    interpreted = engine_of(monitors, vocabulary, load(compiled=False))
    few = mega_per_second(FEW, interpreted.step, whole[:FEW])
    yield Row(f"batch to verdicts, {what}", large, "Mev/s", "interpreted", few)


#: wwnr as a rule: what is woken must not be running.
WOKEN = Monitor(
    "woken", "wwnr as a rule", Scope.TASK,
    parse_ltl("RULE = always (WOKEN imply not RUNNING)\n", file="woken.ltl").model,
    (
        Binding(SWITCH, task="prev_pid", action=Action.UPDATE, atoms={"RUNNING": False}),
        Binding(SWITCH, task="next_pid", action=Action.UPDATE, atoms={"RUNNING": True}),
        Binding(WAKEUP, task="pid", action=Action.PULSE, atoms={"WOKEN": True}),
    ),
    init={"WOKEN": False, "RUNNING": False},
)  # fmt: skip


def different(wwnr: Monitor) -> list[Monitor]:
    """Ten monitors of the events of wwnr, with one to five turns of its two states."""
    made = []
    for number in range(10):
        turns = number % 5 + 1
        edges = []
        for turn in range(turns):
            off, on, following = f"off{turn}", f"on{turn}", f"off{(turn + 1) % turns}"
            edges += [(off, "switch_in", on), (off, "wakeup", off), (on, "switch_out", following)]
        name = f"turns{number}"
        made.append(dataclasses.replace(wwnr, name=name, model=automaton(name, "off0", edges)))
    return made


def hybrid() -> Monitor:
    return load_monitor(resources.files("rvfs.monitors") / "stall").monitor


def lawful(vocabulary: Vocabulary, events: int, tasks: int) -> Batch:
    """Wake-ups and switches such as no monitor here objects to: who runs next was woken before,
    and none, one or two others are woken meanwhile."""
    random = np.random.default_rng(1)
    rounds = events // 3
    runs = 1 + np.cumsum(random.integers(1, tasks, rounds + 1)) % tasks  # never twice in a row
    length = 2 + random.integers(0, 3, rounds)
    ends = np.cumsum(length)
    rounds = int(np.searchsorted(ends, events))
    ends, runs = ends[:rounds], runs[: rounds + 1]
    count = int(ends[-1])
    of_round = np.repeat(np.arange(rounds), length[:rounds])
    is_switch = np.zeros(count, dtype=bool)
    is_switch[ends - 1] = True
    first = np.zeros(count, dtype=bool)
    first[ends - length[:rounds]] = True
    woken = np.where(first, runs[of_round + 1], random.integers(1, tasks, count))
    woken += woken == runs[of_round]
    switch, wakeup = vocabulary.number(SWITCH), vocabulary.number(WAKEUP)
    nobody = np.zeros(count, dtype=np.int64)
    return Batch(
        np.where(is_switch, switch, wakeup), np.arange(count, dtype=np.int64), nobody, nobody,
        {
            switch: {"prev_pid": runs[:-1].copy(), "next_pid": runs[1:].copy(),
                     "prev_state": np.ones(rounds, dtype=np.int64)},
            wakeup: {"pid": woken[~is_switch]},
        },
    )  # fmt: skip


def in_c(folder: str) -> ctypes.CDLL:
    """``baseline.c``, compiled."""
    library = Path(folder) / "baseline.so"
    source = Path(__file__).with_name("baseline.c")
    subprocess.run(["cc", "-O3", "-shared", "-fPIC", "-o", library, source], check=True)
    return ctypes.CDLL(str(library))


def arguments_of(batch: Batch, vocabulary: Vocabulary) -> tuple[Any, ...]:
    numbers = vocabulary.number(SWITCH), vocabulary.number(WAKEUP)
    switches, wakeups = (batch.fields[number] for number in numbers)
    columns = switches["prev_pid"], switches["prev_state"], switches["next_pid"], wakeups["pid"]
    return (
        ctypes.c_int64(len(batch)), _pointer(batch.tp), *map(ctypes.c_int64, numbers),
        *map(_pointer, columns),
    )  # fmt: skip


def _pointer(column: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(column.ctypes.data)


def judge(engine: Engine, batch: Batch) -> None:
    """From the beginning, with nothing kept of an earlier run."""
    engine.reset()
    assert engine.step(dataclasses.replace(batch)) == [], "the events are lawful"


def beside_c(library: ctypes.CDLL, tasks: int) -> Iterator[Row]:
    vocabulary = filled_vocabulary()
    batch = lawful(vocabulary, EVENTS, tasks)
    states = np.full((10, tasks + 2), 2, dtype=np.int8)
    library.draw()
    columns = (*arguments_of(batch, vocabulary), _pointer(states))
    width, wwnr = ctypes.c_int64(tasks + 2), shipped_monitor("wwnr").monitor
    for what, monitors, call, goal in (
        ("wwnr", [wwnr], lambda: library.wwnr(*columns), 0.9),
        ("10 monitors", different(wwnr), lambda: library.ten(*columns, width), 1.0),
    ):
        states[:] = [[2 * (m % 5 + 1) if len(monitors) > 1 else 2] for m in range(10)]
        engine = engine_of(monitors, vocabulary, chosen)
        mine, own = (
            len(batch) / seconds / 1e6
            for seconds in in_turns(clocked(partial(judge, engine, batch)), clocked(call))
        )
        name = f"batch to verdicts, {what}, {tasks:,} tasks"
        yield Row(name, mine, "Mev/s", "C, pid-indexed", own, Goal(">=", goal))
    engine = engine_of([wwnr], vocabulary, chosen, watched=True)
    rate = mega_per_second(len(batch), judge, engine, batch)
    yield Row(f"the same, watched, wwnr, {tasks:,} tasks", rate, "Mev/s")
    for what, monitor in (("stall", hybrid()), ("a rule", WOKEN)):
        engine = engine_of([monitor], vocabulary, chosen)
        rate = mega_per_second(len(batch), judge, engine, batch)
        name = f"batch to verdicts, {what}, {tasks:,} tasks"
        yield Row(name, rate, "Mev/s", goal=Goal(">=", 50, "Mev/s"))


def memory_rows(wwnr: Monitor) -> Iterator[Row]:
    """What each of many tasks takes, which are woken once, in no order."""
    vocabulary = filled_vocabulary()
    wakeup, nobody = vocabulary.number(WAKEUP), np.zeros(MANY, dtype=np.int64)
    pids = 1 + np.random.default_rng(1).permutation(MANY)
    batch = Batch(np.full(MANY, wakeup), nobody, nobody, nobody, {wakeup: {"pid": pids}})
    for what, monitors in (
        ("wwnr", [wwnr]), ("10 monitors", different(wwnr)), ("a rule", [WOKEN]),
        ("stall", [hybrid()]),
    ):  # fmt: skip
        engine = engine_of(monitors, vocabulary, chosen)
        tracemalloc.start()
        engine.step(batch)
        taken = tracemalloc.get_traced_memory()[0] / MANY
        tracemalloc.stop()
        yield Row(f"memory of a task, {what}", taken, "bytes", goal=Goal("<=", 16, "bytes"))


def rows() -> Iterator[Row]:
    yield from memory_rows(shipped_monitor("wwnr").monitor)
    if shutil.which("cc"):
        with tempfile.TemporaryDirectory() as folder:
            library = in_c(folder)
            for tasks in (1_000, 100_000):
                yield from beside_c(library, tasks)
    models = [one.monitor for top in shipped() for one in top if one.monitor.model is not None]
    yield from engine_rows(models[1:2])
    yield from engine_rows(models)
