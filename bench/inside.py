"""Looking inside: full rate while somebody reads all that monitors show, once a second."""

import time
from collections.abc import Iterator, Sequence

from bench.stepping import filled_vocabulary, simulated
from bench.table import Goal, Row
from rvfs.engine import Engine
from rvfs.event import Batch
from rvfs.inside_files import SHOWN
from rvfs.monitors import shipped
from rvfs.registered import Registered
from rvfs.registry import Registry
from rvfs.trace import Trace

EVENTS = 1_000_000
#: Seconds between two reads of everything (as watch(1) does it), and of each measurement.
EACH, LONG = 1.0, 5.0


def stepped(engine: Engine, batches: Sequence[Batch], shown: Sequence[Registered]) -> float:
    """Million events a second, over and over, with a read of every file now and then."""
    began = due = time.perf_counter()
    events = 0
    while True:
        for batch in batches:
            engine.step(batch)
            events += len(batch)
            now = time.perf_counter()
            if now >= due:
                for one in shown:
                    for lines in SHOWN.values():
                        "\n".join(lines(one)).encode()
                due += EACH
            if now - began >= LONG:
                return events / (now - began) / 1e6


def rows() -> Iterator[Row]:
    vocabulary = filled_vocabulary()
    engine = Engine(vocabulary)
    registry = Registry(engine, vocabulary, Trace(vocabulary))
    for loaded in (inner for outer in shipped() for inner in outer if inner.monitor.model):
        registry.enable(registry.register_monitor(loaded.monitor))
    batches = simulated(vocabulary, engine.wanted(), EVENTS)
    alone = stepped(engine, batches, ())
    read = stepped(engine, batches, registry.monitors)
    name = f"{len(engine)} monitors, all they show read once a second"
    yield Row(name, read, "Mev/s", "nobody reads", alone, Goal(">=", 0.95))
