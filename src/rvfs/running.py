"""A monitor that runs: its instances, and the native code that steps them.

::

    batch ──select──▶ letters ──step──▶ violations ──▶ verdicts
                                   └──▶ transitions, where somebody looks

One class for each kind of model (:data:`KINDS`); what they share is :class:`Running`. The
letters of a batch are taken a piece at a time, so that what lies between the two passes
stays in the processor's caches.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rvfs._stepper import Twin
from rvfs.clockwork import HORIZON, NEVER, UNSET, EnvText, conditions_of, rearms
from rvfs.event import IDLE_PID, Batch, Ints, Transition, Verdict
from rvfs.model.automaton import INVALID, Automaton
from rvfs.model.rule import Rule
from rvfs.monitor import Action, Entry, Scope
from rvfs.program import MAX_CPUS, MAX_PID, Letter, Program, Rows, table_of
from rvfs.select import Priorities, as_ints, packed

Mask = npt.NDArray[np.bool_]

#: Letters between the two passes.
ROOM = 4096
#: Violations of a hybrid automaton that are written down before they are taken away.
MOST = 256

#: Places for objects at the start; a power of two, and more than a tracepoint can name at once.
FEWEST = 1024

_SCOPES = {Scope.GLOBAL: 0, Scope.CPU: 1, Scope.TASK: 2, Scope.OBJECT: 3}


class Found(NamedTuple):
    """A verdict and its place among the others: a timer comes before the event behind it."""

    position: int
    of_event: bool
    time: int
    verdict: Verdict

    @property
    def place(self) -> tuple[int, bool, int]:
        return self[:3]


class _Piece(NamedTuple):
    """How many letters were taken together, and the batch they are from."""

    batch: Batch
    letters: int
    times: Any


class Running:
    """The instances of one monitor. ``observed``: its steps are reported, beside violations."""

    def __init__(self, program: Program, twin: Twin) -> None:
        self.program, self._twin = program, twin
        self.observed = False
        self.states: Rows = np.empty(0, dtype=np.int16)
        self.since: Ints = np.empty(0, dtype=np.int64)
        self._at = np.empty(ROOM, dtype=np.int32)
        self._letters = np.empty(ROOM, dtype=np.int16)
        self._instances = np.empty(ROOM, dtype=np.int32)
        self._values = np.empty(max(ROOM, program.selection.heaviest), dtype=np.int64)
        self._ids: Ints = np.zeros(0, dtype=np.int64)
        self._places = np.zeros(0, dtype=np.int32)
        self._selector = self._make_selector(program, twin)

    def _make_selector(self, program: Program, twin: Twin) -> Any:
        chosen, view = program.selection, twin.view
        lengths = [len(loads) for loads in chosen.loads]
        return twin.Selector(
            _SCOPES[program.monitor.scope], MAX_CPUS, MAX_PID,
            view(packed([chosen.firsts], 1)), view(packed(chosen.slots, 3)),
            view(packed(chosen.nodes, 6)), view(np.cumsum([0, *lengths], dtype=np.int64)),
            view(packed(chosen.loads, 1)), chosen.widest, chosen.heaviest,
            view(np.zeros(len(chosen.firsts), dtype=np.int64)),
            twin.columns(len(chosen.columns) or 1), *self._selected(),
        )  # fmt: skip

    def _selected(self) -> tuple[Any, ...]:
        arrays = (self._at, self._letters, self._instances, self._values)
        return tuple(map(self._twin.view, arrays))

    @property
    def dropped(self) -> int:
        """Letters whose key was impossible."""
        return int(self._selector.dropped)

    # -- instances -------------------------------------------------------------------------

    def make_room(self, count: int) -> None:
        """Instances up to ``count``; the new ones are not monitoring."""
        if count > len(self.states):
            self._grow(max(count, 2 * len(self.states)))

    def _grow(self, count: int) -> None:
        self.states = _grown(self.states, count, self.program.idle)
        self.since = _grown(self.since, count, 0)

    def _make_places(self) -> None:
        """Room for more objects: that of those of which nothing is known, or new room."""
        taken = self._places[self._places >= 0]
        blank = self._blank()
        taken = taken[(taken >= len(blank)) | ~blank[np.minimum(taken, len(blank) - 1)]]
        count = len(self._ids)
        if count < 2 * len(taken) + 2 * self.program.selection.widest:
            count = max(FEWEST, 2 * count)
        self._ids = _grown(self._ids, count, 0)
        self._places = np.full(2 * count, -1, dtype=np.int32)
        free = np.setdiff1d(np.arange(count, dtype=np.int32), taken)[::-1]
        tables = (self._ids, self._places, np.ascontiguousarray(free), taken)
        self._selector.rehash(*map(self._twin.view, tables))

    def _blank(self) -> Mask:
        """The instances of which nothing is known."""
        return np.asarray(self.states == self.program.idle)

    def forget(self, lost: Iterable[int] | None = None) -> None:
        """Stop monitoring: every instance, or those that events ``lost`` on these CPUs concern."""
        if lost is not None and self.program.monitor.scope is Scope.CPU:
            self._stop([cpu for cpu in lost if 0 <= cpu < len(self.states)])
        else:
            self._stop(slice(None))

    def _stop(self, which: Any) -> None:
        self.states[which] = self.program.idle

    def key(self, instance: int) -> int | None:
        """The pid of a task, the id of an object, None for the other kinds."""
        if self.program.monitor.scope is Scope.TASK:
            return instance - MAX_CPUS if instance >= MAX_CPUS else IDLE_PID
        if self.program.monitor.scope is Scope.OBJECT:
            return int(self._ids[instance])
        return None

    # -- stepping --------------------------------------------------------------------------

    def step(self, batch: Batch, priorities: Priorities, steps: list[Transition]) -> list[Found]:
        """The violations in a batch; the steps, if they are observed, are appended."""
        view, selector = self._twin.view, self._selector
        bound = self.program.selection.bind(batch, priorities)
        times = view(as_ints(batch.time))
        selector.begin(
            view(as_ints(batch.tp)), view(as_ints(batch.cpu)), view(as_ints(batch.pid)),
            [view(column) for column in bound.columns], view(bound.limits),
        )  # fmt: skip
        found: list[Found] = []
        while selector.next < len(batch):
            count = selector.run()
            if count:
                self.make_room(selector.top + 1)
                found += self._take(_Piece(batch, count, times), steps)
            elif selector.short >= 0:
                raise ValueError(f"tracepoint {selector.short} has events without their fields")
            elif self.program.monitor.scope is Scope.OBJECT and selector.next < len(batch):
                self._make_places()
        return found

    def _take(self, piece: _Piece, steps: list[Transition]) -> Iterator[Found]:
        """Step the letters that were selected."""
        raise NotImplementedError

    # -- what is said of it ----------------------------------------------------------------

    def letter(self, i: int) -> Letter:
        return self.program.letters[int(self._letters[i])]

    def _verdict(
        self, piece: _Piece, i: int, state: str, event: str, env: str | None = None
    ) -> Found:
        """The verdict on the letter ``i`` of a piece."""
        position, instance, batch = int(self._at[i]), int(self._instances[i]), piece.batch
        verdict = Verdict(
            self.program.monitor.name, *_where(batch, position), self.key(instance),
            self._comm(batch, i), state, event, position, env,
            isinstance(self.program.model, Rule),
        )  # fmt: skip
        return Found(position, True, verdict.time, verdict)

    def _comm(self, batch: Batch, i: int) -> str:
        """The name of the instance's task: as the event has it, else as the source knows it."""
        position, letter = int(self._at[i]), self.letter(i)
        if letter.comm is not None:
            row = int(np.searchsorted(batch.rows(letter.tp), position))
            return bytes(batch.fields[letter.tp][letter.comm][row]).decode("utf-8", "replace")
        return self._known_comm(batch, int(self._instances[i]), position)

    def _known_comm(self, batch: Batch, instance: int, position: int) -> str:
        cpu, pid = int(batch.cpu[position]), int(batch.pid[position])
        if self.program.monitor.scope is Scope.TASK:
            pid = self.key(instance) or IDLE_PID
            cpu = instance if pid == IDLE_PID else cpu
        return batch.comm(pid, cpu)

    def _transition(
        self, piece: _Piece, i: int, state: str, event: str, next_state: str, final: bool
    ) -> Transition:
        position, instance = int(self._at[i]), int(self._instances[i])
        return Transition(
            self.program.monitor.name, *_where(piece.batch, position), self.key(instance),
            state, event, next_state, final, position, self._comm(piece.batch, i),
        )  # fmt: skip


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

    def _take(self, piece: _Piece, steps: list[Transition]) -> Iterator[Found]:
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

    def _transitions(self, piece: _Piece, before: Rows, after: Rows) -> Iterator[Transition]:
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


