"""``rvfs mount`` and ``rvfs umount``; and what mount(8) makes of them.

``-o`` takes what mount(8) and fstab give: the generic options, which mean nothing here, and
any long option of ``rvfs mount`` as ``name=value``.
"""

import argparse
import logging
import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rvfs.errors import InvalidInput, MountError

#: What mount(8) may say and the kernel heeds.
KERNEL = frozenset({"ro", "noexec", "noatime"})
#: Accepted from mount(8) and without effect.
IGNORED = frozenset(
    """
    rw dev nodev suid nosuid exec auto noauto user nouser users owner group defaults
    _netdev nofail sync async dirsync atime diratime nodiratime relatime norelatime
    strictatime lazytime nolazytime default_permissions
    """.split()  # noqa: SIM905
)
#: What mount(8) hands to its helpers and rvfs has nothing to do about: mtab, sloppy, verbose.
MOUNT_FLAGS = frozenset({"-n", "-s", "-v"})
_HELP = {
    "-o": "options as in fstab: uid=, gid=, mode= of the files and the root folder, and any "
    "long option as name=value",
    "source": "sim (a simulated machine; the default), replay:FILE, inject (only what is "
    "injected) or none",
    "state": "a folder that keeps the monitors which are loaded while it is mounted",
    "panic": "what the panic reactor does: halt verification (the default), end rvfs with "
    "status 70, or crash this machine through sysrq",
    "hwbp": "what the breakpoints in hwbp/ are: a model that touches nothing (the default), or "
    "the debug registers of this machine",
}


def rate(text: str) -> float:
    return math.inf if text == "max" else float(text)


#: Options of the simulated machine: name, type, metavar, help.
SIM = (
    ("cpus", int, "N", "CPUs of the simulated machine"),
    ("tasks", int, "N", "tasks of the simulated machine"),
    ("seed", int, "N", "the same seed gives the same events"),
    ("rate", rate, "N", "events per second, or max"),
    ("duration", float, "SECONDS", "of simulated time, after which it ends"),
)


def add_parser(subparsers: Any) -> None:
    """``mount`` and ``umount``."""
    parser = subparsers.add_parser(
        "mount",
        help="mount the tree",
        description="Mount the Runtime Verification tree on an empty directory.",
        epilog="example: rvfs mount ./rv --source replay:trace.dat --monitors ./my-monitors",
        allow_abbrev=False,
    )
    _add_arguments(parser)
    parser.set_defaults(run=_mount)
    parser = subparsers.add_parser("umount", help="unmount the tree", allow_abbrev=False)
    parser.add_argument("directory", metavar="DIR")
    parser.set_defaults(run=_unmount)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="an empty directory")
    parser.add_argument("-f", "--foreground", action="store_true", help="stay, and log to stderr")
    parser.add_argument("-o", dest="options", action="append", default=[], metavar="OPTIONS",
                        help=_HELP["-o"])  # fmt: skip
    parser.add_argument("--source", default="sim", metavar="SOURCE", help=_HELP["source"])
    parser.add_argument("--speed", type=float, metavar="X", help="replay in recorded time, X times")
    parser.add_argument("--monitors", type=Path, metavar="DIR", help="a folder of more monitors")
    parser.add_argument("--state", type=Path, metavar="DIR", help=_HELP["state"])
    parser.add_argument("--task-slots", type=int, metavar="N",
                        help="per-task monitors that can be on at once (32)")  # fmt: skip
    parser.add_argument("--panic", choices=("halt", "exit", "sysrq"), help=_HELP["panic"])
    parser.add_argument("--hwbp", choices=("model", "perf"), help=_HELP["hwbp"])
    sim = parser.add_argument_group("the simulated machine")
    for name, kind, metavar, explanation in SIM:
        sim.add_argument(f"--{name}", type=kind, metavar=metavar, help=explanation)
    sim.add_argument("--fault", action="append", metavar="MONITOR:RATE",
                     help="violations to plant, per second; may be given again")  # fmt: skip
    owner = parser.add_argument_group("owner and mode, as in tracefs")
    owner.add_argument("--uid", type=owner_id, metavar="N", help="of all files")
    owner.add_argument("--gid", type=owner_id, metavar="N", help="of all files")
    owner.add_argument("--mode", type=octal, metavar="OCTAL", help="of the root folder (700)")
    parser.add_argument("--allow-other", action="store_true", default=None,
                        help="let other users in (root always does)")  # fmt: skip
    parser.add_argument("--fsname", help=argparse.SUPPRESS)


