"""The folder ``hwbp`` without a mount, over the model of a machine with two CPUs."""

import os
from collections.abc import Callable
from errno import EBUSY, EINVAL, ENODEV, ENOENT, ENOSPC, EOPNOTSUPP, ESRCH
from pathlib import Path

import pytest

from rvfs.errors import Gone, NotPermitted, NotSupported, RvfsError
from rvfs.files import PERMANENT, Directory, File
from rvfs.hwbp.backend import ModelMachine
from rvfs.hwbp.breakpoint import ARM64, X86, Registers
from rvfs.hwbp.held import Breakpoints
from rvfs.hwbp.request import MAX_REQUEST
from rvfs.hwbp_files import hwbp_folder

ME = os.getpid()


class Served:
    """The folder, to be read and written by path."""

    def __init__(self, machine: ModelMachine | None = None, note: str = "") -> None:
        self.breakpoints = Breakpoints(machine or ModelMachine(2, X86), note)
        self.root = hwbp_folder(self.breakpoints)

    def folder(self, path: str) -> Directory:
        here = self.root
        for name in filter(None, path.split("/")):
            node = here.children()[name]
            assert isinstance(node, Directory)
            here = node
        return here

    def file(self, path: str) -> File:
        folder, _, name = path.rpartition("/")
        node = self.folder(folder).children()[name]
        assert isinstance(node, File)
        return node

    def ls(self, path: str) -> list[str]:
        return sorted(self.folder(path).children())

    def cat(self, path: str) -> str:
        return self.file(path).read().decode()

    def echo(self, text: str, path: str) -> None:
        self.file(path).write(f"{text}\n".encode())

    def reserve(self, *lines: str) -> None:
        self.echo("\n".join(lines), "reserve")

    def refused(self, text: str, path: str = "reserve") -> int:
        """The errno of a write that is refused and changes nothing."""
        before = self.state()
        with pytest.raises(RvfsError) as refusal:
            self.echo(text, path)
        assert self.state() == before
        assert str(refusal.value) in self.cat("last_error")
        return refusal.value.errno

    def rmdir(self, path: str) -> None:
        remove = self.folder(path).remove
        assert remove is not None
        remove()

    def state(self) -> list[str]:
        cpus = [name for name in self.ls("") if name.startswith("cpu")]
        counts = [f"{cpu}/{name}" for cpu in cpus for name in self.ls(cpu)]
        return [self.cat(path) for path in ("breakpoints", "slots", *counts)]


@pytest.fixture
def hw() -> Served:
    return Served()


# -- what is there ---------------------------------------------------------------------------


def test_the_folder_of_a_machine_where_nothing_is_open(hw: Served) -> None:
    assert hw.ls("") == [
        "bp", "breakpoints", "check", "cpu0", "cpu1", "last_error", "reserve", "slots",
    ]  # fmt: skip
    assert hw.ls("cpu1") == ["cpu_pinned", "foreign", "free", "tsk_pinned"]
    assert hw.ls("bp") == []
    assert hw.cat("slots") == "backend model\narch x86\ncpus 2\nshared 4\n"
    assert [hw.cat(f"cpu0/{name}") for name in hw.ls("cpu0")] == [
        "shared 0\n", "shared 0\n", "shared 4\n", "shared 0 -\n",
    ]  # fmt: skip
    assert [hw.cat(name) for name in ("breakpoints", "check", "last_error")] == ["", "", ""]


def test_modes(hw: Served) -> None:
    hw.reserve(f"open w task:{ME} cpu:-1 w 8 0x1000")
    files = {
        "slots": 0o440, "breakpoints": 0o440, "reserve": 0o200, "check": 0o640,
        "last_error": 0o440, "cpu0/free": 0o440, "bp/w/enable": 0o640, "bp/w/addr": 0o640,
        "bp/w/len": 0o640, "bp/w/type": 0o640, "bp/w/target": 0o440, "bp/w/hits": 0o440,
    }  # fmt: skip
    assert {path: hw.file(path).mode for path in files} == files
    assert [hw.folder(path).mode for path in ("", "bp", "bp/w", "cpu0")] == [0o750] * 4


def test_sizes_are_exact(hw: Served) -> None:
    hw.reserve(f"open w task:{ME} cpu:-1 w 8 0x1000")
    hw.refused("nonsense")
    for folder in ("", "cpu0", "bp/w"):
        for name, node in hw.folder(folder).children().items():
            if isinstance(node, File) and name != "reserve":
                assert node.size == len(node.read()), name
    assert hw.file("reserve").size == 0


