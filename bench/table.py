"""Rows, and how they are measured."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measurement beside its baseline; ``better`` is ``higher`` or ``lower``."""

    name: str
    value: float
    unit: str
    baseline: str = ""
    against: float | None = None

    @property
    def ratio(self) -> str:
        return f"{self.value / self.against:.2f}x" if self.against else ""


def best(run: Callable[[], object], repeat: int = 3) -> float:
    """Seconds of the fastest of several runs: noise only ever adds."""
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def show(title: str, rows: Iterable[Row]) -> None:
    """A section of the table, on stdout."""
    print(f"\n{title}")
    for row in rows:
        against = "" if row.against is None else f"{row.baseline} {row.against:,.2f} {row.unit}"
        print(f"  {row.name:<52} {row.value:>12,.2f} {row.unit:<9} {row.ratio:>9}  {against}")
