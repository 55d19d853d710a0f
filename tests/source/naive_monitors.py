"""The shipped monitors, written once more: by hand from their specification, one event at a time.

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


# -- rules -----------------------------------------------------------------------------------

Atoms = Mapping[str, bool]
#: tracepoint, whose instance, condition, what is done (set, update, pulse), with which atoms.
Hook = tuple[str, str | None, Callable[[Fields], bool], str, Callable[[Fields], Atoms]]


def told(**atoms: bool) -> Callable[[Fields], Atoms]:
    return lambda _: atoms


def rt(field: str) -> Callable[[Fields], Atoms]:
    return lambda f: {"RT": f[field] < 100}


def born(parent: str, *atoms: str) -> Callable[[Fields], Atoms]:
    return lambda f: {**dict.fromkeys(atoms, False), "USER_THREAD": f[parent] != 2}


def calls(number: int, *commands: int) -> Callable[[Fields], bool]:
    return lambda f: f["id"] == number and (not commands or f["args[1]"] & 0x7F in commands)


def in_task(f: Fields) -> bool:
    return not f["common_flags"] & 0x58


PI_SETPRIO = "sched:sched_pi_setprio"
BEGIN, END = "lock:contention_begin", "lock:contention_end"
KNOW_RT: list[Hook] = [
    (SWITCH, "prev_pid", always, "set", rt("prev_prio")),
    (SWITCH, "next_pid", always, "set", rt("next_prio")),
    (PI_SETPRIO, "pid", always, "set", rt("newprio")),
]
KNOW_RT_AND_BLOCKING: list[Hook] = [
    *KNOW_RT,
    (WAKING, "pid", always, "set", rt("prio")),
    (BEGIN, None, lambda f: f["flags"] & 8 != 0, "update", told(BLOCK_ON_RT_MUTEX=True)),
    (END, None, always, "update", told(BLOCK_ON_RT_MUTEX=False)),
    (SYS_ENTER, None, calls(202, 6, 13), "update", told(FUTEX_LOCK_PI=True)),
]
SYSCALLS = (
    "FUTEX_LOCK_PI", "FUTEX_WAIT", "NANOSLEEP_CLOCK_REALTIME", "NANOSLEEP_TIMER_ABSTIME",
    "EPOLL_WAIT", "CLOCK_NANOSLEEP",
)  # fmt: skip
ALLOWED = "BLOCK_ON_RT_MUTEX", "FUTEX_LOCK_PI"
HOOKS: dict[str, list[Hook]] = {
    "pagefault": [
        (NEWTASK, "pid", always, "set", told(PAGEFAULT=False)),
        (FORK, "child_pid", always, "set", told(PAGEFAULT=False)),
        *KNOW_RT,
        ("exceptions:page_fault_user", None, always, "pulse", told(PAGEFAULT=True)),
        ("exceptions:page_fault_kernel", None, always, "pulse", told(PAGEFAULT=True)),
    ],
    "sleep": [
        (NEWTASK, "pid", always, "set", born("common_pid", *SYSCALLS, "BLOCK_ON_RT_MUTEX")),
        (FORK, "child_pid", always, "set", born("parent_pid", *SYSCALLS, "BLOCK_ON_RT_MUTEX")),
        *KNOW_RT_AND_BLOCKING,
        (SET_STATE, "pid", lambda f: f["state"] & 1 != 0, "pulse", told(SLEEP=True)),
        (SET_STATE, "pid", lambda f: f["state"] == 0, "pulse", told(ABORT_SLEEP=True)),
        (EXIT, None, always, "pulse", told(SCHEDULE_IN=True)),
        (WAKING, "pid", lambda f: f["common_flags"] & 8 != 0, "pulse",
         told(WOKEN_BY_HARDIRQ=True)),
        (WAKING, "pid", lambda f: in_task(f) and f["common_prio"] <= f["prio"], "pulse",
         told(WOKEN_BY_EQUAL_OR_HIGHER_PRIO=True)),
        (SYS_ENTER, None, calls(230), "set", lambda f: {
            "NANOSLEEP_CLOCK_REALTIME": f["args[0]"] == 0,
            "NANOSLEEP_TIMER_ABSTIME": f["args[1]"] == 1}),
        (SYS_ENTER, None, calls(230), "update", told(CLOCK_NANOSLEEP=True)),
        (SYS_ENTER, None, calls(202, 0, 9, 11), "update", told(FUTEX_WAIT=True)),
        (SYS_ENTER, None, calls(232), "update", told(EPOLL_WAIT=True)),
        (SYS_EXIT, None, always, "set",
         told(USER_THREAD=True, **dict.fromkeys(SYSCALLS[:-1], False))),
        (SYS_EXIT, None, always, "update", told(CLOCK_NANOSLEEP=False)),
    ],
    "wakeup": [
        (NEWTASK, "pid", always, "set", born("common_pid", *ALLOWED)),
        (FORK, "child_pid", always, "set", born("parent_pid", *ALLOWED)),
        *KNOW_RT_AND_BLOCKING,
        (WAKING, "pid", lambda f: in_task(f) and f["common_prio"] > f["prio"], "pulse",
         told(WOKEN_BY_LOWER_PRIO=True)),
        (WAKING, "pid", lambda f: f["common_flags"] & 0x10 != 0, "pulse",
         told(WOKEN_BY_SOFTIRQ=True)),
        (SYS_EXIT, None, always, "set", told(USER_THREAD=True)),
        (SYS_EXIT, None, always, "update", told(FUTEX_LOCK_PI=False)),
    ],
}  # fmt: skip

#: Each atom, what it is called in traces, and whether it is false from the start.
ABBREVIATED: dict[str, dict[str, tuple[str, bool]]] = {
    "pagefault": {"PAGEFAULT": ("pa", False), "RT": ("rt", False)},
    "sleep": {
        "ABORT_SLEEP": ("ab_sl", True), "BLOCK_ON_RT_MUTEX": ("bl_on_rt_mu", False),
        "CLOCK_NANOSLEEP": ("cl_na", False), "EPOLL_WAIT": ("ep_wa", False),
        "FUTEX_LOCK_PI": ("fu_lo_pi", False), "FUTEX_WAIT": ("fu_wa", False),
        "NANOSLEEP_CLOCK_REALTIME": ("na_cl_re", False),
        "NANOSLEEP_TIMER_ABSTIME": ("na_ti_ab", False), "RT": ("rt", False),
        "SCHEDULE_IN": ("sch_in", True), "SLEEP": ("sle", True), "USER_THREAD": ("us_th", False),
        "WOKEN_BY_EQUAL_OR_HIGHER_PRIO": ("wo_eq_hi_pr", True), "WOKEN_BY_HARDIRQ": ("wo_ha", True),
        "WOKEN_BY_NMI": ("wo_nm", True),
    },
    "wakeup": {
        "BLOCK_ON_RT_MUTEX": ("bl_on_rt_mu", False), "FUTEX_LOCK_PI": ("fu_lo_pi", False),
        "RT": ("rt", False), "USER_THREAD": ("us_th", False),
        "WOKEN_BY_LOWER_PRIO": ("wo_lo_pr", True), "WOKEN_BY_SOFTIRQ": ("wo_so", True),
    },
}  # fmt: skip


def of_pagefault(a: Atoms, _: frozenset[int]) -> frozenset[int]:
    return frozenset() if a["RT"] and a["PAGEFAULT"] else frozenset({0})


def of_wakeup(a: Atoms, _: frozenset[int]) -> frozenset[int]:
    badly = a["WOKEN_BY_LOWER_PRIO"] or a["WOKEN_BY_SOFTIRQ"]
    allowed = a["BLOCK_ON_RT_MUTEX"] or a["FUTEX_LOCK_PI"]
    return frozenset() if a["RT"] and a["USER_THREAD"] and badly and not allowed else frozenset({0})


def of_sleep(a: Atoms, states: frozenset[int]) -> frozenset[int]:
    """The Büchi automaton of the specification; the start is as from state 0."""
    idle = not (a["RT"] and a["SLEEP"] and a["USER_THREAD"])
    nanosleep = a["CLOCK_NANOSLEEP"] and a["NANOSLEEP_TIMER_ABSTIME"]
    ok = a["FUTEX_WAIT"] or a["EPOLL_WAIT"] or (nanosleep and not a["NANOSLEEP_CLOCK_REALTIME"])
    quiet, allowed = not a["SCHEDULE_IN"], a["BLOCK_ON_RT_MUTEX"] or a["FUTEX_LOCK_PI"]
    woken = (
        a["WOKEN_BY_EQUAL_OR_HIGHER_PRIO"] or a["WOKEN_BY_HARDIRQ"] or a["WOKEN_BY_NMI"]
        or a["ABORT_SLEEP"]
    )  # fmt: skip
    labels = {
        0: idle, 1: ok and quiet, 2: quiet and idle, 3: woken and idle,
        4: ok and woken, 5: allowed, 6: quiet and allowed, 7: woken and allowed,
    }  # fmt: skip
    after = {state: {0, 1, 4, 5} for state in (0, 3, 4, 5, 7)}
    after.update({state: {1, 2, 3, 4, 6, 7} for state in (1, 2, 6)})
    return frozenset(s for state in states for s in after[state] if labels[s])


STEPS = {"pagefault": of_pagefault, "sleep": of_sleep, "wakeup": of_wakeup}


class NaiveRule(NaiveMonitor):
    """One shipped LTL rule: what is known of the atoms, and the set of states, by instance."""

    def __init__(self, name: str, vocabulary: Vocabulary) -> None:
        self.name = name
        self.hooks: dict[int, list[Hook]] = {}
        for hook in HOOKS[name]:
            self.hooks.setdefault(vocabulary.number(hook[0]), []).append(hook)
        self.births = {vocabulary.number(FORK): "child_pid", vocabulary.number(NEWTASK): "pid"}
        self.deaths = {vocabulary.number(EXIT_OF_PROCESS), vocabulary.number(SWITCH)}
        self.switch = vocabulary.number(SWITCH)
        self.known: dict[tuple[str, int], dict[str, bool]] = {}
        self.sets: dict[tuple[str, int], frozenset[int]] = {}
        self.prios: dict[int, int] = {}

    def step(self, tp: int, time: int, cpu: int, pid: int, fields: Fields) -> Iterator[Report]:
        fields = {**fields, "common_pid": pid, "common_prio": self.prios.get(cpu, -(1 << 31))}
        if tp in self.births:
            self.forget(("task", fields[self.births[tp]]))
        for _, whose, holds, action, atoms in self.hooks.get(tp, []):
            if holds(fields):
                task = fields[whose] if whose else pid
                instance = ("task", task) if task else ("cpu", cpu)
                for held in self.act(instance, action, atoms(fields)):
                    yield self.name, time, cpu, task, held
        if tp in self.deaths and fields.get("prev_state", 0x20) & 0x30:
            self.forget(("task", pid))
        if tp == self.switch:
            self.prios[cpu] = fields["next_prio"]

    def forget(self, instance: tuple[str, int]) -> None:
        self.known.pop(instance, None)
        self.sets.pop(instance, None)

    def act(self, instance: tuple[str, int], action: str, atoms: Atoms) -> Iterator[str]:
        """The atoms that held at each violation."""
        all_atoms = ABBREVIATED[self.name]
        known = self.known.setdefault(
            instance, {atom: False for atom, (_, at_first) in all_atoms.items() if at_first}
        )
        known.update(atoms)
        if action == "set":
            return
        if self.sets.get(instance):
            yield from self.validate(instance, known)
        elif known.keys() == all_atoms.keys():
            self.sets[instance] = STEPS[self.name](known, frozenset({0}))
        if action == "pulse":
            known.update({atom: not value for atom, value in atoms.items()})
            yield from self.validate(instance, known)

    def validate(self, instance: tuple[str, int], known: Atoms) -> Iterator[str]:
        before = self.sets.get(instance)
        if before:
            self.sets[instance] = STEPS[self.name](known, before)
            if not self.sets[instance]:
                names = ABBREVIATED[self.name]
                yield ",".join(names[atom][0] for atom in sorted(known) if known[atom])


#: Who judges like the shipped monitor of that name.
NAIVE: Mapping[str, type[NaiveMonitor]] = {
    **dict.fromkeys(MODELS, NaiveMonitor), **dict.fromkeys(HOOKS, NaiveRule),
    "opid": NaiveOpid, "stall": NaiveTimed, "nomiss": NaiveNomiss,
}  # fmt: skip


def naive(name: str, vocabulary: Vocabulary) -> NaiveMonitor:
    return NAIVE[name](name, vocabulary)
