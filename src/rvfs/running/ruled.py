"""An LTL rule: atoms that are known of an instance, and the set of states it may be in."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rvfs._stepper import Twin
from rvfs.event import Ints, Transition
from rvfs.model.automaton import INVALID
from rvfs.model.rule import Rule
from rvfs.monitor import Action
from rvfs.program import Program, Rows
from rvfs.running.instances import ROOM, Found, Mask, Piece, Running, grown, small_ints
from rvfs.select import packed

#: What is told of each half of a letter: the row before, the row after, the valuation.
_SIDES = (np.int16, np.int16, np.int64)
_RULE_KINDS = {Action.SET: 0, Action.UPDATE: 1, Action.PULSE: 2}


class Ruled(Running):
    """An LTL rule."""

    def __init__(self, program: Program, twin: Twin) -> None:
        super().__init__(program, twin)
        rule = program.model
        assert isinstance(rule, Rule)
        self._rule = rule
        table = np.array(rule.table, dtype=np.int16).reshape(len(rule.states), len(rule.start))
        table[table == INVALID] = -1
        self.counts = np.zeros(table.size, dtype=np.int64)
        self.known: Ints = np.empty(0, dtype=np.int64)
        self.valuations: Ints = np.empty(0, dtype=np.int64)
        self._violations = np.empty(6 * ROOM, dtype=np.int64)
        self._first = self._first_atoms()
        self._stepper = self._make_stepper(np.ascontiguousarray(table).reshape(-1))
        self._grow(1)

    def _first_atoms(self) -> tuple[int, int]:
        """The atoms that are known of a new instance, and those that hold."""
        bits = {self._rule.atoms.index(n): v for n, v in self.program.monitor.init.items()}
        known = sum(1 << bit for bit in bits)
        return signed(known), signed(sum(1 << bit for bit, value in bits.items() if value))

    def _make_stepper(self, table: Rows) -> Any:
        rule, program, view = self._rule, self.program, self._twin.view
        letters = program.letters
        lengths = [len(letter.loads) for letter in letters]
        kinds = [3 if letter.action is None else _RULE_KINDS[letter.action] for letter in letters]
        return self._twin.Ruled(
            view(table), len(rule.start), program.idle,
            view(np.array(rule.start, dtype=np.int16)), rule.depth,
            view(np.array(rule.diagram or [0], dtype=np.int32)),
            signed((1 << len(rule.atoms)) - 1), *self._first, view(small_ints(kinds)),
            view(packed([[signed(letter.puts) for letter in letters]], 1)),
            view(packed([[signed(letter.holds) for letter in letters]], 1)),
            view(np.cumsum([0, *lengths], dtype=np.int64)), *self._selected(),
            view(self.counts), view(self._violations),
        )  # fmt: skip

    def _grow(self, count: int) -> None:
        super()._grow(count)
        self.known = grown(self.known, count, self._first[0])
        self.valuations = grown(self.valuations, count, self._first[1])
        arrays = (self.states, self.since, self.known, self.valuations)
        self._stepper.hold(*map(self._twin.view, arrays))

    def _stop(self, which: Any) -> None:
        super()._stop(which)
        self.known[which], self.valuations[which] = self._first

    def _blank(self) -> Mask:
        known, valuation = self._first
        untold = (self.known == known) & (self.valuations == valuation)
        return np.asarray(super()._blank() & untold)

    def _take(self, piece: Piece, steps: list[Transition]) -> Iterator[Found]:
        sides: tuple[Any, ...] = (None, None, None)
        if self.observed:
            sides = tuple(np.empty(2 * piece.letters, dtype=kind) for kind in _SIDES)
        seen = (None if side is None else self._twin.view(side) for side in sides)
        found = self._stepper.run(piece.letters, piece.times, *seen)
        if self.observed:
            steps += self._transitions(piece, *sides)
        for i, row, value in self._violations[: 3 * found].reshape(-1, 3).tolist():
            yield self._verdict(piece, i, self._rule.states[row], self._rule.atoms_text(value))

    def _transitions(
        self, piece: Piece, before: Rows, after: Rows, seen: Ints
    ) -> Iterator[Transition]:
        """Every validation, be it the one that the rule is violated by."""
        rule = self._rule
        for half in np.flatnonzero(before != self.program.idle).tolist():
            new = int(after[half])
            yield self._transition(
                piece, half // 2, rule.states[int(before[half])],
                rule.atoms_text(int(seen[half])), "" if new < 0 else rule.states[new], False,
            )  # fmt: skip


def signed(bits: int) -> int:
    """64 bits as a number with a sign."""
    return bits - (1 << 64) if bits >> 63 else bits
