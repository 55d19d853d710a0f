"""Any sequence of operations on any machine, against a recount of everything."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from rvfs.errors import Locked, NoSpace, RvfsError
from rvfs.hwbp.breakpoint import EMPTY, INVALID, RW, Pool, R, Registers, W, X
from rvfs.hwbp.session import errno_name
from rvfs.hwbp.slots import Reservation, Slots
from rvfs.hwbp.table import Request
from tests.hwbp.naive import Naive

T = TypeVar("T")
TASKS = ("a", "b", "c")
TYPES = st.sampled_from([R, W, RW, X, W, X, 5, 8, EMPTY, INVALID])
REGISTERS = st.one_of(
    st.builds(Registers.shared, st.integers(0, 6)),
    st.builds(lambda i, d: Registers.split(inst=i, data=d), st.integers(0, 6), st.integers(1, 6)),
)


class AgainstARecount(RuleBasedStateMachine):
    held: Bundle[Reservation] = Bundle("held")

    @initialize(cpus=st.integers(1, 8), registers=REGISTERS)
    def start(self, cpus: int, registers: Registers) -> None:
        self.slots, self.naive = Slots(cpus, registers), Naive(cpus, registers)

    def request(self, data: Any, *, bp_type: int | None = None) -> Request:
        task = data.draw(st.sampled_from([None, *TASKS, *TASKS]))
        lowest = 0 if task is None else -1
        cpu = data.draw(st.integers(lowest, self.naive.cpus - 1))
        kind = data.draw(TYPES) if bp_type is None else bp_type
        return Request(task, cpu, kind, data.draw(st.sampled_from([1, 1, 1, 2, 3])))

    def hold(self, reservation: Reservation) -> None:
        self.naive.held[id(reservation)] = reservation.request

    def refuses_all(self, requests: Sequence[Request]) -> str:
        """What a reserve of all of them is refused with; the recount is as before."""
        held = dict(self.naive.held)
        try:
            for number, request in enumerate(requests):
                if refused := self.naive.refuses(request):
                    return refused
                self.naive.held[-1 - number] = request
        finally:
            self.naive.held = held
        return ""

    @rule(target=held, data=st.data(), debugger=st.booleans())
    def reserve(self, data: Any, debugger: bool) -> Any:
        request = self.request(data)
        refused = self.naive.refuses(request)
        assert refused == name(self.slots.explain(request))
        do = self.slots.dbg_reserve if debugger else self.slots.reserve
        reservation, error = outcome(lambda: do(request))
        assert name(error) == refused
        if reservation is None:
            self.check_reason(error, request)
            return multiple()
        self.hold(reservation)
        return reservation

    def check_reason(self, error: RvfsError | None, request: Request) -> None:
        if not isinstance(error, NoSpace):
            return
        pool = self.naive.registers.pool(request.bp_type)
        assert error.pool == pool
        assert error.slots == self.naive.registers.of(request.bp_type)
        assert error.pinned == self.naive.cpu_pinned(error.cpu, pool)
        assert error.pinned + error.held == self.naive.busy(request)
        assert error.pinned + error.held + error.asked > error.slots
        if error.holder is not None:
            assert error.held == self.naive.task_pinned(error.holder, error.cpu, pool)
        assert error.holder == request.task or request.task is None

    @rule(target=held, data=st.data(), count=st.integers(0, 4))
    def reserve_a_set(self, data: Any, count: int) -> Any:
        requests = [self.request(data) for _ in range(count)]
        refused = self.refuses_all(requests)
        assert self.slots.can_reserve(requests) == (not refused)
        reservations, error = outcome(lambda: self.slots.reserve_all(requests))
        assert name(error) == refused
        for reservation in reservations or ():
            self.hold(reservation)
        return multiple(*reservations or ())

    @rule(reservation=consumes(held), debugger=st.booleans())
    def release(self, reservation: Reservation, debugger: bool) -> None:
        (self.slots.dbg_release if debugger else self.slots.release)(reservation)
        del self.naive.held[id(reservation)]

    @rule(reservation=held, bp_type=TYPES)
    def modify(self, reservation: Reservation, bp_type: int) -> None:
        old = self.naive.held.pop(id(reservation))
        new = old._replace(bp_type=bp_type)
        refused = "" if old.bp_type == bp_type else self.naive.refuses(new)
        _, error = outcome(lambda: self.slots.modify(reservation, bp_type))
        assert name(error) == refused
        assert reservation.request == (old if refused else new)
        self.hold(reservation)

    @rule(data=st.data())
    def a_debugger_does_not_wait(self, data: Any) -> None:
        with self.slots.lock, pytest.raises(Locked):
            self.slots.dbg_reserve(self.request(data))

    @invariant()
    def every_count_is_the_recount(self) -> None:
        if not hasattr(self, "slots"):
            return
        for pool, slots in self.naive.registers.slots.items():
            for cpu in range(self.naive.cpus):
                self.check_cpu(cpu, pool, slots)

    def check_cpu(self, cpu: int, pool: Pool, slots: int) -> None:
        pinned, most = self.naive.cpu_pinned(cpu, pool), self.naive.max_task_pinned(cpu, pool)
        assert pinned + most <= slots
        assert self.slots.cpu_pinned(cpu, pool) == pinned
        task, counted = self.slots.max_task_pinned(cpu, pool)
        assert counted == most
        assert most == (0 if task is None else self.naive.task_pinned(task, cpu, pool))
        for each in TASKS:
            assert self.slots.task_pinned(each, cpu, pool) == (
                self.naive.task_pinned(each, cpu, pool)
            )

    @invariant()
    def what_is_held_is_what_was_given(self) -> None:
        if hasattr(self, "slots"):
            listed = {id(reservation): reservation.request for reservation in self.slots}
            assert listed == self.naive.held


def outcome(do: Callable[[], T]) -> tuple[T | None, RvfsError | None]:
    """What comes of it: the value, or the refusal."""
    try:
        return do(), None
    except RvfsError as error:
        return None, error


def name(error: RvfsError | None) -> str:
    return errno_name(error) if error else ""


TestAgainstARecount = AgainstARecount.TestCase
TestAgainstARecount.settings = settings(max_examples=80, stateful_step_count=40)
