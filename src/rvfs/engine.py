"""The enabled monitors and their instances.

``step`` takes a batch and returns the verdicts; it is synchronous and does no I/O. The
semantics are those of the kernel's monitors (include/rv/{da,ha,ltl}_monitor.h); the rooms
below have them: :mod:`rvfs.select` what an event brings, :mod:`rvfs.program` the tables,
:mod:`rvfs.running` the instances.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from rvfs import _stepper
from rvfs._stepper import Twin
from rvfs.event import Batch, Transition, Verdict, batch_of
from rvfs.inside import Inside
from rvfs.monitor import Monitor
from rvfs.program import Program, compile_monitor
from rvfs.running import Found, Running, Timed, run
from rvfs.select import Priorities
from rvfs.tracepoint import Vocabulary

_SWITCH = "sched:sched_switch"


class Replaced(NamedTuple):
    """How many instances kept their state, how many start anew, and what restores what was."""

    kept: int
    anew: int
    undo: Callable[[], None]


class Engine:
    """Steps the monitors that were added. ``twin`` is the native code, or its interpreted twin."""

    def __init__(self, vocabulary: Vocabulary, twin: Twin = _stepper.chosen) -> None:
        self._vocabulary, self._twin = vocabulary, twin
        self._running: dict[str, Running] = {}
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
        self._running[program.monitor.name] = run(program, self._twin)
        return program

    def remove(self, name: str) -> None:
        """Step it no longer; its instances are gone."""
        self._dropped += self._running.pop(name).dropped

    def __len__(self) -> int:
        """How many monitors it steps."""
        return len(self._running)

    def reset(self) -> None:
        """Every instance of every monitor stops monitoring (what ``monitoring_on`` 0 → 1 does)."""
        for running in self._running.values():
            running.forget()

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
        for running in self._running.values():
            if batch.lost:
                running.forget(batch.lost)
            found += running.step(batch, self._priorities, steps)
        if seen is not None:
            seen += sorted(steps, key=lambda step: step.position)
        return _in_order(found)

    def advance(self, now: int) -> list[Verdict]:
        """The clock has come to ``now`` (ns) without an event: the timers that ran out."""
        found: list[Found] = []
        for running in self._running.values():
            if isinstance(running, Timed):
                found += running.expire(now, batch_of([]))
        return _in_order(found)

    # -- while it runs ---------------------------------------------------------------------

    def replace(self, program: Program) -> Replaced:
        """Swap the program of the running monitor of that name; parameters go by their names.

        Raises as :meth:`add`, and then nothing has changed.
        """
        name = program.monitor.name
        old = self._running[name]
        new = run(program, self._twin)
        if isinstance(new, Timed):
            known = program.monitor.params
            new.set_params({n: value for n, value in old.params.items() if n in known})
        new.take_over(old)
        self._running[name] = new
        undo = partial(self._running.__setitem__, name, old)
        return Replaced(new.stats.kept, new.stats.anew, undo)

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


def _in_order(found: list[Found]) -> list[Verdict]:
    return [one.verdict for one in sorted(found, key=lambda one: one.place)]
