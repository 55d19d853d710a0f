"""What users have loaded is there after a restart: ``--state``, and what can go wrong with it."""

import errno
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from rvfs.change import Change
from rvfs.errors import AlreadyRegistered, NotSaved, RvfsError
from rvfs.state import Shelf
from tests.tree.test_loading import (
    BINDINGS,
    BOX,
    IN_BOX,
    LAMP,
    OTHER,
    OTHER_BINDINGS,
    OTHER_IN_BOX,
    PER_TASK,
    Bench,
    load,
)


class Restarted(Bench):
    """A tree over a state folder; ``restart`` is what comes after it."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self.path = state

    def end(self) -> None:
        assert self.shelf is not None
        self.shelf.close()

    def restart(self) -> "Restarted":
        self.end()
        return Restarted(self.path)

    def loaded(self) -> dict[str, tuple[str, ...]]:
        """Path → what its files say, but for those that came with the mount unchanged."""
        return {
            one.path: tuple(
                self.cat(f"monitors/{one.path.replace(':', '/')}/{name}")
                for name in ("desc", "model", "bindings")
            )
            for one in self.registry.monitors
        }


def on_disk(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def rv(tmp_path: Path) -> Iterator[Restarted]:
    bench = Restarted(tmp_path / "state")
    yield bench
    with suppress(OSError):  # it was restarted
        bench.end()


def test_what_was_made_loaded_replaced_and_removed_is_so_after_a_restart(rv: Restarted) -> None:
    rv.mkdir("monitors/empty")
    rv.lamp()
    rv.put("load", load(BOX, {**IN_BOX, "name": "in"}, OTHER_IN_BOX))
    rv.rmdir("monitors/box/in")
    rv.mkdir("monitors/box/last")
    rv.lamp("monitors/sched/mine")
    rv.mkdir("monitors/half")
    rv.put("monitors/half/model", LAMP)
    rv.lamp("monitors/gone")
    rv.rmdir("monitors/gone")
    assert sorted(on_disk(rv.path)) == [
        "box/box.toml", "box/last/last.toml", "box/other/other.dot", "box/other/other.toml",
        "empty/empty.toml", "half/half.dot", "lamp/lamp.dot", "lamp/lamp.toml",
        "sched/mine/mine.dot", "sched/mine/mine.toml",
    ]  # fmt: skip
    before = rv.loaded()
    after = rv.restart()
    assert after.loaded() == before
    assert on_disk(after.path)["lamp/lamp.dot"] == LAMP
    after.rmdir("monitors/lamp")
    assert "lamp" not in after.restart().loaded()


def test_a_shipped_monitor_that_was_replaced_stays_replaced_and_stays(rv: Restarted) -> None:
    rv.put("load", load({"name": "wip", "model": LAMP, "bindings": BINDINGS}, replace=True))
    after = rv.restart()
    assert after.cat("monitors/wip/desc") == "a lamp\n"
    with pytest.raises(RvfsError, match="came with the mount"):
        after.rmdir("monitors/wip")
    after.end()


def test_the_order_in_a_container_stays(rv: Restarted) -> None:
    rv.mkdir("monitors/box")
    for name in ("z", "a", "m"):
        rv.mkdir(f"monitors/box/{name}")
    after = rv.restart()
    assert after.listing() == rv.listing()
    after.end()


# -- damage --------------------------------------------------------------------------------------

DAMAGED = {
    "lamp/lamp.dot": LAMP[:100].encode(), "other/other.toml": b"\xff", "three/four.dot": b"",
    "box/box.toml": b"children = 7",
}  # fmt: skip


def test_what_is_damaged_is_left_out_and_named_and_stays(
    rv: Restarted, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("lamp", "other", "good"):
        rv.lamp(f"monitors/{name}")
    rv.end()
    for name, data in DAMAGED.items():
        (rv.path / name).parent.mkdir(exist_ok=True)
        (rv.path / name).write_bytes(data)
    after = Restarted(rv.path)
    assert "good" in after.loaded()
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [line.split(" left out: ")[0] for line in said] == [
        str(rv.path / name) for name in ("box", "lamp", "other", "three")
    ]
    assert f"{rv.path}/lamp/lamp.dot:3:" in said[1]
    caplog.clear()
    with pytest.raises(AlreadyRegistered, match=f"{rv.path}/lamp holds a monitor that was left"):
        after.mkdir("monitors/lamp")
    after.mkdir("monitors/new")
    for name, data in DAMAGED.items():
        assert (rv.path / name).read_bytes() == data
    after.end()


def test_what_is_not_ours_stays(rv: Restarted) -> None:
    rv.lamp()
    (rv.path / "lamp/README").write_text("mine")
    (rv.path / "notes").write_text("mine")
    after = rv.restart()
    after.rmdir("monitors/lamp")
    assert on_disk(rv.path) == {"lamp/README": "mine", "notes": "mine"}
    assert "lamp" not in after.restart().loaded()


def test_one_folder_is_the_state_of_one_rvfs(rv: Restarted) -> None:
    with pytest.raises(NotSaved, match="another rvfs"):
        Restarted(rv.path)


def test_a_place_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotSaved, match="file/state") as error:
        Restarted(tmp_path / "file/state")
    assert error.value.errno == errno.ENOTDIR


# -- disks that fail, and power that does --------------------------------------------------------

Act = Callable[[Bench], None]
#: What is done to a tree with ``lamp`` and the container ``box`` with ``in`` and ``two``, all on.
ACTS: dict[str, Act] = {
    "mkdir": lambda rv: rv.mkdir("monitors/new"),
    "mkdir in a container": lambda rv: rv.mkdir("monitors/box/new"),
    "a model": lambda rv: rv.put("monitors/lamp/model", LAMP.replace('"on"', '"lit"')),
    "bindings with another scope": lambda rv: rv.put("monitors/lamp/bindings", PER_TASK),
    "a set": lambda rv: rv.put(
        "load", load({**BOX, "name": "new"}, {**OTHER_IN_BOX, "parent": "new"})
    ),
    "a set that replaces": lambda rv: rv.put(
        "load",
        load(
            {"name": "lamp", "model": OTHER, "bindings": OTHER_BINDINGS},
            {"name": "in", "parent": "box", "model": LAMP, "bindings": PER_TASK},
            {"name": "new", "parent": "box", "model": LAMP, "bindings": PER_TASK},
            replace=True,
        ),
    ),
    "rmdir": lambda rv: rv.rmdir("monitors/lamp"),
    "rmdir in a container": lambda rv: rv.rmdir("monitors/box/in"),
}


def prepare(rv: Bench) -> None:
    rv.lamp()
    rv.mkdir("monitors/box")
    rv.lamp("monitors/box/in")
    rv.lamp("monitors/box/two")
    for name in ("lamp", "box"):
        rv.echo("1", f"monitors/{name}/enable")
    rv.echo("collect", "monitors/lamp/reactors")
    rv.echo("1", "events/rv/event_lamp/enable")


class Cut(BaseException):
    """The power has gone."""


#: Every way to change what is on a disk.
CALLS = ((io, "open"), *((os, n) for n in (
    "fsync", "rename", "replace", "unlink", "mkdir", "rmdir",
)))  # fmt: skip


@contextmanager
def failing(nth: int, error: BaseException, *, forever: bool) -> Iterator[list[int]]:
    """The nth of these calls fails, and those after it, if ``forever``; yields how many came."""
    count = [0]

    def wrap(call: Any) -> Any:
        def wrapped(*args: Any, **options: Any) -> Any:
            count[0] += 1
            if count[0] == nth or (forever and count[0] > nth):
                raise error
            return call(*args, **options)

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for module, name in CALLS:
            patch.setattr(module, name, wrap(getattr(module, name)))
        yield count


def refused(act: Act, rv: Bench) -> int | None:
    """With which errno it was not saved."""
    try:
        act(rv)
    except NotSaved as error:
        return error.errno
    return None


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_whatever_the_disk_refuses_nothing_has_changed(rv: Restarted, act: Act) -> None:
    """Each call in turn says that there is no space; at last none does, and all is done."""
    prepare(rv)
    before, disk = rv.state(), on_disk(rv.path)
    for nth in range(1, 200):
        with failing(nth, OSError(errno.ENOSPC, "No space left"), forever=False) as count:
            said = refused(act, rv)
        if said is None:
            break
        assert said == errno.ENOSPC
        assert (rv.state(), on_disk(rv.path)) == (before, disk)
    assert count[0] >= nth - 1 > 8
    assert rv.state() != before
    loaded = rv.loaded()
    after = rv.restart()
    assert after.loaded() == loaded
    after.end()


OLD = {"lamp/lamp.dot": "old", "lamp/lamp.toml": "old", "box/in/in.ltl": "old", "README": "mine"}
CHANGE: dict[str, bytes | None] = {
    "lamp/lamp.dot": b"new", "lamp/lamp.toml": b"new", "new/new.toml": b"new", "box/box.toml": None,
    "box/in/in.ltl": None, "box/in/in.dot": b"new",
}  # fmt: skip
NEW = {path: data.decode() for path, data in CHANGE.items() if data} | {"README": "mine"}


def disk(folder: Path) -> Path:
    """A state folder before a change of it."""
    for path, text in OLD.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def until_the_power_goes(nth: int, act: Callable[[], object]) -> bool:
    """Whether it went at the nth call, before all was done."""
    with failing(nth, Cut(), forever=True) as count, suppress(Cut):
        act()
    return count[0] >= nth


def change(folder: Path) -> None:
    shelf = Shelf(folder)
    try:
        with Change() as change:
            shelf.save(CHANGE, change)
            change.keep()
    finally:
        shelf.close()


def test_whenever_the_power_goes_the_disk_has_all_of_a_change_or_none(tmp_path: Path) -> None:
    """And if it goes again while the change is taken back, at any place, still so."""
    found = []
    for nth in range(1, 200):
        folder = disk(tmp_path / f"{nth}")
        if not until_the_power_goes(nth, lambda: change(folder)):  # noqa: B023
            break
        for again in range(1, 200):
            rest = shutil.copytree(folder, tmp_path / f"{nth}.{again}")
            went = until_the_power_goes(again, lambda: Shelf(rest).close())  # noqa: B023
            Shelf(rest).close()
            found.append(on_disk(rest))
            assert found[-1] in (OLD, NEW)
            if not went:
                break
    assert OLD in found
    assert NEW in found
    assert on_disk(folder) == NEW
