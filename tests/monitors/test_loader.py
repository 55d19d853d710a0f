"""Folders of monitors: what is read, and what is wrong with those that cannot be."""

from importlib import metadata
from pathlib import Path

import pytest

from rvfs.errors import AlreadyRegistered, InvalidInput, ModelError, UnknownName
from rvfs.monitor import Entry, Scope
from rvfs.monitors import (
    LANGUAGES,
    SHIPPED,
    available,
    from_folder,
    load_model_file,
    load_monitor,
    plugins,
    shipped,
    shipped_monitor,
)
from rvfs.tracepoint import Tracepoint, Vocabulary

MODEL = 'digraph { __init_off; off; on; off -> on [label="up"]; on -> off [label="down"] }'
SHEET = """\
description = "a lamp."
scope = "cpu"

[[on]]
tracepoint = "sched:sched_waking"
event = "up"
entry = "start"

[[on]]
tracepoint = "sched:sched_switch"
when = "prev_state == 0"
event = "down"
"""


def write_lamp(parent: Path, name: str = "lamp", sheet: str = SHEET, model: str = MODEL) -> Path:
    folder = parent / name
    folder.mkdir(parents=True)
    (folder / f"{name}.dot").write_text(model)
    (folder / f"{name}.toml").write_text(sheet)
    return folder


def write_container(parent: Path, sheet: str, name: str = "box") -> Path:
    folder = parent / name
    folder.mkdir()
    (folder / f"{name}.toml").write_text(sheet)
    return folder


def faults_of(folder: Path) -> list[str]:
    with pytest.raises(ModelError) as caught:
        load_monitor(folder)
    return [str(fault).replace(f"{folder}/", "") for fault in (caught.value, *caught.value.also)]


def test_a_folder_is_a_monitor(tmp_path: Path) -> None:
    loaded = load_monitor(write_lamp(tmp_path))
    assert (loaded.monitor.name, loaded.monitor.description) == ("lamp", "a lamp.")
    assert loaded.monitor.scope is Scope.CPU
    up, down = loaded.monitor.bindings
    assert (up.tracepoint, up.event, up.entry, up.when) == (
        "sched:sched_waking", "up", Entry.START, None,
    )  # fmt: skip
    assert down.when is not None
    assert (down.entry, down.when.text) == (Entry.HANDLE, "prev_state == 0")
    assert loaded.warnings == ()


def test_a_folder_of_folders_is_read_by_name(tmp_path: Path) -> None:
    for name in ("zeta", "alpha", "mid"):
        write_lamp(tmp_path, name)
    (tmp_path / "README").write_text("nothing")
    (tmp_path / ".git").mkdir()
    assert [loaded.monitor.name for loaded in from_folder(tmp_path)] == ["alpha", "mid", "zeta"]


def test_a_container_keeps_the_order_of_its_file(tmp_path: Path) -> None:
    box = write_container(tmp_path, 'description = "b"\nchildren = ["two", "one"]')
    for name in ("one", "two"):
        write_lamp(box, name)
    loaded = load_monitor(box)
    assert loaded.monitor.is_container
    assert [child.monitor.name for child in loaded.children] == ["two", "one"]


def test_a_container_may_be_empty(tmp_path: Path) -> None:
    loaded = load_monitor(write_container(tmp_path, 'description = "b"\nchildren = []'))
    assert loaded.monitor.is_container
    assert loaded.children == ()


def with_line(number: int, *lines: str) -> str:
    """The sheet with one line replaced."""
    all_lines = SHEET.splitlines()
    all_lines[number - 1 : number] = lines
    return "\n".join(all_lines)


