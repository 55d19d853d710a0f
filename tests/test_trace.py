"""The ring: what goes in, what a reader sees, what is said of what was lost."""

import pytest

from rvfs.event import Batch, Transition, Verdict, batch_of
from rvfs.model.automaton import Automaton, automaton
from rvfs.model.ltl import parse_ltl
from rvfs.model.timing import Timing
from rvfs.monitor import Model, Monitor, Scope
from rvfs.trace import Trace, event_tracepoints
from rvfs.tracepoint import Vocabulary, catalogue

from .registry.fakes import container, monitor

HEADER_LINES = 12


@pytest.fixture
def vocabulary() -> Vocabulary:
    vocabulary = Vocabulary()
    for tracepoint in (*catalogue(), *event_tracepoints(monitor("wwnr", Scope.TASK))):
        vocabulary.add(tracepoint)
    return vocabulary


@pytest.fixture
def trace(vocabulary: Vocabulary) -> Trace:
    return Trace(vocabulary, cpus=2, capacity=3)


def switch_on(trace: Trace, vocabulary: Vocabulary, *names: str) -> None:
    for name in names:
        trace.enable(vocabulary.number(name), on=True)


def waking(vocabulary: Vocabulary, *pids: int, cpu: int = 0) -> Batch:
    number = vocabulary.number("sched:sched_waking")
    return batch_of(
        [
            (number, 1_000_000_000 + pid * 1000, cpu, pid,
             {"comm": b"woken", "pid": 9, "prio": 120, "target_cpu": 1})
            for pid in pids
        ],
        {5: "bash"},
    )  # fmt: skip


def lines(trace: Trace) -> list[str]:
    return trace.text().decode().splitlines()[HEADER_LINES:]


def test_nothing_is_recorded_that_is_not_switched_on(trace: Trace, vocabulary: Vocabulary) -> None:
    trace.record(waking(vocabulary, 5), [], [])
    assert lines(trace) == []
    assert trace.text().decode().splitlines()[2] == (
        "# entries-in-buffer/entries-written: 0/0   #P:2"
    )


def test_a_line_reads_as_ftrace_prints_it(trace: Trace, vocabulary: Vocabulary) -> None:
    switch_on(trace, vocabulary, "sched:sched_waking")
    trace.record(waking(vocabulary, 5), [], [])
    trace.record(waking(vocabulary, 0, cpu=1), [], [])
    assert lines(trace) == [
        "            bash-5       [000] .....     1.000005: sched_waking: "
        "comm=woken pid=9 prio=120 target_cpu=001",
        "          <idle>-0       [001] .....     1.000000: sched_waking: "
        "comm=woken pid=9 prio=120 target_cpu=001",
    ]


def test_steps_and_errors_stand_behind_the_event_that_caused_them(
    trace: Trace, vocabulary: Vocabulary
) -> None:
    switch_on(trace, vocabulary, "sched:sched_waking", "rv:event_wwnr", "rv:error_wwnr")
    batch = waking(vocabulary, 5)
    step = Transition("wwnr", 0, 0, 5, "bash", 9, "off", "on", "off", True, 0)
    error = Verdict("wwnr", 0, 0, 5, "bash", 9, "woken", "off", "on", 0)
    trace.record(batch, [step], [error])
    assert [line.split(": ", 1)[1] for line in lines(trace)] == [
        "sched_waking: comm=woken pid=9 prio=120 target_cpu=001",
        "event_wwnr: 9: off x on -> off (final)",
        "error_wwnr: 9: event on not expected in the state off",
    ]


def test_what_time_forbade_stands_before_the_event_behind_it(vocabulary: Vocabulary) -> None:
    trace = Trace(vocabulary)
    for tracepoint in event_tracepoints(of_kind("timed", hybrid())):
        vocabulary.add(tracepoint)
    switch_on(trace, vocabulary, "sched:sched_waking", "rv:error_env_timed")
    batch = waking(vocabulary, 5)
    ran_out = int(batch.time[0]) - 1
    late = Verdict("timed", ran_out, 0, 5, "bash", 9, "woken", "on", "none", 0, "clk=7")
    after_all = Verdict("timed", ran_out, 0, 5, "bash", 9, "woken", "on", "none", 1, "clk=8")
    refused = Verdict("timed", ran_out + 1, 0, 5, "bash", 9, "woken", "on", "off", 0, "clk=9")
    trace.record(batch, [], [late, refused, after_all])
    told = "error_env_timed: 9: event {} not expected in the state on with env clk={}"
    assert [line.split(": ", 1)[1] for line in lines(trace)] == [
        told.format("none", 7),
        "sched_waking: comm=woken pid=9 prio=120 target_cpu=001",
        told.format("off", 9),
        told.format("none", 8),
    ]


