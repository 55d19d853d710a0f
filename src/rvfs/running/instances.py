"""A monitor that runs: what is said of its instances, whoever steps them."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from rvfs.event import IDLE_PID, Batch, Ints, Transition, Verdict
from rvfs.inside import STEPS, VIOLATIONS, Instance, Recorded, Stats, Step
from rvfs.model.rule import Rule
from rvfs.monitor import Entry, Scope
from rvfs.program import Letter, Program, Rows
from rvfs.running.arrays import Found, Manner, Mask
from rvfs.running.letters import Event, Piece
from rvfs.running.stepping import Stepping


@dataclass
class Tally:
    """What is counted, and remembered, over all programs that a monitor has had."""

    events: int = 0
    violations: int = 0
    resets: int = 0
    dropped: int = 0
    kept: int = 0
    anew: int = 0
    remembered: deque[tuple[Verdict, tuple[Step, ...]]] = field(
        default_factory=lambda: deque(maxlen=VIOLATIONS)
    )


class Judged(NamedTuple):
    """A verdict, the instance and the row it was in, the first word that came after, and what
    came with the same word before."""

    found: Found
    instance: int
    row: int
    end: int
    led: tuple[Event, ...] = ()


class Running(ABC):
    """One monitor. ``observed``: its steps are reported, beside violations."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.observed = False
        self.tally = Tally()

    @property
    @abstractmethod
    def home(self) -> Stepping:
        """Who has its instances, and steps them."""

    @property
    @abstractmethod
    def rows(self) -> Rows:
        """The row of each instance."""

    @property
    @abstractmethod
    def since(self) -> Ints:
        """Since when (ns) each instance is in its row."""

    @property
    def dropped(self) -> int:
        """Letters whose key was impossible."""
        drops = self.home._drops
        return sum(
            int(drops[letter]) * len(self.own(letter)) for letter in np.flatnonzero(drops).tolist()
        )

    @abstractmethod
    def own(self, letter: int) -> Sequence[int]:
        """The letters of the program that a letter of its home stands for."""

    # -- replacement -----------------------------------------------------------------------

    def take_over(self, old: "Running") -> None:
        """Go on where ``old``, which stays as it is, has been: with its instances, as far as
        this model has their states, and what was counted."""
        tally = old.tally
        self.tally = Tally(
            old.stats.events, tally.violations, old.stats.resets, old.stats.dropped,
            remembered=deque(tally.remembered, VIOLATIONS),
        )  # fmt: skip
        self.observed = old.observed
        monitoring = int(np.count_nonzero(old.rows != old.program.idle))
        if old.program.monitor.scope is self.program.monitor.scope:
            self._adopt(old, np.append(self._rows_for(old), self.program.idle))
        self.tally.kept = int(np.count_nonzero(self.rows != self.program.idle))
        self.tally.anew = monitoring - self.tally.kept

    @abstractmethod
    def _rows_for(self, old: "Running") -> Rows:
        """For each row of ``old``, but the idle one, the row to go on in."""

    @abstractmethod
    def _adopt(self, old: "Running", rows: Rows) -> None:
        """Take the instances of ``old``, in the ``rows`` that stand for theirs."""

    # -- violations ------------------------------------------------------------------------

    def remember(self, judged: Iterable[Judged]) -> list[Found]:
        """Count the violations; if anybody may ask, remember the last and what led to them."""
        found = list(judged)
        self.tally.violations += len(found)
        for one in found[-VIOLATIONS:] if self.home.watched else ():
            self.tally.remembered.append((one.found.verdict, tuple(self._told(one))))
        return [one.found for one in found]

    def _told(self, one: Judged) -> Iterator[Step]:
        verdict = one.found.verdict
        events = [*islice(self._before(one), STEPS - 1)][::-1]
        names = (self._event_text(self.program.letters[event.letter]) for event in events)
        rows = self._rows_before([event.letter for event in events], one.row)
        for event, name, row in zip(events, names, rows, strict=True):
            state = None if row is None or row == self.program.idle else self.state(row)
            yield Step(event.time, event.cpu, name, state)
        yield Step(verdict.time, verdict.cpu, verdict.event, verdict.state)

    def _before(self, one: Judged) -> Iterator[Event]:
        """What the instance was brought before, the latest first."""
        yield from reversed(one.led)
        for event in self.home.ring.of(one.instance, one.end):
            for letter in reversed(self.own(event.letter)):
                yield event._replace(letter=letter)

    @abstractmethod
    def _event_text(self, letter: Letter) -> str:
        """What a letter is called."""

    def _rows_before(self, letters: list[int], row: int) -> list[int | None]:
        """The row before each of these letters, after which it was ``row``; None: not known."""
        return [None] * len(letters)

    # -- what is said of it ----------------------------------------------------------------

    @abstractmethod
    def state(self, row: int) -> str:
        """What a row is called."""

    @property
    def params(self) -> Mapping[str, int]:
        return self.program.monitor.params

    @property
    def stats(self) -> Stats:
        tally, remembered = self.tally, self.tally.remembered
        return Stats(
            tally.events + self._events(), tally.violations, tally.resets + self._resets(),
            tally.dropped + self.dropped, tally.kept, tally.anew,
            remembered[-1][0] if remembered else None,
        )  # fmt: skip

    @abstractmethod
    def _events(self) -> int:
        """How many were taken."""

    @abstractmethod
    def _resets(self) -> int:
        """How many instances came to their end while they were monitoring."""

    @property
    def violations(self) -> Sequence[Recorded]:
        return [Recorded(*one) for one in self.tally.remembered]

    @abstractmethod
    def coverage(self) -> Iterable[tuple[str, str, str, int]]:
        """See :class:`rvfs.inside.Inside`."""

    def instances(self) -> Iterator[Instance]:
        home, rows, since = self.home, self.rows, self.since
        for i in np.flatnonzero(rows != self.program.idle).tolist():
            key, cpu = home.key(i), home.cpu(i)
            comm = ""
            if home.batch is not None and home.scope is Scope.TASK:
                comm = home.batch.comm(key or IDLE_PID, cpu or 0)
            yield Instance(key, cpu, comm, self.state(int(rows[i])), int(since[i]))

    def judged(
        self, piece: Piece, i: int, letter: Letter, row: int, event: str, env: str | None = None
    ) -> Judged:
        """The verdict on a letter of word ``i``, which was refused in ``row``."""
        position, instance = self.home.ring.position(piece, i), self.home.ring.instance(i)
        verdict = Verdict(
            self.program.monitor.name, *where(piece.batch, position), self.home.key(instance),
            self._comm(piece, i, letter), self.state(row), event, position, env,
            isinstance(self.program.model, Rule), letter.slot,
        )  # fmt: skip
        return Judged(Found(position, True, verdict.time, verdict), instance, row, i)

    def _comm(self, piece: Piece, i: int, letter: Letter) -> str:
        """The name of the instance's task: as the event has it, else as the source knows it."""
        position, batch = self.home.ring.position(piece, i), piece.batch
        if letter.comm is not None:
            comm = batch.value(letter.tp, letter.comm, position)
            return bytes(comm).decode("utf-8", "replace")
        return self._known_comm(batch, self.home.ring.instance(i), position)

    def _known_comm(self, batch: Batch, instance: int, position: int) -> str:
        cpu, pid = int(batch.cpu[position]), int(batch.pid[position])
        if self.home.scope is Scope.TASK:
            pid = self.home.key(instance) or IDLE_PID
            cpu = instance if pid == IDLE_PID else cpu
        return batch.comm(pid, cpu)

    def _transition(
        self, piece: Piece, i: int, letter: Letter, state: str, event: str, next_state: str,
        final: bool,
    ) -> Transition:  # fmt: skip
        position, instance = self.home.ring.position(piece, i), self.home.ring.instance(i)
        return Transition(
            self.program.monitor.name, *where(piece.batch, position), self.home.key(instance),
            state, event, next_state, final, position, self._comm(piece, i, letter),
        )  # fmt: skip

    def _entering(self, *entries: Entry) -> Mask:
        """Which letters come through these entry points."""
        return np.array([letter.entry in entries for letter in self.program.letters], dtype=bool)