@pytest.mark.parametrize("path", ["slots", "breakpoints", "last_error", "cpu0/free"])
def test_what_only_shows_cannot_be_written(hw: Served, path: str) -> None:
    with pytest.raises(RvfsError, match="cannot be written"):
        hw.echo("1", path)


def test_requests_cannot_be_read(hw: Served) -> None:
    with pytest.raises(NotPermitted):
        hw.cat("reserve")


def test_split_pools_have_a_line_each() -> None:
    hw = Served(ModelMachine(1, ARM64, Registers.split(inst=6, data=4)))
    hw.reserve(f"open code task:{ME} -1 X 4 0x1000", "open data - 0 R 8 0x1000")
    assert hw.cat("slots").endswith("inst 6\ndata 4\n")
    assert hw.cat("cpu0/cpu_pinned") == "inst 0\ndata 1\n"
    assert hw.cat("cpu0/tsk_pinned") == f"inst 1 task:{ME}\ndata 0 -\n"
    assert hw.cat("cpu0/free") == "inst 5\ndata 3\n"


def test_what_cannot_be_found_out_about_others_is_said() -> None:
    class Shy(ModelMachine):
        def foreign(self, cpu: int, bp_type: int = 2) -> int:
            raise NotSupported("nobody knows")

    machine = Shy(2, X86)
    machine.online = frozenset({0})
    hw = Served(machine)
    assert hw.cat("cpu0/foreign") == "shared unknown: nobody knows\n"
    assert hw.cat("cpu1/foreign") == "shared 0\n"


# -- a breakpoint comes ----------------------------------------------------------------------


def test_a_breakpoint_has_a_line_and_a_folder(hw: Served) -> None:
    comm = Path("/proc/self/comm").read_text().strip()
    hw.reserve(f"open w1 task:{ME} cpu:-1 w 8 0x7f0000001000")
    assert hw.cat("breakpoints") == (
        f"w1 task:{ME} cpu:-1 W 8 0x7f0000001000 disabled task {ME} ({comm})\n"
    )
    assert {name: hw.cat(f"bp/w1/{name}") for name in hw.ls("bp/w1")} == {
        "addr": "0x7f0000001000\n", "enable": "0\n", "hits": "0\n", "len": "8\n",
        "target": f"task:{ME} cpu:-1\n", "type": "W\n",
    }  # fmt: skip
    assert hw.cat("cpu1/tsk_pinned") == f"shared 1 task:{ME}\n"
    assert hw.cat("cpu1/free") == "shared 3\n"


def test_a_cpu_is_said_with_or_without_its_word(hw: Served) -> None:
    hw.reserve("open a - cpu:1 rw 4 u+4 dis=0")
    hw.reserve("open b - 1 rw 4 u+4")
    assert hw.cat("breakpoints") == (
        "a - cpu:1 RW 4 0x7f0000000004 enabled CPU 1\n"
        "b - cpu:1 RW 4 0x7f0000000004 disabled CPU 1\n"
    )


def test_a_wide_one_is_on_each_online_cpu(hw: Served) -> None:
    hw.reserve("wide w W 8 u+0")
    assert hw.cat("bp/w/target") == "- cpu:0\n- cpu:1\n"
    assert [hw.cat(f"cpu{cpu}/cpu_pinned") for cpu in (0, 1)] == ["shared 1\n"] * 2
    hw.echo("1", "bp/w/enable")
    assert hw.cat("breakpoints").count(" enabled ") == 2


def test_a_process_is_all_of_its_threads(hw: Served) -> None:
    threads = sorted(int(one.name) for one in Path("/proc/self/task").iterdir())
    hw.reserve(f"open p process:{ME} -1 W 8 u+0")
    assert hw.cat("bp/p/target") == "".join(f"task:{tid} cpu:-1\n" for tid in threads)


def test_a_set_is_all_or_none(hw: Served) -> None:
    hw.reserve("open a - 0 W 8 u+0", "# the second", "", "open b - 1 W 8 u+0")
    assert hw.ls("bp") == ["a", "b"]
    lines = "\n".join(f"open c{n} - 0 W 8 u+0" for n in range(4))
    assert hw.refused(lines) == ENOSPC
    assert hw.cat("last_error").startswith("reserve: line 4: ENOSPC: no room for CPU 0: CPU 0 has")
    assert hw.ls("bp") == ["a", "b"]


