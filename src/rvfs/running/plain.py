"""An automaton without clocks, and what hybrid ones share with it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rvfs._stepper import Twin
from rvfs.event import Transition
from rvfs.model.automaton import Automaton
from rvfs.monitor import Entry
from rvfs.program import Program, Rows, table_of
from rvfs.running.instances import ROOM, Found, Piece, Running


class Plain(Running):
    """An automaton without clocks."""

    def __init__(self, program: Program, twin: Twin) -> None:
        super().__init__(program, twin)
        model, letters = program.model, program.letters
        assert isinstance(model, Automaton)
        self._model = model
        table = table_of(model, letters)
        self.counts = np.zeros(len(table), dtype=np.int64)
        self._violations = np.empty(2 * ROOM, dtype=np.int64)
        self._table = table
        self._stepper = self._make_stepper(table)
        self._grow(1)

    def _make_stepper(self, table: Rows) -> Any:
        view, at, letters, instances, _ = self._twin.view, *self._selected()
        return self._twin.Stepper(
            view(table), len(self.program.letters), self.program.idle, at, letters, instances,
            view(self.counts), view(self._violations),
        )  # fmt: skip

    def _grow(self, count: int) -> None:
        super()._grow(count)
        self._stepper.hold(self._twin.view(self.states), self._twin.view(self.since))

    def _take(self, piece: Piece, steps: list[Transition]) -> Iterator[Found]:
        sides = self._sides(piece.letters)
        found = self._stepper.run(piece.letters, piece.times, *map(self._seen, sides))
        if self.observed:
            steps += self._transitions(piece, *sides)
        for i, row in self._violations[: 2 * found].reshape(-1, 2).tolist():
            yield self._verdict(piece, i, self.state(row), self.letter(i).event)

    def _sides(self, count: int) -> tuple[Any, Any]:
        """Where the rows on either side of each letter go, if anybody looks."""
        if not self.observed:
            return None, None
        return np.empty(count, dtype=np.int16), np.empty(count, dtype=np.int16)

    def _seen(self, side: Any) -> Any:
        return None if side is None else self._twin.view(side)

    def state(self, row: int) -> str:
        """The state of a row; an instance that is not monitoring is about to start."""
        return self._model.states[row % self.program.idle]

    def _transitions(self, piece: Piece, before: Rows, after: Rows) -> Iterator[Transition]:
        """The steps that the model took: not those of idle instances, violations and resets."""
        idle = self.program.idle
        runs = np.array([letter.entry is Entry.START_RUN for letter in self.program.letters])
        ran = (before < idle) | runs[self._letters[: piece.letters]]
        for i in np.flatnonzero(ran & (after >= 0) & (after < idle)).tolist():
            new = self._model.states[int(after[i])]
            yield self._transition(
                piece, i, self.state(int(before[i])), self.letter(i).event, new,
                new in self._model.final,
            )  # fmt: skip
