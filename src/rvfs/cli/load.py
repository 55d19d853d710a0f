"""``rvfs load`` and ``rvfs unload``: monitors into and out of a mounted tree.

Both use nothing but the files of the tree: the set goes into ``load`` as one document, all or
nothing, and what there is to say of it is read back from there; ``unload`` is rmdir.
"""

import argparse
import errno
import sys
from pathlib import Path

from rvfs.errors import InvalidInput, RvfsError, UnknownName

_WHY = {errno.EPERM: "it came with the mount and stays"}
UNUSABLE = 2


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "load",
        help="load monitors into a mounted tree",
        description="Load monitors into the tree mounted on DIR: all of them, or none.",
        epilog="example: rvfs load rv lamp.dot box/ && echo lamp >> rv/enabled_monitors",
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="where an rvfs is mounted")
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path,
                        help="a model, with its bindings in it or in a .toml beside it; or the "
                        "folder of a monitor or a container")  # fmt: skip
    parser.add_argument("--replace", action="store_true",
                        help="take the place of those with the same name")  # fmt: skip
    parser.set_defaults(run=_load)
    parser = subparsers.add_parser(
        "unload",
        help="remove monitors from a mounted tree",
        description="Remove monitors that were loaded; containers with their children.",
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="where an rvfs is mounted")
    parser.add_argument("names", metavar="NAME", nargs="+", help="NAME or CONTAINER:NAME")
    parser.set_defaults(run=_unload)


def _load(arguments: argparse.Namespace) -> int:
    from rvfs.bundle import Bundle, from_path, to_toml

    items = tuple(item for file in arguments.files for item in from_path(file))
    load = _in_tree(arguments.directory, "load")
    try:
        load.write_text(to_toml(Bundle(items, arguments.replace)))
    except OSError as error:
        said = load.read_text()
        sys.stderr.write(said or f"{load}: {error.strerror}\n")
        return UNUSABLE if error.errno == errno.EINVAL else 1
    sys.stderr.write(load.read_text())
    return 0


def _unload(arguments: argparse.Namespace) -> int:
    _in_tree(arguments.directory, "load")
    for name in arguments.names:
        folder = _folder(arguments.directory / "monitors", name)
        try:
            _remove(folder)
        except OSError as error:
            why = _WHY.get(error.errno or 0, error.strerror)
            raise RvfsError(f"cannot unload {name}: {why}") from None
    return 0


def _in_tree(directory: Path, name: str) -> Path:
    path = directory / name
    if not path.is_file():
        raise InvalidInput(f"no rvfs is mounted on {directory}")
    return path


def _folder(monitors: Path, name: str) -> Path:
    """Where it is; a bare name may be that of a child. Raises :class:`UnknownName`."""
    parent, colon, child = name.partition(":")
    above = [monitors / parent] if colon else [monitors, *sorted(monitors.iterdir())]
    for folder in above:
        if (folder / (child or name) / "enable").is_file():
            return folder / (child or name)
    raise UnknownName(f"there is no monitor {name!r}")


def _remove(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        for child in folder.glob("*/enable"):
            child.parent.rmdir()
        folder.rmdir()