def octal(text: str) -> int:
    return _within(int(text, 8), 0o777, "a mode is 0 to 777")


def owner_id(text: str) -> int:
    return _within(int(text), (1 << 32) - 2, "a user or group is 0 to 4294967294")


def _within(number: int, largest: int, rule: str) -> int:
    if not 0 <= number <= largest:
        raise argparse.ArgumentTypeError(rule)
    return number


# -- mount(8) --------------------------------------------------------------------------------


def as_command(arguments: Sequence[str]) -> Sequence[str]:
    """``SOURCE DIR [-o OPTIONS]`` as a ``mount`` command; anything else as it is.

    ``rvfs`` as the source is the default one.
    """
    if len(arguments) < 2 or any(not one or one[0] == "-" for one in arguments[:2]):
        return arguments
    source, directory, *rest = arguments
    if not _is_source(source):
        return arguments
    chosen = [] if source == "rvfs" else ["--source", source]
    wanted = [one for one in rest if one not in MOUNT_FLAGS]
    return ["mount", *chosen, "--fsname", source, *wanted, directory]


def _is_source(word: str) -> bool:
    return word in ("rvfs", "sim", "inject", "none") or word.startswith("replay:")


def _spread(options: Sequence[str]) -> Iterator[str]:
    """The long options in ``-o a,b=c``."""
    for option in ",".join(options).split(","):
        name, equals, value = option.partition("=")
        if not option or name in IGNORED | KERNEL or name.startswith(("x-", "X-", "comment")):
            continue
        yield "--" + name.replace("_", "-") + equals + value


def _with_options(args: argparse.Namespace) -> argparse.Namespace:
    """What ``-o`` says, as if it had been said in long options."""
    parser = argparse.ArgumentParser(prog="rvfs mount", add_help=False, allow_abbrev=False)
    _add_arguments(parser)
    spread = [*_spread(args.options), str(args.directory)]
    args, unknown = parser.parse_known_args(spread, namespace=args)
    if unknown:
        raise InvalidInput(f"unknown mount option {unknown[0].removeprefix('--')!r}")
    return args


# -- the commands ----------------------------------------------------------------------------


def _mount(args: argparse.Namespace) -> int:
    from rvfs import daemon  # here, so that the other commands do not load FUSE
    from rvfs.machine import Settings

    args = _with_options(args)
    _log_to_stderr(args.foreground)
    given = {
        name: value
        for name in (
            "source", "speed", "monitors", "state", "task_slots", "panic", "hwbp", "uid", "gid",
            "mode", "allow_other", "fsname",
        )
        if (value := getattr(args, name)) is not None
    }  # fmt: skip
    options = frozenset(",".join(args.options).split(",")) & KERNEL
    settings = Settings(_place(args.directory), sim=_sim(args), options=options, **given)
    status = daemon.run(settings, foreground=args.foreground)
    if args.foreground:
        return status
    if sys.stdout.isatty():
        print(f"Read {args.directory}/available_monitors; end with: "  # noqa: T201
              f"rvfs umount {args.directory}")  # fmt: skip
        sys.stdout.flush()
    # All is said. To take down what the daemon has a copy of would cost a fifth of the start:
    # each page that is touched is copied first.
    os._exit(status)


def _sim(args: argparse.Namespace) -> dict[str, Any]:
    given = {name: value for name, *_ in SIM if (value := getattr(args, name)) is not None}
    if given.get("rate") == math.inf:
        given["rate"] = None
    if args.fault:
        from rvfs.source.sim import parse_fault

        given["faults"] = tuple(map(parse_fault, args.fault))
    return given


def _log_to_stderr(everything: bool) -> None:
    handler = logging.StreamHandler()
    handler.setLevel(logging.INFO if everything else logging.WARNING)
    handler.setFormatter(logging.Formatter("rvfs: %(message)s"))
    for name in ("rvfs", "pyfuse3"):
        logging.getLogger(name).addHandler(handler)


def _unmount(args: argparse.Namespace) -> int:
    from rvfs import daemon

    daemon.unmount(_place(args.directory))
    return 0


def _place(directory: str) -> Path:
    """Where that is. Raises :class:`MountError` for a place that there is not."""
    if not directory:
        raise MountError("'': No such file or directory")
    try:
        return Path(directory).resolve()
    except OSError as error:
        raise MountError(f"{directory}: {error.strerror}") from None
