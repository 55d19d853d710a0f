"""What is kept of a folder is what would be read from it, or is not used."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.resources.abc import Traversable
from pathlib import Path
from zipfile import Path as InArchive
from zipfile import ZipFile

import pytest

from rvfs.model.filter import Filter
from rvfs.monitors import SHIPPED, Loaded, load_monitor
from rvfs.monitors.kept import read_once

FOLDER = Path(sys.modules["rvfs.monitors"].__file__ or "").parent


class Reader:
    """Reads a folder's ``text``, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, folder: Traversable) -> str:
        self.times += 1
        return (folder / "text").read_text()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Python, and rvfs, keep what they read."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "in").mkdir()
    (folder / "text").write_text("old")
    return folder


def files(cache: Path) -> list[Path]:
    """What there is beside the bytecode."""
    return [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".pyc"]


def reads(folder: Traversable) -> tuple[str, int]:
    """What a folder is found to hold, and how often it was read for that."""
    read = Reader()
    return read_once(folder, read), read.times


def test_a_folder_is_read_once(folder: Path, cache: Path) -> None:
    assert reads(folder) == ("old", 1)
    assert reads(folder) == ("old", 0)
    assert [path.suffix for path in files(cache)] == [".pickle"]


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


CHANGES: dict[str, Callable[[Path], object]] = {
    "another text": lambda folder: (folder / "text").write_text("newer"),
    "another time": lambda folder: touch(folder / "text"),
    "a new file": lambda folder: (folder / "more").touch(),
    "a new file below": lambda folder: (folder / "in/it").touch(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_read_anew_and_kept(change: str, folder: Path, cache: Path) -> None:
    reads(folder)
    CHANGES[change](folder)
    now = (folder / "text").read_text()
    assert reads(folder) == (now, 1)
    assert reads(folder) == (now, 0)
    assert len(files(cache)) == 1


def test_another_rvfs_reads_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads(folder)
    monkeypatch.setattr("rvfs.__version__", "0.0")
    assert reads(folder) == ("old", 1)


def test_other_code_reads_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code := tmp_path / "code").mkdir()
    (code / "dot.py").touch()
    monkeypatch.setattr("rvfs.monitors.kept.READERS", (code,))
    assert [reads(folder), reads(folder)] == [("old", 1), ("old", 0)]
    touch(code / "dot.py")
    assert reads(folder) == ("old", 1)


def test_another_folder_of_the_same_texts_is_another(
    folder: Path, tmp_path: Path, cache: Path
) -> None:
    reads(folder)
    moved = folder.rename(tmp_path / "moved")
    before = files(cache)[0]
    after = Path(str(before).replace("/folder.", "/moved."))
    before.rename(after)
    assert reads(moved) == ("old", 1)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut off in the key": lambda data: data[:10],
    "cut off in the pickle": lambda data: data[:-1],
    "one bit in the pickle": lambda data: data.replace(b"old", b"omd"),
    "longer": lambda data: data + b".",
    "something else": lambda data: b"\0\xff\n" * 100,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_replaced(damage: str, folder: Path, cache: Path) -> None:
    reads(folder)
    (file,) = files(cache)
    whole = file.read_bytes()
    file.write_bytes(DAMAGES[damage](whole))
    assert file.read_bytes() != whole
    assert reads(folder) == ("old", 1)
    assert file.read_bytes() == whole


def test_a_file_that_cannot_be_read_does_not_matter(folder: Path, cache: Path) -> None:
    reads(folder)
    (file,) = files(cache)
    file.unlink()
    file.mkdir()
    assert reads(folder) == ("old", 1)
    assert list(file.parent.iterdir()) == [file]


def test_where_nothing_can_be_written_it_is_read_each_time(folder: Path, cache: Path) -> None:
    cache.write_text("no folder")
    assert reads(folder) == ("old", 1)
    assert reads(folder) == ("old", 1)


def test_nothing_is_written_where_python_writes_no_bytecode(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert reads(folder) == ("old", 1)
    assert files(cache) == []


def test_a_fault_is_not_kept(folder: Path, cache: Path) -> None:
    (folder / "text").unlink()
    with pytest.raises(FileNotFoundError):
        reads(folder)
    assert files(cache) == []


def test_beside_an_archive_nothing_is_kept(tmp_path: Path, cache: Path) -> None:
    with ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("folder/text", "old")
    assert reads(InArchive(tmp_path / "z.zip", "folder/")) == ("old", 1)
    assert files(cache) == []


def conditions(loaded: Loaded) -> list[list[object]]:
    """Every part of every condition, of which only the text is compared otherwise."""
    return [
        [getattr(binding.when, part.name) for part in dataclasses.fields(Filter)]
        for inner in loaded
        for binding in inner.monitor.bindings
        if binding.when
    ]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_monitor_that_was_kept_is_the_one_in_its_files(name: str) -> None:
    fresh = load_monitor(FOLDER / name)
    read_once(FOLDER / name, load_monitor)
    again: Loaded = read_once(FOLDER / name, lambda _: pytest.fail("it was not kept"))
    assert again == fresh
    assert [inner.texts for inner in again] == [inner.texts for inner in fresh]
    assert conditions(again) == conditions(fresh)


def python(script: str, cache: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-X", f"pycache_prefix={cache}", "-c", script]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


LOADED = (
    "import sys; from rvfs.monitors import shipped\n"
    "print([loaded.monitor.name for outer in shipped() for loaded in outer])\n"
    "print({'lark', 'pydot', 'pyparsing'} & set(sys.modules) or 'no grammar')"
)


def test_two_processes_at_once_find_the_same_and_the_next_loads_no_grammar(cache: Path) -> None:
    both = [python(LOADED, cache) for _ in range(2)]
    one, other = (process.communicate()[0].splitlines() for process in both)
    third = python(LOADED, cache).communicate()[0].splitlines()
    assert one[0] == other[0] == third[0]
    assert third[0].startswith("['wip', 'wwnr', 'sched', ")
    assert third[1] == "no grammar"
    assert not [path for path in files(cache) if path.suffix != ".pickle"]
