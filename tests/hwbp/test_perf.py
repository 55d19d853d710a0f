"""The debug registers of this machine, on this process and on children of it."""

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rvfs.errors import (
    InvalidInput,
    NoAccess,
    NoSpace,
    NoTask,
    NotSupported,
)
from rvfs.hwbp import perf, perf_event
from rvfs.hwbp.breakpoint import RW, Attributes, Registers, W
from rvfs.hwbp.machine import Breakpoint, Opening, State, Task
from rvfs.hwbp.perf import PerfMachine, RealBreakpoint, room_in_kernel
from rvfs.hwbp.perf_event import PAGES, open_event

pytestmark = pytest.mark.needs("perf-breakpoints")

EVERYWHERE = -1


class Variable:
    """A word of this process."""

    def __init__(self) -> None:
        self._word = ctypes.c_uint64()
        self.address = ctypes.addressof(self._word)

    def write(self, times: int = 1) -> None:
        for number in range(times):
            self._word.value = number

    def read(self) -> int:
        return self._word.value


class Registry:
    """A machine whose breakpoints are closed when the test is over, however it ends."""

    def __init__(self) -> None:
        self.machine = PerfMachine()
        self.me = self.machine.tasks[threading.get_native_id()]
        self._open: list[Breakpoint] = []

    def watch(
        self, address: int = 0, kind: int = W, *, task: Task | None = None, cpu: int = EVERYWHERE,
        on: bool = True, length: int = 8,
    ) -> RealBreakpoint:  # fmt: skip
        attr = Attributes(kind, length, address, disabled=not on)
        target = task or (self.me if cpu < 0 else None)
        bp = self.machine.open(Opening(target, cpu, attr))
        self._open.append(bp)
        return bp

    def close(self, bp: Breakpoint) -> None:
        self._open.remove(bp)
        self.machine.close(bp)

    def close_all(self) -> None:
        for bp in tuple(self._open):
            self.close(bp)


@pytest.fixture
def here() -> Iterator[Registry]:
    registry = Registry()
    yield registry
    registry.close_all()


@pytest.fixture
def child() -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts processes that wait for the end of their input."""
    children: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        children.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE))
        return children[-1]

    yield start
    for one in children:
        one.kill()
        one.communicate()


def taken_over() -> int:
    """Another program's breakpoint on CPU 0."""
    return open_event(-1, 0, Attributes(W, 8, 0))


# -- hits --------------------------------------------------------------------------------------


def test_each_write_is_a_hit_of_that_thread_at_that_address(here: Registry) -> None:
    word = Variable()
    bp = here.watch(word.address)
    word.write(3)
    hits, lost = bp.event.take()
    assert (here.machine.hits(bp), lost.total()) == (3, 0)
    assert hits["address"].tolist() == [word.address] * 3
    assert hits["pid"].tolist() == [threading.get_native_id()] * 3
    assert hits["tgid"].tolist() == [os.getpid()] * 3
    assert hits["time"].tolist() == sorted(hits["time"].tolist())
    assert set(hits["cpu"].tolist()) <= here.machine.online
    assert (hits["ip"] > 0).all()


def test_reads_are_hits_of_rw_only(here: Registry) -> None:
    word = Variable()
    writes, both = here.watch(word.address), here.watch(word.address, RW)
    word.read()
    assert (here.machine.hits(writes), here.machine.hits(both)) == (0, 1)


def test_a_disabled_breakpoint_counts_nothing_and_keeps_its_register(here: Registry) -> None:
    word = Variable()
    bp = here.watch(word.address)
    here.machine.enable(bp, False)
    word.write()
    assert (here.machine.hits(bp), bp.enabled, room_in_kernel(-1, 0)) == (0, False, 3)
    here.machine.enable(bp, True)
    word.write()
    assert here.machine.hits(bp) == 1


