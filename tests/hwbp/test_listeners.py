"""Who is told of breakpoints, and when."""

from collections.abc import Iterable

import pytest

from rvfs.errors import NoSpace
from rvfs.hwbp.backend import ModelMachine
from rvfs.hwbp.breakpoint import Attributes, Registers, W
from rvfs.hwbp.held import Breakpoints, Target, Wish
from rvfs.hwbp.machine import Breakpoint


class Keeps:
    """A listener that keeps what it hears, and whether a register was held then."""

    def __init__(self, machine: ModelMachine) -> None:
        self.machine = machine
        self.heard: list[tuple[str, str, int]] = []

    def opened(self, name: str, breakpoints: Iterable[Breakpoint]) -> None:
        self.heard.append(("opened", name, len(list(breakpoints))))

    def closing(self, name: str) -> None:
        self.heard.append(("closing", name, len(list(self.machine.slots))))


@pytest.fixture
def listener() -> Keeps:
    return Keeps(ModelMachine(cpus=2, registers=Registers.shared(2)))


@pytest.fixture
def breakpoints(listener: Keeps) -> Breakpoints:
    breakpoints = Breakpoints(listener.machine)
    breakpoints.listeners.append(listener)
    return breakpoints


def wishes(*names: str) -> list[Wish]:
    return [Wish(name, Target("wide"), Attributes(W, 8, 0)) for name in names]


def test_a_listener_hears_after_the_opening_and_before_the_closing(
    breakpoints: Breakpoints, listener: Keeps
) -> None:
    for held in breakpoints.open(wishes("a", "b")):
        breakpoints.release(held)
    assert listener.heard == [
        ("opened", "a", 2), ("opened", "b", 2), ("closing", "a", 4), ("closing", "b", 2),
    ]  # fmt: skip


def test_what_is_only_tried_or_refused_is_not_heard_of(
    breakpoints: Breakpoints, listener: Keeps
) -> None:
    breakpoints.check(wishes("a", "b"))
    with pytest.raises(NoSpace):
        breakpoints.open(wishes("a", "b", "c"))
    assert listener.heard == []
    assert not breakpoints.held
