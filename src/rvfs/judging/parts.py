"""One large recording judged by several workers, each with some of the monitors; one report.

This is exact: a monitor knows nothing of the others, and every worker reads the whole
recording with the fields that all of them need, so each sees the same events, losses and
faults. What they found is merged in the order in which one engine with all monitors tells it:
by event, a timer that ran out before the event behind it, then in the order of the monitors.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from rvfs.event import Verdict
from rvfs.judging.report import Found, Judged, Step
from rvfs.judging.unit import Results, Unit

#: In bytes; what is smaller is judged before a second worker has read it.
LARGE = 128 << 20
#: Violations that are told at once.
CHUNK = 1 << 10


def split(unit: Unit, workers: int) -> list[Unit]:
    """The unit as it is, or what each of several workers has to do of it."""
    count = max(min(workers, len(unit.monitors)), 1) if unit.size >= LARGE else 1
    return [replace(unit, part=part, parts=count) for part in range(count)]


def joined(parts: Sequence[Unit], results: Results) -> Results:
    """For each unit that was split, one row of steps; ``results`` has one per part."""
    try:
        for unit in parts:
            if unit.part == 0:
                yield _merge(unit, list(islice(results, unit.parts)))
    finally:
        results.close()


def _merge(unit: Unit, results: Sequence[Iterator[Step]]) -> Iterator[Step]:
    if len(results) == 1:
        yield from results[0]
        return
    rank = {monitor.name: place for place, monitor in enumerate(unit.monitors)}

    def order(verdict: Verdict) -> tuple[int, bool, int, int]:
        return verdict.position, verdict.event != "none", verdict.time, rank[verdict.monitor]

    ends: list[Judged] = []
    found = heapq.merge(*(_verdicts(steps, ends) for steps in results), key=order)
    while verdicts := list(islice(found, CHUNK)):
        yield Found(verdicts, done=1)
    yield _end(unit, ends)


def _verdicts(steps: Iterator[Step], ends: list[Judged]) -> Iterator[Verdict]:
    for step in steps:
        if isinstance(step, Judged):
            ends.append(step)
        else:
            yield from step.verdicts


def _end(unit: Unit, ends: Sequence[Judged]) -> Judged:
    """All parts have read the same and end alike, but for the violations and a lost process."""
    faults = [end for end in ends if end.report is None]
    if faults:
        return faults[0]
    found = Counter({monitor.name: 0 for monitor in unit.monitors})
    for end in ends:
        assert end.report
        found.update(end.report.violations)
    assert ends[0].report
    return Judged(replace(ends[0].report, violations=found), ends[0].error)
