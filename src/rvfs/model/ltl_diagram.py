"""Functions of a valuation as decision diagrams: reduced, ordered, each made once.

A diagram is a number; equal functions are equal numbers. It asks for one atom after the
other, in their order, and ends at a value, which is a tuple of integers. Nothing here
enumerates valuations: the work is in proportion to the diagrams (R. Bryant, 1986; with
more than two values: Clarke and others, 1993).

All work is counted, and what takes too much of it is given up: that bounds time and memory
alike, and the same on every machine.
"""

from collections.abc import Callable
from itertools import count

from rvfs.model.rule import Unfit

Value = tuple[int, ...]
#: Ends ask for no atom: their variable comes after all others.
END = 1 << 30


class Diagrams:
    """The store. ``steps`` is the work it may do: see :meth:`spend`."""

    def __init__(self, steps: int) -> None:
        self._granted = self._left = steps
        self._nodes: list[tuple[int, int, int]] = []
        self._values: dict[int, Value] = {}
        self._ends: dict[Value, int] = {}
        self._branches: dict[tuple[int, int, int], int] = {}
        self._made: dict[tuple[Callable[[Value, Value], Value], int, int], int] = {}

    def spend(self, steps: int) -> None:
        """Count some work. Raises :class:`Unfit` when it is more than is left."""
        self._left -= steps
        if self._left < 0:
            raise Unfit(
                f"too complex: its table takes more than {self._granted} steps to build; "
                "split it into several rules"
            )

    def end(self, value: Value) -> int:
        """The function that has this value everywhere."""
        if value not in self._ends:
            self.spend(1 + len(value) // 4)
            self._ends[value] = len(self._nodes)
            self._values[len(self._nodes)] = value
            self._nodes.append((END, 0, 0))
        return self._ends[value]

    def branch(self, variable: int, low: int, high: int) -> int:
        """``low`` where the atom does not hold, ``high`` where it does."""
        if low == high:
            return low
        node = variable, low, high
        if node not in self._branches:
            self._branches[node] = len(self._nodes)
            self._nodes.append(node)
        return self._branches[node]

    def combine(self, operation: Callable[[Value, Value], Value], f: int, g: int) -> int:
        """The function that has the value ``operation(f, g)`` for each valuation."""
        key = operation, f, g
        made = self._made.get(key)
        if made is None:
            self.spend(1)
            made = self._made[key] = self._combine(operation, f, g)
        return made

    def _combine(self, operation: Callable[[Value, Value], Value], f: int, g: int) -> int:
        variable = min(self._nodes[f][0], self._nodes[g][0])
        if variable == END:
            return self.end(operation(self._values[f], self._values[g]))
        (f0, f1), (g0, g1) = self._split(f, variable), self._split(g, variable)
        low = self.combine(operation, f0, g0)
        return self.branch(variable, low, self.combine(operation, f1, g1))

    def _split(self, f: int, variable: int) -> tuple[int, int]:
        at, low, high = self._nodes[f]
        return (low, high) if at == variable else (f, f)

    def mapping(self, operation: Callable[[Value], Value]) -> Callable[[int], int]:
        """A function from diagrams to diagrams that replaces each value."""
        made: dict[int, int] = {}

        def replaced(f: int) -> int:
            if f not in made:
                self.spend(1)
                made[f] = self._replace(operation, replaced, f)
            return made[f]

        return replaced

    def _replace(
        self, operation: Callable[[Value], Value], replaced: Callable[[int], int], f: int
    ) -> int:
        variable, low, high = self._nodes[f]
        if variable == END:
            return self.end(operation(self._values[f]))
        return self.branch(variable, replaced(low), replaced(high))

    def ends(self, f: int) -> list[int]:
        """Diagrams of the values that it has, in the order in which it comes to them."""
        seen = {f: None}
        todo = [f]
        while todo:
            node = todo.pop()
            self.spend(1)
            variable, low, high = self._nodes[node]
            new = [] if variable == END else [n for n in (high, low) if n not in seen]
            seen.update(dict.fromkeys(new))
            todo += new
        return [node for node in seen if self._nodes[node][0] == END]

    def values(self, f: int) -> list[Value]:
        return [self._values[end] for end in self.ends(f)]

    def by_bytes(self, f: int, depth: int) -> tuple[tuple[int, ...], list[Value]]:
        """A diagram that looks at a byte of the valuation at a time: its entries, its values.

        Node n has the entries from ``256 * n``: the next node, or behind the last byte the
        place of a value in the second list.
        """
        ends = self.ends(f)
        level = [f]
        entries: list[int] = []
        for byte in range(depth):
            rows = [self._entries(node, 8 * byte, 8 * byte + 8) for node in level]
            below = ends if byte + 1 == depth else list(dict.fromkeys(n for r in rows for n in r))
            first = 0 if byte + 1 == depth else len(entries) // 256 + len(level)
            number = dict(zip(below, count(first), strict=False))
            entries += [number[node] for row in rows for node in row]
            level = below
        return tuple(entries), [self._values[end] for end in ends]

    def _entries(self, node: int, variable: int, stop: int) -> list[int]:
        """Where it leads to for each value of the bits from ``variable`` to ``stop``."""
        self.spend(1)
        if variable == stop:
            return [node]
        low, high = self._split(node, variable)
        below = self._entries(low, variable + 1, stop), self._entries(high, variable + 1, stop)
        return [entry for pair in zip(*below, strict=True) for entry in pair]
