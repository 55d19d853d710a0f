"""Guards, resets and invariants: what a label says, and the one way to write it again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs.errors import InvalidInput
from rvfs.model.guard import constraint_text, guard_text, parse_constraint, parse_invariant
from rvfs.model.timing import And, Condition, Constraint, Guard, Not, Or, Value


def condition(env: str, sign: str = "==", number: int = 1) -> Condition:
    return Condition(env, sign, Value(number=number))


A, B, C = map(condition, "abc")


def guard(text: str) -> Guard | None:
    return parse_constraint(text).guard


def value(text: str) -> Value:
    read = guard(f"clk < {text}")
    assert isinstance(read, Condition)
    return read.value


def test_a_reset_may_stand_on_either_side() -> None:
    both = Constraint(A, ("clk",))
    assert parse_constraint("a == 1;reset(clk)") == both
    assert parse_constraint("reset(clk) ; a==1") == both


def test_several_clocks_may_be_reset() -> None:
    assert parse_constraint("reset(y);a == 1;reset( x )") == Constraint(A, ("x", "y"))
    assert parse_constraint("reset(clk)") == Constraint(None, ("clk",))


def test_and_binds_tighter_than_or() -> None:
    assert guard("a == 1 || b == 1 && c == 1") == Or((A, And((B, C))))
    assert guard("(a == 1 || b == 1) && c == 1") == And((Or((A, B)), C))
    assert guard("a==1&&b==1&&c==1") == And((A, B, C))


def test_not_is_of_what_stands_in_parentheses() -> None:
    assert guard("!(a == 1) && !!(b == 1 || c == 1)") == And((Not(A), Not(Not(Or((B, C))))))


@pytest.mark.parametrize("sign", ["==", "!=", "<", "<=", ">", ">="])
def test_every_sign_is_read(sign: str) -> None:
    assert guard(f"a{sign}1") == condition("a", sign)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("5", Value(5)),
        ("5us", Value(5, unit="us")),
        ("5 j", Value(5, unit="j")),
        ("threshold2", Value(name="threshold2")),
        ("threshold ms", Value(name="threshold", unit="ms")),
        ("threshold_jiffies", Value(name="threshold_jiffies", unit="j")),
        ("slice_ns", Value(name="slice_ns", unit="ns")),
        ("slice_ns us", Value(name="slice_ns", unit="us")),
        ("DEADLINE_NS()", Value(name="DEADLINE_NS", of_instance=True, unit="ns")),
        ("deadline( )", Value(name="deadline", of_instance=True)),
        ("reset_after", Value(name="reset_after")),
    ],
)
def test_values_and_their_units(text: str, read: Value) -> None:
    assert value(text) == read


def test_an_invariant_is_bounds_joined_by_and() -> None:
    assert parse_invariant("x < 5 && (y <= 7)") == (condition("x", "<", 5), condition("y", "<=", 7))


@pytest.mark.parametrize("text", ["!" * 3000 + "(a == 1)", "!(b == 1 && (" * 900])
def test_deep_nesting_ends_in_an_error(text: str) -> None:
    with pytest.raises(InvalidInput):
        guard(text)


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda n: n != "reset")
NUMBERS = st.builds(
    Value, st.integers(0, 2**63 - 1), unit=st.sampled_from([None, "ns", "us", "ms", "s", "j"])
)
VALUES = NUMBERS | st.builds(
    lambda name, call, unit: value(f"{name}{'()' * call} {unit}"),
    NAMES, st.booleans(), st.sampled_from(["", "ns", "us", "j"]),
)  # fmt: skip
CONDITIONS = st.builds(
    Condition, NAMES, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), VALUES
)
GUARDS: st.SearchStrategy[Guard] = st.recursive(
    CONDITIONS,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=8,
)
RESETS = st.lists(NAMES, unique=True, max_size=3).map(lambda names: tuple(sorted(names)))
CONSTRAINTS = st.builds(Constraint, GUARDS, RESETS)
BOUNDS = st.lists(
    st.builds(Condition, NAMES, st.sampled_from(["<", "<="]), VALUES), min_size=1, max_size=3
).map(tuple)


@given(CONSTRAINTS)
def test_the_canonical_text_of_a_constraint_is_read_as_the_same(constraint: Constraint) -> None:
    assert parse_constraint(constraint_text(constraint)) == constraint


@given(BOUNDS)
def test_the_canonical_text_of_an_invariant_is_read_as_the_same(
    bounds: tuple[Condition, ...],
) -> None:
    assert parse_invariant(guard_text(And(bounds))) == bounds
