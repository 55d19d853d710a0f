"""Random requests through the files answer as the same operations of a script."""

import os
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from rvfs.errors import RvfsError
from rvfs.hwbp.backend import ModelMachine
from rvfs.hwbp.breakpoint import ARM64, Attributes, Registers, W, X
from rvfs.hwbp.machine import Machine
from rvfs.hwbp.session import Answer, Session, errno_name
from tests.tree.test_hwbp_files import Served

CPUS, REGISTERS = 2, Registers.split(inst=1, data=2)
#: Two tasks that live as long as this test.
TASKS = (str(os.getpid()), str(os.getppid()))
#: What a script says of names that are taken or are none, as an errno.
ERRNOS = {"BUSY": "EBUSY", "NOEV": "ENOENT"}

names = st.sampled_from("abcdef")
attrs = st.builds(
    Attributes,
    st.sampled_from([1, 2, 3, 4, 7]), st.sampled_from([4, 8, 9]), st.sampled_from([0, 4, 8]),
    disabled=st.booleans(), sample_period=st.sampled_from([0, 0, 0, 1]),
)  # fmt: skip
targets = st.tuples(st.sampled_from(["-", *TASKS]), st.integers(-1, CPUS))
steps = st.one_of(
    st.tuples(st.just("open"), names, targets, attrs),
    st.tuples(st.just("modify"), names, st.none(), attrs),
    st.tuples(st.sampled_from(["close", "rmdir"]), names, st.none(), st.none()),
)
Step = tuple[str, str, tuple[str, int] | None, Attributes | None]


class Both:
    """The files, and a script's session on a machine of its own."""

    def __init__(self) -> None:
        self.files = Served(ModelMachine(CPUS, ARM64, REGISTERS))
        self.session = Session(Machine(CPUS, ARM64, REGISTERS))
        for task in TASKS:
            self.session.task(task, "proc")

    def by_script(self, step: Step) -> str:
        verb, name, target, attr = step
        operation = getattr(self.session, "close" if verb == "rmdir" else verb)
        words = [name, *(target or ()), *([attr] if attr else ())]
        try:
            answer: Answer = operation(*words)
        except RvfsError as error:
            return errno_name(error)
        return ERRNOS.get(answer.words, answer.words)

    def by_file(self, step: Step) -> str:
        verb, name, _, _ = step
        try:
            if verb == "rmdir":
                if name not in self.files.ls("bp"):
                    return "ENOENT"
                self.files.rmdir(f"bp/{name}")
            else:
                self.files.reserve(_line(step))
        except RvfsError as error:
            return errno_name(error)
        return "OK"

    def free_by_script(self) -> list[str]:
        return ["".join(self._free(cpu)) for cpu in range(CPUS)]

    def _free(self, cpu: int) -> Iterator[str]:
        for pool, bp_type in (("inst", X), ("data", W)):
            yield f"{pool} {self.session.free('-', cpu, bp_type).words.split()[0]}\n"

    def free_by_file(self) -> list[str]:
        return [self.files.cat(f"cpu{cpu}/free") for cpu in range(CPUS)]


def _line(step: Step) -> str:
    verb, name, target, attr = step
    words = [verb, name]
    if target is not None:
        task, cpu = target
        words += [task if task == "-" else f"task:{task}", f"cpu:{cpu}"]
    if attr is not None:
        words += [str(attr.bp_type), str(attr.bp_len), hex(attr.bp_addr)]
        words += [f"dis={attr.disabled:d}", f"per={attr.sample_period}"]
    return " ".join(words)


@given(st.lists(steps, max_size=30))
def test_the_files_answer_as_a_script(walk: list[Step]) -> None:
    both = Both()
    for step in walk:
        assert both.by_file(step) == both.by_script(step), step
        assert both.free_by_file() == both.free_by_script()
