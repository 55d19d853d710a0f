"""Conditions: what they say over columns, and what is wrong with those that cannot be read."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs.errors import ModelError
from rvfs.model.filter import Filter, parse_filter

COLUMNS: dict[str, Any] = {
    "state": np.array([0, 1, 2, 0x100, -1], dtype=np.int64),
    "prio": np.array([120, 99, 0, 120, 98], dtype=np.int64),
    "comm": np.array([b"idle", b"kworker/0:1", b"sh", b"kworker/1:0", b"k"], dtype="S16"),
    "args[1]": np.array([7, 1, 4, 0x100, 1], dtype=np.uint64),
    "name": np.array([b"eth0", b"", b"a*b", b"axb", b"eth0"], dtype=object),
}

HOLDS = {
    "state == 1": [1],
    "state != 0x0": [1, 2, 3, 4],
    "state < 1": [0, 4],
    "state <= 1": [0, 1, 4],
    "state > 1": [2, 3],
    "state >= 2": [2, 3],
    "state == -1": [4],
    "state & 0x102": [2, 3, 4],
    "prio == 0X63": [1],
    'comm == "idle"': [0],
    "comm == 'idle'": [0],
    'comm != "idle"': [1, 2, 3, 4],
    'comm ~ "kworker/*"': [1, 3],
    'comm ~ "s?"': [2],
    'name == "eth0"': [0, 4],
    'name != "eth0"': [1, 2, 3],
    'name == ""': [1],
    'name ~ "a*b"': [2, 3],
    "state == 0 || state == 1 && prio == 99": [0, 1],
    "(state == 0 || state == 1) && prio == 99": [1],
    "!(state == 0 || state == 1)": [2, 3, 4],
    "!state == 0": [1, 2, 3, 4],
    "!!(state == 0)": [0],
    "state==1||state==2||state==256": [1, 2, 3],
    "  state\n==\t1 ": [1],
    "state < prio": [0, 1, 4],
    "state == args[1]": [1, 3],
    "args[1] & prio": [1],
}  # fmt: skip


@pytest.mark.parametrize("text", HOLDS)
def test_a_condition_holds_for_these_events(text: str) -> None:
    mask = parse_filter(text)(COLUMNS)
    assert mask.dtype == np.bool_
    assert np.flatnonzero(mask).tolist() == HOLDS[text]


def test_a_condition_says_which_fields_it_reads_and_which_as_text() -> None:
    condition = parse_filter('prev_state == 1 && !(comm ~ "k*" || prio < 100)')
    assert condition.fields == {"prev_state", "comm", "prio"}
    assert condition.strings == {"comm"}


def test_conditions_of_the_same_text_are_equal() -> None:
    assert parse_filter("a == 1") == parse_filter("a == 1")
    assert len({parse_filter("a == 1"), parse_filter("a == 1"), parse_filter("a == 2")}) == 2
    assert parse_filter("a == 1") != "a == 1"


def test_no_events_no_answers() -> None:
    empty: dict[str, Any] = {name: column[:0] for name, column in COLUMNS.items()}
    assert parse_filter('state == 1 && comm == "x"')(empty).tolist() == []


SIGN = "expected one of == != < <= > >= & ~"
CANNOT_READ = {
    "": "column 1: expected a field or '(' or '!'",
    "state": f"column 6: {SIGN}",
    "state = 1": f"column 7: {SIGN}",
    "state == ": "column 10: expected a field or a number or a quoted text",
    "state == [0]": "column 10: expected a field or a number or a quoted text",
    "== 1": "column 1: expected a field or '(' or '!'",
    "state == 1 &&": "column 14: expected a field or '(' or '!'",
    "state == 1 & prio == 2": "column 12: expected '&&' or '||' or the end",
    "(state == 1": "column 12: expected ')'",
    "state == 1)": "column 11: expected the end",
    "state == 0x": "column 11: expected '&&' or '||' or the end",
    'comm == "open': "column 9: expected a field or a number or a quoted text",
    "state == 1; prio == 2": "column 11: expected ')' or '&&' or '||'",
}
MAKES_NO_SENSE = {
    "state ~ 1": "~ wants a quoted text, not the number 1",
    'comm < "x"': "< cannot compare a text; use one of == != ~",
    "state ~ prio": "~ wants a quoted text, not the field prio",
    'comm & "x"': "& cannot compare a text; use one of == != ~",
    "state == 18446744073709551616": "18446744073709551616 does not fit in 64 bits",
    "state == -0x8000000000000001": "-0x8000000000000001 does not fit in 64 bits",
}


def fault_of(text: str) -> str:
    with pytest.raises(ModelError) as caught:
        parse_filter(text, file="m.toml")
    return str(caught.value)


@pytest.mark.parametrize("text", CANNOT_READ)
def test_what_cannot_be_read_is_named_with_its_column(text: str) -> None:
    assert fault_of(text) == f"m.toml: cannot read the condition {text!r} at {CANNOT_READ[text]}"


@pytest.mark.parametrize("text", MAKES_NO_SENSE)
def test_what_makes_no_sense_is_named(text: str) -> None:
    assert fault_of(text) == f"m.toml: {MAKES_NO_SENSE[text]} in {text!r}"


def test_deep_nesting_ends_in_an_error() -> None:
    assert fault_of("!" * 5000 + "a == 1").endswith("is nested too deeply")


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint64])
@pytest.mark.parametrize("mask", ["-1", "0xffffffffffffffff", "0x8000000000000001"])
def test_a_mask_is_64_bits_with_a_sign_or_without(dtype: type, mask: str) -> None:
    columns: dict[str, Any] = {"flags": np.array([1, 0], dtype=dtype)}
    assert parse_filter(f"flags & {mask}")(columns).tolist() == [True, False]


SIGNS = {"==": int.__eq__, "!=": int.__ne__, "<": int.__lt__, "<=": int.__le__,
         ">": int.__gt__, ">=": int.__ge__, "&": int.__and__}  # fmt: skip
COMPARISONS = st.tuples(
    st.sampled_from(["state", "prio"]), st.sampled_from(list(SIGNS)), st.integers(-2, 300)
)
Tree = Any
TREES: st.SearchStrategy[Tree] = st.recursive(
    COMPARISONS,
    lambda inner: (
        st.tuples(st.just("!"), inner)
        | st.tuples(st.sampled_from(["&&", "||"]), inner, inner).map(lambda t: (t[1], t[0], t[2]))
    ),
)


def spell(tree: Tree) -> str:
    """The tree as text, every part in parentheses."""
    if tree[0] == "!":
        return f"!({spell(tree[1])})"
    left, sign, right = tree
    if sign in SIGNS:
        return f"{left} {sign} {right}"
    return f"({spell(left)}) {sign} ({spell(right)})"


def holds(tree: Tree, event: dict[str, int]) -> bool:
    """The naive model: one event at a time."""
    if tree[0] == "!":
        return not holds(tree[1], event)
    left, sign, right = tree
    if sign in SIGNS:
        return bool(SIGNS[sign](event[left], right))
    both = holds(left, event), holds(right, event)
    return all(both) if sign == "&&" else any(both)


@given(TREES)
def test_columns_are_answered_as_one_event_at_a_time_would_be(tree: Tree) -> None:
    condition: Filter = parse_filter(spell(tree))
    events = [
        {"state": int(s), "prio": int(p)}
        for s, p in zip(COLUMNS["state"], COLUMNS["prio"], strict=True)
    ]
    assert condition(COLUMNS).tolist() == [holds(tree, event) for event in events]
