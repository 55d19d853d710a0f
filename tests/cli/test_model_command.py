"""``rvfs model`` and ``rvfs list`` as they are typed."""

import argparse
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from rvfs.cli import listing, model
from rvfs.errors import InvalidInput, ModelError
from rvfs.model.dot import parse_dot
from rvfs.monitors import shipped_monitor
from rvfs.tracepoint import Tracepoint

LAMP = 'digraph { __init_off; off; on; off -> on [label="up"]; on -> off [label="down"] }'
SHEET = """\
description = "a lamp."
scope = "cpu"
[[on]]
tracepoint = "sched:sched_waking"
event = "up"
entry = "start"
"""

STALL = Path(str(resources.files("rvfs.monitors") / "stall"))

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rvfs(capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs one command line: exit status, stdout, stderr."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for module in (model, listing):
        module.add_parser(commands)

    def say(*words: str | Path) -> tuple[int, str, str]:
        arguments = parser.parse_args([str(word) for word in words])
        status: int = arguments.run(arguments)
        return status, *capsys.readouterr()

    return say


def write_lamp(folder: Path, sheet: str | None = SHEET, text: str = LAMP) -> Path:
    path = folder / "lamp.dot"
    path.write_text(text)
    if sheet is not None:
        path.with_suffix(".toml").write_text(sheet)
    return path


def test_a_good_model_is_summed_up(rvfs: Say, tmp_path: Path) -> None:
    path = write_lamp(tmp_path, sheet=None)
    assert rvfs("model", "check", path) == (0, f"{path}: 2 states, 2 events, deterministic\n", "")


def test_bindings_beside_the_model_are_checked_too(rvfs: Say, tmp_path: Path) -> None:
    path = write_lamp(tmp_path)
    assert rvfs("model", "check", path) == (
        0, f"{path}: 2 states, 2 events, 1 binding, deterministic\n", "",
    )  # fmt: skip
    write_lamp(tmp_path, SHEET.replace('"up"', '"left"'))
    sheet = path.with_suffix(".toml")
    assert rvfs("model", "check", path) == (
        2, "", f"{sheet}:5:1: the model has no event 'left' (it has: down, up)\n",
    )  # fmt: skip


def test_every_fault_of_every_file_is_one_line(rvfs: Say, tmp_path: Path) -> None:
    bad = tmp_path / "bad.dot"
    bad.write_text("digraph {\n __init_a; a\n a -> b [label=e]\n a -> a\n}")
    good = write_lamp(tmp_path, sheet=None)
    status, out, err = rvfs("model", "check", bad, good, tmp_path / "none.dot")
    assert status == 2
    assert out == f"{good}: 2 states, 2 events, deterministic\n"
    assert err.splitlines() == [
        f"{bad}:3:2: the edge names the state b, which has no node",
        f"{bad}:4:2: a -> a has no label; expected its events",
        f"{tmp_path}/none.dot: No such file or directory",
    ]


def test_a_warning_does_not_fail(rvfs: Say, tmp_path: Path) -> None:
    path = write_lamp(tmp_path, sheet=None, text=LAMP.replace("}", "x; on -> x [label=burn] }"))
    status, out, err = rvfs("model", "check", path)
    assert (status, out) == (0, f"{path}: 3 states, 3 events, deterministic\n")
    assert err == (
        f"{path}:1:81: warning: state x is a dead end: every event there is a violation\n"
    )


def test_a_container_is_checked_with_its_children(rvfs: Say) -> None:
    status, out, err = rvfs("model", "check", "sched", "wip")
    assert (status, err) == (0, "")
    assert [line.split(": ")[0] for line in out.splitlines()] == [
        "sched:sco", "sched:snroc", "sched:scpd", "sched:snep", "sched:sts", "sched:nrp",
        "sched:sssw", "sched:opid", "wip",
    ]  # fmt: skip


def test_the_folder_of_a_monitor_may_be_the_current_one(
    rvfs: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lamp").mkdir()
    write_lamp(tmp_path / "lamp")
    monkeypatch.chdir(tmp_path / "lamp")
    for folder in (".", "..//lamp", tmp_path / "lamp"):
        assert rvfs("model", "check", folder)[:2] == (
            0, f"{folder}: 2 states, 2 events, 1 binding, deterministic\n",
        )  # fmt: skip


def test_what_is_neither_file_nor_monitor_is_refused(rvfs: Say) -> None:
    expected = "lamp: expected a .dot, .gv or .ltl file, a folder or a shipped monitor"
    assert rvfs("model", "check", "lamp") == (2, "", f"{expected}\n")
    with pytest.raises(InvalidInput, match=expected):
        rvfs("model", "show", "lamp")


def test_show_prints_the_tables_in_columns(rvfs: Say) -> None:
    assert rvfs("model", "show", "wwnr") == (0, """\
wwnr: wakeup while not running per-task testing model.
state        mark           switch_in  switch_out   wakeup
not_running  initial,final  running    -            not_running
running      -              -          not_running  -

tracepoint          task      entry   event       when
sched:sched_switch  prev_pid  start   switch_out  prev_state == 1
sched:sched_switch  prev_pid  handle  switch_out  -
sched:sched_switch  next_pid  handle  switch_in   -
sched:sched_wakeup  pid       handle  wakeup      -
""", "")  # fmt: skip


def test_show_of_a_lone_model_has_no_bindings(rvfs: Say, tmp_path: Path) -> None:
    assert rvfs("model", "show", write_lamp(tmp_path, sheet=None)) == (0, """\
lamp
state  mark           down  up
off    initial,final  -     on
on     -              off   -
""", "")  # fmt: skip


def test_show_draws_frames_on_a_terminal(rvfs: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    _, out, _ = rvfs("model", "show", "wwnr")
    assert "┃" in out
    assert "not_running" in out


def test_dot_is_read_back_as_the_same_model(rvfs: Say) -> None:
    status, out, err = rvfs("model", "dot", "sched:sssw")
    assert (status, err) == (0, "")
    assert parse_dot(out, file="sssw.dot").model == shipped_monitor("sssw").monitor.model


def test_a_container_has_no_dot(rvfs: Say) -> None:
    with pytest.raises(InvalidInput, match="sched is a container; name one of: sco, snroc"):
        rvfs("model", "dot", "sched")


def test_show_prints_what_a_hybrid_model_has_of_time(rvfs: Say) -> None:
    status, out, err = rvfs("model", "show", STALL)
    assert (status, err) == (0, "")
    transitions, constraints, numbers, bindings = out.split("\n\n")
    assert [line.split()[:3] for line in transitions.splitlines()[1:]] == [
        ["state", "mark", "invariant"], ["dequeued", "initial,final", "-"],
        ["enqueued", "-", "clk"], ["running", "-", "-"],
    ]  # fmt: skip
    assert "enqueued  -              clk < threshold_jiffies  running " in transitions
    assert (
        constraints
        == """\
state     event                 guard  reset
dequeued  sched_wakeup          -      clk
running   sched_switch_preempt  -      clk"""
    )
    assert (
        numbers
        == """\
name               kind       value
threshold_jiffies  parameter  1000"""
    )
    assert bindings.startswith("tracepoint          task      entry   event ")
    assert rvfs("model", "check", STALL)[1] == (
        f"{STALL}: 3 states, 4 events, 1 clock, 4 bindings, deterministic\n"
    )


RULE = """\
#! description = "doors are shut."
#! scope = "object"
#! [init]
#! OPEN = false
#! [[on]]
#! tracepoint = "sched:sched_waking"
#! id = "target_cpu - common_cpu"
#! update = { OPEN = true, NIGHT = "prio < 100" }
RULE = always (NIGHT imply not OPEN)
"""


def test_show_prints_the_text_and_the_atoms_of_a_rule(rvfs: Say, tmp_path: Path) -> None:
    path = tmp_path / "shut.ltl"
    path.write_text(RULE)
    assert rvfs("model", "show", path) == (0, """\
shut: doors are shut.
RULE = always (NIGHT imply (not OPEN))

atom   in traces  from the start
NIGHT  ni         -
OPEN   op         false

tracepoint          object                   action  atoms                            when
sched:sched_waking  target_cpu - common_cpu  update  OPEN = true, NIGHT = prio < 100  -
""", "")  # fmt: skip
    assert rvfs("model", "check", path) == (
        0, f"{path}: 2 atoms, 1 state set, 1 binding, deterministic\n", "",
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="shut is a rule: it has no picture"):
        rvfs("model", "dot", path)


def write_tracefs(folder: Path) -> Path:
    event = folder / "events" / "lamps" / "lamp_up"
    event.mkdir(parents=True)
    declared = Tracepoint.declare("lamps", "lamp_up", ["pid_t pid", "int watt"])
    (event / "format").write_text(declared.format_text(7))
    return folder


def test_bind_writes_a_skeleton_of_what_a_tracefs_has(rvfs: Say, tmp_path: Path) -> None:
    path = write_lamp(tmp_path, sheet=None, text=LAMP.replace('"up"', '"lamp_up"'))
    status, out, err = rvfs("model", "bind", path, "--tracefs", write_tracefs(tmp_path))
    assert (status, err) == (0, "")
    assert (
        out
        == f"""\
# Bindings of lamp: which events of the system it sees.
# Tracepoints are those of {tmp_path}; look at what is marked EDIT.
description = "lamp."  # EDIT: one line on what it checks
scope = "task"  # or cpu, global, object

# down: no tracepoint has a name like it.
# [[on]]
# tracepoint = "system:name"
# event = "down"
# entry = "start"

# lamps:lamp_up: pid_t pid; int watt
[[on]]
tracepoint = "lamps:lamp_up"
task = "pid"
event = "lamp_up"
"""
    )


def test_bind_writes_to_a_new_file_only(rvfs: Say, tmp_path: Path) -> None:
    path, target = write_lamp(tmp_path, sheet=None), tmp_path / "lamp.toml"
    assert rvfs("model", "bind", path, "-o", target) == (0, "", "")
    assert rvfs("model", "check", path)[0] == 0
    with pytest.raises(InvalidInput, match=r"lamp.toml: File exists"):
        rvfs("model", "bind", path, "-o", target)


def test_bind_knows_what_a_recording_has(rvfs: Say, tmp_path: Path) -> None:
    path = write_lamp(tmp_path, sheet=None, text=LAMP.replace('"up"', '"switch_in"'))
    recording = tmp_path / "rec.txt"
    recording.write_text(
        " a-7 [000] 1.000000: sched_switch: prev_comm=a prev_pid=7 prev_prio=120 prev_state=S "
        "==> next_comm=b next_pid=8 next_prio=120\n"
    )
    _, out, _ = rvfs("model", "bind", path, "--trace", recording)
    assert f"# Tracepoints are those of {recording};" in out
    assert 'tracepoint = "sched:sched_switch"' in out
    recording.write_text(" a-7 [000] 1.000000: sched_waking: comm=a pid=7 prio=1 target_cpu=000\n")
    assert 'tracepoint = "sched' not in rvfs("model", "bind", path, "--trace", recording)[1]


def test_bind_of_what_cannot_be_read_is_refused(rvfs: Say, tmp_path: Path) -> None:
    path = write_lamp(tmp_path, sheet=None)
    with pytest.raises(InvalidInput, match="events: No such file or directory"):
        rvfs("model", "bind", path, "--tracefs", tmp_path)
    (tmp_path / "events").mkdir()
    with pytest.raises(InvalidInput, match="events: no event can be read there"):
        rvfs("model", "bind", path, "--tracefs", tmp_path)
    with pytest.raises(ModelError, match="not a model file"):
        rvfs("model", "bind", "wwnr")


def test_list_is_in_the_order_of_available_monitors(rvfs: Say, tmp_path: Path) -> None:
    (tmp_path / "lamp").mkdir()
    write_lamp(tmp_path / "lamp")
    status, out, err = rvfs("list", "--monitors", tmp_path)
    assert (status, err) == (0, "")
    assert (
        out
        == """\
wip              wakeup in preemptive per-cpu testing monitor.
wwnr             wakeup while not running per-task testing model.
sched            container for several scheduler monitor specifications.
sched:opid       operations with preemption and irq disabled.
sched:sssw       set state sleep and wakeup.
sched:nrp        need resched preempts.
sched:sts        schedule implies task switch.
sched:snep       schedule does not enable preempt.
sched:scpd       schedule called with preemption disabled.
sched:snroc      set non runnable on its own context.
sched:sco        scheduling context operations.
rtapp            Collection of monitors for detecting problems with real-time applications
rtapp:wakeup     Monitor that real-time tasks are not woken by lower-priority tasks
rtapp:sleep      Monitor that RT tasks do not undesirably sleep
rtapp:pagefault  Monitor that RT tasks do not raise page faults
stall            identify tasks stalled for longer than a threshold.
deadline         container for several deadline scheduler specifications.
deadline:nomiss  dl entities run to completion before their deadline.
lamp             a lamp.
"""
    )


def test_declaring_the_commands_loads_nothing_heavy() -> None:
    code = (
        "import argparse, sys; from rvfs.cli import model, listing\n"
        "commands = argparse.ArgumentParser().add_subparsers()\n"
        "model.add_parser(commands), listing.add_parser(commands)\n"
        "print(*{'numpy', 'lark', 'pydot', 'pyparsing', 'rich', 'trio'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
