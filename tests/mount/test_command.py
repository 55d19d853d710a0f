"""``rvfs mount`` and ``rvfs umount``, as a shell and mount(8) call them."""

import errno
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rvfs.readers import device_of
from rvfs.testing import Mount

PATIENCE = 60


def rvfs(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rvfs", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=PATIENCE, env=env
    )


def daemons(folder: Path) -> list[int]:
    """The processes that serve a folder."""
    found = subprocess.run(["pgrep", "-f", f"rvfs.*{folder}"], capture_output=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


def next_line(rv: Mount) -> str:
    """The next line of ``trace_pipe``."""
    with (rv / "trace_pipe").open() as pipe:
        assert select.select([pipe], [], [], PATIENCE)[0], "it never came"
        return pipe.readline()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty directory; what is mounted on it in the end is unmounted."""
    folder = tmp_path / "rv"
    folder.mkdir()
    yield folder
    for pid in daemons(folder):
        os.kill(pid, signal.SIGKILL)
    while device_of(folder):
        subprocess.run(["umount", "-l", str(folder)], check=True)


def is_stale(folder: Path) -> bool:
    try:
        os.statvfs(folder)
    except OSError as error:
        return error.errno == errno.ENOTCONN
    return False


# -- mounting --------------------------------------------------------------------------------


def test_mount_returns_when_the_tree_answers_and_says_nothing(folder: Path) -> None:
    done = rvfs("mount", folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (folder / "reacting_on").read_text() == "1\n"
    assert "source sim" in (folder / "log").read_text()
    (pid,) = daemons(folder)
    assert os.getsid(pid) == pid
    assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)} == {"/dev/null"}  # noqa: PTH115
    assert rvfs("umount", folder).returncode == 0
    wait_until(lambda: not daemons(folder))
    assert list(folder.iterdir()) == []


def test_mounted_as_fuse_rvfs(folder: Path) -> None:
    rvfs("mount", folder, "--source=inject")
    (line,) = [one for one in Path("/proc/mounts").read_text().splitlines() if str(folder) in one]
    device, _, kind, options, *_ = line.split()
    assert (device, kind) == ("rvfs", "fuse.rvfs")
    assert "default_permissions" in options
    assert ("allow_other" in options) == (os.getuid() == 0)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["{}/none"], 1, "cannot mount on {}/none: No such file or directory"),
        (["{}/file"], 1, "cannot mount on {}/file: Not a directory"),
        (["{}"], 1, "cannot mount on {}: the directory is not empty, it has 'file' in it"),
        (["{}/rv", "--source=nonsense"], 2, "source 'nonsense' is not sim, replay:FILE, inject"),
        (["{}/rv", "--source=sim:x"], 2, "source 'sim:x' is not sim, replay:FILE, inject"),
        (["{}/rv", "--source=replay:{}/none"], 1, "{}/none: No such file or directory"),
        (["{}/rv", "--source=replay:{}/file"], 1, "{}/file"),
        (["{}/rv", "--source=inject", "--cpus=2"], 2, "there are options of sim"),
        (["{}/rv", "--speed=2"], 2, "there are options of replay"),
        (["{}/rv", "--cpus=0"], 2, "cpus must be from 1"),
        (["{}/rv", "--rate=fast"], 2, "invalid rate value: 'fast'"),
        (["{}/rv", "--fault=none:1"], 2, "no fault for monitor 'none'"),
        (["{}/rv", "--monitors={}/none"], 2, "{}/none is not a folder of monitors"),
        (["{}/rv", "--task-slots=0"], 2, "at least 1 task slot"),
        (["{}/rv", "-o", "rw,bogus=1"], 2, "unknown mount option 'bogus=1'"),
        (["{}/rv", "--speed=0"], 2, "there are options of replay"),
        (["{}/rv", "--mode=7777"], 2, "a mode is 0 to 777"),
        (["{}/rv", "--uid=99999999999"], 2, "a user or group is 0 to 4294967294"),
        ([""], 1, "rvfs: '': No such file or directory"),
        (["{}/rv", "-o", "mode=9"], 2, "invalid octal value: '9'"),
        ([], 2, "required: DIR"),
    ],
)
def test_what_cannot_be_mounted(folder: Path, arguments: list[str], status: int, says: str) -> None:
    (folder.parent / "file").write_bytes(b"\0\0no recording\n")
    done = rvfs("mount", *(one.replace("{}", str(folder.parent)) for one in arguments))
    assert says.replace("{}", str(folder.parent)) in done.stderr
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert device_of(folder) is None
    assert daemons(folder) == []


def test_a_second_mount_on_the_same_directory_is_refused(folder: Path) -> None:
    rvfs("mount", folder, "--source=inject")
    again = rvfs("mount", folder)
    assert again.returncode == 1
    assert again.stderr == f"rvfs: an rvfs is mounted on {folder} already\n"
    assert (folder / "reacting_on").read_text() == "1\n"


def test_a_mount_that_was_left_behind_is_replaced(folder: Path) -> None:
    rvfs("mount", folder, "--source=inject")
    (pid,) = daemons(folder)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_stale(folder))
    again = rvfs("mount", folder, "--source=inject")
    assert again.returncode == 0
    assert "was left behind by an rvfs that died; unmounting it first" in again.stderr
    assert (folder / "reacting_on").read_text() == "1\n"


def test_a_path_with_blanks_and_a_symbolic_link(folder: Path) -> None:
    odd = folder.parent / "a b\\c"
    odd.mkdir()
    link = folder.parent / "link"
    link.symlink_to(odd)
    try:
        assert rvfs("mount", link, "--source=inject").returncode == 0
        assert (odd / "reacting_on").read_text() == "1\n"
        assert rvfs("mount", odd).returncode == 1
    finally:
        assert rvfs("umount", link).returncode == 0


# -- as mount(8) calls it --------------------------------------------------------------------


def test_as_mount_calls_it(folder: Path) -> None:
    """Without PATH, with the generic options."""
    options = "rw,dev,suid,_netdev,nofail,x-systemd.automount,noatime,mode=711,task-slots=3"
    done = rvfs("inject", folder, "-o", options, env={})
    assert (done.returncode, done.stderr) == (0, "")
    assert folder.stat().st_mode & 0o777 == 0o711
    assert f"inject {folder} fuse.rvfs" in Path("/proc/mounts").read_text()


def test_options_mean_the_long_ones(folder: Path) -> None:
    done = rvfs("rvfs", folder, "-o", "source=sim,cpus=3,rate=max,duration=0.01,panic=exit")
    assert (done.returncode, done.stderr) == (0, "")
    assert "#P:3" in (folder / "trace").read_text()


# -- unmounting ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_unmounts(rv_mount: Callable[..., Mount], name: str) -> None:
    rv = rv_mount(source="sim", rate="max")
    rv.write("enabled_monitors", "wip")
    rv.process.send_signal(signal.Signals[name])
    assert rv.process.wait(PATIENCE) == 0
    assert device_of(rv.path) is None


def test_unmounting_from_outside_ends_it(rv_mount: Callable[..., Mount]) -> None:
    rv = rv_mount(source="sim")
    assert rvfs("umount", rv.path).returncode == 0
    assert rv.process.wait(PATIENCE) == 0


def test_what_is_in_use_or_not_mounted_cannot_be_unmounted(
    rv_mount: Callable[..., Mount], tmp_path: Path
) -> None:
    rv = rv_mount()
    with (rv / "log").open():
        busy = rvfs("umount", rv.path)
    assert busy.returncode == 1
    assert "busy" in busy.stderr
    none = rvfs("umount", tmp_path)
    assert none.returncode == 1
    assert f"no rvfs is mounted on {tmp_path}" in none.stderr


# -- sources and panic -----------------------------------------------------------------------


def test_nothing_but_an_rvfs_is_unmounted() -> None:
    """/proc is a mount that every machine has, and would miss."""
    refused = rvfs("umount", "/proc")
    assert refused.returncode == 1
    assert "no rvfs is mounted on /proc" in refused.stderr
    assert Path("/proc/self").exists()


@pytest.mark.needs("root")
def test_read_only_is_what_the_kernel_makes_of_it(folder: Path) -> None:
    assert rvfs("mount", folder, "--source", "inject", "-o", "ro,noexec").returncode == 0
    with pytest.raises(OSError, match="Read-only file system") as refused:
        (folder / "enabled_monitors").write_text("wip")
    assert refused.value.errno == errno.EROFS
    assert (folder / "enabled_monitors").read_text() == ""


def test_a_caller_without_standard_streams_is_served(folder: Path) -> None:
    """As cron and init scripts may be."""
    command = f"{sys.executable} -m rvfs mount {folder} --source inject <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], timeout=PATIENCE, check=False).returncode == 0
    assert (folder / "enabled_monitors").read_text() == ""


@pytest.mark.parametrize("command", ["mount", "umount"])
def test_from_a_directory_that_was_removed(tmp_path: Path, command: str) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    run = f"rmdir {gone}; exec {sys.executable} -m rvfs {command} ."
    done = subprocess.run(["sh", "-c", run], cwd=gone, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_is_too_long(rv_mount: Callable[..., Mount]) -> None:
    with pytest.raises(OSError, match="File name too long"):
        (rv_mount() / ("x" * 300)).stat()


@pytest.mark.parametrize("options", [{"source": "none"}, {"source": "sim", "duration": 0.1}])
def test_a_source_that_ends_leaves_the_tree_and_says_so(
    rv_mount: Callable[..., Mount], options: dict[str, object]
) -> None:
    rv = rv_mount(**options)
    rv.write("enabled_monitors", "wip")
    wait_until(lambda: f"source {options['source']} has ended after" in rv.read("log"))
    rv.write("enabled_monitors", "wwnr")
    assert rv.read("enabled_monitors") == "wip\nwwnr\n"


RECORDING = """\
# tracer: nop
  a-10 [001] d..2. 7.000001: preempt_disable: caller=a+0x1/0x2 parent=b+0x1/0x2
  a-10 [001] d..3. 7.000002: preempt_enable: caller=a+0x1/0x2 parent=b+0x1/0x2
  a-10 [001] d..2. 7.000003: sched_waking: comm=b pid=11 prio=120 target_cpu=000
"""


def test_a_recording_waits_for_the_first_who_wants_it(
    rv_mount: Callable[..., Mount], tmp_path: Path
) -> None:
    recording = tmp_path / "trace.txt"
    recording.write_text(RECORDING)
    rv = rv_mount(source=f"replay:{recording}")
    rv.write("events/rv/enable", "1")
    rv.write("enabled_monitors", "wip")
    assert next_line(rv).endswith(
        "error_wip: event sched_waking not expected in the state preemptive\n"
    )
    wait_until(lambda: "has ended after" in rv.read("log"))


def test_panic_exit_ends_it_with_status_70(rv_mount: Callable[..., Mount]) -> None:
    rv = rv_mount(source="sim", fault="wip:1000", panic="exit")
    rv.write("monitors/wip/reactors", "panic")
    rv.write("enabled_monitors", "wip")
    assert rv.process.wait(PATIENCE) == 70
    assert "verification halted: rv: monitor wip does not allow event" in rv.log


def test_faults_reach_the_trace_pipe(rv_mount: Callable[..., Mount]) -> None:
    rv = rv_mount(source="sim", fault=["wip:100", "wwnr:100"])
    rv.write("events/rv/error_wip/enable", "1")
    rv.write("enabled_monitors", "wip")
    assert "error_wip: event sched_waking not expected in the state " in next_line(rv)


# -- other users -----------------------------------------------------------------------------


@pytest.mark.needs("root", "fusermount3")
def test_a_user_mounts_through_fusermount3(tmp_path: Path) -> None:
    if Path("/dev/fuse").stat().st_mode & 0o006 != 0o006:
        pytest.skip("/dev/fuse is for root only")
    for parent in tmp_path.parents[:-2]:
        parent.chmod(0o755)
    tmp_path.chmod(0o755)
    folder = tmp_path / "rv"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    command = [*user, sys.executable, "-m", "rvfs"]
    if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("this Python is for root only")
    subprocess.run(
        [*command, "mount", "--source=inject", str(folder)], check=True, timeout=PATIENCE
    )
    try:
        read = subprocess.run(
            [*user, "cat", f"{folder}/reacting_on"],
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )
        assert read.stdout == b"1\n"
    finally:
        subprocess.run([*command, "umount", str(folder)], check=True, timeout=PATIENCE)
    wait_until(lambda: not daemons(folder))
