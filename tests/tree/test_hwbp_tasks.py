"""Tasks that end while they are watched, and the backend that the folder ``hwbp`` stands on."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from errno import ESRCH
from pathlib import Path

import pytest

from rvfs.errors import NoTask, NotSupported, RvfsError
from rvfs.hwbp import backend, choice, perf
from rvfs.hwbp.backend import ModelMachine
from rvfs.hwbp.breakpoint import X86, Attributes, W
from rvfs.hwbp.machine import Opening, State
from tests.tree.test_hwbp_files import ME, Served


@pytest.fixture
def hw() -> Served:
    return Served()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def kill(child: subprocess.Popen[bytes]) -> None:
    """It is a zombie when this returns."""
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)


# -- tasks that end --------------------------------------------------------------------------


def test_a_task_that_ended_is_refused_and_keeps_what_it_had(
    hw: Served, child: subprocess.Popen[bytes]
) -> None:
    hw.reserve(f"open w task:{child.pid} -1 W 8 u+0")
    assert hw.cat("breakpoints").endswith(f"task {child.pid} (sleep)\n")
    kill(child)
    assert hw.cat("breakpoints").endswith("(sleep), dead (zombie)\n")
    assert hw.refused(f"open v task:{child.pid} -1 W 8 u+0") == ESRCH
    assert "has exited" in hw.cat("last_error")
    child.wait()
    assert hw.cat("breakpoints").endswith("(sleep), dead\n")
    assert hw.refused(f"open v task:{child.pid} -1 W 8 u+0") == ESRCH
    assert hw.refused(f"open v process:{child.pid} -1 W 8 u+0") == ESRCH
    hw.echo("u+8", "bp/w/addr")
    assert hw.cat("cpu0/tsk_pinned") == f"shared 1 task:{child.pid}\n"
    hw.rmdir("bp/w")
    assert hw.cat("cpu0/tsk_pinned") == "shared 0 -\n"


def test_the_name_of_a_task_takes_no_second_line(hw: Served) -> None:
    rename = "import ctypes; ctypes.CDLL(None).prctl(15, b'a\\nb) X 9'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", rename], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as task:
        assert task.stdout is not None
        task.stdout.readline()
        hw.reserve(f"open w task:{task.pid} -1 W 8 u+0")
        assert hw.cat("breakpoints").endswith(f" task {task.pid} (a?b) X 9)\n")
        task.kill()


def test_a_task_has_the_name_it_has_now(hw: Served) -> None:
    comm = Path("/proc/self/comm")
    before = comm.read_text()
    hw.reserve(f"open w task:{ME} -1 W 8 u+0")
    comm.write_text("other")
    try:
        assert hw.cat("breakpoints").endswith(f" task {ME} (other)\n")
    finally:
        comm.write_text(before)


def test_whether_a_task_lives_is_looked_up_at_the_opening(
    child: subprocess.Popen[bytes],
) -> None:
    machine = ModelMachine(2, X86)
    opening = Opening(machine.tasks[child.pid], -1, Attributes(W, 8, 0x1000))
    machine.close(machine.open(opening))
    kill(child)
    with pytest.raises(NoTask, match="has exited"):
        machine.open(opening)


def test_a_task_whose_number_comes_again_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    born = {7: "100"}
    monkeypatch.setattr(backend, "_stat", lambda pid: ("task", "S", born[pid]))
    tasks = backend.Tasks()
    first = tasks[7]
    assert tasks[7] is first
    born[7] = "200"
    assert first.look() is State.REAPED
    assert tasks[7] is not first
    assert tasks[7].state is State.ALIVE


def test_a_task_that_is_stopped_lives(hw: Served, child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    hw.reserve(f"open w task:{child.pid} -1 W 8 u+0")
    assert hw.ls("bp") == ["w"]


# -- which backend ---------------------------------------------------------------------------


def test_the_model_is_chosen_without_a_word() -> None:
    assert choice.choose("model")[1] == ""


def test_without_registers_the_model_stands_in_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(_: object) -> None:
        raise NotSupported("this machine has no debug register")

    monkeypatch.setattr(perf.PerfMachine, "__init__", none)
    chosen, note = choice.choose("perf")
    said = "none is set: this machine has no debug register"
    assert isinstance(chosen, ModelMachine)
    assert said in note
    assert said in caplog.text
    caplog.clear()
    slots = Served(ModelMachine(2, X86), note).cat("slots")
    assert slots.startswith("backend model\nnote the debug registers of this machine cannot be had")


def test_there_is_no_third_backend() -> None:
    with pytest.raises(RvfsError, match="no backend 'gdb'"):
        choice.choose("gdb")


def test_the_model_of_this_machine_has_its_cpus() -> None:
    assert ModelMachine().online <= set(range(ModelMachine().slots.cpus))
    assert os.sched_getaffinity(0) <= ModelMachine().online
