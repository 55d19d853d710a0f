"""The pytest plug-in, from outside: a run of pytest in a folder of its own."""

import subprocess
import sys
from pathlib import Path

TESTS = """
import os

def test_sound(rv_mount):
    rv = rv_mount(task_slots=1)
    rv.write("enabled_monitors", "wwnr")
    assert rv.read("enabled_monitors") == "wwnr\\n"

def test_fails(rv_mount):
    rv = rv_mount(source="sim", cpus=3, fault=["wip:5", "wwnr:5"])
    rv.write("enabled_monitors", "nonsense")

def test_leaves_everything_open(rv_mount):
    first, second = rv_mount(), rv_mount()
    os.chdir(first.path / "monitors")
    os.open(second / "trace_pipe", os.O_RDONLY)

def test_does_not_mount(rv_mount):
    rv_mount(source="nonsense")
"""


def test_mounts_end_with_their_test_and_a_failure_shows_their_log(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*pytest, f"--basetemp={tmp_path}/t"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "2 failed, 2 passed" in run.stdout, run.stdout
    assert "write to enabled_monitors: there is no monitor 'nonsense'" in run.stdout
    assert "rvfs did not mount:" in run.stdout
    assert "source 'nonsense' is not sim" in run.stdout
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    left = subprocess.run(["pgrep", "-f", f"rvfs mount.*{tmp_path}"], check=False)
    assert left.returncode == 1


def test_loading_it_costs_nothing() -> None:
    script = (
        "import sys, pytest; before = set(sys.modules); import rvfs.testing;"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["rvfs"]
