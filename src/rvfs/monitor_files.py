"""The files of a monitor's folder: a table, one maker for each name.

A maker is given the kit (what it may use), the monitor and the path of the file. The names
are those of :data:`rvfs.registry.FILES`, which children of a container cannot have.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from rvfs.files import (
    Directory,
    File,
    Listing,
    Node,
    command,
    document,
    flag,
    listing,
    number,
    text,
)
from rvfs.inside_files import SHOWN
from rvfs.model.canonical import canonical
from rvfs.registered import Registered
from rvfs.registry import Registry
from rvfs.workshop import Workshop


@dataclass(frozen=True)
class Kit:
    """What the files of monitors stand on."""

    registry: Registry
    workshop: Workshop


def _enable(kit: Kit, one: Registered, path: str) -> File:
    def put(on: bool) -> None:
        (kit.registry.enable if on else kit.registry.disable)(one)

    return flag(path, lambda: one.enabled, put, owner=one)


def _desc(kit: Kit, one: Registered, path: str) -> File:
    news = kit.registry.switched
    return text(path, lambda: f"{one.monitor.description}\n".encode(), owner=one, news=news)


def _reactors(kit: Kit, one: Registered, path: str) -> File:
    def show() -> Iterator[str]:
        known = kit.registry.reactors.items()
        return (f"[{name}]" if each is one.reactor else name for name, each in known)

    def put(name: str) -> None:
        kit.registry.set_reactor(one, name)

    return command(path, show, put, owner=one, news=kit.registry.switched)


def _model(kit: Kit, one: Registered, path: str) -> File:
    def put(data: bytes) -> None:
        kit.workshop.write_model(one, data)

    def show() -> str:
        return canonical(one.form.model) if one.form.model else ""

    return document(path, show, put, owner=one, news=kit.registry.switched)


def _bindings(kit: Kit, one: Registered, path: str) -> File:
    def put(data: bytes) -> None:
        kit.workshop.write_bindings(one, data)

    return document(
        path, lambda: one.bindings_text or "", put, owner=one, news=kit.registry.switched
    )


def _error(kit: Kit, one: Registered, path: str) -> File:
    return text(path, lambda: one.error.encode(), owner=one)


def _params(kit: Kit, one: Registered, path: str) -> Directory:
    """A file for each parameter, with its value in decimal."""

    def parameter(name: str) -> File:
        return number(
            f"{path}/{name}", lambda: one.params.get(name, 0),
            lambda value: kit.registry.set_param(one, name, value), owner=one,
        )  # fmt: skip

    names = Listing(lambda: {name: name for name in one.params}, parameter)
    return Directory(path=path, owner=one, children=names)


def _shown(name: str) -> Callable[[Kit, Registered, str], Node]:
    """One of the files that show the inside."""

    def make(_: Kit, one: Registered, path: str) -> File:
        return listing(path, lambda: SHOWN[name](one), owner=one)

    return make


MAKERS: Mapping[str, Callable[[Kit, Registered, str], Node]] = {
    "enable": _enable, "desc": _desc, "reactors": _reactors, "model": _model,
    "bindings": _bindings, "error": _error, "params": _params,
    **{name: _shown(name) for name in SHOWN},
}  # fmt: skip


def monitors_folder(kit: Kit) -> Directory:
    """``monitors``: a folder for each, which mkdir makes and rmdir removes."""

    def top_level() -> dict[str, Registered]:
        return {one.name: one for one in kit.registry.monitors if one.parent is None}

    return Directory(
        path="monitors", children=Listing(top_level, lambda one: _folder(kit, one)),
        make=kit.workshop.make, news=kit.registry.listed,
    )  # fmt: skip


def _folder(kit: Kit, one: Registered) -> Directory:
    path = "monitors/" + one.path.replace(":", "/")
    files = {name: make(kit, one, f"{path}/{name}") for name, make in MAKERS.items()}
    children = Listing(
        lambda: {child.name: child for child in one.children}, lambda child: _folder(kit, child),
        files,
    )  # fmt: skip

    def shown() -> Mapping[str, Node]:
        """What walks the tree takes a folder in a monitor's for a child: so, none for nothing."""
        return {name: node for name, node in children().items() if name != "params" or one.params}

    return Directory(
        path=path, owner=one, children=shown, news=kit.registry.listed,
        make=lambda name: kit.workshop.make(name, one.name),
        remove=lambda: kit.workshop.remove(one),
    )  # fmt: skip
