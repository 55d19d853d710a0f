"""Hits of real breakpoints, as events in the order of their time."""

import ctypes
import subprocess
import threading
from collections.abc import Iterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from rvfs.event import Batch
from rvfs.hwbp.breakpoint import Attributes, W
from rvfs.hwbp.machine import Breakpoint, Opening, Task
from rvfs.hwbp.perf import PerfMachine
from rvfs.hwbp.perf_event import PAGES
from rvfs.source.watch import Watch
from rvfs.tracepoint import Vocabulary

pytestmark = pytest.mark.needs("perf-breakpoints")

ALL = frozenset({"address", "ip", "pid", "tgid", "cpu"})
LIMIT = 1 << 16


class Watched:
    """Words of this process, a breakpoint on each, and the source of their hits."""

    def __init__(self) -> None:
        self.machine, self.vocabulary = PerfMachine(), Vocabulary()
        self.delivered: list[Batch] = []
        self.came: list[str] = []
        self.watch = Watch(self.vocabulary, cpus=2, came=self.came.append, going=self._going)
        self._words: dict[str, ctypes.c_uint64] = {}
        self._open: dict[str, Breakpoint] = {}

    def open(self, name: str, task: Task | None = None) -> int:
        word = self._words.setdefault(name, ctypes.c_uint64())
        attr = Attributes(W, 8, ctypes.addressof(word), disabled=False)
        me = self.machine.tasks[threading.get_native_id()]
        self._open[name] = self.machine.open(Opening(task or me, -1, attr))
        self.watch.opened(name, [self._open[name]])
        self.subscribe()
        return self.vocabulary.number(self.came[-1])

    def subscribe(self) -> None:
        self.watch.subscribe({number: ALL for number, _ in self.vocabulary})

    def write(self, *names: str) -> None:
        for name in names:
            self._words[name].value = 1

    def address(self, name: str) -> int:
        return ctypes.addressof(self._words[name])

    def read(self, limit: int = LIMIT) -> Batch:
        batch = self.watch.read(limit)
        assert batch is not None
        return batch

    def names(self, batch: Batch) -> list[str]:
        return [self.vocabulary[number].name for number in batch.tp.tolist()]

    def close(self, name: str) -> None:
        self.watch.closing(name)
        self.machine.close(self._open.pop(name))

    def _going(self, number: int) -> None:
        assert number in dict(self.vocabulary)
        self.delivered.append(self.read())

    def close_all(self) -> None:
        for bp in self._open.values():
            self.machine.close(bp)
        self.watch.close()


@pytest.fixture
def here() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.close_all()


def test_a_hit_has_its_place_its_time_and_its_task(here: Watched) -> None:
    number = here.open("x")
    here.write("x")
    batch = here.read()
    values = batch.values(0)
    assert (len(batch), batch.tp[0], values["address"]) == (1, number, here.address("x"))
    assert values["pid"] == batch.pid[0] == threading.get_native_id()
    assert values["cpu"] == batch.cpu[0]
    assert batch.comm(int(batch.pid[0]), 0) != "<...>"
    assert here.vocabulary[number].text(values).startswith(f"address={here.address('x'):#x} ip=0x")


def test_a_task_that_has_gone_keeps_the_name_it_was_watched_under(here: Watched) -> None:
    ready, go = threading.Event(), threading.Event()

    def write() -> None:
        ready.set()
        go.wait()
        here.write("x")

    thread = threading.Thread(target=write)
    thread.start()
    ready.wait()
    task = here.machine.tasks[thread.native_id or 0]
    here.open("x", task)
    go.set()
    thread.join()
    assert here.read().comm(task.pid, 0) == task.comm != ""


def test_hits_of_several_breakpoints_come_in_the_order_of_their_time(here: Watched) -> None:
    order = ["x", "y", "z", "y", "x", "x", "z"] * 50
    for name in ("z", "x", "y"):
        here.open(name)
    here.write(*order)
    batch = here.read()
    assert here.names(batch) == order
    assert batch.time.tolist() == sorted(batch.time.tolist())
    for name in ("x", "y", "z"):
        number = here.vocabulary.number(f"hwbp:{name}")
        assert set(batch.fields[number]["address"].tolist()) == {here.address(name)}
        assert len(batch.fields[number]["pid"]) == order.count(name)


def test_a_limit_leaves_the_rest_in_order(here: Watched) -> None:
    order = ["x", "y", "y", "x", "y"]
    here.open("x")
    here.open("y")
    here.write(*order)
    assert [here.names(here.read(2)) for _ in range(4)] == [["x", "y"], ["y", "x"], ["y"], []]


def test_a_hit_that_is_younger_than_the_read_waits_for_the_next(
    here: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.open("x")
    monkeypatch.setattr(here.watch, "_clock", lambda: 0)
    here.write("x")
    assert len(here.read()) == 0
    monkeypatch.undo()
    monkeypatch.setattr(here.watch, "_clock", lambda: 1 << 62)
    assert here.names(here.read()) == ["x"]


def test_only_what_is_subscribed_is_delivered(here: Watched) -> None:
    here.open("x")
    y = here.open("y")
    here.watch.subscribe({y: frozenset({"pid"})})
    here.write("x", "y")
    batch = here.read()
    assert (here.names(batch), set(batch.fields[y])) == (["y"], {"pid"})


def test_a_full_ring_is_counted_not_hidden(here: Watched) -> None:
    here.open("x")
    here.write(*["x"] * 3000)
    room = PAGES * 4096 // 48
    first = here.read()
    here.write("x")
    second = here.read()
    assert (len(first), len(second)) == (room, 1)
    assert sum(second.lost.values()) == 3000 - room
    assert here.read().lost == {}


def test_closing_delivers_the_last_hits_and_what_was_lost_of_them(here: Watched) -> None:
    here.open("x")
    here.write(*["x"] * 3000)
    here.close("x")
    (last,) = here.delivered
    assert len(last) + sum(last.lost.values()) == 3000
    assert "hwbp:x" not in here.vocabulary


def test_what_is_being_closed_is_hit_no_more(
    here: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.open("x")
    bp = here._open["x"]
    hits: list[int] = []

    def write_and_count(number: int) -> None:
        here.write("x")
        hits.append(here.machine.hits(bp))

    monkeypatch.setattr(here.watch, "_going", write_and_count)
    here.write("x", "x")
    here.close("x")
    assert hits == [2]


def test_a_name_that_comes_back_is_another_tracepoint(here: Watched) -> None:
    first = here.open("x")
    here.close("x")
    second = here.open("x")
    here.write("x")
    assert first != second
    assert here.read().tp.tolist() == [second]


async def test_it_wakes_at_a_hit_and_sleeps_without_one(here: Watched) -> None:
    here.open("x")
    woken = trio.Event()

    async def wait() -> None:
        await here.watch.wait()
        woken.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert not woken.is_set()
        here.write("x")
        with trio.fail_after(30):
            await woken.wait()
    assert here.names(here.read()) == ["x"]


async def test_it_waits_while_breakpoints_come_and_go(here: Watched) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.watch.wait)
        await wait_all_tasks_blocked()
        here.open("x")
        here.write("x")


@pytest.fixture
def ended(here: Watched) -> None:
    """A breakpoint of a task that has ended since."""
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    here.open("x", here.machine.tasks[child.pid])
    child.communicate()


@pytest.mark.usefixtures("ended")
async def test_a_task_that_ends_does_not_keep_it_awake(here: Watched) -> None:
    with trio.fail_after(30):
        await here.watch.wait()
    here.read()
    with trio.move_on_after(0.05) as slept:
        await here.watch.wait()
    assert slept.cancelled_caught
