"""Reading recordings: from a warm file to columns and to verdicts of wwnr.

The recording is of the simulated machine, the same events as ftrace text and as trace.dat, whose
pages are repeated with later times, so that what is measured lasts. Beside it in the same run:
what libtracecmd takes to go through the same file, read the same fields and step the same
automaton, which must find as many violations; or where it is not installed trace-cmd to print it.
"""

import dataclasses
import itertools
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tests.source.dat_writer import SWITCH, WAKEUP, Event, Writer

from bench.stepping import filled_vocabulary, simulated
from bench.table import Goal, Row, best
from rvfs.engine import Engine
from rvfs.event import Batch
from rvfs.monitors import shipped_monitor
from rvfs.source.replay import Replay
from rvfs.trace import Trace
from rvfs.tracepoint import Vocabulary

EVENTS = 200_000
#: Events that are read at once, as `rvfs check` does; and how often all of it is done.
BATCH, REPEAT = 1 << 15, 5
#: How often the pages of trace.dat are repeated.
TIMES = 20
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


def repeat(recording: bytes, times: int, path: Path) -> None:
    """Write its pages so many times, each time later; of a version 6 file with pages of 4096."""
    table = recording.index(b"flyrecord\0") + 10
    count = int.from_bytes(recording[recording.index(b"options  \0") - 4 :][:4], "little")
    spans = [struct.unpack_from("<QQ", recording, table + 16 * cpu) for cpu in range(count)]
    pages = [np.frombuffer(recording[at : at + size], "<u8").reshape(-1, 512) for at, size in spans]
    starts = np.concatenate([cpu[:, 0] for cpu in pages])
    length = int(starts.max() - starts.min()) + (1 << 28)
    head = bytearray(recording[: min(at for at, _ in spans)])
    at = len(head)
    for cpu, mine in enumerate(pages):
        struct.pack_into("<QQ", head, table + 16 * cpu, at, times * mine.nbytes)
        at += times * mine.nbytes
    with path.open("wb") as file:
        file.write(head)
        for mine, n in itertools.product(pages, range(times)):
            later = mine.copy()
            later[:, 0] += n * length
            file.write(later)


@dataclasses.dataclass
class Judge:
    """From the file to verdicts of so many copies of wwnr; or, without any, only to the columns
    that one needs. Calling it tells how many violations it found."""

    path: Path
    monitors: int
    vocabulary: Vocabulary

    def __post_init__(self) -> None:
        wwnr = shipped_monitor("wwnr").monitor
        self.engine = Engine(self.vocabulary, watched=False)
        for number in range(max(self.monitors, 1)):
            self.engine.add(dataclasses.replace(wwnr, name=f"wwnr{number}"))

    def __call__(self) -> int:
        self.engine.reset()
        source, found = Replay(str(self.path), self.vocabulary), 0
        source.subscribe(self.engine.wanted())
        while (batch := source.read(BATCH)) is not None:
            if self.monitors:
                found += len(self.engine.step(batch))
        source.close()
        return found


def rows() -> Iterator[Row]:
    vocabulary = filled_vocabulary()
    batches = recorded(vocabulary)
    events = sum(map(len, batches)) / 1e6
    with tempfile.TemporaryDirectory(prefix="rvfs-bench-") as folder:
        text, dat = Path(folder, "trace.txt"), Path(folder, "trace.dat")
        text.write_bytes(as_text(vocabulary, batches))
        repeat(as_dat(vocabulary, batches), TIMES, dat)
        violations = Judge(dat, 1, vocabulary)()
        name, seconds = libtracecmd(dat, violations) or trace_cmd(dat)
        against = seconds and TIMES * events / seconds
        for path, count, monitors, goal in (
            (text, events, 0, None), (text, events, 1, Goal(">=", 5, "Mev/s")),
            (dat, TIMES * events, 0, None), (dat, TIMES * events, 1, Goal(">=", 50, "Mev/s")),
        ):  # fmt: skip
            rate = count / best(Judge(path, monitors, vocabulary), REPEAT)
            what = f"{path.name} to {'verdicts' if monitors else 'columns'}"
            yield Row(what, rate, "Mev/s", name, against, goal)
        yield Row(f"{what}, beside libtracecmd", rate, "Mev/s", name, against, Goal(">=", 7))
        ten = best(Judge(dat, 10, vocabulary), REPEAT) * rate / count
        yield Row(f"{what}, 10 monitors", ten, "x as long as one", goal=Goal("<=", 3))


def libtracecmd(path: Path, violations: int) -> tuple[str, float] | None:
    """What goes through it, and the seconds; None where it cannot be built.

    It must find so many violations.
    """
    program, source = path.with_name("iterate"), Path(__file__).with_name("iterate.c")
    found = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libtracecmd", "libtraceevent"],
        capture_output=True, text=True, check=False,
    ) if shutil.which("pkg-config") else None  # fmt: skip
    if found is None or found.returncode or not shutil.which("cc"):
        return None
    subprocess.run(["cc", "-O2", "-o", program, source, *found.stdout.split()], check=True)
    told = [subprocess.check_output([program, path], text=True).split() for _ in range(3)]
    assert {int(found) for _, _, found in told} == {violations}, "libtracecmd judges otherwise"
    return "libtracecmd, the same fields and steps", min(float(seconds) for _, seconds, _ in told)


def trace_cmd(path: Path) -> tuple[str, float | None]:
    """Seconds of ``trace-cmd report``, or None where there is none."""
    if shutil.which("trace-cmd") is None:
        return "", None
    command = ["trace-cmd", "report", "-i", str(path)]
    quiet = subprocess.DEVNULL
    seconds = best(lambda: subprocess.run(command, stdout=quiet, stderr=quiet, check=True), 1)
    return "trace-cmd report", seconds