class Alone(Stepping, Running):
    """A monitor that steps its own instances. ``states`` are their rows."""

    counts: Ints

    def __init__(self, program: Program, manner: Manner) -> None:
        super(Stepping, self).__init__(program)  # what is behind it among the bases: Running
        Stepping.__init__(self, program.monitor.scope, program.selection, manner)
        self.blank = program.idle
        self.states = np.empty(0, dtype=np.int16)
        self._since: Ints = np.empty(0, dtype=np.int64)

    @property
    def home(self) -> Stepping:
        return self

    @property
    def rows(self) -> Rows:
        return self.states

    @property
    def since(self) -> Ints:
        return self._since

    def own(self, letter: int) -> Sequence[int]:
        return (letter - 1,) if letter else ()

    def _adopt(self, old: Running, rows: Rows) -> None:
        self.lodge_as(old.home)
        self.batch = old.home.batch
        count = len(old.rows)
        self.make_room(count)
        self.states[:count] = rows[old.rows]
        self._since[:count] = old.since

    def letter(self, i: int) -> Letter:
        """The letter of word ``i``, which has one."""
        return self.program.letters[self.ring.letter(i) - 1]


def where(batch: Batch, position: int) -> tuple[int, int, int, str]:
    """Time, CPU, current pid and its name."""
    cpu, pid = int(batch.cpu[position]), int(batch.pid[position])
    return int(batch.time[position]), cpu, pid, batch.comm(pid, cpu)