FAULTY_SHEETS = {
    'description = "open': ["lamp.toml:1: Unterminated string"],
    'description = "d"\nscope = ?\n': ["lamp.toml:2:9: Invalid value"],
    "": [
        "lamp.toml: 'description' is missing: one line on what the monitor checks",
        "lamp.toml: 'scope' is missing: one of global, cpu, task, object",
    ],
    with_line(1, 'description = "a\\nb"'): [
        "lamp.toml:1:1: the description wants to be one line"
    ],
    with_line(1, "description = 3"): [
        "lamp.toml:1:1: description wants a text in quotes, not 3"
    ],
    with_line(2, 'scope = "thread"'): [
        "lamp.toml:2:1: scope wants one of global, cpu, task, object, not 'thread'"
    ],
    with_line(3, 'color = "red"'): [
        "lamp.toml:3:1: unknown key 'color' (known: description, scope, children, params, "
        "constants, values, init, on)"
    ],
    with_line(7, '  entry = "begin"'): [
        "lamp.toml:7:3: entry wants one of handle, start, start_run, reset, not 'begin'"
    ],
    with_line(7, "entry = true"): [
        "lamp.toml:7:1: entry wants a text in quotes, not True"
    ],
    with_line(10): ["lamp.toml:9:1: 'tracepoint' is missing: system:name, as in events/"],
    with_line(12): [
        "lamp.toml:9:1: 'event' is missing: an event of the model (of a rule: set, update, pulse)"
    ],
    with_line(10, 'tracepoint = "sched_switch"'): [
        "lamp.toml:10:1: tracepoint wants system:name, not 'sched_switch'"
    ],
    with_line(11, 'where = "x"'): [
        "lamp.toml:11:1: unknown key 'where' (known: tracepoint, event, entry, task, cpu, "
        "id, when, env, set, update, pulse)"
    ],
    with_line(11, 'when = "prev_state = 0"'): [
        "lamp.toml:11:1: cannot read the condition 'prev_state = 0' at column 12: "
        "expected one of == != < <= > >= & ~"
    ],
    with_line(11, 'when = "state == 0"'): [
        "lamp.toml:11:1: sched:sched_switch has no field 'state' (it has: prev_comm, prev_pid, "
        "prev_prio, prev_state, next_comm, next_pid, next_prio)"
    ],
    with_line(11, "when = 'prev_state == \"R\"'"): [
        "lamp.toml:11:1: field prev_state of sched:sched_switch is a number, not a text"
    ],
    with_line(11, 'when = "prev_comm == 1"'): [
        "lamp.toml:11:1: field prev_comm of sched:sched_switch is a text, not a number"
    ],
    with_line(11, 'cpu = "prev_comm"'): [
        "lamp.toml:11:1: field prev_comm of sched:sched_switch is a text, not a number"
    ],
    with_line(11, 'task = "prev_pid"'): ["lamp.toml:11:1: scope cpu has no instance per task"],
    with_line(12, 'event = "sideways"'): [
        "lamp.toml:12:1: the model has no event 'sideways' (it has: down, up)"
    ],
    'on = 3\ndescription = "d"\nscope = "cpu"': [
        "lamp.toml:1:1: expected [[on]] tables", "lamp.toml:1:1: on wants a list, not 3",
    ],
    with_line(1, 'description = """', "[[on]]", '"""').replace('"start"', '"x"'): [
        "lamp.toml: entry wants one of handle, start, start_run, reset, not 'x'",
        "lamp.toml:1:1: the description wants to be one line",
    ],
    # where a table cannot be told apart for sure, no line is named
    'description = "d"\nscope = "cpu"\non = [{ tracepoint = "a:b", event = "e", entry = "x" }]': [
        "lamp.toml: entry wants one of handle, start, start_run, reset, not 'x'"
    ],
}  # fmt: skip


@pytest.mark.parametrize("sheet", FAULTY_SHEETS)
def test_a_faulty_sheet_is_named_with_its_lines(sheet: str, tmp_path: Path) -> None:
    assert faults_of(write_lamp(tmp_path, sheet=sheet)) == FAULTY_SHEETS[sheet]


def test_a_comment_does_not_shift_the_lines(tmp_path: Path) -> None:
    sheet = SHEET.replace("\n[[on]]\ntracepoint", '\n# [[on]]\n# event = "x"\n[[on]]\ntracepoint')
    faulty = sheet.replace('event = "down"', 'event = "sideways"')
    assert faults_of(write_lamp(tmp_path, sheet=faulty))[0].startswith("lamp.toml:16:1: ")


def test_a_faulty_model_is_named(tmp_path: Path) -> None:
    assert faults_of(write_lamp(tmp_path, model="digraph {")) == [
        "lamp.dot:1:10: expected a name or '{' or '}', found the end of the file"
    ]


def test_a_model_file_must_be_there_and_alone(tmp_path: Path) -> None:
    folder = write_lamp(tmp_path)
    (folder / "lamp.gv").write_text(MODEL)
    expected = f"{folder}: expected one model file, {' or '.join(f'lamp{s}' for s in LANGUAGES)}"
    assert faults_of(folder) == [f"{expected}, found lamp.dot, lamp.gv"]
    (folder / "lamp.gv").unlink()
    (folder / "lamp.dot").rename(folder / "other.dot")
    assert faults_of(folder) == [f"{expected}, found other.dot"]
    (folder / "other.dot").unlink()
    assert faults_of(folder) == [f"{expected}, found none"]


def test_bindings_must_be_there(tmp_path: Path) -> None:
    folder = write_lamp(tmp_path)
    (folder / "lamp.toml").unlink()
    assert faults_of(folder) == ["lamp.dot: it carries no bindings, and there is no lamp.toml"]
    (folder / "lamp.dot").unlink()
    assert faults_of(folder) == ["lamp.toml: No such file or directory"]


def test_files_of_other_editors_are_read(tmp_path: Path) -> None:
    plain, folder = write_lamp(tmp_path / "plain"), write_lamp(tmp_path / "other")
    for name, text in (("lamp.dot", MODEL), ("lamp.toml", SHEET)):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load_monitor(folder) == load_monitor(plain)


