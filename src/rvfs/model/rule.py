"""An LTL rule made a monitor: sets of states, and classes of valuations that lead on.

Rows are sets of states of the rule's automaton, columns are classes of valuations of its
atoms. The class of a valuation is found byte by byte in a decision diagram, so that a step
costs eight loads at most, whatever the number of atoms.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """``table[row][class]`` is the next row, or ``INVALID`` for a violation.

    ``text`` is the specification in its canonical form. Atom ``i`` of ``atoms`` (sorted, 64 at
    most) is bit ``i`` of a valuation; ``abbreviations`` are their names in traces. ``states``
    are the rows' names, the bit list of each set (``0,2-3``). ``start[class]`` is the row in which
    an instance starts, or ``INVALID`` where it cannot yet. ``depth`` is how many bytes of a
    valuation count; node ``n`` of ``diagram`` has the entries ``256 * n`` to ``256 * n + 255``.
    """

    name: str
    text: str
    atoms: tuple[str, ...]
    abbreviations: tuple[str, ...]
    states: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    start: tuple[int, ...]
    depth: int
    diagram: tuple[int, ...]

    def classify(self, valuation: int) -> int:
        """The class of a valuation."""
        node = 0
        for byte in range(self.depth):
            node = self.diagram[256 * node + (valuation >> 8 * byte & 255)]
        return node

    def atoms_text(self, valuation: int) -> str:
        """The abbreviations of the atoms that hold, joined by commas."""
        held = (a for i, a in enumerate(self.abbreviations) if valuation >> i & 1)
        return ",".join(held)
