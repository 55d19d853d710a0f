"""What came of one unit, as a file of JSON lines: an array per violation, and how it ended.

The first line names the columns of the arrays; the last one is the only object. The file is
there when it is whole: it is written under another name (``.part``) and renamed.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

from rvfs.event import Verdict
from rvfs.judging.report import Found, Judged, Report, Step

COLUMNS = tuple(Verdict.__slots__)
#: Violations that are read at once.
CHUNK = 1 << 10

_values = attrgetter(*COLUMNS)


def part(path: Path) -> Path:
    """Where the result is written that will be at ``path``."""
    return path.with_name(path.name + ".part")


def save(steps: Iterable[Step], path: Path) -> None:
    """Write what a unit yields. Raises :class:`OSError`; there is no file at ``path`` then."""
    with part(path).open("w") as file:
        file.write(json.dumps(COLUMNS) + "\n")
        for step in steps:
            file.writelines(_lines(step))
    part(path).rename(path)


def load(path: Path) -> Iterator[Step]:
    """What :func:`save` was given, violations in lots of another size."""
    with path.open() as file:
        next(file)
        while lines := list(islice(file, CHUNK)):
            end = lines.pop() if lines[-1].startswith("{") else None
            yield Found([Verdict(*json.loads(line)) for line in lines], done=1)
            if end:
                yield _judged(json.loads(end))


def _lines(step: Step) -> Iterator[str]:
    if isinstance(step, Judged):
        report = step.report and {**vars(step.report), "uncounted": sorted(step.report.uncounted)}
        yield json.dumps({"report": report, "error": step.error}) + "\n"
    else:
        yield from (json.dumps(_values(verdict)) + "\n" for verdict in step.verdicts)


def _judged(end: dict[str, Any]) -> Judged:
    if end["report"] is None:
        return Judged(None, end["error"])
    told = end["report"]
    lost = Counter({int(cpu): count for cpu, count in told["lost"].items()})
    counted = {name: Counter(told[name]) for name in ("events", "violations")}
    uncounted = frozenset(told["uncounted"])
    return Judged(Report(**{**told, **counted, "lost": lost, "uncounted": uncounted}), end["error"])