def test_hits_that_the_ring_had_no_room_for_are_counted(here: Registry) -> None:
    word = Variable()
    bp = here.watch(word.address)
    room = PAGES * os.sysconf("SC_PAGESIZE") // perf_event.HIT.itemsize
    word.write(room + 100)
    hits, lost = bp.event.take()
    assert (len(hits), lost.total(), bp.event.untold) == (room, 0, 100)
    word.write()
    hits, lost = bp.event.take()
    assert (len(hits), lost.total(), bp.event.untold) == (1, 100, 0)


def test_a_ring_goes_round(here: Registry) -> None:
    word = Variable()
    bp = here.watch(word.address)
    times: list[int] = []
    for _ in range(5):
        word.write(1000)
        hits, lost = bp.event.take()
        assert not lost
        times += hits["time"].tolist()
    assert (len(times), here.machine.hits(bp)) == (5000, 5000)
    assert times == sorted(times)


def test_another_thread_is_another_task(here: Registry) -> None:
    word = Variable()
    go, done = threading.Event(), threading.Event()

    def write_when_told() -> None:
        go.wait()
        word.write(2)
        done.wait()

    thread = threading.Thread(target=write_when_told)
    thread.start()
    mine = here.watch(word.address)
    theirs = here.watch(word.address, task=here.machine.tasks[thread.native_id or 0])
    known = {task.pid for task in here.machine.tasks.threads(os.getpid())}
    done.set()
    go.set()
    thread.join()
    assert (here.machine.hits(mine), here.machine.hits(theirs)) == (0, 2)
    assert {threading.get_native_id(), thread.native_id} <= known


# -- changing --------------------------------------------------------------------------------


@pytest.mark.parametrize("on", [True, False])
def test_a_breakpoint_moves_and_stays_on_or_off(here: Registry, on: bool) -> None:
    old, new = Variable(), Variable()
    bp = here.watch(old.address, on=on)
    here.machine.modify(bp, replace(bp.attr, bp_len=4, bp_addr=new.address))
    old.write()
    new.write()
    assert (here.machine.hits(bp), bp.attr.bp_addr, bp.enabled) == (int(on), new.address, on)


def test_switched_on_later_it_stays_on_when_it_moves(here: Registry) -> None:
    old, new = Variable(), Variable()
    bp = here.watch(old.address, on=False)
    here.machine.enable(bp, True)
    here.machine.modify_local([bp], new.address)
    new.write()
    assert here.machine.hits(bp) == 1


def test_switched_off_later_it_stays_off_when_it_moves(here: Registry) -> None:
    old, new = Variable(), Variable()
    bp = here.watch(old.address)
    here.machine.enable(bp, False)
    here.machine.modify_local([bp], new.address)
    new.write()
    assert here.machine.hits(bp) == 0


def test_a_refused_change_changes_nothing_and_says_why(here: Registry) -> None:
    word = Variable()
    bp = here.watch(word.address)
    with pytest.raises(InvalidInput, match="no power of two"):
        here.machine.modify(bp, replace(bp.attr, bp_len=3))
    with pytest.raises(InvalidInput, match="cannot do that"):
        here.machine.modify(bp, replace(bp.attr, exclude_kernel=False))
    word.write()
    assert (here.machine.hits(bp), bp.attr.bp_len) == (1, 8)


def test_breakpoints_move_all_or_none(here: Registry) -> None:
    word = Variable()
    wide, narrow = here.watch(word.address), here.watch(word.address, length=4)
    with pytest.raises(InvalidInput, match="not aligned"):
        here.machine.modify_local([narrow, wide], word.address + 4)
    word.write()
    assert (here.machine.hits(wide), here.machine.hits(narrow)) == (1, 1)


# -- room ------------------------------------------------------------------------------------


def test_a_task_has_four_and_is_told_who_has_them(here: Registry) -> None:
    for _ in range(4):
        here.watch()
    with pytest.raises(NoSpace, match=f"4 held by task {here.me.pid}"):
        here.watch()
    with pytest.raises(NoSpace, match="the most of any task"):
        here.watch(cpu=0)


