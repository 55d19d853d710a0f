"""perf_event_open(2) on a counted machine: which check speaks first, and what it leaves."""

from dataclasses import replace
from typing import Any

import pytest

from rvfs.errors import (
    Gone,
    InvalidInput,
    NoAccess,
    NoDevice,
    NoSpace,
    NoTask,
    NotPermitted,
    NotSupported,
    RvfsError,
)
from rvfs.hwbp.breakpoint import ARM64, EMPTY, NONE, RW, X86, Attributes, R, Registers, W, X
from rvfs.hwbp.machine import ROOT, Breakpoint, Caller, Machine, Opening, State, Task
from rvfs.hwbp.table import Request

WATCH = Attributes(W, 8, 0x1000)
KERNEL = replace(WATCH, bp_addr=0xFFFF_8880_0000_0000, exclude_kernel=False)
NOBODY = Caller(perfmon=False, sys_admin=False)


def task(state: State = State.ALIVE) -> Task:
    made = Task("t")
    made.state = state
    return made


def machine(**kwargs: Any) -> Machine:
    return Machine(2, X86, **kwargs)


def held(m: Machine) -> list[Request]:
    return [reservation.request for reservation in m.slots]


def fill(m: Machine, times: int = 4) -> list[Breakpoint]:
    return [m.open(Opening(None, cpu, WATCH)) for cpu in range(2) for _ in range(times)]


#: Each is refused by one row of the table in machine.py; those further down break it as well.
WRONG: tuple[tuple[type[RvfsError], dict[str, Any]], ...] = (
    (NoAccess, {"caller": NOBODY, "exclude_kernel": False}),
    (NoTask, {"task": task(State.REAPED)}),
    (InvalidInput, {"cpu": 2}),
    (NotSupported, {"branch_stack": True}),
    (InvalidInput, {"bp_type": EMPTY}),
    (NoSpace, {"full": True}),
    (NotSupported, {"bp_len": 16}),
    (NoAccess, {"caller": replace(NOBODY, ptrace=False)}),
    (NoTask, {"task": task(State.ZOMBIE)}),
)


def attempt(m: Machine, wrong: dict[str, Any]) -> RvfsError | None:
    given: dict[str, Any] = {"task": task(), "cpu": 0, "caller": ROOT} | wrong
    if given.pop("full", False):
        fill(m)
    opening = Opening(given.pop("task"), given.pop("cpu"), WATCH, given.pop("caller"))
    return m.explain(replace(opening, attr=replace(WATCH, **given)))


@pytest.mark.parametrize(("error", "wrong"), WRONG, ids=lambda v: getattr(v, "__name__", None))
def test_every_row_refuses(error: type[RvfsError], wrong: dict[str, Any]) -> None:
    m = machine()
    assert type(attempt(m, wrong)) is error


@pytest.mark.parametrize("row", range(len(WRONG) - 1))
def test_an_earlier_row_speaks_first(row: int) -> None:
    (error, wrong), (_, later) = WRONG[row : row + 2]
    assert type(attempt(machine(), later | wrong)) is error


def test_no_register_of_that_kind() -> None:
    m = Machine(1, NONE, Registers.split(inst=0, data=1))
    assert isinstance(m.explain(Opening(task(), 0, replace(WATCH, bp_type=EMPTY))), NotSupported)
    bp = m.open(Opening(task(), 0, WATCH))
    with pytest.raises(NoSpace, match="0 inst registers"):
        m.modify(bp, replace(WATCH, bp_type=X))


