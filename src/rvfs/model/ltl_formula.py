"""LTL formulas in negation normal form, each made once: equal formulas are one number.

Negations stand at atoms only. There is no third kind of temporal operator:

==================  ==========================
``always f``        ``false release f``
``eventually f``    ``true until f``
``f imply g``       ``(not f) or g``
``f equivalent g``  ``(f and g) or not (f or g)``
==================  ==========================

Formulas are never edited, so a definition that is used twice is shared, and what is nested
a hundred definitions deep still takes no more room than its text.
"""

from typing import NamedTuple

from rvfs.model.ltl_syntax import Term
from rvfs.model.rule import Unfit

#: Operators on the longest way down; each takes frames of Python's stack.
MAX_DEPTH = 150


def _too_deep() -> Unfit:
    return Unfit(f"more than {MAX_DEPTH} operators stand one in another")


class Node(NamedTuple):
    """``a`` and ``b`` are formulas; of an ``atom`` its number and whether it holds."""

    kind: str  # true, false, atom, and, or, next, until, release
    a: int = 0
    b: int = 0


_DUAL = {
    "true": "false", "false": "true", "and": "or", "or": "and",
    "next": "next", "until": "release", "release": "until",
}  # fmt: skip
_OPERANDS = {"next": 1, "and": 2, "or": 2, "until": 2, "release": 2}


class Formulas:
    """A store of formulas: ``nodes[formula]`` is what it is made of."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._depths: list[int] = []
        self._numbers: dict[Node, int] = {}
        self._negations: dict[int, int] = {}
        self.true, self.false = self._make("true"), self._make("false")

    def operands(self, node: Node) -> tuple[int, ...]:
        return (node.a, node.b)[: _OPERANDS.get(node.kind, 0)]

    def _make(self, kind: str, a: int = 0, b: int = 0) -> int:
        node = Node(kind, a, b)
        below = self.operands(node)
        if len(below) == 2 and self.nodes[a].kind == self.nodes[b].kind == "next":
            return self._make("next", self._make(kind, self.nodes[a].a, self.nodes[b].a))
        if node not in self._numbers:
            self._numbers[node] = len(self.nodes)
            self.nodes.append(node)
            self._depths.append(1 + max((self._depths[f] for f in below), default=0))
            if self._depths[-1] > MAX_DEPTH:
                raise _too_deep()
        return self._numbers[node]

    def atom(self, number: int) -> int:
        return self._make("atom", number, True)

    def add(self, term: Term, names: dict[str, int]) -> int:
        """The formula of a term; ``names`` holds those of the names. Raises :class:`Unfit`."""
        if term.depth > MAX_DEPTH:
            raise _too_deep()
        if term.is_name:
            return names[term.word]
        return self._apply(term.word, *[self.add(operand, names) for operand in term.operands])

    def _apply(self, word: str, a: int = 0, b: int = 0) -> int:
        make, negation = self._make, self.negation
        match word:
            case "not":
                return negation(a)
            case "always":
                return make("release", self.false, a)
            case "eventually":
                return make("until", self.true, a)
            case "imply":
                return make("or", negation(a), b)
            case "equivalent":
                return make("or", make("and", a, b), negation(make("or", a, b)))
        return make(word, a, b)

    def negation(self, formula: int) -> int:
        if formula not in self._negations:
            self._negations[formula] = self._negate(formula)
        return self._negations[formula]

    def _negate(self, formula: int) -> int:
        node = self.nodes[formula]
        if node.kind == "atom":
            return self._make("atom", node.a, not node.b)
        return self._make(_DUAL[node.kind], *map(self.negation, self.operands(node)))

    def obligations(self, formula: int) -> list[int]:
        """Formulas that are no ``and``, all of which together are this one."""
        node = self.nodes[formula]
        if node.kind != "and":
            return [] if formula == self.true else [formula]
        return [*self.obligations(node.a), *self.obligations(node.b)]
