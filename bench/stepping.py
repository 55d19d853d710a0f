"""Stepping: the compiled stepper beside its interpreted twin, and the engine around it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from bench.table import Row, best
from rvfs._stepper import PURE, interpreted_step, step
from rvfs.engine import Engine
from rvfs.event import Batch
from rvfs.monitor import Monitor
from rvfs.monitors import shipped
from rvfs.program import MAX_CPUS, compile_monitor
from rvfs.source import Wanted
from rvfs.source.sim import Sim
from rvfs.tracepoint import Vocabulary, catalogue

EVENTS = 10_000_000
FEW = 500_000  # for what is interpreted
SIMULATED = 1_000_000
HEADS = ("tp", "time", "cpu", "pid")


def letters_of_wwnr(events: int, tasks: int) -> tuple[Any, ...]:
    """Random but lawful: each task in turn is switched in and out."""
    vocabulary = filled_vocabulary()
    program = compile_monitor(shipped()[1].monitor, vocabulary)
    slots = np.random.default_rng(1).integers(0, tasks, events) + MAX_CPUS
    turn = _nth_of_its_task(slots) % 2
    switch_out, switch_in = (program.model.events.index(e) * 3 for e in ("switch_out", "switch_in"))
    letters = np.where(turn == 0, switch_out + 1, switch_in).astype(np.int16)  # 1: start
    states = np.full(tasks + MAX_CPUS, program.idle, dtype=np.int16)
    return (
        program.table,
        program.width,
        program.idle,
        letters,
        slots,
        states,
        np.empty(2 * events, dtype=np.int64),
    )


def _nth_of_its_task(slots: Any) -> Any:
    order = np.argsort(slots, kind="stable")
    ordered = slots[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    nth = np.arange(len(slots)) - np.repeat(first, np.diff(np.r_[first, len(slots)]))
    return nth[np.argsort(order, kind="stable")]


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


def stepper_rows(tasks: int) -> Iterator[Row]:
    few = mega_per_second(FEW, interpreted_step, *letters_of_wwnr(FEW, tasks), None, None)
    if PURE:
        yield Row(f"stepping, interpreted, {tasks:,} tasks", few, "Mev/s")
        return
    buffers = (*letters_of_wwnr(EVENTS, tasks), None, None)
    assert step(*buffers) == 0, "the letters are lawful"
    rate = mega_per_second(EVENTS, step, *buffers)
    yield Row(f"stepping, compiled, {tasks:,} tasks", rate, "Mev/s", "interpreted", few)


def engine_rows(monitors: Iterable[Monitor]) -> Iterator[Row]:
    vocabulary = filled_vocabulary()
    engine = Engine(vocabulary)
    for monitor in monitors:
        engine.add(monitor)
    batches = simulated(vocabulary, engine.wanted(), SIMULATED)
    events = sum(map(len, batches))
    small = mega_per_second(events, lambda: [engine.step(batch) for batch in batches])
    whole = in_one(batches)
    large = mega_per_second(events, engine.step, whole)
    what = f"{len(engine)} monitor{'s' * (len(engine) > 1)}"
    size = events // len(batches)
    yield Row(f"batch to verdicts, {what}", large, "Mev/s", f"in batches of {size:,}", small)


def rows() -> Iterator[Row]:
    for tasks in (1_000, 100_000):
        yield from stepper_rows(tasks)
    models = [one.monitor for top in shipped() for one in top if one.monitor.model is not None]
    yield from engine_rows(models[1:2])
    yield from engine_rows(models)
