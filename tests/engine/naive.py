"""The semantics of a monitor, written one event at a time and as plainly as possible.

It shares nothing with the engine but the frozen data (monitor, automaton, bindings); in
particular it evaluates conditions itself, on single values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rvfs.model.automaton import Automaton
from rvfs.monitor import Binding, Entry, Monitor, Scope

#: tracepoint, time, cpu, current pid, fields
Event = tuple[str, int, int, int, Mapping[str, Any]]

#: The conditions that the tests use, written again in Python.
CONDITIONS = {
    "prev_state == 1": lambda f: f["prev_state"] == 1,
    "prev_state & 0x100": lambda f: f["prev_state"] & 0x100 != 0,
    "prev_state != 0 && next_prio < 100": lambda f: f["prev_state"] != 0 and f["next_prio"] < 100,
    "prio >= 100 || comm ~ 'rt*'": lambda f: f["prio"] >= 100 or f["comm"].startswith(b"rt"),
    '!(comm == "rtk")': lambda f: f["comm"] != b"rtk",
}


@dataclass
class Naive:
    """``step(event)`` returns (key, state, event) of violations and fills ``transitions``."""

    monitor: Monitor
    states: dict[Any, str] = field(default_factory=dict)
    transitions: list[tuple[Any, str, str, str, bool]] = field(default_factory=list)

    def step(self, event: Event) -> list[tuple[Any, str, str]]:
        tracepoint, _time, cpu, _pid, fields = event
        found = []
        if self.monitor.scope is Scope.TASK and tracepoint == "sched:sched_process_fork":
            self.states.pop(self.task(fields["child_pid"], cpu), None)
        for binding in self.chosen(event):
            violation = self.take(self.key(binding, event), binding)
            found += [violation] if violation else []
        if self.monitor.scope is Scope.TASK:
            self.bury(tracepoint, cpu, fields)
        return found

    def bury(self, tracepoint: str, cpu: int, fields: Mapping[str, Any]) -> None:
        if tracepoint in ("sched:sched_process_exit", "sched:sched_process_free"):
            self.states.pop(self.task(fields["pid"], cpu), None)
        if tracepoint == "sched:sched_switch" and fields["prev_state"] & 0x30:
            self.states.pop(self.task(fields["prev_pid"], cpu), None)

    def chosen(self, event: Event) -> Sequence[Binding]:
        """Per instance named, the first binding that holds."""
        first: dict[Any, Binding | None] = {}
        for binding in self.monitor.bindings:
            if binding.tracepoint != event[0]:
                continue
            name = (binding.task, binding.cpu)
            first.setdefault(name, None)
            holds = binding.when is None or CONDITIONS[binding.when.text](event[4])
            if first[name] is None and holds:
                first[name] = binding
        return [binding for binding in first.values() if binding is not None]

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
        return self.task(fields[binding.task] if binding.task else pid, cpu)

    def take(self, key: Any, binding: Binding) -> tuple[Any, str, str] | None:
        model = self.monitor.model
        assert isinstance(model, Automaton)
        if key not in self.states:
            if binding.entry is Entry.HANDLE:
                return None
            self.states[key] = model.initial
            if binding.entry is Entry.START:
                return None
        old = self.states[key]
        new = model.next_state(old, binding.event)
        if new is None:
            del self.states[key]
            return key, old, binding.event
        self.states[key] = new
        self.transitions.append((key, old, binding.event, new, new in model.final))
        return None
