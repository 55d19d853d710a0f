"""Parquet in: a table of the simulated machine's events into the batches that wwnr wants.

Beside it what pyarrow takes for the same columns, so what is left is the price of batches.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from bench.replay import KINDS, Judge, recorded
from bench.stepping import filled_vocabulary, in_one
from bench.table import Goal, Row, best
from rvfs.engine import Engine
from rvfs.monitors import shipped_monitor
from rvfs.source.parquet import ParquetReader
from rvfs.source.parquet_table import Table
from rvfs.source.parquet_writer import EventWriter
from rvfs.tracepoint import Vocabulary

#: How often the same events follow each other in the table.
ROUNDS = 50


def write(path: Path, vocabulary: Vocabulary) -> int:
    """The table; how many events it has."""
    batch = in_one(recorded(vocabulary))
    span = int(batch.time[-1] - batch.time[0]) + 1
    with EventWriter(path, vocabulary, [vocabulary[vocabulary.number(k)] for k in KINDS]) as table:
        for number in range(ROUNDS):
            table.write(replace(batch, time=batch.time + number * span))
    return ROUNDS * len(batch)


def read(path: Path) -> None:
    vocabulary = filled_vocabulary()
    engine = Engine(vocabulary)
    engine.add(shipped_monitor("wwnr").monitor)
    reader = ParquetReader(str(path), vocabulary)
    reader.subscribe(engine.wanted())
    while reader.read(1 << 16) is not None:
        pass
    reader.close()


def decode(path: Path) -> None:
    """The columns that :func:`read` needs, as Arrow has them."""
    numbers = ["ts", "cpu", "pid", "prev_pid", "prev_state", "next_pid", "sched_wakeup.pid"]
    with pq.ParquetFile(path, read_dictionary=["event"]) as table:
        for _ in table.iter_batches(Table.ROWS, columns=["event", *numbers]):
            pass


def rows() -> Iterator[Row]:
    vocabulary = filled_vocabulary()
    with tempfile.TemporaryDirectory(prefix="rvfs-bench-") as folder:
        path = Path(folder, "trace.parquet")
        events = write(path, vocabulary) / 1e6
        arrow = events / best(partial(decode, path))
        goal = Goal(">=", 100, "Mev/s")
        yield Row("Parquet to batches", events / best(partial(read, path)), "Mev/s", goal=goal)
        yield Row("Parquet to Arrow", arrow, "Mev/s", goal=goal)
        yield Row("Parquet to verdicts", events / best(Judge(path, 1, vocabulary)), "Mev/s")
