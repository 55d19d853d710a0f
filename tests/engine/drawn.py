"""What hypothesis draws: monitors of every kind, and streams of events for them."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from rvfs.model.automaton import Automaton, automaton
from rvfs.model.filter import parse_filter
from rvfs.model.ltl import parse_ltl
from rvfs.model.rule import Rule
from rvfs.model.terms import Sum, parse_sum
from rvfs.model.timing import JIFFY, And, Condition, Constraint, Guard, Not, Or, Timing, Value
from rvfs.monitor import Action, Binding, Entry, Model, Monitor, Scope
from rvfs.tracepoint import Tracepoint, Vocabulary, catalogue

from .naive import CONDITIONS, Event

VOCABULARY = Vocabulary()
for _tracepoint in catalogue():
    VOCABULARY.add(_tracepoint)

SWITCH, WAKEUP = "sched:sched_switch", "sched:sched_wakeup"
FORK, EXIT, IRQ = "sched:sched_process_fork", "sched:sched_process_exit", "irq:irq_handler_entry"
RESCHED = "sched:sched_set_need_resched_tp"

#: tracepoint → (fields that name a task, fields that name a CPU, sums that name an object)
KEYS = {
    SWITCH: (["prev_pid", "next_pid"], [],
             ["prev_pid", "-next_pid", "next_pid - 0x4000000000000000"]),
    WAKEUP: (["pid"], ["target_cpu"], ["pid", "-pid"]),
    FORK: (["parent_pid", "child_pid"], [], ["child_pid"]),
    EXIT: (["pid"], [], ["pid", "0 - pid"]),
    IRQ: ([], [], ["-common_cpu", "7"]),
    RESCHED: (["pid"], ["cpu"], ["cpu + pid"]),
}  # fmt: skip
CLOCKS, ENVS = ("c", "d"), ("e", "f")
PARAMS, CONSTANTS = {"limit": 2}, {"LEAST": 1}
VALUES = {"SOME": parse_sum("e + limit"), "none": parse_sum("hidden - LEAST")}

RULES = [
    parse_ltl(f"RULE = {text}\n", file="m.ltl", name="m").model
    for text in (
        "always (A imply B)", "always (A imply (not B until C))", "A until (B and next C)",
        "always ((A and B) imply next (next C))", "(not A) until B",
    )
]  # fmt: skip


# -- models --------------------------------------------------------------------------------


@st.composite
def automata(draw: st.DrawFn, timing: bool = False) -> Automaton:
    states = "abcd"[: draw(st.integers(1, 4))]
    events = "xyz"[: draw(st.integers(1, 3))]
    edges = [
        (state, event, target)
        for state, event in itertools.product(states, events)
        if (target := draw(st.sampled_from([*states, None]))) is not None
    ] or [("a", "x", "a")]
    told = draw(timings(states, edges)) if timing else None
    return automaton("m", "a", edges, states=states, timing=told)


def hybrids() -> st.SearchStrategy[Automaton]:
    return automata(timing=True)


@st.composite
def timings(draw: st.DrawFn, states: str, edges: list[tuple[str, str, str]]) -> Timing:
    bounds = st.builds(Condition, st.sampled_from(CLOCKS), st.sampled_from(["<", "<="]), values)
    invariants = draw(
        st.dictionaries(st.sampled_from(states), st.lists(bounds, min_size=1, max_size=2))
    )
    constraints = draw(
        st.dictionaries(
            st.sampled_from([edge[:2] for edge in edges]),
            st.builds(Constraint, st.none() | guards, st.sets(st.sampled_from(CLOCKS)).map(tuple)),
        )
    )
    return Timing(CLOCKS, ENVS, {s: tuple(b) for s, b in invariants.items()}, constraints)


values = st.one_of(
    st.builds(Value, st.integers(0, 6), unit=st.sampled_from([None, "ns"])),
    st.builds(Value, st.integers(0, 2), unit=st.just("j")),
    st.builds(Value, name=st.sampled_from(["limit", "LEAST"]), unit=st.sampled_from([None, "j"])),
    st.builds(
        Value, name=st.sampled_from(list(VALUES)), of_instance=st.just(True),
        unit=st.sampled_from([None, "j"]),
    ),
)  # fmt: skip
conditions = st.builds(
    Condition,
    st.sampled_from(CLOCKS + ENVS),
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    values,
)
guards: st.SearchStrategy[Guard] = st.recursive(
    conditions,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=4,
)

MODELS: Mapping[str, Callable[[], st.SearchStrategy[Any]]] = {
    "automaton": automata, "hybrid": hybrids, "rule": lambda: st.sampled_from(RULES),
}  # fmt: skip


# -- monitors ------------------------------------------------------------------------------


@st.composite
def monitors(draw: st.DrawFn, models: str) -> Monitor:
    model = draw(MODELS[models]())
    scope = draw(st.sampled_from(Scope))
    bound = draw(st.lists(bindings(model, scope), max_size=6))
    init = draw(st.dictionaries(st.sampled_from(model.atoms), st.booleans())) if (
        isinstance(model, Rule)
    ) else {}  # fmt: skip
    hidden = Binding(
        SWITCH, model.events[0], id=parse_sum("1"), env={"hidden": parse_sum("next_prio - 50")}
    ) if models == "hybrid" else None  # fmt: skip
    if hidden is not None and scope is Scope.OBJECT:
        bound.append(hidden)
    elif hidden is not None:
        bound.append(Binding(SWITCH, model.events[0], env=hidden.env))
    return Monitor("m", "any", scope, model, tuple(bound), PARAMS, CONSTANTS, VALUES, init)


def conditions_on(tracepoint: str) -> list[str]:
    declared = VOCABULARY[VOCABULARY.number(tracepoint)]
    common = {"common_cpu", "common_pid", "common_prio"}
    return [c for c in CONDITIONS if parse_filter(c).fields <= declared.by_name.keys() | common]


@st.composite
def bindings(draw: st.DrawFn, model: Model, scope: Scope) -> Binding:
    tracepoint = draw(st.sampled_from(list(KEYS)))
    tasks, cpus, ids = KEYS[tracepoint]
    when = draw(st.sampled_from([None, *conditions_on(tracepoint)]))
    told = told_to(tracepoint, model)
    return Binding(
        tracepoint,
        task=draw(st.sampled_from([None, *tasks])) if scope is Scope.TASK else None,
        cpu=draw(st.sampled_from([None, *cpus])),
        when=None if when is None else parse_filter(when),
        id=parse_sum(draw(st.sampled_from(ids))) if scope is Scope.OBJECT else None,
        **draw(told),
    )


def told_to(tracepoint: str, model: Model) -> st.SearchStrategy[dict[str, Any]]:
    """What a binding says beside whom: an event, or atoms."""
    asked = st.sampled_from(conditions_on(tracepoint)).map(parse_filter)
    if isinstance(model, Rule):
        atoms = st.dictionaries(
            st.sampled_from(model.atoms), st.booleans() | asked, min_size=1, max_size=3
        )
        telling = st.fixed_dictionaries({"action": st.sampled_from(Action), "atoms": atoms})
        return telling | st.just({"entry": Entry.RESET})
    envs = st.dictionaries(st.sampled_from(ENVS), asked | sums_over(tracepoint))
    moving = st.fixed_dictionaries(
        {
            "event": st.sampled_from(model.events),
            "entry": st.sampled_from([Entry.HANDLE, Entry.START, Entry.START_RUN]),
            "env": envs if model.timing else st.just({}),
        }
    )
    return moving | st.just({"entry": Entry.RESET})


def sums_over(tracepoint: str) -> st.SearchStrategy[Sum]:
    declared = VOCABULARY[VOCABULARY.number(tracepoint)]
    names = [name for name, one in declared.by_name.items() if not one.is_string]
    return st.sampled_from(["3", "common_cpu - 1", *names]).map(parse_sum)


# -- events --------------------------------------------------------------------------------

pids = st.integers(0, 3)
cpus = st.integers(0, 2)
comms = st.sampled_from([b"rt1", b"rtk", b"sh"])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "prev_state": st.sampled_from([0, 1, 2, 0x20, 0x100, 0x101]),
    "prio": st.sampled_from([50, 120]),
    "next_prio": st.sampled_from([50, 52, 120]),
    "cpu": cpus,
    "target_cpu": cpus,
}


def values_of(tracepoint: Tracepoint) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {f.name: FIELDS.get(f.name, comms if f.is_string else pids) for f in tracepoint.fields}
    )


@st.composite
def events(draw: st.DrawFn) -> Event:
    name = draw(st.sampled_from(list(KEYS)))
    passed = draw(st.sampled_from([0, 1, 1, 2, 5, JIFFY // 2, JIFFY]))
    fields = draw(values_of(VOCABULARY[VOCABULARY.number(name)]))
    return name, passed, draw(cpus), draw(pids), fields


def streams() -> st.SearchStrategy[list[Event]]:
    """Events in time order; what each was drawn with is the time that has passed before it."""

    def in_time(drawn: list[Event]) -> list[Event]:
        times = itertools.accumulate(one[1] for one in drawn)
        return [(one[0], 1000 + time, *one[2:]) for one, time in zip(drawn, times, strict=True)]

    return st.lists(events(), max_size=25).map(in_time)
