"""Sums over an event's fields: ``dl_deadline + deadline_thresh``, ``-common_cpu``, ``pid``.

Names and decimal or ``0x`` numbers, joined by ``+`` and ``-``. What a name stands for (a
field, a parameter, something that each instance has) is for the reader of the sum to say.
"""

import re
from dataclasses import dataclass

from rvfs.errors import ModelError

_TERM = re.compile(
    r"\s*(?P<sign>[+-])?\s*(?:(?P<name>[A-Za-z_]\w*(?:\[\d+\])?)|(?P<number>0[xX][0-9a-fA-F]+|\d+))"
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
    while place < len(text.rstrip()) or not place:
        match = _TERM.match(text, place)
        if match is None or (place and not match["sign"]):
            wanted = "a name or a number" if match is None else "'+' or '-'"
            raise ModelError(
                f"cannot read the sum {text!r} at column {place + 1}: expected {wanted}", file=file
            )
        factor = -1 if match["sign"] == "-" else 1
        if match["name"]:
            names[match["name"]] = names.get(match["name"], 0) + factor
        else:
            constant += factor * int(match["number"], 0 if "x" in match["number"].lower() else 10)
        place = match.end()
    return Sum(text, tuple(names.items()), constant)
