"""``rvfs hwbp run``: try breakpoint operations without a debug register."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rvfs.errors import InvalidInput, ModelError

if TYPE_CHECKING:
    from rvfs.hwbp.script import Script

FAULTY = 2
_EXAMPLES = """\
example:
  rvfs hwbp run --why <<END
  version 1
  config cpus=2 arch=x86 shared=4
  task gdb proc
  open w1 gdb -1 W 8 u+0
  open w2 gdb -1 W 8 u+4
  free - 0
  END
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "hwbp",
        help="hardware breakpoints: who gets a debug register",
        description="Hardware breakpoints: who gets a debug register, and why not.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run a script of breakpoint operations",
        description="Print LINE ANSWER for each operation of a script (docs/hwbp.md). A script\n"
        "with a bad line is not run at all; the exit status is 2 then.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("file", nargs="?", metavar="FILE", default="-", help="default: stdin")
    run.add_argument("--why", action="store_true", help="say on stderr why each one was refused")
    run.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        results = _load(arguments.file).run()
    except ModelError as error:
        sys.stderr.writelines(f"{fault}\n" for fault in (error, *error.also))
        return FAULTY
    sys.stdout.writelines(f"{result}\n" for result in results)
    if arguments.why:
        sys.stderr.writelines(f"{result.line} {result.why}\n" for result in results if result.why)
    return 0


def _load(file: str) -> "Script":
    from rvfs.hwbp.script import Script

    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from None
    return Script(data.decode(errors="surrogateescape"), file="<stdin>" if file == "-" else file)
