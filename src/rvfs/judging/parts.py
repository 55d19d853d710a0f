"""One large recording judged by several workers, each a part of it; one report.

Each worker has some of the monitors or, where these are fewer, a share of the instances (tasks,
CPUs, objects) of one. Monitors are shared out first, for finding out whom an event concerns
is most of the work where little is found, and that a share does not make less.

This is exact: a monitor knows nothing of the others, an instance neither, and every worker
reads the whole recording with the fields that all of them need, so each sees the same batches,
losses and faults. What they found is merged batch by batch, in the order in which one engine
tells it: by event, a timer that ran out before the event behind it, then in the order of the
monitors, then by rank. So that the merge has little to do, workers write lines, each with its
place in this order.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby, islice, zip_longest
from operator import itemgetter
from typing import TypeAlias

from rvfs.event import Verdict
from rvfs.judging.report import Found, Judged, Step
from rvfs.judging.result import Form
from rvfs.judging.unit import Results, Unit
from rvfs.monitor import Scope

#: In bytes; what is smaller is judged before a second worker has read it.
LARGE = 128 << 20

#: The place of a violation in its batch, and its line, or what it is.
Placed: TypeAlias = tuple[Sequence[int], str | Verdict]


def split(unit: Unit, workers: int) -> list[Unit]:
    """The unit as it is, or what each of several workers has to do of it."""
    if any(monitor.scope is Scope.GLOBAL for monitor in unit.monitors):  # has one instance
        workers = min(workers, len(unit.monitors))
    count = max(workers, 1) if unit.size >= LARGE else 1
    return [replace(unit, part=part, parts=count) for part in range(count)]


def form_of(unit: Unit, form: Form) -> Form:
    """The form for the result of what may be a part."""
    if unit.parts == 1 or form.lines is None:
        return form
    lines = _PlacedLines(form.lines, tuple(monitor.name for monitor in unit.monitors))
    return replace(form, name=f"{form.name}, placed", lines=lines)


@dataclass(frozen=True, slots=True)
class _PlacedLines:
    """Writes the lines of a lot as JSON, each with its place. ``monitors`` are in order."""

    lines: Callable[[str, Sequence[Verdict]], str]
    monitors: Sequence[str]

    def __call__(self, file: str, verdicts: Sequence[Verdict]) -> str:
        placed = _placed(self.monitors, verdicts)
        return json.dumps([(place, self.lines(file, [verdict])) for place, verdict in placed])


def _placed(
    monitors: Sequence[str], verdicts: Sequence[Verdict]
) -> Iterator[tuple[list[int], Verdict]]:
    for one in verdicts:
        of_event, number = one.rank >= 0, monitors.index(one.monitor)
        yield [one.position, of_event, one.time, number, one.rank], one


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
    names, ends = [monitor.name for monitor in unit.monitors], list[Judged]()
    batches = zip_longest(*(_read(steps, names, ends) for steps in results), fillvalue=())
    for found in map(chain.from_iterable, batches):
        in_order = (what for _, what in sorted(found, key=itemgetter(0)))
        for _, alike in groupby(in_order, type):
            yield _found(list(alike))
    yield _end(unit, ends)


def _read(
    steps: Iterator[Step], monitors: Sequence[str], ends: list[Judged]
) -> Iterator[Iterable[Placed]]:
    """What was found in each batch."""
    for step in steps:
        if isinstance(step, Judged):
            ends.append(step)
        elif step.lines is None:
            yield _placed(monitors, step.verdicts)
        else:
            yield json.loads(step.lines)


def _found(lot: Sequence[str | Verdict]) -> Found:
    lines = [what for what in lot if isinstance(what, str)]
    verdicts = [what for what in lot if not isinstance(what, str)]
    return Found(verdicts, 1, "".join(lines) if lines else None)


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