class Timed(Plain):
    """A hybrid automaton."""

    def __init__(self, program: Program, twin: Twin) -> None:
        self.params = dict(program.monitor.params)
        self.registers: Ints = np.empty(0, dtype=np.int64)
        self._armed = self._due = np.empty(0, dtype=np.int64)
        self._where = self._heap = np.empty(0, dtype=np.int32)
        self._env = EnvText(program)
        super().__init__(program, twin)
        self.set_params({})

    def _make_stepper(self, table: Rows) -> Any:
        program, view, model = self.program, self._twin.view, self._model
        kinds = [_AUTOMATON_KINDS[letter.entry] for letter in program.letters]
        self._rearms = [int(rearms(model, letter.event)) for letter in program.letters]
        self._span = len(program.registers)
        self._violations = np.empty(MOST * (5 + self._span), dtype=np.int64)
        assert model.timing is not None
        return self._twin.Timed(
            view(table), len(program.letters), program.idle, view(_bytes(kinds)),
            view(_bytes(self._rearms)), *self._load_registers(), len(model.timing.clocks),
            self._span, UNSET, NEVER, HORIZON, *self._selected(), view(self.counts),
            view(self._violations),
        )  # fmt: skip

    def _load_registers(self) -> Iterator[Any]:
        envs = [letter.envs for letter in self.program.letters]
        yield self._twin.view(np.cumsum([0, *map(len, envs)], dtype=np.int64))
        yield self._twin.view(packed(envs, 1))

    def set_params(self, params: Mapping[str, int]) -> None:
        """Change parameters; timers that are armed keep their time. Raises
        :class:`rvfs.errors.UnknownName` for a condition that mentions what is not known."""
        self.params.update(params)
        view = self._twin.view
        self._stepper.ask(*map(view, conditions_of(self.program, self.params)))

    def _grow(self, count: int) -> None:
        view, never = self._twin.view, NEVER
        self.registers = _grown(self.registers, count * self._span, UNSET)
        self._armed, self._due = _grown(self._armed, count, never), _grown(self._due, count, 0)
        self._where, self._heap = _grown(self._where, count, -1), _grown(self._heap, count, 0)
        Running._grow(self, count)
        self._stepper.hold(
            *map(view, (self.states, self.since, self.registers, self._armed, self._due,
                        self._where, self._heap))
        )  # fmt: skip

    def _stop(self, which: Any) -> None:
        super()._stop(which)
        self._by_instance()[which] = UNSET
        self._armed[which] = NEVER

    def _blank(self) -> Mask:
        return np.asarray(super()._blank() & (self._by_instance() == UNSET).all(axis=1))

    def _by_instance(self) -> Ints:
        return self.registers.reshape(len(self.states), self._span)

    def step(self, batch: Batch, priorities: Priorities, steps: list[Transition]) -> list[Found]:
        found = super().step(batch, priorities, steps)
        ends = [int(batch.time[-1])] if len(batch) else []
        ends += [batch.now] if batch.now is not None else []
        return found + list(self.expire(max(ends), batch)) if ends else found

    def expire(self, now: int, batch: Batch) -> Iterator[Found]:
        """The timers that run out until ``now`` (ns); ``batch`` is what was stepped last."""
        while found := self._stepper.expire(now):
            for record in self._records(found):
                yield self._timer_verdict(batch, record)

    def _take(self, piece: _Piece, steps: list[Transition]) -> Iterator[Found]:
        sides = self._sides(piece.letters)
        going = True
        while going:
            found = self._stepper.run(piece.letters, piece.times, *map(self._seen, sides))
            going = self._stepper.next > 0
            for record in self._records(found):
                yield self._judge(piece, record)
        if self.observed:
            steps += self._transitions(piece, *sides)

    def _records(self, found: int) -> list[list[int]]:
        stride = 5 + self._span
        records: list[list[int]] = self._violations[: found * stride].reshape(-1, stride).tolist()
        return records

    def _judge(self, piece: _Piece, record: list[int]) -> Found:
        i, row, time, _, why, *registers = record
        if why >= _TIMER:
            return self._timer_verdict(piece.batch, record)
        env = self._env.text(registers, time) if why == _ENVIRONMENT else None
        return self._verdict(piece, i, self.state(row), self.letter(i).event, env)

    def _timer_verdict(self, batch: Batch, record: list[int]) -> Found:
        _, row, time, instance, why, *registers = record
        side = "right" if why > _TIMER else "left"
        position = int(np.searchsorted(batch.time, time, side=side))  # type: ignore[call-overload]
        return Found(position, False, time, Verdict(
            self.program.monitor.name, time, *self._whose(batch, instance, position),
            self.state(row), "none", position, self._env.text(registers, time),
        ))  # fmt: skip

    def _whose(
        self, batch: Batch, instance: int, position: int
    ) -> tuple[int, int, str, int | None, str]:
        """CPU, current pid and its name as of the event at ``position``, the last if there is
        none; the instance's key and name."""
        key = self.key(instance)
        if not len(batch):
            cpu = instance if instance < MAX_CPUS and self.program.monitor.scope in _ON_CPU else 0
            idle = batch.comm(IDLE_PID, cpu)
            return cpu, IDLE_PID, idle, key, batch.comm(key, cpu) if key is not None else idle
        position = min(position, len(batch) - 1)
        _, cpu, pid, current = _where(batch, position)
        return cpu, pid, current, key, self._known_comm(batch, instance, position)


