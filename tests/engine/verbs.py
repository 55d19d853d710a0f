"""Run a monitor over events: as the engine does, as the naive model does."""

import itertools
from typing import Any

from rvfs._stepper import Twin
from rvfs.engine import Engine
from rvfs.event import Batch, Transition, batch_of
from rvfs.monitor import Monitor, Scope

from .drawn import VOCABULARY
from .naive import Event, Naive


def to_batch(found: list[Event]) -> Batch:
    return batch_of(
        [(VOCABULARY.number(name), time, cpu, pid, f) for name, time, cpu, pid, f in found]
    )


def naive_key(key: Any, scope: Scope) -> Any:
    if scope not in (Scope.TASK, Scope.OBJECT):
        return None
    return 0 if isinstance(key, tuple) else key


def run(
    monitor: Monitor, found: list[Event], cuts: list[int], twin: Twin
) -> tuple[list[Any], list[Any]]:
    engine = Engine(VOCABULARY, twin)
    engine.add(monitor)
    engine.observe("m", on=True)
    verdicts: list[Any] = []
    transitions: list[Any] = []
    for start, stop in itertools.pairwise([0, *sorted(cuts), len(found)]):
        seen: list[Transition] = []
        verdicts += [
            (start + verdict.position, verdict.key, verdict.state, verdict.event, verdict.env)
            for verdict in engine.step(to_batch(found)[start:stop], seen)
        ]
        transitions += [(s.key, s.state, s.event, s.next_state, s.final) for s in seen]
    return verdicts, transitions


def run_naive(monitor: Monitor, found: list[Event]) -> tuple[list[Any], list[Any]]:
    naive = Naive(monitor)
    verdicts = [
        (position, naive_key(key, monitor.scope), state, event, env)
        for position, one in enumerate(found)
        for key, state, event, env in naive.step(one)
    ]
    return verdicts, [(naive_key(k, monitor.scope), *rest) for k, *rest in naive.transitions]
