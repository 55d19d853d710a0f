"""What the kernel keeps is true at every moment, and it is not asked for twice."""

import errno
import os
import random
from collections.abc import Callable
from typing import Any

import pyfuse3
import pytest

from rvfs import leases
from rvfs.files import Directory, File
from rvfs.news import NEVER, News
from tests.mount.kernel import Kernel, everything
from tests.registry.fakes import Collect, monitor
from tests.tree.test_tree import Served

STEPS, LOOKS = 400, 20
#: Some of what must be lent.
LENT = {
    "", "monitors", "monitors/sched", "monitors/sched/sco/reactors", "monitors/wip/enable",
    "monitors/wip/model", "available_monitors", "enabled_monitors", "trace", "log", "events/sched",
    "events/sched/sched_switch/format", "events/rv/event_wip/id", "hwbp/bp/mine/addr",
}  # fmt: skip


@pytest.fixture
def rv() -> Served:
    return Served()


@pytest.fixture
def kernel(rv: Served, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(rv, monkeypatch)


async def look_at_all(kernel: Kernel) -> None:
    """Until all that may be lent is."""
    for path in everything(kernel.tree.root):
        for _ in range(3):
            attr = await kernel.stat(path)
        if isinstance(kernel.tree.node(path), Directory):
            assert sorted(await kernel.ls(path)) == sorted(kernel.tree.node(path).children())  # type: ignore[attr-defined]
            assert attr.st_nlink >= 2


async def asked(kernel: Kernel, *paths: str) -> int:
    """How many requests it takes to stat these."""
    before = kernel.requests
    for path in paths:
        await kernel.stat(path)
    return kernel.requests - before


# -- nothing is asked twice ------------------------------------------------------------------


async def test_what_did_not_change_is_not_asked_for_again(rv: Served, kernel: Kernel) -> None:
    rv.echo("open mine - 0 W 8 u+0", "hwbp/reserve")
    await look_at_all(kernel)
    lent = [path for path in everything(kernel.tree.root) if is_lent(kernel, path)]
    assert set(lent) >= LENT
    assert await asked(kernel, *lent) == 0
    before = kernel.requests
    for path in lent:
        if isinstance(kernel.tree.node(path), Directory):
            await kernel.ls(path)
    assert kernel.requests == before


def is_lent(kernel: Kernel, path: str) -> bool:
    """Whether somebody tells of all changes on the way to it, and of its own."""
    above, slash, _ = path.rpartition("/")
    return kernel.tree.node(path).news is not None and (not slash or is_lent(kernel, above))


async def test_a_change_costs_a_question_for_what_it_changed_alone(
    rv: Served, kernel: Kernel
) -> None:
    await look_at_all(kernel)
    await kernel.write("monitors/wip/enable", "1")
    assert await asked(kernel, "available_monitors", "monitors", "trace", "monitors/wip") == 0
    assert (await kernel.stat("enabled_monitors")).st_size == len("wip\n")
    assert await asked(kernel, *["enabled_monitors"] * 9) == 2
    await kernel.write("monitoring_on", "0")
    assert await asked(kernel, "enabled_monitors", "available_monitors") == 0


async def test_lines_in_the_trace_are_seen(rv: Served, kernel: Kernel) -> None:
    await kernel.write("events/sched/enable", "1")
    empty = (await kernel.stat("trace")).st_size
    assert await asked(kernel, *["trace"] * 9) == 2
    await kernel.write("events/sched/sched_wakeup/inject", "pid=7")
    assert (await kernel.stat("trace")).st_size == rv.trace.size > empty
    rv.trace.take(1)
    assert (await kernel.stat("trace")).st_size == rv.trace.size < empty + 10


# -- names -----------------------------------------------------------------------------------


async def test_a_monitor_that_goes_takes_its_names_along(rv: Served, kernel: Kernel) -> None:
    await look_at_all(kernel)
    rv.registry.unregister_monitor("sched")
    await kernel.write("monitoring_on", "1")  # any request drops what has gathered
    assert not list(kernel.lies())
    for path in ("monitors/sched", "monitors/sched/sco/enable", "events/rv/event_sco"):
        with pytest.raises(pyfuse3.FUSEError) as error:
            await kernel.stat(path)
        assert error.value.errno == errno.ENOENT
    assert sorted(await kernel.ls("monitors")) == ["wip"]
    below = [kernel.dropped.index(name) for name in ("sco", "snroc")]
    assert max(below) < kernel.dropped.index("sched"), "what is below goes first"


async def test_a_monitor_that_comes_is_seen(rv: Served, kernel: Kernel) -> None:
    await look_at_all(kernel)
    with pytest.raises(pyfuse3.FUSEError):
        await kernel.stat("monitors/wwnr")
    rv.registry.register_monitor(monitor("wwnr"))
    assert "wwnr" in await kernel.ls("monitors")
    assert (await kernel.stat("monitors")).st_nlink == 5
    assert await kernel.stat("monitors/wwnr/enable")


async def test_the_same_name_again_is_another(
    rv: Served, kernel: Kernel, caplog: pytest.LogCaptureFixture
) -> None:
    first = await kernel.inode("monitors/wip/enable")
    held = await kernel.open("monitors/wip/enable", os.O_RDONLY)
    rv.registry.unregister_monitor("wip")
    rv.registry.register_monitor(monitor("wip"))
    await kernel.write("monitoring_on", "1")
    assert await kernel.inode("monitors/wip/enable") != first
    assert (await kernel._getattr(first)).st_nlink == 0
    with pytest.raises(pyfuse3.FUSEError) as error:
        await kernel.handlers.read(held, 0, 10)
    assert error.value.errno == errno.ENODEV
    assert caplog.messages == ["read of monitors/wip/enable: monitors/wip/enable was removed"]
    caplog.clear()


async def test_rmdir_leaves_to_later_what_the_kernel_holds(rv: Served, kernel: Kernel) -> None:
    """It would wait for us while we wait for it."""
    await kernel.write("hwbp/reserve", "open mine - 0 W 8 u+0")
    await look_at_all(kernel)
    await kernel.rmdir("hwbp/bp/mine")
    assert kernel.dropped == []
    assert {name.name for name in kernel.handlers._late} >= {"mine", "enable", "addr"}
    assert await kernel.ls("hwbp/bp") == []


async def test_a_listing_that_changes_while_it_is_read(rv: Served, kernel: Kernel) -> None:
    """What was there all the time is listed once."""
    for number in range(4):
        rv.echo(f"open b{number} - {number % 2} X 8 u+0", "hwbp/reserve")
    rv.registry.register_monitor(monitor("zz"))
    there = set(await kernel.ls("events/rv"))
    kernel.listings.clear()
    seen: list[str] = []
    async for name in kernel._readdir(await kernel.inode("events/rv")):
        seen.append(name)
        if len(seen) == 2:
            rv.registry.unregister_monitor("zz")
            rv.registry.register_monitor(monitor("aa"))
    assert len(seen) == len(set(seen))
    assert set(seen) >= {name for name in there if not name.endswith("zz")}
    assert set(await kernel.ls("events/rv")) == set(rv.ls("events/rv"))


# -- what the kernel does by itself ----------------------------------------------------------


async def test_what_has_changed_is_lent_when_the_kernel_has_it(
    rv: Served, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that they hold before it has noted them all: so not while that is on its way. Of a
    question that began before the change it drops the answer: so not in the next one either."""
    now = 100.0
    monkeypatch.setattr(leases, "monotonic", lambda: now)
    file, inode = rv.tree.node("enabled_monitors"), await kernel.inode("enabled_monitors")

    def lent(thread: int) -> bool:
        return bool(kernel.handlers._leases.asked(file, inode, thread))

    nobody = [0] * 4
    assert [lent(thread) for thread in (7, 8, *nobody, 8, 7)] == [False] * 8
    assert [lent(thread) for thread in (7, 9, 0)] == [True] * 3
    rv.echo("wip", "enabled_monitors")
    assert [lent(thread) for thread in (7, 7, 8, 8, 8)] == [False] * 4 + [True]
    rv.echo("!wip", "enabled_monitors")
    for thread in range(100, 103):
        now += 1.01 * leases.ARRIVED
        assert [lent(thread), lent(0), lent(thread)] == [thread == 102] * 3


@pytest.mark.parametrize("path", ["monitoring_on", "enabled_monitors"])
@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_WRONLY | os.O_TRUNC, os.O_RDWR])
async def test_nothing_of_a_file_is_lent_while_it_is_open_for_writing(
    rv: Served, kernel: Kernel, path: str, flags: int
) -> None:
    """The kernel sets its size by itself, at O_TRUNC and after a write; it does not say when."""
    for _ in range(3):
        await kernel.stat(path)
    first = await kernel.open(path, flags)
    assert await asked(kernel, path, path) == 2
    second = await kernel.open(path, flags)
    await kernel.handlers.release(first)
    assert await asked(kernel, path, path) == 2
    await kernel.handlers.release(second)
    assert await asked(kernel, path, path, path, path, path) == 3
    await kernel.open(path, os.O_RDONLY)
    assert await asked(kernel, path) == 0


# -- at every moment -------------------------------------------------------------------------


def flip(rv: Served, dice: random.Random) -> None:
    """Something that no file can do: a monitor or a reactor comes or goes."""
    if dice.random() < 0.5:
        if "extra" in {one.name for one in rv.registry.monitors}:
            rv.registry.unregister_monitor("extra")
        else:
            rv.registry.register_monitor(monitor("extra"), dice.choice([None, "sched"]))
    elif "late" in rv.registry.reactors:
        rv.registry.unregister_reactor("late")
    else:
        reactor = Collect()
        reactor.name = "late"
        rv.registry.register_reactor(reactor)


def command(dice: random.Random, paths: list[str]) -> tuple[str, str]:
    """A path and what is written to it; most are obeyed, some refused."""
    writable = [path for path in paths if path.endswith(("enable", "_on", "/addr", "/len"))]
    name = f"b{dice.randrange(3)}"
    return dice.choice(
        [
            (dice.choice(writable), dice.choice("01")),
            ("enabled_monitors", dice.choice(["wip", "sched", "!sched", "!wip", "sched:sco"])),
            (f"monitors/{dice.choice(['wip', 'sched'])}/reactors", dice.choice(["nop", "collect"])),
            (f"events/sched/{dice.choice(['sched_wakeup', 'sched_switch'])}/inject", ""),
            ("hwbp/reserve", f"open {name} - {dice.randrange(2)} W 8 u+{8 * dice.randrange(99)}"),
            ("hwbp/check", f"wide {name} W 8 u+0"),
            ("trace", ""),
        ]
    )


@pytest.mark.parametrize("seed", range(3))
async def test_what_the_kernel_keeps_is_true_at_every_moment(
    rv: Served, kernel: Kernel, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    dice = random.Random(seed)
    rv.registry.register_monitor(monitor("gone"))
    rv.registry.unregister_monitor("gone")
    kept = 0
    for _ in range(STEPS):
        paths = list(everything(kernel.tree.root))
        for path in dice.sample(paths, LOOKS):
            await kernel.stat(path)
            if isinstance(kernel.tree.node(path), Directory):
                assert set(await kernel.ls(path)) == set(rv.ls(path))
        await _do(rv, kernel, dice, paths)
        assert list(kernel.lies()) == []
        kept += len(kernel.attributes)
    assert kept / STEPS > 40, "it keeps what it may"
    caplog.clear()


async def _do(rv: Served, kernel: Kernel, dice: random.Random, paths: list[str]) -> None:
    try:
        match dice.randrange(10):
            case 0:
                flip(rv, dice)
                await kernel.write("monitoring_on", "1")
            case 1 if rv.ls("hwbp/bp"):
                await kernel.rmdir(f"hwbp/bp/{dice.choice(rv.ls('hwbp/bp'))}")
                kernel.drop(kernel.handlers._late)
            case 2:
                above, name = dice.choice(["monitors", "monitors/sched"]), dice.choice("ab")
                await (kernel.rmdir if name in rv.ls(above) else kernel.mkdir)(f"{above}/{name}")
                kernel.drop(kernel.handlers._late)
            case _:
                flags = dice.choice([os.O_WRONLY, os.O_WRONLY | os.O_TRUNC])
                await kernel.write(*command(dice, paths), flags)
    except pyfuse3.FUSEError:
        pass  # refused, which changes nothing


def test_news_reach_all_who_listen() -> None:
    heard: list[str] = []
    news = News()
    news.tell()
    listeners: list[Callable[[], Any]] = [lambda: heard.append("a"), lambda: heard.append("b")]
    for listener in listeners:
        news.listen(listener)
    news.tell()
    assert heard == ["a", "b"]
    assert not NEVER._listeners


@pytest.mark.parametrize("kind", ["flag", "inject"])
def test_kinds_of_one_size_say_so(rv: Served, kind: str) -> None:
    path = {"flag": "monitoring_on", "inject": "events/sched/sched_switch/inject"}[kind]
    node = rv.tree.node(path)
    assert isinstance(node, File)
    assert node.news is NEVER
