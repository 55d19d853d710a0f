"""The simulated machine: a stream that a kernel could have made, the same for everybody."""

from typing import Any

import numpy as np
import pytest

from rvfs.errors import InvalidInput, UnknownName
from rvfs.event import Batch
from rvfs.source import Source
from rvfs.source.sim import Fault, Sim, parse_fault
from rvfs.tracepoint import Vocabulary

from .simulation import EVERYTHING, MACHINES, VOCABULARY, machine, read, text

SWITCH = VOCABULARY.number("sched:sched_switch")
WAKING = VOCABULARY.number("sched:sched_waking")
FORK = VOCABULARY.number("sched:sched_process_fork")
FREE = VOCABULARY.number("sched:sched_process_free")

shapes = pytest.mark.parametrize("shape", MACHINES, ids=str)


def lines(sim: Sim, count: int, limit: int = 1 << 16) -> list[str]:
    return [line for batch in read(sim, count, limit) for line in text(batch)]


# -- the same for everybody ----------------------------------------------------------------


def test_a_machine_is_a_source() -> None:
    source: Source = machine(cpus=3)
    assert (source.name, source.cpus) == ("sim", 3)


def test_the_same_options_give_the_same_events() -> None:
    assert lines(machine(seed=7), 20_000) == lines(machine(seed=7), 20_000)


@pytest.mark.parametrize("other", [{"seed": 8}, {"cpus": 3}, {"tasks": 17}])
def test_other_options_give_others(other: dict[str, Any]) -> None:
    assert lines(machine(**{"seed": 7, **other}), 2_000) != lines(machine(seed=7), 2_000)


@pytest.mark.parametrize("limit", [1, 7, 1000, 1 << 16])
def test_the_events_do_not_depend_on_how_they_are_read(limit: int) -> None:
    options: dict[str, Any] = {"seed": 3, "faults": [Fault("wip", 10_000)]}
    assert lines(machine(**options), 8_000, limit) == lines(machine(**options), 8_000, 333)


def test_a_read_gives_no_more_than_its_limit() -> None:
    sim = machine()
    assert all(0 < len(batch) <= 10 for batch in read(sim, 5_000, limit=10))


@pytest.mark.parametrize("chosen", [[SWITCH], [SWITCH, WAKING, FORK], [FREE]])
def test_a_subscription_only_picks_events(chosen: list[int]) -> None:
    everything = machine(duration=0.1)
    expected = [
        line
        for batch in read(everything, 1_000_000)
        for tp, line in zip(batch.tp.tolist(), text(batch), strict=True)
        if tp in chosen
    ]
    some = machine({tp: EVERYTHING[tp] for tp in chosen}, duration=0.1)
    assert lines(some, 1_000_000) == expected
    assert len(expected) > 100


def test_a_subscription_picks_fields() -> None:
    wanted = {SWITCH: frozenset({"prev_pid", "no_such_field"}), 9999: frozenset({"pid"})}
    batch = next(read(machine(wanted), 100))
    assert batch.fields.keys() == {SWITCH}
    assert batch.fields[SWITCH].keys() == {"prev_pid"}
    assert set(batch.tp.tolist()) == {SWITCH}


def test_a_subscription_counts_from_the_next_read_on() -> None:
    expected, sim = lines(machine(), 3_000), machine()
    first = lines(sim, 1_000)
    sim.subscribe({SWITCH: EVERYTHING[SWITCH]})
    switches = lines(sim, 50)
    sim.subscribe(EVERYTHING)
    rest = lines(sim, 100)
    after = expected.index(rest[0])
    assert first == expected[:1_000]
    assert switches == [e for e in expected[1_000:after] if " sched:sched_switch " in e]
    assert rest == expected[after : after + 100]


def test_columns_have_the_type_of_their_field() -> None:
    for batch in read(machine(), 50_000):
        assert {c.dtype for c in (batch.tp, batch.time, batch.cpu, batch.pid)} == {np.dtype("i8")}
        for tp, columns in batch.fields.items():
            for name, column in columns.items():
                is_string = VOCABULARY[tp].field(name).is_string
                assert column.dtype == np.dtype("S16" if is_string else "i8"), name
                assert len(column) == len(batch.rows(tp))


