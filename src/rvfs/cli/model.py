"""``rvfs model check|show|dot``: look at models without running them.

FILE is a model file (with its bindings, where a ``.toml`` of the same name lies beside
it), the folder of a monitor, or the name of a shipped monitor.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rvfs.errors import InvalidInput, ModelError, RvfsError, UnknownName

if TYPE_CHECKING:
    from rvfs.model.automaton import Automaton
    from rvfs.monitor import Binding, Monitor
    from rvfs.monitors import Loaded

UNUSABLE = 2
NONE = "-"
_EXAMPLES = """\
examples:
  rvfs model check lamp.dot        every fault, as FILE:LINE:COLUMN: what
  rvfs model show wwnr             the table and the bindings of a shipped monitor
  rvfs model dot wip | dot -Tsvg   a picture of it
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "model",
        help="check and show models",
        description="FILE is a model file (with its bindings, where a .toml of the same name lies\n"
        "beside it), the folder of a monitor, or the name of a shipped monitor.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="name every fault; exit status 2 if there is one")
    check.add_argument("files", nargs="+", metavar="FILE")
    check.set_defaults(run=_check)
    show = commands.add_parser("show", help="print states, events, transitions and bindings")
    show.add_argument("file", metavar="FILE")
    show.set_defaults(run=_show)
    dot = commands.add_parser("dot", help="print the model as canonical DOT")
    dot.add_argument("file", metavar="FILE")
    dot.set_defaults(run=_dot)


def _check(arguments: argparse.Namespace) -> int:
    return max([_check_one(name) for name in arguments.files])


def _check_one(name: str) -> int:
    try:
        loaded = _load(name)
    except RvfsError as error:
        for fault in (error, *(error.also if isinstance(error, ModelError) else ())):
            sys.stderr.write(f"{fault}\n")
        return UNUSABLE
    for each in loaded:
        sys.stderr.writelines(f"{warning}\n" for warning in each.warnings)
        if each.monitor.model is not None:
            label = name if each is loaded else f"{name}:{each.monitor.name}"
            sys.stdout.write(f"{label}: {_summary(each.monitor.model, each.monitor.bindings)}\n")
    return 0


def _summary(model: "Automaton", bindings: "Sequence[Binding]") -> str:
    counted = [(len(model.states), "state"), (len(model.events), "event")]
    counted += [(len(bindings), "binding")] * bool(bindings)
    words = [f"{count} {word}{'s' * (count != 1)}" for count, word in counted]
    return ", ".join([*words, "deterministic"])


def _show(arguments: argparse.Namespace) -> int:
    separator = ""
    for each in _load(arguments.file):
        sys.stdout.write(separator)
        _show_monitor(each.monitor)
        sys.stderr.writelines(f"{warning}\n" for warning in each.warnings)
        separator = "\n"
    return 0


def _show_monitor(monitor: "Monitor") -> None:
    sys.stdout.write(": ".join(filter(None, (monitor.name, monitor.description))) + "\n")
    if monitor.model is not None:
        _print_table(_transitions(monitor.model), sys.stdout)
    if monitor.bindings:
        sys.stdout.write("\n")
        _print_table(_bindings(monitor), sys.stdout)


def _dot(arguments: argparse.Namespace) -> int:
    from rvfs.model.canonical import canonical

    loaded = _load(arguments.file)
    if loaded.monitor.model is None:
        names = ", ".join(child.monitor.name for child in loaded.children)
        raise InvalidInput(f"{loaded.monitor.name} is a container; name one of: {names}")
    sys.stdout.write(canonical(loaded.monitor.model))
    return 0


def _load(name: str) -> "Loaded":
    """What a FILE argument names. Raises :class:`rvfs.errors.InvalidInput`."""
    from rvfs.monitors import LANGUAGES, load_file, load_monitor, shipped_monitor

    path = Path(name)
    if path.suffix in LANGUAGES:
        return load_file(path)
    if path.is_dir():
        # A monitor is called as its folder is, which "." and ".." do not tell.
        return load_monitor(path if path.name not in ("", "..") else path.resolve())
    try:
        return shipped_monitor(name)
    except UnknownName:
        *suffixes, last = LANGUAGES
        expected = f"expected a {', '.join(suffixes)} or {last} file, a folder or a shipped monitor"
        raise InvalidInput(f"{name}: {expected}") from None


def _transitions(model: "Automaton") -> list[list[str]]:
    rows = [["state", "mark", *model.events]]
    for state in model.states:
        marks = ["initial"] * (state == model.initial) + ["final"] * (state in model.final)
        targets = [model.next_state(state, event) or NONE for event in model.events]
        rows.append([state, ",".join(marks) or NONE, *targets])
    return rows


def _bindings(monitor: "Monitor") -> list[list[str]]:
    rows = [["tracepoint", monitor.scope.value, "entry", "event", "when"]]
    for binding in monitor.bindings:
        instance = " ".join(filter(None, (binding.task, binding.cpu))) or "current"
        when = binding.when.text if binding.when else NONE
        rows.append([binding.tracepoint, instance, binding.entry.value, binding.event, when])
    return rows


def _print_table(rows: list[list[str]], out: TextIO) -> None:
    """Frames where a person watches, plain columns where a program may read."""
    if out.isatty():
        _print_rich(rows)
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")


def _print_rich(rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*rows[0])
    for row in rows[1:]:
        table.add_row(*map(Text, row))
    Console().print(table)
