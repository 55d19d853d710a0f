"""Units that are judged, and units that end whoever judges them."""

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rvfs.event import Verdict
from rvfs.judging.report import Judged, Step
from rvfs.judging.unit import Unit, in_this_process
from rvfs.monitor import Monitor

Outcome = tuple[list[Verdict], Judged]


def outcome(steps: Iterable[Step]) -> Outcome:
    *found, end = steps
    assert isinstance(end, Judged)
    return [verdict for step in found for verdict in step.verdicts], end  # type: ignore[union-attr]


def alone(units: Iterable[Unit]) -> list[Outcome]:
    return [outcome(steps) for steps in in_this_process(list(units))]


@dataclass(frozen=True)
class Deadly:
    """A unit that takes its process with it, as often as ``lives`` has bytes."""

    unit: Unit
    lives: Path

    @property
    def file(self) -> str:
        return self.unit.file

    part, parts, share = 0, 1, (0, 1)

    @property
    def own(self) -> tuple[Monitor, ...]:
        return self.monitors

    @property
    def path(self) -> str:
        return self.unit.path

    @property
    def size(self) -> int:
        return self.unit.size

    def key(self) -> str:
        return f"{type(self).__name__}-{self.unit.key()}"

    @property
    def monitors(self) -> tuple[Monitor, ...]:
        left = self.lives.read_bytes()
        if left:
            self.lives.write_bytes(left[1:])
            os.kill(os.getpid(), signal.SIGKILL)
        return self.unit.monitors


@dataclass(frozen=True)
class Endless(Deadly):
    """A unit that is never done; in ``lives`` it tells which process it holds."""

    @property
    def monitors(self) -> tuple[Monitor, ...]:
        self.lives.write_text(str(os.getpid()))
        signal.pause()
        raise AssertionError
