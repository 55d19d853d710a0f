"""LTL → rule: the language, the two ways to read it, and what a rule is made of."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs.model.ltl import parse_ltl
from rvfs.model.rule import Rule, abbreviate
from rvfs.model.text import ModelText
from tests.model.ltl_oracle import text
from tests.model.test_ltl_semantics import formulas, valuations


def read(*lines: str) -> Rule:
    return model(*lines).model


def model(*lines: str) -> ModelText[Rule]:
    return parse_ltl("\n".join(lines), file="dir/r.ltl")


def reads_as(line: str, *, precedence: bool = False) -> str:
    """The formula with its parentheses."""
    head = ["# rvfs: precedence"] if precedence else []
    return read(*head, f"RULE = {line}").text.removeprefix("RULE = ").rstrip()


KERNEL = {
    "not A and B": "not (A and B)",
    "always A imply B": "always (A imply B)",
    "A and B or C": "A and (B or C)",
    "A or B and C": "A or (B and C)",
    "A until B until C": "A until (B until C)",
    "(A until B) until C": "(A until B) until C",
    "next not A or false": "next (not (A or false))",
    "((A)) equivalent eventually B imply A": "A equivalent (eventually (B imply A))",
}
PRECEDENCE = {
    "not A and B": "(not A) and B",
    "always A imply B": "(always A) imply B",
    "A and B or C": "(A and B) or C",
    "A or B and C": "A or (B and C)",
    "A and B until C": "A and (B until C)",
    "not A until next B": "(not A) until (next B)",
    "A until B until C": "A until (B until C)",
    "A imply B imply C": "A imply (B imply C)",
    "A imply B equivalent C or D": "(A imply B) equivalent (C or D)",
    "always (A imply B)": "always (A imply B)",
}


@pytest.mark.parametrize("line", KERNEL)
def test_as_the_kernel_reads_it_an_operator_takes_all_that_follows(line: str) -> None:
    assert reads_as(line) == KERNEL[line]


@pytest.mark.parametrize("line", PRECEDENCE)
def test_with_precedence_the_closest_operator_comes_first(line: str) -> None:
    assert reads_as(line, precedence=True) == PRECEDENCE[line]


def test_the_words_about_precedence_stand_anywhere_in_the_head() -> None:
    head = "# a rule of ours\n\n\t#rvfs:precedence  \n# and more\n"
    assert read(head + "RULE = not A and B").text == "RULE = (not A) and B\n"


def test_white_space_is_free_and_comments_end_with_their_line() -> None:
    assert read("RULE=always# of course", "\t(A", "imply B)", "# the end").text == (
        "RULE = always (A imply B)\n"
    )


def test_a_definition_stands_for_its_formula_wherever_it_is_used() -> None:
    short = read("RULE = always (X imply next not X)", "X = A and Y", "Y = B or C")
    long = read("RULE = always ((A and (B or C)) imply next not (A and (B or C)))")
    assert (short.table, short.start, short.diagram) == (long.table, long.start, long.diagram)
    assert short.atoms == ("A", "B", "C")


def test_the_text_keeps_the_definitions_that_are_used_in_the_order_of_use() -> None:
    rule = read("Y = not A", "LOST = Z", "RULE = X or Y", "X = next Y")
    assert rule.text == "RULE = X or Y\nX = next Y\nY = not A\n"


def test_a_rule_is_called_as_its_file_unless_a_name_is_given() -> None:
    assert read("RULE = A").name == "r"
    assert parse_ltl("RULE = A", file="r.ltl", name="other").model.name == "other"


def test_atoms_are_sorted_and_each_is_there_even_if_it_decides_nothing() -> None:
    assert read("RULE = B or (Z and (not Z)) or A_ or A").atoms == ("A", "A_", "B", "Z")


@given(formulas)
def test_the_canonical_text_reads_as_the_same_rule(formula: tuple[object, ...]) -> None:
    line = f"(A until B) or {text(formula)}"
    rule = read(f"RULE = {line}")
    assert read(rule.text) == rule
    assert read(f"# rvfs: precedence\n{rule.text}") == rule


SHORT = {
    "ABORT_SLEEP": "ab_sl", "BLOCK_ON_RT_MUTEX": "bl_on_rt_mu", "CLOCK_NANOSLEEP": "cl_na",
    "EPOLL_WAIT": "ep_wa", "FUTEX_LOCK_PI": "fu_lo_pi", "FUTEX_WAIT": "fu_wa",
    "NANOSLEEP_CLOCK_REALTIME": "na_cl_re", "NANOSLEEP_TIMER_ABSTIME": "na_ti_ab", "RT": "rt",
    "SCHEDULE_IN": "sch_in", "SLEEP": "sle", "USER_THREAD": "us_th",
    "WOKEN_BY_EQUAL_OR_HIGHER_PRIO": "wo_eq_hi_pr", "WOKEN_BY_HARDIRQ": "wo_ha",
    "WOKEN_BY_NMI": "wo_nm",
}  # fmt: skip


def test_atoms_are_abbreviated_as_the_kernel_does() -> None:
    assert abbreviate(tuple(SHORT)) == tuple(SHORT.values())


def test_an_abbreviation_that_says_nothing_or_two_things_is_the_whole_name() -> None:
    assert abbreviate(("OR", "X")) == ("OR", "x")
    twins = ("ABCD_1A", "ABCD_1B", "ABEF_1A", "ABEF_1B")
    assert abbreviate(twins) == twins


def test_the_text_of_a_valuation_names_the_atoms_that_hold() -> None:
    rule = read("RULE = always (RT imply not PAGEFAULT)")
    assert [rule.atoms_text(v) for v in range(4)] == ["", "pa", "rt", "pa,rt"]


def test_a_formula_without_atoms_has_one_class() -> None:
    rule = read("RULE = true")
    assert (rule.atoms, rule.depth, rule.diagram, rule.classify(0)) == ((), 0, (), 0)


def test_states_are_printed_as_lists_of_bits() -> None:
    rule = read("RULE = (always A) or (always B) or (always C) or always D")
    assert {"0", "0-1", "1,3", "0-2", "0,2-3", "0-1,3", "0-3"} <= set(rule.states)


NAMES = [f"A{i:02}" for i in range(64)]
EVEN = read("RULE = always " + " equivalent ".join(NAMES))
NONE = read("RULE = always not (" + " or ".join(NAMES) + ")")


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_sixty_four_atoms_are_told_apart(words: list[int]) -> None:
    for word in words:
        assert (EVEN.table[0][EVEN.classify(word)] == 0) == (word.bit_count() % 2 == 0)
        assert (NONE.table[0][NONE.classify(word)] == 0) == (word == 0)


@given(valuations)
def test_classes_are_no_finer_than_the_table_needs(valuation: frozenset[str]) -> None:
    rule = read("RULE = always ((A and B) imply next C)")
    columns = [(first, *rest) for first, *rest in zip(rule.start, *rule.table, strict=True)]
    assert len(columns) == len(set(columns))
    assert rule.classify(sum(1 << "ABC".index(a) for a in valuation)) in range(len(columns))


def test_a_definition_that_is_not_used_is_warned_of() -> None:
    assert model("RULE = always A", " X = A").warnings == (
        "dir/r.ltl:2:2: warning: X is not used in the rule",
    )


def test_a_rule_that_never_fails_is_warned_of() -> None:
    assert model("RULE = eventually P").warnings == (
        "dir/r.ltl:1:1: warning: the rule is never violated: "
        "whatever happened, it may still come true",
    )
    assert model("RULE = always P").warnings == ()


def test_numbers_do_not_depend_on_the_order_of_hashes() -> None:
    script = (
        "from rvfs.model.ltl import parse_ltl\n"
        "print(parse_ltl('RULE = X and Y or Z\\nX = always (A imply (B until C))\\n"
        "Y = always (C imply next (D until A))\\nZ = (eventually always E) and F', file='r').model)"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1
    assert "Rule(" in texts.pop()


PAGE = Path(__file__).parents[2] / "docs" / "ltl.md"


def test_the_page_shows_what_is_read() -> None:
    (example,) = re.findall(r"```\n(# .*?)```", PAGE.read_text(), re.DOTALL)
    assert read(example).table == read("RULE = always (RT imply not PAGEFAULT)").table
    rows = re.findall(r"^\| `(.*)` \| `(.*)` \| `(.*)` \|$", PAGE.read_text(), re.MULTILINE)
    assert len(rows) == 3
    for written, kernel, usual in rows:
        assert (reads_as(written), reads_as(written, precedence=True)) == (kernel, usual)
