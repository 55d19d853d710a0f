"""The simulated machine: a stream that a kernel could have made."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from rvfs.source.sim.emission import TIME, WIDTH, Book
from rvfs.source.sim.faults import Plan
from rvfs.source.sim.machine import Machine
from rvfs.source.sim.parts import ORIGIN
from rvfs.source.sim.scheduler import Codes

from .naive_monitors import Fields, events
from .simulation import MACHINES, VOCABULARY, machine, read

SWITCH = VOCABULARY.number("sched:sched_switch")
FORK = VOCABULARY.number("sched:sched_process_fork")
FREE = VOCABULARY.number("sched:sched_process_free")

shapes = pytest.mark.parametrize("shape", MACHINES, ids=str)


def watch(shape: Mapping[str, Any], count: int) -> Iterator[tuple[str, int, int, int, Fields]]:
    """(name, time, CPU, current pid, fields) of each event."""
    for batch in read(machine(**shape), count):
        for tp, time, cpu, pid, fields in events(batch):
            yield VOCABULARY[tp].name, time, cpu, pid, fields


@shapes
def test_time_never_goes_back(shape: Mapping[str, Any]) -> None:
    times = np.concatenate([batch.time for batch in read(machine(**shape), 200_000)])
    assert (np.diff(times) >= 0).all()


def test_the_machine_goes_on_from_its_clock() -> None:
    book = Book(VOCABULARY, 1.0)
    codes = Codes(book.codes, book.span.tolist(), book.length.tolist())
    made = Machine(codes, Plan([], ORIGIN, 0), cpus=8, tasks=20, seed=0, rate=10_000.0)
    for _ in range(200):
        clock = made.clock
        made.run(20)
        assert min(made.records[TIME::WIDTH], default=clock) >= clock
        made.records.clear()
    assert made.clock > ORIGIN


@shapes
def test_a_cpu_goes_on_with_the_task_that_it_switched_to(shape: Mapping[str, Any]) -> None:
    current: dict[int, int] = defaultdict(int)
    for name, _, cpu, pid, fields in watch(shape, 50_000):
        assert pid == current[cpu]
        if name == "sched_switch":
            assert fields["prev_pid"] == pid
            assert fields["next_pid"] != pid
            assert fields["next_pid"] not in current.values() or fields["next_pid"] == 0
            current[cpu] = fields["next_pid"]
    assert len(current) == shape["cpus"]


@shapes
def test_a_task_runs_after_it_became_ready(shape: Mapping[str, Any]) -> None:
    """What sleeps is woken before it runs again; what is woken was asleep, or about to be."""
    ready: dict[int, bool] = {}
    for name, _, _, pid, fields in watch(shape, 50_000):
        if name in ("sched_wakeup", "sched_wakeup_new"):
            assert fields["pid"] != pid
            ready[fields["pid"]] = True
        if name == "sched_switch":
            assert ready.get(fields["next_pid"], True) or fields["next_pid"] == 0
            ready[pid] = fields["prev_state"] in (0, 0x100)


@shapes
def test_a_dead_task_does_nothing_and_its_pid_comes_back_by_fork(shape: Mapping[str, Any]) -> None:
    alive: set[int] = set()
    freed: set[int] = set()
    reused = 0
    for name, _, _, pid, fields in watch(shape, 100_000):
        if name == "task_newtask":
            assert fields["pid"] not in alive
            reused += fields["pid"] in freed
            freed.discard(fields["pid"])
            alive.add(fields["pid"])
        elif name == "sched_process_fork":
            assert fields["child_pid"] in alive
        elif name == "sched_process_free":
            assert fields["pid"] not in alive
            freed.add(fields["pid"])
        else:
            mentioned = {fields[f] for f in ("pid", "next_pid") if f in fields} | {pid}
            assert not mentioned & freed, name
            alive |= mentioned
        if name == "sched_switch" and fields["prev_state"] == 0x20:
            alive.discard(pid)
    assert freed
    assert reused or shape["tasks"] < 16


@shapes
def test_preemption_and_interrupts_go_off_and_on_in_turn(shape: Mapping[str, Any]) -> None:
    off: dict[tuple[str, int], bool] = {}
    for name, _, cpu, _, _ in watch(shape, 50_000):
        kind, _, what = name.partition("_")
        if what in ("enable", "disable"):
            assert off.get((kind, cpu), what == "enable") == (what == "enable")
            off[kind, cpu] = what == "disable"
        if name in ("sched_waking", "sched_switch"):
            assert off["irq", cpu]
            assert off.get(("preempt", cpu), True)


@shapes
def test_the_head_of_a_record_tells_what_the_tracepoints_told(shape: Mapping[str, Any]) -> None:
    """``enable`` fires before it is so, ``disable`` when it is; in between nothing changes."""
    off: dict[tuple[str, int], bool] = {}
    for name, _, cpu, _, fields in watch(shape, 50_000):
        kind, _, what = name.partition("_")
        is_off = {"irq": fields["common_flags"] & 1, "preempt": fields["common_preempt_count"]}
        if what == "disable":
            off[kind, cpu] = True
        for which, value in is_off.items():
            assert off.get((which, cpu), bool(value)) == bool(value), name
        if what == "enable":
            off[kind, cpu] = False


@shapes
def test_flags_tell_of_interrupts_and_softirqs(shape: Mapping[str, Any]) -> None:
    contexts = set()
    for name, _, _, _, fields in watch(shape, 50_000):
        hard, soft = bool(fields["common_flags"] & 0x08), bool(fields["common_flags"] & 0x10)
        assert not (hard and soft)
        if name in ("irq_handler_entry", "local_timer_entry"):
            assert hard
        if name.startswith("softirq"):
            assert soft
        if name.startswith("sys_") or name == "sched_switch":
            assert not hard
            assert not soft
        if name == "sched_waking":
            contexts.add((hard, soft))
    assert contexts >= {(True, False), (False, True)}


@shapes
def test_a_task_leaves_the_system_call_that_it_entered(shape: Mapping[str, Any]) -> None:
    inside: dict[int, int] = {}
    left = set()
    for name, _, _, pid, fields in watch(shape, 50_000):
        if name == "sys_enter":
            assert pid not in inside
            inside[pid] = fields["id"]
        elif name == "sys_exit":
            assert inside.pop(pid) == fields["id"]
            left.add(fields["id"])
    assert left >= {0, 39, 202, 230, 232}


@shapes
def test_who_waits_for_a_lock_has_it_in_the_end(shape: Mapping[str, Any]) -> None:
    waiting: set[int] = set()
    for name, _, _, pid, _ in watch(shape, 50_000):
        if name == "contention_begin":
            assert pid not in waiting
            waiting.add(pid)
        elif name == "contention_end":
            waiting.remove(pid)


def test_real_time_tasks_of_user_space_raise_no_page_fault() -> None:
    prio: dict[int, int] = {}
    faults = 0
    for name, _, cpu, _, fields in watch({"cpus": 2, "tasks": 30}, 50_000):
        if name == "sched_switch":
            prio[cpu] = fields["next_prio"]
        elif name.startswith("page_fault"):
            assert prio[cpu] >= 100
            faults += 1
    assert faults > 50


def test_a_throttled_task_runs_again_after_it_was_replenished() -> None:
    throttled: set[int] = set()
    seen = 0
    for name, _, _, _, fields in watch({"cpus": 2, "tasks": 30, "rate": 2_000.0}, 60_000):
        if name == "sched_dl_throttle_tp" and fields["type"] == 1:
            throttled.add(fields["id"])
            seen += 1
        elif name == "sched_dl_replenish_tp":
            throttled.discard(fields["id"])
        elif name == "sched_switch":
            assert fields["next_pid"] not in throttled
            assert fields["next_prio"] >= -1
    assert seen > 3


@pytest.mark.parametrize("rate", [10.0, 1_000.0, 100_000.0, 5e6])
def test_the_rate_is_kept_on_average(rate: float) -> None:
    sim = machine(rate=rate, tasks=8)
    batches = list(read(sim, 60_000))
    seconds = (batches[-1].time[-1] - batches[0].time[0]) / 1e9
    assert 60_000 / seconds == pytest.approx(rate, rel=0.05)


@shapes
def test_a_switch_shows_why_the_task_stopped(shape: Mapping[str, Any]) -> None:
    """Preempted is preempted; who sleeps has said how: S, D, I, for a lock, or dead."""
    preempt: dict[int, int] = {}
    said: dict[int, int] = {}
    shown = {0x1: 0x1, 0x2: 0x2, 0x402: 0x80, 0x80: 0x20, 0x1000: 0x1000}
    stops = set()
    for name, _, cpu, pid, fields in watch(shape, 50_000):
        if name == "sched_entry_tp":
            preempt[cpu] = fields["preempt"]
        elif name == "sched_set_state_tp":
            assert fields["pid"] == pid
            said[pid] = fields["state"]
        elif name == "sched_switch":
            stop = fields["prev_state"]
            assert (stop == 0x100) == (preempt[cpu] == 1)
            assert stop in (0, 0x100) or stop == shown[said[pid]]
            stops.add(stop)
    assert {0, 0x1, 0x2, 0x20} <= stops


#: What a task did last before it entered the scheduler → what it does first afterwards.
LEAVES = {"preempt_disable": "preempt_enable", "irq_enable": "irq_disable"}


@shapes
def test_a_task_leaves_the_scheduler_where_it_entered_it(shape: Mapping[str, Any]) -> None:
    before: dict[int, str] = {}
    entered: dict[int, str] = {}
    left = set()
    for name, _, cpu, pid, fields in watch(shape, 50_000):
        if before.get(cpu) == "sched_exit_tp" and pid in entered:
            assert name == LEAVES[entered[pid]]
            left.add(name)
        if name == "sched_entry_tp" and pid:
            entered[pid] = before[cpu]
        if name == "sched_process_free":
            entered.pop(fields["pid"], None)
        before[cpu] = name
    assert left == set(LEAVES.values())


def test_on_one_cpu_who_is_preempted_makes_room_for_another() -> None:
    preempt = preempted = 0
    for name, _, _, _, fields in watch({"cpus": 1, "tasks": 30}, 50_000):
        if name == "sched_entry_tp":
            preempt = fields["preempt"]
        elif name == "sched_exit_tp" and preempt:
            assert fields["is_switch"]
            preempted += 1
    assert preempted > 100


def rank(pid: int, prio: int) -> int:
    """Below 100 real time, then all others, then idle."""
    return 1000 if pid == 0 else min(prio, 120)


@shapes
def test_who_wakes_up_takes_the_cpu_from_lower_priorities_only(shape: Mapping[str, Any]) -> None:
    current: dict[int, int] = {}
    woken: dict[int, int] = {}
    asked = 0
    for name, _, cpu, _, fields in watch(shape, 50_000):
        if name == "sched_switch":
            current[cpu] = rank(fields["next_pid"], fields["next_prio"])
        elif name == "sched_waking":
            woken[cpu] = rank(fields["pid"], fields["prio"])
        elif name == "sched_wakeup":
            del woken[cpu]
        elif name == "sched_set_need_resched_tp" and fields["tif"] == 3 and cpu in woken:
            assert woken[cpu] < current.get(fields["cpu"], 1000)
            asked += 1
    assert asked > 50


def test_tasks_have_names_and_keep_them() -> None:
    for batch in read(machine(), 20_000):
        for tp, _, cpu, pid, fields in events(batch):
            if tp == SWITCH:
                assert fields["prev_comm"].decode() == batch.comm(pid, cpu)
                assert fields["prev_comm"] not in (b"", b"<...>")


def test_the_number_of_tasks_stays_about_the_same() -> None:
    forks = frees = 0
    for batch in read(machine({FORK: frozenset(), FREE: frozenset()}, tasks=40), 6_000):
        forks += len(batch.rows(FORK))
        frees += len(batch.rows(FREE))
        assert abs(forks - frees) < 40
    assert forks > 2_000
