"""LTL text → definitions, each with its places in the text, and back.

The grammar is that of the kernel's generator (tools/verification/rvgen), in which operators
have no precedence: ``A op …`` takes all that follows as its right operand, and a unary
operator all that follows as its operand. Under ``# rvfs: precedence`` the same words have
the usual precedence. Both make the same :class:`Term`; what a term means is decided in
:mod:`rvfs.model.ltl`.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rvfs.errors import ModelError

if TYPE_CHECKING:
    import lark

#: A text that is longer is refused before it is looked at.
MAX_TEXT = 65536

_WORDS = r"""
start: definition+
definition: NAME "=" formula
?operand: NAME -> name
        | LITERAL -> literal
        | "(" formula ")"
NAME: /[A-Z_][A-Z0-9_]*\b/
LITERAL: /(true|false)\b/
UNARY: /(always|eventually|next|not)\b/
UNTIL: /until\b/
AND: /and\b/
OR: /or\b/
IMPLY: /imply\b/
EQUIVALENT: /equivalent\b/
%ignore /\s+/
%ignore /#[^\n]*/
"""
_KERNEL = r"""
?formula: operand
        | UNARY formula -> unary
        | operand _binary formula -> binary
_binary: UNTIL | AND | OR | IMPLY | EQUIVALENT
"""
_PRECEDENCE = r"""
?formula: implication | formula EQUIVALENT implication -> binary
?implication: disjunction | disjunction IMPLY implication -> binary
?disjunction: conjunction | disjunction OR conjunction -> binary
?conjunction: until | conjunction AND until -> binary
?until: simple | simple UNTIL until -> binary
?simple: operand | UNARY simple -> unary
"""
#: What the grammar's terminals are called in an error; those not listed come with these.
_EXPECTED = {
    "LPAR": "a formula", "EQUAL": "'='", "AND": "an operator (until, and, or, imply, equivalent)",
    "RPAR": "')'", "NAME": "a definition (NAME = formula)", "$END": "the end",
}  # fmt: skip
_FOUND = re.compile(r"\w+|.", re.DOTALL)


class Token(Protocol):
    """A word of the text; ``line`` and ``column`` count from 1."""

    line: int | None
    column: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """``word`` is the operator, with its operands, or a name, or ``true`` or ``false``.

    ``depth`` is the number of operators on the longest way down.
    """

    token: Token
    operands: "tuple[Term, ...]" = ()
    depth: int = 0

    @property
    def word(self) -> str:
        return str(self.token)

    @property
    def is_name(self) -> bool:
        return not self.operands and self.word not in ("true", "false")

    def names(self) -> "Iterator[Term]":
        """The names in it, from left to right."""
        todo = [self]
        while todo:
            term = todo.pop()
            todo += reversed(term.operands)
            if term.is_name:
                yield term


@dataclass(frozen=True, slots=True)
class Definition:
    """``NAME = formula``."""

    token: Token
    term: Term

    @property
    def name(self) -> str:
        return str(self.token)


class _Make:
    """Called by the parser as it reads: no tree is walked, however deep it is."""

    def start(self, definitions: list[Definition]) -> list[Definition]:
        return definitions

    def definition(self, parts: "tuple[lark.Token, Term]") -> Definition:
        return Definition(*parts)

    def name(self, parts: "tuple[lark.Token]") -> Term:
        return Term(parts[0])

    literal = name

    def unary(self, parts: "tuple[lark.Token, Term]") -> Term:
        token, operand = parts
        return Term(token, (operand,), operand.depth + 1)

    def binary(self, parts: "tuple[Term, lark.Token, Term]") -> Term:
        left, token, right = parts
        return Term(token, (left, right), max(left.depth, right.depth) + 1)


@functools.cache
def _parser(precedence: bool) -> "lark.Lark":
    import lark  # only those who read an LTL text pay for it

    grammar = _WORDS + (_PRECEDENCE if precedence else _KERNEL)
    return lark.Lark(grammar, parser="lalr", transformer=_Make())


def parse_definitions(text: str, *, file: str, precedence: bool) -> list[Definition]:
    """Read ``NAME = formula``, one or more. Raises :class:`ModelError` at the first fault."""
    import lark

    if len(text) > MAX_TEXT:
        raise ModelError(f"{len(text)} characters; at most {MAX_TEXT} are read", file=file)
    parser = _parser(precedence)
    try:
        definitions: list[Definition] = parser.parse(text)  # type: ignore[assignment]
    except lark.exceptions.UnexpectedInput as error:
        at_end = isinstance(error, lark.UnexpectedToken) and error.token.type == "$END"
        place = len(text) if at_end else error.pos_in_stream or 0
        raise _explain(parser, text, place, file) from None
    return definitions


def _explain(parser: "lark.Lark", text: str, place: int, file: str) -> ModelError:
    """What may follow the text before the place; lark has dropped some of it by now."""
    before = parser.parse_interactive(text[:place])
    before.exhaust_lexer()
    wanted: set[str] = before.accepts()  # type: ignore[no-untyped-call]
    if "LPAR" in wanted:
        wanted = wanted - {"NAME"}  # it begins a formula there
    expected = " or ".join(says for name, says in _EXPECTED.items() if name in wanted)
    found = _FOUND.match(text, place)
    message = f"expected {expected}, found {found[0] if found else 'the end of the file'}"
    line = text.count("\n", 0, place) + 1
    column = place - text.rfind("\n", 0, place)
    return ModelError(message, file=file, line=line, column=column)


def term_text(term: Term) -> str:
    """With parentheses enough to mean the same with precedence and without."""
    match term.operands:
        case (operand,):
            return f"{term.word} {_operand_text(operand)}"
        case (left, right):
            return f"{_operand_text(left)} {term.word} {_operand_text(right)}"
    return term.word


def _operand_text(term: Term) -> str:
    return f"({term_text(term)})" if term.operands else term.word
