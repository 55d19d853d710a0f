"""``rvfs model check|show|dot|bind``: look at models without running them.

FILE is a model file (with its bindings, where a ``.toml`` of the same name lies beside
it), the folder of a monitor, or the name of a shipped monitor.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rvfs.errors import InvalidInput, ModelError, RvfsError, UnknownName

if TYPE_CHECKING:
    from rvfs.monitors import Loaded

UNUSABLE = 2
_EXAMPLES = """\
examples:
  rvfs model check lamp.dot        every fault, as FILE:LINE:COLUMN: what
  rvfs model show wwnr             the table and the bindings of a shipped monitor
  rvfs model dot wip | dot -Tsvg   a picture of it
  rvfs model bind lamp.dot         bindings to begin with, of this machine's tracepoints
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
    bind = commands.add_parser("bind", help="write a skeleton of the bindings of a model")
    bind.add_argument("file", metavar="FILE")
    has = bind.add_mutually_exclusive_group()
    has.add_argument("--tracefs", metavar="DIR", type=Path, help="with the tracepoints it has")
    has.add_argument("--trace", metavar="RECORDING", help="with those that it has events of")
    bind.add_argument("-o", "--output", metavar="TOML", type=Path, help="a file that is new")
    bind.set_defaults(run=_bind)


def _check(arguments: argparse.Namespace) -> int:
    return max([_check_one(name) for name in arguments.files])


def _check_one(name: str) -> int:
    from rvfs.cli.model_tables import summary

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
            sys.stdout.write(f"{label}: {summary(each.monitor)}\n")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from rvfs.cli.model_tables import print_monitor

    separator = ""
    for each in _load(arguments.file):
        sys.stdout.write(separator)
        print_monitor(each.monitor)
        sys.stderr.writelines(f"{warning}\n" for warning in each.warnings)
        separator = "\n"
    return 0


def _dot(arguments: argparse.Namespace) -> int:
    from rvfs.model.automaton import Automaton
    from rvfs.model.canonical import to_dot

    loaded = _load(arguments.file)
    if loaded.monitor.model is None:
        names = ", ".join(child.monitor.name for child in loaded.children)
        raise InvalidInput(f"{loaded.monitor.name} is a container; name one of: {names}")
    if not isinstance(loaded.monitor.model, Automaton):
        raise InvalidInput(f"{loaded.monitor.name} is a rule: it has no picture (rvfs model show)")
    sys.stdout.write(to_dot(loaded.monitor.model))
    return 0


def _bind(arguments: argparse.Namespace) -> int:
    from rvfs.cli.tracepoints import of_recording, of_this_machine, of_tracefs
    from rvfs.monitors import load_model
    from rvfs.monitors.skeleton import skeleton

    model = load_model(Path(arguments.file))
    if arguments.trace is not None:
        machine = of_recording(arguments.trace)
    elif arguments.tracefs is not None:
        machine = of_tracefs(arguments.tracefs)
    else:
        machine = of_this_machine()
    text = skeleton(model, machine)
    if arguments.output is None:
        sys.stdout.write(text)
        return 0
    try:
        with arguments.output.open("x") as out:
            out.write(text)
    except OSError as error:
        raise InvalidInput(f"{arguments.output}: {error.strerror}") from None
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
