"""Automata of one scope that are stepped together, as one: their product.

Who joins or leaves makes another team of those who stay, which goes on where this one was; this
one stays as it is, so that a change can be undone.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from rvfs.event import Batch, Ints, Transition
from rvfs.program import Rows
from rvfs.running.arrays import Found, Manner, grown
from rvfs.running.automatic import Automatic
from rvfs.running.instances import Judged, Running
from rvfs.running.letters import RING, ROOM, Event, Piece
from rvfs.running.product import UNKNOWN, Product
from rvfs.running.stepping import Stepping
from rvfs.select import MOST_QUESTIONS, Place, Selection, Slot
from rvfs.tracepoint import Tracepoint

#: Members of a team, and rows of its product beyond which it is two.
MEMBERS, CROWD = 16, 1024


class Plain(Automatic):
    """An automaton without clocks. Its ``team`` has its instances."""

    team: "Team"

    @property
    def home(self) -> "Team":
        return self.team

    @property
    def rows(self) -> Rows:
        return self.team.rows_of(self)

    @property
    def since(self) -> Ints:
        return self.team.since_of(self)

    @property
    def dropped(self) -> int:
        return self.team.before[self].dropped + super().dropped

    def own(self, letter: int) -> Sequence[int]:
        return self.team.product.letters[letter][self.team.members.index(self)]

    def by_row(self) -> Ints:
        team = self.team
        return team.before[self].counts + team.product.counts_of(team.members.index(self))

    def _adopt(self, old: Running, rows: Rows) -> None:
        self.team.lodge_as(old.home)
        self.team.place(self, rows[old.rows], old.since)
        self.team.batch = old.home.batch


class Before(NamedTuple):
    """What a member's earlier teams have counted."""

    counts: Ints
    dropped: int


