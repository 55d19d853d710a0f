"""A thousand random sequences of commands, with readers that hold files: see ``naive_tree.py``."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rvfs.errors import RvfsError
from rvfs.handles import OpenFile
from rvfs.model.canonical import canonical
from rvfs.model.dot import parse_dot
from rvfs.monitors import load_texts
from rvfs.program import Program
from rvfs.registered import Registered
from rvfs.running import Running
from tests.tree.naive_tree import MODELS, SLOTS, Refused, Sequence
from tests.tree.test_loading import Bench
from tests.tree.test_replacing import remembering

SHOWN = {
    kind: canonical(parse_dot(text, file="").model) for kind, text in MODELS.items() if kind < 9
}


@contextmanager
def refusals() -> Iterator[None]:
    try:
        yield
    except RvfsError as error:
        raise Refused from error


class InTree(Bench):
    """The commands go to the nodes; files are opened as the file system does."""

    def __init__(self, state: Path | None = None) -> None:
        super().__init__(state, task_slots=SLOTS)

    def mkdir(self, path: str) -> None:
        with refusals():
            super().mkdir(path)

    def rmdir(self, path: str) -> None:
        with refusals():
            super().rmdir(path)

    def put(self, path: str, text: str) -> None:
        with refusals():
            super().put(path, text)

    def echo(self, text: str, path: str) -> None:
        with refusals():
            super().echo(text, path)

    def open(self, path: str) -> OpenFile:
        return OpenFile(self.file(path))

    def read(self, opened: OpenFile) -> str:
        with refusals():
            opened.node.check()
            return opened.node.read().decode()

    def close(self, opened: OpenFile) -> None:
        opened.release()

    def leftovers(self) -> list[object]:
        """What only a monitor that is there has; a folder forgets it with the next look."""
        self.ls("monitors")
        gc.collect()
        kinds = (Registered, Program, Running, OpenFile)
        return [each for each in gc.get_objects() if isinstance(each, kinds)]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rvfs.workshop.load_texts", remembering(load_texts))
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.mark.parametrize("hundred", range(10))
def test_any_sequence_does_what_it_should_and_leaves_nothing(hundred: int) -> None:
    tree = InTree()
    names, before = [t.full_name for _, t in tree.vocabulary], len(tree.leftovers())
    for seed in range(100):
        Sequence(tree, 100 * hundred + seed, SHOWN.__getitem__).run(25)
    assert len(tree.leftovers()) == before
    assert [t.full_name for _, t in tree.vocabulary] == names
    assert (len(tree.engine), tree.registry.task_slots.holders) == (0, [None] * SLOTS)
    assert tree.trace.enabled == set()


@pytest.mark.parametrize("seed", range(10))
def test_what_any_sequence_has_made_is_there_after_a_restart(tmp_path: Path, seed: int) -> None:
    tree = InTree(tmp_path)
    sequence = Sequence(tree, seed, SHOWN.__getitem__)
    sequence.go_on(60)
    assert tree.shelf is not None
    tree.shelf.close()
    after = InTree(tmp_path)
    assert {one.path: one.form for one in after.registry.monitors} == {
        one.path: one.form for one in tree.registry.monitors
    }
