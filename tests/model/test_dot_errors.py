"""Faulty DOT files: each fault is named with its line and column."""

import pydot
import pytest

from rvfs.errors import ModelError
from rvfs.model.dot import parse_dot

BASE = """digraph {
  __init_a; a; b
  a -> b [label="go"]; b -> a [label="back"]
%s
}
"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(ModelError) as caught:
        parse_dot(text, file="m.dot")
    return [str(fault) for fault in (caught.value, *caught.value.also)]


SYNTAX = {
    "": "1:1: expected 'digraph', found the end of the file",
    "state machine": "1:1: expected 'digraph', found state",
    "digraph": "1:8: expected a name or '{', found the end of the file",
    "digraph {\n a -> ;\n}": "2:7: expected a name, found ;",
    "digraph {\n a -- b\n}": "2:4: expected a name or '=' or '->' or '{' or '}', found --",
    "digraph {\n a [label = ]\n}": "2:13: expected a name, found ]",
    'digraph {\n a [label="x"; b="y"]\n}': "2:14: expected a name or ']', found ;",
    'digraph {\n a [label="x]\n}': "2:11: expected a name, found a quote that is never closed",
    "digraph {\n a [label=e\n": "3:1: expected a name or ']', found the end of the file",
    "digraph {\n a -> {b c}\n}": "2:7: expected a name, found {",
    "digraph {\n {a b} -> c\n}": "2:8: expected a name or '{' or '}', found ->",
    "digraph { a }\n}": "2:1: expected 'digraph', found }",
    "digraph { a }\ndigraph { b }": "2:1: expected one graph, found another",
    "digraph {\n/* } */ // }\n = }": "3:2: expected a name or '{' or '}', found =",
}  # fmt: skip


@pytest.mark.parametrize("text", SYNTAX)
def test_what_is_no_dot_says_where_and_what_was_expected(text: str) -> None:
    assert faults_of(text) == [f"m.dot:{SYNTAX[text]}"]


MEANING = {
    '  a -> b [label="go"]; a -> a [label="go"]':
        "4:24: not deterministic: event go leads from a to a, but to b in line 3",
    "  lost [label=lost]; lost -> a [label=e]": "4:3: state lost is never reached from a",
    "  /* c */ a -> c [label=e]": "4:11: the edge names the state c, which has no node",
    "  c -> a [label=e] // c": "4:3: the edge names the state c, which has no node",
    "  c -> c [label=e]": "4:3: the edge names the state c, which has no node",
    '  a -> b [label=""]': "4:3: a -> b has no label; expected its events",
    "  a -> b": "4:3: a -> b has no label; expected its events",
    '  b [label=""]': "4:3: the label of state b is empty; expected b",
    "  b [label=c]": "4:3: the label of state b is 'c'; expected b",
    '  a -> b [label="x\\n"]':
        "4:3: expected the name of an event (letters, digits, _), found ''",
    '  a -> b [label="x y"]':
        "4:3: expected the name of an event (letters, digits, _), found 'x y'",
    '  a -> b [label="1st"]':
        "4:3: expected the name of an event (letters, digits, _), found '1st'",
    "  a -> b -> a [label=e]":
        "4:3: expected an edge from one state to one state, found a -> b -> a",
    "  c:n -> b [label=e]": "4:3: the edge names the state c, which has no node",
    "  __init_b": "4:3: a is the initial state already, not b",
    "  __init_a -> b": "4:3: __init_a leads to b; expected a",
    "  __init_a -> a [label=e]":
        "4:3: the edge from __init_a has a label, but starting is no event",
    '  b [label="b\\nclk < 5"]':
        "4:3: the invariant of state b is about clk, which no transition resets: it is no clock",
    '  b [label="b\\nclk > 5"]':
        "4:3: state b: the invariant 'clk > 5' is no bound on a clock; "
        "expected clk < N, or several joined by &&",
    '  b [label="b\\nclk < 5 || clk < 6"]':
        "4:3: state b: the invariant 'clk < 5 || clk < 6' is no bound on a clock; "
        "expected clk < N, or several joined by &&",
    '  b [label="b\\nreset(clk)"]':
        "4:3: state b: cannot read the invariant 'reset(clk)' at column 6: "
        "expected one of == != < <= > >=, found '('",
    '  a -> b [label="x;clk <"]':
        "4:3: a -> b: cannot read the guard 'clk <' at column 6: "
        "expected a name or a number, found the end",
    '  a -> b [label="x;"]':
        "4:3: a -> b: cannot read the guard '' at column 1: "
        "expected a name or reset(CLOCK) or '(' or '!', found the end",
    '  a -> b [label="x;!irq == 1"]':
        "4:3: a -> b: cannot read the guard '!irq == 1' at column 2: "
        "expected '(' or '!', found 'irq'",
    '  a -> b [label="x;a == 1; b == 2"]':
        "4:3: a -> b: the guard 'a == 1; b == 2': there are two guards; join them by && or ||",
    '  a -> b [label="x;reset(c);reset(c)"]':
        "4:3: a -> b: the guard 'reset(c);reset(c)': c is reset twice",
    '  a -> b [label="x;a == 9223372036854775808"]':
        "4:3: a -> b: the guard 'a == 9223372036854775808': "
        "9223372036854775808 does not fit in 64 bits",
    '  a -> b [label="go;irq == 1"]':
        "4:3: event go from a to b has another guard or reset in line 3",
    '  a -> b [label="x;reset(c)"]; b [label="b\\nc<1"]; b [label="b\\nc<2"]':
        "4:52: state b has another invariant already",
    '  a -> b [label="x y;irq == 1"]':
        "4:3: expected the name of an event (letters, digits, _), found 'x y'",
}  # fmt: skip


@pytest.mark.parametrize("statement", MEANING)
def test_a_statement_that_makes_no_sense_is_named(statement: str) -> None:
    assert faults_of(BASE % statement) == [f"m.dot:{MEANING[statement]}"]


def test_a_state_name_is_an_identifier() -> None:
    assert faults_of('digraph {\n "a-b"; "__init_a-b"\n}') == [
        "m.dot:2:2: expected the name of a state (letters, digits, _), found 'a-b'"
    ]


def test_two_nodes_cannot_be_one_state() -> None:
    assert faults_of('digraph { __init_p_q\n "p,q" \n p_q }') == [
        'm.dot:3:2: nodes "p,q" and "p_q" are both state p_q'
    ]


def test_there_must_be_an_initial_state() -> None:
    assert faults_of("digraph { a; a -> a [label=e] }") == [
        'm.dot: there is no initial state; expected a node "__init_STATE" '
        "beside the node of that state"
    ]


def test_the_initial_state_must_have_a_node() -> None:
    assert faults_of("digraph {\n __init_z; a; a -> a [label=e] }") == [
        "m.dot:2:2: __init_z names the state z, which has no node"
    ]


def test_an_undirected_graph_is_no_automaton() -> None:
    assert faults_of("graph { a; __init_a }") == [
        "m.dot:1:1: expected a digraph: transitions have a direction"
    ]


def test_all_faults_are_told_in_the_order_of_their_places() -> None:
    text = BASE % "  a -> b\n  b [label=c]; x -> b [label=e]"
    assert [fault.split(":")[1:3] for fault in faults_of(text)] == [
        ["4", "3"], ["5", "3"], ["5", "16"],
    ]  # fmt: skip


def test_deep_nesting_ends_in_an_error() -> None:
    assert faults_of("digraph {" + "{" * 3000 + "}" * 3000 + "}") == [
        "m.dot: scopes are nested too deeply"
    ]


def test_a_fault_leaves_nothing_for_the_next_file() -> None:
    faults_of("digraph {\n\n\n\n\n\n\n a -> ;")
    assert faults_of("digraph {\n = }") == ["m.dot:2:2: expected a name or '{' or '}', found ="]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of pydot's own import
def test_pydot_itself_is_left_as_it_was() -> None:
    parse_dot(BASE % "", file="m.dot")
    graphs = pydot.graph_from_dot_data("digraph { a -> {b c} }")
    assert graphs is not None
    assert len(graphs[0].get_edges()) == 1
