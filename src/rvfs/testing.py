"""A pytest plug-in: real mounts for tests, always torn down.

::

    def test_my_script(rv_mount):
        rv = rv_mount(source="inject")
        rv.write("enabled_monitors", "wip")
        ...
        assert rv.read("enabled_monitors") == "wip\\n"

What a mount has logged is part of the report of a test that fails. The mount is a process
of its own: one in this process would wait for itself. This module is loaded in every run of
pytest where rvfs is installed, so it imports next to nothing.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rvfs.readers import device_of

#: Seconds that a mount may take until it answers, and a step of its end.
PATIENCE = 30.0
_MOUNTS = pytest.StashKey[list["Mount"]]()


class Mount:
    """A mounted tree, ``path``, and the process that serves it, ``process``."""

    def __init__(self, folder: Path, source: str, **options: object) -> None:
        """``options`` are those of ``rvfs mount``: ``task_slots=2``, ``fault=["wip:5", …]``."""
        self.path = folder / "rv"
        self.path.mkdir()
        self._log = folder / "log"
        with self._log.open("wb") as log:
            command = [
                sys.executable, "-m", "rvfs", "mount", "--foreground",
                "--source", source, *_arguments(options), str(self.path),
            ]  # fmt: skip
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait_mounted()

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def read(self, name: str) -> str:
        """The text of a file of the tree."""
        return (self.path / name).read_text()

    def write(self, name: str, text: str) -> None:
        """``echo text >> name``: one command, and nothing else. Raises :class:`OSError`."""
        with (self.path / name).open("ab", buffering=0) as file:
            file.write(f"{text}\n".encode())

    @property
    def log(self) -> str:
        """What it has logged, whether it still answers or not."""
        return self._log.read_text(errors="replace")

    def _wait_mounted(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while "mounted on" not in self.log:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise RuntimeError(f"rvfs did not mount:\n{self.log}")
            time.sleep(0.01)

    # -- its end ---------------------------------------------------------------------------

    def close(self) -> None:
        """Unmount; by gentle means first, and by any means in the end."""
        for step, patience in (
            (self._unmount, PATIENCE), (self._unmount_lazily, 1.0), (self._terminate, PATIENCE),
            (self._abort, PATIENCE), (self._kill, PATIENCE),
        ):  # fmt: skip
            if self.process.poll() is None and step():
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(patience)
        if device_of(self.path):
            self._unmount_lazily()

    def _unmount(self, *options: str) -> bool:
        program = ["umount"] if os.getuid() == 0 else ["fusermount3", "-u"]
        command = [*program, *options, str(self.path)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _unmount_lazily(self) -> bool:
        return self._unmount("-l" if os.getuid() == 0 else "-z")

    def _terminate(self) -> bool:
        self.process.terminate()
        return True

    def _abort(self) -> bool:
        """Cut the connection, which also frees whoever waits for an answer."""
        device = device_of(self.path)
        with suppress(OSError):
            if device:
                minor = device.split(":")[1]
                Path(f"/sys/fs/fuse/connections/{minor}/abort").write_text("1")
                return True
        return False

    def _kill(self) -> bool:
        self.process.send_signal(signal.SIGKILL)
        return True


def _arguments(options: dict[str, object]) -> Iterator[str]:
    for name, value in options.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            yield f"--{name.replace('_', '-')}={one}"


@pytest.fixture
def rv_mount(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Mount]]:
    """Mounts a tree: ``rv_mount(source="inject", **options)`` returns a :class:`Mount`."""
    mounts = request.node.stash.setdefault(_MOUNTS, [])

    def mount(source: str = "inject", **options: object) -> Mount:
        mounted = Mount(tmp_path_factory.mktemp("rvfs"), source, **options)
        mounts.append(mounted)
        return mounted

    yield mount
    for mounted in reversed(mounts):
        mounted.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows what its mounts have logged."""
    report = yield
    if report.failed:
        for mounted in item.stash.get(_MOUNTS, []):
            report.sections.append((f"log of {mounted.path}", mounted.log))
    return report
