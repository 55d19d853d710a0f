"""Monitors that are made, loaded and replaced through the files of the tree."""

import errno
import logging
from pathlib import Path

import pytest

from rvfs.bundle import Bundle, Item, to_toml
from rvfs.errors import (
    AlreadyRegistered,
    CannotMake,
    InvalidInput,
    ModelError,
    NotEmpty,
    NotPermitted,
    RvfsError,
)
from rvfs.files import Directory
from rvfs.monitor_files import MAKERS
from rvfs.registry import FILES
from rvfs.state import Shelf
from tests.tree.test_tree import Served

LAMP = """digraph state_automaton {
    {node [shape = plaintext, style = invis, label = ""] "__init_off"};
    {node [shape = doublecircle] "off"};
    {node [shape = circle] "on"};
    "__init_off" -> "off";
    "off" -> "on" [ label = "wakeup" ];
    "on" -> "off" [ label = "switch" ];
}
"""
#: The same with another name for what the bindings call "switch".
OTHER = LAMP.replace("switch", "sleep")
BINDINGS = """description = "a lamp"
scope = "cpu"
[[on]]
tracepoint = "sched:sched_wakeup"
event = "wakeup"
entry = "start_run"
[[on]]
tracepoint = "sched:sched_switch"
event = "switch"
"""
OTHER_BINDINGS = BINDINGS.replace('"switch"', '"sleep"').replace("a lamp", "another")
PER_TASK = BINDINGS.replace('"cpu"', '"task"')


