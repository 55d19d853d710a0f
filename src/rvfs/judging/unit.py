"""One recording and the monitors that judge it: the unit of work, which can be sent anywhere."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from rvfs.engine import Engine
from rvfs.errors import RvfsError, TraceError
from rvfs.event import Batch, Verdict
from rvfs.judging.report import Found, Judged, Report, Step
from rvfs.monitor import Monitor
from rvfs.source.replay import Replay
from rvfs.tracepoint import Vocabulary, catalogue

#: Events that are stepped at once.
BATCH = 1 << 14


@dataclass(frozen=True, slots=True)
class Unit:
    """The recording at ``file``, to be judged by ``monitors``."""

    file: str
    monitors: tuple[Monitor, ...]


def judge(unit: Unit) -> Iterator[Step]:
    """What is found, as it is found, and last how it ended: a recording's faults end in there."""
    report = Report(unit.file)
    try:
        yield from _judge(unit, report)
    except RvfsError as error:
        yield Judged(None, str(error))
    else:
        yield Judged(report, None if _has_an_event(unit, report) else _nothing_checked(unit))


def _judge(unit: Unit, report: Report) -> Iterator[Found]:
    vocabulary = Vocabulary()
    for tracepoint in catalogue():
        vocabulary.add(tracepoint)
    report.violations.update({monitor.name: 0 for monitor in unit.monitors})
    with closing(Replay(unit.file, vocabulary)) as source:
        engine = Engine(vocabulary)
        for monitor in unit.monitors:
            engine.add(monitor)
        source.subscribe(engine.wanted())
        while (batch := source.read(BATCH)) is not None:
            verdicts = engine.step(batch)
            _count(report, batch, verdicts, vocabulary)
            yield Found(verdicts, source.done)
    report.uncounted = source.uncounted
    report.warnings = [*source.notes, *_blind(unit.monitors, report.events, vocabulary)]


def _count(
    report: Report, batch: Batch, verdicts: Iterable[Verdict], vocabulary: Vocabulary
) -> None:
    report.violations.update(verdict.monitor for verdict in verdicts)
    report.lost.update(batch.lost)
    numbers, counts = np.unique(batch.tp, return_counts=True)
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
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


def _nothing_checked(unit: Unit) -> str:
    sentence = "none of the monitors has an event in it: nothing was checked"
    return str(TraceError(sentence, file=unit.file))
