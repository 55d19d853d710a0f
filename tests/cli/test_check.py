"""rvfs check: what it prints, where, and how it ends."""

import argparse
import json
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rvfs.cli import check
from tests.conftest import TRACES

Run = Callable[..., tuple[int, str, str]]

SWITCH = (
    "prev_comm={0} prev_pid={1} prev_prio=120 prev_state={2} ==> "
    "next_comm={3} next_pid={4} next_prio=120"
)
CLEAN = [
    (1, "sched_wakeup", "comm=b pid=2 prio=120 target_cpu=000"),
    (2, "sched_switch", SWITCH.format("a", 1, "S", "b", 2)),
    (3, "sched_switch", SWITCH.format("b", 2, "S", "a", 1)),
]
#: wwnr: task 1 is switched out, asleep, and then switched out again: it never came in between.
WRONG = [*CLEAN[:2], (4, "sched_switch", SWITCH.format("a", 1, "S", "b", 2))]
LINE = "0.000004 [000] wwnr a-1: event switch_out not expected in the state not_running\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``check`` with these arguments: exit status, stdout, stderr."""
    parser = argparse.ArgumentParser()
    check.add_parser(parser.add_subparsers())

    def run_check(*arguments: object) -> tuple[int, str, str]:
        args = parser.parse_args(["check", *map(str, arguments)])
        status = args.run(args)
        told = capsys.readouterr()
        return status, told.out, told.err

    return run_check


def recording(folder: Path, lines: list[tuple[int, str, str]], name: str = "trace.txt") -> Path:
    path = folder / name
    path.write_text(
        "".join(
            f" task-1 [000] d..2.  0.{time:06d}: {event}: {text}\n" for time, event, text in lines
        )
    )
    return path


def test_a_clean_recording_prints_nothing_and_exits_0(run: Run, tmp_path: Path) -> None:
    path = recording(tmp_path, CLEAN)
    assert run(path, "-m", "wwnr") == (0, "", f"{path}: 3 events, violations: wwnr 0\n")


def test_a_violation_is_a_line_on_stdout_and_exits_1(run: Run, tmp_path: Path) -> None:
    path = recording(tmp_path, WRONG)
    assert run(path, "-m", "wwnr") == (1, LINE, f"{path}: 3 events, violations: wwnr 1\n")


def test_several_recordings_are_told_apart(run: Run, tmp_path: Path) -> None:
    one, two = recording(tmp_path, WRONG, "one"), recording(tmp_path, CLEAN, "two")
    status, out, err = run(one, two, "-m", "wwnr")
    assert (status, out) == (1, f"{one}: {LINE}")
    assert err.splitlines() == [
        f"{one}: 3 events, violations: wwnr 1",
        f"{two}: 3 events, violations: wwnr 0",
    ]


def test_an_unusable_recording_wins_and_the_others_are_checked(run: Run, tmp_path: Path) -> None:
    wrong = recording(tmp_path, WRONG)
    status, out, err = run(tmp_path / "missing", wrong, "-m", "wwnr")
    assert (status, out) == (2, f"{wrong}: {LINE}")
    assert err.startswith(f"rvfs check: {tmp_path / 'missing'}: No such file or directory\n")


def test_violations_before_the_damage_are_told(run: Run, tmp_path: Path) -> None:
    path = recording(tmp_path, WRONG)
    size = path.stat().st_size
    path.write_text(path.read_text() + "\x07junk\n")
    status, out, err = run(path, "-m", "wwnr")
    assert (status, out) == (2, LINE)
    assert err == f"rvfs check: {path}: offset {size}: line 4 is no event: '\\x07junk'\n"


def test_json_has_an_object_per_violation_and_the_summary_on_stderr(
    run: Run, tmp_path: Path
) -> None:
    path = recording(tmp_path, WRONG)
    status, out, err = run(path, "-m", "wwnr", "--format", "json")
    assert status == 1
    assert json.loads(out) == {
        "time": 0.000004, "cpu": 0, "monitor": "wwnr", "task": "a", "pid": 1,
        "state": "not_running", "event": "switch_out",
    }  # fmt: skip
    assert json.loads(err) == {
        "file": str(path), "events": {"sched:sched_switch": 2, "sched:sched_wakeup": 1},
        "violations": {"wwnr": 1}, "lost": {}, "warnings": [],
    }  # fmt: skip