def test_every_field_of_every_event_can_be_printed_and_read_back() -> None:
    for batch in read(machine(), 5_000):
        for position, tp in enumerate(batch.tp.tolist()):
            tracepoint, values = VOCABULARY[tp], batch.values(position)
            assert values.keys() > tracepoint.by_name.keys()
            assert tracepoint.pattern.fullmatch(tracepoint.text(values)), tracepoint.name


def test_all_tracepoints_occur() -> None:
    seen = {tp for batch in read(machine(), 100_000) for tp in batch.tp.tolist()}
    assert seen == EVERYTHING.keys()


# -- options -------------------------------------------------------------------------------


def test_the_machine_ends_after_its_duration() -> None:
    sim = machine(duration=0.05)
    batches: list[Batch] = list(read(sim, 10_000_000))
    first, last = batches[0].time[0], batches[-1].time[-1]
    assert 0.049e9 < last - first < 0.051e9
    assert sim.read(10) is None


def test_a_machine_that_was_closed_has_ended() -> None:
    sim = machine()
    sim.close()
    sim.close()
    assert sim.read(10) is None


def test_nothing_happens_while_nobody_listens() -> None:
    sim = machine()
    before = lines(sim, 50)
    sim.subscribe({})
    for _ in range(100):
        batch = sim.read(1000)
        assert batch is not None
        assert len(batch) == 0
    sim.subscribe(EVERYTHING)
    assert before + lines(sim, 100) == lines(machine(), 150)


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"cpus": 0}, "cpus must be from 1 to 1024, not 0"),
        ({"cpus": 1025}, "cpus must be from 1 to 1024, not 1025"),
        ({"tasks": 0}, "tasks must be from 1 to 10000, not 0"),
        ({"tasks": -3}, "tasks must be from 1 to 10000, not -3"),
        ({"rate": 0}, "rate must be a positive number, not 0"),
        ({"rate": -1.5}, "rate must be a positive number, not -1.5"),
        ({"rate": float("nan")}, "rate must be a positive number, not nan"),
        ({"duration": 0.0}, "duration must be a positive number, not 0"),
        ({"duration": float("inf")}, "duration must be a positive number, not inf"),
        ({"faults": [Fault("wip", 1), Fault("wip", 2)]}, "fault wip is given 2 times"),
    ],
)
def test_an_option_out_of_range_is_refused(option: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{sentence}$"):
        Sim(VOCABULARY, **option)


def test_the_largest_machine_runs() -> None:
    sim = machine(cpus=1024, tasks=10_000)
    assert len({cpu for batch in read(sim, 100_000) for cpu in batch.cpu.tolist()}) == 1024


def test_a_vocabulary_that_lacks_a_tracepoint_is_refused() -> None:
    with pytest.raises(UnknownName, match="there is no tracepoint '"):
        Sim(Vocabulary())


@pytest.mark.parametrize("given", ["wwnr:10", " wwnr:10\n", "wwnr:1e1"])
def test_a_fault_is_monitor_and_rate(given: str) -> None:
    assert parse_fault(given) == Fault("wwnr", 10.0)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("", "fault '' is not of the form MONITOR:RATE"),
        ("wip", "fault 'wip' is not of the form MONITOR:RATE"),
        ("wip:", "fault 'wip:': the rate '' is not a number"),
        ("wip:often", "fault 'wip:often': the rate 'often' is not a number"),
        ("wip:0", "fault wip: the rate must be a positive number, not 0"),
        ("wip:-2", "fault wip: the rate must be a positive number, not -2"),
        ("wip:nan", "fault wip: the rate must be a positive number, not nan"),
        ("wip:inf", "fault wip: the rate must be a positive number, not inf"),
    ],
)
def test_a_fault_that_cannot_be_read_is_refused(given: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_fault(given)
    assert str(refused.value) == sentence


def test_a_fault_of_a_monitor_without_faults_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"no fault for monitor 'tss' \(it has: wip, wwnr, "):
        parse_fault("tss:1")
