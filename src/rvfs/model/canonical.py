"""Model → canonical text: the same model gives the same text, however it was written."""

from rvfs.model.automaton import Automaton
from rvfs.model.guard import constraint_text, guard_text
from rvfs.model.rule import Rule
from rvfs.model.timing import And

INIT = "__init_"


def canonical(model: Automaton | Rule) -> str:
    """What is read back as an equal model: DOT of an automaton, LTL of a rule."""
    return model.text if isinstance(model, Rule) else to_dot(model)


def to_dot(model: Automaton) -> str:
    """Canonical DOT: both of the kernel's parsers read it, Graphviz draws it.

    :func:`parse_dot` makes an equal automaton of it.
    """
    init = f'"{INIT}{model.initial}"'
    return "\n".join(
        [
            "digraph state_automaton {",
            "\tcenter = true;",
            '\tsize = "7,11";',
            f'\t{{node [shape = plaintext, style = invis, label = ""] {init}}};',
            *(f'\t{{node [shape = {_shape(model, s)}] "{s}"}};' for s in model.states),
            f'\t{init} -> "{model.initial}";',
            *(f'\t"{s}" [label = "{_name(model, s)}"{_color(model, s)}];' for s in model.states),
            *(
                f'\t"{source}" -> "{target}" [ label = "{label}" ];'
                for (source, target), label in _labels(model).items()
            ),
            "\t{ rank = min ;",
            f"\t\t{init};",
            f'\t\t"{model.initial}";',
            "\t}",
            "}",
            "",
        ]
    )


def _shape(model: Automaton, state: str) -> str:
    return "doublecircle" if state in model.final else "circle"


def _color(model: Automaton, state: str) -> str:
    return ", color = green3" if state in model.final else ""


def _name(model: Automaton, state: str) -> str:
    bounds = model.timing.invariants.get(state) if model.timing else None
    return f"{state}\\n{guard_text(And(bounds))}" if bounds else state


def _labels(model: Automaton) -> dict[tuple[str, str], str]:
    """(from, to) → the events between them, in the order of the table."""
    labels: dict[tuple[str, str], list[str]] = {}
    for source in model.states:
        for event in model.events:
            target = model.next_state(source, event)
            if target is not None:
                labels.setdefault((source, target), []).append(_event(model, source, event))
    return {edge: "\\n".join(events) for edge, events in labels.items()}


def _event(model: Automaton, source: str, event: str) -> str:
    asked = model.timing.constraints.get((source, event)) if model.timing else None
    return f"{event};{constraint_text(asked)}" if asked else event
