"""What can be seen of a monitor that runs: its instances, counts, and what led to a violation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rvfs.event import Verdict

#: Violations that are remembered, and events of the instance that led to each.
VIOLATIONS, STEPS = 64, 16


@dataclass(frozen=True, slots=True)
class Instance:
    """Somebody who is monitored, in ``state`` since ``since`` (ns of the source's clock).

    ``key`` is a task's pid or an object's id, ``cpu`` the CPU of a per-CPU instance or an idle
    task, ``comm`` the task's name.
    """

    key: int | None
    cpu: int | None
    comm: str
    state: str
    since: int


@dataclass(frozen=True, slots=True)
class Stats:
    """How many events instances took (of a rule: validations), violations, instances that
    stopped at their end (``resets``), events whose key was impossible (``dropped``); and of the
    last replacement, the instances that ``kept`` their state and those that start ``anew``."""

    events: int
    violations: int
    resets: int
    dropped: int
    kept: int
    anew: int
    last: Verdict | None


@dataclass(frozen=True, slots=True)
class Step:
    """An event of an instance; ``state`` is that before it, where it is known."""

    time: int
    cpu: int
    event: str
    state: str | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A violation, and the events of that instance that led there, the last of them it."""

    verdict: Verdict
    steps: tuple[Step, ...]


class Inside(Protocol):
    """Reading does not slow the stepping: all this is counted anyway, or found afterwards."""

    @property
    def stats(self) -> Stats:
        """The counts, as of now."""

    @property
    def violations(self) -> Sequence[Recorded]:
        """The last :data:`VIOLATIONS`, oldest first."""

    @property
    def params(self) -> Mapping[str, int]:
        """The parameters of a hybrid automaton, as they are in force."""

    def instances(self) -> Iterator[Instance]:
        """Those who are monitored, by CPU, pid or place."""

    def coverage(self) -> Iterable[tuple[str, str, str, int]]:
        """``(state, event, next state, count)`` of every transition of the model.

        Of a rule: set of states, the fewest atoms that lead there, next set.
        """
