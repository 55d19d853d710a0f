"""What the daemon builds, asked without a mount: hits on their way to the trace."""

import ctypes
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rvfs.hwbp.breakpoint import Attributes, W
from rvfs.hwbp.held import Target, Wish
from rvfs.logbook import Logbook
from rvfs.machine import Machine, Settings

pytestmark = pytest.mark.needs("perf-breakpoints")


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine(Settings(Path("rv"), source="none", hwbp="perf"), Logbook())
    yield machine
    for held in tuple(machine.breakpoints.held.values()):
        machine.breakpoints.release(held)
    machine.watch.close()


def test_releasing_a_breakpoint_brings_its_last_hits_into_the_trace(machine: Machine) -> None:
    word = ctypes.c_uint64()
    attr = Attributes(W, 8, ctypes.addressof(word), disabled=False)
    (held,) = machine.breakpoints.open(
        [Wish("word", Target("task", threading.get_native_id()), attr)]
    )
    machine.trace.enable(machine.vocabulary.number("hwbp:word"), True)
    for number in range(3):
        word.value = number
    assert b"word: address=" not in machine.trace.text()
    machine.breakpoints.release(held)
    assert machine.trace.text().count(b" word: address=%#x ip=" % attr.bp_addr) == 3
    assert not machine.trace.enabled
    assert "hwbp:word" not in machine.vocabulary
