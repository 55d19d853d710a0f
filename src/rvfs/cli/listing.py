"""``rvfs list``: the monitors that a mount would have, in the order of ``available_monitors``."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rvfs.monitors import Loaded


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "list",
        help="list monitors and what they check",
        description="The monitors that a mount has, in the order of available_monitors.",
    )
    parser.add_argument(
        "--monitors", metavar="DIR", type=Path, help="a folder of further monitors, one folder each"
    )
    parser.set_defaults(run=_list)


def _list(arguments: argparse.Namespace) -> int:
    from rvfs.monitors import available

    found = available(arguments.monitors)
    rows = [row for loaded in found for row in _rows(loaded)]
    width = max(len(name) for name, _ in rows)
    sys.stdout.writelines(f"{name.ljust(width)}  {text}\n" for name, text in rows)
    for loaded in (inner for outer in found for inner in outer):
        sys.stderr.writelines(f"{warning}\n" for warning in loaded.warnings)
    return 0


def _rows(loaded: "Loaded") -> Iterator[tuple[str, str]]:
    """(name, description); a child stands right behind its container, the newest first."""
    yield loaded.monitor.name, loaded.monitor.description
    for child in reversed(loaded.children):
        yield f"{loaded.monitor.name}:{child.monitor.name}", child.monitor.description