@pytest.mark.parametrize("nothing", ["", "  ", "# nothing", "\n\n", "\0open a - 0 W 8 u+0"])
def test_nothing_written_does_nothing(hw: Served, nothing: str) -> None:
    hw.reserve(nothing)
    assert hw.ls("bp") == []


# -- a breakpoint changes --------------------------------------------------------------------


def test_what_the_kernel_lets_change(hw: Served) -> None:
    hw.reserve(f"open w task:{ME} -1 W 8 u+0")
    hw.echo("1", "bp/w/enable")
    hw.echo("u+16", "bp/w/addr")
    hw.echo("4", "bp/w/len")
    hw.echo("rw", "bp/w/type")
    assert " RW 4 0x7f0000000010 enabled " in hw.cat("breakpoints")
    hw.reserve("modify w X 8 u+3")
    assert " X 8 0x7f0000000003 disabled " in hw.cat("breakpoints")


@pytest.mark.parametrize(
    ("text", "file"),
    [("u+4", "addr"), ("", "addr"), ("u+0 u+8", "addr"), ("x+1", "addr"), ("-1", "addr"),
     ("k+0", "addr"), ("3", "len"), ("0", "len"), ("eight", "len"), ("R", "type"),
     ("EMPTY", "type"), ("read", "type"), ("maybe", "enable")],
)  # fmt: skip
def test_what_cannot_be_watched_is_not_taken(hw: Served, text: str, file: str) -> None:
    hw.reserve("wide w W 8 u+0")
    assert hw.refused(text, f"bp/w/{file}") == EINVAL
    assert hw.cat("last_error").startswith(f"bp/w/{file}: EINVAL: ")


def test_a_length_the_machine_does_not_have(hw: Served) -> None:
    hw.reserve("wide w W 8 u+0")
    assert hw.refused("16", "bp/w/len") == EOPNOTSUPP


def test_another_pool_may_be_full() -> None:
    hw = Served(ModelMachine(2, ARM64, Registers.split(inst=1, data=2)))
    hw.reserve("open full - 1 X 4 u+0")
    hw.reserve("wide w W 4 u+0")
    assert hw.refused("X", "bp/w/type") == ENOSPC
    hw.reserve("close full")
    hw.echo("X", "bp/w/type")
    assert hw.cat("cpu1/free") == "inst 0\ndata 2\n"


# -- a breakpoint goes -----------------------------------------------------------------------


def by_close(hw: Served) -> None:
    hw.reserve("close w")


def by_rmdir(hw: Served) -> None:
    hw.rmdir("bp/w")


@pytest.mark.parametrize("release", [by_close, by_rmdir])
def test_what_is_released_is_gone_at_once(hw: Served, release: Callable[[Served], None]) -> None:
    empty = hw.state()
    hw.reserve("wide w W 8 u+0")
    opened = [hw.file(f"bp/w/{name}") for name in hw.ls("bp/w")]
    release(hw)
    assert (hw.state(), hw.ls("bp")) == (empty, [])
    for file in opened:
        with pytest.raises(Gone) as gone:
            file.check()
        assert gone.value.errno == ENODEV
        assert file.size == 0


def test_a_name_that_comes_again_is_another_folder(hw: Served) -> None:
    hw.reserve("open w - 0 W 8 u+0")
    old = hw.file("bp/w/addr")
    hw.reserve("close w")
    hw.reserve("open w - 0 W 8 u+8")
    new = hw.file("bp/w/addr")
    assert new is not old
    assert new is hw.file("bp/w/addr")
    assert new.read() == b"0x7f0000000008\n"
    with pytest.raises(Gone):
        old.check()


def test_no_other_folder_can_be_removed(hw: Served) -> None:
    assert [hw.folder(path).remove for path in ("", "bp", "cpu0")] == [None] * 3
    assert hw.folder("bp").owner is PERMANENT


