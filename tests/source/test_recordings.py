"""What the shipped monitors say of the shared recordings, each verdict judged by hand.

The recordings lack what would tell more: no ``preemptirq`` events and no ``*_tp`` hooks. Who
needs those to begin, or to see a sleep announced, is right to be silent or to object. On
CPU 1 no ``sched_switch`` away from the idle task was recorded, and the wake-ups of CPU 0 were
lost from ``sched.dat``: a task that runs where it was not seen to be switched to, or without
having been woken, has left its model.
"""

import lzma
from collections import Counter
from pathlib import Path

import pytest

from rvfs.engine import Engine
from rvfs.event import Verdict
from rvfs.monitors import shipped
from rvfs.source.replay import Replay
from rvfs.tracepoint import Vocabulary
from tests.conftest import TRACES

from .naive_monitors import events
from .naive_rules import NAIVE, naive
from .reading import batches, vocabulary

#: How often a monitor objects to an event in a state.
Objections = dict[tuple[str, str, str], int]

MIXED: Objections = {
    # switched out though nobody was seen to switch to it
    ("wwnr", "not_running", "switch_out"): 208,
    ("snroc", "other_context", "sched_switch_out"): 261,
    ("stall", "enqueued", "sched_switch_wait"): 257,
    ("stall", "dequeued", "sched_switch_wait"): 1,
    # asleep without a sched_set_state_tp, which is in no recording of a stock kernel
    ("sssw", "runnable", "sched_switch_suspend"): 2353,
    # a shell under SCHED_FIFO and its `ls`, woken by the softirq of a disk
    ("wakeup", "0", "rt,us_th,wo_so"): 142,
}
SCHED: Objections = {
    ("wwnr", "not_running", "switch_out"): 102,
    ("snroc", "other_context", "sched_switch_out"): 579,
    ("stall", "enqueued", "sched_switch_wait"): 574,
    ("stall", "enqueued", "sched_switch_preempt"): 3,
    ("stall", "dequeued", "sched_switch_wait"): 1,
    # switched to though nobody was seen to wake it
    ("stall", "dequeued", "sched_switch_in"): 105,
    ("sssw", "runnable", "sched_switch_suspend"): 44398,
}


def recording(name: str, folder: Path, known: Vocabulary) -> Replay:
    path = folder / name
    path.write_bytes(lzma.decompress((TRACES / f"{name}.xz").read_bytes()))
    return Replay(str(path), known)


def judge(name: str, folder: Path) -> list[Verdict]:
    """All verdicts of all shipped monitors on a recording."""
    known = vocabulary()
    replay, engine = recording(name, folder, known), Engine(known)
    for top in shipped():
        for loaded in top:
            if not loaded.monitor.is_container:
                engine.add(loaded.monitor)
    replay.subscribe(engine.wanted())
    return [verdict for batch in batches(replay) for verdict in engine.step(batch)]


def objections(verdicts: list[Verdict]) -> Counter[tuple[str, str, str]]:
    return Counter((v.monitor, v.state, v.event) for v in verdicts)


@pytest.mark.needs("traces")
def test_system_calls_and_page_faults(tmp_path: Path) -> None:
    verdicts = judge("mixed.txt", tmp_path)
    assert objections(verdicts) == MIXED
    assert {v.comm for v in verdicts if v.monitor == "wakeup"} == {"sh", "ls"}
    assert all(v.env is None for v in verdicts)


@pytest.mark.needs("traces", "compiled")
@pytest.mark.parametrize("name", ["sched.dat", "sched.txt"])
def test_a_storm_of_switches_and_forks(name: str, tmp_path: Path) -> None:
    assert objections(judge(name, tmp_path)) == SCHED


@pytest.mark.needs("traces")
def test_naive_monitors_agree(tmp_path: Path) -> None:
    known = vocabulary()
    replay = recording("mixed.txt", tmp_path, known)
    replay.subscribe(
        {
            tp: frozenset((*point.by_name, "common_flags", "common_preempt_count"))
            for tp, point in known
        }
    )
    monitors = [naive(name, known) for name in NAIVE]
    reports = [
        (report[0], report[1], report[3], report[4])
        for batch in batches(replay)
        for event in events(batch)
        for monitor in monitors
        for report in monitor.step(*event)
    ]
    verdicts = [(v.monitor, v.time, v.key, v.event) for v in judge("mixed.txt", tmp_path)]
    assert Counter(reports) == Counter(verdicts)
