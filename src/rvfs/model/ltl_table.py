"""LTL formula → deterministic table: the machine behind a rule.

A row is a set of Büchi states, all those that the automaton may be in. Rows are built from
the initial state on; of several that allow the same future the first is kept. Since a
Büchi state without an accepted run was dropped, the set is empty, and the step a violation,
at the very step at which the trace became a *bad prefix*: no infinite continuation of it
satisfies the formula. That holds for every formula. Where some continuation does, there is
a row, however long it took: ``eventually P`` alone never fails.

Classes are the ends of one diagram that is all rows side by side.
"""

import operator
from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple

from rvfs.model.automaton import INVALID
from rvfs.model.ltl_automaton import Tableau, coarsest
from rvfs.model.ltl_diagram import Diagrams, Operation, Replacement, Value
from rvfs.model.ltl_formula import Formulas
from rvfs.model.rule import Unfit


class Table(NamedTuple):
    """The fields of a rule (:class:`rvfs.model.rule.Rule`) that the formula decides."""

    states: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    start: tuple[int, ...]
    depth: int
    diagram: tuple[int, ...]


def build(formulas: Formulas, rule: int, atoms: int, *, steps: int) -> Table:
    """The table of a formula over so many atoms.

    Raises :class:`Unfit` where it takes more than ``steps``, and where nothing satisfies the
    formula: no instance would ever start.
    """
    diagrams = Diagrams(steps)
    tableau = Tableau(formulas, diagrams)
    initial = tableau.state(tableau.obligations(rule))
    moves = tableau.live(initial)
    if initial not in moves:
        raise Unfit("nothing satisfies it: it contradicts itself")
    start, rows = _rows(tableau, initial, _merged(tableau, moves))
    functions, kept = _distinct(diagrams, start, rows)
    depth = -(-atoms // 8)
    diagram, classes = diagrams.by_bytes(_side_by_side(diagrams, functions), depth)
    first, *columns = zip(*classes, strict=True)
    return Table(_numbered(kept), tuple(columns), first, depth, diagram)


def _merged(tableau: Tableau, moves: dict[int, int]) -> dict[int, int]:
    """The same with one state instead of several that allow the same future."""
    ordered = {state: moves[state] for state in sorted(moves)}
    same = coarsest(tableau.diagrams, ordered)
    merge = Replacement(tableau.diagrams, lambda value: tableau.least(same[s] for s in value))
    return {state: merge(move) for state, move in moves.items()}


def _rows(tableau: Tableau, initial: int, moves: dict[int, int]) -> tuple[int, dict[Value, int]]:
    """The diagram in which an instance starts, and each row with its own."""
    start = moves[initial]
    rows: dict[Value, int] = {}
    todo = [start]
    for move in todo:
        for row in tableau.diagrams.values(move):
            if row and row not in rows:
                rows[row] = _follow(tableau, [moves[state] for state in row])
                todo.append(rows[row])
    return start, rows


def _follow(tableau: Tableau, moves: list[int]) -> int:
    return reduce(lambda f, g: tableau.diagrams.combine(tableau.either, f, g), moves)


def _distinct(
    diagrams: Diagrams, start: int, rows: dict[Value, int]
) -> tuple[list[int], list[Value]]:
    """Diagrams of the start and of each row that is kept, which end at (next row,); the rows."""
    number = {row: i for i, row in enumerate(rows)}
    plain = Replacement(diagrams, lambda row: (number[row],) if row else ())
    same = coarsest(diagrams, {number[row]: plain(move) for row, move in rows.items()})
    kept = [row for row, i in number.items() if same[i] == i]
    place = {number[row]: i for i, row in enumerate(kept)}
    final = Replacement(diagrams, lambda row: (place[same[number[row]]] if row else INVALID,))
    return [final(start), *(final(rows[row]) for row in kept)], kept


def _side_by_side(diagrams: Diagrams, functions: list[int]) -> int:
    """One diagram that ends at what all of them end at, one after the other."""
    join = Operation(operator.add)
    while len(functions) > 1:
        pairs = zip(functions[::2], functions[1::2], strict=False)
        odd = functions[len(functions) & ~1 :]
        functions = [diagrams.combine(join, f, g) for f, g in pairs] + odd
    return functions[0]


def _numbered(rows: list[Value]) -> tuple[str, ...]:
    """The rows as text; Büchi states are numbered as they come up."""
    number: dict[int, int] = {}
    for row in rows:
        for state in row:
            number.setdefault(state, len(number))
    return tuple(bit_list(sorted(number[state] for state in row)) for row in rows)


def bit_list(bits: list[int]) -> str:
    """``[0, 2, 3]`` → ``0,2-3``, as the kernel prints a set of bits."""
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in _ranges(bits))


def _ranges(bits: list[int]) -> Iterator[tuple[int, int]]:
    starts = [bit for bit in bits if bit - 1 not in bits]
    ends = [bit for bit in bits if bit + 1 not in bits]
    return zip(starts, ends, strict=True)
