"""The shipped reactors and those that a package brings."""

import logging
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from rvfs import reactors
from rvfs.errors import Halted
from rvfs.event import Verdict
from rvfs.reactors import Reactor, is_inline
from rvfs.reactors.nop import Nop
from rvfs.reactors.panic import Panic
from rvfs.reactors.printk import Printk

VERDICT = Verdict("wwnr", 1, 0, 7, "bash", 9, "sh", "running", "wakeup")
MESSAGE = "rv: monitor wwnr does not allow event wakeup on state running\n"


def test_their_names_and_descriptions_are_the_kernel_s() -> None:
    shipped: list[Reactor] = [Nop(), Panic(), Printk()]
    assert [(r.name, r.description, is_inline(r)) for r in shipped] == [
        ("nop", "no-operation reactor: do nothing.", True),
        ("panic", "panic the system if an exception is found.", True),
        ("printk", "prints the exception msg to the kernel message log.", False),
    ]


def test_nop_does_nothing() -> None:
    Nop().react(VERDICT)


def test_printk_writes_a_warning_to_the_kernel_log(tmp_path: Path) -> None:
    kmsg = tmp_path / "kmsg"
    kmsg.touch()
    Printk(kmsg).react(VERDICT)
    assert kmsg.read_text() == f"<4>{MESSAGE}"


def test_where_the_kernel_log_is_closed_printk_writes_to_the_own_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rvfs"):
        Printk(tmp_path / "no" / "kmsg").react(VERDICT)
    assert [record.getMessage() for record in caplog.records] == [MESSAGE.strip()]
    caplog.clear()


def test_panic_halts_and_leaves_the_machine_alone() -> None:
    with pytest.raises(Halted, match="monitor wwnr does not allow event wakeup"):
        Panic().react(VERDICT)


def test_panic_touches_the_machine_only_where_it_was_told_how(tmp_path: Path) -> None:
    trigger = tmp_path / "sysrq-trigger"
    with pytest.raises(Halted):
        Panic(trigger).react(VERDICT)
    assert trigger.read_text() == "c"


class Good:
    """A reactor as a package would bring it."""

    name, description = "good", "one of ours."

    def react(self, verdict: Verdict) -> None:
        """Nothing."""


INSTANCE = Good()
NOT_A_REACTOR = "text"


def entry_points(*values: str) -> Any:
    found = [metadata.EntryPoint(v, f"{__name__}:{v}", "rvfs.reactors") for v in values]
    return lambda group: found if group == "rvfs.reactors" else []


def test_a_package_brings_a_reactor_as_a_class_or_an_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metadata, "entry_points", entry_points("Good", "INSTANCE"))
    assert [type(r) for r in reactors.plugins()] == [Good, Good]


def test_a_plug_in_that_cannot_be_loaded_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metadata, "entry_points", entry_points("missing", "NOT_A_REACTOR", "Good"))
    with caplog.at_level(logging.WARNING, "rvfs"):
        assert [r.name for r in reactors.plugins()] == ["good"]
    assert "reactor plug-in missing" in caplog.text
    assert "reactor plug-in NOT_A_REACTOR" in caplog.text
    assert "it has no name, description and react(verdict)" in caplog.text
    caplog.clear()
