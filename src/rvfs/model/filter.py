"""Conditions on an event's fields, in the syntax of the kernel's event filters.

``prev_state == 1 && next_prio < 100``: comparisons ``== != < <= > >= &`` of a field with a
number (decimal or ``0x``), ``== != ~`` of a string field with a quoted text (``~`` takes the
wildcards ``*`` and ``?``), joined by ``&&``, ``||``, ``!`` and parentheses
(Documentation/trace/events.rst, "Event filtering"). ``field & mask`` is true when any bit
of the mask is set. Beyond the kernel's, a number may be compared with another field
(``dl_deadline != dl_period``), and a field may be an element of an array (``args[1]``).

A condition is a small tree (:data:`Test`). :mod:`rvfs.select` makes questions of
it; what that has no words for (texts, one field against another) is evaluated over columns,
as is a condition that is a value itself: one call answers for every event of a batch.
"""

import fnmatch
import functools
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rvfs.errors import InvalidInput, ModelError
from rvfs.event import Column
from rvfs.model.grammar import built

if TYPE_CHECKING:
    import lark

Mask = npt.NDArray[np.bool_]
Columns = Mapping[str, Column]

_GRAMMAR = r"""
?either: both (_OR both)*
?both: term (_AND term)*
?term: "!" term           -> negation
     | "(" either ")"
     | NAME OPERATOR value -> comparison
value: NUMBER -> number
     | STRING -> string
     | NAME -> other
_OR: "||"
_AND: "&&"
NAME: /[A-Za-z_]\w*(\[\d+\])?/
OPERATOR: "==" | "!=" | "<=" | ">=" | "<" | ">" | "&" | "~"
NUMBER: /-?(0[xX][0-9a-fA-F]+|\d+)/
STRING: /"[^"\n]*"/ | /'[^'\n]*'/
%ignore /\s+/
"""

_NUMERIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "&": lambda column, mask: (column & _as_bits(mask, column)) != 0,
}  # fmt: skip
_TEXTUAL = ("==", "!=", "~")
#: What the grammar's terminals are called in an error.
_EXPECTED: Mapping[str, str] = {
    "NAME": "a field", "LPAR": "'('", "BANG": "'!'",
    "OPERATOR": "one of == != < <= > >= & ~", "NUMBER": "a number", "STRING": "a quoted text",
    "RPAR": "')'", "_AND": "'&&'", "_OR": "'||'", "$END": "the end",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Other:
    """The name of a field on the right side of a comparison."""

    field: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """``field sign value``; a ``str`` is a text."""

    field: str
    sign: str
    value: int | str | Other


@dataclass(frozen=True, slots=True)
class Not:
    test: "Test"


@dataclass(frozen=True, slots=True)
class Both:
    tests: tuple["Test", ...]


@dataclass(frozen=True, slots=True)
class Either:
    tests: tuple["Test", ...]


Test: TypeAlias = Comparison | Not | Both | Either


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed condition: ``text`` as it was written, the ``fields`` it reads.

    ``strings`` are those fields that it compares with text.
    """

    text: str
    fields: frozenset[str]
    strings: frozenset[str]
    test: Test

    def __call__(self, columns: Columns) -> Mask:
        """True where the condition holds; as long as the columns are."""
        return holds(self.test, columns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def holds(test: Test, columns: Columns) -> Mask:
    """True where a test holds, per event."""
    match test:
        case Not(inner):
            return ~holds(inner, columns)
        case Both(tests):
            return functools.reduce(operator.and_, (holds(t, columns) for t in tests))
        case Either(tests):
            return functools.reduce(operator.or_, (holds(t, columns) for t in tests))
        case Comparison(field, sign, str(text)):
            return _compare_text(columns[field], sign, text)
        case Comparison(field, sign, Other(other)):
            return np.asarray(_NUMERIC[sign](columns[field], columns[other]))
        case Comparison(field, sign, value):
            return np.asarray(_NUMERIC[sign](columns[field], value))


def _as_bits(mask: Any, column: Column) -> Any:
    """The mask as the column's type has it: 64 bits are 64 bits, with a sign or without."""
    if isinstance(mask, int):
        return np.array(mask & (2**64 - 1), np.uint64).astype(column.dtype)
    return mask.astype(column.dtype)


def _compare_text(column: Column, sign: str, text: str) -> Mask:
    if sign == "~":
        matches = re.compile(fnmatch.translate(text)).match
        found = [matches(value.decode("utf-8", "replace")) is not None for value in column]
        return np.array(found, dtype=np.bool_)
    equal = np.asarray(column == text.encode(), dtype=np.bool_)
    return equal if sign == "==" else ~equal


class _Build:
    """Turns the parse tree into a test."""

    def __init__(self) -> None:
        self.fields: set[str] = set()
        self.strings: set[str] = set()

    def number(self, token: "lark.Token") -> int:
        value = int(token, 16) if "x" in token.lower() else int(token)
        if not -(2**63) <= value < 2**64:
            raise InvalidInput(f"{token} does not fit in 64 bits")
        return value

    def string(self, token: "lark.Token") -> str:
        return str(token[1:-1])

    def other(self, token: "lark.Token") -> Other:
        self.fields.add(str(token))
        return Other(str(token))

    def comparison(self, name: "lark.Token", sign: "lark.Token", value: int | str | Other) -> Test:
        field = str(name)
        self.fields.add(field)
        if isinstance(value, str):
            if sign not in _TEXTUAL:
                raise InvalidInput(f"{sign} cannot compare a text; use one of {' '.join(_TEXTUAL)}")
            self.strings.add(field)
        elif sign not in _NUMERIC:
            shown = f"number {value}" if isinstance(value, int) else f"field {value.field}"
            raise InvalidInput(f"{sign} wants a quoted text, not the {shown}")
        return Comparison(field, str(sign), value)

    def negation(self, test: Test) -> Test:
        return Not(test)

    def both(self, *tests: Test) -> Test:
        return Both(tests)

    def either(self, *tests: Test) -> Test:
        return Either(tests)


@functools.cache
def _parser() -> "lark.Lark":
    import lark

    return lark.Lark(_GRAMMAR, start="either", parser="lalr")


def parse_filter(text: str, *, file: str = "<filter>") -> Filter:
    """Read a condition. Raises :class:`ModelError` with the column and what was expected."""
    import lark

    build = _Build()
    try:
        test = built(_parser().parse(text), build)
    except InvalidInput as error:
        raise ModelError(f"{error} in {text!r}", file=file) from None
    except lark.exceptions.UnexpectedInput as error:
        raise ModelError(_explain(text, error), file=file) from None
    except RecursionError:
        raise ModelError(f"the condition {text[:20]!r}… is nested too deeply", file=file) from None
    return Filter(text, frozenset(build.fields), frozenset(build.strings), test)


def _explain(text: str, error: "lark.exceptions.UnexpectedInput") -> str:
    import lark

    wanted: set[str] = set()
    column = error.column
    if isinstance(error, lark.UnexpectedToken):
        wanted = error.accepts or error.expected
        if error.token.type == "$END":
            column = len(text) + 1  # lark names the last token
    elif isinstance(error, lark.UnexpectedCharacters):
        wanted = error.allowed
    expected = " or ".join(says for name, says in _EXPECTED.items() if name in wanted)
    return (
        f"cannot read the condition {text!r} at column {column}: expected {expected or 'the end'}"
    )
