"""What a hybrid automaton's labels say of time: text → :mod:`rvfs.model.timing`, and back.

==========  ======================================================================
constraint  of a transition: one guard, resets ``reset(clk)``, separated by ``;``
guard       conditions with ``&&``, ``||`` (C precedence), ``(…)`` and ``!(…)``
invariant   of a state: ``clk < value`` or ``<=``, several joined by ``&&``
condition   ``env sign value``, sign one of ``== != < <= > >=``
value       ``25``, ``threshold``, ``DEADLINE_NS()``; then perhaps a unit
unit        ``ns us ms s j`` (jiffies); a name that ends in ``_ns`` or
            ``_jiffies`` has that one, a time without any is in ns
==========  ======================================================================

The kernel's generator (tools/verification/rvgen) reads one flat rule and one reset; what it
reads means the same here. Faults are :class:`InvalidInput`: who has the label knows its place.
"""

import functools
from typing import TYPE_CHECKING

from rvfs.errors import InvalidInput
from rvfs.model.grammar import built
from rvfs.model.timing import And, Condition, Constraint, Guard, Not, Or, Value

if TYPE_CHECKING:
    import lark

_GRAMMAR = r"""
constraint: _part (";" _part)*
_part: reset | either
reset: "reset" "(" NAME ")"
?either: both ("||" both)*
?both: term ("&&" term)*
?term: "!" negated -> negation
     | "(" either ")"
     | NAME SIGN value -> condition
?negated: "!" negated -> negation
        | "(" either ")"
value: NUMBER [UNIT] -> number
     | NAME [CALL] [UNIT] -> name
CALL: /\(\s*\)/
NAME: /[A-Za-z_]\w*/
SIGN: "==" | "!=" | "<=" | ">=" | "<" | ">"
NUMBER: /\d+/
UNIT: /(ns|us|ms|s|j)\b/
%ignore /\s+/
"""
#: What the grammar's terminals are called in an error.
_EXPECTED = {
    "NAME": "a name", "NUMBER": "a number", "SIGN": "one of == != < <= > >=", "CALL": "'()'",
    "UNIT": "a unit (ns, us, ms, s, j)", "RESET": "reset(CLOCK)", "LPAR": "'('", "RPAR": "')'",
    "BANG": "'!'", "__ANON_0": "'||'", "__ANON_1": "'&&'", "SEMICOLON": "';'", "$END": "the end",
}  # fmt: skip
#: 64 bits, of which one is the sign.
_LARGEST = 2**63 - 1
_SUFFIX_UNITS = {"_ns": "ns", "_jiffies": "j"}
_BOUNDS = ("<", "<=")


def parse_constraint(text: str) -> Constraint:
    """What a transition's label has behind the event. Raises :class:`InvalidInput`."""
    constraint = _parse(text, "constraint", "guard")
    assert isinstance(constraint, Constraint)
    return constraint


def parse_invariant(text: str) -> tuple[Condition, ...]:
    """What a state's label has behind the name: its bounds. Raises :class:`InvalidInput`."""
    guard = _parse(text, "either", "invariant")
    bounds = guard.guards if isinstance(guard, And) else (guard,)
    conditions = tuple(b for b in bounds if isinstance(b, Condition) and b.sign in _BOUNDS)
    if len(conditions) < len(bounds):
        raise InvalidInput(
            f"the invariant {text!r} is no bound on a clock; "
            "expected clk < N, or several joined by &&"
        )
    return conditions


def constraint_text(constraint: Constraint) -> str:
    """``guard;reset(clk)``, as :func:`parse_constraint` reads it; empty where nothing is asked."""
    guard = [] if constraint.guard is None else [guard_text(constraint.guard)]
    return ";".join([*guard, *(f"reset({clock})" for clock in constraint.resets)])


