"""What comes of judging one recording: violations as they are found, and a report at the end."""

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field
from typing import TypeAlias

from rvfs.event import Verdict


@dataclass
class Report:
    """What came of one recording. ``events`` counts per tracepoint, ``lost`` per CPU.

    Of the CPUs in ``uncounted`` it is not known how many events they lost.
    """

    file: str
    events: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    lost: Counter[int] = field(default_factory=Counter)
    uncounted: Set[int] = frozenset()
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """Violations of a batch, in order; ``done`` of the recording (0 to 1) was read.

    Where somebody has put them in words already, there are ``lines``, and no verdicts.
    """

    verdicts: list[Verdict]
    done: float
    lines: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """The end: a report, or what was wrong, or both (nothing in the recording to be checked)."""

    report: Report | None
    error: str | None = None


Step: TypeAlias = Found | Judged
