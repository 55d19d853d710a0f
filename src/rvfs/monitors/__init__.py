"""Monitors as data: one folder each, ``NAME/NAME.dot`` (the model) and ``NAME/NAME.toml``.

A container is a folder whose ``NAME.toml`` lists ``children``, which are folders in it, as
in tracefs. The shipped monitors lie beside this file. They, those of ``--monitors DIR``
and those of plug-in packages are all read by :func:`load_monitor`.
"""

import dataclasses
import functools
import logging
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath

from rvfs.errors import AlreadyRegistered, InvalidInput, ModelError, UnknownName
from rvfs.model.dot import parse_dot
from rvfs.model.rule import Rule
from rvfs.model.text import ModelText
from rvfs.monitor import Model, Monitor
from rvfs.monitors.bindings import Bindings, read_bindings
from rvfs.monitors.fitting import doubts, monitor_of
from rvfs.tracepoint import Vocabulary, catalogue

log = logging.getLogger(__name__)

#: The shipped top-level monitors in the order of registration.
SHIPPED = ("wip", "wwnr", "sched")
#: Entry points of this group load to a folder of monitor folders.
PLUGIN_GROUP = "rvfs.monitors"
#: What a model file may be, and what reads it.
READERS: Mapping[str, Callable[..., ModelText[Model]]] = {".dot": parse_dot, ".gv": parse_dot}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A monitor, the children of a container in the order of registration, and warnings.

    ``model_text`` and ``bindings_text`` are what it was read from, where :func:`load_monitor` did.
    """

    monitor: Monitor
    children: tuple["Loaded", ...] = ()
    warnings: tuple[str, ...] = ()
    model_text: str | None = None
    bindings_text: str | None = None

    def __iter__(self) -> Iterator["Loaded"]:
        """This one and all below it."""
        yield self
        for child in self.children:
            yield from child


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
    root = resources.files("rvfs.monitors")
    return tuple(load_monitor(root / name) for name in SHIPPED)


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
    monitors = tuple(load_monitor(folder / name) for name in _folders(folder))
    if not monitors:
        raise InvalidInput(f"{folder} holds no monitor; expected NAME/NAME.toml in it")
    return monitors


def load_monitor(folder: Traversable, vocabulary: Vocabulary | None = None) -> Loaded:
    """The monitor of one folder, with its children.

    Fields are checked against the vocabulary (the catalogue of rvfs if there is none given).
    Raises :class:`ModelError` with file and line.
    """
    vocabulary = _catalogue() if vocabulary is None else vocabulary
    sheet = folder / f"{folder.name}.toml"
    bindings = read_bindings(_text(sheet), file=str(sheet))
    models = sorted(entry.name for entry in _entries(folder) if _is_model(entry.name))
    if bindings.children is not None:
        return _container(folder, bindings, bindings.children, models, vocabulary)
    if len(models) != 1 or PurePath(models[0]).stem != folder.name:
        found = ", ".join(models) or "none"
        raise ModelError(
            f"expected one model file, {folder.name}.dot, found {found}", file=str(folder)
        )
    model_text = _text(folder / models[0])
    loaded = _join(_parse(folder / models[0]), bindings, vocabulary)
    return dataclasses.replace(loaded, model_text=model_text, bindings_text=_text(sheet))


def _join(model: ModelText[Model], bindings: Bindings, vocabulary: Vocabulary) -> Loaded:
    monitor = monitor_of(model.model.name, model.model, bindings, vocabulary)
    return Loaded(monitor, (), (*model.warnings, *doubts(bindings, model.model, vocabulary)))


def _container(
    folder: Traversable,
    bindings: Bindings,
    names: tuple[str, ...],
    models: list[str],
    vocabulary: Vocabulary,
) -> Loaded:
    sheet = bindings.sheet
    if models:
        sheet.fault(f"a container has no model, but there is {models[0]}", "children")
    for name in sorted(set(_folders(folder)) ^ set(names)):
        problem = "is not among the children" if name not in names else "is no folder here"
        sheet.fault(f"{name} {problem}", "children")
    monitor = monitor_of(folder.name, None, bindings, vocabulary)
    children = tuple(load_monitor(folder / name, vocabulary) for name in names)
    for child in children:
        if child.monitor.is_container:
            sheet.fault(f"{child.monitor.name} is a container in a container", "children")
    sheet.stop()
    return Loaded(monitor, children)


def load_model(path: Path) -> ModelText[Model]:
    """A lone model file. Raises :class:`ModelError`."""
    if not _is_model(path.name):
        raise ModelError(f"not a model file; expected {' or '.join(READERS)}", file=str(path))
    return _parse(path)


def load_beside(path: Path) -> Loaded | None:
    """A lone model file with the ``.toml`` of the same name beside it; None without one.

    Raises :class:`ModelError`.
    """
    sheet = path.with_suffix(".toml")
    if not sheet.is_file():
        return None
    model, bindings = load_model(path), read_bindings(_text(sheet), file=str(sheet))
    if bindings.children is not None:
        bindings.sheet.fault(f"{path.name} is a model, so this is no container", "children")
        bindings.sheet.stop()
    return _join(model, bindings, _catalogue())


def load_model_file(path: Path) -> Monitor:
    """A lone model file as a monitor.

    Its bindings are those of the ``.toml`` of the same name beside it; without one, those of
    the shipped monitor of the same name. Raises :class:`ModelError`.
    """
    loaded = load_beside(path)
    return loaded.monitor if loaded else _with_shipped_bindings(path, load_model(path).model)


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


def _is_model(name: str) -> bool:
    return PurePath(name).suffix in READERS


def _parse(path: Traversable) -> ModelText[Model]:
    stem, suffix = PurePath(path.name).stem, PurePath(path.name).suffix
    return READERS[suffix](_text(path), file=str(path), name=stem)


def _text(path: Traversable) -> str:
    """The text of a file, lines ended by ``\\n``, without the mark that some editors begin with."""
    try:
        data = path.read_bytes().removeprefix(BOM_UTF8)
        return data.decode().replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode().split("\n")
        raise ModelError(
            "not UTF-8 text", file=str(path), line=len(before), column=len(before[-1]) + 1
        ) from None
    except OSError as error:
        raise ModelError(error.strerror or "cannot be read", file=str(path)) from None


def _folders(folder: Traversable) -> list[str]:
    names = (entry.name for entry in _entries(folder) if entry.is_dir())
    return sorted(name for name in names if name[0] not in "._")


def _entries(folder: Traversable) -> list[Traversable]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ModelError(error.strerror or "cannot be listed", file=str(folder)) from None


@functools.cache
def _catalogue() -> Vocabulary:
    vocabulary = Vocabulary()
    for tracepoint in catalogue():
        vocabulary.add(tracepoint)
    return vocabulary
