"""Any sequence of operations on the real registers, against the model of them."""

import subprocess
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvfs.errors import RvfsError
from rvfs.hwbp.backend import RealTask
from rvfs.hwbp.breakpoint import RW, Attributes, R, W, X
from rvfs.hwbp.machine import Breakpoint, Machine, Opening, Task
from rvfs.hwbp.perf import PerfMachine, RealBreakpoint

pytestmark = pytest.mark.needs("perf-breakpoints")

TARGETS = st.sampled_from([(0, -1), (0, 0), (0, 1), (1, -1), (1, 0), (None, 0), (None, 1)])
ATTRIBUTES = st.builds(
    Attributes,
    st.sampled_from([W, W, W, RW, X, R, 0, 7, 5, 8]),
    st.sampled_from([8, 8, 8, 8, 4, 2, 1, 0, 3, 16]),
    st.sampled_from([0x1000, 0x1000, 0x1001, 0x1004, (1 << 47) - 4096, (1 << 47) - 4104]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), TARGETS, ATTRIBUTES),
        st.tuples(st.just("open"), TARGETS, st.just(Attributes(W, 8, 0x1000))),
        st.tuples(st.just("modify"), st.integers(0, 9), ATTRIBUTES),
        st.tuples(st.just("close"), st.integers(0, 9), st.none()),
    ),
    min_size=20,
    max_size=50,
)


class Both:
    """The kernel and the model, step by step; each step's answers from both."""

    def __init__(self, tasks: list[RealTask]) -> None:
        self.real = PerfMachine()
        self.model = Machine(self.real.slots.cpus, self.real.arch, online=self.real.online)
        self.tasks = [(task, Task(str(task.pid))) for task in tasks]
        self.pairs: list[tuple[Breakpoint, Breakpoint]] = []

    def open(self, target: tuple[int | None, int], attr: Attributes) -> tuple[object, object]:
        number, cpu = target
        real, model = (None, None) if number is None else self.tasks[number]
        opened: list[Breakpoint] = []
        answers = (
            answer(lambda: opened.append(self.real.open(Opening(real, cpu, attr)))),
            answer(lambda: opened.append(self.model.open(Opening(model, cpu, attr)))),
        )
        if len(opened) == 2:
            self.pairs.append((opened[0], opened[1]))
        elif opened:
            (self.real if isinstance(opened[0], RealBreakpoint) else self.model).close(opened[0])
        return answers

    def modify(self, number: int, attr: Attributes) -> tuple[object, object]:
        if number >= len(self.pairs):
            return (None, None)
        real, model = self.pairs[number]
        answers = (
            answer(lambda: self.real.modify(real, attr)),
            answer(lambda: self.model.modify(model, attr)),
        )
        assert real.reservation.request.bp_type == model.reservation.request.bp_type
        return answers

    def close(self, number: int, _: None) -> tuple[object, object]:
        for real, model in [self.pairs.pop(number)] if number < len(self.pairs) else []:
            self.real.close(real)
            self.model.close(model)
        return (None, None)

    def close_all(self) -> None:
        while self.pairs:
            self.close(0, None)


def answer(do: Callable[[], object]) -> int:
    try:
        do()
    except RvfsError as error:
        return error.errno
    return 0


@given(steps=STEPS)
@settings(max_examples=60)
def test_the_model_answers_as_the_kernel(
    tasks: list[RealTask], steps: list[tuple[str, object, object]]
) -> None:
    both = Both(tasks)
    try:
        for number, (verb, first, second) in enumerate(steps):
            kernel, model = getattr(both, verb)(first, second)
            assert kernel == model, f"step {number}: {verb} {first} {second}"
    finally:
        both.close_all()


@pytest.fixture(scope="module")
def tasks() -> Iterator[list[RealTask]]:
    children = [subprocess.Popen(["cat"], stdin=subprocess.PIPE) for _ in range(2)]
    yield [RealTask(one.pid) for one in children]
    for one in children:
        one.communicate()
