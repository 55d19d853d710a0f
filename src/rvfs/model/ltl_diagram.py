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


class Operation:
    """What is done with the values of two functions, and what came of it before."""

    def __init__(self, apply: Callable[[Value, Value], Value]) -> None:
        self.apply = apply
        self.made: dict[tuple[int, int], int] = {}

    def known(self, f: int, g: int) -> int | None:
        return self.made.get((f, g))


class Choice(Operation):
    """As "and" and "or" are: ``neutral`` changes nothing, ``zero`` leaves nothing else."""

    def __init__(self, apply: Callable[[Value, Value], Value], neutral: int, zero: int) -> None:
        super().__init__(apply)
        self._neutral, self._zero = neutral, zero

    def known(self, f: int, g: int) -> int | None:
        if f in (g, self._zero) or g == self._neutral:
            return f
        if g == self._zero or f == self._neutral:
            return g
        return self.made.get((f, g))


class Diagrams:
    """The store. ``steps`` is the work it may do: see :meth:`spend`."""

    def __init__(self, steps: int) -> None:
        self._granted = self._left = steps
        self.nodes: list[tuple[int, int, int]] = []
        self._values: list[Value] = []
        self._ends: dict[Value, int] = {}
        self._branches: dict[tuple[int, int, int], int] = {}

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
            self._ends[value] = len(self.nodes)
            self.nodes.append((END, len(self._values), 0))
            self._values.append(value)
        return self._ends[value]

    def branch(self, variable: int, low: int, high: int) -> int:
        """``low`` where the atom does not hold, ``high`` where it does."""
        if low == high:
            return low
        node = variable, low, high
        if node not in self._branches:
            self._branches[node] = len(self.nodes)
            self.nodes.append(node)
        return self._branches[node]

    def combine(self, operation: Operation, f: int, g: int) -> int:
        """The function that has the value ``operation.apply(f, g)`` for each valuation."""
        made = operation.known(f, g)
        if made is None:
            self.spend(1)
            made = operation.made[f, g] = self._combine(operation, f, g)
        return made

    def _combine(self, operation: Operation, f: int, g: int) -> int:
        variable = min(self.nodes[f][0], self.nodes[g][0])
        if variable == END:
            return self.end(operation.apply(self.value(f), self.value(g)))
        (f0, f1), (g0, g1) = self._split(f, variable), self._split(g, variable)
        low = self.combine(operation, f0, g0)
        return self.branch(variable, low, self.combine(operation, f1, g1))

    def _split(self, f: int, variable: int) -> tuple[int, int]:
        at, low, high = self.nodes[f]
        return (low, high) if at == variable else (f, f)

    def ends(self, f: int) -> list[int]:
        """Diagrams of the values that it has, in the order in which it comes to them."""
        seen = {f: None}
        todo = [f]
        while todo:
            node = todo.pop()
            self.spend(1)
            variable, low, high = self.nodes[node]
            new = [] if variable == END else [n for n in (high, low) if n not in seen]
            seen.update(dict.fromkeys(new))
            todo += new
        return [node for node in seen if self.nodes[node][0] == END]

    def value(self, end: int) -> Value:
        return self._values[self.nodes[end][1]]

    def values(self, f: int) -> list[Value]:
        return [self.value(end) for end in self.ends(f)]

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
        return tuple(entries), [self.value(end) for end in ends]

    def _entries(self, node: int, variable: int, stop: int) -> list[int]:
        """Where it leads to for each value of the bits from ``variable`` to ``stop``."""
        self.spend(1)
        if variable == stop:
            return [node]
        low, high = self._split(node, variable)
        below = self._entries(low, variable + 1, stop), self._entries(high, variable + 1, stop)
        return [entry for pair in zip(*below, strict=True) for entry in pair]


class Replacement:
    """A function from diagrams to diagrams that replaces each value."""

    def __init__(self, diagrams: Diagrams, apply: Callable[[Value], Value]) -> None:
        self._diagrams, self._apply = diagrams, apply
        self._made: dict[int, int] = {}

    def __call__(self, f: int) -> int:
        made = self._made.get(f)
        if made is None:
            self._diagrams.spend(1)
            made = self._made[f] = self._replace(f)
        return made

    def _replace(self, f: int) -> int:
        variable, low, high = self._diagrams.nodes[f]
        if variable == END:
            return self._diagrams.end(self._apply(self._diagrams.value(f)))
        return self._diagrams.branch(variable, self(low), self(high))
