"""What users have loaded, on disk, so that it is there after a restart: ``--state DIR``.

DIR is a folder of monitors as ``--monitors`` has (:mod:`rvfs.bundle`). A change of it is
whole, whatever happens, by a journal::

    DIR/.change/        while a change is made: the new files, what was there, and the list
    DIR/.done/          the same, as soon as all new files are in their places

A ``.change`` that is found at the start is a change that was cut short, and is undone; a
``.done`` is one that was not, and is thrown away. Undoing takes no room: what was there is
renamed back.
"""

import contextlib
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rvfs.bundle import SHEET_SUFFIX, Item, open_folder
from rvfs.change import Change
from rvfs.errors import AlreadyRegistered, NotSaved, RvfsError
from rvfs.model.rule import Rule
from rvfs.monitors.texts import LANGUAGES
from rvfs.registered import Registered

log = logging.getLogger(__name__)

#: Relative path → what shall be there; None is nothing.
Files = Mapping[str, bytes | None]
_LIST = "files"


class Shelf:
    """The folder. Raises :class:`NotSaved` where it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._change, self._done = folder / ".change", folder / ".done"
        self._left_out: set[str] = set()
        try:
            with contextlib.ExitStack() as opened:
                folder.mkdir(parents=True, exist_ok=True)
                self._lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                opened.callback(os.close, self._lock)
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(self._done)
                self._undo()
                opened.pop_all()
        except BlockingIOError:
            raise _not_saved(folder, "another rvfs that runs keeps its monitors there") from None
        except OSError as error:
            raise _not_saved(folder, error) from None

    def close(self) -> None:
        """Let another rvfs have it."""
        os.close(self._lock)

    # -- reading ---------------------------------------------------------------------------

    def items(self) -> Iterator[Item]:
        """The monitors in it, a container before its children; what cannot be read is left out."""
        folders = sorted(self._folder.iterdir())
        for folder in folders:
            if folder.is_dir() and folder.name[0] not in "._":
                yield from self._items(folder, None)

    def _items(self, folder: Path, parent: str | None) -> Iterator[Item]:
        try:
            item, children = open_folder(folder, parent)
        except RvfsError as error:
            self.leave_out(Item(folder.name, parent), error)
            return
        if item.model is not None or item.bindings is not None:
            yield item
        for child in children:
            yield from self._items(child, item.name)

    def leave_out(self, item: Item, why: RvfsError) -> None:
        """It stays on disk as it is, and nothing takes its place."""
        place = _place(item.name, item.parent)
        self._left_out.add(place)
        log.warning("%s left out: %s", self._folder / place, why)

    # -- writing ---------------------------------------------------------------------------

    def files(self, one: Registered, *, gone: bool = False) -> Files:
        """What shall be there of a monitor. Raises :class:`AlreadyRegistered`."""
        place = _place(one.name, one.container)
        if place in self._left_out:
            raise AlreadyRegistered(
                f"{self._folder / place} holds a monitor that was left out; move it away first"
            )
        texts = {} if gone else _texts(one)
        return {
            f"{place}/{one.name}{suffix}": texts.get(suffix)
            for suffix in (*LANGUAGES, SHEET_SUFFIX)
        }

    def save(self, files: Files, change: Change) -> None:
        """Put these files in place, as the last step of a change.

        Raises :class:`NotSaved`, which carries the errno; then nothing is changed.
        """
        change.undo(self._take_back)
        try:
            _remove(self._done)
            self._stage(files)
            for number, path in enumerate(files):
                self._put(number, self._folder / path)
            self._change.rename(self._done)
            _sync(self._folder)
        except OSError as error:
            raise _not_saved(self._folder, error) from None
        change.then(self._sweep, files)

    def _stage(self, files: Files) -> None:
        """All that needs room, and the list, without which none of it counts."""
        self._change.mkdir()
        had = {path: (self._folder / path).exists() for path in files}
        for number, (path, data) in enumerate(files.items()):
            if data is not None:
                _write(self._change / f"new{number}", data)
            if had[path]:
                _write(self._change / f"old{number}", (self._folder / path).read_bytes())
        _write(self._change / "list", json.dumps(had).encode())
        (self._change / "list").rename(self._change / _LIST)
        _sync(self._change)
        _sync(self._folder)

    def _put(self, number: int, path: Path) -> None:
        new = self._change / f"new{number}"
        if new.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            new.replace(path)
        else:
            path.unlink(missing_ok=True)
        if path.parent.exists():
            _sync(path.parent)

    def _take_back(self) -> None:
        if self._done.exists():
            self._done.rename(self._change)
        self._undo()

    def _undo(self) -> None:
        """Take back a change that is not done, if there is one; again, if that was cut short."""
        had: dict[str, bool] = {}
        if (self._change / _LIST).exists():
            had = json.loads((self._change / _LIST).read_bytes())
        for number, (path, was_there) in enumerate(had.items()):
            old = self._change / f"old{number}"
            if old.exists():
                old.replace(self._folder / path)
            elif not was_there:
                (self._folder / path).unlink(missing_ok=True)
        _remove(self._change)
        _remove_empty(self._folder / path for path in had)

    def _sweep(self, files: Files) -> None:
        """What is left over is thrown away; where that fails, before the next change."""
        with contextlib.suppress(OSError):
            _remove(self._done)
        _remove_empty(self._folder / path for path in files)


def _place(name: str, parent: str | None) -> str:
    return f"{parent}/{name}" if parent else name


def _texts(one: Registered) -> dict[str, bytes]:
    """Suffix → text of the files of a monitor."""
    texts = one.form.texts
    suffix = ".ltl" if isinstance(one.form.model, Rule) else ".dot"
    written = {suffix: texts.model, SHEET_SUFFIX: one.bindings_text}
    return {name: text.encode() for name, text in written.items() if text is not None}


def _not_saved(folder: Path, why: OSError | str) -> NotSaved:
    if isinstance(why, str):
        return NotSaved(f"{folder}: {why}")
    return NotSaved(f"{folder}: {why.strerror}", why.errno)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _remove_empty(paths: Iterable[Path]) -> None:
    """The folders of files that were removed, children's before their container's."""
    for folder in sorted({path.parent for path in paths}, reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()