def test_the_place_of_what_is_no_utf8_is_told(tmp_path: Path) -> None:
    folder = write_lamp(tmp_path)
    (folder / "lamp.dot").write_bytes("digraph {\n // größe ".encode() + b"gr\xf6\xdfe\n}")
    assert faults_of(folder) == ["lamp.dot:2:13: not UTF-8 text"]


def test_text_is_utf8(tmp_path: Path) -> None:
    folder = write_lamp(tmp_path)
    (folder / "lamp.toml").write_bytes(b'description = "\xff"')
    assert faults_of(folder) == ["lamp.toml:1:16: not UTF-8 text"]


def test_a_name_that_the_tree_cannot_show_is_refused(tmp_path: Path) -> None:
    assert faults_of(write_lamp(tmp_path, "a lamp"))[0].startswith(
        "a lamp.toml: monitor name 'a lamp' has '/', ':', '!', white space"
    )


FAULTY_CONTAINERS = {
    'description = "b"\nchildren = ["lamp", "gone"]': "box.toml:2:1: gone is no folder here",
    'description = "b"\nchildren = []': "box.toml:2:1: lamp is not among the children",
    'description = "b"\nchildren = ["lamp", "lamp"]':
        "box.toml:2:1: children wants names in quotes, each once",
    'description = "b"\nscope = "cpu"\nchildren = ["lamp"]':
        "box.toml:2:1: a container has no 'scope'; its children have",
    'description = "b"\nchildren = ["lamp"]\n[[on]]\nevent = "e"':
        "box.toml: a container has no 'on'; its children have",
}  # fmt: skip


@pytest.mark.parametrize("sheet", FAULTY_CONTAINERS)
def test_a_faulty_container_is_named(sheet: str, tmp_path: Path) -> None:
    box = write_container(tmp_path, sheet)
    write_lamp(box)
    assert faults_of(box) == [FAULTY_CONTAINERS[sheet]]


def test_a_container_has_no_model_and_no_containers(tmp_path: Path) -> None:
    box = write_container(tmp_path, 'description = "b"\nchildren = ["inner"]')
    write_container(box, 'description = "i"\nchildren = []', "inner")
    assert faults_of(box) == ["box.toml:2:1: inner is a container in a container"]
    (box / "box.dot").write_text(MODEL)
    assert faults_of(box) == ["box.toml:2:1: a container has no model, but there is box.dot"]


DOUBTS = {
    SHEET.replace("sched_waking", "sched_dreaming"):
        "lamp.toml:5: warning: there is no tracepoint sched:sched_dreaming",
    SHEET.replace('entry = "start"', ""):
        "lamp.toml: warning: it never begins to monitor: no entry is a start",
    SHEET + '[[on]]\ntracepoint = "sched:sched_waking"\nevent = "down"\n':
        "lamp.toml:14: warning: never taken: an earlier binding of sched:sched_waking "
        "has no condition",
}  # fmt: skip


@pytest.mark.parametrize("sheet", DOUBTS)
def test_what_is_hardly_meant_is_a_warning(sheet: str, tmp_path: Path) -> None:
    folder = write_lamp(tmp_path, sheet=sheet)
    loaded = load_monitor(folder)
    assert [text.replace(f"{folder}/", "") for text in loaded.warnings] == [DOUBTS[sheet]]


def test_a_dead_end_of_the_model_is_among_the_warnings(tmp_path: Path) -> None:
    folder = write_lamp(tmp_path, model=MODEL.replace("}", "x; on -> x [label=burn] }"))
    assert load_monitor(folder).warnings == (
        f"{folder}/lamp.dot:1:81: warning: state x is a dead end: every event there is a violation",
    )


def test_fields_are_those_of_the_given_vocabulary(tmp_path: Path) -> None:
    vocabulary = Vocabulary()
    vocabulary.add(Tracepoint.declare("sched", "sched_switch", ["int other"]))
    with pytest.raises(ModelError, match=r"has no field 'prev_state' \(it has: other\)"):
        load_monitor(write_lamp(tmp_path), vocabulary)


def test_a_folder_without_monitors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"holds no monitor; expected NAME/NAME\.toml in it"):
        from_folder(tmp_path)
    with pytest.raises(InvalidInput, match="nowhere is not a folder of monitors"):
        from_folder(tmp_path / "nowhere")


def test_a_folder_comes_after_the_shipped_monitors(tmp_path: Path) -> None:
    write_lamp(tmp_path)
    names = [loaded.monitor.name for loaded in available(tmp_path)]
    assert names == [*SHIPPED, "lamp"]


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    write_lamp(tmp_path, "sco")
    with pytest.raises(AlreadyRegistered, match="there is more than one monitor sco"):
        available(tmp_path)


