"""One recording and the monitors that judge it: the unit of work, which can be sent anywhere."""

import enum
import hashlib
import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

import rvfs
from rvfs.engine import Engine
from rvfs.errors import RvfsError, TraceError
from rvfs.event import Batch, Verdict
from rvfs.judging.report import Found, Judged, Report, Step
from rvfs.model.filter import Filter
from rvfs.monitor import Monitor
from rvfs.source.replay import Replay
from rvfs.tracepoint import Vocabulary, catalogue

#: What judging each of several units yields, in their order.
Results: TypeAlias = Generator[Iterator[Step], None, None]

#: Events that are stepped at once.
BATCH = 1 << 15


@dataclass(frozen=True, slots=True)
class Unit:
    """The recording at ``path`` (absolute), to be judged by ``monitors``.

    ``file`` is what the recording is called in all that is told of it. Of several ``parts``,
    ``part`` steps every so many-th of the monitors; where there are more parts than monitors, it
    steps one of them, for a share of the instances.
    """

    file: str
    path: str
    monitors: tuple[Monitor, ...]
    part: int = 0
    parts: int = 1

    @classmethod
    def of(cls, file: str, monitors: Iterable[Monitor]) -> "Unit":
        return cls(file, str(Path(file).absolute()), tuple(monitors))

    @property
    def own(self) -> tuple[Monitor, ...]:
        """The monitors that this part steps."""
        return self.monitors[self.part % len(self.monitors) :: self.parts]

    @property
    def share(self) -> tuple[int, int]:
        """The instances that it judges, as :class:`Engine` has it."""
        workers = range(self.part % len(self.monitors), self.parts, len(self.monitors))
        return workers.index(self.part), len(workers)

    @property
    def size(self) -> int:
        """In bytes; 0 where there is no such file."""
        return _stamp(self.path)[0]

    def key(self) -> str:
        """The same for the same work: this rvfs, these monitors, this file as it is now.

        A file is as it was while its size and its times of change are.
        """
        work = [
            rvfs.__version__, self.file, self.path, _stamp(self.path), _plain(self.monitors),
            self.part, self.parts,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(work, default=repr).encode()).hexdigest()[:32]


def _stamp(path: str) -> tuple[int, ...]:
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return (0,)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _plain(value: object) -> object:
    """A monitor, or what it is made of, as JSON can write it, in one order."""
    if isinstance(value, Filter):
        return value.text
    if isinstance(value, enum.Enum):
        return value.name
    if is_dataclass(value):
        parts = (_plain(getattr(value, part.name)) for part in fields(value))
        return [type(value).__name__, *parts]
    if isinstance(value, Mapping):
        return [[_plain(key), _plain(inner)] for key, inner in value.items()]
    if isinstance(value, Set):
        return sorted(map(repr, value))
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def judge(unit: Unit) -> Iterator[Step]:
    """What is found, as it is found, and last how it ended: a recording's faults end in there."""
    report = Report(unit.file)
    try:
        yield from _judge(unit, report)
    except TraceError as error:
        yield Judged(None, _fault(unit, error.message, error.offset))
    except RvfsError as error:
        yield Judged(None, str(error))
    else:
        nothing = "none of the monitors has an event in it: nothing was checked"
        yield Judged(report, None if _has_an_event(unit, report) else _fault(unit, nothing))


def in_this_process(units: Sequence[Unit]) -> Results:
    """Judge one after the other, while the steps are read."""
    yield from map(judge, units)


def _fault(unit: Unit, message: str, offset: int | None = None) -> str:
    return str(TraceError(message, file=unit.file, offset=offset))


def _judge(unit: Unit, report: Report) -> Iterator[Found]:
    vocabulary = Vocabulary()
    for tracepoint in catalogue():
        vocabulary.add(tracepoint)
    report.violations.update({monitor.name: 0 for monitor in unit.own})
    with closing(Replay(unit.path, vocabulary)) as source:
        engine = _engine(unit.own, vocabulary, unit.share)
        source.subscribe(_engine(unit.monitors, vocabulary).wanted())
        while (batch := source.read(BATCH)) is not None:
            verdicts = engine.step(batch)
            _count(report, batch, verdicts, vocabulary)
            yield Found(verdicts, source.done)
    report.uncounted = source.uncounted
    report.warnings = [*source.notes, *_blind(unit.monitors, report.events, vocabulary)]


def _engine(
    monitors: Iterable[Monitor], vocabulary: Vocabulary, share: tuple[int, int] = (0, 1)
) -> Engine:
    engine = Engine(vocabulary, watched=False, share=share)
    for monitor in monitors:
        engine.add(monitor)
    return engine


def _count(
    report: Report, batch: Batch, verdicts: Iterable[Verdict], vocabulary: Vocabulary
) -> None:
    report.violations.update(verdict.monitor for verdict in verdicts)
    report.lost.update(batch.lost)
    for number, count in enumerate(np.bincount(batch.tp).tolist()):
        if count:
            report.events[vocabulary[number].full_name] += count


def _blind(
    monitors: Iterable[Monitor], events: Mapping[str, int], vocabulary: Vocabulary
) -> Iterator[str]:
    """Which monitors could not see what they are bound to; a clean result says less then."""
    for monitor in monitors:
        bound = dict.fromkeys(binding.tracepoint for binding in monitor.bindings)
        missing = [name for name in bound if not events.get(name)]
        if missing:
            nothing = len(missing) == len(bound)
            effect = "it checked nothing" if nothing else "its verdicts cannot be relied on"
            names = [n if n in vocabulary else f"{n} (whose fields are not known)" for n in missing]
            yield f"{monitor.name}: {effect}, there is no event {', '.join(names)}"


def _has_an_event(unit: Unit, report: Report) -> bool:
    bound = {binding.tracepoint for monitor in unit.monitors for binding in monitor.bindings}
    return not bound.isdisjoint(report.events)
