"""LTL text → rule: the language of the kernel's LTL monitors.

==============  ==================================================================
file            ``NAME = formula``, one or more; ``RULE`` is the specification
name            capitals, digits, ``_``. One that is defined stands for its formula,
                any other is an atom
formula         names, ``true``, ``false``, ``(`` formula ``)``, the unary operators
                ``always eventually next not``, the binary ones ``until and or imply
                equivalent``
reading         as tools/verification/rvgen: a binary operator takes all that follows
                as its right operand, a unary operator all that follows. Under
                ``# rvfs: precedence``, before the first definition: unary operators,
                until, and, or, imply, equivalent, the closest first; until and imply
                to the right
comment         ``#`` to the end of the line
==============  ==================================================================

A rule is violated at the first step at which no infinite continuation satisfies it, for
every formula (:mod:`rvfs.model.ltl_table`). So ``eventually P`` alone is never violated.

Unlike the kernel's generator, which recurses for ever or lets one silently win: cyclic and
double definitions are refused, with line and column.
"""

import graphlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rvfs.errors import ModelError
from rvfs.model.automaton import INVALID
from rvfs.model.ltl_formula import Formulas
from rvfs.model.ltl_syntax import Definition, Term, Token, parse_definitions, term_text
from rvfs.model.ltl_table import Table, build
from rvfs.model.rule import MAX_ATOMS, Rule, Unfit, abbreviate
from rvfs.model.text import ModelText

SPECIFICATION = "RULE"
#: Elementary steps of the compilation, about a microsecond each; what takes more is refused.
MAX_STEPS = 500_000

_HEAD = re.compile(r"(?:\s|#[^\n]*)*+")
_DIRECTIVE = re.compile(r"#[ \t]*rvfs:[ \t]*(.*)")
_PRECEDENCE = "precedence"


def parse_ltl(text: str, *, file: str, name: str | None = None) -> ModelText[Rule]:
    """Read a rule; without a name it is called as the file is, less its suffix.

    Raises :class:`ModelError` for the first fault of the text; ``also`` has the others. A
    rule that nothing satisfies is a fault, as is one whose table would be too large.
    """
    definitions = parse_definitions(text, file=file, precedence=_has_precedence(text, file))
    return _Reading(file, definitions).result(name or Path(file).stem)


def _has_precedence(text: str, file: str) -> bool:
    head = _HEAD.match(text)
    found = list(_DIRECTIVE.finditer(text))
    for match in found:
        if match[1].strip() != _PRECEDENCE:
            message = f"expected # rvfs: {_PRECEDENCE}, found {match[0].strip()}"
        elif head and match.start() >= head.end():
            message = f"{match[0].strip()} must stand before the first definition"
        else:
            continue
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - text.rfind("\n", 0, match.start())
        raise ModelError(message, file=file, line=line, column=column)
    return bool(found)


@dataclass(slots=True)
class _Reading:
    """Takes the definitions; keeps the faults, so that one run shows them all."""

    file: str
    definitions: list[Definition]
    by_name: dict[str, Definition] = field(default_factory=dict)
    faults: list[ModelError] = field(default_factory=list)

    def fault(self, token: Token | None, message: str) -> None:
        line, column = (token.line or 0, token.column or 0) if token else (0, 0)
        self.faults.append(ModelError(message, file=self.file, line=line, column=column))

    def result(self, name: str) -> ModelText[Rule]:
        for definition in self.definitions:
            self._define(definition)
        if SPECIFICATION not in self.by_name:
            self.fault(None, f"there is no {SPECIFICATION}; expected {SPECIFICATION} = formula")
        self._check_cycles()
        self._stop_on_faults()
        used = self._used()
        atoms = self._atoms(used)
        table = self._table(used, atoms)
        text = "".join(f"{d.name} = {term_text(d.term)}\n" for d in used)
        rule = Rule(name, text, atoms, abbreviate(atoms), *table)
        return ModelText(rule, tuple(self._warnings(used, rule)))

    def _define(self, definition: Definition) -> None:
        first = self.by_name.setdefault(definition.name, definition)
        if first is not definition:
            already = f"{definition.name} is defined already, in line {first.token.line}"
            self.fault(definition.token, already)

    def _references(self, definition: Definition) -> Iterator[Term]:
        return (term for term in definition.term.names() if term.word in self.by_name)

    def _check_cycles(self) -> None:
        try:
            self._ordered(list(self.by_name.values()))
        except graphlib.CycleError as error:
            self._report_cycle(error.args[1][:0:-1])

    def _ordered(self, definitions: list[Definition]) -> list[Definition]:
        """Each after those that it names."""
        graph = {d.name: [term.word for term in self._references(d)] for d in definitions}
        return [self.by_name[name] for name in graphlib.TopologicalSorter(graph).static_order()]

    def _report_cycle(self, names: list[str]) -> None:
        first = min(range(len(names)), key=lambda i: self._place(self.by_name[names[i]].token))
        cycle = [*names[first:], *names[:first]]
        cycle.append(cycle[0])
        terms = self._references(self.by_name[cycle[0]])
        place = next(term.token for term in terms if term.word == cycle[1])
        self.fault(place, f"definitions in a circle: {' → '.join(cycle)}")

    @staticmethod
    def _place(token: Token) -> tuple[int, int]:
        return token.line or 0, token.column or 0

    def _used(self) -> list[Definition]:
        """RULE and what it names, in the order in which they are named."""
        used = {SPECIFICATION: None}
        todo = [SPECIFICATION]
        for name in todo:
            terms = self._references(self.by_name[name])
            new = [term.word for term in terms if term.word not in used]
            todo += dict.fromkeys(new)
            used.update(dict.fromkeys(new))
        return [self.by_name[name] for name in used]

    def _atoms(self, used: list[Definition]) -> tuple[str, ...]:
        places: dict[str, Term] = {}
        for definition in used:
            for term in definition.term.names():
                if term.word not in self.by_name:
                    places.setdefault(term.word, term)
        for term in list(places.values())[MAX_ATOMS : MAX_ATOMS + 1]:
            self.fault(term.token, f"{len(places)} atoms; a rule may have {MAX_ATOMS}")
        self._stop_on_faults()
        return tuple(sorted(places))

    def _table(self, used: list[Definition], atoms: tuple[str, ...]) -> Table:
        token = self.by_name[SPECIFICATION].token
        formulas = Formulas()
        try:
            names = {atom: formulas.atom(number) for number, atom in enumerate(atoms)}
            for definition in self._ordered(used):
                names[definition.name] = formulas.add(definition.term, names)
            return build(formulas, names[SPECIFICATION], len(atoms), steps=MAX_STEPS)
        except Unfit as error:
            message = f"the rule cannot be made a table: {error}"
            raise ModelError(
                message, file=self.file, line=token.line or 0, column=token.column or 0
            ) from None

    def _warnings(self, used: list[Definition], rule: Rule) -> Iterator[str]:
        for definition in self.by_name.values():
            if definition not in used:
                yield self._warning(definition.token, f"{definition.name} is not used in the rule")
        if INVALID not in {row for column in rule.table for row in column}:
            what = "the rule is never violated: whatever happened, it may still come true"
            yield self._warning(self.by_name[SPECIFICATION].token, what)

    def _warning(self, token: Token, what: str) -> str:
        return f"{self.file}:{token.line}:{token.column}: warning: {what}"

    def _stop_on_faults(self) -> None:
        if self.faults:
            raise ModelError.first_of(self.faults)
