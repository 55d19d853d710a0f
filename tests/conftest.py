"""What every test gets.

* ``@pytest.mark.needs("fuse", "busybox")``: the test is skipped, with the reason, where one of
  :data:`NEEDS` is missing. Where ``RVFS_REQUIRE`` (names, comma separated) lists it, the
  test fails instead: that is how CI makes sure that nothing is skipped unseen.
* A test fails when rvfs logs a warning or an error that the test did not declare. To
  declare: assert on ``caplog``, then ``caplog.clear()``.
* hypothesis draws the same examples in every run, whatever the load of the machine.
"""

import fcntl
import importlib
import importlib.util
import logging
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from rvfs._stepper import PURE
from rvfs.cli import main
from rvfs.errors import RvfsError
from rvfs.hwbp.perf import check_access
from tests.shell import Run, Told

TRACES = Path(__file__).parents[2] / "shared" / "traces"

hypothesis.settings.register_profile(
    "rvfs",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("rvfs")


def _can_open(path: str, mode: int) -> Callable[[], bool]:
    return lambda: os.access(path, mode)


def _has(command: str) -> Callable[[], bool]:
    return lambda: shutil.which(command) is not None


def _can_import(module: str) -> Callable[[], bool]:
    return lambda: importlib.util.find_spec(module) is not None


def _is_root() -> bool:
    return os.geteuid() == 0


def _has_tracefs() -> bool:
    return _is_root() and "\ttracefs\n" in Path("/proc/filesystems").read_text()


@contextmanager
def registers_alone() -> Iterator[None]:
    """Whoever else runs these tests on this machine does not touch a debug register now."""
    with (Path(tempfile.gettempdir()) / "rvfs-debug-registers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@cache
def _has_perf_breakpoints() -> bool:
    """Registers, the right to them, and a C compiler for the programs that are watched."""
    if not _is_root() or not shutil.which("gcc"):
        return False
    try:
        with registers_alone():
            check_access()
    except RvfsError:
        return False
    return True


def _has_uutils() -> bool:
    """Fedora's ``coreutils`` is GNU in one file; its cat says so."""
    if not shutil.which("coreutils"):
        return False
    said = subprocess.run(["coreutils", "cat", "--version"], capture_output=True, check=False)
    return said.returncode == 0 and b"GNU" not in said.stdout


#: name → is it here?, and what a skipped test says.
NEEDS: Mapping[str, tuple[Callable[[], bool], str]] = {
    "root": (_is_root, "only root can do this"),
    "fuse": (_can_open("/dev/fuse", os.R_OK | os.W_OK), "/dev/fuse cannot be opened"),
    "kmsg": (_can_open("/dev/kmsg", os.W_OK), "/dev/kmsg cannot be written"),
    "tracefs": (_has_tracefs, "no tracefs to compare with"),
    "fusermount3": (_has("fusermount3"), "fusermount3 is not installed"),
    "busybox": (_has("busybox"), "busybox is not installed"),
    "compiler": (_has("cc"), "no C compiler is installed"),
    "uutils": (_has_uutils, "uutils coreutils is not installed"),
    "trace-cmd": (_has("trace-cmd"), "trace-cmd is not installed"),
    "attr": (_has("getfattr"), "getfattr is not installed"),
    "perf-breakpoints": (_has_perf_breakpoints, "no debug register of this machine can be had"),
    "dask": (_can_import("distributed"), "Dask is not installed (the extra dask)"),
    "parquet": (_can_import("pyarrow"), "pyarrow is not installed (the extra parquet)"),
    "compiled": (lambda: not PURE, "RVFS_PURE is set: too much for interpreted code"),
    "traces": (TRACES.is_dir, f"there are no recordings in {TRACES}"),
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"needs(*names): what must be here: {', '.join(NEEDS)}")


def needed(name: str, module: str) -> Any:
    """A module that a whole file of tests is about; as for ``needs`` where it is missing."""
    present, reason = NEEDS[name]
    if not present() and name not in os.environ.get("RVFS_REQUIRE", "").split(","):
        pytest.skip(reason, allow_module_level=True)
    return importlib.import_module(module)


def pytest_runtest_setup(item: pytest.Item) -> None:
    required = os.environ.get("RVFS_REQUIRE", "").split(",")
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            present, reason = NEEDS[name]
            if not present():
                if name in required:
                    pytest.fail(f"{reason} (RVFS_REQUIRE lists {name})", pytrace=False)
                pytest.skip(reason)


@pytest.fixture(autouse=True)
def the_registers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Who needs the debug registers has them alone, and leaves none of them taken."""
    if not any("perf-breakpoints" in one.args for one in request.node.iter_markers("needs")):
        yield
        return
    with registers_alone():
        yield
        assert [fd for fd in Path("/proc/self/fd").iterdir() if _is_perf_event(fd)] == []


def _is_perf_event(descriptor: Path) -> bool:
    with suppress(FileNotFoundError):  # the one that the folder is read through
        return str(descriptor.readlink()) == "anon_inode:[perf_event]"
    return False


@pytest.fixture(autouse=True)
def nothing_undeclared_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    stray = [
        record
        for phase in ("setup", "call", "teardown")
        for record in caplog.get_records(phase)
        if record.levelno >= logging.WARNING
    ]
    if stray:
        said = "\n".join(f"{r.levelname} {r.name}: {r.getMessage()}" for r in stray)
        pytest.fail(
            f"logged, and not declared (assert on caplog, then caplog.clear()):\n{said}",
            pytrace=False,
        )


@pytest.fixture
def check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """``rvfs check`` in this process, in the folder of the test."""
    monkeypatch.chdir(tmp_path)

    def run(command: str) -> Told:
        status = main(["check", *shlex.split(command)])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run