def test_json_names_the_file_where_there_are_several(run: Run, tmp_path: Path) -> None:
    path = recording(tmp_path, WRONG)
    _, out, _ = run(path, path, "-m", "wwnr", "--format", "json")
    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(path)] * 2


def test_a_container_stands_for_its_children(run: Run, tmp_path: Path) -> None:
    path = recording(tmp_path, CLEAN)
    _, _, err = run(path, "-m", "sched")
    assert "violations: sco 0, snroc" in err
    _, _, err = run(path, "-m", "sched:sco", "snroc", "-m", "sco")
    assert err.endswith("violations: sco 0, snroc 0\n")


def test_events_that_are_missing_are_told(run: Run, tmp_path: Path) -> None:
    path = recording(tmp_path, CLEAN[1:])
    status, _, err = run(path, "-m", "wwnr", "scpd")
    assert status == 0
    assert err.splitlines()[:2] == [
        f"{path}: warning: wwnr: its verdicts cannot be relied on, "
        "there is no event sched:sched_wakeup",
        f"{path}: warning: scpd: it checked nothing, there is no event preemptirq:preempt_disable, "
        "preemptirq:preempt_enable, sched:sched_entry_tp, sched:sched_exit_tp",
    ]


@pytest.mark.parametrize("monitors", [["scpd"], ["sco", "scpd"]], ids=str)
def test_a_recording_in_which_nothing_was_checked_exits_2(
    monitors: list[str], run: Run, tmp_path: Path
) -> None:
    path = recording(tmp_path, WRONG)
    status, out, err = run(path, "-m", *monitors)
    assert (status, out) == (2, "")
    nothing = "none of the monitors has an event in it: nothing was checked"
    assert err.splitlines()[-1] == f"rvfs check: {path}: {nothing}"
    assert run(path, "-m", "wwnr", *monitors)[:2] == (1, LINE)


def test_a_recording_without_events_exits_2(run: Run, tmp_path: Path) -> None:
    empty, wrong = recording(tmp_path, [], "empty"), recording(tmp_path, WRONG)
    empty.write_text("# tracer: nop\n#\n")
    status, out, err = run(empty, wrong, "-m", "wwnr")
    assert (status, out) == (2, f"{wrong}: {LINE}")
    assert f"rvfs check: {empty}: none of the monitors has an event" in err


def test_nothing_is_judged_across_a_gap_and_the_loss_is_told(run: Run, tmp_path: Path) -> None:
    path = recording(tmp_path, WRONG)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], "CPU:0 [LOST 7 EVENTS]\n", lines[2]]))
    status, out, err = run(path, "-m", "wwnr")
    assert (status, out) == (0, "")
    assert err.endswith("wwnr 0; events lost: CPU 0: 7 (not judged across the gaps)\n")


def test_a_loss_that_nobody_counted_has_no_number(run: Run, tmp_path: Path) -> None:
    path = recording(tmp_path, WRONG)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], "##### CPU 0 buffer started ####\n", lines[2]]))
    status, out, err = run(path, "-m", "wwnr")
    assert (status, out) == (0, "")
    assert err.endswith("wwnr 0; events lost: CPU 0: some (not judged across the gaps)\n")
    _, _, err = run(path, "-m", "wwnr", "--format", "json")
    assert json.loads(err)["lost"] == {"0": None}


def test_two_recordings_in_one_text_are_not_judged_across(run: Run, tmp_path: Path) -> None:
    path = recording(tmp_path, [*CLEAN[:2], (1, *WRONG[2][1:])])
    status, out, err = run(path, "-m", "wwnr")
    assert (status, out) == (0, "")
    assert f"{path}: warning: line 3: time goes back by 0.000001 s: " in err


def test_a_model_file_is_checked_like_a_shipped_one(run: Run, tmp_path: Path) -> None:
    source = Path(check.__file__).parents[1] / "monitors" / "wwnr"
    for suffix in ("dot", "toml"):
        (tmp_path / f"wwnr.{suffix}").write_text((source / f"wwnr.{suffix}").read_text())
    path = recording(tmp_path, WRONG)
    assert run(path, "--model", tmp_path / "wwnr.dot")[:2] == (1, LINE)
    status, _, err = run(path, "-m", "wwnr", "--model", tmp_path / "wwnr.dot")
    assert status == 2
    assert "more than one monitor wwnr" in err