_AUTOMATON_KINDS = {Entry.HANDLE: 0, Entry.START_RUN: 0, Entry.START: 1, Entry.RESET: 2}
_ENVIRONMENT, _TIMER = 1, 2
_ON_CPU = (Scope.CPU, Scope.TASK)


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
        return _signed(known), _signed(sum(1 << bit for bit, value in bits.items() if value))

    def _make_stepper(self, table: Rows) -> Any:
        rule, program, view = self._rule, self.program, self._twin.view
        letters = program.letters
        lengths = [len(letter.loads) for letter in letters]
        kinds = [3 if letter.action is None else _RULE_KINDS[letter.action] for letter in letters]
        return self._twin.Ruled(
            view(table), len(rule.start), program.idle,
            view(np.array(rule.start, dtype=np.int16)), rule.depth,
            view(np.array(rule.diagram or [0], dtype=np.int32)),
            _signed((1 << len(rule.atoms)) - 1), *self._first, view(_bytes(kinds)),
            view(packed([[_signed(letter.puts) for letter in letters]], 1)),
            view(packed([[_signed(letter.holds) for letter in letters]], 1)),
            view(np.cumsum([0, *lengths], dtype=np.int64)), *self._selected(),
            view(self.counts), view(self._violations),
        )  # fmt: skip

    def _grow(self, count: int) -> None:
        super()._grow(count)
        self.known = _grown(self.known, count, self._first[0])
        self.valuations = _grown(self.valuations, count, self._first[1])
        arrays = (self.states, self.since, self.known, self.valuations)
        self._stepper.hold(*map(self._twin.view, arrays))

    def _stop(self, which: Any) -> None:
        super()._stop(which)
        self.known[which], self.valuations[which] = self._first

    def _blank(self) -> Mask:
        known, valuation = self._first
        untold = (self.known == known) & (self.valuations == valuation)
        return np.asarray(super()._blank() & untold)

    def _take(self, piece: _Piece, steps: list[Transition]) -> Iterator[Found]:
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
        self, piece: _Piece, before: Rows, after: Rows, seen: Ints
    ) -> Iterator[Transition]:
        """Every validation, be it the one that the rule is violated by."""
        rule = self._rule
        for half in np.flatnonzero(before != self.program.idle).tolist():
            new = int(after[half])
            yield self._transition(
                piece, half // 2, rule.states[int(before[half])],
                rule.atoms_text(int(seen[half])), "" if new < 0 else rule.states[new], False,
            )  # fmt: skip


