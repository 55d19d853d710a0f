"""A hybrid automaton: registers, and timers that run out between events."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rvfs._stepper import BOOK
from rvfs.clockwork import HORIZON, NEVER, UNSET, EnvText, conditions_of, rearms
from rvfs.columns import Priorities
from rvfs.event import IDLE_PID, Batch, Ints, Transition, Verdict
from rvfs.monitor import Entry, Scope
from rvfs.program import Program, Rows
from rvfs.running.arrays import Found, Manner, Mask, grown, small_ints
from rvfs.running.automatic import Automatic
from rvfs.running.instances import Alone, Judged, Running, where
from rvfs.running.letters import RING, Piece
from rvfs.select import packed

#: Violations of a hybrid automaton that are written down before they are taken away.
MOST = 256

_AUTOMATON_KINDS = {Entry.HANDLE: 0, Entry.START_RUN: 0, Entry.START: 1, Entry.RESET: 2}
_ENVIRONMENT, _TIMER = 1, 2
#: The page of an instance of which nothing is known, but for its registers.
_NOTHING = {"SINCE": 0, "ARMED": NEVER, "DUE": 0, "WHERE": -1}


class Timed(Alone, Automatic):
    """A hybrid automaton."""

    def __init__(self, program: Program, manner: Manner) -> None:
        self._params = dict(program.monitor.params)
        self._book: Ints = np.empty((0, BOOK["FIRST"] + len(program.registers)), dtype=np.int64)
        self._heap = np.empty(0, dtype=np.int32)
        self._env = EnvText(program)
        super().__init__(program, manner)
        self.counts = np.zeros(self.table.shape, dtype=np.int64)
        self._stepper = self._make_stepper()
        self.set_params({})
        self._grow(1)

    @property
    def params(self) -> Mapping[str, int]:
        return self._params

    def by_row(self) -> Ints:
        return self.counts

    def _make_stepper(self) -> Any:
        program, view, model = self.program, self._twin.view, self._model
        kinds = [_AUTOMATON_KINDS[letter.entry] for letter in program.letters]
        self._rearms = [int(rearms(model, letter.event)) for letter in program.letters]
        self._span = len(program.registers)
        self._violations = np.empty(MOST * (5 + self._span), dtype=np.int64)
        assert model.timing is not None
        return self._twin.Timed(
            view(self.table.reshape(-1)), len(program.letters), program.idle,
            view(small_ints(kinds)), view(small_ints(self._rearms)),
            *self._load_registers(), len(model.timing.clocks),
            self._span, UNSET, NEVER, HORIZON, program.selection.heaviest, *self.ring.views,
            view(self.counts.reshape(-1)), view(np.zeros(self.counts.size, dtype=np.int8)),
            view(self._violations), self.watched,
        )  # fmt: skip

    def _load_registers(self) -> Iterator[Any]:
        envs = [letter.envs for letter in self.program.letters]
        yield self._twin.view(np.cumsum([0, *map(len, envs)], dtype=np.int64))
        yield self._twin.view(packed(envs, 1))

    def set_params(self, params: dict[str, int]) -> None:
        """Change parameters; timers that are armed keep their time. Raises
        :class:`rvfs.errors.UnknownName` for a condition that mentions what is not known."""
        conditions = conditions_of(self.program, self._params | params)
        self._stepper.ask(*map(self._twin.view, conditions))
        self._params.update(params)

    def _grow(self, count: int) -> None:
        book = np.full((count, self._book.shape[1]), UNSET, dtype=np.int64)
        book[:, [BOOK[name] for name in _NOTHING]] = [*_NOTHING.values()]
        book[:, BOOK["ROW"]] = self.blank
        book[: len(self._book)] = self._book
        self._book, self._heap = book, grown(self._heap, count, 0)
        self.states, self._since = book[:, BOOK["ROW"]], book[:, BOOK["SINCE"]]
        self._stepper.hold(*map(self._twin.view, (book.reshape(-1), self._heap)))

    def _stop(self, which: Any) -> None:
        super()._stop(which)
        self._by_instance()[which] = UNSET
        self._book[which, BOOK["ARMED"]] = NEVER

    def _unknown(self) -> Mask:
        return np.asarray(super()._unknown() & (self._by_instance() == UNSET).all(axis=1))

    def _by_instance(self) -> Ints:
        return self._book[:, BOOK["FIRST"] :]

    def step(self, batch: Batch, priorities: Priorities, steps: list[Transition]) -> list[Found]:
        found = super().step(batch, priorities, steps)
        ends = [int(batch.time[-1])] if len(batch) else []
        ends += [batch.now] if batch.now is not None else []
        return found + self.expire(max(ends), batch) if ends else found

    def expire(self, now: int, batch: Batch) -> list[Found]:
        """The timers that run out until ``now`` (ns); ``batch`` is what was stepped last."""
        return self.remember(self._run_out(now, batch))

    def _run_out(self, now: int, batch: Batch) -> Iterator[Judged]:
        while found := self._stepper.expire(now):
            for record in self._records(found):
                yield self._judge_timer(batch, record, self.ring.end)

    def _take(self, piece: Piece, steps: list[Transition]) -> list[Found]:
        return self.remember(self._taken(piece, steps))

    def _taken(self, piece: Piece, steps: list[Transition]) -> Iterator[Judged]:
        sides = self._sides()
        self._stepper.begin(piece.begin, piece.first)
        while self._stepper.next < piece.last:
            found = self._stepper.run(piece.last, piece.times, *map(self._seen, sides))
            for record in self._records(found):
                yield self._judge(piece, record)
        if self.observed:
            steps += self._transitions(piece, *sides)

    def _sides(self) -> tuple[Any, Any]:
        """Where the rows on either side of each word go, if anybody looks."""
        if not self.observed:
            return None, None
        return np.empty(RING, dtype=np.int16), np.empty(RING, dtype=np.int16)

    def _seen(self, side: Any) -> Any:
        return None if side is None else self._twin.view(side)

    def _transitions(self, piece: Piece, before: Rows, after: Rows) -> Iterator[Transition]:
        """The steps that the model took."""
        for i in range(piece.first, piece.last):
            for mine in self.own(self.ring.letter(i)):
                row, following = int(before[i]), int(after[i])
                if self.took(mine, row, following):
                    letter, state = self.program.letters[mine], self.state(following)
                    yield self._transition(
                        piece, i, letter, self.state(row), letter.event, state,
                        self.is_final(state),
                    )  # fmt: skip

    def _records(self, found: int) -> list[list[int]]:
        stride = 5 + self._span
        records: list[list[int]] = self._violations[: found * stride].reshape(-1, stride).tolist()
        return records

    def _judge(self, piece: Piece, record: list[int]) -> Judged:
        i, row, time, _, why, *registers = record
        if why >= _TIMER:
            return self._judge_timer(piece.batch, record, i)
        env = self._env.text(registers, time) if why == _ENVIRONMENT else None
        letter = self.letter(i)
        return self.judged(piece, i, letter, row, letter.event, env)

    def _judge_timer(self, batch: Batch, record: list[int], end: int) -> Judged:
        _, row, time, instance, why, *registers = record
        side = "right" if why > _TIMER else "left"
        position = int(np.searchsorted(batch.time, time, side=side))  # type: ignore[call-overload]
        verdict = Verdict(
            self.program.monitor.name, time, *self._whose(batch, instance, position),
            self.state(row), "none", position, self._env.text(registers, time),
            rank=self.number(instance) - (1 << 63),  # below 0, whatever the number of an object
        )  # fmt: skip
        return Judged(Found(position, False, time, verdict), instance, row, end)

    def _whose(
        self, batch: Batch, instance: int, position: int
    ) -> tuple[int, int, str, int | None, str]:
        """CPU, current pid and its name as of the event at ``position``, the last if there is
        none; the instance's key and name."""
        key = self.key(instance)
        if not len(batch):
            cpu = self.cpu(instance) or 0
            idle = batch.comm(IDLE_PID, cpu)
            scope = self.program.monitor.scope
            known = self.batch.comm(key or IDLE_PID, cpu) if self.batch is not None else "<...>"
            return cpu, IDLE_PID, idle, key, known if scope is Scope.TASK else idle
        position = min(position, len(batch) - 1)
        _, cpu, pid, current = where(batch, position)
        return cpu, pid, current, key, self._known_comm(batch, instance, position)

    def _adopt(self, old: Running, rows: Rows) -> None:
        """Registers go by their names; a timer runs on by the new bounds."""
        super()._adopt(old, rows)
        if not isinstance(old, Timed):
            return
        count, names = len(old.states), old.program.registers
        for place, name in enumerate(self.program.registers):
            if name in names:
                told = old._by_instance()[:, names.index(name)]
                self._by_instance()[:count, place] = told
        for instance in np.flatnonzero(self.states != self.program.idle).tolist():
            row = int(self.states[instance])
            self._stepper.rearm(row, instance, int(self._since[instance]))
