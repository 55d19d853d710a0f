"""Sums: what they are made of, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs.errors import ModelError
from rvfs.model.terms import parse_sum

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}(\[[0-9]\])?", fullmatch=True)
SPACE = st.text(" \t", max_size=2)


@given(st.data())
def test_a_sum_is_the_sum_of_its_terms(data: st.DataObject) -> None:
    text, names, constant = "", dict[str, int](), 0
    for number in range(data.draw(st.integers(1, 6))):
        sign = data.draw(st.sampled_from("+-" if number else ["", "+", "-"]))
        factor = -1 if sign == "-" else 1
        term = data.draw(NAMES | st.integers(0, 2**40))
        written = str(term) if isinstance(term, str) else data.draw(
            st.sampled_from([f"{term}", f"{term:#x}", f"00{term}"])
        )  # fmt: skip
        text += f"{data.draw(SPACE)}{sign}{data.draw(SPACE)}{written}{data.draw(SPACE)}"
        if isinstance(term, str):
            names[term] = names.get(term, 0) + factor
        else:
            constant += factor * term
    found = parse_sum(text)
    assert (found.text, dict(found.names), found.constant) == (text, names, constant)
    assert found.fields == names.keys()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "at column 1: expected a name or a number, found the end"),
        ("  ", "at column 1: expected a name or a number, found ' '"),
        ("a +", "at column 4: expected a name or a number, found the end"),
        ("a + + b", "at column 5: expected a name or a number, found '+'"),
        ("a * b", "at column 3: expected '+' or '-', found '*'"),
        ("a b", "at column 3: expected '+' or '-', found 'b'"),
        ("a[b]", "at column 2: expected '+' or '-', found '['"),
        ("1.5", "at column 2: expected '+' or '-', found '.'"),
        ("größe", "at column 3: expected '+' or '-', found 'ö'"),
    ],
)
def test_what_is_no_sum_says_where(text: str, fault: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_sum(text, file="f")
    assert str(caught.value) == f"f: cannot read the sum {text!r} {fault}"


def test_a_sum_has_64_bits() -> None:
    assert parse_sum("0x7fffffffffffffff").constant == 2**63 - 1
    assert parse_sum("-0x8000000000000000").constant == -(2**63)
    with pytest.raises(ModelError, match="does not fit in 64 bits"):
        parse_sum("0x7fffffffffffffff + 1")
