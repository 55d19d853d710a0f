"""How requests are waited for: quicker than trio does it, and like trio for everybody else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyfuse3
import pytest
import trio
import trio.testing

from rvfs import _loop
from rvfs._loop import BURST, Lock, LowLevel, Trio, fits, install

PATIENCE = 60


async def test_a_lock_is_taken_by_one_at_a_time() -> None:
    lock, inside, most = Lock(), 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with lock:
            inside += 1
            most = max(most, inside)
            await trio.lowlevel.checkpoint()
            inside -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(work)
    assert (most, inside) == (1, 0)


async def test_who_is_cancelled_while_it_waits_for_the_lock_holds_up_nobody() -> None:
    lock = Lock()

    async def wait() -> None:
        async with lock:
            raise AssertionError("it was not free")

    async with trio.open_nursery() as nursery, lock:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        await trio.lowlevel.cancel_shielded_checkpoint()
    with trio.fail_after(PATIENCE):
        async with lock:
            pass


async def test_a_lock_that_is_free_does_not_pass_the_scheduler() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        lock = Lock()
        for _ in range(100):
            async with lock:
                pass
        assert turns == 0
        nursery.cancel_scope.cancel()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


async def test_everybody_has_a_turn_in_a_long_burst(pipe: tuple[int, int]) -> None:
    lowlevel, turns = LowLevel(_loop.ready), 0
    os.write(pipe[1], b"a request that is always there")

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        for _ in range(10 * BURST):
            await lowlevel.wait_readable(pipe[0])
        nursery.cancel_scope.cancel()
    assert abs(turns - 10) <= 1


async def test_a_request_that_is_not_there_is_waited_for(pipe: tuple[int, int]) -> None:
    lowlevel = LowLevel(_loop.ready)
    with trio.move_on_after(0.01) as nothing:
        await lowlevel.wait_readable(pipe[0])
    assert nothing.cancelled_caught
    os.write(pipe[1], b"now")
    with trio.fail_after(PATIENCE):
        await lowlevel.wait_readable(pipe[0])


def test_all_else_is_trio() -> None:
    fake = Trio(LowLevel(_loop.ready))
    assert fake.open_nursery is trio.open_nursery
    assert fake.ClosedResourceError is trio.ClosedResourceError
    assert fake.lowlevel.current_task is trio.lowlevel.current_task


# -- whether it fits pyfuse3 -----------------------------------------------------------------


def as_installed() -> Any:
    """A module that waits as pyfuse3 3.5 does."""
    module = SimpleNamespace(trio=trio, __version__="3.5.0", lock=None)

    async def _wait_fuse_readable() -> bool:
        module.lock = module.lock or module.trio.Lock()
        async with module.lock:
            await module.trio.lowlevel.wait_readable(0)
        return True

    module._wait_fuse_readable = _wait_fuse_readable
    return module


def waits_twice() -> Any:
    module = as_installed()

    async def _wait_fuse_readable() -> bool:
        await module.trio.lowlevel.wait_readable(0)
        await module.trio.lowlevel.wait_readable(0)
        return True

    module._wait_fuse_readable = _wait_fuse_readable
    return module


def sleeps() -> Any:
    module = as_installed()
    module._wait_fuse_readable = trio.lowlevel.checkpoint
    return module


def has_no_seam() -> Any:
    return SimpleNamespace(_wait_fuse_readable=trio.lowlevel.checkpoint, __version__="4.0")


def waits_elsewhere() -> Any:
    return SimpleNamespace(trio=trio, __version__="4.0")


def test_it_fits_a_module_that_waits_as_pyfuse3_does(caplog: pytest.LogCaptureFixture) -> None:
    module = as_installed()
    assert fits(module)
    assert module.trio is trio
    install(module, bool)
    assert isinstance(module.trio, Trio)
    assert not caplog.records


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("other", [waits_twice, sleeps, has_no_seam, waits_elsewhere])
def test_another_pyfuse3_keeps_its_own_loop(other: Any, caplog: pytest.LogCaptureFixture) -> None:
    module = other()
    before = getattr(module, "trio", None)
    install(module, bool)
    assert getattr(module, "trio", None) is before
    assert caplog.messages == [
        f"requests are slower: pyfuse3 {module.__version__} does not wait as 3.5 does"
    ]
    caplog.clear()


#: Starts rvfs after something was changed.
START = "import sys\n{change}\nfrom rvfs.cli import main\nraise SystemExit(main(sys.argv[1:]))"
WAITS_TWICE = """
from rvfs import fs
import pyfuse3
once = pyfuse3._wait_fuse_readable
async def twice():
    await pyfuse3.trio.lowlevel.checkpoint()
    return await once()
pyfuse3._wait_fuse_readable = twice
"""
SLOWER = f"requests are slower: pyfuse3 {pyfuse3.__version__} does not wait as 3.5 does"
#: A change → what the log says of it.
CHANGES = {"": [], "sys.modules['rvfs._libfuse'] = None": [], WAITS_TWICE: [SLOWER]}


@pytest.mark.parametrize("change", CHANGES, ids=["nothing", "no_libfuse", "another_pyfuse3"])
def test_a_mount_serves_with_and_without(change: str, tmp_path: Path) -> None:
    """What makes requests cheap may be missing; they are answered all the same."""
    command = [sys.executable, "-c", START.format(change=change), "mount", "-f", str(tmp_path)]
    with subprocess.Popen([*command, "--source=inject"], stderr=subprocess.PIPE) as mount:
        try:
            lines = said_until_mounted(mount)
            assert "wip" in {folder.name for folder in (tmp_path / "monitors").iterdir()}
            (tmp_path / "enabled_monitors").write_text("wip\n")
            assert (tmp_path / "monitors/wip/enable").read_text() == "1\n"
            assert (tmp_path / "enabled_monitors").stat().st_size == len("wip\n")
            subprocess.run(["umount", str(tmp_path)], check=True)
            assert mount.wait(PATIENCE) == 0
        finally:
            mount.kill()
    assert [line for line in lines if "slower" in line] == CHANGES[change]


def said_until_mounted(mount: "subprocess.Popen[bytes]") -> list[str]:
    """The log until the tree answers."""
    lines = []
    assert mount.stderr is not None
    for line in mount.stderr:
        lines.append(line.decode().removeprefix("rvfs: ").rstrip())
        if "mounted on" in lines[-1]:
            return lines
    raise AssertionError(lines)
