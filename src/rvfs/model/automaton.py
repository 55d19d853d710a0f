"""A deterministic automaton: states, events, and a table from one to the next.

State 0 is the initial state, the others follow in alphabetical order, as do the events:
the order in which the kernel's generator numbers them (tools/verification/rvgen).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rvfs.errors import InvalidInput
from rvfs.model.timing import Timing

#: In a table: the model does not allow this event in this state.
INVALID = -1


@dataclass(frozen=True, slots=True)
class Automaton:
    """``table[state][event]`` is the index of the next state, or :data:`INVALID`.

    A hybrid automaton has ``timing`` beside.
    """

    name: str
    states: tuple[str, ...]
    events: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    final: frozenset[str]
    timing: Timing | None = None

    @property
    def initial(self) -> str:
        return self.states[0]

    def next_state(self, state: str, event: str) -> str | None:
        """The state that follows, or None for a violation. Raises ValueError for unknown names."""
        index = self.table[self.states.index(state)][self.events.index(event)]
        return None if index == INVALID else self.states[index]


def automaton(
    name: str,
    initial: str,
    transitions: Iterable[tuple[str, str, str]],
    *,
    states: Iterable[str] = (),
    final: Iterable[str] = (),
    timing: Timing | None = None,
) -> Automaton:
    """Build one from ``(state, event, next state)``; ``states`` may name some that have no edge.

    Without a final state the initial one is final. Raises :class:`InvalidInput` when a
    state has two successors for one event.
    """
    edges: dict[tuple[str, str], str] = {}
    for state, event, target in transitions:
        if edges.setdefault((state, event), target) != target:
            raise InvalidInput(
                f"model {name}: event {event} in state {state} leads both to "
                f"{edges[state, event]} and to {target}"
            )
    names = {initial, *states, *(s for s, _ in edges), *edges.values()}
    ordered = (initial, *sorted(names - {initial}))
    events = tuple(sorted({event for _, event in edges}))
    index = {state: i for i, state in enumerate(ordered)}
    table = tuple(
        tuple(index[edges[s, e]] if (s, e) in edges else INVALID for e in events) for s in ordered
    )
    return Automaton(name, ordered, events, table, frozenset(final) or frozenset({initial}), timing)
