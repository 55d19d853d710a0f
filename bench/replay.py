"""Reading recordings: from file to verdicts of wwnr, beside what trace-cmd takes to print one.

The recording is of the simulated machine, the same events as ftrace text and as trace.dat.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.source.dat_writer import SWITCH, WAKEUP, Event, Writer

from bench.stepping import filled_vocabulary, simulated
from bench.table import Row, best
from rvfs.engine import Engine
from rvfs.event import Batch
from rvfs.monitors import shipped_monitor
from rvfs.source.replay import Replay
from rvfs.trace import Trace
from rvfs.tracepoint import Vocabulary

EVENTS = 200_000
KINDS = {"sched:sched_switch": SWITCH, "sched:sched_wakeup": WAKEUP}


def recorded(vocabulary: Vocabulary) -> list[Batch]:
    """What the machine did, all fields of the tracepoints in :data:`KINDS`."""
    numbers = [vocabulary.number(name) for name in KINDS]
    wanted = {tp: frozenset(vocabulary[tp].by_name) for tp in numbers}
    return simulated(vocabulary, wanted, EVENTS)


def as_text(vocabulary: Vocabulary, batches: list[Batch]) -> bytes:
    trace = Trace(vocabulary, cpus=2, capacity=2 * EVENTS)
    for name in KINDS:
        trace.enable(vocabulary.number(name), on=True)
    for batch in batches:
        trace.record(batch, [], [])
    return trace.text()


def as_dat(vocabulary: Vocabulary, batches: list[Batch]) -> bytes:
    kinds = {vocabulary.number(name): kind for name, kind in KINDS.items()}
    cpus: dict[int, list[Event]] = {}
    for batch in batches:
        for i in range(len(batch)):
            kind = kinds[int(batch.tp[i])]
            values = {name: value.item() for name, value in batch.values(i).items()}  # type: ignore[attr-defined]
            event = Event(int(batch.time[i]), kind, int(batch.pid[i]), values)
            cpus.setdefault(int(batch.cpu[i]), []).append(event)
    return Writer().file(cpus)


def judge(path: Path) -> None:
    vocabulary = filled_vocabulary()
    engine = Engine(vocabulary)
    engine.add(shipped_monitor("wwnr").monitor)
    source = Replay(str(path), vocabulary)
    source.subscribe(engine.wanted())
    while (batch := source.read(1 << 14)) is not None:
        engine.step(batch)
    source.close()


def rows() -> Iterator[Row]:
    vocabulary = filled_vocabulary()
    batches = recorded(vocabulary)
    events = sum(map(len, batches)) / 1e6
    with tempfile.TemporaryDirectory(prefix="rvfs-bench-") as folder:
        text, dat = Path(folder, "trace.txt"), Path(folder, "trace.dat")
        text.write_bytes(as_text(vocabulary, batches))
        dat.write_bytes(as_dat(vocabulary, batches))
        report = trace_cmd(dat)
        against = None if report is None else events / report
        for name, path in (("ftrace text to verdicts", text), ("trace.dat to verdicts", dat)):
            rate = events / best(partial(judge, path))
            yield Row(name, rate, "Mev/s", "trace-cmd report", against)


def trace_cmd(path: Path) -> float | None:
    """Seconds of ``trace-cmd report``, or None where there is none."""
    if shutil.which("trace-cmd") is None:
        return None
    command = ["trace-cmd", "report", "-i", str(path)]
    quiet = subprocess.DEVNULL
    return best(lambda: subprocess.run(command, stdout=quiet, stderr=quiet, check=True))
