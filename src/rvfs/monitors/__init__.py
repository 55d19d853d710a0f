"""Monitors as data: one folder each, ``NAME/NAME.dot`` (the model) and ``NAME/NAME.toml``.

A model file that carries its bindings (:mod:`rvfs.monitors.texts`) needs no ``.toml``, and no
folder of its own. A container is a folder whose ``NAME.toml`` lists ``children``, which are
folders in it, as in tracefs. The shipped monitors lie beside this file. They, those of
``--monitors DIR`` and those of plug-in packages are all read by :func:`load_monitor`.
"""

import dataclasses
import functools
import logging
from collections.abc import Iterable
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath

from rvfs.errors import AlreadyRegistered, InvalidInput, ModelError, UnknownName
from rvfs.model.rule import Rule
from rvfs.monitor import Model, Monitor
from rvfs.monitors.files import is_model, load_file, load_folder, load_model, load_monitor
from rvfs.monitors.kept import read_once
from rvfs.monitors.texts import LANGUAGES, Loaded, load_texts

__all__ = [
    "LANGUAGES", "PLUGIN_GROUP", "SHIPPED", "Loaded", "available", "from_folder", "is_model",
    "load_file", "load_model", "load_model_file", "load_monitor", "load_texts", "plugins",
    "shipped", "shipped_folder", "shipped_monitor",
]  # fmt: skip

log = logging.getLogger(__name__)

#: The shipped top-level monitors in the order of registration.
SHIPPED = ("wip", "wwnr", "sched", "rtapp", "stall", "deadline")
#: Entry points of this group load to a folder of monitor folders.
PLUGIN_GROUP = "rvfs.monitors"


def available(folder: Path | None = None) -> tuple[Loaded, ...]:
    """What this rvfs has: shipped, of plug-ins, and of ``--monitors DIR``, in this order.

    Raises :class:`AlreadyRegistered` for a name in DIR that is taken or comes twice, and as
    :func:`from_folder`.
    """
    found = (*shipped(), *plugins())
    return (*found, *_free(from_folder(folder), _names(found))) if folder else found


def _names(found: Iterable[Loaded]) -> set[str]:
    return {loaded.monitor.name for outer in found for loaded in outer}


def _free(found: tuple[Loaded, ...], taken: set[str]) -> tuple[Loaded, ...]:
    """These monitors, unless one has a name that is taken or comes twice."""
    seen = set(taken)
    for loaded in (inner for outer in found for inner in outer):
        if loaded.monitor.name in seen:
            raise AlreadyRegistered(f"there is more than one monitor {loaded.monitor.name}")
        seen.add(loaded.monitor.name)
    return found


@functools.cache
def shipped() -> tuple[Loaded, ...]:
    """The monitors that come with rvfs, in the order of registration."""
    return tuple(map(shipped_folder, SHIPPED))


@functools.cache
def shipped_folder(name: str) -> Loaded:
    """One of :data:`SHIPPED`, without the others."""
    return read_once(resources.files("rvfs.monitors") / name, load_monitor)


def plugins() -> tuple[Loaded, ...]:
    """The monitors of installed plug-in packages, by the names of their entry points.

    A plug-in that cannot be loaded, or one of whose names is taken, is logged and left out.
    """
    found: tuple[Loaded, ...] = ()
    for point in sorted(metadata.entry_points(group=PLUGIN_GROUP), key=lambda point: point.name):
        try:
            found += _free(_plugin(point), _names((*shipped(), *found)))
        except Exception as error:  # a stranger's code may raise anything
            log.warning("monitor plug-in %s (%s) left out: %s", point.name, point.value, error)
    return found


def _plugin(point: metadata.EntryPoint) -> tuple[Loaded, ...]:
    folder = point.load()
    return from_folder(Path(folder) if isinstance(folder, str | PurePath) else folder)


def from_folder(folder: Traversable) -> tuple[Loaded, ...]:
    """The monitors of a folder of monitor folders, in the order of their names.

    Raises :class:`InvalidInput` when there are none, :class:`ModelError` when one is wrong.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder of monitors")
    monitors = tuple(load_folder(folder))
    if not monitors:
        raise InvalidInput(
            f"{folder} holds no monitor; expected NAME/NAME.toml in it, or NAME.dot with bindings"
        )
    return monitors


def load_model_file(path: Path) -> Monitor:
    """A lone model file as a monitor.

    Its bindings are those within it or of the ``.toml`` of the same name beside it; without
    either, those of the shipped monitor of the same name. Raises :class:`ModelError`.
    """
    loaded = load_file(path)
    if loaded.bound or loaded.monitor.model is None:
        return loaded.monitor
    return _with_shipped_bindings(path, loaded.monitor.model)


def _with_shipped_bindings(path: Path, model: Model) -> Monitor:
    kind, names = ("set", model.atoms) if isinstance(model, Rule) else ("event", model.events)
    expected = (
        f"expected {path.with_suffix('.toml')} with a description, a scope and an [[on]] table "
        f"(tracepoint, {kind}) for each of: {', '.join(names)}"
    )
    try:
        monitor = shipped_monitor(model.name).monitor
        if monitor.is_container:
            raise UnknownName(f"{model.name} is a container")
        return dataclasses.replace(monitor, model=model)
    except UnknownName as error:
        raise ModelError(f"no bindings fit: {error}; {expected}", file=str(path)) from None


def shipped_monitor(name: str) -> Loaded:
    """A shipped monitor by its name, ``sco`` or ``sched:sco``. Raises :class:`UnknownName`."""
    for outer in shipped():
        for loaded in outer:
            own = loaded.monitor.name
            if name == own or (loaded is not outer and name == f"{outer.monitor.name}:{own}"):
                return loaded
    raise UnknownName(f"there is no shipped monitor {name}")
