"""A rule is violated at the shortest bad prefix: against a naive decision, for random rules."""

from collections.abc import Sequence

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rvfs.errors import ModelError
from rvfs.model.automaton import INVALID
from rvfs.model.ltl import parse_ltl
from rvfs.model.rule import Rule
from tests.model.ltl_oracle import Formula, Oracle, Valuation, holds, subformulas, text

ATOMS = ("A", "B", "C")
TEMPORAL = ("always", "eventually", "next", "until")

leaves = st.sampled_from([*((name,) for name in ATOMS), ("true",), ("false",)])
formulas = st.recursive(
    leaves,
    lambda f: (
        st.tuples(st.sampled_from(("always", "eventually", "next", "not")), f)
        | st.tuples(st.sampled_from(("until", "and", "or", "imply", "equivalent")), f, f)
    ),
    max_leaves=6,
).filter(lambda f: sum(g[0] in TEMPORAL for g in subformulas(f)) <= 5)
valuations = st.frozensets(st.sampled_from(ATOMS))
traces = st.lists(valuations, min_size=1, max_size=8)


def read(formula: Formula) -> Rule:
    return parse_ltl(f"RULE = {text(formula)}", file="r.ltl").model


def violation(rule: Rule, trace: Sequence[Valuation]) -> int | None:
    """The step at which the monitor is left without a row; the first step is 0."""
    row = None
    for step, valuation in enumerate(trace):
        bits = sum(1 << i for i, atom in enumerate(rule.atoms) if atom in valuation)
        column = rule.classify(bits)
        row = rule.start[column] if row is None else rule.table[row][column]
        if row == INVALID:
            return step
    return None


#: Obligations that overlap, and neither of which asks for less.
ALTERNATIVES = ("always", ("or", ("until", ("A",), ("B",)), ("next", ("C",))))


@settings(max_examples=400)
@given(formulas, st.lists(traces, min_size=1, max_size=6))
@example(ALTERNATIVES, [[frozenset("A"), frozenset("C")], [frozenset("A"), frozenset("B")]])
@example(ALTERNATIVES, [[frozenset("C"), frozenset("C")], [frozenset("A"), frozenset()]])
def test_a_violation_is_seen_at_the_shortest_bad_prefix(
    formula: Formula, some: list[list[Valuation]]
) -> None:
    oracle = Oracle(formula)
    assume(oracle.satisfiable)
    rule = read(formula)
    for trace in some:
        assert violation(rule, trace) == oracle.violation(trace)


@settings(max_examples=200)
@given(formulas)
def test_what_nothing_satisfies_is_refused_and_nothing_else_is(formula: Formula) -> None:
    if Oracle(formula).satisfiable:
        read(formula)
    else:
        with pytest.raises(ModelError, match=r"r.ltl:1:1: .* it contradicts itself"):
            read(formula)


@settings(max_examples=200)
@given(formulas, st.lists(valuations, max_size=4), st.lists(valuations, min_size=1, max_size=4))
def test_a_word_that_satisfies_the_rule_is_never_reported(
    formula: Formula, stem: list[Valuation], loop: list[Valuation]
) -> None:
    assume(holds(formula, stem, loop))
    assert violation(read(formula), [*stem, *loop, *loop, *loop]) is None


#: What the kernel's automaton sees late or never, because it takes runs that come to nothing.
AHEAD: dict[Formula, object] = {
    ("and", ("next", ("next", ("A",))), ("next", ("next", ("not", ("A",))))): "refused",
    ("and", ("eventually", ("A",)), ("imply", ("B",), ("always", ("not", ("A",))))): 0,
    ("always", ("and", ("eventually", ("A",)), ("imply", ("B",), ("always", ("not", ("A",)))))): 0,
    ("imply", ("B",), ("next", ("next", ("false",)))): 0,
}  # fmt: skip


@pytest.mark.parametrize("formula", AHEAD, ids=text)
def test_no_step_is_waited_for_where_there_is_no_way_out(formula: Formula) -> None:
    if AHEAD[formula] == "refused":
        with pytest.raises(ModelError, match="contradicts itself"):
            read(formula)
    else:
        assert violation(read(formula), [frozenset("B")]) == AHEAD[formula]


@given(traces)
def test_what_must_happen_eventually_alone_never_fails(trace: list[Valuation]) -> None:
    assert violation(read(("eventually", ("A",))), trace) is None
    assert violation(read(("always", ("imply", ("A",), ("eventually", ("B",))))), trace) is None