@pytest.mark.parametrize(
    ("caller", "opening", "error"),
    [
        (Caller(sys_admin=False), Opening(task(), -1, KERNEL), NotPermitted),
        (Caller(sys_admin=False), Opening(task(), -1, replace(KERNEL, exclude_kernel=True)),
         InvalidInput),
        (Caller(sys_admin=False), Opening(None, 0, WATCH), type(None)),
        (NOBODY, Opening(task(), -1, KERNEL), NoAccess),
        (NOBODY, Opening(task(), -1, WATCH), type(None)),
        (NOBODY, Opening(None, 0, WATCH), NoAccess),
        (replace(NOBODY, paranoid=1), Opening(task(), -1, KERNEL), NotPermitted),
        (replace(NOBODY, paranoid=1), Opening(None, 0, WATCH), NoAccess),
        (replace(NOBODY, paranoid=0), Opening(None, 0, WATCH), type(None)),
        (replace(NOBODY, ptrace=False), Opening(task(), 0, WATCH), NoAccess),
        (Caller(ptrace=False), Opening(task(), 0, WATCH), type(None)),
    ],
)  # fmt: skip
def test_rights(caller: Caller, opening: Opening, error: type) -> None:
    assert type(machine().explain(replace(opening, caller=caller))) is error


def test_an_offline_cpu_is_refused_last_and_without_a_task_only() -> None:
    m = machine(online=[1])
    assert isinstance(m.explain(Opening(None, 0, WATCH)), NoDevice)
    assert isinstance(m.explain(Opening(None, 0, WATCH, NOBODY)), NoAccess)
    assert m.explain(Opening(task(), 0, WATCH)) is None


@pytest.mark.parametrize("wrong", [wrong for _, wrong in WRONG if "full" not in wrong])
def test_a_refusal_leaves_no_slot_behind(wrong: dict[str, Any]) -> None:
    m = machine()
    assert attempt(m, wrong) is not None
    assert held(m) == []


def test_disabled_or_exited_holds_its_slot_until_closed() -> None:
    m, t = machine(), task()
    opened = [m.open(Opening(t, -1, WATCH)) for _ in range(4)]
    assert not opened[0].enabled
    t.state = State.REAPED
    assert isinstance(m.explain(Opening(None, 1, WATCH)), NoSpace)
    m.modify(opened[0], replace(WATCH, bp_type=RW))
    m.close(opened[0])
    assert m.explain(Opening(None, 1, WATCH)) is None
    with pytest.raises(Gone):
        m.close(opened[0])


def test_an_architecture_hears_whether_a_task_is_the_target() -> None:
    m = Machine(1, ARM64)
    assert m.explain(Opening(None, 0, KERNEL)) is None
    assert isinstance(m.explain(Opening(task(), 0, KERNEL)), InvalidInput)


class TestWide:
    def test_one_on_each_online_cpu(self) -> None:
        m = Machine(4, X86, online=[3, 1, 0])
        assert [bp.cpu for bp in m.open_wide(WATCH)] == [0, 1, 3]
        assert [(r.task, r.cpu) for r in held(m)] == [(None, 0), (None, 1), (None, 3)]

    def test_or_on_none(self) -> None:
        m = machine()
        m.open(Opening(task(), 1, WATCH))
        for _ in range(3):
            m.open(Opening(None, 1, WATCH))
        before = held(m)
        with pytest.raises(NoSpace, match="CPU 1"):
            m.open_wide(WATCH)
        assert held(m) == before

    def test_refused_as_one(self) -> None:
        with pytest.raises(NotSupported):
            machine().open_wide(replace(WATCH, bp_len=16))


