"""Rows, and how they are measured."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """What a row wants to reach: a bound on the ratio (``"x"``), or on the value in its unit."""

    sign: str
    bound: float
    unit: str = "x"

    def __post_init__(self) -> None:
        assert self.sign in (">=", "<=")

    def met(self, value: float) -> bool:
        return value >= self.bound if self.sign == ">=" else value <= self.bound


@dataclass(frozen=True)
class Row:
    """One measurement, beside its baseline and its goal where it has them."""

    name: str
    value: float
    unit: str
    baseline: str = ""
    against: float | None = None
    goal: Goal | None = None

    @property
    def ratio(self) -> str:
        return f"{self.value / self.against:.2f}x" if self.against else ""

    @property
    def verdict(self) -> str:
        """``goal >= 0.9x: met``, or missed."""
        if self.goal is None:
            return ""
        of_ratio = self.goal.unit == "x" and self.against
        reached = self.value / self.against if of_ratio and self.against else self.value
        word = "met" if self.goal.met(reached) else "MISSED"
        unit = self.goal.unit if of_ratio else f" {self.unit}"
        return f"  goal {self.goal.sign} {self.goal.bound:g}{unit}: {word}"


def clocked(run: Callable[[], object]) -> Callable[[], float]:
    """Run it, and tell the seconds."""

    def seconds() -> float:
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    return seconds


def best(run: Callable[[], object], repeat: int = 5) -> float:
    """Seconds of the fastest of several runs: noise only ever adds."""
    return min(clocked(run)() for _ in range(repeat))


def in_turns(*runs: Callable[[], float], repeat: int = 15) -> list[float]:
    """The least seconds that each tells. They take turns, so that what else the machine does is the
    same for all."""
    told = [[run() for run in runs] for _ in range(repeat)]
    return [min(each) for each in zip(*told, strict=True)]


def show(title: str, rows: Iterable[Row]) -> None:
    """A section of the table, on stdout."""
    print(f"\n{title}")
    for row in rows:
        against = "" if row.against is None else f"{row.baseline} {row.against:,.2f} {row.unit}"
        measured = f"{row.name:<52} {row.value:>12,.2f} {row.unit:<9} {row.ratio:>9}"
        print(f"  {measured}  {against}{row.verdict}")
