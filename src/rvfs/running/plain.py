"""An automaton without clocks, and what hybrid ones share with it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rvfs._stepper import Twin
from rvfs.event import Ints, Transition
from rvfs.model.automaton import INVALID, Automaton
from rvfs.monitor import Entry
from rvfs.program import Letter, Program, Rows, table_of
from rvfs.running.instances import Judged, Running
from rvfs.running.letters import RING, ROOM, Piece


class Plain(Running):
    """An automaton without clocks."""

    def __init__(self, program: Program, twin: Twin) -> None:
        super().__init__(program, twin)
        model = program.model
        assert isinstance(model, Automaton)
        self._model, self._width = model, len(program.letters)
        self._table = table_of(model, program.letters)
        self.counts = np.zeros(len(self._table), dtype=np.int64)
        self._violations = np.empty(2 * ROOM, dtype=np.int64)
        self._stepper = self._make_stepper()
        self._grow(1)

    def _make_stepper(self) -> Any:
        view = self._twin.view
        return self._twin.Stepper(
            view(self._table), self._width, self.program.idle, self.program.selection.width,
            *self._ring.views[:2], view(self.counts), view(self._violations),
        )  # fmt: skip

    def _grow(self, count: int) -> None:
        super()._grow(count)
        self._stepper.hold(self._twin.view(self.states), self._twin.view(self.since))

    def _take(self, piece: Piece, steps: list[Transition]) -> Iterator[Judged]:
        sides = self._sides()
        found = self._stepper.run(
            piece.begin, piece.end, piece.first, piece.times, *map(self._seen, sides)
        )
        if self.observed:
            steps += self._transitions(piece, *sides)
        for i, row in self._violations[: 2 * found].reshape(-1, 2).tolist():
            yield self._judged(piece, i, row, self.letter(i).event)

    def _sides(self) -> tuple[Any, Any]:
        """Where the rows on either side of each letter go, if anybody looks."""
        if not self.observed:
            return None, None
        return np.empty(RING, dtype=np.int16), np.empty(RING, dtype=np.int16)

    def _seen(self, side: Any) -> Any:
        return None if side is None else self._twin.view(side)

    def state(self, row: int) -> str:
        """The state of a row; an instance that is not monitoring is about to start."""
        return self._model.states[row % self.program.idle]

    def _transitions(self, piece: Piece, before: Rows, after: Rows) -> Iterator[Transition]:
        """The steps that the model took: not those of idle instances, violations and resets."""
        idle, mine = self.program.idle, slice(piece.first, piece.last)
        before, after, letters = before[mine], after[mine], self._ring.letters[mine]
        ran = (letters >= 0) & ((before < idle) | self._entering(Entry.START_RUN)[letters])
        for i in np.flatnonzero(ran & (after >= 0) & (after < idle)).tolist():
            new, place = self._model.states[int(after[i])], piece.first + i
            yield self._transition(
                piece, place, self.state(int(before[i])), self.letter(place).event, new,
                new in self._model.final,
            )  # fmt: skip

    def _entering(self, *entries: Entry) -> Any:
        """Which letters come through these entry points."""
        return np.array([letter.entry in entries for letter in self.program.letters])

    # -- seeing inside ---------------------------------------------------------------------

    def _event_text(self, letter: Letter) -> str:
        return letter.event or letter.entry.value

    def _rows_before(self, letters: list[int], row: int) -> list[int | None]:
        table = self._table.reshape(-1, self._width)
        idle = self.program.idle
        sets = [set(range(idle + 1))]
        for letter in letters:
            follows = (int(table[r, letter]) for r in sets[-1])
            sets.append({idle if r < 0 else r for r in follows})
        after = {row}
        for i in range(len(letters) - 1, -1, -1):
            following = {r: int(table[r, letters[i]]) for r in sets[i]}
            sets[i] = {r for r, to in following.items() if (idle if to < 0 else to) in after}
            after = sets[i]
        return [next(iter(rows)) if len(rows) == 1 else None for rows in sets[:-1]]

    def _by_row(self) -> Ints:
        """How often each letter met an instance in each row."""
        return self.counts.reshape(-1, self._width)

    def _events(self) -> int:
        counts, idle = self._by_row(), self.program.idle
        taken = counts[:idle, ~self._entering(Entry.RESET)].sum()
        return int(taken + counts[idle, self._entering(Entry.START, Entry.START_RUN)].sum())

    def _resets(self) -> int:
        return int(self._by_row()[: self.program.idle, self._entering(Entry.RESET)].sum())

    def coverage(self) -> Iterator[tuple[str, str, str, int]]:
        counts = self._by_row()[:-1].copy()
        begun = self._entering(Entry.START_RUN)
        counts[0, begun] += self._by_row()[-1, begun]
        for row, (state, targets) in enumerate(
            zip(self._model.states, self._model.table, strict=True)
        ):
            for event, target in zip(self._model.events, targets, strict=True):
                if target != INVALID:
                    mine = [letter.event == event for letter in self.program.letters]
                    taken = int(counts[row, np.array(mine, dtype=bool)].sum())
                    yield state, event, self._model.states[target], taken

    def _rows_for(self, old: Running) -> Rows:
        idle, states = self.program.idle, self._model.states
        known = {state: row for row, state in enumerate(states)}
        if not isinstance(old, Plain):
            return np.full(old.program.idle, idle, dtype=np.int16)
        return np.array([known.get(state, idle) for state in old._model.states], dtype=np.int16)
