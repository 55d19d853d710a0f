"""What a hybrid automaton has beside states and transitions: clocks, guards, invariants.

A *clock* holds the time that has passed since its last reset; it is an environment variable
that some transition resets. Every other environment variable is told by the events
(``env`` of a binding). Semantics: include/rv/ha_monitor.h; see :mod:`rvfs.model.guard` for
the text and :mod:`rvfs.program` for how they are stepped.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

#: Nanoseconds of a jiffy, at the kernel's default of 250 a second (CONFIG_HZ).
JIFFY = 4_000_000
#: Nanoseconds of each unit that a value may have.
UNITS: Mapping[str, int] = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "j": JIFFY}


@dataclass(frozen=True, slots=True)
class Value:
    """The right side of a condition.

    A number, or the name of a parameter, of a constant (``name``) or of something that each
    instance has its own of (``name()``, then ``of_instance``). ``unit`` is one of
    :data:`UNITS` as it was written or as the name implies (``_ns``, ``_jiffies``), or None.
    """

    number: int = 0
    name: str | None = None
    of_instance: bool = False
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """``env sign value``; ``sign`` is one of ``== != < <= > >=``."""

    env: str
    sign: str
    value: Value


@dataclass(frozen=True, slots=True)
class Not:
    guard: "Guard"


@dataclass(frozen=True, slots=True)
class And:
    guards: tuple["Guard", ...]


@dataclass(frozen=True, slots=True)
class Or:
    guards: tuple["Guard", ...]


Guard: TypeAlias = Condition | Not | And | Or


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a transition asks for, and the clocks that it resets."""

    guard: Guard | None = None
    resets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Timing:
    """The environment of an automaton.

    ``clocks`` are sorted; ``envs`` are the other variables, sorted. ``invariants`` maps a state
    to its bounds, each ``clock < value`` (or ``<=``, which is the same), all of which hold while
    it is in that state. ``constraints`` maps (state, event) to what that transition asks for.
    """

    clocks: tuple[str, ...]
    envs: tuple[str, ...]
    invariants: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict, hash=False)
    constraints: Mapping[tuple[str, str], Constraint] = field(default_factory=dict, hash=False)

    @property
    def conditions(self) -> Iterator[Condition]:
        """All of them, those of invariants first."""
        for bounds in self.invariants.values():
            yield from bounds
        for constraint in self.constraints.values():
            yield from conditions(constraint.guard)


def conditions(guard: Guard | None) -> Iterator[Condition]:
    """The conditions that a guard is made of."""
    match guard:
        case Condition():
            yield guard
        case Not(inner):
            yield from conditions(inner)
        case And(guards) | Or(guards):
            for part in guards:
                yield from conditions(part)


def timing(
    invariants: Mapping[str, tuple[Condition, ...]],
    constraints: Mapping[tuple[str, str], Constraint],
) -> Timing | None:
    """The timing of a model with these; None for a model that has none."""
    if not invariants and not constraints:
        return None
    clocks = {clock for constraint in constraints.values() for clock in constraint.resets}
    timed = Timing(tuple(sorted(clocks)), (), invariants, constraints)
    envs = {condition.env for condition in timed.conditions} - clocks
    return replace(timed, envs=tuple(sorted(envs)))
