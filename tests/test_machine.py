"""What is built from the settings of one mount."""

from pathlib import Path

import pytest

import rvfs.machine
from rvfs.logbook import Logbook
from rvfs.machine import Machine, Settings

from .registry.fakes import Collect


@pytest.mark.parametrize(
    ("name", "says"), [("nop", "Reactor nop is already registered"), ("a b", "white space")]
)
def test_a_reactor_plug_in_with_a_name_that_cannot_be_is_left_out_and_said(
    name: str, says: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rvfs.machine, "plugins", lambda: [Collect(name), Collect("good")])
    machine = Machine(Settings(Path("/nowhere"), source="none"), Logbook())
    assert list(machine.registry.reactors) == ["nop", "panic", "printk", "good"]
    assert f"reactor plug-in {name} left out" in caplog.text
    assert says in caplog.text
    caplog.clear()
