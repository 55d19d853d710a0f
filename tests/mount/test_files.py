"""The files of a real mount: errno by errno, mode by mode."""

import errno
import os
import select
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rvfs.registry import FILES
from rvfs.testing import Mount


def sh(command: str, rv: Mount, shell: str = "bash") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shell, "-c", command], cwd=rv.path, capture_output=True, text=True, check=False, timeout=60
    )


def errno_of(call: Callable[[], object]) -> str:
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "ok"


def open_and(path: Path, flags: int, data: bytes = b"") -> str:
    def call() -> None:
        descriptor = os.open(path, flags)
        try:
            if data:
                os.write(descriptor, data)
        finally:
            os.close(descriptor)

    return errno_of(call)


# -- reading and writing ---------------------------------------------------------------------


def test_a_session(rv: Mount) -> None:
    done = sh(
        "cat enabled_monitors; echo wip > enabled_monitors; echo sched:sco >> enabled_monitors;"
        "cat enabled_monitors; cat monitors/wip/enable; echo '!wip' >> enabled_monitors;"
        "cat enabled_monitors; echo printk > monitors/wip/reactors; cat monitors/wip/reactors;"
        "echo > enabled_monitors; cat enabled_monitors; cat reacting_on",
        rv,
    )
    assert (done.stdout, done.stderr) == (
        "wip\nsched:sco\n1\nsched:sco\nnop\npanic\n[printk]\n1\n", "",
    )  # fmt: skip


def test_opening_enabled_monitors_with_o_trunc_disables_everything(rv: Mount) -> None:
    rv.write("enabled_monitors", "wip")
    os.truncate(rv / "enabled_monitors", 0)
    assert rv.read("enabled_monitors") == "wip\n"
    assert open_and(rv / "enabled_monitors", os.O_RDONLY | os.O_TRUNC) == "ok"
    assert rv.read("enabled_monitors") == "wip\n"
    assert open_and(rv / "enabled_monitors", os.O_WRONLY | os.O_APPEND) == "ok"
    assert rv.read("enabled_monitors") == "wip\n"
    assert open_and(rv / "enabled_monitors", os.O_WRONLY | os.O_TRUNC, b"nothing") == "EINVAL"
    assert rv.read("enabled_monitors") == ""


def test_o_trunc_elsewhere_changes_nothing(rv: Mount) -> None:
    rv.write("enabled_monitors", "wip")
    for name in ("monitors/wip/enable", "monitors/wip/reactors", "monitoring_on", "reacting_on"):
        before = rv.read(name)
        assert open_and(rv / name, os.O_WRONLY | os.O_TRUNC) == "ok"
        assert rv.read(name) == before


def test_every_write_on_a_descriptor_is_a_command(rv: Mount) -> None:
    descriptor = os.open(rv / "enabled_monitors", os.O_RDWR)
    try:
        assert os.write(descriptor, b"wip\n") == 4
        assert os.write(descriptor, b"wwnr") == 4
        assert os.pread(descriptor, 100, 0) == b"wip\nwwnr\n"
        with pytest.raises(OSError, match="Invalid argument"):
            os.write(descriptor, b"none")
        assert os.write(descriptor, b"!wip") == 4
        assert os.pread(descriptor, 100, 0) == b"wwnr\n"
    finally:
        os.close(descriptor)


ANSWERS = [
    ("enabled_monitors", b"none", "EINVAL"),
    ("enabled_monitors", b"bogus:sco", "EINVAL"),
    ("enabled_monitors", b" " * 33, "ok"),
    ("enabled_monitors", b" " * 34, "EINVAL"),
    ("enabled_monitors", b"w" * 300_000, "EINVAL"),
    ("enabled_monitors", b"\n", "ok"),
    ("enabled_monitors", b"wip\xa0\n", "ok"),
    ("monitors/wip/enable", b"\n", "EINVAL"),
    ("monitors/wip/enable", b"1" * 300_000, "ok"),
    ("monitors/wip/enable", b"2", "EINVAL"),
    ("monitors/wip/reactors", b"none", "EINVAL"),
    ("monitors/wip/desc", b"x", "EINVAL"),
    ("available_monitors", b"x", "EINVAL"),
    ("trace_pipe", b"x", "EINVAL"),
    ("log", b"x", "EINVAL"),
    ("trace", b"x", "ok"),
    ("events/sched/sched_switch/inject", b"nope=1", "EINVAL"),
    ("events/sched/sched_switch/inject", b"prev_pid=1 " * 380, "EINVAL"),
    ("events/sched/sched_switch/enable", b"2", "EINVAL"),
]


@pytest.mark.needs("root")  # others may not open a 0440 file for writing
def test_what_a_write_answers(rv: Mount) -> None:
    answered = [(name, data, open_and(rv / name, os.O_WRONLY, data)) for name, data, _ in ANSWERS]
    assert answered == ANSWERS


def test_no_task_slot(rv_mount: Callable[..., Mount]) -> None:
    rv = rv_mount(task_slots=1)
    rv.write("enabled_monitors", "wwnr")
    assert errno_of(lambda: rv.write("enabled_monitors", "snroc")) == "EBUSY"
    assert "no task slot for monitor snroc: all 1 are held by wwnr" in rv.log


def test_every_refusal_says_why_in_the_log(rv: Mount) -> None:
    sh("echo none > enabled_monitors", rv)
    assert "write to enabled_monitors: there is no monitor 'none'" in rv.read("log")


def test_inject_is_not_for_reading(rv: Mount) -> None:
    inject = rv / "events/sched/sched_switch/inject"
    assert errno_of(inject.read_bytes) == ("EPERM" if os.getuid() == 0 else "EACCES")


