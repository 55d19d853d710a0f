"""What the simulated machine emits: one script per thing that a CPU does, as a table.

A script is the sequence of tracepoints that the kernel passes on one CPU. A word of it is a
tracepoint of :data:`WORDS`, perhaps with a ``=value`` for the field that the table leaves
open (a number, or ``n`` or ``m``). ``|`` is the context switch: from there on ``b`` is
current. ``!MONITOR.EVENT`` marks the very event at which that monitor must report, and
``@b`` whose instance does; only the scripts of planted faults have such marks.

Whoever plays a script gives it tasks and numbers: ``a`` is the current task, ``b`` the
other one (switched to, woken, forked), ``c`` the one that is asked to reschedule, ``n`` and
``m`` are numbers.

The order is that of the kernel: ``try_to_wake_up``, ``__schedule``, ``schedule_tail``,
``do_exit``, ``preempt_schedule_irq`` (kernel/sched/core.c, kernel/exit.c,
kernel/entry/common.c). Three things of it shape the table:

1. ``preempt_disable`` and ``preempt_enable`` fire on the outermost level only, so they
   alternate on each CPU; an idle task runs with preemption disabled. An interrupt disables
   preemption too, and this machine, unlike x86, has a tracepoint there (``irq_enter``).
2. A task leaves a switch where it entered it: in ``schedule()``, at the end of an interrupt, or
   in the idle loop. So the end of a switch (:data:`TAILS`) belongs to the next task.
3. A task that is preempted, or asked to go on when it returns to user space, keeps its state; the
   record shows 0x100 for the first and 0 for the second.

The faults. Each sets the stage itself, so that its monitor is monitoring whatever was
before, and none shows to another monitor:

========  =====================================================================  ========
monitor   what the kernel does wrong                                             reports
========  =====================================================================  ========
wip       a waker has let preemption on                                          1
wwnr      a task is woken while it runs                                          1
sco       a task's state is set inside ``schedule()``                            1
snroc     a waker sets the state of the task that it woke                        1
scpd      ``schedule()`` runs with preemption enabled                            1
snep      ``schedule()`` opens preemption for a moment; that starts the          2
          monitor anew, so it reports ``schedule_exit`` as well
sts       ``schedule()`` is called with interrupts disabled                      1
nrp       a task is preempted though nobody asked for it                         1
sssw      a task sleeps without having said so                                   1
========  =====================================================================  ========
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: Where a field's value comes from: ``b.pid``, ``n``, ``m.name``, ``value``, or a number.
Origin = str | int

_COMM_PID_PRIO: Mapping[str, Origin] = {"comm": "b.comm", "pid": "b.pid", "prio": "b.prio"}
_WOKEN: Mapping[str, Origin] = {**_COMM_PID_PRIO, "target_cpu": "n"}
_CALLER: Mapping[str, Origin] = {"caller_offs": 0x1A2B40, "parent_offs": 0x1A3F88}

#: word → tracepoint, nanoseconds until the next one, fields.
WORDS: Mapping[str, tuple[str, int, Mapping[str, Origin]]] = {
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
    "wakeup_new": ("sched:sched_wakeup_new", 180, _WOKEN),
    "fork": ("sched:sched_process_fork", 610, {
        "parent_comm": "a.comm", "parent_pid": "a.pid",
        "child_comm": "b.comm", "child_pid": "b.pid"}),
    "process_exit": ("sched:sched_process_exit", 870,
                     {"comm": "a.comm", "pid": "a.pid", "prio": "a.prio"}),
    "process_free": ("sched:sched_process_free", 250, _COMM_PID_PRIO),
    "signal_deliver": ("signal:signal_deliver", 420, {
        "sig": "n", "errno": 0, "code": "m",
        "sa_handler": 0x5582E5175650, "sa_flags": 0x14000000}),
    "device": ("irq:irq_handler_entry", 760, {"irq": "n", "name": "m.name"}),
    "timer": ("irq_vectors:local_timer_entry", 680, {"vector": 236}),
    "irq_work": ("irq_vectors:irq_work_entry", 310, {"vector": 246}),
    "reschedule": ("irq_vectors:reschedule_entry", 220, {"vector": 253}),
    "call_function": ("irq_vectors:call_function_entry", 350, {"vector": 252}),
    "call_function_single": ("irq_vectors:call_function_single_entry", 340, {"vector": 251}),
}  # fmt: skip

#: How the next task leaves the switch, by where it once entered it.
TAILS: Mapping[str, str] = {
    "schedule": "preempt_enable",
    "irq": "irq_disable preempt_enable irq_enable",
    "idle": "",
}

#: Ways into the scheduler up to the switch, and where the previous task will continue.
HEADS: Mapping[str, tuple[str, str]] = {
    "yield": ("preempt_disable entry=0 irq_disable switch=0", "schedule"),
    "preempt": ("preempt_disable entry=1 irq_disable switch=0x100", "schedule"),
    "irq": ("preempt_enable preempt_disable irq_enable entry=1 irq_disable switch=0x100", "irq"),
    "idle": ("entry=0 irq_disable switch=0", "idle"),
    "sleep": ("set_state=m preempt_disable entry=0 irq_disable switch=n", "schedule"),
    "sleep irq early": (
        "set_state=m preempt_disable entry=0 irq_disable timer irq_enable irq_disable switch=n",
        "schedule"),
    "sleep irq late": (
        "set_state=m preempt_disable entry=0 irq_disable switch=n | irq_enable irq_disable timer",
        "schedule"),
    "sleep prepared": ("preempt_disable entry=0 irq_disable switch=n", "schedule"),
    "interrupted": ("set_state=1 preempt_disable entry=0 irq_disable switch=0", "schedule"),
    "die": ("preempt_disable set_state=0x80 entry=0 irq_disable switch=0x20", "schedule"),
    "sleep untold": (
        "set_state=0 preempt_disable entry=0 irq_disable switch=1!sssw.sched_switch_suspend@a",
        "schedule"),
}  # fmt: skip

#: The same where the scheduler finds nothing better to run.
STAYS: Mapping[str, str] = {
    "yield": "preempt_disable entry=0 irq_disable irq_enable exit=0 preempt_enable",
    "preempt": "preempt_disable entry=1 irq_disable irq_enable exit=0 preempt_enable",
    "irq": "preempt_enable preempt_disable irq_enable entry=1 irq_disable irq_enable exit=0 "
           "irq_disable preempt_enable irq_enable",
    "idle": "entry=0 irq_disable irq_enable exit=0",
    "interrupted": "set_state=1 preempt_disable entry=0 irq_disable irq_enable exit=0 "
                   "preempt_enable set_state=0",
}  # fmt: skip

INTERRUPTS = ("timer", "device", "irq_work", "call_function", "call_function_single", "reschedule")

#: What stands around the core of a wake-up in a task and in an interrupt.
WAKERS: Mapping[str, str] = {
    "task": "preempt_disable irq_disable {core} irq_enable preempt_enable",
    "irq": "{core}",
}
#: The core: as it should be, and with the two faults.
WAKES: Mapping[str, str] = {
    "": "waking {resched} wakeup",
    "wip": "preempt_enable waking!wip.sched_waking {resched} wakeup preempt_disable",
    "snroc": "waking {resched} wakeup set_state_of_woken=0!snroc.sched_set_state@b",
}

#: Everything else that happens in a task, with preemption and interrupts on.
ACTIONS: Mapping[str, str] = {
    "lock": "preempt_disable preempt_enable",
    "lock irq": "irq_disable preempt_disable irq_enable preempt_enable",
    "local irq": "irq_disable irq_enable",
    "hesitate": "set_state=1 preempt_disable preempt_enable set_state=0",
    "prepare": "set_state=m",
    "resume": "set_state=0",
    "need resched": "need_resched",
    "fork": "fork",
    "new": "irq_disable preempt_disable wakeup_new irq_enable preempt_enable",
    "new resched": "irq_disable preempt_disable wakeup_new need_resched irq_enable preempt_enable",
    "exit": "process_exit",
    "free": "process_free",
    "deliver": "signal_deliver",
    "leave irq": "preempt_enable irq_enable",
    "leave irq idle": "irq_enable",
}

#: Faults that need no more than a running task, with preemption and interrupts on.
FAULTS: Mapping[str, str] = {
    "wwnr": "preempt_disable irq_disable waking wakeup!wwnr.wakeup@b irq_enable preempt_enable",
    "sco": "set_state=0 preempt_disable entry=0 set_state=0!sco.sched_set_state "
           "irq_disable irq_enable exit=0 preempt_enable",
    "scpd": "preempt_disable preempt_enable entry=0!scpd.schedule_entry "
            "irq_disable irq_enable exit=0",
    "snep": "preempt_disable entry=0 preempt_enable!snep.preempt_enable preempt_disable "
            "irq_disable irq_enable exit=0!snep.schedule_exit preempt_enable",
    "sts": "preempt_disable entry=0 irq_disable irq_enable exit=0 "
           "irq_disable entry=0!sts.schedule_entry irq_enable exit=0 preempt_enable",
    "nrp": "need_resched {preempt} {yield} {preempt_unasked}".format(
        preempt=STAYS["preempt"], **{"yield": STAYS["yield"]},
        preempt_unasked=STAYS["preempt"].replace(
            "entry=1", "entry=1!nrp.schedule_entry_preempt@a")),
}  # fmt: skip


def _switches() -> Iterator[tuple[str, str]]:
    for head, (text, _) in HEADS.items():
        for tail, end in TAILS.items():
            yield f"{head} > {tail}", f"{text} | irq_enable exit=1 {end}"
    for head, text in STAYS.items():
        yield f"{head} > stay", text


def _wakes() -> Iterator[tuple[str, str]]:
    for where, around in WAKERS.items():
        for fault, core in WAKES.items():
            for name, resched in (("", ""), (" resched", "need_resched")):
                yield (
                    f"wake {where} {fault}{name}",
                    around.format(core=core).format(resched=resched),
                )


def _interrupts() -> Iterator[tuple[str, str]]:
    for kind in INTERRUPTS:
        yield f"enter {kind}", f"irq_disable preempt_disable {kind}"
        yield f"enter {kind} idle", f"irq_disable {kind}"


def scripts() -> dict[str, str]:
    """Every script by its name."""
    faults = {f"fault {monitor}": text for monitor, text in FAULTS.items()}
    return {**dict(_switches()), **dict(_wakes()), **dict(_interrupts()), **ACTIONS, **faults}


@dataclass(frozen=True, slots=True)
class Mark:
    """The monitor that must report at this event; ``key`` is ``a``, ``b`` or "" (per CPU)."""

    monitor: str
    event: str
    key: str


@dataclass(frozen=True, slots=True)
class Line:
    """One event of a script: ``current`` is ``a`` or ``b``, ``gap`` the ns that follow it."""

    tracepoint: str
    current: str
    gap: int
    fields: Mapping[str, Origin]
    mark: Mark | None


_WORD = re.compile(r"(\w+)(?:=(\w+))?(?:!(\w+)\.(\w+)(?:@([ab]))?)?")


def read_script(text: str) -> Iterator[Line]:
    """The lines of a script."""
    current = "a"
    for word in text.split():
        if word == "|":
            current = "b"
        else:
            yield _read_word(word, current)


def _read_word(word: str, current: str) -> Line:
    match = _WORD.fullmatch(word)
    assert match is not None, word
    name, value, monitor, event, key = match.groups()
    tracepoint, gap, fields = WORDS[name]
    origins = {field: _value(value) if o == "value" else o for field, o in fields.items()}
    return Line(
        tracepoint, current, gap, origins, Mark(monitor, event, key or "") if monitor else None
    )


def _value(text: str) -> Origin:
    return text if text in ("n", "m") else int(text, 0)
