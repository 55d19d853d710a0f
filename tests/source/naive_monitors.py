"""The shipped automata, written once more: by hand from their specification, one event at a time.

This shares nothing with rvfs but the batch. A table line is ``state event -> next``; what it
does not name is a violation. A rule is tracepoint, whose instance, condition, entry, event;
of the rules of one tracepoint and one instance the first whose condition holds applies.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rvfs.event import Batch
from rvfs.tracepoint import Vocabulary

Fields = Mapping[str, Any]
#: monitor, time, CPU (-1 where time alone did it), key (pid, id of an object, None of a per-CPU
#: monitor), event
Report = tuple[str, int, int, int | None, str]
Rule = tuple[str, str | None, Callable[[Fields], bool], str, str]


def always(_: Fields) -> bool:
    return True


MODELS = {
    "wip": ("preemptive", """
        preemptive preempt_disable -> non_preemptive
        non_preemptive preempt_enable -> preemptive
        non_preemptive sched_waking -> non_preemptive"""),
    "wwnr": ("not_running", """
        not_running switch_in -> running
        not_running wakeup -> not_running
        running switch_out -> not_running"""),
    "sco": ("thread_context", """
        thread_context sched_set_state -> thread_context
        thread_context schedule_entry -> scheduling_context
        scheduling_context schedule_exit -> thread_context"""),
    "snroc": ("other_context", """
        other_context sched_switch_in -> own_context
        own_context sched_set_state -> own_context
        own_context sched_switch_out -> other_context"""),
    "scpd": ("cant_sched", """
        cant_sched preempt_disable -> can_sched
        can_sched preempt_enable -> cant_sched
        can_sched schedule_entry -> can_sched
        can_sched schedule_exit -> can_sched"""),
    "snep": ("non_scheduling_context", """
        non_scheduling_context preempt_disable -> non_scheduling_context
        non_scheduling_context preempt_enable -> non_scheduling_context
        non_scheduling_context schedule_entry -> scheduling_contex
        scheduling_contex schedule_exit -> non_scheduling_context"""),
    "sts": ("can_sched", """
        can_sched irq_disable -> cant_sched
        can_sched schedule_entry -> scheduling
        cant_sched irq_enable -> can_sched
        cant_sched irq_entry -> cant_sched
        disable_to_switch irq_enable -> enable_to_exit
        disable_to_switch irq_entry -> in_irq
        disable_to_switch sched_switch -> switching
        enable_to_exit irq_disable -> enable_to_exit
        enable_to_exit irq_enable -> enable_to_exit
        enable_to_exit irq_entry -> enable_to_exit
        enable_to_exit schedule_exit -> can_sched
        in_irq irq_enable -> scheduling
        in_irq irq_entry -> in_irq
        scheduling irq_disable -> disable_to_switch
        switching irq_enable -> enable_to_exit"""),
    "nrp": ("preempt_irq", """
        preempt_irq irq_entry -> preempt_irq
        preempt_irq sched_need_resched -> preempt_irq
        preempt_irq schedule_entry -> nested_preempt
        preempt_irq schedule_entry_preempt -> nested_preempt
        any_thread_running irq_entry -> any_thread_running
        any_thread_running sched_need_resched -> rescheduling
        any_thread_running schedule_entry -> any_thread_running
        nested_preempt irq_entry -> nested_preempt
        nested_preempt sched_need_resched -> preempt_irq
        nested_preempt schedule_entry -> any_thread_running
        nested_preempt schedule_entry_preempt -> any_thread_running
        rescheduling irq_entry -> preempt_irq
        rescheduling sched_need_resched -> rescheduling
        rescheduling schedule_entry -> any_thread_running
        rescheduling schedule_entry_preempt -> any_thread_running"""),
    "sssw": ("runnable", """
        runnable sched_set_state_runnable -> runnable
        runnable sched_set_state_sleepable -> sleepable
        runnable sched_switch_blocking -> sleeping
        runnable sched_switch_in -> runnable
        runnable sched_switch_preempt -> runnable
        runnable sched_switch_yield -> runnable
        runnable sched_wakeup -> runnable
        runnable signal_deliver -> runnable
        signal_wakeup sched_set_state_sleepable -> sleepable
        signal_wakeup sched_switch_in -> signal_wakeup
        signal_wakeup sched_switch_preempt -> signal_wakeup
        signal_wakeup sched_switch_yield -> signal_wakeup
        signal_wakeup sched_wakeup -> signal_wakeup
        signal_wakeup signal_deliver -> runnable
        sleepable sched_set_state_runnable -> runnable
        sleepable sched_set_state_sleepable -> sleepable
        sleepable sched_switch_blocking -> sleeping
        sleepable sched_switch_in -> sleepable
        sleepable sched_switch_preempt -> sleepable
        sleepable sched_switch_suspend -> sleeping
        sleepable sched_switch_yield -> signal_wakeup
        sleepable sched_wakeup -> runnable
        sleepable signal_deliver -> sleepable
        sleeping sched_wakeup -> runnable"""),
    "opid": ("any", """
        any sched_need_resched -> any
        any sched_waking -> any"""),
    "stall": ("dequeued", """
        dequeued sched_wakeup -> enqueued
        enqueued sched_switch_in -> running
        enqueued sched_wakeup -> enqueued
        running sched_switch_in -> running
        running sched_switch_preempt -> enqueued
        running sched_switch_wait -> dequeued
        running sched_wakeup -> running"""),
    "nomiss": ("ready", """
        ready dl_replenish -> ready
        ready dl_server_idle -> idle
        ready dl_server_stop -> sleeping
        ready dl_throttle -> throttled
        ready sched_switch_in -> running
        ready sched_wakeup -> ready
        idle dl_replenish -> ready
        idle dl_server_idle -> idle
        idle dl_server_stop -> sleeping
        idle dl_throttle -> throttled
        idle sched_switch_in -> running
        running dl_replenish -> running
        running dl_server_idle -> idle
        running dl_server_stop -> sleeping
        running dl_throttle -> throttled
        running sched_switch_in -> running
        running sched_switch_suspend -> sleeping
        running sched_wakeup -> running
        sleeping dl_replenish -> ready
        sleeping dl_server_idle -> sleeping
        sleeping dl_server_stop -> sleeping
        sleeping dl_throttle -> throttled
        sleeping sched_switch_in -> running
        sleeping sched_wakeup -> ready
        throttled dl_replenish -> ready
        throttled dl_server_idle -> throttled
        throttled dl_throttle -> throttled
        throttled sched_switch_suspend -> throttled
        throttled sched_wakeup -> throttled"""),
}  # fmt: skip

PER_TASK = {"wwnr", "snroc", "nrp", "sssw", "stall"}
PER_OBJECT = {"nomiss"}

SWITCH, WAKING, WAKEUP = "sched:sched_switch", "sched:sched_waking", "sched:sched_wakeup"
ENTRY, EXIT = "sched:sched_entry_tp", "sched:sched_exit_tp"
SET_STATE, NEED_RESCHED = "sched:sched_set_state_tp", "sched:sched_set_need_resched_tp"
PREEMPT_DISABLE, PREEMPT_ENABLE = "preemptirq:preempt_disable", "preemptirq:preempt_enable"
IRQ_DISABLE, IRQ_ENABLE = "preemptirq:irq_disable", "preemptirq:irq_enable"
IRQ_ENTRIES = (
    "irq:irq_handler_entry",
    "irq_vectors:local_timer_entry",
    "irq_vectors:irq_work_entry",
    "irq_vectors:reschedule_entry",
    "irq_vectors:call_function_entry",
    "irq_vectors:call_function_single_entry",
)

SYS_ENTER, SYS_EXIT = "raw_syscalls:sys_enter", "raw_syscalls:sys_exit"
REPLENISH, THROTTLE = "sched:sched_dl_replenish_tp", "sched:sched_dl_throttle_tp"
FORK, NEWTASK, EXIT_OF_PROCESS = (
    "sched:sched_process_fork", "task:task_newtask", "sched:sched_process_exit",
)  # fmt: skip


def sleeps(f: Fields) -> bool:
    return f["prev_state"] not in (0, 0x100)


def leaves_the_policy(f: Fields) -> bool:
    return bool(f["id"] == 314 or (f["id"] == 144 and f["args[1]"] != 6))


RULES: dict[str, list[Rule]] = {
    "opid": [
        (NEED_RESCHED, None, always, "start_run", "sched_need_resched"),
        (WAKING, None, always, "start_run", "sched_waking"),
    ],
    "stall": [
        (SWITCH, "prev_pid", sleeps, "start", "sched_switch_wait"),
        (SWITCH, "prev_pid", always, "handle", "sched_switch_preempt"),
        (SWITCH, "next_pid", always, "handle", "sched_switch_in"),
        (WAKEUP, "pid", always, "handle", "sched_wakeup"),
    ],
    "nomiss": [
        (REPLENISH, "id", always, "handle", "dl_replenish"),
        (THROTTLE, "id", always, "handle", "dl_throttle"),
        ("sched:sched_dl_server_stop_tp", "id", always, "start_run", "dl_server_stop"),
        (SWITCH, "prev_pid", lambda f: f["prev_prio"] < 0 and sleeps(f), "handle",
         "sched_switch_suspend"),
        (SWITCH, "next_pid", lambda f: f["next_prio"] < 0, "start_run", "sched_switch_in"),
        (SWITCH, "-cpu", lambda f: f["next_pid"] == 0, "handle", "dl_server_idle"),
        (WAKEUP, "pid", lambda f: f["prio"] < 0, "handle", "sched_wakeup"),
        (EXIT_OF_PROCESS, "pid", lambda f: f["prio"] < 0, "reset", ""),
        (SYS_ENTER, "common_pid", lambda f: leaves_the_policy(f) and f["args[0]"] == 0,
         "reset", ""),
        (SYS_ENTER, "args[0]", leaves_the_policy, "reset", ""),
    ],
    "wip": [
        (PREEMPT_DISABLE, None, always, "handle", "preempt_disable"),
        (PREEMPT_ENABLE, None, always, "start", "preempt_enable"),
        (WAKING, None, always, "handle", "sched_waking"),
    ],
    "wwnr": [
        (SWITCH, "prev_pid", lambda f: f["prev_state"] == 1, "start", "switch_out"),
        (SWITCH, "prev_pid", always, "handle", "switch_out"),
        (SWITCH, "next_pid", always, "handle", "switch_in"),
        (WAKEUP, "pid", always, "handle", "wakeup"),
    ],
    "sco": [
        (SET_STATE, None, always, "start", "sched_set_state"),
        (ENTRY, None, always, "handle", "schedule_entry"),
        (EXIT, None, always, "start", "schedule_exit"),
    ],
    "snroc": [
        (SET_STATE, "pid", always, "handle", "sched_set_state"),
        (SWITCH, "prev_pid", always, "start", "sched_switch_out"),
        (SWITCH, "next_pid", always, "handle", "sched_switch_in"),
    ],
    "scpd": [
        (PREEMPT_DISABLE, None, always, "handle", "preempt_disable"),
        (PREEMPT_ENABLE, None, always, "start", "preempt_enable"),
        (ENTRY, None, always, "handle", "schedule_entry"),
        (EXIT, None, always, "handle", "schedule_exit"),
    ],
    "snep": [
        (PREEMPT_DISABLE, None, always, "start", "preempt_disable"),
        (PREEMPT_ENABLE, None, always, "start", "preempt_enable"),
        (ENTRY, None, always, "handle", "schedule_entry"),
        (EXIT, None, always, "start", "schedule_exit"),
    ],
    "sts": [
        (IRQ_DISABLE, None, always, "handle", "irq_disable"),
        (IRQ_ENABLE, None, always, "handle", "irq_enable"),
        *((entry, None, always, "handle", "irq_entry") for entry in IRQ_ENTRIES),
        (SWITCH, None, always, "handle", "sched_switch"),
        (ENTRY, None, always, "handle", "schedule_entry"),
        (EXIT, None, always, "start", "schedule_exit"),
    ],
    "nrp": [
        *((entry, None, always, "handle", "irq_entry") for entry in IRQ_ENTRIES),
        (NEED_RESCHED, "pid", lambda f: f["tif"] == 3, "start", "sched_need_resched"),
        (ENTRY, None, lambda f: f["preempt"] != 0, "handle", "schedule_entry_preempt"),
        (ENTRY, None, always, "handle", "schedule_entry"),
    ],
    "sssw": [
        (SET_STATE, "pid", lambda f: f["state"] == 0, "start", "sched_set_state_runnable"),
        (SET_STATE, "pid", always, "handle", "sched_set_state_sleepable"),
        (SWITCH, "prev_pid", lambda f: f["prev_state"] & 0x100 != 0, "handle",
         "sched_switch_preempt"),
        (SWITCH, "prev_pid", lambda f: f["prev_state"] == 0, "handle", "sched_switch_yield"),
        (SWITCH, "prev_pid", lambda f: f["prev_state"] == 0x1000, "handle",
         "sched_switch_blocking"),
        (SWITCH, "prev_pid", always, "handle", "sched_switch_suspend"),
        (SWITCH, "next_pid", always, "handle", "sched_switch_in"),
        (WAKEUP, "pid", always, "start", "sched_wakeup"),
        ("signal:signal_deliver", None, always, "handle", "signal_deliver"),
    ],
}  # fmt: skip


def events(batch: Batch) -> Iterator[tuple[int, int, int, int, Fields]]:
    """(tracepoint, time, CPU, current pid, fields), one after the other."""
    columns = {tp: {n: c.tolist() for n, c in cs.items()} for tp, cs in batch.fields.items()}
    records = {
        tp: iter([dict(zip(cs, row, strict=True)) for row in zip(*cs.values(), strict=True)])
        for tp, cs in columns.items()
    }
    heads = zip(*(c.tolist() for c in (batch.tp, batch.time, batch.cpu, batch.pid)), strict=True)
    for tp, time, cpu, pid in heads:
        yield tp, time, cpu, pid, next(records[tp]) if tp in records else {}


class NaiveMonitor:
    """One shipped automaton and its instances: a state by instance, absent when not monitoring."""

    def __init__(self, name: str, vocabulary: Vocabulary) -> None:
        self.name = name
        self.initial, text = MODELS[name]
        rows = [line.split() for line in text.strip().splitlines()]
        self.table = {(state, event): target for state, event, _, target in rows}
        self.states: dict[tuple[str, int], str] = {}
        self.rules: dict[int, dict[str | None, list[Rule]]] = {}
        for rule in RULES[name]:
            mine = self.rules.setdefault(vocabulary.number(rule[0]), {})
            mine.setdefault(rule[1], []).append(rule)
        self.births = {vocabulary.number(FORK): "child_pid", vocabulary.number(NEWTASK): "pid"}
        self.deaths = {vocabulary.number(EXIT_OF_PROCESS), vocabulary.number(SWITCH)}

    def step(self, tp: int, time: int, cpu: int, pid: int, fields: Fields) -> Iterator[Report]:
        yield from self.pass_time(time)
        fields = {**fields, "common_pid": pid, "-cpu": -cpu}
        if tp in self.births:
            self.forget(("task", fields[self.births[tp]]))
        for whose, rules in self.rules.get(tp, {}).items():
            for _, _, holds, entry, event in rules:
                if holds(fields):
                    task = fields[whose] if whose else pid
                    mine = self.instance(task, fields.get("cpu", cpu))
                    if self.violates(mine, entry, event, time, fields):
                        yield self.name, time, cpu, self.key(task), event
                    break
        if tp in self.deaths and fields.get("prev_state", 0x20) & 0x30:
            self.forget(("task", pid))

    def key(self, task: int) -> int | None:
        return task if self.name in PER_TASK | PER_OBJECT else None

    def instance(self, pid: int, cpu: int) -> tuple[str, int]:
        if self.name in PER_OBJECT:
            return "object", pid
        return ("task", pid) if self.name in PER_TASK and pid else ("cpu", cpu)

    def forget(self, instance: tuple[str, int]) -> None:
        self.states.pop(instance, None)

    def pass_time(self, time: int) -> Iterator[Report]:
        """What time alone violates before it is ``time``."""
        return iter(())

    def violates(
        self, instance: tuple[str, int], entry: str, event: str, time: int, fields: Fields
    ) -> bool:
        if entry == "reset":
            self.forget(instance)
            return False
        if instance not in self.states:
            if entry != "handle":
                self.states[instance] = self.initial
            if entry != "start_run":
                return False
        target = self.table.get((self.states[instance], event))
        if target is None or not self.allows(instance, event, target, time, fields):
            del self.states[instance]
            return True
        self.states[instance] = target
        return False

    def allows(
        self, instance: tuple[str, int], event: str, target: str, time: int, fields: Fields
    ) -> bool:
        """Whether the conditions of a transition hold."""
        return True


class NaiveOpid(NaiveMonitor):
    def allows(
        self, instance: tuple[str, int], event: str, target: str, time: int, fields: Fields
    ) -> bool:
        irq_off, preempt_off = fields["common_flags"] & 1, fields["common_preempt_count"] & 0xF
        return bool(irq_off and (preempt_off or event == "sched_need_resched"))


class NaiveTimed(NaiveMonitor):
    """``began`` is when the clock of an instance was reset, ``until`` when its time is over."""

    def __init__(self, name: str, vocabulary: Vocabulary) -> None:
        super().__init__(name, vocabulary)
        self.began: dict[tuple[str, int], int] = {}
        self.until: dict[tuple[str, int], int] = {}

    def limit(self, instance: tuple[str, int], state: str) -> float:
        """How long the clock may run in a state, in ns."""
        return 4_000_000_000 if state == "enqueued" else math.inf

    def resets(self, state: str, event: str) -> bool:
        return (state, event) in {("dequeued", "sched_wakeup"), ("running", "sched_switch_preempt")}

    def guard(self, instance: tuple[str, int], state: str, event: str) -> bool:
        return True

    def forget(self, instance: tuple[str, int]) -> None:
        super().forget(instance)
        self.stop(instance)

    def stop(self, instance: tuple[str, int]) -> None:
        self.began.pop(instance, None)
        self.until.pop(instance, None)

    def pass_time(self, time: int) -> Iterator[Report]:
        for instance, until in sorted(self.until.items(), key=lambda item: item[1]):
            if until < time:
                del self.states[instance]
                self.stop(instance)
                yield self.name, until, -1, instance[1], "none"

    def allows(
        self, instance: tuple[str, int], event: str, target: str, time: int, fields: Fields
    ) -> bool:
        state = self.states[instance]
        if not self.guard(instance, state, event):
            self.stop(instance)
            return False
        if self.resets(state, event):
            self.began[instance] = time
        if state != target or event == "dl_replenish":
            self.until.pop(instance, None)
            limit = self.limit(instance, target)
            if limit < math.inf:
                self.until[instance] = self.began.get(instance, time) + int(limit)
        return True

    def violates(
        self, instance: tuple[str, int], entry: str, event: str, time: int, fields: Fields
    ) -> bool:
        violated = super().violates(instance, entry, event, time, fields)
        if violated:
            self.stop(instance)
        return violated


class NaiveNomiss(NaiveTimed):
    """``told`` are the deadline, the period, and whether it is deferred, of each entity."""

    def __init__(self, name: str, vocabulary: Vocabulary) -> None:
        super().__init__(name, vocabulary)
        self.told: dict[tuple[str, int], tuple[int, int, int]] = {}

    def violates(
        self, instance: tuple[str, int], entry: str, event: str, time: int, fields: Fields
    ) -> bool:
        if event.startswith("dl_") and "dl_deadline" in fields:
            self.told[instance] = fields["dl_deadline"], fields["dl_period"], fields["dl_defer"]
        return super().violates(instance, entry, event, time, fields)

    def limit(self, instance: tuple[str, int], state: str) -> float:
        if state not in ("ready", "running") or instance not in self.told:
            return math.inf
        return self.told[instance][0] + 4_000_000

    def resets(self, state: str, event: str) -> bool:
        return event == "dl_replenish"

    def guard(self, instance: tuple[str, int], state: str, event: str) -> bool:
        deadline, period, defer = self.told.get(instance, (0, 1, 1))
        if event != "dl_throttle":
            return True
        return {"ready": defer == 1, "sleeping": defer == 1 or deadline != period}.get(state, True)
