"""The shipped LTL rules against the tables of the kernel's monitors, written out here.

A rule is a description, its atoms with what they are called in traces, what is known of them
from the start, and its specification. A binding is a tracepoint, whose instance, a
condition, what is done, and with which atoms: ``atom`` is told to be true, ``-atom`` false.
"""

import re

import pytest

from rvfs.model.filter import Filter
from rvfs.model.ltl import parse_ltl
from rvfs.model.rule import Rule
from rvfs.monitor import Binding, Monitor, Scope
from rvfs.monitors import shipped_monitor

ALLOWLIST = "ALLOWLIST = BLOCK_ON_RT_MUTEX or FUTEX_LOCK_PI"
RULES = {
    "pagefault": ("Monitor that RT tasks do not raise page faults",
                  "PAGEFAULT pa  RT rt", "", """
        RULE = always (RT imply not PAGEFAULT)
    """),
    "sleep": ("Monitor that RT tasks do not undesirably sleep", """
        ABORT_SLEEP ab_sl  BLOCK_ON_RT_MUTEX bl_on_rt_mu  CLOCK_NANOSLEEP cl_na
        EPOLL_WAIT ep_wa  FUTEX_LOCK_PI fu_lo_pi  FUTEX_WAIT fu_wa
        NANOSLEEP_CLOCK_REALTIME na_cl_re  NANOSLEEP_TIMER_ABSTIME na_ti_ab  RT rt
        SCHEDULE_IN sch_in  SLEEP sle  USER_THREAD us_th
        WOKEN_BY_EQUAL_OR_HIGHER_PRIO wo_eq_hi_pr  WOKEN_BY_HARDIRQ wo_ha  WOKEN_BY_NMI wo_nm
    """, """
        SLEEP SCHEDULE_IN ABORT_SLEEP
        WOKEN_BY_HARDIRQ WOKEN_BY_NMI WOKEN_BY_EQUAL_OR_HIGHER_PRIO
    """, f"""
        RULE = always ((RT and SLEEP and USER_THREAD) imply (RT_FRIENDLY_SLEEP or ALLOWLIST))
        RT_FRIENDLY_SLEEP = RT_VALID_SLEEP_REASON and ((not SCHEDULE_IN) until RT_FRIENDLY_WAKE)
        RT_VALID_SLEEP_REASON = FUTEX_WAIT or RT_FRIENDLY_NANOSLEEP or EPOLL_WAIT
        RT_FRIENDLY_NANOSLEEP = CLOCK_NANOSLEEP and NANOSLEEP_TIMER_ABSTIME and
                                (not NANOSLEEP_CLOCK_REALTIME)
        RT_FRIENDLY_WAKE = WOKEN_BY_EQUAL_OR_HIGHER_PRIO or WOKEN_BY_HARDIRQ or
                           WOKEN_BY_NMI or ABORT_SLEEP
        {ALLOWLIST}
    """),
    "wakeup": ("Monitor that real-time tasks are not woken by lower-priority tasks", """
        BLOCK_ON_RT_MUTEX bl_on_rt_mu  FUTEX_LOCK_PI fu_lo_pi  RT rt  USER_THREAD us_th
        WOKEN_BY_LOWER_PRIO wo_lo_pr  WOKEN_BY_SOFTIRQ wo_so
    """, "WOKEN_BY_LOWER_PRIO WOKEN_BY_SOFTIRQ", f"""
        RULE = always (((RT and USER_THREAD) imply
                        (not (WOKEN_BY_LOWER_PRIO or WOKEN_BY_SOFTIRQ)) or ALLOWLIST))
        {ALLOWLIST}
    """),
}  # fmt: skip

#: What is not known of a task that was there before, and false of a new one.
OF_NEW_TASKS = {
    "pagefault": "-PAGEFAULT",
    "sleep": "-NANOSLEEP_CLOCK_REALTIME -NANOSLEEP_TIMER_ABSTIME -CLOCK_NANOSLEEP -FUTEX_WAIT "
             "-EPOLL_WAIT -FUTEX_LOCK_PI -BLOCK_ON_RT_MUTEX",
    "wakeup": "-BLOCK_ON_RT_MUTEX -FUTEX_LOCK_PI",
}  # fmt: skip


def born(name: str, *user: str) -> str:
    newtask, fork = (OF_NEW_TASKS[name] + extra for extra in user or ("", ""))
    return f"""
        task:task_newtask        | pid       | | set | {newtask}
        sched:sched_process_fork | child_pid | | set | {fork}
    """


