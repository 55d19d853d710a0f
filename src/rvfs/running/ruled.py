"""An LTL rule: atoms that are known of an instance, and the set of states it may be in."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rvfs.columns import Atoms
from rvfs.event import Ints, Transition
from rvfs.model.automaton import INVALID
from rvfs.model.rule import Rule
from rvfs.monitor import Action
from rvfs.program import Letter, Program, Rows
from rvfs.running.arrays import Found, Manner, Mask, grown, small_ints
from rvfs.running.instances import Alone, Judged, Running
from rvfs.running.letters import RING, ROOM, Piece
from rvfs.select import packed

#: What is told of each half of a letter: the row before, the row after, the valuation.
_SIDES = (np.int16, np.int16, np.int64)
_RULE_KINDS = {Action.SET: 0, Action.UPDATE: 1, Action.PULSE: 2}


class Ruled(Alone):
    """An LTL rule."""

    def __init__(self, program: Program, manner: Manner) -> None:
        super().__init__(program, manner)
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
            view(np.cumsum([0, *lengths], dtype=np.int64)),
            *self.ring.views, view(self.counts), view(self._violations),
            self.watched,
        )  # fmt: skip

    def _grow(self, count: int) -> None:
        self.states = grown(self.states, count, self.blank)
        self._since = grown(self._since, count, 0)
        self.known = grown(self.known, count, self._first[0])
        self.valuations = grown(self.valuations, count, self._first[1])
        arrays = (self.states, self._since, self.known, self.valuations)
        self._stepper.hold(*map(self._twin.view, arrays))

    def _stop(self, which: Any) -> None:
        super()._stop(which)
        self.known[which], self.valuations[which] = self._first

    def _unknown(self) -> Mask:
        known, valuation = self._first
        untold = (self.known == known) & (self.valuations == valuation)
        return np.asarray(super()._unknown() & untold)

    def _take(self, piece: Piece, steps: list[Transition]) -> list[Found]:
        return self.remember(self._taken(piece, steps))

    def _taken(self, piece: Piece, steps: list[Transition]) -> Iterator[Judged]:
        sides: tuple[Any, ...] = (None, None, None)
        if self.observed:
            sides = tuple(np.empty(2 * RING, dtype=kind) for kind in _SIDES)
        seen = (None if side is None else self._twin.view(side) for side in sides)
        found = self._stepper.run(piece.first, piece.last, piece.begin, piece.times, *seen)
        if self.observed:
            steps += self._transitions(piece, *sides)
        for i, row, value in self._violations[: 3 * found].reshape(-1, 3).tolist():
            yield self.judged(piece, i, self.letter(i), row, self._rule.atoms_text(value))

    def _transitions(
        self, piece: Piece, before: Rows, after: Rows, seen: Ints
    ) -> Iterator[Transition]:
        """Every validation, be it the one that the rule is violated by."""
        rule = self._rule
        mine = before[2 * piece.first : 2 * piece.last]
        for half in (np.flatnonzero(mine != self.program.idle) + 2 * piece.first).tolist():
            new = int(after[half])
            yield self._transition(
                piece, half // 2, self.letter(half // 2), rule.states[int(before[half])],
                rule.atoms_text(int(seen[half])), "" if new < 0 else rule.states[new], False,
            )  # fmt: skip

    def state(self, row: int) -> str:
        return self._rule.states[row]

    # -- seeing inside ---------------------------------------------------------------------

    def _event_text(self, letter: Letter) -> str:
        """``SLEEP,!RT``: the atoms that it tells; those that depend on the event have a ``?``."""
        if letter.action is None:
            return letter.entry.value
        asked = {bit for origin in letter.loads if isinstance(origin, Atoms)
                 for bit, _ in origin.conditions}  # fmt: skip
        return ",".join(
            f"{atom}?" if bit in asked else atom if letter.holds >> bit & 1 else f"!{atom}"
            for bit, atom in enumerate(self._rule.atoms)
            if letter.puts >> bit & 1
        )

    def _events(self) -> int:
        return int(self.counts.sum())

    def _resets(self) -> int:
        return int(self._stepper.resets)

    def coverage(self) -> Iterator[tuple[str, str, str, int]]:
        rule = self._rule
        classes = [rule.atoms_text(value) for value in examples(rule)]
        counts = self.counts.reshape(len(rule.states), -1).tolist()
        for row, targets in enumerate(rule.table):
            for name, target, count in zip(classes, targets, counts[row], strict=True):
                if target != INVALID:
                    yield rule.states[row], name, rule.states[target], count

    def _rows_for(self, old: Running) -> Rows:
        """What a set of states means is for its own text to say: of another rule, an instance
        keeps its atoms, and starts anew."""
        if isinstance(old, Ruled) and old._rule.text == self._rule.text:
            return np.arange(old.program.idle, dtype=np.int16)
        return np.full(old.program.idle, self.program.idle, dtype=np.int16)

    def _adopt(self, old: Running, rows: Rows) -> None:
        super()._adopt(old, rows)
        if not isinstance(old, Ruled):
            return
        count, atoms = len(old.states), old._rule.atoms
        for bit, atom in enumerate(self._rule.atoms):
            if atom in atoms:
                place = atoms.index(atom)
                for mine, theirs in ((self.known, old.known), (self.valuations, old.valuations)):
                    told = theirs.view(np.uint64) >> np.uint64(place) & np.uint64(1)
                    bits = mine[:count].view(np.uint64)
                    bits &= np.uint64(~(1 << bit) & (1 << 64) - 1)
                    bits |= told << np.uint64(bit)


def examples(rule: Rule) -> list[int]:
    """For each class the valuation with the fewest atoms that is of it."""
    fewest = {0: 0}
    for byte in range(rule.depth):
        further: dict[int, int] = {}
        for node, valuation in fewest.items():
            for value in range(256):
                target, found = rule.diagram[256 * node + value], valuation | value << 8 * byte
                if target not in further or found.bit_count() < further[target].bit_count():
                    further[target] = found
        fewest = further
    return [fewest.get(one, 0) for one in range(len(rule.start))]


def signed(bits: int) -> int:
    """64 bits as a number with a sign."""
    return bits - (1 << 64) if bits >> 63 else bits
