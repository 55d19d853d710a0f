"""The words of which the scripts of the simulated machine are made: what each emits.

A word is a tracepoint with its fields. A field comes from the record that plays the script
(``b.pid``, ``n``, ``m.name``), from the script (``value``), or is the same every time.
"""

from collections.abc import Mapping

#: Where a field's value comes from: ``b.pid``, ``n``, ``m.name``, ``value``, or a number.
Origin = str | int

Fields = Mapping[str, Origin]

#: What a task is raised to that holds a lock for which cyclictest waits.
BOOSTED = 19

#: System calls of x86_64 by number (arch/x86/entry/syscalls/syscall_64.tbl).
READ, GETPID, FUTEX, CLOCK_NANOSLEEP, EPOLL_WAIT = 0, 39, 202, 230, 232
FUTEX_WAIT_PRIVATE, FUTEX_LOCK_PI_PRIVATE = 0x80, 0x86
CLOCK_MONOTONIC, TIMER_ABSTIME = 1, 1

#: Deadline entities (include/trace/events/sched.h), and what they are given, in ns.
DL_TASK, DL_SERVER_FAIR = 1, 2
#: A task has a constrained deadline, the fair server of a CPU is deferred.
DL_TASK_DEADLINE, DL_SERVER_DEADLINE = 50_000_000, 1_000_000_000
#: That of a server that will miss it.
DL_SHORT_DEADLINE = 1_000_000

_COMM_PID_PRIO: Fields = {"comm": "b.comm", "pid": "b.pid", "prio": "b.prio"}
_WOKEN: Fields = {**_COMM_PID_PRIO, "target_cpu": "n"}
_CALLER: Fields = {"caller_offs": 0x1A2B40, "parent_offs": 0x1A3F88}
_FAULT: Fields = {"address": 0x55D0C3A1F018, "ip": 0x55D0C2E7751A, "error_code": "value"}
_LOCK: Fields = {"lock_addr": 0x5F2C9A41}
_ENTITY: Fields = {"id": "m", "cpu": "n"}
_TASK: Fields = {
    **_ENTITY, "type": DL_TASK, "dl_runtime": 10_000_000, "dl_deadline": DL_TASK_DEADLINE,
    "dl_period": 2 * DL_TASK_DEADLINE, "dl_defer": 0,
}  # fmt: skip
_SERVER: Fields = {
    **_ENTITY, "type": DL_SERVER_FAIR, "dl_runtime": 50_000_000, "dl_deadline": DL_SERVER_DEADLINE,
    "dl_period": DL_SERVER_DEADLINE, "dl_defer": 1,
}  # fmt: skip


