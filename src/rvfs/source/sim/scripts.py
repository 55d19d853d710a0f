"""What the simulated machine emits: one script per thing that a CPU does, as a table.

A script is the sequence of tracepoints that the kernel passes on one CPU: the words of
:mod:`rvfs.source.sim.words`, perhaps with a ``=value`` for the field that they leave open
(a number, or ``n`` or ``m``). :mod:`rvfs.source.sim.lines` has what may stand between and
behind them; only the scripts of planted faults have marks.

Whoever plays a script gives it tasks and numbers: ``a`` is the current task, ``b`` the
other one (switched to, woken, forked), ``c`` the one that is asked to reschedule, ``n`` and
``m`` are numbers.

The order is that of the kernel: ``try_to_wake_up``, ``__schedule``, ``schedule_tail``,
``do_exit``, ``preempt_schedule_irq`` (kernel/sched/core.c, kernel/exit.c,
kernel/entry/common.c). Four things of it shape the table:

1. ``preempt_disable`` and ``preempt_enable`` fire on the outermost level only, so they
   alternate on each CPU; an idle task runs with preemption disabled. An interrupt disables
   preemption too, and this machine, unlike x86, has a tracepoint there (``irq_enter``).
2. A task leaves a switch where it entered it: in ``schedule()``, at the end of an interrupt, or
   in the idle loop; and what it had begun, a system call, a lock, comes to its end then. So the
   end of a switch (:data:`TAILS`) belongs to the next task.
3. A task that is preempted, or asked to go on when it returns to user space, keeps its state; the
   record shows 0x100 for the first and 0 for the second.
4. A real-time task of user space sleeps in no other way than its kind may (Documentation/trace/
   rv/monitor_rtapp.rst), raises no page fault, and is not woken by who is worth less.

The faults. Each sets the stage itself, so that its monitor is monitoring whatever was
before, and none shows to another monitor:

=========  ====================================================================  ========
monitor    what the kernel, or a program, does wrong                             reports
=========  ====================================================================  ========
wip        the lock of a waker disables preemption without a tracepoint          1
wwnr       a task is woken while it runs                                         1
sco        a task's state is set inside ``schedule()``                           1
snroc      a waker sets the state of the task that it woke                       1
scpd       ``schedule()`` runs with preemption enabled                           1
snep       ``schedule()`` opens preemption for a moment; that starts the         2
           monitor anew, so it reports ``schedule_exit`` as well
sts        ``schedule()`` is called with interrupts disabled                     1
nrp        a task is preempted though nobody asked for it                        1
sssw       a task sleeps without having said so                                  1
opid       a waker has let interrupts on                                         1
pagefault  a task that is raised to real time raises a page fault                1
sleep      a task that is raised to real time prepares to sleep in no call       1
wakeup     a task that is raised to real time is woken from below                1
stall      a task that was woken gets no CPU for longer than the threshold       1
nomiss     the server of a CPU is neither throttled nor stopped by its deadline  1
=========  ====================================================================  ========
"""

from collections.abc import Iterator, Mapping

#: Why a task sleeps: what it begins, and what it ends with. Kernel threads just sleep.
REASONS: Mapping[str, tuple[str, str]] = {
    "": ("", ""),
    "read": ("read", "sys_exit=0"),
    "futex": ("futex_wait", "sys_exit=202"),
    "nanosleep": ("nanosleep", "sys_exit=230"),
    "epoll": ("epoll_wait", "sys_exit=232"),
    "pi": ("futex_lock_pi", "sys_exit=202"),
    "lock": ("contention_begin=8", "contention_end"),
}
#: Those in which anybody may wake a real-time task: the waker hands over a lock.
HANDED_OVER = ("pi", "lock")

#: How the next task leaves the switch, by where it once entered it.
TAILS: Mapping[str, str] = {
    "irq": "irq_disable preempt_enable irq_enable",
    "idle": "",
    **{reason: f"preempt_enable {end}" for reason, (_, end) in REASONS.items()},
}

#: Ways to fall asleep: without and with an interrupt on the way.
_SLEEP = "{begin} set_state=m preempt_disable entry=0 irq_disable"
SLEEPS: Mapping[str, str] = {
    "sleep": f"{_SLEEP} switch=n",
    "sleep irq early": f"{_SLEEP} +h timer -h irq_enable irq_disable switch=n",
    "sleep irq late": f"{_SLEEP} switch=n | irq_enable irq_disable +h timer -h",
}

#: Ways into the scheduler up to the switch, and where the previous task will continue.
HEADS: Mapping[str, tuple[str, str]] = {
    "yield": ("preempt_disable entry=0 irq_disable switch=0", ""),
    "preempt": ("preempt_disable entry=1 irq_disable switch=0x100", ""),
    "irq": ("+i +p preempt_enable preempt_disable irq_enable entry=1 irq_disable switch=0x100",
            "irq"),
    "idle": ("+p entry=0 irq_disable switch=0", "idle"),
    "sleep prepared": ("preempt_disable entry=0 irq_disable switch=n", ""),
    "interrupted": ("set_state=1 preempt_disable entry=0 irq_disable switch=0", ""),
    "die": ("preempt_disable set_state=0x80 entry=0 irq_disable switch=0x20", ""),
    "sleep untold": (
        "set_state=0 preempt_disable entry=0 irq_disable switch=1!sssw.sched_switch_suspend@a",
        ""),
    **{f"{way} {reason}": (text.format(begin=begin), reason)
       for way, text in SLEEPS.items() for reason, (begin, _) in REASONS.items()},
}  # fmt: skip

