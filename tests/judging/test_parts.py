"""One recording judged by several workers: what they find together is what one finds."""

import random
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvfs.judging import parts
from rvfs.judging.executors import in_processes, jobs_of
from rvfs.judging.parts import joined, split
from rvfs.judging.unit import Results, Unit, judge
from rvfs.monitor import Monitor, Scope
from rvfs.monitors import shipped, shipped_monitor
from tests.judging.recordings import KINDS, line, switch, unit, write
from tests.judging.units import alone, outcome
from tests.shell import Run

MONITORS = tuple(
    inner.monitor for outer in shipped() for inner in outer if not inner.monitor.is_container
)


@pytest.fixture(autouse=True)
def every_recording_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LARGE", 0)


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
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(HAPPENINGS), st.integers(0, 2)), max_size=60
    ),
    st.integers(2, 5),
    st.lists(st.sampled_from(MONITORS), min_size=1, unique_by=lambda monitor: monitor.name),
)
def test_any_number_of_workers_finds_what_one_does(
    happenings: list[tuple[int, str, int]], count: int, monitors: list[Monitor]
) -> None:
    time, text = 1, ""
    for later, what, cpu in happenings:
        time += later
        text += line(time, what, cpu)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(text)
        file.flush()
        whole = Unit.of(file.name, monitors)
        units = split(whole, count)
        assert len(units) == count
        (found,) = (outcome(steps) for steps in joined(units, one_by_one(units)))
        assert found == outcome(judge(whole))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_recording_ends_alike(kind: str, tmp_path: Path, results: Path) -> None:
    whole = unit(write(tmp_path, kind), "wwnr", "sssw", "sco")
    units = split(whole, 2)
    with closing(joined(units, in_processes(jobs_of(units, results), 2))) as found:
        assert [outcome(steps) for steps in found] == alone([whole])


def test_the_report_is_the_same(check: Run, tmp_path: Path) -> None:
    for kind in KINDS:
        write(tmp_path, kind)
    names = " ".join(f"'{kind}'" for kind in KINDS)
    status, out, err = check(f"{names} -m wwnr sched")
    assert len(out.splitlines()) > 3000
    assert check(f"{names} -m wwnr sched -j {2 * len(KINDS)}") == (status, out, err)


MODEL = """digraph {{
    "__init_on" -> "on"; {{node [shape = doublecircle] "on"}}
    "off" [label = "off{bound}"];
    "on" -> "off" [label = "out{reset}"]; "off" -> "on" [label = "in"];
}}
"""
#: By scope, what names the instance that a task comes to and that it leaves.
KEYS = {
    "task": ('task = "next_pid"', 'task = "prev_pid"'),
    "object": ('id = "next_pid"', 'id = "-prev_pid"'),
    "cpu": ('when = "prev_pid > 3"', ""), "global": ('when = "prev_pid > 3"', ""),
}  # fmt: skip
RULE = "RULE = always (RUNS imply not LEFT)\n"
TOLD = """description = "any"
scope = "task"
[init]
RUNS = false
LEFT = false
[[on]]
tracepoint = "sched:sched_switch"
task = "next_pid"
update = { RUNS = true }
[[on]]
tracepoint = "sched:sched_switch"
task = "prev_pid"
pulse = { LEFT = true }
"""


@pytest.fixture
def models(tmp_path: Path) -> str:
    """Options that name monitors of every scope, with and without a clock, and a rule."""
    on = '[[on]]\ntracepoint = "sched:sched_switch"\nentry = "start_run"\n'
    for scope, (comes, leaves) in KEYS.items():
        bindings = f'scope = "{scope}"\n{on}event = "in"\n{comes}\n{on}event = "out"\n{leaves}\n'
        for name, bound, reset in (
            (scope, "", ""),
            (f"timed_{scope}", "\\nclk < 3us", ";reset(clk)"),
        ):
            (tmp_path / f"{name}.dot").write_text(MODEL.format(bound=bound, reset=reset))
            (tmp_path / f"{name}.toml").write_text(f'description = "any"\n{bindings}')
    (tmp_path / "rule.ltl").write_text(RULE)
    (tmp_path / "rule.toml").write_text(TOLD)
    names = [f"{name}.dot" for scope in KEYS for name in (scope, f"timed_{scope}")]
    return "-m wwnr " + " ".join(f"--model {name}" for name in [*names, "rule.ltl"])


