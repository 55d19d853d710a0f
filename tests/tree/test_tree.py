"""The tree without a mount: paths, modes, what is read, what is written."""

import logging
from dataclasses import dataclass, field

import pytest

from rvfs.errors import Busy, Gone, InvalidInput, NotPermitted, RvfsError
from rvfs.files import Directory, File
from rvfs.hwbp.backend import ModelMachine
from rvfs.hwbp.breakpoint import X86
from rvfs.hwbp.held import Breakpoints
from rvfs.logbook import Logbook
from rvfs.monitor import Scope
from rvfs.pump import Pump
from rvfs.reactors.panic import Panic
from rvfs.state import Shelf
from rvfs.tree import Tree
from rvfs.workshop import Workshop
from tests.registry.fakes import Collect, Machine, container, monitor


@dataclass
class Served(Machine):
    """A tree over a machine with four monitors, to be read and written by path."""

    task_slots: int = 32
    logbook: Logbook = field(default_factory=Logbook)
    shelf: Shelf | None = None

    def __post_init__(self) -> None:
        super().__init__(self.task_slots)
        self.pump = Pump(self.engine, self.registry, self.trace)
        self.breakpoints = Breakpoints(ModelMachine(2, X86))
        self.workshop = Workshop(self.registry, self.vocabulary, self.shelf)
        self.tree = Tree(
            self.registry, self.vocabulary, self.trace, self.pump, self.logbook, self.breakpoints,
            self.workshop,
        )  # fmt: skip
        self.registry.register_monitor(monitor("wip"))
        self.registry.register_monitor(container("sched"))
        self.registry.register_monitor(monitor("sco"), "sched")
        self.registry.register_monitor(monitor("snroc", Scope.TASK), "sched")
        self.registry.register_reactor(Collect())

    def file(self, path: str) -> File:
        node = self.tree.node(path)
        assert isinstance(node, File)
        return node

    def cat(self, path: str) -> str:
        return self.file(path).read().decode()

    def echo(self, text: str, path: str) -> None:
        self.file(path).write(f"{text}\n".encode())

    def ls(self, path: str) -> list[str]:
        node = self.tree.node(path)
        assert isinstance(node, Directory)
        return sorted(node.children())


@pytest.fixture
def rv() -> Served:
    return Served()


def test_the_root_is_that_of_the_kernel_and_the_trace(rv: Served) -> None:
    assert rv.ls("") == [
        "available_monitors", "available_reactors", "enabled_monitors", "events", "hwbp", "load",
        "log", "monitoring_on", "monitors", "reacting_on", "trace", "trace_pipe",
    ]  # fmt: skip
    assert rv.ls("monitors") == ["sched", "wip"]
    assert rv.ls("monitors/wip") == [
        "bindings", "coverage", "desc", "enable", "error", "instances", "model", "reactors",
        "stats", "violations",
    ]  # fmt: skip
    assert set(rv.ls("monitors/sched")) - set(rv.ls("monitors/wip")) == {"sco", "snroc"}


def test_modes_are_those_of_tracefs(rv: Served) -> None:
    modes = {
        "": 0o700, "monitors": 0o750, "monitors/wip": 0o750, "available_monitors": 0o440,
        "enabled_monitors": 0o640, "monitoring_on": 0o640, "available_reactors": 0o440,
        "reacting_on": 0o640, "monitors/wip/enable": 0o640, "monitors/wip/desc": 0o440,
        "monitors/wip/reactors": 0o640, "events/sched/sched_switch/id": 0o440,
        "events/sched/sched_switch/inject": 0o200, "trace": 0o640, "trace_pipe": 0o440,
    }  # fmt: skip
    assert {path: rv.tree.node(path).mode for path in modes} == modes


def test_nlink_counts_folders(rv: Served) -> None:
    def nlink(path: str) -> int:
        node = rv.tree.node(path)
        assert isinstance(node, Directory)
        return node.nlink

    assert [nlink(path) for path in ("", "monitors", "monitors/wip", "monitors/sched")] == [
        5, 4, 2, 4,
    ]  # fmt: skip


def test_lists_have_one_entry_per_line(rv: Served) -> None:
    assert rv.cat("available_monitors") == "wip\nsched\nsched:snroc\nsched:sco\n"
    assert rv.cat("available_reactors") == "nop\ncollect\n"
    assert rv.cat("enabled_monitors") == ""
    assert rv.cat("monitors/wip/reactors") == "[nop]\ncollect\n"
    assert rv.cat("monitors/wip/desc") == "any\n"


@pytest.mark.parametrize("name", ["sco", "sched:sco", "  sched:sco  ", "sco\0:rest"])
def test_a_monitor_is_enabled_by_either_name(rv: Served, name: str) -> None:
    rv.echo(name, "enabled_monitors")
    assert rv.cat("enabled_monitors") == "sched:sco\n"
    assert rv.cat("monitors/sched/sco/enable") == "1\n"
    rv.echo(f"!{name.strip()}", "enabled_monitors")
    assert rv.cat("enabled_monitors") == ""