#: The same where the scheduler finds nothing better to run.
STAYS: Mapping[str, str] = {
    "yield": "preempt_disable entry=0 irq_disable irq_enable exit=0 preempt_enable",
    "preempt": "preempt_disable entry=1 irq_disable irq_enable exit=0 preempt_enable",
    "irq": "+i +p preempt_enable preempt_disable irq_enable entry=1 irq_disable irq_enable exit=0 "
           "irq_disable preempt_enable irq_enable",
    "idle": "+p entry=0 irq_disable irq_enable exit=0",
    "interrupted": "set_state=1 preempt_disable entry=0 irq_disable irq_enable exit=0 "
                   "preempt_enable set_state=0",
}  # fmt: skip

INTERRUPTS = ("timer", "device", "irq_work", "call_function", "call_function_single", "reschedule")

#: What stands around the core of a wake-up in a task, in an interrupt, and behind one.
WAKERS: Mapping[str, str] = {
    "task": "preempt_disable irq_disable {core} irq_enable preempt_enable",
    "irq": "+i +p +h {core}",
    "softirq": "+i +p irq_enable +s softirq_entry irq_disable {core} "
               "irq_enable softirq_exit -s irq_disable",
}  # fmt: skip
#: The core: as it should be, and with the faults. ``below`` is what the monitor wakeup calls it.
WAKES: Mapping[str, str] = {
    "": "waking {resched} wakeup",
    "wip": "preempt_enable +p waking!wip.sched_waking {resched} wakeup -p preempt_disable",
    "snroc": "waking {resched} wakeup set_state_of_woken=0!snroc.sched_set_state@b",
    "opid": "irq_enable waking!opid.sched_waking irq_disable {resched} wakeup",
    "wakeup": "boost_woken waking_boosted!wakeup.rt,us_th,{below}@b {resched} wakeup_boosted "
              "unboost_woken",
    "stall": "waking wakeup!stall.none@b",
}  # fmt: skip
_BELOW = {"task": "wo_lo_pr", "softirq": "wo_so"}

#: Everything else that happens in a task, with preemption and interrupts on.
ACTIONS: Mapping[str, str] = {
    "lock": "preempt_disable preempt_enable",
    "lock irq": "irq_disable preempt_disable irq_enable preempt_enable",
    "local irq": "irq_disable irq_enable",
    "contend": "contention_begin=8 contention_end",
    "spin": "preempt_disable contention_begin=1 contention_end preempt_enable",
    "call": "getpid sys_exit=39",
    "introduce": "contention_begin=8 contention_end getpid sys_exit=39",
    "boosted": "boost preempt_disable preempt_enable unboost",
    "fault": "page_fault_user=0x7",
    "fault in kernel": "page_fault_kernel=0x2",
    "hesitate": "set_state=1 preempt_disable preempt_enable set_state=0",
    "hesitate rt": "futex_wait set_state=1 preempt_disable preempt_enable set_state=0 sys_exit=202",
    "prepare": "set_state=m",
    "resume": "set_state=0",
    "fork": "newtask fork",
    "new": "irq_disable preempt_disable wakeup_new irq_enable preempt_enable",
    "new resched": "irq_disable preempt_disable wakeup_new need_resched irq_enable preempt_enable",
    "exit": "process_exit",
    "free": "process_free",
    "free idle": "+p process_free",
    "deliver": "signal_deliver",
}

#: What happens in an interrupt, and how it ends. ``miss`` is the fault of nomiss.
IN_INTERRUPTS: Mapping[str, str] = {
    "need resched": "+h need_resched",
    "replenish task": "+h replenish_task",
    "throttle task": "+h throttle_task",
    "replenish server": "+h replenish_server",
    "throttle server": "+h throttle_server",
    "stop server": "+h stop_server",
    "miss": "+h replenish_server stop_server replenish_short!nomiss.none@m",
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
    "nrp": "irq_disable need_resched irq_enable {preempt} {yield} {preempt_unasked}".format(
        preempt=STAYS["preempt"], **{"yield": STAYS["yield"]},
        preempt_unasked=STAYS["preempt"].replace(
            "entry=1", "entry=1!nrp.schedule_entry_preempt@a")),
    "pagefault": "page_fault_user=0x7 boost page_fault_user=0x7!pagefault.pa,rt@a unboost",
    "sleep": "contention_begin=8 contention_end getpid sys_exit=39 boost "
             "set_state=1!sleep.rt,sle,us_th@a preempt_disable preempt_enable set_state=0 unboost",
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
            if where in _BELOW or "{below}" not in core:
                for name, resched in (("", ""), (" resched", "need_resched")):
                    filled = core.format(resched=resched, below=_BELOW.get(where))
                    yield f"wake {where} {fault}{name}", around.format(core=filled)


def _interrupts() -> Iterator[tuple[str, str]]:
    for kind in INTERRUPTS:
        yield f"enter {kind}", f"irq_disable preempt_disable +h {kind}"
        yield f"enter {kind} idle", f"+p irq_disable +h {kind}"
    for name, text in IN_INTERRUPTS.items():
        yield name, f"+i +p {text}"


def scripts() -> dict[str, str]:
    """Every script by its name."""
    faults = {f"fault {monitor}": text for monitor, text in FAULTS.items()}
    return {**dict(_switches()), **dict(_wakes()), **dict(_interrupts()), **ACTIONS, **faults}
