"""Stepping: the engine with its native code, beside the interpreted twin."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from bench.table import Row, best
from rvfs._stepper import Twin, chosen, load
from rvfs.engine import Engine
from rvfs.event import Batch
from rvfs.monitor import Monitor
from rvfs.monitors import shipped
from rvfs.source import Wanted
from rvfs.source.sim import Sim
from rvfs.tracepoint import Vocabulary, catalogue

FEW = 100_000  # for what is interpreted
SIMULATED = 1_000_000
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


def engine_of(monitors: Iterable[Monitor], vocabulary: Vocabulary, twin: Twin) -> Engine:
    engine = Engine(vocabulary, twin)
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


def rows() -> Iterator[Row]:
    models = [one.monitor for top in shipped() for one in top if one.monitor.model is not None]
    yield from engine_rows(models[1:2])
    yield from engine_rows(models)
