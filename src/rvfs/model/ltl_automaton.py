"""LTL formula → Büchi automaton without dead ends, as decision diagrams.

1. A *Büchi state* is a set of obligations: formulas that must hold from the next step on.
   What a state demands of the step itself is a decision diagram over the valuation, which
   ends at the sets of obligations that may follow (J.-M. Couvreur, 1999). Of two that may
   follow, one of which asks for less, the other is dropped.
2. An until that is put off is marked, and a run is accepted that marks none of them for
   ever. States from which there is no such run are dropped (by strongly connected
   components: R. Tarjan, 1972). The kernel's generator leaves out this step.
3. States that allow the same future become one.

Sets of obligations are integers: bit 2k is the obligation k, bit 2k + 1 says that k is an
until that was put off in this step.
"""

from collections.abc import Iterable, Mapping
from functools import reduce

from rvfs.model.ltl_diagram import Choice, Diagrams, Replacement, Value
from rvfs.model.ltl_formula import Formulas

#: (next state, obligations and marks) of all that may follow a state.
Edges = list[tuple[int, int]]


class Sets:
    """What is done with the ends of diagrams: alternatives, each a set of obligations."""

    def __init__(self, diagrams: Diagrams) -> None:
        self._spend = diagrams.spend

    def least(self, sets: Iterable[int]) -> Value:
        """Those of the sets that include no other."""
        kept: list[int] = []
        for new in sorted(set(sets)):  # a subset is the smaller number
            self._spend(1 + len(kept) // 16)
            if not any(old & new == old for old in kept):
                kept.append(new)
        return tuple(kept)

    def either(self, some: Value, others: Value) -> Value:
        return self.least(some + others)

    def both(self, some: Value, others: Value) -> Value:
        self._spend(len(some) * len(others) // 16)
        return self.least(a | b for a in some for b in others)


class Tableau:
    """Büchi states, and what may follow each of them."""

    def __init__(self, formulas: Formulas, diagrams: Diagrams) -> None:
        self._formulas, self.diagrams = formulas, diagrams
        self._bits: dict[int, int] = {}
        self._demanded: list[int] = []
        self._implied: list[tuple[int, int]] = []
        self._expansions: dict[int, int] = {}
        sets = Sets(diagrams)
        self.least = sets.least
        self.no, self.yes = diagrams.end(()), diagrams.end((0,))
        self.either = Choice(sets.either, neutral=self.no, zero=self.yes)
        self.both = Choice(sets.both, neutral=self.yes, zero=self.no)

    def obligations(self, formula: int) -> int:
        """The set of what must hold so that this formula does."""
        return reduce(int.__or__, map(self._bit, self._formulas.obligations(formula)), 0)

    def _bit(self, formula: int) -> int:
        if formula not in self._bits:
            self._bits[formula] = 1 << 2 * len(self._demanded)
            self._demanded.append(formula)
            self._note_implied(formula)
        return self._bits[formula]

    def _note_implied(self, formula: int) -> None:
        """Who must release g must do g now: as an obligation of its own, g adds nothing."""
        kind, _, g = self._formulas.nodes[formula]
        if kind == "release":
            implied = self.obligations(g)
            more = (mask for bit, mask in self._implied if bit & implied)
            self._implied.append((self._bits[formula], reduce(int.__or__, more, implied)))

    def state(self, bits: int) -> int:
        """Obligations without marks, and without those that others imply."""
        state = bits & self._unmarked
        for release, implied in self._implied:
            if state & release:
                state &= ~implied
        return state

    @property
    def _unmarked(self) -> int:
        return (1 << 2 * len(self._demanded)) // 3

    def follow(self, state: int) -> int:
        """What may follow a state: a diagram that ends at sets of obligations and marks."""
        result = self.yes
        for k, formula in enumerate(self._demanded[: state.bit_length() // 2 + 1]):
            if state >> 2 * k & 1:
                result = self.diagrams.combine(self.both, result, self._expand(formula))
        return result

    def _expand(self, formula: int) -> int:
        if formula not in self._expansions:
            self._expansions[formula] = self._expansion(formula)
        return self._expansions[formula]

    def _expansion(self, formula: int) -> int:
        kind, a, b = self._formulas.nodes[formula]
        combine, expand, end = self.diagrams.combine, self._expand, self.diagrams.end
        match kind:
            case "true" | "false":
                return self.yes if kind == "true" else self.no
            case "atom":
                return self.diagrams.branch(a, *((self.no, self.yes) if b else (self.yes, self.no)))
            case "and":
                return combine(self.both, expand(a), expand(b))
            case "or":
                return combine(self.either, expand(a), expand(b))
            case "next":
                return end((self.obligations(a),))
            case "until":
                later = end((self._bit(formula) * 3,))
                return combine(self.either, expand(b), combine(self.both, expand(a), later))
        later = end((self._bit(formula),))  # release
        return combine(self.both, expand(b), combine(self.either, expand(a), later))

    def live(self, initial: int) -> dict[int, int]:
        """State → diagram of the states that may follow, all of them with an accepted run."""
        moves, edges = self._reach(initial)
        alive = self._alive(edges)

        def prune(value: Value) -> Value:
            return self.least(s for s in map(self.state, value) if s in alive)

        pruned = Replacement(self.diagrams, prune)
        return {state: pruned(move) for state, move in moves.items() if state in alive}

    def _reach(self, initial: int) -> tuple[dict[int, int], Mapping[int, Edges]]:
        moves: dict[int, int] = {}
        edges: dict[int, Edges] = {}
        todo = [initial]
        while todo:
            state = todo.pop()
            if state not in moves:
                moves[state] = self.follow(state)
                edges[state] = self._edges(moves[state])
                todo += (target for target, _ in edges[state])
        return moves, edges

    def _edges(self, move: int) -> Edges:
        bits = dict.fromkeys(bits for value in self.diagrams.values(move) for bits in value)
        return [(self.state(b), b) for b in bits]

    def _alive(self, edges: Mapping[int, Edges]) -> set[int]:
        """The states with an accepted run: they come to a component that marks nothing always."""
        alive: set[int] = set()
        for component in components({s: [t for t, _ in edges[s]] for s in edges}):
            members = set(component)
            leaving = [edge for state in component for edge in edges[state]]
            self.diagrams.spend(len(leaving))
            inside = [bits & ~self._unmarked for target, bits in leaving if target in members]
            accepts = inside and not reduce(int.__and__, inside)
            if accepts or any(target in alive for target, _ in leaving):
                alive |= members
        return alive


def components(graph: Mapping[int, list[int]]) -> Iterable[list[int]]:
    """Strongly connected components, each after those that it leads to."""
    order: dict[int, int] = {}
    lowest: dict[int, int] = {}
    open_nodes: list[int] = []
    for root in graph:
        path = [(root, iter(graph[root]))] if root not in order else []
        while path:
            node, rest = path[-1]
            if node not in order:
                order[node] = lowest[node] = len(order)
                open_nodes.append(node)
            target = next(rest, None)
            if target is None:
                path.pop()
                if path:
                    above = path[-1][0]
                    lowest[above] = min(lowest[above], lowest[node])
                if lowest[node] == order[node]:
                    cut = open_nodes.index(node)
                    yield open_nodes[cut:]
                    lowest.update(dict.fromkeys(open_nodes[cut:], len(graph)))
                    del open_nodes[cut:]
            elif target not in order:
                path.append((target, iter(graph[target])))
            else:
                lowest[node] = min(lowest[node], lowest[target])


def coarsest(diagrams: Diagrams, functions: Mapping[int, int]) -> dict[int, int]:
    """Each key → the first that allows the same future.

    ``functions[key]`` is a diagram that ends at the keys that may follow; what ends at none
    is a violation. (Partition refinement: P. Kanellakis, S. Smolka, 1983.)
    """
    blocks = dict.fromkeys(functions, next(iter(functions)))
    while (finer := _refined(diagrams, functions, blocks)) != blocks:
        blocks = finer
    return blocks


def _refined(
    diagrams: Diagrams, functions: Mapping[int, int], blocks: Mapping[int, int]
) -> dict[int, int]:
    known = Replacement(diagrams, lambda value: tuple(sorted({blocks[key] for key in value})))
    first: dict[int, int] = {}
    return {key: first.setdefault(known(f), key) for key, f in functions.items()}
