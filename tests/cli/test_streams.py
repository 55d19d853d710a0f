"""Output that cannot be written, and streams that are not there."""

import subprocess
import sys

import pytest

COMMANDS = ["list", "model show wwnr", "model dot wip"]


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command.replace("rvfs", f"{sys.executable} -m rvfs", 1)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_line_and_status_2(command: str) -> None:
    done = shell(f"rvfs {command} > /dev/full")
    assert done.returncode == 2
    assert done.stderr == "rvfs: No space left on device\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_stdout_is_no_fault(command: str) -> None:
    done = shell(f"rvfs {command} >&-")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_has_enough_ends_it_quietly(command: str) -> None:
    done = shell(f"rvfs {command} | true")
    assert (done.returncode, done.stderr) == (0, "")
