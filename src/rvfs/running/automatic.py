"""What is said of an automaton that runs, with clocks and without."""

from collections.abc import Iterator

import numpy as np

from rvfs.event import Ints
from rvfs.model.automaton import INVALID, Automaton
from rvfs.monitor import Entry
from rvfs.program import Letter, Program, Rows, table_of
from rvfs.running.instances import Running


class Automatic(Running):
    """An automaton that runs. ``table`` has a row for each state, and one for *not monitoring*."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        model = program.model
        assert isinstance(model, Automaton)
        self._model = model
        shape = len(model.states) + 1, len(program.letters)
        self.table = table_of(model, program.letters).reshape(shape)

    def state(self, row: int) -> str:
        """The state of a row; an instance that is not monitoring is about to start."""
        return self._model.states[row % self.program.idle]

    def is_final(self, state: str) -> bool:
        return state in self._model.final

    def took(self, letter: int, row: int, after: int) -> bool:
        """Whether that was a step of the model: none of an idle instance, no end, no violation."""
        idle, entry = self.program.idle, self.program.letters[letter].entry
        return (row < idle or entry is Entry.START_RUN) and 0 <= after < idle

    # -- seeing inside ---------------------------------------------------------------------

    def by_row(self) -> Ints:
        """How often each letter met an instance in each row."""
        raise NotImplementedError

    def _event_text(self, letter: Letter) -> str:
        return letter.event or letter.entry.value

    def _rows_before(self, letters: list[int], row: int) -> list[int | None]:
        idle = self.program.idle
        sets = [set(range(idle + 1))]
        for letter in letters:
            follows = (int(self.table[r, letter]) for r in sets[-1])
            sets.append({idle if r < 0 else r for r in follows})
        after = {row}
        for i in range(len(letters) - 1, -1, -1):
            following = {r: int(self.table[r, letters[i]]) for r in sets[i]}
            sets[i] = {r for r, to in following.items() if (idle if to < 0 else to) in after}
            after = sets[i]
        return [next(iter(rows)) if len(rows) == 1 else None for rows in sets[:-1]]

    def _events(self) -> int:
        counts, idle = self.by_row(), self.program.idle
        taken = counts[:idle, ~self._entering(Entry.RESET)].sum()
        return int(taken + counts[idle, self._entering(Entry.START, Entry.START_RUN)].sum())

    def _resets(self) -> int:
        return int(self.by_row()[: self.program.idle, self._entering(Entry.RESET)].sum())

    def coverage(self) -> Iterator[tuple[str, str, str, int]]:
        met = self.by_row()
        counts, begun = met[:-1].copy(), self._entering(Entry.START_RUN)
        counts[0, begun] += met[-1, begun]
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
        if not isinstance(old, Automatic):
            return np.full(old.program.idle, idle, dtype=np.int16)
        return np.array([known.get(state, idle) for state in old._model.states], dtype=np.int16)
