"""Monitors as texts, on their way into a running rvfs.

They come from files (``NAME.dot`` with ``NAME.toml`` beside it, or a folder ``NAME`` with
both in it; a container's folder has its children's folders too), or as one TOML document,
which is what the file ``load`` of the tree takes:

================  ====================================================================
``existing``      what to do about a name that is taken: ``refuse`` (default) or ``replace``
``[[monitor]]``   one monitor each; a container stands before its children
``name``          of the monitor
``parent``        of the container that it is in
``model``         the text of its model
``bindings``      the text of its bindings
``model_file``    what faults in the model shall be called by; likewise ``bindings_file``
================  ====================================================================
"""

import json
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from rvfs.errors import InvalidInput
from rvfs.monitors.sheet import Sheet
from rvfs.monitors.texts import LANGUAGES, decode

SHEET_SUFFIX = ".toml"


@dataclass(frozen=True, slots=True)
class Item:
    """The texts of one monitor; None is what there is not."""

    name: str
    parent: str | None = None
    model: str | None = None
    bindings: str | None = None
    model_file: str = "model"
    bindings_file: str = "bindings"


_KEYS = {field.name: str for field in fields(Item)}
_TOP_KEYS = {"existing": str, "monitor": list}
_EXISTING = ("refuse", "replace")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Monitors that come together, or not at all."""

    items: tuple[Item, ...]
    replace: bool = False


# -- files -----------------------------------------------------------------------------------


def from_path(path: Path) -> list[Item]:
    """The monitor of a model file, or the monitors of a folder.

    Raises :class:`InvalidInput`, :class:`ModelError` for what cannot be read.
    """
    if path.is_dir():
        return list(from_folder(path if path.name not in ("", "..") else path.resolve()))
    if path.suffix not in LANGUAGES:
        expected = ", ".join(LANGUAGES)
        raise InvalidInput(f"{path} is neither a model file ({expected}) nor a monitor's folder")
    return [_item(path.stem, None, path, path.with_suffix(SHEET_SUFFIX))]


def from_folder(folder: Path, parent: str | None = None) -> Iterator[Item]:
    """A monitor, then its children. Raises as :func:`from_path`."""
    item, children = open_folder(folder, parent)
    yield item
    for child in children:
        yield from from_folder(child, item.name)


def open_folder(folder: Path, parent: str | None) -> tuple[Item, list[Path]]:
    """The monitor of a folder, and the folders of its children. Raises as :func:`from_path`."""
    name, entries = folder.name, _entries(folder)
    models = [entry for entry in entries if entry.suffix in LANGUAGES]
    if len(models) > 1 or any(model.stem != name for model in models):
        found = ", ".join(model.name for model in models)
        raise InvalidInput(f"{folder}: expected one model file, {name}.dot, found {found}")
    item = _item(name, parent, models[0] if models else None, folder / (name + SHEET_SUFFIX))
    return item, _in_order([entry for entry in entries if entry.is_dir()], item.bindings)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.name[0] not in "._")
    except OSError as error:
        raise InvalidInput(f"{folder}: {error.strerror}") from None


def _item(name: str, parent: str | None, model: Path | None, sheet: Path) -> Item:
    return Item(
        name, parent, _text(model) if model else None, _text(sheet) if sheet.exists() else None,
        str(model or "model"), str(sheet),
    )  # fmt: skip


def _text(path: Path) -> str:
    try:
        return decode(path.read_bytes(), file=str(path)).text
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from None


def _in_order(folders: Sequence[Path], bindings: str | None) -> list[Path]:
    """As the container's ``children`` lists them; what it does not list comes last."""
    try:
        children = tomllib.loads(bindings or "").get("children")
    except tomllib.TOMLDecodeError:
        children = None  # whoever reads the text says what is wrong with it
    listed = map(str, children if isinstance(children, list) else [])
    places = {child: place for place, child in enumerate(listed)}
    return sorted(folders, key=lambda folder: places.get(folder.name, len(places)))


# -- one document ----------------------------------------------------------------------------


def quoted(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def to_toml(bundle: Bundle) -> str:
    lines = [f"existing = {quoted(_EXISTING[bundle.replace])}"]
    for item in bundle.items:
        values = {key: getattr(item, key) for key in _KEYS}
        lines.append("[[monitor]]")
        lines += [f"{key} = {quoted(value)}" for key, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"


def from_toml(text: str, *, file: str) -> Bundle:
    """Raises :class:`ModelError` with the line of each fault."""
    sheet = Sheet(text, file=file, array="monitor")
    top = sheet.check(sheet.top, _TOP_KEYS)
    existing = top.get("existing", _EXISTING[0])
    if existing not in _EXISTING:
        sheet.fault(f"existing wants one of {', '.join(_EXISTING)}, not {existing!r}", "existing")
    items = []
    for number, table in enumerate(sheet.tables):
        sheet.require(table, "name", "what the monitor is called", number)
        items.append({"name": ""} | dict(sheet.check(table, _KEYS, number)))
    for name, number in _repeated(str(item["name"]) for item in items):
        sheet.fault(f"there is more than one monitor {name}", "name", number)
    sheet.stop()
    return Bundle(tuple(Item(**item) for item in items), existing == "replace")


def _repeated(names: Iterable[str]) -> Iterator[tuple[str, int]]:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            yield name, number
        seen.add(name)
