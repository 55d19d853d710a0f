"""An LTL rule made a monitor: a table from rows and classes of valuations to rows.

A *valuation* is an integer: bit i says whether atom i holds. Valuations that no row tells
apart are one *class*, and a *row* is the set of Büchi states that an instance may be in. So
a step is two look-ups, ``class = rule.classify(valuation)`` and ``rule.table[row][class]``,
however many atoms there are.
"""

from dataclasses import dataclass
from os.path import commonprefix

#: A valuation is one machine word. The kernel takes 32 (include/linux/rv.h).
MAX_ATOMS = 64
#: Words that the kernel's generator leaves out of an abbreviation.
_LEFT_OUT = ("is", "by", "or", "and")


class Unfit(Exception):
    """A specification cannot be made a table; the message says why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An LTL rule made a monitor: rows are sets of automaton states, columns classes of valuations.

    =================  ===================================================================
    ``text``           canonical text of the specification; it re-parses to the same rule
    ``atoms``          sorted; atom i is bit i of a valuation; at most :data:`MAX_ATOMS`
    ``abbreviations``  of the atoms, as the kernel's generator shortens them
    ``states``         row → its set of Büchi states as bit lists are printed: ``0,2-3``
    ``table``          ``table[row][class]``: the next row, or :data:`INVALID`: a violation
    ``start``          ``start[class]``: the row in which an instance starts, or
                       :data:`INVALID`: it cannot start now
    ``depth``          bytes of the valuation that are looked at: ``ceil(len(atoms) / 8)``
    ``diagram``        byte-wise decision diagram: node n has the entries
                       ``diagram[256 * n : 256 * n + 256]``, one for each value of a byte:
                       the next node, or behind the last byte the class
    =================  ===================================================================

    ``INVALID`` is that of :mod:`rvfs.model.automaton`.
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
        """The class of a valuation: the column of the table."""
        node = 0
        for byte in range(self.depth):
            node = self.diagram[256 * node + (valuation >> 8 * byte & 255)]
        return node

    def atoms_text(self, valuation: int) -> str:
        """Abbreviations of the atoms that hold, joined by commas."""
        short = (name for i, name in enumerate(self.abbreviations) if valuation >> i & 1)
        return ",".join(short)


def abbreviate(atoms: tuple[str, ...]) -> tuple[str, ...]:
    """The atoms as the kernel's generator shortens them: ``FUTEX_LOCK_PI`` → ``fu_lo_pi``.

    The longest beginning that an atom shares with another is shortened by itself. Where
    nothing would be left, or the same of two atoms, the whole name stands.
    """
    short = [_abbreviate(atom, [a for a in atoms if a != atom]) for atom in atoms]
    good = {name for name in short if name and short.count(name) == 1}
    return tuple(s if s in good else atom for s, atom in zip(short, atoms, strict=True))


def _abbreviate(atom: str, others: list[str]) -> str:
    beginnings = (commonprefix([atom, other]) for other in others)  # noqa: RUF071 - no paths
    shared = max(map(len, beginnings), default=0)
    return _shorten(atom[:shared]) + _shorten(atom[shared:])


def _shorten(name: str) -> str:
    return "_".join(word[:2] for word in name.lower().split("_") if word not in _LEFT_OUT)
