"""The manual page and ``--help`` know the same commands and options."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from rvfs.cli import make_parser

MANUAL = (Path(__file__).parents[2] / "docs/rvfs.8").read_text().replace(r"\-", "-")
#: Every command has these two; the manual need not say so.
COMMON = {"--help", "--version"}


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers(child)


def options() -> set[str]:
    actions = (action for parser in parsers(make_parser()) for action in parser._actions)
    shown = (action for action in actions if action.help is not argparse.SUPPRESS)
    return {s for action in shown for s in action.option_strings if s.startswith("--")} - COMMON


def test_every_option_is_in_the_manual() -> None:
    assert {option for option in options() if option not in MANUAL} == set()


def test_the_manual_has_no_option_that_is_not_there() -> None:
    own = MANUAL[: MANUAL.index(".SH EXAMPLES")]
    assert set(re.findall(r"--[a-z][a-z-]+", own)) - options() == set()


def test_every_command_is_in_the_manual() -> None:
    names = {p.prog.split()[1] for p in parsers(make_parser()) if " " in p.prog}
    assert {name for name in names if not re.search(rf"rvfs {name}\b", MANUAL)} == set()
