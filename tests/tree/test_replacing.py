"""A monitor is replaced while it runs: what goes on, what begins anew, and what a fault leaves."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from rvfs.building import Builder
from rvfs.change import Change
from rvfs.errors import RvfsError, UnknownName
from rvfs.monitors import Loaded, load_texts
from tests.registry.fakes import Fails, failing
from tests.tree.test_loading import BINDINGS, LAMP, PER_TASK, Bench, load
from tests.tree.test_state import ACTS, Act, Restarted, on_disk, prepare


@pytest.fixture
def rv() -> Bench:
    """``lamp`` is on, per task, and its steps are in the trace."""
    rv = Bench()
    rv.mkdir("monitors/lamp")
    rv.put("monitors/lamp/model", LAMP)
    rv.put("monitors/lamp/bindings", PER_TASK.replace('start_run"', 'start_run"\ntask = "pid"'))
    rv.echo("1", "monitors/lamp/enable")
    rv.echo("1", "events/rv/enable")
    return rv


def wake(rv: Bench, *tasks: int) -> None:
    for task in tasks:
        rv.echo(f"pid={task}", "events/sched/sched_wakeup/inject")


def switch(rv: Bench, *tasks: int) -> None:
    for task in tasks:
        rv.echo(f"common_pid={task}", "events/sched/sched_switch/inject")


def steps(rv: Bench) -> list[str]:
    """What the trace has of the monitor, and no more after it was read."""
    lines = [line.split("_lamp: ") for line in rv.cat("trace").splitlines() if "_lamp: " in line]
    rv.trace.clear()
    return [f"{'error ' if 'error' in head else ''}{text}" for head, text in lines]


# -- the instances -------------------------------------------------------------------------------


def test_an_instance_keeps_its_state_where_there_is_one_of_that_name(
    rv: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    wake(rv, 1, 2)
    switch(rv, 2)
    steps(rv)
    rv.put("monitors/lamp/model", LAMP.replace('"off"', '"dark"').replace("_off", "_dark"))
    assert "lamp was replaced: 1 instances keep their state, 1 begin anew" in caplog.text
    switch(rv, 1, 2)
    wake(rv, 2)
    assert steps(rv) == [
        "1: on x switch -> dark (final)", "2: dark x wakeup -> on",
    ]  # fmt: skip


def test_a_bad_model_disturbs_no_instance(rv: Bench) -> None:
    wake(rv, 1)
    with suppress(RvfsError):
        rv.put("monitors/lamp/model", LAMP[:100])
    switch(rv, 1)
    assert steps(rv) == ["1: off x wakeup -> on", "1: on x switch -> off (final)"]


def test_what_is_undone_disturbs_no_instance(rv: Bench) -> None:
    """The set fails with its last monitor, when the first was replaced already."""
    wake(rv, 1)
    steps(rv)
    with suppress(RvfsError):
        rv.put(
            "load",
            load(
                {"name": "lamp", "model": LAMP.replace('"on"', '"lit"')},
                {"name": "model", "parent": "sched", "model": LAMP, "bindings": BINDINGS},
                replace=True,
            ),
        )
    assert "sched/model: " not in rv.said()
    assert "has the name of a file" in rv.said()
    switch(rv, 1)
    assert steps(rv) == ["1: on x switch -> off (final)"]


def test_another_scope_makes_all_begin_anew(rv: Bench) -> None:
    wake(rv, 1)
    steps(rv)
    rv.put("monitors/lamp/bindings", BINDINGS)
    switch(rv, 1)
    wake(rv, 1)
    assert steps(rv) == ["off x wakeup -> on"]


def test_an_event_in_the_very_next_batch_finds_the_new_bindings(rv: Bench) -> None:
    wake(rv, 1)
    other = PER_TASK.replace("sched:sched_switch", "sched:sched_waking").replace(
        '"switch"', '"switch"\ntask = "pid"'
    )
    rv.put("monitors/lamp/bindings", other)
    steps(rv)
    switch(rv, 1)
    rv.echo("pid=1", "events/sched/sched_waking/inject")
    assert steps(rv) == ["1: on x switch -> off (final)"]


# -- parameters ----------------------------------------------------------------------------------

TIMED = LAMP.replace('label = "switch"', 'label = "switch;clk < LIMIT"').replace(
    'label = "wakeup"', 'label = "wakeup;reset(clk)"'
)
WITH_LIMIT = BINDINGS.replace("[[on]]", "[params]\nLIMIT = 7\n[[on]]", 1)


def test_parameters_are_kept_by_name_whether_it_is_on_or_off(rv: Bench) -> None:
    rv.put("load", load({"name": "timed", "model": TIMED, "bindings": WITH_LIMIT}))
    timed = rv.registry.find("timed")
    assert timed.params == {"LIMIT": 7}
    rv.registry.set_param(timed, "LIMIT", 9)
    rv.echo("1", "monitors/timed/enable")
    assert rv.engine.params("timed") == {"LIMIT": 9}
    rv.registry.set_param(timed, "LIMIT", 8)
    rv.put("monitors/timed/bindings", WITH_LIMIT + "# once more\n")
    assert rv.engine.params("timed") == timed.params == {"LIMIT": 8}
    with pytest.raises(UnknownName, match="no parameter 'limit' \\(has: LIMIT\\)"):
        rv.registry.set_param(timed, "limit", 1)


# -- faults --------------------------------------------------------------------------------------


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Restarted]:
    """A tree with a state folder, on a disk that never keeps anybody waiting."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    rv = Restarted(tmp_path / "state")
    prepare(rv)
    yield rv
    rv.end()


