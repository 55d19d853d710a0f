"""The enabled monitors and their instances.

``step`` takes a batch and returns the verdicts; it is synchronous and does no I/O. The
semantics are those of the kernel's monitors (include/rv/{da,ha,ltl}_monitor.h); the rooms
below have them: :mod:`rvfs.select` what an event brings, :mod:`rvfs.program` the tables,
:mod:`rvfs.running` the instances.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from rvfs import _stepper
from rvfs._stepper import Twin
from rvfs.columns import Priorities
from rvfs.event import Batch, Transition, Verdict, batch_of
from rvfs.inside import Inside
from rvfs.monitor import Monitor, Scope
from rvfs.program import Program, compile_monitor
from rvfs.running import Found, Manner, Plain, Running, Stepping, Team, Timed, run
from rvfs.tracepoint import Vocabulary

_SWITCH = "sched:sched_switch"


class Replaced(NamedTuple):
    """How many instances kept their state, how many start anew, and what restores what was."""

    kept: int
    anew: int
    undo: Callable[[], None]


class Engine:
    """Steps the monitors that were added. ``twin`` is the native code, or its interpreted twin.

    Unless it is ``watched``, nobody looks inside: nothing is counted, and nothing remembered of
    what led to a violation. ``share`` (k, n) are the instances that it judges: the tasks, CPUs and
    objects whose number leaves k when it is divided by n. What is one for all is of share 0.
    """

    def __init__(
        self, vocabulary: Vocabulary, twin: Twin = _stepper.chosen, *, watched: bool = True,
        share: tuple[int, int] = (0, 1),
    ) -> None:  # fmt: skip
        self._vocabulary, self._manner = vocabulary, Manner(twin, watched, share)
        self._running: dict[str, Running] = {}
        self._steppers: list[Stepping] = []
        switch = vocabulary.number(_SWITCH) if _SWITCH in vocabulary else None
        self._priorities = Priorities(switch)
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How often an instance was named by an impossible key."""
        return self._dropped + sum(running.dropped for running in self._running.values())

    def compile(self, monitor: Monitor) -> Program:
        """See :func:`compile_monitor`."""
        return compile_monitor(monitor, self._vocabulary)

    def add(self, monitor: Monitor | Program) -> Program:
        """Begin to step a monitor, with no instance monitoring. Raises as :meth:`compile`."""
        program = monitor if isinstance(monitor, Program) else self.compile(monitor)
        running = run(program, self._manner)
        self._whole(self._seat, running)
        self._running[program.monitor.name] = running
        return program

    def remove(self, name: str) -> None:
        """Step it no longer; its instances are gone."""
        running = self._running[name]
        dropped = running.dropped
        self._whole(self._unseat, running)
        del self._running[name]
        self._dropped += dropped

    def __len__(self) -> int:
        """How many monitors it steps."""
        return len(self._running)

    def reset(self) -> None:
        """Every instance of every monitor stops monitoring (what ``monitoring_on`` 0 → 1 does)."""
        for stepper in self._steppers:
            stepper.forget()

    def observe(self, name: str, on: bool) -> None:
        """Whether the steps of this monitor are reported, beside its violations."""
        self._running[name].observed = on

    def wanted(self) -> dict[int, frozenset[str]]:
        """The tracepoints and fields that the monitors need, by number."""
        fields: dict[int, frozenset[str]] = {}
        for running in self._running.values():
            for tp, names in running.program.wanted.items():
                fields[tp] = fields.get(tp, frozenset()) | names
        return fields

    def step(self, batch: Batch, seen: list[Transition] | None = None) -> list[Verdict]:
        """The violations in a batch, in the order of its events.

        The steps of observed monitors are appended to ``seen``, likewise in order. Where
        events were lost before the batch, no instance that they could concern is judged on
        the gap: it stops monitoring until its next start.
        """
        found: list[Found] = []
        steps: list[Transition] = []
        if any(running.program.asks_priorities for running in self._running.values()):
            self._priorities.before(batch)
        for stepper in self._steppers:
            if batch.lost:
                stepper.forget(batch.lost)
            found += stepper.step(batch, self._priorities, steps)
        self._divide()
        if seen is not None:
            seen += sorted(steps, key=lambda step: step.position)
        return self._in_order(found)

    def advance(self, now: int) -> list[Verdict]:
        """The clock has come to ``now`` (ns) without an event: the timers that ran out."""
        found: list[Found] = []
        for running in self._running.values():
            if isinstance(running, Timed):
                found += running.expire(now, batch_of([]))
        return self._in_order(found)

    # -- while it runs ---------------------------------------------------------------------

    def replace(self, program: Program) -> Replaced:
        """Swap the program of the running monitor of that name; parameters go by their names.

        Raises as :meth:`add`, and then nothing has changed.
        """
        name = program.monitor.name
        old, steppers = self._running[name], list(self._steppers)
        new = run(program, self._manner)
        if isinstance(new, Timed):
            known = program.monitor.params
            new.set_params({n: value for n, value in old.params.items() if n in known})
        self._whole(self._reseat, old, new)
        replaced = Replaced(new.tally.kept, new.tally.anew, partial(self._restore, old, steppers))
        self._running[name] = new
        return replaced

    def _restore(self, old: Running, steppers: list[Stepping]) -> None:
        """Undo a replacement."""
        self._running[old.program.monitor.name] = old
        self._sit(steppers)

    def set_param(self, name: str, param: str, value: int) -> None:
        """Change a parameter; it counts from the next condition and the next timer on."""
        running = self._running[name]
        if isinstance(running, Timed):
            running.set_params({param: value})

    def params(self, name: str) -> Mapping[str, int]:
        """The parameters of a running monitor."""
        return self._running[name].params

    def inside(self, name: str) -> Inside:
        """What can be seen of a running monitor."""
        return self._running[name]

    # -- who steps with whom ---------------------------------------------------------------

    def _whole(self, change: Callable[..., None], *who: Running) -> None:
        """Do it, or else leave everybody where they were."""
        steppers = list(self._steppers)
        try:
            change(*who)
        except BaseException:
            self._sit(steppers)
            raise

    def _sit(self, steppers: list[Stepping]) -> None:
        """Be stepped by these again: teams stay as they are when others go on for them."""
        self._steppers = steppers
        for stepper in steppers:
            if isinstance(stepper, Team):
                stepper.gather()

    def _seat(self, running: Running) -> None:
        """Give a monitor instances: in a team, or its own."""
        if not isinstance(running, Plain):
            self._steppers.append(running.home)
            return
        team = self._welcoming(running.program.monitor.scope)
        if team is None:
            self._steppers.append(Team((running,), self._manner))
        else:
            self._regroup(team, (*team.members, running))

    def _welcoming(self, scope: Scope) -> Team | None:
        """A team of this scope that has room. Objects of several monitors have no more in common
        than their numbers."""
        for stepper in self._steppers:
            if isinstance(stepper, Team) and stepper.scope is scope and stepper.welcoming:
                return None if scope is Scope.OBJECT else stepper
        return None

    def _unseat(self, running: Running) -> None:
        home = running.home
        if isinstance(home, Team) and len(home.members) > 1:
            self._regroup(home, tuple(one for one in home.members if one is not running))
        else:
            self._steppers.remove(home)

    def _reseat(self, old: Running, new: Running) -> None:
        """Have ``new`` step where ``old`` did, if that is possible."""
        team, scope = old.home, new.program.monitor.scope
        if isinstance(team, Team) and isinstance(new, Plain) and team.scope is scope:
            self._regroup(team, tuple(new if one is old else one for one in team.members))
        else:
            self._unseat(old)
            self._seat(new)
        new.take_over(old)

    def _regroup(self, team: Team, *parts: Sequence[Plain]) -> None:
        """Have other teams go on for this one."""
        place = self._steppers.index(team)
        teams = [Team(part, self._manner, team) for part in parts]
        self._steppers[place : place + 1] = teams

    def _divide(self) -> None:
        """Have two teams go on for one whose product has become too large."""
        for stepper in list(self._steppers):
            if isinstance(stepper, Team) and stepper.crowded:
                half = len(stepper.members) // 2
                self._regroup(stepper, stepper.members[:half], stepper.members[half:])

    def _in_order(self, found: list[Found]) -> list[Verdict]:
        """By their place, at one place in the order of the monitors, and of one by rank."""
        if len(found) > 1:
            numbers = {name: number for number, name in enumerate(self._running)}
            found.sort(key=lambda one: (*one.place, numbers[one.verdict.monitor], one.verdict.rank))
        return [one.verdict for one in found]