class TestModify:
    def test_what_changes(self) -> None:
        m = machine()
        bp = m.open(Opening(task(), -1, WATCH))
        m.modify(bp, Attributes(X, 8, 0x2001, disabled=False))
        assert bp.attr == Attributes(X, 8, 0x2001, disabled=False)
        assert bp.enabled
        assert held(m)[0].bp_type == X

    @pytest.mark.parametrize(
        "other", [{"exclude_kernel": False}, {"branch_stack": True}, {"sample_period": 1}]
    )
    def test_what_must_not_change(self, other: dict[str, Any]) -> None:
        m = machine()
        bp = m.open(Opening(task(), -1, WATCH))
        with pytest.raises(InvalidInput, match="may change"):
            m.modify(bp, replace(WATCH, bp_type=RW, **other))
        assert bp.attr == WATCH
        m.modify(bp, replace(WATCH, bp_type=RW, **other), check=False)
        assert bp.attr == replace(WATCH, bp_type=RW)

    def test_validates_before_it_compares(self) -> None:
        m = machine()
        bp = m.open(Opening(task(), -1, WATCH))
        with pytest.raises(NotSupported):
            m.modify(bp, replace(WATCH, bp_len=16, sample_period=1))

    def test_compares_before_it_moves(self) -> None:
        m = Machine(1, NONE, Registers.split(inst=0, data=1))
        bp = m.open(Opening(task(), -1, WATCH))
        with pytest.raises(InvalidInput):
            m.modify(bp, replace(WATCH, bp_type=X, sample_period=1))

    @pytest.mark.parametrize("disabled", [True, False])
    def test_refused_leaves_it_as_its_attributes_say(self, disabled: bool) -> None:
        m = machine()
        bp = m.open(Opening(task(), -1, replace(WATCH, disabled=disabled)))
        with pytest.raises(InvalidInput):
            m.modify(bp, replace(WATCH, bp_addr=0x1001, disabled=not disabled))
        assert bp.enabled is not disabled
        assert bp.attr.bp_addr == 0x1000

    def test_asks_for_the_right_to_the_kernel(self) -> None:
        m = machine()
        bp = m.open(Opening(task(), -1, replace(WATCH, exclude_kernel=False)))
        with pytest.raises(NotPermitted):
            m.modify(bp, KERNEL, caller=Caller(sys_admin=False))
        m.modify(bp, KERNEL)


class TestModifyLocal:
    def test_moves_on_a_full_table(self) -> None:
        m = machine()
        fill(m, 3)
        wide = m.open_wide(replace(WATCH, disabled=False))
        before = held(m)
        m.modify_local(wide, 0x2000)
        assert [bp.attr for bp in wide] == [replace(WATCH, bp_addr=0x2000, disabled=False)] * 2
        assert all(bp.enabled for bp in wide)
        assert held(m) == before

    def test_moves_all_or_none(self) -> None:
        m = machine()
        wide = m.open_wide(replace(WATCH, bp_len=4))
        m.modify(wide[1], WATCH)
        with pytest.raises(InvalidInput, match="not aligned"):
            m.modify_local(wide, 0x2004)
        assert [bp.attr.bp_addr for bp in wide] == [0x1000, 0x1000]


class TestProcess:
    def test_every_thread_that_is_alive(self) -> None:
        m, leader = machine(), Task("leader")
        threads = [Task(f"t{n}", process=leader) for n in range(3)]
        threads[1].state = State.REAPED
        opened = m.open_threads(leader, WATCH)
        assert [bp.task for bp in opened] == [leader, threads[0], threads[2]]
        assert [bp.task for bp in m.open_threads(threads[2], WATCH, cpu=1)] == [
            leader, threads[0], threads[2],
        ]  # fmt: skip

    def test_or_none(self) -> None:
        m, leader = machine(), Task("leader")
        thread = Task("thread", process=leader)
        for _ in range(4):
            m.open(Opening(thread, 1, WATCH))
        before = held(m)
        with pytest.raises(NoSpace, match="task thread on every CPU: CPU 1"):
            m.open_threads(leader, WATCH)
        assert held(m) == before


class TestRoom:
    def test_counts_and_gives_back(self) -> None:
        m = machine()
        m.open(Opening(None, 1, WATCH))
        count, error = m.room(Opening(task(), -1, WATCH), 64)
        assert count == 3
        assert isinstance(error, NoSpace)
        assert len(held(m)) == 1

    def test_stops_at_the_limit(self) -> None:
        assert machine().room(Opening(task(), -1, WATCH), 2) == (2, None)

    def test_says_what_ends_it(self) -> None:
        count, error = machine().room(Opening(task(), -1, replace(WATCH, bp_type=R)), 64)
        assert (count, type(error)) == (0, InvalidInput)


def test_explain_is_a_dry_run_of_a_set() -> None:
    m, t = machine(), task()
    assert m.explain(*[Opening(t, -1, WATCH)] * 4) is None
    error = m.explain(*[Opening(t, -1, WATCH)] * 5)
    assert "4 held by task t" in str(error)
    assert held(m) == []