@pytest.mark.parametrize(
    "name",
    ["none", "WIP", "bogus:sco", ":sco", "sched:", "a:b:sco", "sched:wip", ":", "! wip", "!!wip",
     "wip\nsched", "sched sco"],
)  # fmt: skip
def test_what_does_not_exist_is_refused_and_changes_nothing(rv: Served, name: str) -> None:
    before = rv.state()
    with pytest.raises(InvalidInput):
        rv.echo(name, "enabled_monitors")
    assert rv.state() == before


@pytest.mark.parametrize("nothing", ["", " ", "!", "\t\n"])
def test_an_empty_command_succeeds(rv: Served, nothing: str) -> None:
    rv.echo("wip", "enabled_monitors")
    rv.echo(nothing, "enabled_monitors")
    rv.echo(nothing.replace("!", ""), "monitors/wip/reactors")
    assert rv.cat("enabled_monitors") == "wip\n"


def test_a_container_takes_its_children_along(rv: Served) -> None:
    rv.echo("sched", "enabled_monitors")
    assert rv.cat("enabled_monitors") == "sched\nsched:snroc\nsched:sco\n"
    rv.echo("collect", "monitors/sched/reactors")
    assert rv.cat("monitors/sched/sco/reactors") == "nop\n[collect]\n"
    rv.echo("0", "monitors/sched/enable")
    assert rv.cat("enabled_monitors") == ""


def test_truncating_enabled_monitors_disables_everything(rv: Served) -> None:
    rv.echo("wip", "enabled_monitors")
    rv.echo("sched", "enabled_monitors")
    rv.file("enabled_monitors").truncate()
    assert rv.cat("enabled_monitors") == ""


@pytest.mark.parametrize("switch", ["monitoring_on", "reacting_on", "monitors/wip/enable"])
def test_switches(rv: Served, switch: str) -> None:
    rv.echo("off", switch)
    assert rv.cat(switch) == "0\n"
    rv.echo("Y", switch)
    assert rv.cat(switch) == "1\n"
    with pytest.raises(InvalidInput):
        rv.echo("", switch)
    rv.file(switch).truncate()
    assert rv.cat(switch) == "1\n"


def test_an_unknown_reactor_is_refused(rv: Served) -> None:
    with pytest.raises(InvalidInput, match="no reactor 'none'"):
        rv.echo("none", "monitors/wip/reactors")
    assert rv.cat("monitors/wip/reactors") == "[nop]\ncollect\n"


def test_no_slot_is_said_with_its_holders() -> None:
    rv = Served(task_slots=1)
    rv.registry.register_monitor(monitor("wwnr", Scope.TASK))
    rv.echo("wwnr", "enabled_monitors")
    with pytest.raises(Busy, match="wwnr"):
        rv.echo("sched", "enabled_monitors")
    assert rv.cat("enabled_monitors") == "wwnr\n"


