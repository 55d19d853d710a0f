"""The rules of the kernel's rtapp monitors do what the automata in the kernel do.

The kernel's automata are written down here as tables and run naively. What counts is when
an instance starts and when it fails, not how states are numbered.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs.model.automaton import INVALID
from rvfs.model.ltl import parse_ltl
from rvfs.model.rule import Rule

PAGEFAULT = "RULE = always (RT imply not PAGEFAULT)"
SLEEP = """
RULE = always ((RT and SLEEP and USER_THREAD) imply (RT_FRIENDLY_SLEEP or ALLOWLIST))
RT_FRIENDLY_SLEEP = RT_VALID_SLEEP_REASON and ((not SCHEDULE_IN) until RT_FRIENDLY_WAKE)
RT_VALID_SLEEP_REASON = FUTEX_WAIT or RT_FRIENDLY_NANOSLEEP or EPOLL_WAIT
RT_FRIENDLY_NANOSLEEP = CLOCK_NANOSLEEP and NANOSLEEP_TIMER_ABSTIME
                        and (not NANOSLEEP_CLOCK_REALTIME)
RT_FRIENDLY_WAKE = WOKEN_BY_EQUAL_OR_HIGHER_PRIO or WOKEN_BY_HARDIRQ or WOKEN_BY_NMI
                   or ABORT_SLEEP
ALLOWLIST = BLOCK_ON_RT_MUTEX or FUTEX_LOCK_PI
"""
WAKEUP = """
RULE = always (((RT and USER_THREAD) imply
                (not (WOKEN_BY_LOWER_PRIO or WOKEN_BY_SOFTIRQ)) or ALLOWLIST))
ALLOWLIST = BLOCK_ON_RT_MUTEX or FUTEX_LOCK_PI
"""

Atoms = frozenset[str]
#: State → the condition under which a step may enter it; state → the states it leads to.
Entries = Mapping[int, Callable[[Atoms], bool]]
Edges = Mapping[int, Iterable[int]]


def pagefault_entry(on: Atoms) -> bool:
    return not {"RT", "PAGEFAULT"} <= on


def wakeup_entry(on: Atoms) -> bool:
    badly = on & {"WOKEN_BY_LOWER_PRIO", "WOKEN_BY_SOFTIRQ"}
    return not (badly and {"RT", "USER_THREAD"} <= on) or allowed(on)


def allowed(on: Atoms) -> bool:
    return bool(on & {"BLOCK_ON_RT_MUTEX", "FUTEX_LOCK_PI"})


def idle(on: Atoms) -> bool:
    return not {"RT", "SLEEP", "USER_THREAD"} <= on


def reason(on: Atoms) -> bool:
    absolute = {"CLOCK_NANOSLEEP", "NANOSLEEP_TIMER_ABSTIME"} <= on
    return bool(on & {"FUTEX_WAIT", "EPOLL_WAIT"}) or (
        absolute and "NANOSLEEP_CLOCK_REALTIME" not in on
    )


def woken(on: Atoms) -> bool:
    well = {"WOKEN_BY_EQUAL_OR_HIGHER_PRIO", "WOKEN_BY_HARDIRQ", "WOKEN_BY_NMI", "ABORT_SLEEP"}
    return bool(on & well)


def out(on: Atoms) -> bool:
    return "SCHEDULE_IN" not in on


SLEEP_ENTRIES: Entries = {
    0: idle,
    1: lambda on: reason(on) and out(on),
    2: lambda on: out(on) and idle(on),
    3: lambda on: woken(on) and idle(on),
    4: lambda on: reason(on) and woken(on),
    5: allowed,
    6: lambda on: out(on) and allowed(on),
    7: lambda on: woken(on) and allowed(on),
}
FREE, WAITING = (0, 1, 4, 5), (1, 2, 3, 4, 6, 7)
SLEEP_EDGES: Edges = {s: WAITING if s in (1, 2, 6) else FREE for s in SLEEP_ENTRIES}

AUTOMATA: Mapping[str, tuple[str, Entries, Edges, Iterable[int]]] = {
    "pagefault": (PAGEFAULT, {0: pagefault_entry}, {0: [0]}, [0]),
    "sleep": (SLEEP, SLEEP_ENTRIES, SLEEP_EDGES, FREE),
    "wakeup": (WAKEUP, {0: wakeup_entry}, {0: [0]}, [0]),
}


def kernel_run(
    entries: Entries, edges: Edges, initial: Iterable[int], trace: list[Atoms]
) -> Iterator[str]:
    """What each step is: idle (did not start), start, step or violation."""
    states: set[int] = set()
    for on in trace:
        may = {target for s in states for target in edges[s]} if states else set(initial)
        after = {s for s in may if entries[s](on)}
        yield step_name(bool(states), bool(after))
        states = after


def rule_run(rule: Rule, trace: list[Atoms]) -> Iterator[str]:
    row = INVALID
    for on in trace:
        column = rule.classify(sum(1 << i for i, atom in enumerate(rule.atoms) if atom in on))
        after = rule.start[column] if row == INVALID else rule.table[row][column]
        yield step_name(row != INVALID, after != INVALID)
        row = after


def step_name(before: bool, after: bool) -> str:
    if before:
        return "step" if after else "violation"
    return "start" if after else "idle"


RULES = {name: parse_ltl(text, file=name).model for name, (text, *_) in AUTOMATA.items()}
#: Asleep and running atoms often enough for the rules to bite.
OFTEN = {"RT", "SLEEP", "USER_THREAD"}


@st.composite
def traces(draw: st.DrawFn, name: str) -> list[Atoms]:
    others = [atom for atom in RULES[name].atoms if atom not in OFTEN]
    some = st.frozensets(st.sampled_from(others), max_size=3)
    usual = st.frozensets(st.sampled_from(sorted(OFTEN))) | st.just(frozenset(OFTEN))
    return draw(st.lists(st.builds(frozenset.union, some, usual), min_size=1, max_size=12))


@pytest.mark.parametrize("name", AUTOMATA)
@given(data=st.data())
def test_the_rule_starts_and_fails_where_the_kernel_does(name: str, data: st.DataObject) -> None:
    _, entries, edges, initial = AUTOMATA[name]
    trace = data.draw(traces(name))
    assert list(rule_run(RULES[name], trace)) == list(kernel_run(entries, edges, initial, trace))


def test_the_rules_need_few_states() -> None:
    assert {name: rule.states for name, rule in RULES.items()} == {
        "pagefault": ("0",),
        "sleep": ("0", "1"),
        "wakeup": ("0",),
    }


def test_what_the_rules_are_for() -> None:
    task = frozenset({"RT", "USER_THREAD"})
    asleep = task | {"SLEEP"}
    waits = asleep | {"FUTEX_WAIT"}
    runs = task | {"SCHEDULE_IN"}
    tells = {
        (asleep,): ["idle"],
        (task, asleep): ["start", "violation"],
        (task, asleep | {"FUTEX_LOCK_PI"}, runs): ["start", "step", "step"],
        (task, waits, runs): ["start", "step", "violation"],
        (task, waits, task | {"WOKEN_BY_HARDIRQ"}, runs): ["start", "step", "step", "step"],
    }
    for trace, steps in tells.items():
        assert list(rule_run(RULES["sleep"], [*trace])) == steps
