"""Sums over an event's fields: ``dl_deadline + deadline_thresh``, ``-common_cpu``, ``pid``.

Names and decimal or ``0x`` numbers, joined by ``+`` and ``-``. What a name stands for (a
field, a parameter, something that each instance has) is for the reader of the sum to say.
"""

import re
from dataclasses import dataclass

from rvfs.errors import ModelError

_SIGN = re.compile(r"\s*([+-])\s*")
_TERM = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_]\w*(?:\[\d+\])?)|(?P<number>0[xX][0-9a-fA-F]+|\d+))\s*", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Sum:
    """``text`` as it was written; ``names`` maps each name to its factor (1 or -1, or more)."""

    text: str
    names: tuple[tuple[str, int], ...]
    constant: int = 0

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.names)


def parse_sum(text: str, *, file: str = "<sum>") -> Sum:
    """Read a sum. Raises :class:`ModelError` with the column and what was expected."""
    names: dict[str, int] = {}
    constant = place = 0
    while place < len(text) or not place:
        sign = _SIGN.match(text, place)
        if place and not sign:
            raise _fault(text, place, "'+' or '-'", file)
        place = sign.end() if sign else place
        term = _TERM.match(text, place)
        if term is None:
            raise _fault(text, place, "a name or a number", file)
        factor = -1 if sign and sign[1] == "-" else 1
        if term["name"]:
            names[term["name"]] = names.get(term["name"], 0) + factor
        else:
            constant += factor * int(term["number"], 16 if "x" in term["number"].lower() else 10)
        place = term.end()
    if not -(2**63) <= constant < 2**63:
        raise ModelError(f"the sum {text!r} does not fit in 64 bits", file=file)
    return Sum(text, tuple(names.items()), constant)


def _fault(text: str, place: int, expected: str, file: str) -> ModelError:
    found = repr(text[place]) if place < len(text) else "the end"
    return ModelError(
        f"cannot read the sum {text!r} at column {place + 1}: expected {expected}, found {found}",
        file=file,
    )
