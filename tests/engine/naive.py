"""The semantics of monitors, written one event at a time and as plainly as possible.

It shares nothing with the engine but the frozen data (monitor, model, bindings); in
particular it evaluates conditions and guards itself, on single values.
"""

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rvfs.model.automaton import INVALID, Automaton
from rvfs.model.filter import Filter
from rvfs.model.rule import Rule
from rvfs.model.terms import Sum
from rvfs.model.timing import JIFFY, UNITS, And, Condition, Guard, Not, Or, Timing
from rvfs.monitor import Action, Binding, Entry, Monitor, Scope

#: tracepoint, time, cpu, current pid, fields
Event = tuple[str, int, int, int, Mapping[str, Any]]
#: key, state, event, env
Violation = tuple[Any, str, str, str | None]

#: The conditions that the tests use, written again in Python.
CONDITIONS = {
    "prev_state == 1": lambda f: f["prev_state"] == 1,
    "prev_state & 0x100": lambda f: f["prev_state"] & 0x100 != 0,
    "prev_state != 0 && next_prio < 100": lambda f: f["prev_state"] != 0 and f["next_prio"] < 100,
    "prio >= 100 || comm ~ 'rt*'": lambda f: f["prio"] >= 100 or f["comm"].startswith(b"rt"),
    '!(comm == "rtk")': lambda f: f["comm"] != b"rtk",
    "prev_pid != next_pid": lambda f: f["prev_pid"] != f["next_pid"],
    "common_cpu == 1 || common_pid < 2": lambda f: f["common_cpu"] == 1 or f["common_pid"] < 2,
    "common_prio <= 60": lambda f: f["common_prio"] <= 60,
}

SIGNS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt,
         "<=": operator.le, ">": operator.gt, ">=": operator.ge}  # fmt: skip


@dataclass
class Someone:
    """An instance. ``state`` is None while it is not monitoring; a rule's is a row."""

    state: Any = None
    clocks: dict[str, int] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    deadline: float | None = None
    atoms: dict[str, bool] = field(default_factory=dict)