def guard_text(guard: Guard) -> str:
    """The canonical text of a guard; of an invariant's bounds, for their ``And``."""
    match guard:
        case Condition(env, sign, value):
            return f"{env} {sign} {value_text(value)}"
        case Not(inner):
            return f"!{guard_text(inner)}" if isinstance(inner, Not) else f"!({guard_text(inner)})"
        case And(guards):
            return " && ".join(_within(part, And, Or) for part in guards)
        case Or(guards):
            return " || ".join(_within(part, Or) for part in guards)


def _within(guard: Guard, *in_parentheses: type) -> str:
    text = guard_text(guard)
    return f"({text})" if isinstance(guard, in_parentheses) else text


def value_text(value: Value) -> str:
    if value.name is None:
        return f"{value.number}{value.unit or ''}"
    told = value.name + "()" * value.of_instance
    return told if value.unit == _implied(value.name) else f"{told} {value.unit}"


def _implied(name: str) -> str | None:
    """The unit that the end of a name implies."""
    lower = name.lower()
    return next((unit for end, unit in _SUFFIX_UNITS.items() if lower.endswith(end)), None)


class _Build:
    """Turns the parse tree into the words of :mod:`rvfs.model.timing`."""

    def number(self, digits: "lark.Token", unit: "lark.Token | None") -> Value:
        if int(digits) > _LARGEST:
            raise InvalidInput(f"{digits} does not fit in 64 bits")
        return Value(number=int(digits), unit=unit and str(unit))

    def name(
        self, name: "lark.Token", call: "lark.Token | None", unit: "lark.Token | None"
    ) -> Value:
        told = str(unit) if unit else _implied(name)
        return Value(name=str(name), of_instance=call is not None, unit=told)

    def condition(self, env: "lark.Token", sign: "lark.Token", value: Value) -> Condition:
        return Condition(str(env), str(sign), value)

    def negation(self, guard: Guard) -> Not:
        return Not(guard)

    def both(self, *guards: Guard) -> And:
        return And(guards)

    def either(self, *guards: Guard) -> Or:
        return Or(guards)

    def reset(self, clock: "lark.Token") -> str:
        return str(clock)

    def constraint(self, *parts: "str | Guard") -> Constraint:
        guards = [part for part in parts if not isinstance(part, str)]
        resets = [part for part in parts if isinstance(part, str)]
        if len(guards) > 1:
            raise InvalidInput("there are two guards; join them by && or ||")
        for clock in resets:
            if resets.count(clock) > 1:
                raise InvalidInput(f"{clock} is reset twice")
        return Constraint(guards[0] if guards else None, tuple(sorted(resets)))


@functools.cache
def _parser() -> "lark.Lark":
    import lark

    return lark.Lark(
        _GRAMMAR, start=["constraint", "either"], parser="lalr", maybe_placeholders=True
    )


def _parse(text: str, start: str, what: str) -> object:
    import lark

    try:
        return built(_parser().parse(text, start=start), _Build())
    except InvalidInput as error:
        raise InvalidInput(f"the {what} {text!r}: {error}") from None
    except lark.exceptions.UnexpectedInput as error:
        raise InvalidInput(_explain(text, error, what)) from None
    except RecursionError:
        raise InvalidInput(f"the {what} {text[:20]!r}… is nested too deeply") from None


def _explain(text: str, error: "lark.exceptions.UnexpectedInput", what: str) -> str:
    import lark

    column, found, wanted = error.column, text[error.column - 1 :][:1], set[str]()
    if isinstance(error, lark.UnexpectedToken):
        wanted, found = error.accepts or error.expected, str(error.token)
        if error.token.type == "$END":
            column, found = len(text) + 1, ""  # lark names the last token
    elif isinstance(error, lark.UnexpectedCharacters):
        wanted = error.allowed
    expected = " or ".join(says for name, says in _EXPECTED.items() if name in wanted)
    expected = expected or "the end"
    found = repr(found) if found else "the end"
    return f"cannot read the {what} {text!r} at column {column}: expected {expected}, found {found}"
