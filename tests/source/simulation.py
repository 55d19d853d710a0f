"""What the tests of the simulated machine share: a machine to read, and what it said."""

from collections.abc import Iterator, Mapping
from typing import Any

from rvfs.event import Batch
from rvfs.source import Wanted
from rvfs.source.sim import Sim
from rvfs.tracepoint import Vocabulary, catalogue

from .naive_monitors import Report

VOCABULARY = Vocabulary()
for _tracepoint in catalogue():
    VOCABULARY.add(_tracepoint)

#: All fields of all tracepoints, and what the head of each record has.
EVERYTHING: Wanted = {
    number: frozenset((*tp.by_name, "common_flags", "common_preempt_count"))
    for number, tp in VOCABULARY
}

#: Machines of every shape; each has something that the others have not.
MACHINES: tuple[Mapping[str, Any], ...] = (
    {"cpus": 2, "tasks": 16, "seed": 0},
    {"cpus": 1, "tasks": 1, "seed": 1},
    {"cpus": 1, "tasks": 30, "seed": 2},
    {"cpus": 8, "tasks": 5, "seed": 3},
    {"cpus": 8, "tasks": 100, "seed": 4},
    {"cpus": 2, "tasks": 16, "seed": 5, "rate": 1e9},
)


def machine(wanted: Wanted = EVERYTHING, *, rate: float | None = None, **options: Any) -> Sim:
    """A machine whose events are all due, whatever its rate."""
    sim = Sim(VOCABULARY, rate=rate, clock=_LongAgo(), **options)
    sim.subscribe(wanted)
    return sim


class _LongAgo:
    """A clock that has gone a year further each time one looks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 3e7
        return self.seconds


def read(sim: Sim, events: int, limit: int = 1 << 16) -> Iterator[Batch]:
    """Batches until there are so many events, or the machine has ended."""
    while events > 0:
        batch = sim.read(min(limit, events))
        if batch is None:
            return
        events -= len(batch)
        yield batch


def text(batch: Batch) -> Iterator[str]:
    """Every event as a line: head, name, and the subscribed fields."""
    heads = zip(*(c.tolist() for c in (batch.tp, batch.time, batch.cpu, batch.pid)), strict=True)
    for position, (tp, time, cpu, pid) in enumerate(heads):
        values = sorted(batch.values(position).items())
        yield f"{time} {cpu} {pid} {VOCABULARY[tp].full_name} {values}"


def planted(sim: Sim) -> list[Report]:
    """Time alone makes a violation on no CPU."""
    return [
        (p.monitor, p.time, -1 if p.event == "none" else p.cpu, p.key, p.event) for p in sim.planted
    ]
