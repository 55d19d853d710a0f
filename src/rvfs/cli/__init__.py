"""The command ``rvfs``: arguments in, one line per error and an exit status out.

Each module of this package adds one sub-command. mount(8) and fstab call it without one:
``rvfs SOURCE DIR -o OPTIONS``.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from rvfs import __version__
from rvfs.cli import check, convert, hwbp, listing, load, model, mount
from rvfs.errors import InvalidInput, RvfsError

_COMMANDS = (mount, load, check, convert, listing, model, hwbp)
_EXAMPLES = """\
examples:
  rvfs mount ./rv                      a simulated machine, monitored, at ./rv
  echo wip > rv/enabled_monitors       switch a monitor on
  echo 1 > rv/events/rv/enable         have what it sees written to the trace
  cat rv/trace_pipe                    read that
  rvfs load ./rv lamp.dot              load a monitor of your own
  rvfs umount ./rv
  rvfs check trace.dat -m wwnr         judge a recording; the exit status says how
"""


def make_parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    parser = argparse.ArgumentParser(
        prog="rvfs",
        description="The kernel's Runtime Verification interface as a file system.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="version", version=f"rvfs {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0, 1 for a refusal, 2 for wrong usage."""
    _open_missing_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = make_parser()
    try:
        args = parser.parse_args(mount.as_command(arguments))
        status: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads our output has gone; there is nobody to be told.
        sys.stdout = None
        return 0
    except RvfsError as error:
        print(f"rvfs: {error}", file=sys.stderr)  # noqa: T201
        return 2 if isinstance(error, InvalidInput) else 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(f"rvfs: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        sys.stdout = None  # so that nobody tries to flush it once more
        return 2
    return status


def _open_missing_streams() -> None:
    """Whoever starts rvfs with ``>&-`` wants to hear nothing, not to see it fail."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            while (descriptor := os.open(os.devnull, os.O_RDWR)) < number:
                pass  # each takes the lowest number that is free
            setattr(sys, name, os.fdopen(descriptor, "r" if number == 0 else "w"))
