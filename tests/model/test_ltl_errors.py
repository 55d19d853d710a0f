"""Faulty LTL files: each fault is named with its line and column; bombs are refused."""

import pytest

from rvfs.errors import ModelError
from rvfs.model.ltl import parse_ltl


def faults_of(text: str) -> list[str]:
    with pytest.raises(ModelError) as caught:
        parse_ltl(text, file="r.ltl")
    return [str(fault) for fault in (caught.value, *caught.value.also)]


OPERATOR = "an operator (until, and, or, imply, equivalent)"
DEFINITION = "a definition (NAME = formula)"
SYNTAX = {
    "": f"1:1: expected {DEFINITION}, found the end of the file",
    "# nothing\n": f"2:1: expected {DEFINITION}, found the end of the file",
    "always A": f"1:1: expected {DEFINITION}, found always",
    "rule = A": f"1:1: expected {DEFINITION}, found rule",
    "RULE A": "1:6: expected '=', found A",
    "RULE =": "1:7: expected a formula, found the end of the file",
    "RULE = A and": "1:13: expected a formula, found the end of the file",
    "RULE = (A\n or\n)": "3:1: expected a formula, found )",
    "RULE = not\nX = B": f"2:3: expected {OPERATOR} or {DEFINITION} or the end, found =",
    "RULE = A)": f"1:9: expected {OPERATOR} or {DEFINITION} or the end, found )",
    "RULE = Alert": "1:8: expected a formula, found Alert",
    "RULE = globally A": "1:8: expected a formula, found globally",
    "RULE = A && B": f"1:10: expected {OPERATOR} or {DEFINITION} or the end, found &",
    "RULE = A\n  since B": f"2:3: expected {OPERATOR} or {DEFINITION} or the end, found since",
    "RULE = (A since B)": f"1:11: expected {OPERATOR} or ')', found since",
    "RULE = A B": "1:11: expected '=', found the end of the file",
    "RULE = (A": f"1:10: expected {OPERATOR} or ')', found the end of the file",
}  # fmt: skip


@pytest.mark.parametrize("text", SYNTAX)
@pytest.mark.parametrize("head", ["", "# rvfs: precedence\n"], ids=["kernel", "precedence"])
def test_what_is_no_ltl_says_where_and_what_was_expected(text: str, head: str) -> None:
    line, _, rest = SYNTAX[text].partition(":")
    assert faults_of(head + text) == [f"r.ltl:{int(line) + head.count(chr(10))}:{rest}"]


CONTRADICTION = "the rule cannot be made a table: nothing satisfies it: it contradicts itself"
MEANING = {
    "X = A": ["there is no RULE; expected RULE = formula"],
    "RULE = A\nRULE = B\n RULE = C": [
        "2:1: RULE is defined already, in line 1", "3:2: RULE is defined already, in line 1"],
    "RULE = A or RULE": ["1:13: definitions in a circle: RULE → RULE"],
    "RULE = A\nZ = next X\nX = A and Y\nY = X or Q": ["3:11: definitions in a circle: X → Y → X"],
    "RULE = X\nX = not (A\n  until Y)\nY = X": ["3:9: definitions in a circle: X → Y → X"],
    "X = A\nX = X": ["there is no RULE; expected RULE = formula",
        "2:1: X is defined already, in line 1"],
    "A = B\n RULE = A and not B": [f"2:2: {CONTRADICTION}"],
    "RULE = always (A and eventually not A)": [f"1:1: {CONTRADICTION}"],
    "# rvfs: precedense\nRULE = A": ["1:1: expected # rvfs: precedence, found # rvfs: precedense"],
    "RULE = A\n # rvfs: precedence": ["2:2: # rvfs: precedence must stand before the first "
        "definition"],
    "RULE = " + " and ".join(f"A{i}" for i in range(65)): ["1:510: 65 atoms; a rule may have 64"],
}  # fmt: skip


@pytest.mark.parametrize("text", MEANING)
def test_what_means_nothing_says_where_and_why(text: str) -> None:
    numbered = [f if f[0].isdigit() else f" {f}" for f in MEANING[text]]
    assert faults_of(text) == [f"r.ltl:{fault}" for fault in numbered]


def all_of(*formulas: str) -> str:
    return " and ".join(f"({formula})" for formula in formulas)


DOUBLING = "\n".join(f"X{i} = X{i + 1} until next X{i + 1}" for i in range(60))
BOMBS = {
    "eventualities": "RULE = " + all_of(*(f"eventually A{i}" for i in range(64))),
    "answers": "RULE = " + all_of(*(f"always (A{i} imply eventually B{i})" for i in range(32))),
    "delay": "RULE = always (A equivalent " + "next " * 40 + "B)",
    "memory": "RULE = eventually (A and " + "next " * 60 + "B)",
    "pairs": "RULE = always (" + " or ".join(f"(X{i} and Y{i})" for i in range(32)) + ")",
    "alternatives": "RULE = " + " or ".join(f"(always A{i})" for i in range(20)),
    "definitions": "RULE = X0\n" + DOUBLING,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_would_make_too_large_a_table_is_refused(bomb: str) -> None:
    (fault,) = faults_of(BOMBS[bomb])
    assert fault.startswith("r.ltl:1:1: the rule cannot be made a table: too complex: ")
    assert fault.endswith("split it into several rules")


CHAIN = "\n".join(f"X{i} = next X{i + 1}" for i in range(2000))
DEEP = {
    "unary": "RULE = " + "not " * 10_000 + "A",
    "binary": "RULE = " + "A until " * 5_000 + "A",
    "left": "RULE = " + "(" * 5_000 + "A" + " or B)" * 5_000,
    "definitions": "RULE = X0\n" + CHAIN,
}


@pytest.mark.parametrize("formula", DEEP)
def test_what_is_nested_too_deeply_is_refused(formula: str) -> None:
    assert faults_of(DEEP[formula]) == [
        "r.ltl:1:1: the rule cannot be made a table: more than 150 operators stand one in another"
    ]


def test_parentheses_alone_are_no_depth() -> None:
    assert parse_ltl("RULE = " + "(" * 9_000 + "A" + ")" * 9_000, file="r").model.atoms == ("A",)


def test_a_text_that_is_too_long_is_refused() -> None:
    assert faults_of("RULE = A #" + "x" * 65_527) == [
        "r.ltl: 65537 characters; at most 65536 are read"
    ]