@pytest.fixture
def busy(tmp_path: Path) -> None:
    """A recording in which all monitors find something, several at once."""
    draw, time = random.Random(1), 1
    with (tmp_path / "busy").open("w") as file:
        for _ in range(2000):
            time += draw.choice([0, 0, 1, 4])
            left, came = draw.sample(range(7), 2)
            names = (f"t{left}", left, draw.choice("SR"), f"t{came}", came)
            file.write(line(time, switch(*names), draw.randint(0, 3)))


@pytest.mark.parametrize("options", ["", "--format json", "-o found", "--results results"])
@pytest.mark.parametrize("jobs", [2, 3])
def test_the_report_is_the_same_whatever_an_instance_is(
    jobs: int, options: str, check: Run, models: str, busy: None, tmp_path: Path
) -> None:
    def told(more: str) -> tuple[object, ...]:
        report = check(f"busy {models} {options} {more}")
        found = tmp_path / "found"
        return *report, found.read_text() if found.exists() else None

    summary = check(f"busy {models}")[2].splitlines()[-1].partition("violations: ")[2]
    assert all(int(count.split()[1]) > 100 for count in summary.split(", "))
    assert told("") == told(f"-j {jobs}")


@pytest.mark.parametrize("scope", ["task", "cpu", "object"])
def test_the_report_is_the_same_where_there_are_fewer_monitors(
    scope: str, check: Run, models: str, busy: None
) -> None:
    command = f"busy --model {scope}.dot --model timed_{scope}.dot"
    assert check(command) == check(f"{command} -j 5")
    assert check("busy --model rule.ltl") == check("busy --model rule.ltl -j 3")


def test_what_is_small_is_not_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = unit(write(tmp_path, "wrong"), "wwnr", "sssw")
    assert len(split(whole, 2)) == 2
    monkeypatch.setattr(parts, "LARGE", whole.size + 1)
    assert split(whole, 2) == [whole]


def test_what_has_one_instance_is_not_split(tmp_path: Path) -> None:
    wip, wwnr = (shipped_monitor(name).monitor for name in ("wip", "wwnr"))
    one, path = replace(wip, scope=Scope.GLOBAL), str(write(tmp_path, "wrong"))
    assert len(split(Unit.of(path, [one]), 3)) == 1
    assert len(split(Unit.of(path, [one, wwnr]), 3)) == 2


@pytest.mark.parametrize(
    ("monitors", "workers", "parts"),
    [
        (1, 1, ["a 0/1"]), (1, 3, ["a 0/3", "a 1/3", "a 2/3"]), (3, 2, ["ac 0/1", "b 0/1"]),
        (3, 3, ["a 0/1", "b 0/1", "c 0/1"]),
        (3, 5, ["a 0/2", "b 0/2", "c 0/1", "a 1/2", "b 1/2"]),
    ],
)  # fmt: skip
def test_monitors_are_shared_out_first_then_their_instances(
    monitors: int, workers: int, parts: list[str], tmp_path: Path
) -> None:
    wwnr = shipped_monitor("wwnr").monitor
    named = [replace(wwnr, name=name) for name in "abc"[:monitors]]
    units = split(Unit.of(str(write(tmp_path, "wrong")), named), workers)
    told = ["".join(one.name for one in unit.own) for unit in units]
    shares = ["{}/{}".format(*unit.share) for unit in units]
    assert [" ".join(both) for both in zip(told, shares, strict=True)] == parts
