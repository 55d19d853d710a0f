"""LTL decided naively, for the tests: by the meaning of words, not by any monitor.

A formula is a tuple: ``("always", f)``, ``("until", f, g)``, …, ``("A",)`` for an atom. A
*moment* fixes the truth of every atom and of what every temporal formula needs of the
next moment, and so of every formula. Enumerating all moments and all pairs of them decides
satisfiability (O. Lichtenstein, A. Pnueli, 1985).
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Formula = tuple[Any, ...]
Moment = int
Valuation = frozenset[str]

BINARY = {"and", "or", "imply", "equivalent", "until"}
FIXPOINTS = {"always", "eventually", "until"}


def text(f: Formula) -> str:
    """With all parentheses, so that it reads the same in every dialect."""
    word, *operands = f
    parts = [text(g) for g in operands]
    if not parts:
        return str(word)
    return f"({word} {parts[0]})" if len(parts) == 1 else f"({parts[0]} {word} {parts[1]})"


def subformulas(f: Formula) -> list[Formula]:
    """Each once, after its operands."""
    below = [g for operand in f[1:] for g in subformulas(operand)]
    return list(dict.fromkeys([*below, f]))


def holds_now(f: Formula, truth: Mapping[Formula, bool], later: Mapping[Formula, bool]) -> bool:
    """The truth of a formula from that of its operands, and what the next moment is to bring."""
    word, *operands = f
    values: list[bool] = [truth[g] for g in operands]
    match word, values:
        case "not", [a]:
            return not a
        case "and", [a, b]:
            return a and b
        case "or", [a, b]:
            return a or b
        case "imply", [a, b]:
            return b or not a
        case "equivalent", [a, b]:
            return a == b
        case "next", [_]:
            return later[f]
        case "always", [a]:
            return a and later[f]
        case "eventually", [a]:
            return a or later[f]
        case "until", [a, b]:
            return b or (a and later[f])
    return {"true": True, "false": False}.get(str(word), truth.get(f, False))


class Oracle:
    """All moments of a formula, which of them follow which, and which have a future."""

    def __init__(self, formula: Formula) -> None:
        self.formula = formula
        parts = subformulas(formula)
        self.atoms = [f for f in parts if str(f[0]).isupper()]
        temporal = [f for f in parts if f[0] in FIXPOINTS or f[0] == "next"]
        self.truths: list[dict[Formula, bool]] = []
        promises = []
        for bits in itertools.product((False, True), repeat=len(self.atoms) + len(temporal)):
            truth = dict(zip(self.atoms, bits, strict=False))
            later = dict(zip(temporal, bits[len(self.atoms) :], strict=True))
            for f in parts:
                truth[f] = holds_now(f, truth, later)
            self.truths.append(truth)
            promises.append(tuple(later[f] for f in temporal))
        due = [f[1] if f[0] == "next" else f for f in temporal]
        kept: dict[tuple[bool, ...], set[Moment]] = {}
        for moment, truth in enumerate(self.truths):
            kept.setdefault(tuple(truth[f] for f in due), set()).add(moment)
        self.next = [kept.get(promise, set()) for promise in promises]
        self.fair = self._fair([f for f in temporal if f[0] != "next"])

    def _fair(self, fixpoints: Iterable[Formula]) -> set[Moment]:
        """Moments with an infinite run in which what was promised comes (Emerson and Lei)."""
        goals = [self._settled(f) for f in fixpoints] or [set(range(len(self.truths)))]
        alive = set(range(len(self.truths)))
        while True:
            before = alive
            for goal in goals:
                alive = {m for m in alive if self.next[m] & self._reaching(goal & alive, alive)}
            if alive == before:
                return alive

    def _settled(self, f: Formula) -> set[Moment]:
        """Moments in which nothing is still owed to an until, or to the negation of an always."""
        owed = f[0] != "always"
        end = f[-1]
        return {m for m, t in enumerate(self.truths) if t[f] != owed or t[end] == owed}

    def _reaching(self, goal: set[Moment], within: set[Moment]) -> set[Moment]:
        reached = goal
        while more := {m for m in within - reached if self.next[m] & reached}:
            reached = reached | more
        return reached

    def violation(self, trace: Sequence[Valuation]) -> int | None:
        """Length of the shortest bad prefix, less one; None where the trace has none."""
        possible = {m for m in self.fair if self.truths[m][self.formula]}
        for step, valuation in enumerate(trace):
            possible = {m for m in possible if self._shows(m, valuation)}
            if not possible:
                return step
            possible = self.fair & set().union(*(self.next[m] for m in possible))
        return None

    def _shows(self, moment: Moment, valuation: Valuation) -> bool:
        return all(self.truths[moment][atom] == (atom[0] in valuation) for atom in self.atoms)

    @property
    def satisfiable(self) -> bool:
        return any(self.truths[m][self.formula] for m in self.fair)


def holds(f: Formula, stem: Sequence[Valuation], loop: Sequence[Valuation]) -> bool:
    """Whether the word ``stem loop loop loop …`` satisfies a formula: by its definition."""
    word = [*stem, *loop]
    following = [*range(1, len(word)), len(stem)]
    truth: dict[Formula, list[bool]] = {}
    for g in subformulas(f):
        truth[g] = [g[0] == "always" or g[0] in v for v in word]
        for _ in word:  # an until looks at most once around the word
            truth[g] = [
                holds_now(
                    g,
                    {h: truth[h][i] for h in (g, *g[1:])},
                    {g: truth[g[1] if g[0] == "next" else g][following[i]]},
                )
                for i in range(len(word))
            ]
    return truth[f][0]
