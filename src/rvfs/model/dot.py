"""DOT text → automaton: the two dialects of the kernel's RV models.

Both dialects are read by the same rules (tools/verification/rvgen, and the line format of
its predecessor dot2k):

=============  ===================================================================
state          a node with a statement of its own; its label, if any, is its name and,
               on lines below, its invariant
initial state  the node ``__init_STATE``; its edge may only lead to STATE
final state    shape doublecircle or ellipse; the first shape a node gets counts.
               Where no state is final, the initial one is
transition     an edge; its label is events, separated by ``\\n`` as two characters,
               each with what it asks for: ``event;guard;reset(clk)`` (guard.py)
names          C identifiers; a comma in a state's name is read as ``_``
=============  ===================================================================

Unlike the kernel's generator, which lets one silently win: labels of parallel edges
merge, and an automaton that is not deterministic, names a state that there is not, or has
a state that is never reached is refused, with line and column of every fault.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rvfs.errors import InvalidInput, ModelError
from rvfs.model.automaton import Automaton, automaton
from rvfs.model.canonical import INIT
from rvfs.model.graphviz import Default, Edge, Node, Scope, Statement, parse_graph, position
from rvfs.model.guard import parse_constraint, parse_invariant
from rvfs.model.text import ModelText
from rvfs.model.timing import Condition, Constraint, Timing, timing

FINAL_SHAPES = ("doublecircle", "ellipse")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SEPARATOR = re.compile(r"\\n|\n")


def parse_dot(text: str, *, file: str, name: str | None = None) -> ModelText[Automaton]:
    """Read a model; without a name it is called as the file is, less its suffix.

    Raises :class:`ModelError` for the first fault of the text; ``also`` has the others.
    """
    graph = parse_graph(text, file=file)
    reading = _Reading(text, file)
    if graph.kind != "digraph":
        reading.fault(graph.place, "expected a digraph: transitions have a direction")
    for statement in _flatten(graph.statements, {}):
        reading.take(statement)
    return reading.result(name or Path(file).stem)


def _flatten(
    statements: tuple[Statement, ...], defaults: Mapping[str, Mapping[str, str]]
) -> Iterator[Node | Edge]:
    """Nodes and edges in the order of the file, with the defaults of their scopes merged in."""
    defaults = dict(defaults)
    for statement in statements:
        match statement:
            case Scope(inner):
                yield from _flatten(inner, defaults)
            case Default(kind, attributes):
                defaults[kind] = {**defaults.get(kind, {}), **attributes}
            case Node(place, name, attributes):
                yield Node(place, name, {**defaults.get("node", {}), **attributes})
            case Edge(place, ends, attributes):
                yield Edge(place, ends, {**defaults.get("edge", {}), **attributes})


@dataclass(slots=True)
class _State:
    """A declared state: where, under which id, its first shape; its invariant, and where."""

    place: int
    id: str
    shape: str | None
    bounds: tuple[Condition, ...] = ()
    bounded: int = 0


@dataclass(frozen=True, slots=True)
class _Transition:
    place: int
    source: str
    event: str
    target: str
    constraint: Constraint


def _state_name(node_id: str) -> str:
    return node_id.replace(",", "_")


@dataclass(slots=True)
class _Reading:
    """Takes the statements one by one; keeps the faults, so that one run shows them all."""

    text: str
    file: str
    states: dict[str, _State] = field(default_factory=dict)
    initial: dict[str, int] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    faults: list[ModelError] = field(default_factory=list)

    def fault(self, place: int, message: str) -> None:
        line, column = position(self.text, place)
        self.faults.append(ModelError(message, file=self.file, line=line, column=column))

    def take(self, statement: Node | Edge) -> None:
        if isinstance(statement, Edge):
            self._take_edge(statement)
        elif statement.name.startswith(INIT):
            self._take_initial(statement.place, statement.name)
        else:
            self._take_state(statement)

    def _take_initial(self, place: int, node_id: str) -> None:
        self.initial.setdefault(_state_name(node_id.removeprefix(INIT)), place)

    def _take_state(self, node: Node) -> None:
        name = _state_name(node.name)
        self._check_name(node.place, "state", name)
        bounds = self._read_label(node, name)
        shape = node.attributes.get("shape")
        state = self.states.setdefault(name, _State(node.place, node.name, shape))
        state.shape = state.shape or shape
        if state.bounds and bounds and state.bounds != bounds:
            self.fault(node.place, f"state {name} has another invariant already")
        if bounds and not state.bounds:
            state.bounds, state.bounded = bounds, node.place
        if state.id != node.name:
            self.fault(node.place, f'nodes "{state.id}" and "{node.name}" are both state {name}')

    def _check_name(self, place: int, kind: str, name: str) -> bool:
        good = _IDENTIFIER.fullmatch(name) is not None
        if not good:
            expected = f"expected the name of {'an' if kind[0] == 'e' else 'a'} {kind}"
            self.fault(place, f"{expected} (letters, digits, _), found {name!r}")
        return good

    def _read_label(self, node: Node, name: str) -> tuple[Condition, ...]:
        """The invariant behind the name of a state; more than one line is joined by ``&&``."""
        if "label" not in node.attributes:
            return ()
        label, *lines = (part.strip() for part in _SEPARATOR.split(node.attributes["label"]))
        if not label:
            self.fault(node.place, f"the label of state {name} is empty; expected {name}")
        elif _state_name(label) != name:
            self.fault(node.place, f"the label of state {name} is {label!r}; expected {name}")
        try:
            return tuple(bound for line in lines for bound in parse_invariant(line))
        except InvalidInput as error:
            self.fault(node.place, f"state {name}: {error}")
            return ()

    def _take_edge(self, edge: Edge) -> None:
        if len(edge.ends) > 2:
            chain = " -> ".join(edge.ends)
            self.fault(edge.place, f"expected an edge from one state to one state, found {chain}")
        elif edge.ends[0].startswith(INIT):
            self._take_initial_edge(edge)
        else:
            self.edges.append(edge)

    def _take_initial_edge(self, edge: Edge) -> None:
        source, target = edge.ends
        self._take_initial(edge.place, source)
        named = source.removeprefix(INIT)
        if target != named:
            self.fault(edge.place, f"{source} leads to {target}; expected {named}")
        if edge.attributes.get("label"):
            self.fault(edge.place, f"the edge from {source} has a label, but starting is no event")

    def result(self, name: str) -> ModelText[Automaton]:
        """The automaton, once every statement was taken. Raises the first fault."""
        initial = self._the_initial()
        transitions = [t for edge in self.edges for t in self._transitions(edge)]
        self._check_deterministic(transitions)
        timed = self._timing(transitions)
        self._stop_on_faults()
        self._check_reachable(initial, transitions)
        self._stop_on_faults()
        final = [s for s, state in self.states.items() if state.shape in FINAL_SHAPES]
        table = [(t.source, t.event, t.target) for t in transitions]
        model = automaton(name, initial, table, states=self.states, final=final, timing=timed)
        doubts = (*self._dead_ends(transitions), *self._idle_clocks(transitions, timed))
        return ModelText(model, doubts)

    def _the_initial(self) -> str:
        for state, place in self.initial.items():
            if state not in self.states:
                self.fault(place, f"{INIT}{state} names the state {state}, which has no node")
        first, *others = self.initial or {"": 0}
        for other in others:
            self.fault(self.initial[other], f"{first} is the initial state already, not {other}")
        if not first:
            expected = f'a node "{INIT}STATE" beside the node of that state'
            self.faults.append(
                ModelError(f"there is no initial state; expected {expected}", file=self.file)
            )
        return first

    def _transitions(self, edge: Edge) -> Iterator[_Transition]:
        source, target = map(_state_name, edge.ends)
        unknown = {end: None for end in (source, target) if end not in self.states}
        for end in unknown:
            self.fault(edge.place, f"the edge names the state {end}, which has no node")
        arrow = f"{source} -> {target}"
        label = edge.attributes.get("label", "")
        if not label.strip():
            self.fault(edge.place, f"{arrow} has no label; expected its events")
            return
        for part in _SEPARATOR.split(label):
            event, asks, rest = (piece.strip() for piece in part.partition(";"))
            if self._check_name(edge.place, "event", event):
                constraint = self._constraint(edge.place, arrow, rest) if asks else Constraint()
                yield _Transition(edge.place, source, event, target, constraint)

    def _constraint(self, place: int, arrow: str, text: str) -> Constraint:
        try:
            return parse_constraint(text)
        except InvalidInput as error:
            self.fault(place, f"{arrow}: {error}")
            return Constraint()

    def _check_deterministic(self, transitions: list[_Transition]) -> None:
        first: dict[tuple[str, str], _Transition] = {}
        for other in transitions:
            one = first.setdefault((other.source, other.event), other)
            line, _ = position(self.text, one.place)
            if one.target != other.target:
                self.fault(
                    other.place,
                    f"not deterministic: event {other.event} leads from {other.source} to "
                    f"{other.target}, but to {one.target} in line {line}",
                )
            elif one.constraint != other.constraint:
                self.fault(
                    other.place,
                    f"event {other.event} from {other.source} to {other.target} has another "
                    f"guard or reset in line {line}",
                )

    def _timing(self, transitions: list[_Transition]) -> Timing | None:
        constraints = {(t.source, t.event): t.constraint for t in transitions}
        asked = {key: each for key, each in constraints.items() if each != Constraint()}
        bounds = {name: state.bounds for name, state in self.states.items() if state.bounds}
        timed = timing(bounds, asked)
        for name, bound in ((name, bound) for name, each in bounds.items() for bound in each):
            if timed and bound.env not in timed.clocks:
                self.fault(
                    self.states[name].bounded,
                    f"the invariant of state {name} is about {bound.env}, "
                    f"which no transition resets: it is no clock",
                )
        return timed

    def _idle_clocks(self, transitions: list[_Transition], timed: Timing | None) -> Iterator[str]:
        """A warning for each clock that is reset and never read."""
        unread = set(timed.clocks) - {c.env for c in timed.conditions} if timed else set()
        for transition in transitions:
            for clock in unread.intersection(transition.constraint.resets):
                unread.remove(clock)
                yield self._warning(
                    transition.place, f"{clock} is reset, but no guard or invariant reads it"
                )

    def _check_reachable(self, initial: str, transitions: list[_Transition]) -> None:
        reached, todo = {initial}, [initial]
        while todo:
            source = todo.pop()
            new = {t.target for t in transitions if t.source == source} - reached
            reached |= new
            todo += new
        for state, declared in self.states.items():
            if state not in reached:
                self.fault(declared.place, f"state {state} is never reached from {initial}")

    def _dead_ends(self, transitions: list[_Transition]) -> Iterator[str]:
        left = {t.source for t in transitions}
        for name, state in self.states.items():
            if name not in left:
                yield self._warning(
                    state.place, f"state {name} is a dead end: every event there is a violation"
                )

    def _warning(self, place: int, message: str) -> str:
        line, column = position(self.text, place)
        return f"{self.file}:{line}:{column}: warning: {message}"

    def _stop_on_faults(self) -> None:
        if self.faults:
            raise ModelError.first_of(self.faults)
