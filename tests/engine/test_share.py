"""Several engines that judge a share of the instances each find together what one finds."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvfs.engine import Engine
from rvfs.event import Verdict
from rvfs.model.automaton import automaton
from rvfs.model.ltl import parse_ltl
from rvfs.model.terms import parse_sum
from rvfs.monitor import Action, Binding, Entry, Monitor, Scope

from .drawn import MODELS, SWITCH, VOCABULARY, monitors, streams
from .naive import Event
from .test_dense import MONITORS, stream
from .verbs import to_batch

Place = tuple[int, bool, int, int, int]
several = st.lists(st.sampled_from(list(MODELS)).flatmap(monitors), min_size=1, max_size=3)


def found_by(
    monitors: list[Monitor], events: list[Event], cuts: list[int], share: tuple[int, int] = (0, 1)
) -> list[tuple[Place, Verdict]]:
    """The verdicts of an engine, and where each stands among those of all engines."""
    engine = Engine(VOCABULARY, share=share)
    for monitor in monitors:
        engine.add(monitor)
    numbers = {monitor.name: number for number, monitor in enumerate(monitors)}
    placed = []
    for start, stop in pairwise([0, *sorted(cuts), len(events)]):
        for one in engine.step(to_batch(events)[start:stop]):
            at, of_event = start + one.position, one.rank >= 0
            placed.append(((at, of_event, one.time, numbers[one.monitor], one.rank), one))
    return placed


def found_by_shares(
    monitors: list[Monitor], events: list[Event], cuts: list[int], count: int
) -> list[tuple[Place, Verdict]]:
    parts = [found_by(monitors, events, cuts, (k, count)) for k in range(count)]
    return sorted((one for part in reversed(parts) for one in part), key=lambda one: one[0])


def named(monitors: list[Monitor]) -> list[Monitor]:
    return [replace(one, name=f"m{number}") for number, one in enumerate(monitors)]


@settings(max_examples=100)
@given(drawn=several, events=streams(), count=st.integers(1, 4), data=st.data())
def test_shares_find_what_the_whole_finds_in_its_order(
    drawn: list[Monitor], events: list[Event], count: int, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(events)), max_size=2))
    whole = found_by(named(drawn), events, cuts)
    assert whole == found_by_shares(named(drawn), events, cuts, count)


@pytest.mark.parametrize("count", [2, 3])
def test_of_timers_that_run_out_at_once_too(count: int) -> None:
    kinds = named(list(MONITORS.values()))
    for seed in range(4):
        events = list(stream(seed, 1500, 40, 2))
        whole = found_by(kinds, events, [200, 201, 900])
        times = [place[:4] for place, one in whole if one.event == "none"]
        assert len(times) > len(set(times)) + 10
        assert whole == found_by_shares(kinds, events, [200, 201, 900], count)


def refusing(scope: Scope) -> Monitor:
    """A monitor that objects to every switch, for who leaves and, then, for who comes."""
    model = automaton("m", "a", [("b", "out", "a"), ("b", "in", "a")], states="ab")
    task, ids = scope is Scope.TASK, scope is Scope.OBJECT
    return Monitor("m", "any", scope, model, tuple(
        Binding(SWITCH, event, Entry.START_RUN, key if task else None,
                id=parse_sum(key) if ids else None)
        for event, key in (("in", "next_pid"), ("out", "prev_pid"))
    ))  # fmt: skip


def refusing_rule() -> Monitor:
    model = parse_ltl("RULE = always (A imply B)\n", file="m.ltl").model
    return Monitor("m", "any", Scope.TASK, model, tuple(
        Binding(SWITCH, task=key, action=Action.PULSE, atoms={"A": True})
        for key in ("next_pid", "prev_pid")
    ), init={"A": False, "B": False})  # fmt: skip


def switches(seed: int, count: int) -> Iterator[Event]:
    draw = random.Random(seed)
    for time in range(count):
        fields = {name: draw.randint(0, 9) for name in ("prev_pid", "next_pid")}
        states = {"prev_state": 1, "prev_prio": 120, "next_prio": 120}
        comms = {"prev_comm": b"t", "next_comm": b"t"}
        yield SWITCH, time, draw.randint(0, 3), fields["prev_pid"], fields | states | comms


@pytest.mark.parametrize("count", [2, 3])
def test_of_two_instances_that_one_event_is_wrong_for_too(count: int) -> None:
    kinds = named([*map(refusing, Scope), refusing_rule()])
    events = list(switches(count, 300))
    whole = found_by(kinds, events, [100])
    assert len(whole) > 5 * len(events)
    assert whole == found_by_shares(kinds, events, [100], count)