#: What is told of each half of a letter: the row before, the row after, the valuation.
_SIDES = (np.int16, np.int16, np.int64)
_RULE_KINDS = {Action.SET: 0, Action.UPDATE: 1, Action.PULSE: 2}


def run(program: Program, twin: Twin) -> Running:
    """A program whose instances are not monitoring yet. Raises
    :class:`rvfs.errors.UnknownName` for a condition that mentions what is not known."""
    if isinstance(program.model, Rule):
        return Ruled(program, twin)
    return (Plain if program.model.timing is None else Timed)(program, twin)


def _where(batch: Batch, position: int) -> tuple[int, int, int, str]:
    """Time, CPU, current pid and its name."""
    cpu, pid = int(batch.cpu[position]), int(batch.pid[position])
    return int(batch.time[position]), cpu, pid, batch.comm(pid, cpu)


def _grown(array: npt.NDArray[Any], count: int, fill: int) -> npt.NDArray[Any]:
    grown = np.full(count, fill, dtype=array.dtype)
    grown[: len(array)] = array
    return grown


def _bytes(values: list[int]) -> npt.NDArray[np.int8]:
    return np.array(values or [0], dtype=np.int8)


def _signed(bits: int) -> int:
    """64 bits as a number with a sign."""
    return bits - (1 << 64) if bits >> 63 else bits
