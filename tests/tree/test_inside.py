"""What a monitor shows of its inside, read from the tree."""

import weakref
from importlib import resources

import pytest

from rvfs.errors import InvalidInput
from rvfs.event import batch_of
from rvfs.model.automaton import automaton
from rvfs.model.canonical import canonical
from rvfs.monitors import load_monitor
from rvfs.registered import Form
from tests.tree.test_tree import Served

SECOND = 1_000_000_000
WAKEUP, SWITCH = "sched:sched_wakeup", "sched:sched_switch"


class Watched(Served):
    """A tree over the shipped monitors wwnr, wip and stall, all on, and events by their names."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.registry.unregister_monitor("wip")
        for name in ("wwnr", "wip", "stall", "rtapp/pagefault"):
            loaded = load_monitor(resources.files("rvfs.monitors") / name)
            self.registry.register_monitor(Form(loaded.monitor, loaded.texts))
        for name in ("wwnr", "wip", "stall"):
            self.echo("1", f"monitors/{name}/enable")

    def happens(self, time: float, tracepoint: str, **fields: object) -> None:
        number = self.vocabulary.number(tracepoint)
        declared = self.vocabulary[number]
        values = {f.name: b"" if f.is_string else 0 for f in declared.fields} | fields
        event = (number, int(time * SECOND), 1, 7, values)
        self.pump.feed(batch_of([event], {7: "cat", 42: "dog"}))

    def sleeps(self, time: float, pid: int = 42) -> None:
        self.happens(time, SWITCH, prev_comm=b"dog", prev_pid=pid, prev_state=1, next_pid=7)

    def wakes(self, time: float, pid: int = 42) -> None:
        self.happens(time, WAKEUP, comm=b"dog", pid=pid)

    def runs(self, time: float, pid: int = 42) -> None:
        self.happens(time, SWITCH, prev_pid=7, next_comm=b"dog", next_pid=pid)

    def lines(self, path: str) -> list[str]:
        return self.cat(f"monitors/{path}").splitlines()


@pytest.fixture
def rv() -> Watched:
    return Watched()


def test_nobody_is_monitored_before_the_first_start(rv: Watched) -> None:
    assert rv.lines("wwnr/instances") == ["#       pid             since  state  task"]


def test_an_instance_is_shown_with_its_state_and_since_when(rv: Watched) -> None:
    rv.sleeps(1)
    rv.wakes(2)
    rv.runs(3.25)
    assert rv.lines("wwnr/instances")[1:] == ["         42          3.250000  running  dog"]


def test_a_task_keeps_its_name_when_nothing_happens(rv: Watched) -> None:
    rv.sleeps(1)
    rv.pump.feed(batch_of([], {42: "dog"}))
    assert rv.lines("wwnr/instances")[1:] == ["         42          1.000000  not_running  dog"]


def test_instances_per_cpu_are_told_by_their_cpu(rv: Watched) -> None:
    rv.happens(1, "preemptirq:preempt_enable")
    assert rv.lines("wip/instances") == [
        "#       cpu             since  state",
        "          1          1.000000  preemptive",
    ]


def test_a_monitor_that_is_off_has_no_instances_but_keeps_its_counts(rv: Watched) -> None:
    rv.sleeps(1)
    rv.runs(2)
    rv.wakes(3)
    rv.echo("0", "monitors/wwnr/enable")
    assert len(rv.lines("wwnr/instances")) == 1
    assert "violations 1" in rv.lines("wwnr/stats")


def test_stats_count_and_tell_the_last_violation(rv: Watched) -> None:
    rv.sleeps(1)
    rv.runs(2)
    rv.wakes(3)
    counted = dict(line.split(" ", 1) for line in rv.lines("wwnr/stats"))
    assert counted["violations"] == "1"
    assert (
        counted["last"] == "3.000000 [001] dog-42: event wakeup not expected in the state running"
    )
    assert int(counted["events"]) >= 2
    assert counted["dropped"] == "0"


def test_coverage_has_every_transition_and_marks_those_never_taken(rv: Watched) -> None:
    rv.sleeps(1)
    rv.wakes(2)
    rv.runs(3)
    assert rv.lines("wwnr/coverage") == [
        "# 2 of 3 transitions taken",
        "          1  not_running x switch_in -> running",
        "          1  not_running x wakeup -> not_running",
        "      never  running x switch_out -> not_running",
    ]


def test_a_violation_is_shown_with_the_events_that_led_there(rv: Watched) -> None:
    rv.sleeps(1)
    rv.wakes(2)
    rv.runs(3)
    rv.sleeps(3.5, pid=43)
    rv.wakes(4)
    shown = rv.lines("wwnr/violations")
    assert shown[0] == "4.000000 [001] dog-42: event wakeup not expected in the state running"
    assert [line.split()[0] for line in shown[1:]] == [
        "1.000000", "2.000000", "3.000000", "4.000000",
    ]  # fmt: skip
    assert all(line.startswith("    ") for line in shown[1:])


def test_what_led_to_a_violation_is_found_over_many_small_batches(rv: Watched) -> None:
    rv.sleeps(1)
    rv.runs(2)
    for n in range(100):
        rv.wakes(3 + n / 100, pid=1000 + n)
    rv.wakes(4)
    assert [line.split()[0] for line in rv.lines("wwnr/violations")[1:]] == [
        "1.000000", "2.000000", "4.000000",
    ]  # fmt: skip


def test_what_is_remembered_does_not_grow_with_the_batches(rv: Watched) -> None:
    number = rv.vocabulary.number(WAKEUP)
    for second in range(10):
        batch = batch_of([(number, second * SECOND, 0, 7, {"comm": b"", "pid": 1, "prio": 0,
                                                          "target_cpu": 0})] * 40_000)  # fmt: skip
        remembered = weakref.ref(batch)
        rv.pump.feed(batch)
        if second == 0:
            first = remembered
    del batch
    assert first() is None
    assert remembered() is not None


def test_violations_are_apart_by_a_blank_line(rv: Watched) -> None:
    for second in (1, 11):
        rv.sleeps(second)
        rv.runs(second + 1)
        rv.wakes(second + 2)
    assert rv.lines("wwnr/violations").count("") == 1


def test_what_ran_out_of_time_says_so(rv: Watched) -> None:
    rv.echo("100", "monitors/stall/params/threshold_jiffies")
    rv.sleeps(1)
    rv.wakes(2)
    rv.happens(9, "preemptirq:preempt_enable")
    assert rv.lines("stall/violations")[0] == (
        "2.400000 [001] dog-42: event none not expected in the state enqueued with env clk=100"
    )


def test_a_parameter_is_read_and_written_on_or_off(rv: Watched) -> None:
    assert rv.ls("monitors/stall/params") == ["threshold_jiffies"]
    path = "monitors/stall/params/threshold_jiffies"
    assert rv.cat(path) == "1000\n"
    rv.echo("0x10", path)
    assert rv.cat(path) == "16\n"
    rv.echo("0", "monitors/stall/enable")
    rv.echo("70", path)
    rv.echo("1", "monitors/stall/enable")
    assert rv.cat(path) == "70\n"
    rv.sleeps(1)
    rv.wakes(2)
    rv.happens(9, "preemptirq:preempt_enable")
    assert "clk=70" in rv.lines("stall/violations")[0]


@pytest.mark.parametrize("written", ["", "many", "1 2", "0x", "1_000", "-" + "9" * 30])
def test_what_is_no_number_changes_nothing(rv: Watched, written: str) -> None:
    path = "monitors/stall/params/threshold_jiffies"
    with pytest.raises(InvalidInput):
        rv.echo(written, path)
    assert rv.cat(path) == "1000\n"


def test_a_monitor_without_parameters_has_none(rv: Watched) -> None:
    assert "params" not in rv.ls("monitors/wwnr")
    assert "params" in rv.ls("monitors/stall")


def test_what_never_ran_shows_nothing(rv: Watched) -> None:
    for name in ("stats", "coverage", "violations"):
        assert rv.cat(f"monitors/pagefault/{name}") == ""


def test_a_replacement_is_counted(rv: Watched) -> None:
    rv.sleeps(1)
    rv.runs(2)
    rv.sleeps(3, pid=43)
    smaller = automaton(
        "wwnr", "asleep",
        [("asleep", "wakeup", "asleep"), ("asleep", "switch_in", "running"),
         ("running", "switch_out", "asleep")],
    )  # fmt: skip
    rv.workshop.write_model(rv.registry.find("wwnr"), canonical(smaller).encode())
    counted = rv.lines("wwnr/stats")
    assert {"kept 1", "anew 1"} <= set(counted)
    assert rv.lines("wwnr/instances")[1:] == ["         42          2.000000  running  dog"]
