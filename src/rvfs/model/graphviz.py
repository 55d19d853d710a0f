"""The statements of a DOT file, each with its place in the text.

The grammar is pydot's. What a statement means is not decided here: `dot.py` does that.

pydot builds a graph of its own out of what it reads, and keeps neither the order of the
statements nor their places. So a private copy of its grammar module is loaded, and the
parse actions of that copy make :class:`Node`, :class:`Edge`, :class:`Default` and
:class:`Scope` instead. Where the text does not follow the grammar, the error names the
furthest place that any rule got to, and what the rules wanted to see there.
"""

import functools
import importlib.util
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pyparsing

from rvfs.errors import ModelError

Attributes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Node:
    """``NAME [attributes]``; ``place`` is the offset of the statement in the text."""

    place: int
    name: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Edge:
    """``NAME -> NAME [attributes]``; more than two ``ends`` where the file chains them."""

    place: int
    ends: tuple[str, ...]
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Default:
    """``node [attributes]``: what later statements of the scope have; ``kind`` is node, edge…"""

    kind: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Scope:
    """``{ … }`` or ``subgraph NAME { … }``: defaults end with it."""

    statements: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole graph; ``kind`` is ``graph`` or ``digraph``."""

    place: int
    kind: str
    statements: "tuple[Statement, ...]"


Statement = Node | Edge | Default | Scope

#: What the grammar's terminals are called in an error. Those that are not listed (the
#: optional ``;``, ports, …) would only make the sentence longer.
EXPECTED: Mapping[str, str] = {
    "'DIGRAPH'": "'digraph'",
    "double_quoted": "a name",
    "equals": "'='",
    "rbrack": "']'",
    "'->'": "'->'",
    "lbrace": "'{'",
    "rbrace": "'}'",
    "end of text": "the end of the file",
}
_COMMENT_OR_TEXT = re.compile(r'(?P<text>"(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/|\#[^\n]*', re.DOTALL)
_FOUND = re.compile(r'"[^"\n]*"?|->|--|\w+|.', re.DOTALL)


def position(text: str, place: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1."""
    return pyparsing.lineno(place, text), pyparsing.col(place, text)


def unquote(name: str) -> str:
    """A DOT id without its quotes."""
    if len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1].replace('\\"', '"')
    return name


def without_comments(text: str) -> str:
    """The text with blanks for its comments, so that all else keeps its place.

    The grammar could leave comments out by itself; it would look for them before each token
    of each alternative, which takes two thirds of its time.
    """
    return _COMMENT_OR_TEXT.sub(_blank, text)


def _blank(match: re.Match[str]) -> str:
    return match["text"] or re.sub(r"[^\n]", " ", match[0])


def parse_graph(text: str, *, file: str) -> Graph:
    """The one graph of a DOT text. Raises :class:`ModelError` with line and column."""
    try:
        graphs = _grammar().parse(text)
    except pyparsing.ParseBaseException as error:
        raise _grammar().fault(text, file, error) from None
    except RecursionError:
        raise ModelError("scopes are nested too deeply", file=file) from None
    if len(graphs) > 1:
        line, column = position(text, graphs[1].place)
        raise ModelError("expected one graph, found another", file=file, line=line, column=column)
    return graphs[0]


class _Grammar:
    """A private copy of pydot's grammar that makes our statements and tracks its failures."""

    def __init__(self) -> None:
        module = _private_copy("pydot.dot_parser")
        self.rules = module.GraphParser
        self._merged = module.expand_attr_lists
        self.furthest, self.wanted = -1, set[str]()
        self._make_statements()
        for rule in _all_rules(self.rules.parser, set()):
            rule.ignoreExprs = []
            if isinstance(rule, pyparsing.Token):
                rule.set_fail_action(self._failed)

    def _make_statements(self) -> None:
        rules = self.rules
        # An edge joins two nodes, with an arrow. Without scopes as ends, a scope is read
        # once and not twice per level of nesting.
        rules.edge_point.exprs[:] = [rules.node_id]
        rules.edgeop.exprs[:] = [e for e in rules.edgeop.exprs if e.match == "->"]
        # A port says where an arrow touches the picture of a node; the node is the same.
        rules.node_id.set_parse_action(lambda tokens: tokens[0].id_part)
        rules.node_stmt.set_parse_action(self._node)
        rules.edge_stmt.set_parse_action(self._edge)
        rules.default_stmt.set_parse_action(self._default)
        rules.assignment.set_parse_action(lambda _: [])
        rules.subgraph.set_parse_action(lambda tokens: Scope(tuple(tokens.contents)))
        rules.graph_stmt.set_parse_action(lambda tokens: Scope(tuple(tokens[0])))
        rules.parser.set_parse_action()
        rules.parser.expr.set_parse_action(
            lambda _, place, tokens: Graph(place, tokens[0].gtype, tuple(tokens[0].contents))
        )

    def _attributes(self, tokens: pyparsing.ParseResults) -> Attributes:
        merged: dict[str, str | None] = self._merged(tokens.attr_l)
        return {unquote(key): unquote(value or "") for key, value in merged.items()}

    def _node(self, _: str, place: int, tokens: pyparsing.ParseResults) -> Node:
        return Node(place, unquote(tokens.name), self._attributes(tokens))

    def _edge(self, _: str, place: int, tokens: pyparsing.ParseResults) -> Edge:
        return Edge(place, tuple(map(unquote, tokens.endpoints)), self._attributes(tokens))

    def _default(self, tokens: pyparsing.ParseResults) -> Default:
        return Default(tokens.dtype, self._attributes(tokens))

    def parse(self, text: str) -> list[Graph]:
        self.furthest, self.wanted = -1, set()
        return list(self.rules.parser.parse_string(without_comments(text), parse_all=True))

    def _failed(self, _: str, __: int, rule: pyparsing.ParserElement, error: Exception) -> None:
        assert isinstance(error, pyparsing.ParseBaseException)
        if error.loc > self.furthest:
            self.furthest, self.wanted = error.loc, set()
        if error.loc == self.furthest:
            self.wanted.add(rule.name)

    def fault(self, text: str, file: str, error: pyparsing.ParseBaseException) -> ModelError:
        """The error of the last parse, at the furthest place."""
        place = max(self.furthest, error.loc)
        wanted = self.wanted if place == self.furthest else {"end of text"}
        expected = " or ".join(says for name, says in EXPECTED.items() if name in wanted)
        match = _FOUND.match(text, place)
        found = match[0] if match else "the end of the file"
        if found[0] == '"' and "double_quoted" in wanted:
            found = "a quote that is never closed"
        line, column = position(text, place)
        return ModelError(
            f"expected {expected}, found {found}" if expected else f"cannot read on at {found}",
            file=file, line=line, column=column,
        )  # fmt: skip


def _private_copy(name: str) -> ModuleType:
    """A second, unshared instance of a module: whoever else uses it notices nothing."""
    with warnings.catch_warnings():
        # pydot 4.0 spells pyparsing's names as of old, and newer pyparsings say so.
        warnings.simplefilter("ignore", DeprecationWarning)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def _all_rules(rule: Any, seen: set[int]) -> Iterator[pyparsing.ParserElement]:
    if id(rule) in seen:
        return
    seen.add(id(rule))
    yield rule
    for part in rule.recurse():
        yield from _all_rules(part, seen)


@functools.cache
def _grammar() -> _Grammar:
    return _Grammar()
