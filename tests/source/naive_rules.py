"""The shipped LTL rules, written once more: by hand from their specification, one event at a time.

A hook is a tracepoint, whose instance, a condition, what is done, and with which atoms. What
the states of a rule lead to is a function of the atoms: of the Büchi automata in the kernel's
documentation, not of a formula.
"""

from collections.abc import Callable, Iterator, Mapping

from rvfs.tracepoint import Vocabulary

from .naive_monitors import (
    EXIT,
    EXIT_OF_PROCESS,
    FORK,
    MODELS,
    NEWTASK,
    SET_STATE,
    SWITCH,
    SYS_ENTER,
    SYS_EXIT,
    WAKING,
    Fields,
    NaiveMonitor,
    NaiveNomiss,
    NaiveOpid,
    NaiveTimed,
    Report,
    always,
)

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