USER_THREAD = " USER_THREAD=(common_pid != 2)", " USER_THREAD=(parent_pid != 2)"
SWITCHED = """
    sched:sched_switch     | prev_pid | | set | RT=(prev_prio < 100)
    sched:sched_switch     | next_pid | | set | RT=(next_prio < 100)
"""
WAKING = "sched:sched_waking | pid | | set | RT=(prio < 100)"
BOOSTED = "sched:sched_pi_setprio | pid | | set | RT=(newprio < 100)"
LOCKS = """
    lock:contention_begin | | flags & 8 | update | BLOCK_ON_RT_MUTEX
    lock:contention_end   | |           | update | -BLOCK_ON_RT_MUTEX
"""
LOCK_PI = (
    "id == 202 && args[1] & 4 && (args[1] & 2 && !(args[1] & 0x79) "
    "|| args[1] & 8 && args[1] & 1 && !(args[1] & 0x72))"
)
WAIT = "id == 202 && (!(args[1] & 0x7f) || args[1] & 8 && args[1] & 1 && !(args[1] & 0x74))"
BINDINGS = {
    "pagefault": f"""
        {born("pagefault")} {SWITCHED} {BOOSTED}
        exceptions:page_fault_kernel | | | pulse | PAGEFAULT
        exceptions:page_fault_user   | | | pulse | PAGEFAULT
    """,
    "sleep": f"""
        {born("sleep", *USER_THREAD)} {SWITCHED} {WAKING}
        {BOOSTED}
        sched:sched_set_state_tp | pid | state & 1  | pulse | SLEEP
        sched:sched_set_state_tp | pid | state == 0 | pulse | ABORT_SLEEP
        sched:sched_exit_tp      |     |            | pulse | SCHEDULE_IN
        sched:sched_waking | pid | common_flags & 0x08 | pulse | WOKEN_BY_HARDIRQ
        sched:sched_waking | pid | !(common_flags & 0x58) && common_prio <= prio \
            | pulse | WOKEN_BY_EQUAL_OR_HIGHER_PRIO
        sched:sched_waking | pid | common_flags & 0x40 && !(common_flags & 0x08) \
            | pulse | WOKEN_BY_NMI
        {LOCKS}
        raw_syscalls:sys_enter | | id == 230 | set | NANOSLEEP_CLOCK_REALTIME=(args[0] == 0) \
            NANOSLEEP_TIMER_ABSTIME=(args[1] == 1)
        raw_syscalls:sys_enter | | id == 230 | update | CLOCK_NANOSLEEP
        raw_syscalls:sys_enter | | {LOCK_PI} | update | FUTEX_LOCK_PI
        raw_syscalls:sys_enter | | {WAIT}    | update | FUTEX_WAIT
        raw_syscalls:sys_enter | | id == 232 | update | EPOLL_WAIT
        raw_syscalls:sys_exit  | |           | set    | USER_THREAD -FUTEX_LOCK_PI -FUTEX_WAIT \
            -NANOSLEEP_CLOCK_REALTIME -NANOSLEEP_TIMER_ABSTIME -EPOLL_WAIT
        raw_syscalls:sys_exit  | |           | update | -CLOCK_NANOSLEEP
    """,
    "wakeup": f"""
        {born("wakeup", *USER_THREAD)} {SWITCHED} {WAKING}
        {BOOSTED}
        sched:sched_waking | pid | !(common_flags & 0x58) && common_prio > prio \
            | pulse | WOKEN_BY_LOWER_PRIO
        sched:sched_waking | pid | common_flags & 0x10 | pulse | WOKEN_BY_SOFTIRQ
        {LOCKS}
        raw_syscalls:sys_enter | | {LOCK_PI} | update | FUTEX_LOCK_PI
        raw_syscalls:sys_exit  | |           | set    | USER_THREAD
        raw_syscalls:sys_exit  | |           | update | -FUTEX_LOCK_PI
    """,
}

#: Between cells; "||" is in a condition.
_BAR = re.compile(r"(?<!\|)\|(?!\|)")

every_rule = pytest.mark.parametrize("name", RULES)


def monitor(name: str) -> Monitor:
    return shipped_monitor(f"rtapp:{name}").monitor


def rule(name: str) -> Rule:
    model = monitor(name).model
    assert isinstance(model, Rule)
    return model


@every_rule
def test_description_and_scope(name: str) -> None:
    assert monitor(name).description == RULES[name][0]
    assert monitor(name).scope is Scope.TASK


@every_rule
def test_the_atoms_and_what_they_are_called_in_traces(name: str) -> None:
    words = RULES[name][1].split()
    assert rule(name).atoms == tuple(words[::2])
    assert rule(name).abbreviations == tuple(words[1::2])


@every_rule
def test_what_is_known_from_the_start(name: str) -> None:
    assert monitor(name).init == dict.fromkeys(RULES[name][2].split(), False)


@every_rule
def test_the_specification(name: str) -> None:
    """It is written as in the kernel's documentation."""
    assert rule(name) == parse_ltl(RULES[name][3], file=f"{name}.ltl").model


@every_rule
def test_the_bindings(name: str) -> None:
    lines = filter(str.strip, BINDINGS[name].splitlines())
    told = [[" ".join(cell.split()) for cell in _BAR.split(line)] for line in lines]
    assert [
        [
            binding.tracepoint,
            binding.task or "",
            binding.when.text if binding.when else "",
            binding.action.value if binding.action else "",
            _atoms(binding),
        ]
        for binding in monitor(name).bindings
    ] == told


def _atoms(binding: Binding) -> str:
    def told(atom: str, value: bool | Filter) -> str:
        if isinstance(value, Filter):
            return f"{atom}=({value.text})"
        return atom if value else f"-{atom}"

    return " ".join(told(atom, value) for atom, value in binding.atoms.items())
