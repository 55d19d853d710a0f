"""Monitors as files: a folder with the model and its bindings, or a model file with both."""

import functools
from collections.abc import Sequence
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath

from rvfs.errors import ModelError
from rvfs.monitor import Model
from rvfs.monitors.bindings import Bindings, read_bindings
from rvfs.monitors.fitting import monitor_of
from rvfs.monitors.texts import (
    LANGUAGES,
    Language,
    Loaded,
    Text,
    Texts,
    bindings_of,
    decode,
    join,
)
from rvfs.tracepoint import Vocabulary, catalogue


def is_model(name: str) -> bool:
    """Whether a file of that name is a model."""
    return PurePath(name).suffix in LANGUAGES


def load_folder(folder: Traversable) -> list[Loaded]:
    """The monitors of a folder, each a folder or a model file, in the order of their names."""
    shown = [entry for entry in _entries(folder) if entry.name[0] not in "._"]
    found = [entry for entry in shown if entry.is_dir() or is_model(entry.name)]
    return [_load(folder, entry) for entry in sorted(found, key=lambda e: PurePath(e.name).stem)]


def _load(folder: Traversable, entry: Traversable) -> Loaded:
    if entry.is_dir():
        return load_monitor(entry)
    return _bound(_load_file(entry, folder / f"{PurePath(entry.name).stem}.toml"), entry)


def load_monitor(folder: Traversable, vocabulary: Vocabulary | None = None) -> Loaded:
    """The monitor of one folder, with its children.

    Fields are checked against the vocabulary (the catalogue of rvfs if there is none given).
    Raises :class:`ModelError` with file and line.
    """
    vocabulary = known_tracepoints() if vocabulary is None else vocabulary
    models = sorted(entry.name for entry in _entries(folder) if is_model(entry.name))
    sheet = folder / f"{folder.name}.toml"
    bindings = _read(sheet) if sheet.is_file() or not models else None
    if bindings and bindings.children is not None:
        return _container(folder, bindings, bindings.children, models, vocabulary)
    if len(models) != 1 or PurePath(models[0]).stem != folder.name:
        expected = " or ".join(f"{folder.name}{suffix}" for suffix in LANGUAGES)
        found = ", ".join(models) or "none"
        raise ModelError(f"expected one model file, {expected}, found {found}", file=str(folder))
    model = folder / models[0]
    return _bound(_join(model, bindings, vocabulary), model)


def load_model(path: Path) -> Model:
    """The model of a file, whatever its bindings. Raises :class:`ModelError`."""
    name, language = path.stem, _language(path)
    return language.read(_text(path).text, file=str(path), name=name).model


def _language(path: Traversable) -> Language:
    if not is_model(path.name):
        raise ModelError(f"not a model file; expected {' or '.join(LANGUAGES)}", file=str(path))
    return LANGUAGES[PurePath(path.name).suffix]


def load_file(path: Path) -> Loaded:
    """A model file with its bindings: those within it, or of the ``.toml`` beside it.

    Without either it is not ``bound``. Raises :class:`ModelError`.
    """
    return _load_file(path, path.with_suffix(".toml"))


def _load_file(path: Traversable, sheet: Traversable) -> Loaded:
    return _join(path, _read(sheet) if sheet.is_file() else None, known_tracepoints())


def _join(path: Traversable, beside: Bindings | None, vocabulary: Vocabulary) -> Loaded:
    language, model = _language(path), _text(path)
    return join(
        PurePath(path.name).stem, model, language, bindings_of(model, language, beside), vocabulary
    )


def _bound(loaded: Loaded, path: Traversable) -> Loaded:
    if not loaded.bound:
        sheet = PurePath(path.name).with_suffix(".toml")
        raise ModelError(f"it carries no bindings, and there is no {sheet}", file=str(path))
    return loaded


def _container(
    folder: Traversable,
    bindings: Bindings,
    names: Sequence[str],
    models: Sequence[str],
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
    return Loaded(monitor, children, texts=Texts(None, sheet.text))


def _read(sheet: Traversable) -> Bindings:
    text, file = _text(sheet)
    return read_bindings(text, file=file)


def _text(path: Traversable) -> Text:
    try:
        return decode(path.read_bytes(), file=str(path))
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
def known_tracepoints() -> Vocabulary:
    """Those that rvfs knows by itself."""
    vocabulary = Vocabulary()
    for tracepoint in catalogue():
        vocabulary.add(tracepoint)
    return vocabulary
