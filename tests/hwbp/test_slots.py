"""Who gets a debug register, and what is said to those who do not."""

import threading
import weakref

import pytest

from rvfs.errors import Gone, InvalidInput, Locked, NoSpace, NotReady
from rvfs.hwbp.breakpoint import EMPTY, INVALID, RW, Pool, Registers, W, X
from rvfs.hwbp.slots import Reservation, Slots
from rvfs.hwbp.table import EVERY_CPU, Request

FOUR = Registers.shared(4)
SPLIT = Registers.split(inst=2, data=1)


class Task:
    """The same only if it is the same object."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


A, B = Task("a"), Task("b")


def reserve(
    slots: Slots,
    task: Task | None = None,
    cpu: int = EVERY_CPU,
    bp_type: int = W,
    *,
    times: int = 1,
) -> list[Reservation]:
    return [slots.reserve(Request(task, cpu, bp_type)) for _ in range(times)]


def room(slots: Slots, task: Task | None = None, cpu: int = EVERY_CPU, bp_type: int = W) -> int:
    return slots.room(Request(task, cpu, bp_type))


def snapshot(slots: Slots, tasks: tuple[Task, ...] = (A, B)) -> object:
    counts = [
        (slots.cpu_pinned(cpu, pool), slots.max_task_pinned(cpu, pool)[1],
         *(slots.task_pinned(task, cpu, pool) for task in tasks))
        for pool in slots.pools
        for cpu in range(slots.cpus)
    ]  # fmt: skip
    return [reservation.request for reservation in slots], counts


def test_tasks_do_not_compete_with_each_other() -> None:
    slots = Slots(2, FOUR)
    reserve(slots, A, times=4)
    assert room(slots, A) == 0
    assert room(slots, B) == 4


def test_a_task_keeps_cpus_out_everywhere() -> None:
    slots = Slots(2, FOUR)
    reserve(slots, A, times=3)
    assert [room(slots, None, cpu) for cpu in (0, 1)] == [1, 1]


def test_a_cpu_competes_with_the_task_that_has_the_most() -> None:
    slots = Slots(2, FOUR)
    reserve(slots, A, times=1)
    reserve(slots, B, times=2)
    assert room(slots, None, 0) == 2


def test_what_a_task_has_on_one_cpu_counts_there_alone() -> None:
    slots = Slots(2, FOUR)
    on_0 = reserve(slots, A, 0, times=4)
    on_1 = reserve(slots, A, 1, times=4)
    assert room(slots, A) == 0
    slots.release(on_0[0])
    assert room(slots, A) == 0
    slots.release(on_1[0])
    assert room(slots, A) == 1


def test_a_task_finds_its_fullest_cpu() -> None:
    slots = Slots(3, FOUR)
    reserve(slots, A, 1, times=2)
    reserve(slots, None, 1)
    reserve(slots, None, 2, times=2)
    assert room(slots, A) == 1
    reserve(slots, A)
    assert [room(slots, A, cpu) for cpu in range(3)] == [3, 0, 1]


def test_the_fullest_cpu_may_be_one_where_the_task_has_nothing_alone() -> None:
    slots = Slots(3, FOUR)
    reserve(slots, A, 1)
    reserve(slots, None, 2, times=3)
    assert room(slots, A) == 1


def test_what_a_task_has_on_every_cpu_adds_to_what_it_has_on_one() -> None:
    slots = Slots(2, FOUR)
    [alone] = reserve(slots, A, 1)
    everywhere = reserve(slots, A, times=2)
    assert [room(slots, None, cpu) for cpu in (0, 1)] == [2, 1]
    slots.release(everywhere[0])
    assert [room(slots, None, cpu) for cpu in (0, 1)] == [3, 2]
    slots.release(alone)
    assert [room(slots, None, cpu) for cpu in (0, 1)] == [3, 3]


def test_a_task_of_the_same_name_is_another_task() -> None:
    slots = Slots(1, FOUR)
    reserve(slots, A, times=4)
    assert room(slots, Task("a")) == 4


@pytest.mark.parametrize("cpu", [0, EVERY_CPU])
def test_a_task_that_has_nothing_left_is_forgotten(cpu: int) -> None:
    slots = Slots(1, FOUR)
    task = Task("short-lived")
    seen = weakref.ref(task)
    for reservation in reserve(slots, task, cpu, times=2):
        slots.release(reservation)
    del task, reservation
    assert seen() is None


def test_split_pools_do_not_compete() -> None:
    slots = Slots(1, SPLIT)
    reserve(slots, A, bp_type=X, times=2)
    assert room(slots, A, bp_type=W) == 1


@pytest.mark.parametrize("bp_type", [1, 2, 3, 5, 6, 9])
def test_what_reads_or_writes_is_data(bp_type: int) -> None:
    assert SPLIT.pool(bp_type) is Pool.DATA
    assert FOUR.pool(bp_type) is Pool.SHARED


@pytest.mark.parametrize("bp_type", [4, 8, 12, 16])
def test_the_rest_are_instructions(bp_type: int) -> None:
    assert SPLIT.pool(bp_type) is Pool.INST
    assert FOUR.pool(bp_type) is Pool.SHARED


def test_weight() -> None:
    slots = Slots(1, FOUR)
    reservation = slots.reserve(Request(A, 0, W, weight=3))
    assert room(slots, A) == 1
    with pytest.raises(NoSpace, match="2 asked for"):
        slots.reserve(Request(A, 0, W, weight=2))
    slots.release(reservation)
    assert room(slots, A) == 4


class TestRefusal:
    def test_a_table_without_numbers_refuses_before_it_looks(self) -> None:
        slots = Slots(1)
        with pytest.raises(NotReady):
            reserve(slots, A, bp_type=EMPTY)
        slots.initialise(FOUR)
        reserve(slots, A)

    def test_the_numbers_are_said_once(self) -> None:
        slots = Slots(1, FOUR)
        with pytest.raises(InvalidInput, match="known already"):
            slots.initialise(FOUR)

    @pytest.mark.parametrize("bp_type", [EMPTY, INVALID])
    def test_no_type_before_no_space(self, bp_type: int) -> None:
        with pytest.raises(InvalidInput, match="watches nothing"):
            reserve(Slots(1, Registers.shared(0)), A, bp_type=bp_type)

    @pytest.mark.parametrize(("task", "cpu"), [(None, -1), (None, 2), (A, 2), (A, -2), (None, -2)])
    def test_no_target(self, task: Task | None, cpu: int) -> None:
        with pytest.raises(InvalidInput, match="CPUs are 0 to 1"):
            reserve(Slots(2, FOUR), task, cpu)

    @pytest.mark.parametrize("weight", [0, -1])
    def test_no_weight(self, weight: int) -> None:
        with pytest.raises(InvalidInput, match=f"at least 1 register, not {weight}"):
            Slots(1, FOUR).reserve(Request(A, 0, W, weight))

    def test_no_machine(self) -> None:
        with pytest.raises(InvalidInput, match="at least 1 CPU"):
            Slots(0, FOUR)
        with pytest.raises(InvalidInput, match="cannot have -1 data"):
            Slots(1, Registers.split(inst=1, data=-1))

    def test_a_cpu_is_told_which_task_has_the_most(self) -> None:
        slots = Slots(2, FOUR)
        reserve(slots, A)
        reserve(slots, B, times=3)
        reserve(slots, None, 1)
        with pytest.raises(NoSpace) as refusal:
            reserve(slots, None, 1)
        assert str(refusal.value) == (
            "no room for CPU 1: CPU 1 has 4 shared registers, 1 pinned to the CPU, "
            "3 held by task b, the most of any task, 1 asked for"
        )
        error = refusal.value
        assert (error.cpu, error.pool, error.slots, error.pinned) == (1, "shared", 4, 1)
        assert (error.holder, error.held, error.asked) == ("b", 3, 1)

    def test_a_task_is_told_which_cpu_is_the_fullest(self) -> None:
        slots = Slots(3, SPLIT)
        reserve(slots, None, 2)
        with pytest.raises(NoSpace) as refusal:
            reserve(slots, A)
        assert str(refusal.value) == (
            "no room for task a on every CPU: CPU 2 has 1 data register, "
            "1 pinned to the CPU, 1 asked for"
        )

    def test_where_the_task_itself_fills_a_cpu(self) -> None:
        slots = Slots(3, FOUR)
        reserve(slots, None, 2, times=2)
        reserve(slots, A, 1, times=4)
        with pytest.raises(NoSpace, match=r"CPU 1 has 4 .* 0 pinned .* 4 held by task a,"):
            reserve(slots, A)

    def test_nothing_has_changed(self) -> None:
        slots = Slots(2, FOUR)
        reserve(slots, A, times=4)
        before = snapshot(slots)
        with pytest.raises(NoSpace):
            reserve(slots, None, 1)
        assert snapshot(slots) == before


def test_released_is_gone() -> None:
    slots = Slots(1, FOUR)
    [reservation] = reserve(slots, A)
    slots.release(reservation)
    for again in (slots.release, slots.dbg_release, lambda r: slots.modify(r, X)):
        with pytest.raises(Gone, match="released before"):
            again(reservation)
    assert room(slots, A) == 4


class TestModify:
    def test_shared_registers_never_run_out(self) -> None:
        slots = Slots(1, FOUR)
        reservations = reserve(slots, A, times=4)
        slots.modify(reservations[0], X)
        assert reservations[0].request.bp_type == X
        assert room(slots, A) == 0

    def test_between_pools(self) -> None:
        slots = Slots(1, SPLIT)
        [reservation] = reserve(slots, A)
        slots.modify(reservation, X)
        assert (room(slots, A, bp_type=W), room(slots, A, bp_type=X)) == (1, 1)
        slots.release(reservation)
        assert room(slots, A, bp_type=X) == 2

    def test_rolls_back(self) -> None:
        slots = Slots(1, SPLIT)
        [data] = reserve(slots, A)
        reserve(slots, A, bp_type=X, times=2)
        before = snapshot(slots)
        with pytest.raises(NoSpace, match="2 inst registers"):
            slots.modify(data, X)
        assert data.request.bp_type == W
        assert snapshot(slots) == before

    @pytest.mark.parametrize("bp_type", [EMPTY, INVALID])
    def test_to_nothing(self, bp_type: int) -> None:
        slots = Slots(1, FOUR)
        [reservation] = reserve(slots, A)
        with pytest.raises(InvalidInput):
            slots.modify(reservation, bp_type)
        assert room(slots, A) == 3


class TestSet:
    def test_all_of_it(self) -> None:
        slots = Slots(2, FOUR)
        reservations = slots.reserve_all([Request(A, -1, W), Request(None, 0, X)])
        assert list(slots) == reservations
        assert room(slots, A) == 2

    def test_none_of_it(self) -> None:
        slots = Slots(2, FOUR)
        reserve(slots, None, 1, times=2)
        before = snapshot(slots)
        with pytest.raises(NoSpace, match="CPU 1"):
            slots.reserve_all([Request(A, 0, W), *[Request(A, -1, W)] * 3])
        assert snapshot(slots) == before

    def test_a_broken_list_leaves_nothing_behind(self) -> None:
        slots = Slots(1, FOUR)
        with pytest.raises(AttributeError):
            slots.reserve_all([Request(A, 0, W), None])  # type: ignore[list-item]
        assert list(slots) == []
        assert room(slots, A) == 4

    def test_a_dry_run(self) -> None:
        slots = Slots(2, FOUR)
        before = snapshot(slots)
        wanted = [Request(A, 0, W)] * 3
        assert slots.can_reserve(wanted)
        assert slots.explain(*wanted) is None
        assert not slots.can_reserve(wanted * 2)
        assert "4 held by task a" in str(slots.explain(*wanted * 2))
        assert snapshot(slots) == before

    def test_all_threads_of_a_process(self) -> None:
        slots = Slots(2, FOUR)
        threads = [Task(f"thread{n}") for n in range(1000)]
        assert len(slots.reserve_threads(threads, W)) == 1000
        assert room(slots, None, 0) == 3
        reserve(slots, threads[-1], 1, times=3)
        with pytest.raises(NoSpace, match="task thread999 on every CPU: CPU 1"):
            slots.reserve_threads(threads, W)
        assert len(list(slots)) == 1003


class TestDebugger:
    def test_does_not_wait(self) -> None:
        slots = Slots(1, FOUR)
        [reservation] = reserve(slots, A)
        with slots.lock:
            with pytest.raises(Locked):
                slots.dbg_reserve(Request(A, 0, EMPTY))
            with pytest.raises(Locked):
                slots.dbg_release(reservation)
        assert list(slots) == [reservation]

    def test_is_refused_as_anybody(self) -> None:
        slots = Slots(1, FOUR)
        reserve(slots, A, times=4)
        with pytest.raises(NoSpace):
            slots.dbg_reserve(Request(None, 0, X))

    def test_takes_a_cpu_after_the_other_or_none(self) -> None:
        slots = Slots(3, FOUR)
        got = slots.dbg_reserve_cpus(range(3), X)
        assert [reservation.request.cpu for reservation in got] == [0, 1, 2]
        reserve(slots, None, 2, times=3)
        before = snapshot(slots)
        with pytest.raises(NoSpace, match="CPU 2"):
            slots.dbg_reserve_cpus(range(3), X)
        assert snapshot(slots) == before

    def test_finds_every_change_under_the_lock(self) -> None:
        """Whatever changes or tries something waits for the lock, and lets go of it again."""
        slots = Slots(1, FOUR)
        [held] = reserve(slots, A)
        changes = [
            lambda: slots.reserve(Request(B, 0, W)),
            lambda: slots.modify(held, RW),
            lambda: slots.reserve_all([Request(B, 0, W)]),
            lambda: slots.explain(Request(B, 0, W)),
            lambda: slots.release(held),
        ]
        for change in changes:
            thread = threading.Thread(target=change)
            with slots.lock:
                before = snapshot(slots)
                thread.start()
                thread.join(0.01)
                assert thread.is_alive()
                assert snapshot(slots) == before
            thread.join()
        slots.dbg_reserve(Request(B, 0, W))
