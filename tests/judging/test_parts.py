"""One recording judged by several workers: what they find together is what one finds."""

import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvfs.judging import parts
from rvfs.judging.executors import in_processes, jobs_of
from rvfs.judging.parts import joined, split
from rvfs.judging.unit import Results, Unit, judge
from rvfs.monitor import Monitor
from rvfs.monitors import shipped
from tests.judging.recordings import KINDS, line, switch, unit, write
from tests.judging.units import Outcome, alone, outcome
from tests.shell import Run

MONITORS = tuple(
    inner.monitor for outer in shipped() for inner in outer if not inner.monitor.is_container
)


@pytest.fixture(autouse=True)
def every_recording_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LARGE", 0)


def without_positions(found: Outcome) -> object:
    """In a part positions count from the first event, else in the batch; nobody is told them."""
    verdicts, end = found
    return [[getattr(v, name) for name in v.__slots__ if name != "position"] for v in verdicts], end


def one_by_one(units: list[Unit]) -> Results:
    yield from map(judge, units)


#: What can happen; each of it violates one monitor or another, sooner or later.
HAPPENINGS = (
    switch("a", 1, "S", "b", 2), switch("b", 2, "S", "a", 1), switch("a", 1, "R", "b", 2),
    "sched_wakeup: comm=a pid=1 prio=120 target_cpu=000",
    "sched_waking: comm=b pid=2 prio=120 target_cpu=000",
    "preempt_disable: caller=f+0x0/0x0 parent=g+0x0/0x0",
    "preempt_enable: caller=f+0x0/0x0 parent=g+0x0/0x0",
    "irq_disable: caller=f+0x0/0x0 parent=g+0x0/0x0",
    "irq_enable: caller=f+0x0/0x0 parent=g+0x0/0x0",
    "sched_set_state_tp: comm=a pid=1 state=1", "sched_entry_tp: preempt=0 ip=f",
    "sched_exit_tp: is_switch=1 ip=f", "sched_set_need_resched_tp: comm=a pid=1 cpu=0 tif=3",
)  # fmt: skip


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(HAPPENINGS)), max_size=60),
    st.integers(2, len(MONITORS)),
    st.permutations(MONITORS),
)
def test_any_number_of_workers_finds_what_one_does(
    happenings: list[tuple[int, str]], count: int, monitors: list[Monitor]
) -> None:
    time, text = 1, ""
    for later, what in happenings:
        time += later
        text += line(time, what)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(text)
        file.flush()
        whole = Unit.of(file.name, monitors)
        units = split(whole, count)
        assert len(units) == count
        (found,) = (outcome(steps) for steps in joined(units, one_by_one(units)))
        assert without_positions(found) == without_positions(outcome(judge(whole)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_recording_ends_alike(kind: str, tmp_path: Path, results: Path) -> None:
    whole = unit(write(tmp_path, kind), "wwnr", "sssw", "sco")
    units = split(whole, 2)
    with closing(joined(units, in_processes(jobs_of(units, results), 2))) as found:
        assert [without_positions(outcome(steps)) for steps in found] == [
            without_positions(one) for one in alone([whole])
        ]


def test_the_report_is_the_same(check: Run, tmp_path: Path) -> None:
    for kind in KINDS:
        write(tmp_path, kind)
    names = " ".join(f"'{kind}'" for kind in KINDS)
    status, out, err = check(f"{names} -m wwnr sched")
    assert len(out.splitlines()) > 3000
    assert check(f"{names} -m wwnr sched -j {2 * len(KINDS)}") == (status, out, err)


def test_what_is_small_is_not_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = unit(write(tmp_path, "wrong"), "wwnr", "sssw")
    assert len(split(whole, 2)) == 2
    monkeypatch.setattr(parts, "LARGE", whole.size + 1)
    assert split(whole, 2) == [whole]
