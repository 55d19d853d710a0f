"""``rvfs load``, ``rvfs unload`` and ``--state``, through a real mount."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rvfs.monitors import shipped
from rvfs.testing import Mount
from tests.tree.test_loading import BINDINGS, LAMP, OTHER, OTHER_BINDINGS, PER_TASK


def rvfs(*arguments: object) -> tuple[int, str]:
    """Exit status and what was said."""
    done = subprocess.run(
        [sys.executable, "-m", "rvfs", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """``lamp.dot`` with its ``.toml``, the folder ``other``, and the container ``box``."""
    write(tmp_path, "lamp", LAMP, BINDINGS)
    write(tmp_path / "other", "other", OTHER, OTHER_BINDINGS)
    write(tmp_path / "box/two", "two", LAMP, PER_TASK)
    write(tmp_path / "box/one", "one", LAMP, BINDINGS)
    (tmp_path / "box/box.toml").write_text('description = "a box"\nchildren = ["two", "one"]\n')
    return tmp_path


def write(folder: Path, name: str, model: str, bindings: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.dot").write_text(model)
    (folder / f"{name}.toml").write_text(bindings)


def names(rv: Mount) -> list[str]:
    """What is there beside what came with the mount."""
    came = {one.monitor.name for outer in shipped() for one in outer}
    listed = rv.read("available_monitors").split()
    return [line for line in listed if line.rpartition(":")[2] not in came]


def test_files_folders_and_containers_are_loaded_and_unloaded(rv: Mount, files: Path) -> None:
    assert rvfs("load", rv.path, files / "lamp.dot", files / "other", files / "box/") == (0, "")
    assert names(rv) == ["lamp", "other", "box", "box:one", "box:two"]
    assert rv.read("monitors/box/desc") == "a box\n"
    assert rvfs("unload", rv.path, "lamp", "one", "box:two") == (0, "")
    assert names(rv) == ["other", "box"]
    assert rvfs("load", rv.path, "--replace", files / "box") == (0, "")
    assert rvfs("unload", rv.path, "box", "other") == (0, "")
    assert names(rv) == []


def test_a_set_with_a_bad_one_in_it_is_not_loaded_and_every_fault_has_its_file_and_line(
    rv: Mount, files: Path
) -> None:
    (files / "other/other.toml").write_text(OTHER_BINDINGS.replace("sched_", "sched!"))
    status, said = rvfs("load", rv.path, files / "lamp.dot", files / "other")
    assert status == 2
    assert [line.partition(": ")[0] for line in said.splitlines()] == [
        f"{files}/other/other.toml:4:1", f"{files}/other/other.toml:8:1",
    ]  # fmt: skip
    assert names(rv) == []


def test_monitors_that_are_on_are_replaced_all_or_none(rv: Mount, files: Path) -> None:
    rvfs("load", rv.path, files / "lamp.dot", files / "box")
    for name in ("lamp", "box"):
        rv.write(f"monitors/{name}/enable", "1")
    assert rvfs("load", rv.path, files / "lamp.dot") == (1, "Monitor lamp is already registered\n")
    write(files, "lamp", OTHER, OTHER_BINDINGS)
    write(files / "box/one", "one", LAMP[:100], BINDINGS)
    status, said = rvfs("load", "--replace", rv.path, files / "lamp.dot", files / "box")
    assert (status, said.partition(":")[0]) == (2, f"{files}/box/one/one.dot")
    assert rv.read("monitors/lamp/desc") == "a lamp\n"
    write(files / "box/one", "one", LAMP, BINDINGS)
    assert rvfs("load", "--replace", rv.path, files / "lamp.dot", files / "box") == (0, "")
    assert rv.read("monitors/lamp/desc") == "another\n"
    assert rv.read("enabled_monitors") == "lamp\nbox\nbox:one\nbox:two\n"


REFUSED = [
    (("unload", "{rv}", "wip"), 1, "rvfs: cannot unload wip: it came with the mount and stays\n"),
    (("unload", "{rv}", "nobody"), 2, "rvfs: there is no monitor 'nobody'\n"),
    (("unload", "{files}", "lamp"), 2, "rvfs: no rvfs is mounted on {files}\n"),
    (("load", "{files}", "{files}/lamp.dot"), 2, "rvfs: no rvfs is mounted on {files}\n"),
    (("load", "{rv}", "{files}/no.dot"), 2, "rvfs: {files}/no.dot: No such file or directory\n"),
    (("load", "{rv}", "{files}/lamp.toml"), 2,
     "rvfs: {files}/lamp.toml is neither a model file (.dot, .gv, .ltl) nor a monitor's folder\n"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "status", "said"), REFUSED)
def test_what_cannot_be_is_one_sentence(
    rv: Mount, files: Path, arguments: tuple[str, ...], status: int, said: str
) -> None:
    filled = [argument.format(rv=rv.path, files=files) for argument in arguments]
    assert rvfs(*filled) == (status, said.format(files=files))


def test_what_was_loaded_is_there_at_the_next_mount(
    rv_mount: Callable[..., Mount], files: Path
) -> None:
    state = files / "state"
    first = rv_mount(source="inject", state=state)
    assert rvfs("load", first.path, files / "lamp.dot", files / "box") == (0, "")
    first.close()
    (state / "lamp/lamp.dot").write_text(LAMP[:100])
    second = rv_mount(source="inject", state=state)
    assert names(second) == ["box", "box:one", "box:two"]
    assert f"rvfs: {state}/lamp left out: {state}/lamp/lamp.dot:3:" in second.log
    assert (state / "lamp/lamp.dot").read_text() == LAMP[:100]


@pytest.mark.needs("root")
def test_on_a_full_disk_the_write_fails_and_nothing_changes(
    rv_mount: Callable[..., Mount], tmp_path: Path
) -> None:
    (tmp_path / "small").mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path / "small"], check=True
    )
    try:
        rv = rv_mount(source="inject", state=tmp_path / "small/state")
        (rv / "monitors/lamp").mkdir()
        (rv / "monitors/lamp/model").write_text(LAMP)
        old = rv.read("monitors/lamp/model")
        with pytest.raises(OSError, match="No space left on device"):
            (rv / "monitors/lamp/model").write_text("//" + "x" * 100_000 + "\n" + LAMP)
        assert "No space left on device" in rv.read("monitors/lamp/error")
        assert rv.read("monitors/lamp/model") == old
        assert (tmp_path / "small/state/lamp/lamp.dot").read_text() == LAMP
        (rv / "monitors/lamp/bindings").write_text(BINDINGS)
        rv.close()
    finally:
        subprocess.run(["umount", "-l", tmp_path / "small"], check=True)
