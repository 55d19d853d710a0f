"""A monitor as tables: each is rows of cells, the first of them the head."""

import sys
from collections.abc import Iterator, Sequence, Sized

from rvfs.model.automaton import Automaton
from rvfs.model.guard import guard_text
from rvfs.model.rule import Rule
from rvfs.model.timing import And, Timing
from rvfs.monitor import Binding, Monitor

NONE = "-"
Rows = list[list[str]]


def summary(monitor: Monitor) -> str:
    """``2 states, 3 events, 1 clock, 4 bindings, deterministic``; a rule has atoms."""
    counts: list[tuple[Sized, str]] = []
    model = monitor.model
    if isinstance(model, Rule):
        counts += [(model.atoms, "atom"), (model.states, "state set")]
    elif isinstance(model, Automaton):
        clocks, envs = (model.timing.clocks, model.timing.envs) if model.timing else ((), ())
        counts += [(model.states, "state"), (model.events, "event")]
        counts += [(clocks, "clock")] * bool(clocks) + [(envs, "variable")] * bool(envs)
    counts += [(monitor.bindings, "binding")] * bool(monitor.bindings)
    words = [f"{len(each)} {word}{'s' * (len(each) != 1)}" for each, word in counts]
    return ", ".join([*words, "deterministic"])


def print_monitor(monitor: Monitor) -> None:
    """Its name and description, and its tables, on standard output."""
    sys.stdout.write(": ".join(filter(None, (monitor.name, monitor.description))) + "\n")
    if isinstance(monitor.model, Rule):
        sys.stdout.write(monitor.model.text + "\n")
    tables = [rows for rows in _tables(monitor) if len(rows) > 1]
    for number, rows in enumerate(tables):
        sys.stdout.write("\n" * bool(number))
        print_table(rows)


def _tables(monitor: Monitor) -> Iterator[Rows]:
    model = monitor.model
    if isinstance(model, Automaton):
        yield _transitions(model)
        yield _constraints(model.timing or Timing((), ()))
    elif isinstance(model, Rule):
        yield _atoms(model, monitor)
    yield _numbers(monitor)
    yield _bindings(monitor)


def _transitions(model: Automaton) -> Rows:
    invariants = model.timing.invariants if model.timing else {}
    rows = [["state", "mark", *["invariant"] * bool(invariants), *model.events]]
    for state in model.states:
        marks = ["initial"] * (state == model.initial) + ["final"] * (state in model.final)
        bounds = guard_text(And(invariants[state])) if state in invariants else NONE
        targets = [model.next_state(state, event) or NONE for event in model.events]
        rows.append([state, ",".join(marks) or NONE, *[bounds] * bool(invariants), *targets])
    return rows


def _constraints(timing: Timing) -> Rows:
    rows = [["state", "event", "guard", "reset"]]
    for (state, event), asked in timing.constraints.items():
        guard = NONE if asked.guard is None else guard_text(asked.guard)
        rows.append([state, event, guard, " ".join(asked.resets) or NONE])
    return rows


def _atoms(rule: Rule, monitor: Monitor) -> Rows:
    known = {atom: str(value).lower() for atom, value in monitor.init.items()}
    rows = [["atom", "in traces", "from the start"]]
    for atom, short in zip(rule.atoms, rule.abbreviations, strict=True):
        rows.append([atom, short, known.get(atom, NONE)])
    return rows


def _numbers(monitor: Monitor) -> Rows:
    return [
        ["name", "kind", "value"],
        *([name, "parameter", str(number)] for name, number in monitor.params.items()),
        *([name, "constant", str(number)] for name, number in monitor.constants.items()),
        *([f"{name}()", "value", each.text] for name, each in monitor.values.items()),
    ]


def _bindings(monitor: Monitor) -> Rows:
    is_rule = isinstance(monitor.model, Rule)
    tells = any(binding.env for binding in monitor.bindings)
    taken = ["action", "atoms"] if is_rule else ["entry", "event"]
    rows = [["tracepoint", monitor.scope.value, *taken, "when", *["env"] * tells]]
    for binding in monitor.bindings:
        when = binding.when.text if binding.when else NONE
        env = ", ".join(f"{name} = {told.text}" for name, told in binding.env.items()) or NONE
        cells = _told(binding) if is_rule else [binding.entry.value, binding.event or NONE]
        rows.append([binding.tracepoint, _instance(binding), *cells, when, *[env] * tells])
    return rows


def _instance(binding: Binding) -> str:
    named = (binding.task, binding.cpu, binding.id.text if binding.id else None)
    return " ".join(filter(None, named)) or "current"


def _told(binding: Binding) -> list[str]:
    atoms = [
        f"{atom} = {str(value).lower() if isinstance(value, bool) else value.text}"
        for atom, value in binding.atoms.items()
    ]
    return [binding.action.value if binding.action else NONE, ", ".join(atoms) or NONE]


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Frames where a person watches, plain columns where a program may read."""
    if sys.stdout.isatty():
        _print_rich(rows)
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _print_rich(rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*rows[0])
    for row in rows[1:]:
        table.add_row(*map(Text, row))
    Console().print(table)