class Team(Stepping):
    """``members`` step together. What is met is counted, and known since when, if the team is
    ``watched``. ``old`` is the team that this one goes on for."""

    blank = 0

    def __init__(self, members: Sequence[Plain], manner: Manner, old: "Team | None" = None) -> None:
        self.members = tuple(members)
        self.product = Product([member.table for member in members])
        super().__init__(members[0].program.monitor.scope, self._gathered(), manner)
        self.product.base(self.product.idle)
        self._violations = np.empty(2 * ROOM, dtype=np.int64)
        self._cells = np.zeros(RING, dtype=np.int32)
        twin = manner.twin
        words, cells = self.ring.views[0], twin.view(self._cells)
        self._stepper = twin.Stepper(self._selector, words, twin.view(self._violations), cells)
        self._witness = twin.Witness(words, cells)
        self.states = np.zeros(0, dtype=np.int32)
        self._since = np.zeros((len(members), 1), dtype=np.int64)
        self.before = {member: self._before(member, old) for member in members}
        self._grow(1)
        if old is not None:
            self._go_on_for(old)
        self.gather()

    def gather(self) -> None:
        """Be the team of all members."""
        for member in self.members:
            member.team = self

    @staticmethod
    def _before(member: Plain, old: "Team | None") -> Before:
        if old is None or member not in old.members:
            return Before(np.zeros(member.table.shape, dtype=np.int64), 0)
        return Before(member.by_row(), member.dropped)

    # -- what comes to whom --------------------------------------------------------------------

    def _gathered(self) -> Selection:
        """The selections of all members in one: slots of the same key share a place, as far as
        the order of each member's own allows."""
        gathered: dict[int, tuple[Tracepoint, list[list[tuple[int, Slot]]]]] = {}
        for owner, member in enumerate(self.members):
            for bound in member.program.bound:
                _, places = gathered.setdefault(bound.tp, (bound.tracepoint, []))
                at = 0
                for slot in bound.slots:
                    at = _join(places, at, owner, slot)
        selection = Selection()
        for tp, (tracepoint, places) in sorted(gathered.items()):
            selection.add(tracepoint, tp, [self._place(place) for place in places])
        return selection

    def _place(self, place: list[tuple[int, Slot]]) -> Place:
        owners, slots = zip(*place, strict=True)
        return Place(slots, partial(self.product.letter, owners=owners))

    # -- instances -----------------------------------------------------------------------------

    @property
    def crowded(self) -> bool:
        """Whether its product has become so large that it had better be two."""
        return len(self.members) > 1 and len(self.product.rows) > CROWD

    @property
    def welcoming(self) -> bool:
        """Whether there is room for another member."""
        return len(self.members) < MEMBERS and len(self.product.rows) <= CROWD // 4

    def _grow(self, count: int) -> None:
        self.states = grown(self.states, count, self.blank)
        since = np.zeros((len(self.members), count + 1 if self.watched else 1), dtype=np.int64)
        if self.watched:
            since[:, : self._since.shape[1] - 1] = self._since[:, :-1]
        self._since = since
        self._hold()

    def _hold(self) -> None:
        view, product = self._twin.view, self.product
        self._stepper.hold(view(self.states), view(product.table))
        self._witness.hold(
            view(product.counts), view(product.changed), view(self._since.reshape(-1)),
            len(self.members),
        )  # fmt: skip

    def _rows(self) -> Ints:
        """The number of each instance's row."""
        return np.asarray(self.states // self.product.width, dtype=np.int64)

    def rows_of(self, member: Plain) -> Rows:
        return self.product.rows_of(self.members.index(member))[self._rows()]

    def since_of(self, member: Plain) -> Ints:
        return self._since[self.members.index(member), :-1]

    def place(self, member: Plain, rows: Rows, since: Ints) -> None:
        """Have the instances of a member in these rows."""
        owner = self.members.index(member)
        self.make_room(len(rows))
        mine = np.full(len(self.states), self.product.idle[owner], dtype=np.int64)
        mine[: len(rows)] = rows
        if self.watched:
            self._since[owner, : len(since)] = since
        choices = self.product.idle[owner] + 1
        codes = self._rows() * choices + mine
        bases = np.zeros(len(self.product.rows) * choices, dtype=np.int32)
        for code in np.flatnonzero(np.bincount(codes)).tolist():
            number, row = divmod(code, choices)
            others = self.product.rows[number]
            bases[code] = self.product.base((*others[:owner], row, *others[owner + 1 :]))
        self.states = bases[codes]
        self._hold()

    def _go_on_for(self, old: "Team") -> None:
        """Have the instances of the members that were in the old team."""
        self.lodge_as(old)
        self.batch = old.batch
        self.make_room(len(old.states))
        from_old = [
            old.members.index(member) if member in old.members else None for member in self.members
        ]
        for owner, was in enumerate(from_old):
            if was is not None and self.watched:
                self._since[owner, : len(old.states)] = old._since[was, :-1]
        numbers = old._rows()
        bases = np.zeros(len(old.product.rows), dtype=np.int32)
        for number in np.flatnonzero(np.bincount(numbers)).tolist():
            row = old.product.rows[number]
            bases[number] = self.product.base(tuple(
                idle if was is None else row[was]
                for was, idle in zip(from_old, self.product.idle, strict=True)
            ))  # fmt: skip
        self.states[: len(numbers)] = bases[numbers]
        self._hold()

    # -- stepping ------------------------------------------------------------------------------

    def _pieces(self, batch: Batch, times: Any) -> Iterator[Piece]:
        """Where nobody looks, only those of which there is something to say."""
        stepper = self._stepper
        if self._noted:
            for piece in super()._pieces(batch, times):
                stepper.go_to(piece.first)
                yield piece
            return
        stepper.sweep(0, len(batch), self._piece)
        while stepper.begin < len(batch):
            begin = stepper.begin
            if self._is_ready(stepper.last):
                yield Piece(batch, begin, 0, stepper.last, times)
                begin += self._piece
            stepper.sweep(begin, len(batch), self._piece)

    @property
    def _noted(self) -> bool:
        """Whether it must be known which cell each word came to."""
        return self.watched or any(member.observed for member in self.members)

    def _take(self, piece: Piece, steps: list[Transition]) -> list[Found]:
        found: list[Found] = []
        stepper, noted = self._stepper, self._noted
        while True:
            found += self._judge(piece)
            if stepper.next == piece.last:
                break
            self._learn(stepper.next)
            stepper.run(stepper.next, piece.last, noted)
        if self.watched:
            self._witness.look(piece.first, piece.last, piece.times, piece.begin)
        for member in self.members:
            if member.observed:
                steps += self._transitions(piece, member)
        return found

    def _learn(self, i: int) -> None:
        """See to it that the cell is known that word ``i`` comes to."""
        table = self.product.table
        cell = int(self.states[self.ring.instance(i)]) + self.ring.letter(i)
        if table[cell] == UNKNOWN:
            self.product.make(cell)
        if table is not self.product.table:
            self._hold()

    def _judge(self, piece: Piece) -> Iterator[Found]:
        """The verdicts on what the stepper has found."""
        if not self._stepper.found:
            return
        records = self._violations[: 2 * self._stepper.found].reshape(-1, 2)
        violations = records.tolist()
        for owner, member in enumerate(self.members):
            judged = (one for i, cell in violations for one in self._refused(piece, i, cell, owner))
            yield from member.remember(judged)

    def _refused(self, piece: Piece, i: int, cell: int, owner: int) -> Iterator[Judged]:
        member = self.members[owner]
        led: tuple[Event, ...] = ()
        for step in self.product.steps(cell, owner):
            letter = member.program.letters[step.letter]
            if step.after < 0:
                judged = member.judged(piece, i, letter, step.row, letter.event)
                yield judged._replace(led=led)
            at = self.ring.position(piece, i)
            event = Event(step.letter, int(piece.batch.time[at]), int(piece.batch.cpu[at]))
            led = (*led, event)

    def _transitions(self, piece: Piece, member: Plain) -> Iterator[Transition]:
        """The steps that a member's model took."""
        owner, letters = self.members.index(member), member.program.letters
        for i in range(piece.first, piece.last):
            for step in self.product.steps(int(self._cells[i]), owner):
                if member.took(*step):
                    letter, state = letters[step.letter], member.state(step.after)
                    yield member._transition(
                        piece, i, letter, member.state(step.row), letter.event, state,
                        member.is_final(state),
                    )  # fmt: skip


def _join(places: list[list[tuple[int, Slot]]], at: int, owner: int, slot: Slot) -> int:
    """Put a slot into a place of its key that is not before ``at``; which one that is."""
    for number in range(at, len(places)):
        place = places[number]
        asked = slot.asked.union(*(other.asked for _, other in place))
        if place[0][1].key == slot.key and len(asked) <= MOST_QUESTIONS:
            place.append((owner, slot))
            return number
    places.append([(owner, slot)])
    return len(places) - 1