class Bench(Served):
    """A tree, and what a shell does to it; ``state`` is its ``--state``."""

    def __init__(self, state: Path | None = None, task_slots: int = 32) -> None:
        super().__init__(task_slots, shelf=Shelf(state) if state else None)
        if state:
            self.workshop.restore()

    def state(self) -> tuple[object, ...]:
        monitors = self.registry.monitors
        return (
            *super().state(), list(self.vocabulary),
            [(one.form, dict(one.params), one.program, one.enabled) for one in monitors],
            [[child.name for child in one.children] for one in monitors],
        )  # fmt: skip

    def mkdir(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        above = self.tree.node(folder)
        assert isinstance(above, Directory)
        assert above.make is not None
        above.make(name)

    def rmdir(self, path: str) -> None:
        node = self.tree.node(path)
        assert isinstance(node, Directory)
        if node.remove is None:
            raise NotPermitted(path)
        node.remove()

    def put(self, path: str, text: str) -> None:
        """``cat > path``, taken when it is closed."""
        self.file(path).write(text.encode())

    def lamp(self, path: str = "monitors/lamp") -> None:
        self.mkdir(path)
        self.put(f"{path}/model", LAMP)
        self.put(f"{path}/bindings", BINDINGS)

    def said(self) -> str:
        return self.cat("load")


@pytest.fixture
def rv() -> Bench:
    return Bench()


def load(*monitors: dict[str, str], replace: bool = False) -> str:
    return to_toml(Bundle(tuple(Item(**monitor) for monitor in monitors), replace))


# -- a folder ------------------------------------------------------------------------------------


def test_every_file_of_a_monitor_is_a_name_that_children_cannot_have() -> None:
    assert tuple(MAKERS) == FILES


def test_a_fresh_folder_is_an_empty_container(rv: Bench) -> None:
    rv.mkdir("monitors/mine")
    assert rv.ls("monitors/mine") == sorted({*FILES} - {"params"})
    assert [rv.cat(f"monitors/mine/{name}") for name in ("desc", "model", "error", "enable")] == [
        "\n", "", "", "0\n",
    ]  # fmt: skip
    rv.mkdir("monitors/mine/child")
    assert rv.cat("available_monitors").endswith("sched:sco\nmine\nmine:child\n")


REFUSED: list[tuple[str, type[RvfsError], str]] = [
    ("monitors/wip", AlreadyRegistered, "Monitor wip is already registered"),
    ("monitors/sco", AlreadyRegistered, "Monitor sco is already registered"),
    ("monitors/a b", InvalidInput, "white space"),
    ("monitors/.a", InvalidInput, "leading dot"),
    ("monitors/a:b", InvalidInput, "':'"),
    ("monitors/\udcff", InvalidInput, "UTF-8"),
    ("monitors/" + "x" * 32, InvalidInput, "longer than 32"),
    ("monitors/wip/mine", InvalidInput, "no container"),
    ("monitors/sched/sco/mine", InvalidInput, "already nested"),
    ("monitors/sched/model", CannotMake, "file of its container"),
]


@pytest.mark.parametrize(("path", "error", "says"), REFUSED)
def test_where_no_folder_can_be_made(
    rv: Bench, path: str, error: type[RvfsError], says: str
) -> None:
    before = rv.state()
    with pytest.raises(error, match=says):
        rv.mkdir(path)
    assert rv.state() == before


def test_a_folder_is_removed_and_its_name_is_free_again(rv: Bench) -> None:
    rv.lamp()
    rv.echo("1", "monitors/lamp/enable")
    old = rv.registry.find("lamp")
    rv.rmdir("monitors/lamp")
    assert old.free
    assert "lamp" not in rv.ls("monitors")
    assert rv.engine.wanted() == {}
    rv.lamp()


def test_what_stays(rv: Bench) -> None:
    rv.mkdir("monitors/box")
    rv.mkdir("monitors/box/in")
    before = rv.state()
    with pytest.raises(NotEmpty, match="in"):
        rv.rmdir("monitors/box")
    for path in ("monitors/wip", "monitors/sched", "monitors/sched/sco", "monitors", "events"):
        with pytest.raises(NotPermitted):
            rv.rmdir(path)
    assert rv.state() == before
    rv.rmdir("monitors/box/in")
    rv.rmdir("monitors/box")


# -- its texts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["model bindings", "bindings model"])
def test_model_and_bindings_come_in_either_order(rv: Bench, order: str) -> None:
    texts = {"model": LAMP, "bindings": BINDINGS}
    rv.mkdir("monitors/lamp")
    first, second = order.split()
    rv.put(f"monitors/lamp/{first}", texts[first])
    with pytest.raises(InvalidInput, match=f"monitor lamp has no {second} yet"):
        rv.echo("1", "monitors/lamp/enable")
    with pytest.raises(InvalidInput, match="no container"):
        rv.mkdir("monitors/lamp/child")
    rv.put(f"monitors/lamp/{second}", texts[second])
    rv.echo("1", "monitors/lamp/enable")
    assert rv.cat("monitors/lamp/desc") == "a lamp\n"
    assert rv.cat("monitors/lamp/bindings") == BINDINGS
    assert '"off" -> "on" [ label = "wakeup" ];' in rv.cat("monitors/lamp/model")
    assert rv.cat("enabled_monitors") == "lamp\n"


def test_a_model_is_shown_before_its_bindings_have_come(rv: Bench) -> None:
    rv.mkdir("monitors/lamp")
    rv.put("monitors/lamp/model", LAMP)
    assert '"off" -> "on"' in rv.cat("monitors/lamp/model")
    assert (rv.cat("monitors/lamp/bindings"), rv.cat("monitors/lamp/desc")) == ("", "\n")


def test_an_empty_container_that_is_on_goes_off_when_it_begins_to_be_a_monitor(rv: Bench) -> None:
    rv.mkdir("monitors/lamp")
    rv.echo("1", "monitors/lamp/enable")
    rv.put("monitors/lamp/model", LAMP)
    assert rv.cat("monitors/lamp/enable") == "0\n"


def carrying(bindings: str, model: str) -> str:
    """A model with its bindings in it."""
    return "".join(f"//! {line}\n" for line in bindings.splitlines()) + model


def test_a_model_that_carries_its_bindings_needs_no_others(rv: Bench) -> None:
    rv.mkdir("monitors/lamp")
    rv.put("monitors/lamp/model", carrying(BINDINGS, LAMP))
    rv.echo("1", "monitors/lamp/enable")
    assert (rv.cat("monitors/lamp/desc"), rv.cat("monitors/lamp/bindings")) == ("a lamp\n", "")
    with pytest.raises(ModelError, match="model:1: it carries bindings, and there is bindings"):
        rv.put("monitors/lamp/bindings", BINDINGS)
    with pytest.raises(InvalidInput, match="lamp is whole; without bindings it would not be"):
        rv.put("monitors/lamp/model", LAMP)
    assert rv.cat("monitors/lamp/enable") == "1\n"


def test_a_model_that_carries_its_bindings_takes_the_place_of_both(rv: Bench) -> None:
    rv.lamp()
    rv.put("monitors/lamp/model", carrying(OTHER_BINDINGS, OTHER))
    assert (rv.cat("monitors/lamp/desc"), rv.cat("monitors/lamp/bindings")) == ("another\n", "")


RULE = "RULE = always (RUNS imply not BUSY)\n"
RULE_BINDINGS = """description = "a rule"
scope = "task"
[[on]]
tracepoint = "sched:sched_wakeup"
task = "pid"
update = { RUNS = true }
[[on]]
tracepoint = "sched:sched_switch"
update = { BUSY = true }
"""


def test_a_rule_is_a_model_like_any_other(tmp_path: Path) -> None:
    rv = Bench(tmp_path)
    rv.lamp()
    rv.mkdir("monitors/rule")
    rv.put("monitors/rule/bindings", RULE_BINDINGS)
    rv.put("monitors/rule/model", RULE)
    rv.echo("1", "monitors/rule/enable")
    assert "RULE = always" in rv.cat("monitors/rule/model")
    assert (tmp_path / "rule/rule.ltl").read_text() == RULE
    rv.put("load", load({"name": "rule", "model": LAMP, "bindings": BINDINGS}, replace=True))
    assert sorted(path.name for path in (tmp_path / "rule").iterdir()) == [
        "rule.dot", "rule.toml",
    ]  # fmt: skip
    assert rv.cat("monitors/rule/enable") == "1\n"


BAD = [
    ("model", LAMP[:100], r"model:3:\d+: "),
    ("model", OTHER, r"bindings:9:1: .*'switch'"),
    ("model", "", "model:1:1: "),
    ("bindings", BINDINGS.replace('"a lamp"', "7"), "bindings:1:1: "),
    ("bindings", OTHER_BINDINGS, "bindings:9:1: .*'sleep'"),
    ("bindings", BINDINGS.replace("sched_wakeup", 'sched_wakeup"\ntask = "prev'), "bindings:5"),
    ("bindings", 'description = "box"\nchildren = []\n', "bindings:2:1: .*no container"),
]


@pytest.mark.parametrize(("name", "text", "says"), BAD)
def test_a_bad_text_leaves_the_old_one_in_force(rv: Bench, name: str, text: str, says: str) -> None:
    rv.lamp()
    rv.echo("1", "monitors/lamp/enable")
    shown = [rv.cat(f"monitors/lamp/{each}") for each in ("model", "bindings", "desc", "enable")]
    before = rv.state()
    with pytest.raises(ModelError, match=says) as caught:
        rv.put(f"monitors/lamp/{name}", text)
    assert caught.value.errno == errno.EINVAL
    assert rv.cat("monitors/lamp/error").startswith(f"{caught.value}\n")
    assert rv.state() == before
    assert shown == [
        rv.cat(f"monitors/lamp/{each}") for each in ("model", "bindings", "desc", "enable")
    ]
    rv.put("monitors/lamp/model", LAMP)
    assert rv.cat("monitors/lamp/error") == ""


def test_every_fault_of_a_text_is_in_error_and_bytes_have_a_place(rv: Bench) -> None:
    rv.lamp()
    with pytest.raises(ModelError):
        rv.put("monitors/lamp/bindings", BINDINGS.replace("sched_", "sched!").replace("cpu", "x"))
    assert [line.split(": ")[0] for line in rv.cat("monitors/lamp/error").splitlines()] == [
        "bindings:2:1", "bindings:4:1", "bindings:8:1",
    ]  # fmt: skip
    with pytest.raises(ModelError, match="model:2:3: not UTF-8 text"):
        rv.file("monitors/lamp/model").write(b"ab\nab\xff")


def test_a_container_with_children_gets_no_model_but_a_description(rv: Bench) -> None:
    rv.mkdir("monitors/box")
    rv.lamp("monitors/box/lamp")
    with pytest.raises(InvalidInput, match="has children"):
        rv.put("monitors/box/model", LAMP)
    rv.put("monitors/box/bindings", 'description = "a box"\nchildren = ["lamp"]\n')
    assert rv.cat("monitors/box/desc") == "a box\n"
    rv.mkdir("monitors/box/two")
    assert rv.cat("monitors/box/bindings") == (
        'description = "a box"\nchildren = ["lamp", "two"]\n'
    )


def test_the_files_of_a_removed_monitor_are_gone(rv: Bench) -> None:
    rv.lamp()
    model = rv.file("monitors/lamp/model")
    model.owner.hold()
    rv.rmdir("monitors/lamp")
    rv.lamp()
    with pytest.raises(RvfsError) as caught:
        model.check()
    assert caught.value.errno == errno.ENODEV
    assert rv.file("monitors/lamp/model") is not model


def test_the_events_of_a_monitor_are_there_when_it_is_whole(rv: Bench) -> None:
    rv.mkdir("monitors/lamp")
    rv.put("monitors/lamp/model", LAMP)
    assert "event_lamp" not in rv.ls("events/rv")
    rv.put("monitors/lamp/bindings", BINDINGS)
    rv.echo("1", "events/rv/event_lamp/enable")
    number = rv.cat("events/rv/event_lamp/id")
    rv.put("monitors/lamp/bindings", PER_TASK)
    assert "int id" in rv.cat("events/rv/event_lamp/format")
    assert (rv.cat("events/rv/event_lamp/id"), rv.cat("events/rv/event_lamp/enable")) == (
        number, "1\n",
    )  # fmt: skip
    rv.rmdir("monitors/lamp")
    assert "event_lamp" not in rv.ls("events/rv")


def test_a_scope_takes_its_slot_along(rv: Bench) -> None:
    rv.lamp()
    rv.echo("1", "monitors/lamp/enable")
    rv.put("monitors/lamp/bindings", PER_TASK)
    assert rv.registry.task_slots.holders[0] == "lamp"
    rv.put("monitors/lamp/bindings", BINDINGS)
    assert rv.registry.task_slots.holders[0] is None


def test_without_a_slot_a_monitor_that_is_on_stays_what_it_was() -> None:
    rv = Bench(task_slots=1)
    rv.lamp()
    rv.echo("lamp", "enabled_monitors")
    rv.echo("snroc", "enabled_monitors")
    before = rv.state()
    with pytest.raises(RvfsError, match="held by snroc") as caught:
        rv.put("monitors/lamp/bindings", PER_TASK)
    assert caught.value.errno == errno.EBUSY
    assert rv.state() == before
    assert "held by snroc" in rv.cat("monitors/lamp/error")
    assert rv.cat("monitors/lamp/bindings") == BINDINGS


# -- a set ---------------------------------------------------------------------------------------

BOX = {"name": "box", "bindings": 'description = "a box"\nchildren = ["lamp", "other"]\n'}
IN_BOX = {"name": "lamp", "parent": "box", "model": LAMP, "bindings": BINDINGS}
OTHER_IN_BOX = {"name": "other", "parent": "box", "model": OTHER, "bindings": OTHER_BINDINGS}


def test_a_set_is_loaded_at_once(rv: Bench) -> None:
    rv.put("load", load(BOX, IN_BOX, OTHER_IN_BOX))
    assert rv.said() == ""
    assert rv.cat("available_monitors").endswith("box\nbox:other\nbox:lamp\n")
    assert rv.cat("monitors/box/desc") == "a box\n"
    rv.echo("1", "monitors/box/enable")
    assert rv.cat("enabled_monitors") == "box\nbox:other\nbox:lamp\n"


FAULTY: list[tuple[str, type[RvfsError], str]] = [
    ("existing = 7", ModelError, "load:1:1: existing wants a text"),
    (load(IN_BOX), RvfsError, "there is no monitor 'box'"),
    (load(BOX, IN_BOX, {**OTHER_IN_BOX, "model": LAMP}), ModelError, "bindings:9:1: .*'sleep'"),
    (load(BOX, IN_BOX, {"name": "wip", "model": LAMP}), AlreadyRegistered, "wip is already"),
    (load(BOX, IN_BOX, {"name": "new", "model": LAMP}), InvalidInput, "new: there is no bindings"),
    (load(BOX, IN_BOX, {**IN_BOX, "parent": "sched"}), ModelError, "more than one monitor lamp"),
    (load(BOX, IN_BOX, {"name": "wip", "bindings": PER_TASK, "parent": "box"}, replace=True),
     InvalidInput, "is known as wip"),
    (load(BOX, {**IN_BOX, "model_file": "a.dot", "model": "x"}), ModelError, "a.dot:1:1: "),
]  # fmt: skip


@pytest.mark.parametrize(("document", "error", "says"), FAULTY)
def test_a_set_with_a_fault_in_it_is_not_loaded_at_all(
    rv: Bench, document: str, error: type[RvfsError], says: str
) -> None:
    before = rv.state()
    with pytest.raises(error, match=says) as caught:
        rv.put("load", document)
    assert rv.said().startswith(f"{caught.value}\n")
    assert rv.state() == before


def test_a_set_is_replaced_at_once(rv: Bench) -> None:
    """The two change what they call an event, which neither could alone."""
    rv.put("load", load(BOX, IN_BOX))
    rv.echo("1", "monitors/box/enable")
    rv.put("load", load({**IN_BOX, "model": OTHER, "bindings": OTHER_BINDINGS}, replace=True))
    assert rv.cat("monitors/box/lamp/desc") == "another\n"
    assert rv.cat("monitors/box/lamp/enable") == "1\n"


def test_warnings_are_said(rv: Bench, caplog: pytest.LogCaptureFixture) -> None:
    doubtful = BINDINGS.replace("sched:sched_switch", "sched:sched_nothing")
    rv.put("load", load({"name": "lamp", "model": LAMP, "bindings": doubtful}))
    assert rv.said() == "bindings:8: warning: there is no tracepoint sched:sched_nothing\n"
    assert [r.getMessage() + "\n" for r in caplog.records if r.levelno == logging.WARNING] == [
        rv.said()
    ]
    caplog.clear()