def test_monitors_of_a_folder(run: Run, tmp_path: Path) -> None:
    source = Path(check.__file__).parents[1] / "monitors" / "wwnr"
    folder = tmp_path / "monitors" / "mine"
    folder.mkdir(parents=True)
    for suffix in ("dot", "toml"):
        text = (source / f"wwnr.{suffix}").read_text().replace("wwnr", "mine")
        (folder / f"mine.{suffix}").write_text(text)
    path = recording(tmp_path, WRONG)
    status, out, _ = run(path, "-m", "mine", "--monitors", tmp_path / "monitors")
    assert (status, out) == (1, LINE.replace("wwnr", "mine"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trace.txt"], "nothing to check with"),
        (["-m", "wwnr"], "no recording is named"),
        (["trace.txt", "-m", "nonsense"], "there is no monitor 'nonsense'"),
        (["trace.txt", "--model", "missing.dot"], "missing.dot"),
        (["trace.txt", "-m", "wwnr", "--monitors", "missing"], "missing"),
    ],
)
def test_what_cannot_be_used_exits_2(
    arguments: list[str], said: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recording(tmp_path, CLEAN)
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert err.startswith("rvfs check: ")


def test_names_of_tasks_cannot_command_the_terminal(run: Run, tmp_path: Path) -> None:
    lines = [(time, event, text.replace("comm=a", "comm=\x1b[2J")) for time, event, text in WRONG]
    _, out, _ = run(recording(tmp_path, lines), "-m", "wwnr")
    assert out == LINE.replace("a-1", "\\x1b[2J-1")


PROGRAM = """
import argparse, sys
from rvfs.cli import check, check_report
check_report.LONG_FILE = 0
parser = argparse.ArgumentParser()
check.add_parser(parser.add_subparsers())
args = parser.parse_args()
sys.exit(args.run(args))
"""


def shell(
    command: str, stderr: int = subprocess.PIPE, path: Path = Path()
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PY": sys.executable, "CHECK": PROGRAM, "TERM": "xterm"}
    environment["PYTHONPATH"] = f"{Path(check.__file__).parents[2]}:{path}"
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$PY" -c "$CHECK" check {command}'],
        stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment, check=False,
    )  # fmt: skip


def test_a_reader_that_has_enough_ends_it_without_a_traceback(tmp_path: Path) -> None:
    path = recording(tmp_path, WRONG * 20_000)
    told = shell(f"{path} -m wwnr | head -n 1")
    assert told.stdout == LINE
    assert told.stderr == ""
    assert told.returncode == 1


def test_a_terminal_sees_a_bar_that_leaves_stdout_alone(tmp_path: Path) -> None:
    path = recording(tmp_path, WRONG)
    terminal, stderr = os.openpty()
    told = shell(f"{path} -m wwnr", stderr)
    os.close(stderr)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert told.stdout == LINE
    assert "100%" in shown
    assert shown.endswith("violations: wwnr 1\r\n")


def test_ctrl_c_ends_it_without_a_traceback(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rvfs.engine.Engine.step", interrupted)
    assert run(recording(tmp_path, CLEAN), "-m", "wwnr") == (130, "", "")


def test_a_plugin_that_cannot_be_loaded_is_a_line_on_stderr(tmp_path: Path) -> None:
    package = tmp_path / "lamps-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: lamps\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[rvfs.monitors]\nlamps = no_such_lamps:FOLDER\n")
    told = shell(f"{recording(tmp_path, WRONG)} -m wwnr", path=tmp_path)
    assert (told.stdout, told.returncode) == (LINE, 1)
    assert told.stderr.splitlines()[0] == (
        "monitor plug-in lamps (no_such_lamps:FOLDER) left out: No module named 'no_such_lamps'"
    )


@pytest.mark.needs("traces", "compiled")
@pytest.mark.parametrize("monitors", [["wwnr"], ["wip", "sched"]], ids=str)
def test_the_format_of_a_recording_does_not_show(
    monitors: list[str], run: Run, tmp_path: Path
) -> None:
    told = []
    for name in ("sched.dat", "sched.txt"):
        path = tmp_path / name
        path.write_bytes(lzma.decompress((TRACES / f"{name}.xz").read_bytes()))
        told.append(run(path, "-m", *monitors))
    (status, dat, _), (_, text, _) = told
    assert status == 1
    assert dat == text
    assert len(dat.splitlines()) > 100