@pytest.mark.parametrize("nth", range(len(Builder.REPLACE)))
def test_whichever_step_of_a_replacement_fails_what_was_is_in_force(
    full: Restarted, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, disk = full.state(), on_disk(full.path)
    for faulty in failing(Builder.REPLACE, nth):
        for name in ("a model", "bindings with another scope", "a set that replaces"):
            with monkeypatch.context() as patch:
                patch.setattr(Builder, "REPLACE", faulty)
                with pytest.raises(Fails):
                    ACTS[name](full)
            assert (full.state(), on_disk(full.path)) == (before, disk)


#: Where a fault may strike: all that makes or keeps something for a monitor.
ROOMS = {
    "workshop.py", "registry.py", "building.py", "registered.py", "state.py", "task_slots.py",
    "engine.py",
}  # fmt: skip


class Strikes:
    """A profile function: the nth call within :data:`ROOMS` fails, while something can still fail.

    What comes after :meth:`Change.keep` is only thrown away, and what is undone is not struck.
    """

    def __init__(self, nth: int) -> None:
        self._left, self.struck = nth, False

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        gives_back = getattr(called, "__name__", "") in ("__exit__", "close")
        if event not in ("call", "c_call") or gives_back:
            return
        if frame.f_code is Change.keep.__code__:
            sys.setprofile(None)
        elif Path(frame.f_code.co_filename).name in ROOMS:
            self._left -= 1
            if not self._left:
                self.struck = True
                raise Fails


def strike(nth: int, act: Callable[[], object]) -> bool:
    """Do it with a fault at the nth call; whether it struck."""
    strikes = Strikes(nth)
    before = sys.getprofile()
    sys.setprofile(strikes)
    try:
        act()
    except Fails:
        pass
    finally:
        sys.setprofile(before)
    return strikes.struck


def remembering(load: Callable[..., Loaded]) -> Callable[..., Loaded]:
    """The same texts are not read anew: that is slow, and no step of anything here."""
    known: dict[tuple[object, ...], Loaded] = {}

    def load_once(*texts: Any, **files: Any) -> Loaded:
        key = (*texts[:3], *files.values())
        if key not in known:
            known[key] = load(*texts, **files)
        return known[key]

    return load_once


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_wherever_a_fault_strikes_what_was_is_in_force(
    full: Restarted, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call of each step fails in turn, until all goes well."""
    monkeypatch.setattr("rvfs.workshop.load_texts", remembering(load_texts))
    before, disk = full.state(), on_disk(full.path)
    nth = 1
    while strike(nth, lambda: act(full)):
        assert (full.state(), on_disk(full.path)) == (before, disk), nth
        nth += 1
    assert nth > 40
    assert full.state() != before
