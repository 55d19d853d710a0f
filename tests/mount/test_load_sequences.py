"""Random sequences of commands through a real mount: see ``tests/tree/naive_tree.py``."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from rvfs.testing import Mount
from tests.tree.naive_tree import SLOTS, Refused, Sequence
from tests.tree.test_any_sequence import SHOWN


@contextmanager
def refusals() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused from error


class OnMount:
    """The commands are system calls."""

    def __init__(self, rv: Mount) -> None:
        self._rv = rv

    def mkdir(self, path: str) -> None:
        with refusals():
            (self._rv / path).mkdir()

    def rmdir(self, path: str) -> None:
        with refusals():
            (self._rv / path).rmdir()

    def put(self, path: str, text: str) -> None:
        with refusals():
            (self._rv / path).write_text(text)

    def echo(self, text: str, path: str) -> None:
        with refusals():
            self._rv.write(path, text)

    def cat(self, path: str) -> str:
        return self._rv.read(path)

    def open(self, path: str) -> int:
        return os.open(self._rv / path, os.O_RDONLY)

    def read(self, opened: int) -> str:
        with refusals():
            return os.pread(opened, 1 << 16, 0).decode()

    def close(self, opened: int) -> None:
        os.close(opened)


@pytest.mark.parametrize("seed", range(3))
def test_any_sequence_does_what_it_should(rv_mount: Callable[..., Mount], seed: int) -> None:
    rv = rv_mount(source="sim", task_slots=SLOTS, rate=2000)
    listing = rv.read("available_monitors")
    for part in range(5):
        Sequence(OnMount(rv), 1000 + 5 * seed + part, SHOWN.__getitem__).run(25)
    assert rv.read("available_monitors") == listing
    assert "Traceback" not in rv.log
