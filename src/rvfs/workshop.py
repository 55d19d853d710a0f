"""Monitors that users make, replace and remove while rvfs runs.

Whatever comes, a folder, a text, a set of monitors, is a list of :class:`Item`, and goes one
way, :meth:`Workshop._put`: read all texts, then build or replace each monitor in the
registry, then write the files to the state folder. It is one :class:`Change`: where anything
fails, what was is in force.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rvfs.bundle import Item, from_toml
from rvfs.change import Change
from rvfs.errors import (
    AlreadyRegistered,
    InvalidInput,
    ModelError,
    NotEmpty,
    NotPermitted,
    RvfsError,
    UnknownName,
)
from rvfs.monitor import Monitor, check_name
from rvfs.monitors.bindings import read_bindings
from rvfs.monitors.texts import carries_bindings, decode, load_texts
from rvfs.registered import Form, Registered
from rvfs.registry import Registry
from rvfs.state import Shelf
from rvfs.tracepoint import Vocabulary

log = logging.getLogger(__name__)

#: What the file ``load`` is called in messages.
LOAD = "load"


class Workshop:
    """What the tree's mkdir, rmdir, ``model``, ``bindings`` and ``load`` do.

    ``shelf`` keeps what users have made, if there is one. ``report`` is what there was to say of
    the last set that was loaded: its faults or its warnings, one per line.
    """

    def __init__(
        self, registry: Registry, vocabulary: Vocabulary, shelf: Shelf | None = None
    ) -> None:
        self._registry, self._vocabulary, self._shelf = registry, vocabulary, shelf
        self.report = ""

    def restore(self) -> None:
        """Everything that is on the shelf; what is damaged is left out, and the log names it."""
        assert self._shelf is not None
        for item in self._shelf.items():
            try:
                self._put([item], replacing=True, saving=False)
            except RvfsError as error:
                self._shelf.leave_out(item, error)

    def make(self, name: str, parent: str | None = None) -> None:
        """An empty container (mkdir). Raises as :meth:`Registry.register_monitor`."""
        self._put([Item(name, parent)])

    def remove(self, one: Registered) -> None:
        """Switch it off and take it away (rmdir).

        Raises :class:`NotPermitted` for one that no user has made, :class:`NotEmpty`,
        :class:`NotSaved`.
        """
        if not one.removable:
            raise NotPermitted(f"monitor {one.path} came with the mount and stays")
        if one.children:
            children = ", ".join(child.name for child in one.children)
            raise NotEmpty(f"container {one.name} still has children: {children}")
        with Change() as change:
            self._registry.withdraw(one, change)
            self._save((), change, gone=one)
            change.keep()
        log.info("monitor %s was removed", one.path)

    def write_model(self, one: Registered, data: bytes) -> None:
        """A new model. Raises :class:`ModelError`, and whatever keeps it from being in force."""
        self._write(one, "model", data)

    def write_bindings(self, one: Registered, data: bytes) -> None:
        """New bindings. Raises as :meth:`write_model`."""
        self._write(one, "bindings", data)

    def _write(self, one: Registered, kind: str, data: bytes) -> None:
        try:
            item = replace(Item(one.name, one.container), **{kind: decode(data, file=kind).text})
            self._put([item], replacing=True)
        except RvfsError as error:
            one.error = faults(error)
            raise
        one.error = ""

    def load(self, data: bytes) -> None:
        """A set of monitors, all or nothing: a document as :mod:`rvfs.bundle` describes it."""
        try:
            bundle = from_toml(decode(data, file=LOAD).text, file=LOAD)
            warnings = self._put(bundle.items, replacing=bundle.replace, whole=True)
        except RvfsError as error:
            self.report = faults(error)
            raise
        self.report = "".join(f"{warning}\n" for warning in warnings)

    # -- one way for all -------------------------------------------------------------------

    def _put(
        self, items: Sequence[Item], *, replacing: bool = False, saving: bool = True,
        whole: bool = False,
    ) -> list[str]:  # fmt: skip
        """Make all of it so; the warnings. ``whole``: nothing may still wait for another text."""
        warnings: list[str] = []
        forms = [self._form(self._completed(item, replacing), warnings) for item in items]
        for item, form in zip(items, forms, strict=True):
            if whole and form.waits_for:
                raise InvalidInput(
                    f"{item.name}: there is no {form.waits_for}; expected it in the model file or "
                    f"in {item.bindings_file}"
                )
        with Change() as change:
            put = [
                self._put_one(item, form, change) for item, form in zip(items, forms, strict=True)
            ]
            if saving:
                self._save(put, change)
            change.keep()
        for warning in warnings:
            log.warning("%s", warning)
        return warnings

    def _known(self, item: Item) -> Registered | None:
        try:
            return self._registry.find(item.name)
        except UnknownName:
            return None

    def _completed(self, item: Item, replacing: bool) -> Item:
        """With the texts that the monitor has already, where it is to be replaced."""
        known = self._known(item)
        if known is None:
            return item
        if not replacing:
            raise AlreadyRegistered(f"Monitor {item.name} is already registered")
        if known.container != item.parent:
            raise InvalidInput(f"monitor {item.name} is known as {known.path}")
        texts = known.form.texts
        if item.model is not None and carries_bindings(item.model):
            texts = replace(texts, bindings=None)
        return replace(
            item,
            model=texts.model if item.model is None else item.model,
            bindings=texts.bindings if item.bindings is None else item.bindings,
        )

    def _put_one(self, item: Item, form: Form, change: Change) -> Registered:
        known = self._known(item)
        if known is None:
            return self._registry.add(form, item.parent, change, removable=True)
        self._registry.replace(known, form, change)
        return known

    def _save(
        self, put: Iterable[Registered], change: Change, *, gone: Registered | None = None
    ) -> None:
        if self._shelf is None:
            return
        touched = [*put, *([gone] if gone else [])]
        changed = [*put, *(one.parent for one in touched if one.parent and one.parent.removable)]
        files = {
            path: data
            for one in dict.fromkeys(changed)
            for path, data in self._shelf.files(one).items()
        }
        if gone:
            files |= self._shelf.files(gone, gone=True)
        self._shelf.save(files, change)

    def _form(self, item: Item, warnings: list[str]) -> Form:
        """What the texts make of the monitor. Raises :class:`ModelError`."""
        check_name("monitor", item.name)
        loaded = load_texts(
            item.name, item.model, item.bindings, self._vocabulary,
            file=item.model_file, bindings_file=item.bindings_file,
        )  # fmt: skip
        warnings += loaded.warnings
        if loaded.monitor.model is None:
            is_container = item.bindings is None or _is_of_container(item)
            return (
                Form(loaded.monitor)
                if is_container
                else Form(loaded.monitor, loaded.texts, "model")
            )
        if not loaded.bound:
            return Form(Monitor(item.name, ""), loaded.texts, "bindings", loaded.monitor.model)
        return Form(loaded.monitor, loaded.texts)


def _is_of_container(item: Item) -> bool:
    return read_bindings(item.bindings or "", file=item.bindings_file).children is not None


def faults(error: RvfsError) -> str:
    """One line for each."""
    others = error.also if isinstance(error, ModelError) else ()
    return "".join(f"{fault}\n" for fault in (error, *others))