def _call(number: int, *arguments: int) -> tuple[str, int, Fields]:
    """A system call with its first arguments."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    fields: Fields = {"id": number, **{f"args[{i}]": value for i, value in enumerate(padded)}}
    return "raw_syscalls:sys_enter", 190, fields


def _raised(task: str, old: Origin, new: Origin) -> tuple[str, int, Fields]:
    fields: Fields = {"comm": f"{task}.comm", "pid": f"{task}.pid", "oldprio": old, "newprio": new}
    return "sched:sched_pi_setprio", 160, fields


#: word → tracepoint, nanoseconds until the next one, fields.
WORDS: Mapping[str, tuple[str, int, Fields]] = {
    "preempt_disable": ("preemptirq:preempt_disable", 70, _CALLER),
    "preempt_enable": ("preemptirq:preempt_enable", 130, _CALLER),
    "irq_disable": ("preemptirq:irq_disable", 60, _CALLER),
    "irq_enable": ("preemptirq:irq_enable", 90, _CALLER),
    "entry": ("sched:sched_entry_tp", 110, {"preempt": "value"}),
    "exit": ("sched:sched_exit_tp", 80, {"is_switch": "value"}),
    "switch": ("sched:sched_switch", 740, {
        "prev_comm": "a.comm", "prev_pid": "a.pid", "prev_prio": "a.prio", "prev_state": "value",
        "next_comm": "b.comm", "next_pid": "b.pid", "next_prio": "b.prio"}),
    "set_state": ("sched:sched_set_state_tp", 150,
                  {"comm": "a.comm", "pid": "a.pid", "state": "value"}),
    "set_state_of_woken": ("sched:sched_set_state_tp", 150,
                           {"comm": "b.comm", "pid": "b.pid", "state": "value"}),
    "need_resched": ("sched:sched_set_need_resched_tp", 120,
                     {"comm": "c.comm", "pid": "c.pid", "cpu": "n", "tif": "m"}),
    "waking": ("sched:sched_waking", 330, _WOKEN),
    "wakeup": ("sched:sched_wakeup", 140, _WOKEN),
    "waking_boosted": ("sched:sched_waking", 330, {**_WOKEN, "prio": BOOSTED}),
    "wakeup_boosted": ("sched:sched_wakeup", 140, {**_WOKEN, "prio": BOOSTED}),
    "boost": _raised("a", "a.prio", BOOSTED),
    "unboost": _raised("a", BOOSTED, "a.prio"),
    "boost_woken": _raised("b", "b.prio", BOOSTED),
    "unboost_woken": _raised("b", BOOSTED, "b.prio"),
    "wakeup_new": ("sched:sched_wakeup_new", 180, _WOKEN),
    "newtask": ("task:task_newtask", 240, {
        "pid": "b.pid", "comm": "b.comm", "clone_flags": 0x1200011, "oom_score_adj": 0}),
    "fork": ("sched:sched_process_fork", 610, {
        "parent_comm": "a.comm", "parent_pid": "a.pid",
        "child_comm": "b.comm", "child_pid": "b.pid"}),
    "process_exit": ("sched:sched_process_exit", 870,
                     {"comm": "a.comm", "pid": "a.pid", "prio": "a.prio"}),
    "process_free": ("sched:sched_process_free", 250, _COMM_PID_PRIO),
    "signal_deliver": ("signal:signal_deliver", 420, {
        "sig": "n", "errno": 0, "code": "m",
        "sa_handler": 0x5582E5175650, "sa_flags": 0x14000000}),
    "read": _call(READ, 3, 0x7FFC5C0012E0, 0x1000),
    "getpid": _call(GETPID),
    "futex_wait": _call(FUTEX, 0x7F3A5C0012E0, FUTEX_WAIT_PRIVATE, 2),
    "futex_lock_pi": _call(FUTEX, 0x7F3A5C0012E0, FUTEX_LOCK_PI_PRIVATE),
    "nanosleep": _call(CLOCK_NANOSLEEP, CLOCK_MONOTONIC, TIMER_ABSTIME, 0x7FFC5C001300),
    "epoll_wait": _call(EPOLL_WAIT, 4, 0x7FFC5C001400, 32, 0xFFFFFFFF),
    "sys_exit": ("raw_syscalls:sys_exit", 210, {"id": "value", "ret": 0}),
    "contention_begin": ("lock:contention_begin", 260, {**_LOCK, "flags": "value"}),
    "contention_end": ("lock:contention_end", 120, {**_LOCK, "ret": 0}),
    "page_fault_user": ("exceptions:page_fault_user", 510, _FAULT),
    "page_fault_kernel": ("exceptions:page_fault_kernel", 530, _FAULT),
    "replenish_task": ("sched:sched_dl_replenish_tp", 170, _TASK),
    "throttle_task": ("sched:sched_dl_throttle_tp", 170, _TASK),
    "replenish_server": ("sched:sched_dl_replenish_tp", 170, _SERVER),
    "throttle_server": ("sched:sched_dl_throttle_tp", 170, _SERVER),
    "stop_server": ("sched:sched_dl_server_stop_tp", 170, _SERVER),
    "replenish_short": ("sched:sched_dl_replenish_tp", 170,
                        {**_SERVER, "dl_deadline": DL_SHORT_DEADLINE}),
    "device": ("irq:irq_handler_entry", 760, {"irq": "n", "name": "m.name"}),
    "softirq_entry": ("irq:softirq_entry", 90, {"vec": 3}),
    "softirq_exit": ("irq:softirq_exit", 60, {"vec": 3}),
    "timer": ("irq_vectors:local_timer_entry", 680, {"vector": 236}),
    "irq_work": ("irq_vectors:irq_work_entry", 310, {"vector": 246}),
    "reschedule": ("irq_vectors:reschedule_entry", 220, {"vector": 253}),
    "call_function": ("irq_vectors:call_function_entry", 350, {"vector": 252}),
    "call_function_single": ("irq_vectors:call_function_single_entry", 340, {"vector": 251}),
}  # fmt: skip