@pytest.mark.parametrize(
    "path",
    ["available_monitors", "available_reactors", "monitors/wip/desc", "log", "trace_pipe",
     "events/sched/sched_switch/id", "events/sched/sched_switch/format"],
)  # fmt: skip
def test_what_cannot_be_written(rv: Served, path: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be written"):
        rv.echo("wip", path)
    rv.file(path).truncate()


def test_sizes_are_exact(rv: Served) -> None:
    rv.echo("1", "events/sched/enable")
    rv.echo("pid=1", "events/sched/sched_wakeup/inject")

    def walk(path: str, node: Directory) -> None:
        for name, child in node.children().items():
            if isinstance(child, Directory):
                walk(f"{path}{name}/", child)
            elif isinstance(child, File) and name not in ("inject", "reserve", "trace_pipe"):
                assert child.size == len(child.read()), path + name

    walk("", rv.tree.root)


# -- monitors that go ------------------------------------------------------------------------


def test_a_removed_monitor_is_gone_from_the_tree_at_once(rv: Served) -> None:
    open_file = rv.file("monitors/wip/enable")
    events = rv.file("events/rv/event_wip/format")
    rv.registry.unregister_monitor("wip")
    assert rv.ls("monitors") == ["sched"]
    assert "event_wip" not in rv.ls("events/rv")
    for file in (open_file, events):
        with pytest.raises(Gone):
            file.check()
        assert file.size == 0


def test_a_name_that_comes_again_is_another_file(rv: Served) -> None:
    old = rv.file("monitors/wip/enable")
    rv.registry.unregister_monitor("wip")
    rv.registry.register_monitor(monitor("wip"))
    new = rv.file("monitors/wip/enable")
    assert new is not old
    new.check()
    with pytest.raises(Gone, match="monitors/wip/enable was removed"):
        old.check()


def test_a_node_stays_the_same(rv: Served) -> None:
    for path in ("monitors/wip/enable", "events/sched/sched_switch/id", "events/sched"):
        assert rv.tree.node(path) is rv.tree.node(path)


# -- events ----------------------------------------------------------------------------------


def test_a_tracepoint_has_its_folder(rv: Served) -> None:
    assert rv.ls("events/sched/sched_switch") == ["enable", "format", "id", "inject"]
    number = rv.vocabulary.number("sched:sched_switch")
    assert rv.cat("events/sched/sched_switch/id") == f"{number}\n"
    assert rv.cat("events/sched/sched_switch/format").startswith(
        f"name: sched_switch\nID: {number}\nformat:\n"
    )
    assert rv.ls("events/rv") == [
        "enable", "error_sco", "error_snroc", "error_wip", "event_sco", "event_snroc", "event_wip",
    ]  # fmt: skip


def test_enable_files_of_folders_say_x_for_some(rv: Served) -> None:
    rv.echo("1", "events/sched/sched_switch/enable")
    assert rv.cat("events/sched/sched_switch/enable") == "1\n"
    assert rv.cat("events/sched/enable") == "X\n"
    assert rv.cat("events/enable") == "X\n"
    assert rv.cat("events/rv/enable") == "0\n"
    rv.echo("1", "events/sched/enable")
    assert rv.cat("events/sched/enable") == "1\n"
    assert rv.cat("events/sched/sched_wakeup/enable") == "1\n"
    rv.echo("0", "events/enable")
    assert rv.cat("events/enable") == "0\n"
    assert rv.trace.enabled == set()


def test_an_injected_event_goes_through_the_pump(rv: Served) -> None:
    rv.echo("wip", "enabled_monitors")
    rv.echo("collect", "monitors/wip/reactors")
    rv.echo("1", "events/rv/enable")
    rv.echo("pid=7", "events/sched/sched_wakeup/inject")
    rv.echo("pid=8 common_cpu=1", "events/sched/sched_wakeup/inject")
    rv.echo("pid=8", "events/sched/sched_wakeup/inject")
    lines = [line.split(": ", 1)[1] for line in rv.cat("trace").splitlines() if line[0] != "#"]
    assert lines == [
        "event_wip: off x on -> on",
        "event_wip: off x on -> on",
        "error_wip: event on not expected in the state on",
    ]
    collect = rv.registry.reactor("collect")
    assert isinstance(collect, Collect)
    assert [verdict.cpu for verdict in collect.seen] == [0]


def test_an_injected_rv_event_is_only_traced(rv: Served) -> None:
    rv.echo("1", "events/rv/event_wip/enable")
    rv.echo('state="a" event="b" next_state="c" final_state=1', "events/rv/event_wip/inject")
    assert "event_wip: a x b -> c (final)\n" in rv.cat("trace")


def test_inject_cannot_be_read(rv: Served) -> None:
    with pytest.raises(NotPermitted):
        rv.cat("events/sched/sched_switch/inject")


def test_after_the_panic_reactor_nothing_is_injected(
    rv: Served, caplog: pytest.LogCaptureFixture
) -> None:
    rv.registry.register_reactor(Panic())
    rv.echo("wip", "enabled_monitors")
    rv.echo("panic", "monitors/wip/reactors")
    rv.echo("pid=7", "events/sched/sched_wakeup/inject")
    rv.echo("pid=7", "events/sched/sched_wakeup/inject")
    with pytest.raises(RvfsError, match="rv: monitor wip does not allow event on on state on"):
        rv.echo("pid=7", "events/sched/sched_wakeup/inject")
    assert rv.cat("enabled_monitors") == "wip\n"
    assert "verification halted" in caplog.text
    caplog.clear()


def test_truncating_the_trace_clears_it_and_writing_to_it_does_nothing(rv: Served) -> None:
    rv.echo("1", "events/sched/enable")
    rv.echo("pid=7", "events/sched/sched_wakeup/inject")
    rv.echo("anything", "trace")
    assert "sched_wakeup" in rv.cat("trace")
    rv.file("trace").truncate()
    assert "sched_wakeup" not in rv.cat("trace")


# -- the log ---------------------------------------------------------------------------------


def test_the_log_has_the_newest_last(rv: Served, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("rvfs.somewhere")
    logger.addHandler(rv.logbook)
    try:
        logger.warning("one")
        logger.error("two\nthree")
        for number in range(1200):
            logger.error("more %d", number)
    finally:
        logger.removeHandler(rv.logbook)
        caplog.clear()
    lines = rv.cat("log").splitlines()
    assert len(lines) == 1000
    assert lines[-1].endswith("ERROR more 1199")
