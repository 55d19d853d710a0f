"""The conditions of a hybrid automaton as programs over an instance's registers.

:mod:`rvfs._stepper._timed` has their form and runs them. A condition becomes a question
whether a sum of registers (and, for a clock, the time) lies in a range; what parameters and
constants bring to it is in the range, which is why the programs are made anew when a
parameter changes. A guard that mentions a clock that was never reset, or a variable that
was never told, holds; so does a bound of an invariant.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from rvfs.errors import UnknownName
from rvfs.event import Ints
from rvfs.model.automaton import Automaton
from rvfs.model.timing import JIFFY, UNITS, And, Condition, Guard, Not, Or, Timing, Value
from rvfs.program import Program
from rvfs.select import packed

UNSET, NEVER = -(1 << 63), (1 << 63) - 1
#: No limit that anybody waits for: 36 years in ns.
HORIZON = 1 << 60
_HOLDS, _FAILS = -1, -2
_64_BITS = (1 << 64) - 1
#: What env text is cut at.
ENV_BYTES = 63


class _Amount(NamedTuple):
    """The right side of a condition: a number (ns for a clock) and registers with factors."""

    number: int
    registers: tuple[tuple[int, int], ...]


class Conditions(NamedTuple):
    """As :meth:`rvfs._stepper.Timed.ask` takes them."""

    guards: Ints
    resets: Ints
    nodes: Ints
    terms: Ints
    bound_firsts: Ints
    bounds: Ints


def conditions_of(program: Program, params: Mapping[str, int]) -> Conditions:
    """The conditions of a program whose model is hybrid, with these parameters.

    Raises :class:`UnknownName` for a name that stands for nothing.
    """
    return _Maker(program, params).conditions()


@dataclass
class _Maker:
    program: Program
    params: Mapping[str, int]
    nodes: list[tuple[int, ...]] = field(default_factory=list)
    terms: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        model = self.program.model
        assert isinstance(model, Automaton)
        assert model.timing is not None
        self.model, self.timing = model, model.timing

    def conditions(self) -> Conditions:
        model, letters = self.model, self.program.letters
        guards, resets = [], []
        bounds: list[tuple[int, ...]] = []
        bound_firsts = [0]
        for state in model.states:
            mine = self.timing.invariants.get(state, ())
            bounds += (self._bound(bound) for bound in mine)
            bound_firsts.append(len(bounds))
            of_events = {event: self._constraint(state, event) for event in model.events}
            for letter in letters:
                guard, reset = of_events.get(letter.event, (_HOLDS, 0))
                guards.append(guard)
                resets.append(reset)
        return Conditions(
            _ints(guards), _ints(resets), packed(self.nodes, 7),
            packed(self.terms, 2), _ints(bound_firsts), packed(bounds, 5),
        )  # fmt: skip

    def _constraint(self, state: str, event: str) -> tuple[int, int]:
        """Where the program of the guard begins, and the clocks that are reset."""
        constraint = self.timing.constraints.get((state, event))
        if constraint is None:
            return _HOLDS, 0
        resets = sum(1 << self.timing.clocks.index(clock) for clock in constraint.resets)
        if constraint.guard is None:
            return _HOLDS, resets
        target = self._ask(constraint.guard, _HOLDS, _FAILS)
        for register in self._mentioned(constraint.guard):
            target = self._unless_unset(register, target, _HOLDS)
        return target, resets

    def _mentioned(self, guard: Guard) -> set[int]:
        match guard:
            case Condition(env, _, value):
                amount = self._amount(env, value)
                return {self._register(env), *(register for register, _ in amount.registers)}
            case Not(inner):
                return self._mentioned(inner)
            case And(guards) | Or(guards):
                return set().union(*map(self._mentioned, guards))

    def _ask(self, guard: Guard, yes: int, no: int) -> int:
        """The target where a program begins that ends in ``yes`` or in ``no``."""
        match guard:
            case Not(inner):
                return self._ask(inner, no, yes)
            case And(guards):
                for inner in reversed(guards):
                    yes = self._ask(inner, yes, no)
                return yes
            case Or(guards):
                for inner in reversed(guards):
                    no = self._ask(inner, yes, no)
                return no
            case Condition(env, sign, value):
                return self._compare(env, sign, value, yes, no)

    def _compare(self, env: str, sign: str, value: Value, yes: int, no: int) -> int:
        amount = self._amount(env, value)
        first = amount.number
        last = first + (JIFFY if self._in_jiffies(env, value) else 1) - 1
        lowest, highest = {
            "==": (first, last), "!=": (first, last), "<": (UNSET, first - 1),
            "<=": (UNSET, last), ">": (last + 1, NEVER), ">=": (first, NEVER),
        }[sign]  # fmt: skip
        if sign == "!=":
            yes, no = no, yes
        return self._question(env, amount, lowest, highest, yes, no)

    def _question(
        self, env: str, amount: _Amount, lowest: int, highest: int, yes: int, no: int
    ) -> int:
        clock = env in self.timing.clocks
        first = len(self.terms)
        self.terms.append((self._register(env), -1 if clock else 1))
        self.terms += ((register, -factor) for register, factor in amount.registers)
        lowest, highest = max(lowest, UNSET), min(highest, NEVER)
        if lowest > highest:
            return no
        span = _pattern(highest - lowest)
        self.nodes.append((first, len(self.terms), int(clock), lowest, span, yes, no))
        return len(self.nodes) - 1

    def _unless_unset(self, register: int, target: int, unset: int) -> int:
        self.terms.append((register, 1))
        self.nodes.append((len(self.terms) - 1, len(self.terms), 0, UNSET, 0, unset, target))
        return len(self.nodes) - 1

    def _bound(self, bound: Condition) -> tuple[int, ...]:
        amount = self._amount(bound.env, bound.value)
        first = len(self.terms)
        self.terms += amount.registers
        limit = max(-HORIZON, min(HORIZON, amount.number))
        half = int(not self._in_jiffies(bound.env, bound.value))
        return self._register(bound.env), limit, half, first, len(self.terms)

    def _register(self, name: str) -> int:
        return self.program.registers.index(name)

    def _in_jiffies(self, env: str, value: Value) -> bool:
        return value.unit == "j" and env in self.timing.clocks

    def _amount(self, env: str, value: Value) -> _Amount:
        """What a value is for this variable: of a clock it is in ns."""
        unit = 1 if value.unit is None else UNITS[value.unit]
        if value.unit == "j" and env not in self.timing.clocks:
            unit = 1
        names, number = self._parts(value)
        registers: list[tuple[int, int]] = []
        for name, factor in names:
            known = self._number(name)
            if known is not None:
                number += factor * known
            elif name in self.program.registers:
                registers.append((self._register(name), factor * unit))
            else:
                raise UnknownName(
                    f"monitor {self.program.monitor.name}: {name} is neither a parameter nor a "
                    f"constant, and no binding tells it"
                )
        return _Amount(number * unit, tuple(registers))

    def _parts(self, value: Value) -> tuple[tuple[tuple[str, int], ...], int]:
        if value.name is None:
            return (), value.number
        defined = self.program.monitor.values.get(value.name)
        if defined is None:
            return ((value.name, 1),), 0
        return defined.names, defined.constant

    def _number(self, name: str) -> int | None:
        return self.params.get(name, self.program.monitor.constants.get(name))


def rearms(model: Automaton, event: str) -> bool:
    """Whether some transition of this event resets a clock and stays where it is."""
    timing = model.timing
    return timing is not None and any(
        constraint.resets and model.next_state(state, name) == state
        for (state, name), constraint in timing.constraints.items()
        if name == event
    )


class EnvText:
    """How the environment of an instance is told: ``clk=7,irq_off=0``."""

    def __init__(self, program: Program) -> None:
        model = program.model
        assert isinstance(model, Automaton)
        assert model.timing is not None
        self._clocks, self._shown = (
            model.timing.clocks,
            len(model.timing.clocks) + len(model.timing.envs),
        )
        self._names = program.registers
        self._jiffies = {clock for clock, value in _bounds(model.timing) if value.unit == "j"}

    def text(self, registers: list[int], time: int) -> str:
        """A clock that was never reset shows the time and one more; a variable that nobody
        told shows ``?``."""
        parts = (
            f"{name}={self._value(name, value, time)}"
            for name, value in zip(self._names[: self._shown], registers, strict=False)
        )
        return ",".join(parts).encode()[:ENV_BYTES].decode("utf-8", "ignore")

    def _value(self, name: str, value: int, time: int) -> str:
        if name not in self._clocks:
            return "?" if value == UNSET else str(value & _64_BITS)
        unit = JIFFY if name in self._jiffies else 1
        return str((time // unit + 1 if value == UNSET else (time - value) // unit) & _64_BITS)


def _bounds(timing: Timing) -> Iterator[tuple[str, Value]]:
    """Every variable with every value that it is compared with."""
    for bounds in timing.invariants.values():
        yield from ((bound.env, bound.value) for bound in bounds)
    for constraint in timing.constraints.values():
        if constraint.guard is not None:
            yield from _compared(constraint.guard)


def _compared(guard: Guard) -> Iterator[tuple[str, Value]]:
    match guard:
        case Condition(env, _, value):
            yield env, value
        case Not(inner):
            yield from _compared(inner)
        case And(guards) | Or(guards):
            for inner in guards:
                yield from _compared(inner)


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _pattern(value: int) -> int:
    return (value + (1 << 63) & _64_BITS) - (1 << 63)