def offer_plugins(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    points = [metadata.EntryPoint(name, value, "rvfs.monitors") for name, value in values.items()]
    monkeypatch.setattr(metadata, "entry_points", lambda group: metadata.EntryPoints(points))


def test_a_plugin_package_brings_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "rvfs_lamps"
    write_lamp(package / "monitors")
    (package / "__init__.py").write_text(
        "from importlib.resources import files\n"
        "FOLDER = files(__name__) / 'monitors'\n"
        "TEXT = str(FOLDER)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for attribute in ("FOLDER", "TEXT"):
        offer_plugins(monkeypatch, lamps=f"rvfs_lamps:{attribute}")
        assert [loaded.monitor.name for loaded in plugins()] == ["lamp"]


PLUGINS = """\
from pathlib import Path
GOOD, EMPTY, TAKEN = (str(Path(__file__).with_name(n)) for n in ("good", "empty", "taken"))
NONE = None
"""


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no_such_package:FOLDER", "No module named 'no_such_package'"),
        ("rvfs_raises:GOOD", "it does not work here"),
        ("rvfs_bad:NONE", "is_dir"),
        ("rvfs_bad:EMPTY", "empty is not a folder of monitors"),
        ("rvfs_bad:TAKEN", "there is more than one monitor sco"),
        ("rvfs_bad:GOOD", "there is more than one monitor lamp"),
    ],
)
def test_a_plugin_that_fails_is_left_out_and_named(
    value: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    (tmp_path / "rvfs_bad.py").write_text(PLUGINS)
    (tmp_path / "rvfs_raises.py").write_text("raise RuntimeError('it does not work here')")
    write_lamp(tmp_path / "good")
    write_lamp(tmp_path / "taken", "another")
    write_lamp(tmp_path / "taken", "sco")
    monkeypatch.syspath_prepend(tmp_path)
    offer_plugins(monkeypatch, a_good="rvfs_bad:GOOD", bad=value)
    assert [loaded.monitor.name for loaded in available()] == [*SHIPPED, "lamp"]
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("rvfs.monitors", "WARNING")
    assert record.getMessage().startswith(f"monitor plug-in bad ({value}) left out: ")
    assert why in record.getMessage()
    caplog.clear()


def test_a_folder_may_not_take_the_name_of_a_plugins_monitor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rvfs_bad.py").write_text(PLUGINS)
    write_lamp(tmp_path / "good")
    monkeypatch.syspath_prepend(tmp_path)
    offer_plugins(monkeypatch, lamps="rvfs_bad:GOOD")
    with pytest.raises(AlreadyRegistered, match="more than one monitor lamp"):
        available(tmp_path / "good")


def test_a_lone_model_takes_the_bindings_beside_it(tmp_path: Path) -> None:
    folder = write_lamp(tmp_path)
    monitor = load_model_file(folder / "lamp.dot")
    assert monitor == load_monitor(folder).monitor


def test_a_lone_model_takes_the_bindings_of_a_shipped_monitor(tmp_path: Path) -> None:
    path = tmp_path / "wwnr.dot"
    path.write_text(
        "digraph { __init_not_running; not_running; not_running -> not_running"
        ' [label="switch_in\\nswitch_out\\nwakeup"] }'
    )
    monitor = load_model_file(path)
    assert monitor.bindings == shipped_monitor("wwnr").monitor.bindings
    assert monitor.model is not None
    assert monitor.model.states == ("not_running",)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("lamp", "there is no shipped monitor lamp"),
        ("wwnr", "monitor wwnr: the model has no event 'switch_out'"),
        ("sched", "sched is a container"),
    ],
)
def test_a_lone_model_without_bindings_says_what_to_write(
    name: str, why: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}.dot"
    path.write_text(MODEL)
    with pytest.raises(ModelError) as caught:
        load_model_file(path)
    assert str(caught.value).startswith(f"{path}: no bindings fit: {why}")
    assert str(caught.value).endswith(
        f"; expected {tmp_path}/{name}.toml with a description, a scope and an [[on]] table "
        "(tracepoint, event) for each of: down, up"
    )


def test_a_lone_model_is_a_model_file(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"lamp.txt: not a model file; expected .dot or .gv or .ltl"
    ):
        load_model_file(tmp_path / "lamp.txt")
    with pytest.raises(ModelError, match=r"lamp.dot: No such file or directory"):
        load_model_file(tmp_path / "lamp.dot")


def test_a_shipped_monitor_has_a_short_and_a_long_name() -> None:
    assert shipped_monitor("sched:sco") is shipped_monitor("sco")
    assert shipped_monitor("wip") is shipped()[0]
    for name in ("bogus:sco", "wip:wip", "sched:", ""):
        with pytest.raises(UnknownName):
            shipped_monitor(name)