def test_a_rule_tells_its_step_before_its_error(trace: Trace, vocabulary: Vocabulary) -> None:
    rule = parse_ltl("RULE = always (A imply B)\n", file="ruled.ltl").model
    for tracepoint in event_tracepoints(of_kind("ruled", rule)):
        vocabulary.add(tracepoint)
    switch_on(trace, vocabulary, "rv:event_ruled", "rv:error_ruled")
    step = Transition("ruled", 0, 0, 5, "bash", 9, "0,2-3", "a,b", "", False, 0, "woken")
    error = Verdict("ruled", 0, 0, 5, "bash", 9, "woken", "0,2-3", "a,b", 0, rule=True)
    trace.record(waking(vocabulary, 5), [step], [error])
    assert [line.split(": ", 1)[1] for line in lines(trace)] == [
        "event_ruled: woken[9]: (0,2-3) x (a,b) -> ()",
        "error_ruled: woken[9]: violation detected",
    ]


def test_the_tracepoints_of_each_kind() -> None:
    assert fields_of(of_kind("m", hybrid())) == {
        "event_m": "id state event next_state final_state",
        "error_m": "id state event",
        "error_env_m": "id state event env",
    }
    assert fields_of(monitor("wip")) == {
        "event_wip": "state event next_state final_state",
        "error_wip": "state event",
    }
    event, error = event_tracepoints(monitor("wip"))
    values = {"state": "a", "event": "e", "next_state": "b", "final_state": False}
    assert event.text(values) == "a x e -> b"
    assert error.text(values) == "event e not expected in the state a"
    assert event_tracepoints(container("sched")) == ()


def hybrid() -> Automaton:
    return automaton("m", "off", [("off", "on", "on")], timing=Timing(("clk",), (), {}, {}))


def of_kind(name: str, model: Model) -> Monitor:
    return Monitor(name, "any", Scope.TASK, model)


def fields_of(one: Monitor) -> dict[str, str]:
    return {t.name: " ".join(t.by_name) for t in event_tracepoints(one)}


def test_the_size_is_the_length_of_the_text_at_every_moment(
    trace: Trace, vocabulary: Vocabulary
) -> None:
    switch_on(trace, vocabulary, "sched:sched_waking")
    for pid in range(6):
        assert trace.size == len(trace.text())
        trace.record(waking(vocabulary, pid), [], [])
    trace.take(1)
    assert trace.size == len(trace.text())
    trace.clear()
    assert trace.size == len(trace.text())


@pytest.mark.parametrize("batches", [[(1, 2, 3, 4, 5)], [(1, 2), (3, 4, 5)], [(1,)] * 5])
def test_a_full_ring_loses_the_oldest_and_counts_it(
    trace: Trace, vocabulary: Vocabulary, batches: list[tuple[int, ...]]
) -> None:
    switch_on(trace, vocabulary, "sched:sched_waking")
    for pids in batches:
        trace.record(waking(vocabulary, *pids), [], [])
    assert trace.text().decode().splitlines()[2].endswith("entries-written: 3/5   #P:2")
    assert trace.take(10_000).startswith(b"CPU:0 [LOST 2 EVENTS]\n")


def test_what_a_source_lost_is_said_to_the_reader_of_the_pipe(
    trace: Trace, vocabulary: Vocabulary
) -> None:
    switch_on(trace, vocabulary, "sched:sched_waking")
    batch = waking(vocabulary, 1)
    lossy = Batch(batch.tp, batch.time, batch.cpu, batch.pid, batch.fields, lost={1: 7})
    trace.record(lossy, [], [])
    assert trace.take(10_000).splitlines()[0] == b"CPU:1 [LOST 7 EVENTS]"
    trace.record(batch, [], [])
    assert b"LOST" not in trace.take(10_000)


def test_take_gives_whole_lines_and_put_back_undoes_it(
    trace: Trace, vocabulary: Vocabulary
) -> None:
    switch_on(trace, vocabulary, "sched:sched_waking")
    trace.record(waking(vocabulary, 1, 2, 3), [], [])
    before = lines(trace)
    first = trace.take(1)
    assert first.decode().splitlines() == before[:1]
    two = trace.take(2 * len(first) + 1)
    assert two.decode().splitlines() == before[1:]
    assert trace.take(100) == b""
    trace.put_back(two)
    trace.put_back(first)
    assert lines(trace) == before


def test_whoever_waits_is_called_when_lines_come(trace: Trace, vocabulary: Vocabulary) -> None:
    calls: list[int] = []
    cancel = trace.when_ready(lambda: calls.append(len(trace)))
    trace.record(waking(vocabulary, 1), [], [])
    switch_on(trace, vocabulary, "sched:sched_waking")
    trace.record(waking(vocabulary, 1, 2), [], [])
    cancel()
    trace.record(waking(vocabulary, 3), [], [])
    assert calls == [2]


def test_a_switched_on_source_tracepoint_is_wanted_with_all_its_fields(
    trace: Trace, vocabulary: Vocabulary
) -> None:
    switch_on(trace, vocabulary, "sched:sched_waking", "rv:error_wwnr")
    number = vocabulary.number("sched:sched_waking")
    assert trace.wanted() == {number: frozenset({"comm", "pid", "prio", "target_cpu"})}
    trace.enable(number, on=False)
    assert trace.wanted() == {}