# -- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "errno"),
    [
        ("open new task:999999999 -1 W 8 u+0", ESRCH),
        ("open new - -1 W 8 u+0", EINVAL),
        ("open new - 2 W 8 u+0", EINVAL),
        ("open new - 0 W 8 u+0 br=1", EOPNOTSUPP),
        ("open new - 0 EMPTY 8 u+0", EINVAL),
        ("open new - 0 INVALID 8 u+0", EINVAL),
        ("open new - 0 W 8 u+4", EINVAL),
        ("open new - 0 W 16 u+0", EOPNOTSUPP),
        ("open new - 0 W 8 k+0", EINVAL),
        ("open taken - 0 W 8 u+0", EBUSY),
        ("modify none W 8 u+0", ENOENT),
        ("modify taken W 8 u+4", EINVAL),
        ("modify taken W 8 u+0 per=7", EINVAL),
        ("close none", ENOENT),
        ("close", EINVAL),
        ("close taken now", EINVAL),
        ("free - 0", EINVAL),
        ("task t proc", EINVAL),
        ("open new t -1 W 8 u+0", EINVAL),
        ("open new task:0 -1 W 8 u+0", EINVAL),
        ("open new task:-1 -1 W 8 u+0", EINVAL),
        ("open new - cpu:x W 8 u+0", EINVAL),
        ("open new - 0 W 8", EINVAL),
        ("open a/b - 0 W 8 u+0", EINVAL),
        ("open . - 0 W 8 u+0", EINVAL),
        (f"open {'x' * 32} - 0 W 8 u+0", EINVAL),
        ("open new - 0 W 8 u+0\nclose taken", EINVAL),
        ("close taken\nclose taken", EINVAL),
        ("open a - 0 W 8 u+0\nopen a - 0 W 8 u+0", EBUSY),
        ("open \udcff - 0 W 8 u+0", EINVAL),
        ("#" * MAX_REQUEST, EINVAL),
    ],
)
def test_refused(hw: Served, line: str, errno: int) -> None:
    hw.reserve("open taken - 0 W 8 u+0")
    data = f"{line}\n".encode(errors="surrogateescape")
    before = hw.state()
    with pytest.raises(RvfsError) as refusal:
        hw.file("reserve").write(data)
    assert refusal.value.errno == errno
    assert hw.state() == before
    said = hw.cat("last_error")
    assert said.startswith("reserve: ")
    assert said.count("\n") == 1
    assert hw.file("last_error").size == len(hw.file("last_error").read())


def test_no_register_is_refused_with_who_holds_them(hw: Served) -> None:
    hw.reserve(*(f"open w{n} task:{ME} -1 W 8 u+0" for n in range(4)))
    assert hw.refused("open one - 1 W 8 u+0") == ENOSPC
    assert hw.cat("last_error") == (
        "reserve: line 1: ENOSPC: no room for CPU 1: CPU 1 has 4 shared registers, 0 pinned to the "
        f"CPU, 4 held by task {ME}, the most of any task, 1 asked for\n"
    )


def test_a_machine_without_registers_of_a_kind() -> None:
    hw = Served(ModelMachine(1, ARM64, Registers.split(inst=0, data=1)))
    assert hw.refused("open x - 0 X 4 u+0") == EOPNOTSUPP


def test_a_cpu_that_is_offline() -> None:
    machine = ModelMachine(2, X86)
    machine.online = frozenset({0})
    hw = Served(machine)
    assert hw.refused("open w - 1 W 8 u+0") == ENODEV
    hw.reserve("wide w W 8 u+0")
    assert hw.cat("bp/w/target") == "- cpu:0\n"


# -- the dry run -----------------------------------------------------------------------------


def test_a_set_that_fits_is_checked_and_nothing_is_open(hw: Served) -> None:
    before = hw.state()
    hw.echo("\n".join(f"open w{n} - 0 W 8 u+0" for n in range(4)), "check")
    assert (hw.cat("check"), hw.state(), hw.ls("bp")) == ("OK\n", before, [])


def test_a_set_that_does_not_fit_says_where(hw: Served) -> None:
    lines = [f"open w{n} - 0 W 8 u+0" for n in range(4)]
    assert hw.refused("\n".join([*lines, "wide all W 8 u+0"]), "check") == ENOSPC
    assert hw.cat("check").startswith("line 5: ENOSPC: no room for CPU 0: CPU 0 has 4 shared")
    assert hw.cat("last_error") == "check: " + hw.cat("check")
    hw.echo("open w - 0 W 8 u+0", "check")
    assert hw.cat("check") == "OK\n"


@pytest.mark.parametrize(
    "text", ["close w", "modify w W 8 u+0", "open", "open w - 0 W 8 u+0\nclose w"]
)
def test_only_what_opens_can_be_checked(hw: Served, text: str) -> None:
    assert hw.refused(text, "check") == EINVAL
    assert "EINVAL" in hw.cat("check")