def test_a_closed_one_gives_its_register_back_at_once(here: Registry) -> None:
    for _ in range(3):
        here.watch()
    here.close(here.watch())
    assert here.machine.hits(here.watch()) == 0


def test_a_set_is_had_whole_or_not_at_all(here: Registry) -> None:
    opening = Opening(here.me, EVERYWHERE, Attributes(W, 8, 0))
    with pytest.raises(NoSpace):
        here.machine.open_all([opening] * 5)
    assert here.machine.room(opening, 64)[0] == 4
    assert here.machine.explain(*[opening] * 4) is None


def test_what_others_hold_is_shown_and_named(here: Registry) -> None:
    assert here.machine.foreign(0) == 0
    theirs = taken_over()
    try:
        here.watch()
        assert (here.machine.foreign(0), here.machine.foreign(1)) == (1, 0)
        for _ in range(2):
            here.watch()
        with pytest.raises(NoSpace, match="1 of 4 shared registers are free, but other programs"):
            here.watch()
    finally:
        os.close(theirs)
    assert here.machine.foreign(0) == 0


def test_a_wrong_count_is_an_error_in_the_log(
    here: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(perf, "_registers", lambda arch: Registers.shared(1))
    wrong = PerfMachine()
    wrong.foreign(0)
    assert "CPU 0: the kernel has 4 registers free, by our count 1" in caplog.text
    first = wrong.open(Opening(here.me, EVERYWHERE, Attributes(W, 8, 0)))
    try:
        with pytest.raises(NoSpace):
            wrong.open(Opening(here.me, EVERYWHERE, Attributes(W, 8, 0)))
    finally:
        wrong.close(first)
    assert "the kernel opened what has no room by our count" in caplog.text
    caplog.clear()


# -- tasks ---------------------------------------------------------------------------------


def test_a_dead_task_keeps_its_registers(
    here: Registry, child: Callable[[], subprocess.Popen[bytes]]
) -> None:
    process = child()
    task = here.machine.tasks[process.pid]
    bp = here.watch(task=task)
    process.communicate()
    assert here.machine.foreign(0) == 0
    here.machine.modify(bp, replace(bp.attr, bp_len=4))
    with pytest.raises(NoTask, match=f"there is no task {task.pid}$"):
        here.watch(task=task)
    assert task.look() is State.REAPED
    here.close(bp)
    assert room_in_kernel(-1, 0) == 4


def test_a_zombie_is_no_task_to_watch(
    here: Registry, child: Callable[[], subprocess.Popen[bytes]]
) -> None:
    process = child()
    task = here.machine.tasks[process.pid]
    assert process.stdin is not None
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert task.look() is State.ZOMBIE
    with pytest.raises(NoTask):
        here.watch(task=task)
    process.stdin = None


# -- where there are none -------------------------------------------------------------------


def test_an_unknown_architecture_has_no_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    with pytest.raises(NotSupported, match="breakpoints of pdp11 are not known here"):
        PerfMachine()


def test_a_kernel_without_perf_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perf_event, "SYSCALLS", {"x86_64": 9999, "aarch64": 9999})
    with pytest.raises(NotSupported, match="this kernel has no perf events"):
        PerfMachine()


def test_a_user_without_the_right_is_told_what_it_takes() -> None:
    """A CPU may be counted by root only (perf_event_paranoid is 1 or more)."""
    if int(perf_event._PARANOID.read_text()) < 1:
        pytest.skip("on this machine everybody may count CPUs")
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "nothing"
        try:
            os.setresuid(65534, 65534, 65534)
            open_event(-1, 0, Attributes(W, 8, 0))
        except NoAccess as error:
            said = str(error)
        finally:
            os.write(write, said.encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    assert "perf_event_paranoid is" in said