@dataclass
class Naive:
    """``step(event)`` returns the violations and fills ``transitions``."""

    monitor: Monitor
    instances: dict[Any, Someone] = field(default_factory=dict)
    transitions: list[tuple[Any, str, str, str, bool]] = field(default_factory=list)
    prios: dict[int, int] = field(default_factory=dict)

    def someone(self, key: Any) -> Someone:
        return self.instances.setdefault(key, Someone(atoms=dict(self.monitor.init)))

    def step(self, event: Event) -> list[Violation]:
        tracepoint, time, cpu, pid, own = event
        common = {"common_cpu": cpu, "common_pid": pid, "common_prio": self.prios.get(cpu, -999)}
        fields = {**own, **common}
        event = (tracepoint, time, cpu, pid, fields)
        found = list(self.expire(time))
        if self.monitor.scope is Scope.TASK and tracepoint == "sched:sched_process_fork":
            self.instances.pop(self.task(fields["child_pid"], cpu), None)
        ends = self.ends(tracepoint, fields) if self.monitor.scope is Scope.TASK else None
        chosen = self.chosen(event)
        named = [place for place, (name, _) in enumerate(chosen) if name == (ends, None, None)]
        for place, (_, binding) in enumerate(chosen):
            if binding is not None:
                found += self.take(self.key(binding, event), binding, time, fields)
            if named and place == named[-1]:
                self.bury(ends, cpu, fields)
        if not named:
            self.bury(ends, cpu, fields)
        if tracepoint == "sched:sched_switch":
            self.prios[cpu] = fields["next_prio"]
        return found

    @staticmethod
    def ends(tracepoint: str, fields: Mapping[str, Any]) -> str | None:
        """The field that names a task which this is the end of."""
        if tracepoint in ("sched:sched_process_exit", "sched:sched_process_free"):
            return "pid"
        last = tracepoint == "sched:sched_switch" and fields["prev_state"] & 0x30
        return "prev_pid" if last else None

    def bury(self, ends: str | None, cpu: int, fields: Mapping[str, Any]) -> None:
        """Right behind what the event brings to that task."""
        if ends is not None:
            self.instances.pop(self.task(fields[ends], cpu), None)

    def chosen(self, event: Event) -> Sequence[tuple[Any, Binding | None]]:
        """Per instance named, the first binding that holds; of a rule, each that holds."""
        first: dict[Any, Binding | None] = {}
        for place, binding in enumerate(self.monitor.bindings):
            if binding.tracepoint != event[0]:
                continue
            name: Any = (binding.task, binding.cpu, binding.id)
            name = (*name, place) if isinstance(self.monitor.model, Rule) else name
            first.setdefault(name, None)
            holds = binding.when is None or CONDITIONS[binding.when.text](event[4])
            if first[name] is None and holds:
                first[name] = binding
        return [(name[:3], binding) for name, binding in first.items()]

    @staticmethod
    def task(pid: int, cpu: int) -> Any:
        return ("idle", cpu) if pid == 0 else pid

    def key(self, binding: Binding, event: Event) -> Any:
        _, _, cpu, pid, fields = event
        cpu = fields[binding.cpu] if binding.cpu else cpu
        if self.monitor.scope is Scope.GLOBAL:
            return None
        if self.monitor.scope is Scope.CPU:
            return cpu
        if self.monitor.scope is Scope.OBJECT:
            assert binding.id is not None
            return self.read(binding.id, fields)
        return self.task(fields[binding.task] if binding.task else pid, cpu)

    @staticmethod
    def read(reading: Any, fields: Mapping[str, Any]) -> int:
        if isinstance(reading, Filter):
            return int(CONDITIONS[reading.text](fields))
        assert isinstance(reading, Sum)
        return reading.constant + sum(factor * int(fields[name]) for name, factor in reading.names)

    def take(
        self, key: Any, binding: Binding, time: int, fields: Mapping[str, Any]
    ) -> Iterator[Violation]:
        if isinstance(self.monitor.model, Rule):
            yield from self.tell(key, binding, fields)
        else:
            yield from self.move(key, binding, time, fields)

    # -- automata, with clocks and without -------------------------------------------------

    def move(
        self, key: Any, binding: Binding, time: int, fields: Mapping[str, Any]
    ) -> Iterator[Violation]:
        model, me = self.monitor.model, self.someone(key)
        assert isinstance(model, Automaton)
        me.told.update({name: self.read(what, fields) for name, what in binding.env.items()})
        if binding.entry is Entry.RESET:
            del self.instances[key]
            return
        if me.state is None:
            if binding.entry is Entry.HANDLE:
                return
            me.state = model.initial
            if binding.entry is Entry.START:
                return
        old, new = me.state, model.next_state(me.state, binding.event)
        if new is None:
            self.stop(me)
            yield key, old, binding.event, None
        elif not self.may(me, old, binding.event, time):
            env = self.env(me, time)
            self.stop(me)
            yield key, old, binding.event, env
        else:
            me.state = new
            self.transitions.append((key, old, binding.event, new, new in model.final))
            self.wind(me, old, binding.event, time)

    @staticmethod
    def stop(me: Someone) -> None:
        me.state, me.clocks, me.deadline = None, {}, None

    @property
    def timing(self) -> Timing:
        model = self.monitor.model
        timing = model.timing if isinstance(model, Automaton) else None
        return timing or Timing((), (), {}, {})

    def may(self, me: Someone, state: str, event: str, time: int) -> bool:
        for bound in self.timing.invariants.get(state, ()):
            limit = self.limit(me, bound)
            if bound.env in me.clocks and limit is not None:
                passed = time - me.clocks[bound.env]
                if passed > limit or (bound.value.unit == "j" and passed == limit):
                    return False
        constraint = self.timing.constraints.get((state, event))
        guard = constraint.guard if constraint else None
        return guard is None or bool(self.untold(me, guard) or self.holds(me, guard, time))

    def untold(self, me: Someone, guard: Guard) -> bool:
        """Whether it mentions what nobody knows."""
        match guard:
            case Condition(env):
                known = me.clocks if env in self.timing.clocks else me.told
                return env not in known or self.limit(me, guard) is None
            case Not(inner):
                return self.untold(me, inner)
            case And(inners) | Or(inners):
                return any(self.untold(me, inner) for inner in inners)

    def holds(self, me: Someone, guard: Guard, time: int) -> bool:
        match guard:
            case Not(inner):
                return not self.holds(me, inner, time)
            case And(inners):
                return all(self.holds(me, inner, time) for inner in inners)
            case Or(inners):
                return any(self.holds(me, inner, time) for inner in inners)
            case Condition(env, sign, value):
                right = self.limit(me, guard)
                assert right is not None
                left = time - me.clocks[env] if env in self.timing.clocks else me.told[env]
                if value.unit == "j" and env in self.timing.clocks:
                    left -= left % JIFFY
                return bool(SIGNS[sign](left, right))

    def limit(self, me: Someone, condition: Condition) -> int | None:
        """The right side; None when nobody told what is in it."""
        value = condition.value
        clock = condition.env in self.timing.clocks
        unit = UNITS[value.unit] if value.unit and (clock or value.unit != "j") else 1
        names: Any = ((value.name, 1),) if value.name else ()
        total = value.number
        if value.name is not None and value.name in self.monitor.values:
            defined = self.monitor.values[value.name]
            names, total = defined.names, defined.constant
        for name, factor in names:
            known = {**me.told, **self.monitor.constants, **self.monitor.params}
            if name not in known:
                return None
            total += factor * known[name]
        return total * unit

    def wind(self, me: Someone, old: str, event: str, time: int) -> None:
        """Resets, then the timer."""
        constraints = self.timing.constraints
        constraint = constraints.get((old, event))
        me.clocks.update(dict.fromkeys(constraint.resets if constraint else (), time))
        model = self.monitor.model
        assert isinstance(model, Automaton)
        stays = any(
            one.resets and name == event and model.next_state(state, name) == state
            for (state, name), one in constraints.items()
        )
        if me.state == old and not stays:
            return
        bounds = self.timing.invariants.get(me.state, ())
        if bounds:
            ends = [
                me.clocks.get(bound.env, time) + limit + (0 if bound.value.unit == "j" else 0.5)
                for bound in bounds
                if (limit := self.limit(me, bound)) is not None
            ]
            me.deadline = max(min(ends), time + 0.5) if ends else None
        elif self.timing.invariants.get(old, ()):
            me.deadline = None

    def expire(self, now: int) -> Iterator[Violation]:
        """The timers that ran out, the earliest first."""
        due = [(one.deadline, str(key), key) for key, one in self.instances.items()
               if one.deadline is not None and one.deadline <= now]  # fmt: skip
        for deadline, _, key in sorted(due, key=lambda one: one[:2]):
            me = self.instances[key]
            state, env = me.state, self.env(me, int(deadline))
            self.stop(me)
            yield key, state, "none", env

    def env(self, me: Someone, time: int) -> str:
        parts = []
        for name in self.timing.clocks:
            unit = JIFFY if name in self.in_jiffies() else 1
            passed = (time - me.clocks[name]) // unit if name in me.clocks else time // unit + 1
            parts.append(f"{name}={passed}")
        parts += [f"{n}={me.told[n] % 2**64 if n in me.told else '?'}" for n in self.timing.envs]
        return ",".join(parts)[:63]

    def in_jiffies(self) -> set[str]:
        def conditions(guard: Guard) -> list[Condition]:
            match guard:
                case Condition():
                    return [guard]
                case Not(inner):
                    return conditions(inner)
                case And(inners) | Or(inners):
                    return [one for inner in inners for one in conditions(inner)]

        found = [one for bounds in self.timing.invariants.values() for one in bounds]
        for constraint in self.timing.constraints.values():
            found += conditions(constraint.guard) if constraint.guard else []
        return {one.env for one in found if one.value.unit == "j"}

    # -- rules -----------------------------------------------------------------------------

    def tell(self, key: Any, binding: Binding, fields: Mapping[str, Any]) -> Iterator[Violation]:
        if binding.action is None:
            self.instances.pop(key, None)
            return
        me = self.someone(key)
        values = {
            atom: bool(self.read(value, fields)) if isinstance(value, Filter) else value
            for atom, value in binding.atoms.items()
        }
        me.atoms.update(values)
        if binding.action is not Action.SET:
            yield from self.validate(key, me, may_start=True)
        if binding.action is Action.PULSE:
            me.atoms.update({atom: not value for atom, value in values.items()})
            yield from self.validate(key, me, may_start=False)

    def validate(self, key: Any, me: Someone, *, may_start: bool) -> Iterator[Violation]:
        rule = self.monitor.model
        assert isinstance(rule, Rule)
        valuation = sum(1 << i for i, atom in enumerate(rule.atoms) if me.atoms.get(atom))
        column = rule.classify(valuation)
        if me.state is None:
            if may_start and all(atom in me.atoms for atom in rule.atoms):
                row = rule.start[column]
                me.state = None if row == INVALID else row
            return
        old, new = me.state, rule.table[me.state][column]
        held = rule.atoms_text(valuation)
        after = "" if new == INVALID else rule.states[new]
        self.transitions.append((key, rule.states[old], held, after, False))
        me.state = new
        if new == INVALID:
            me.state = None
            yield key, rule.states[old], held, None