def test_after_a_panic_the_tree_is_read_and_nothing_is_injected(rv: Mount) -> None:
    rv.write("enabled_monitors", "wip")
    rv.write("monitors/wip/reactors", "panic")
    rv.write("events/sched/sched_waking/inject", "pid=1")
    rv.write("events/preemptirq/preempt_enable/inject", "")
    rv.write("events/sched/sched_waking/inject", "pid=1")
    assert errno_of(lambda: rv.write("events/sched/sched_waking/inject", "pid=1")) == "ESHUTDOWN"
    assert rv.read("enabled_monitors") == "wip\n"


# -- names and attributes --------------------------------------------------------------------


REFUSED = {
    "mkdir new": "Operation not permitted",
    "mkdir monitors/wip/new": "Invalid argument",
    "rmdir monitors/wip": "Operation not permitted",
    "rm -f enabled_monitors": "Operation not permitted",
    "rm -rf monitors/wip": "Operation not permitted",
    "mv log gol": "Operation not permitted",
    "ln -s log gol": "Operation not permitted",
    "ln log gol": "Operation not permitted",
    "mkfifo fifo": "Operation not permitted",
    "touch new": "Permission denied",
    "echo > monitors/new": "Permission denied",
    "ls none": "No such file or directory",
    "cat monitors": "Is a directory",
    "ls log/x": "Not a directory",
}


def test_what_is_refused(rv: Mount) -> None:
    before = sh("find . | sort", rv).stdout
    said = {command: sh(command, rv) for command in REFUSED}
    assert {command: done.stderr.strip().rpartition(": ")[2] for command, done in said.items()} == (
        REFUSED
    )
    assert all(done.returncode for done in said.values())
    assert sh("find . | sort", rv).stdout == before


@pytest.mark.needs("attr")
def test_extended_attributes(rv: Mount) -> None:
    assert "Operation not supported" in sh("setfattr -n user.a -v b log", rv).stderr
    assert sh("getfattr -d log", rv).returncode == 0


def test_modes_sizes_and_links(rv: Mount) -> None:
    def of(name: str) -> str:
        return stat.filemode((rv / name).stat().st_mode)

    assert {name: of(name) for name in (".", "monitors", "monitors/wip/enable", "log")} == {
        ".": "drwx------", "monitors": "drwxr-x---", "monitors/wip/enable": "-rw-r-----",
        "log": "-r--r-----",
    }  # fmt: skip
    for folder, folders, files in os.walk(rv.path):
        assert Path(folder).stat().st_nlink == 2 + len(folders)
        for name in files:
            status = Path(folder, name).stat()
            assert (status.st_nlink, status.st_uid) == (1, os.getuid())
            assert status.st_blocks == -(-status.st_size // 512)
    assert (rv / "log").stat().st_size == len((rv / "log").read_bytes())


def test_a_listing_has_types_and_dots(rv: Mount) -> None:
    with os.scandir(rv / "monitors/sched") as entries:
        kinds = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
    assert kinds["sco"]
    assert not kinds["enable"]
    shown = sh("ls -a monitors/wip; find monitors -name enable | wc -l; find . -type d -empty", rv)
    assert shown.stdout.split() == [".", "..", *sorted({*FILES} - {"params"}), "18", "./hwbp/bp"]


@pytest.mark.needs("root")
def test_chmod_chown_and_touch_are_kept_for_each_file(rv: Mount) -> None:
    done = sh(
        "chmod 666 monitoring_on; chown 1:2 monitoring_on; touch -d @1000 monitoring_on;"
        "stat -c '%a %u %g %Y' monitoring_on; stat -c '%a %u %g' reacting_on",
        rv,
    )
    assert done.stdout == "666 1 2 1000\n640 0 0\n"
    assert sh("ls -R > /dev/null; stat -c %a monitoring_on", rv).stdout == "666\n"


@pytest.mark.needs("root")
def test_owner_and_mode_are_given_at_mount(rv_mount: Callable[..., Mount]) -> None:
    rv = rv_mount(uid=65534, gid=12, mode="750")
    done = sh("stat -c '%a %u %g' . monitors monitoring_on monitors/wip/desc", rv)
    assert done.stdout == "750 65534 12\n750 65534 12\n640 65534 12\n440 65534 12\n"


@pytest.mark.needs("root")
def test_others_are_kept_out_by_modes(rv_mount: Callable[..., Mount]) -> None:
    rv = rv_mount(uid=65534, mode="755")
    for folder in rv.path.parents[:-2]:
        folder.chmod(0o755)
    owner, other = (f"setpriv --reuid {uid} --regid {uid} --clear-groups" for uid in (65534, 65533))
    assert sh(f"{owner} cat available_reactors", rv).stdout == "nop\npanic\nprintk\n"
    assert "Permission denied" in sh(f"{owner} sh -c 'echo > available_reactors'", rv).stderr
    assert "Permission denied" in sh(f"{other} cat available_reactors", rv).stderr
    assert "monitoring_on" in sh(f"{other} ls", rv).stdout
    assert "Operation not permitted" in sh(f"{other} chmod 777 log", rv).stderr


def test_statfs(rv: Mount) -> None:
    found = os.statvfs(rv.path)
    assert (found.f_blocks, found.f_namemax) == (0, 255)


def test_ordinary_files_are_always_ready(rv: Mount) -> None:
    with (rv / "enabled_monitors").open("r+b", buffering=0) as file:
        poll = select.poll()
        poll.register(file, select.POLLIN | select.POLLOUT)
        assert poll.poll(0) == [(file.fileno(), select.POLLIN | select.POLLOUT)]
