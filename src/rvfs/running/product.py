"""Several automata as one: their product, of which only that is made which is met.

A *row* of the product is a row of each automaton; a *letter* is what an event brings to an
instance, of each automaton any number of letters, in this order. A cell (row, letter) is made
when an event first comes to it, as lazy automata do in searching text: rows that nobody
reaches cost nothing, and however many automata there are, an event is one step.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rvfs.event import Ints
from rvfs.program import Rows
from rvfs.running.arrays import grown
from rvfs.select import Outcome

#: Rows that there is room for in the beginning; a power of two.
ROWS = 16
#: As :mod:`rvfs._stepper._step` has them.
UNKNOWN, REFUSED = -1, -(1 << 31)


class Substep(NamedTuple):
    """A letter of one automaton, the row it met there, the row after it (negative: refused)."""

    letter: int
    row: int
    after: int


class Product:
    """``tables`` are those of the automata (:func:`rvfs.program.table_of`, by row and letter).

    ``table`` has, for each cell, the index of the first cell of the next row (its *base*),
    with :data:`REFUSED` set where an automaton refuses, or :data:`UNKNOWN`; ``changed`` a bit for
    each automaton whose row is another one then; ``counts`` how often it was met. Row 0 is that
    of an instance that nobody monitors.
    """

    def __init__(self, tables: Sequence[Rows]) -> None:
        self._tables = tables
        self._idle = tuple(len(table) - 1 for table in tables)
        self._letters: dict[tuple[tuple[int, ...], ...], int] = {}
        self.letters: list[tuple[tuple[int, ...], ...]] = [tuple(() for _ in tables)]
        self._numbers: dict[tuple[int, ...], int] = {}
        self.rows: list[tuple[int, ...]] = []
        self.table = np.empty(0, dtype=np.int32)
        self.changed = np.empty(0, dtype=np.uint64)
        self.counts = np.empty(0, dtype=np.int64)

    # -- letters, all of which there are before the first row ---------------------------------

    def letter(self, outcome: Outcome, owners: Sequence[int]) -> int:
        """The number of what slots bring whose automata are ``owners``."""
        brought: list[list[int]] = [[] for _ in self._tables]
        for letter, owner in zip(outcome, owners, strict=True):
            if letter is not None:
                brought[owner].append(letter)
        key = tuple(map(tuple, brought))
        if key not in self._letters:
            self._letters[key] = len(self.letters)
            self.letters.append(key)
        return self._letters[key]

    @property
    def width(self) -> int:
        return len(self.letters)

    # -- rows ----------------------------------------------------------------------------------

    def base(self, row: tuple[int, ...]) -> int:
        """Where the cells of a row begin; it is made if it was not there."""
        number = self._numbers.get(row)
        if number is None:
            number = self._numbers[row] = len(self.rows)
            self.rows.append(row)
            if len(self.rows) * self.width > len(self.table):
                self._make_room()
            self.table[number * self.width] = number * self.width  # nothing: it stays
        return number * self.width

    def _make_room(self) -> None:
        count = max(ROWS * self.width, 2 * len(self.table))
        self.table = grown(self.table, count, UNKNOWN)
        self.changed = grown(self.changed, count, 0)
        self.counts = grown(self.counts, count, 0)

    @property
    def idle(self) -> tuple[int, ...]:
        return self._idle

    def make(self, cell: int) -> None:
        """Find out what follows a cell."""
        row, after, refused = self.rows[cell // self.width], [], False
        for owner in range(len(self._tables)):
            steps = list(self.steps(cell, owner))
            refused |= any(step.after < 0 for step in steps)
            after.append(self._left(owner, steps[-1].after) if steps else row[owner])
        base = self.base(tuple(after))
        self.table[cell] = base | REFUSED if refused else base
        bits = (1 << owner for owner in range(len(row)) if after[owner] != row[owner])
        self.changed[cell] = sum(bits)

    def steps(self, cell: int, owner: int) -> Iterator[Substep]:
        """What an automaton does at a cell, letter by letter."""
        number, letter = divmod(cell, self.width)
        row = self.rows[number][owner]
        for mine in self.letters[letter][owner]:
            after = int(self._tables[owner][row, mine])
            yield Substep(mine, row, after)
            row = self._left(owner, after)

    def _left(self, owner: int, after: int) -> int:
        """A violation leaves an instance unmonitored."""
        return self._idle[owner] if after < 0 else after

    def rows_of(self, owner: int) -> Rows:
        """The row of one automaton, by row of the product."""
        return np.array([row[owner] for row in self.rows], dtype=np.int16)

    def counts_of(self, owner: int) -> Ints:
        """How often each letter of an automaton met each of its rows."""
        counts = np.zeros(self._tables[owner].shape, dtype=np.int64)
        for cell in np.flatnonzero(self.counts).tolist():
            for step in self.steps(cell, owner):
                counts[step.row, step.letter] += self.counts[cell]
        return counts
