"""Loading through a real mount, with the programs that people use."""

import os
from pathlib import Path

import pytest

from rvfs.testing import Mount
from tests.mount.test_files import errno_of, sh
from tests.tree.test_loading import BINDINGS, LAMP

INJECT = "events/sched/sched_wakeup/inject"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A good model, its bindings, and a model that breaks off."""
    (tmp_path / "lamp.dot").write_text(LAMP)
    (tmp_path / "lamp.toml").write_text(BINDINGS)
    (tmp_path / "bad.dot").write_text(LAMP[:100])
    return tmp_path


@pytest.fixture
def lamp(rv: Mount) -> Mount:
    """The monitor is loaded."""
    (rv / "monitors/lamp").mkdir()
    (rv / "monitors/lamp/model").write_text(LAMP)
    (rv / "monitors/lamp/bindings").write_text(BINDINGS)
    return rv


def test_a_session(rv: Mount, files: Path) -> None:
    shipped = sorted(entry.name for entry in (rv / "monitors").iterdir())
    done = sh(
        f"mkdir monitors/mine && cat {files}/lamp.dot > monitors/mine/model &&"
        f"cat {files}/lamp.toml > monitors/mine/bindings && echo 1 > monitors/mine/enable &&"
        "cat monitors/mine/desc monitors/mine/error enabled_monitors &&"
        "rmdir monitors/mine && cat enabled_monitors && ls monitors",
        rv,
    )
    assert (done.stdout, done.stderr) == ("a lamp\nmine\n" + "\n".join(shipped) + "\n", "")


#: How people write a file; {} is the text.
WAYS = [
    "cat {} > model", "cp {} model", "dd if={} of=model bs=1 status=none",
    "tee model < {} > /dev/null", "python3 -c 'import shutil; shutil.copyfile(\"{}\", \"model\")'",
    "cat {} | sh -c 'cat > model'", "cat {} >> model",
    "busybox cp {} model", "busybox dd if={} of=model bs=7",
]  # fmt: skip


@pytest.mark.needs("busybox")
@pytest.mark.parametrize("way", WAYS)
def test_who_writes_a_bad_model_is_told_and_the_old_one_stays(
    lamp: Mount, files: Path, way: str
) -> None:
    old = lamp.read("monitors/lamp/model")
    bad = sh(f"cd monitors/lamp && {way.format(files / 'bad.dot')}", lamp)
    assert bad.returncode != 0
    assert "Invalid argument" in bad.stderr
    assert lamp.read("monitors/lamp/error").startswith("model:3:")
    assert lamp.read("monitors/lamp/model") == old
    good = sh(f"cd monitors/lamp && {way.format(files / 'lamp.dot')}", lamp)
    assert (good.returncode, lamp.read("monitors/lamp/error")) == (0, "")
    assert "Traceback" not in lamp.log


def test_programs_that_write_beside_and_rename_are_refused(lamp: Mount, files: Path) -> None:
    old, path = lamp.read("monitors/lamp/model"), lamp / "monitors/lamp/model"
    done = sh("sed -i s/on/off/ monitors/lamp/model", lamp)
    assert done.returncode != 0
    assert errno_of(lambda: (files / "lamp.dot").rename(path)) == "EXDEV"
    assert errno_of(lambda: (lamp / "monitors/lamp/x").write_text("x")) == "EACCES"
    assert lamp.read("monitors/lamp/model") == old


def test_a_text_is_taken_when_the_descriptor_is_closed(lamp: Mount) -> None:
    """As a whole, by everybody who closes it after something new was written."""
    path = lamp / "monitors/lamp/model"
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, LAMP[:100].encode())
    assert lamp.read("monitors/lamp/error") == ""
    assert errno_of(lambda: os.close(os.dup(descriptor))) == "EINVAL"
    assert lamp.read("monitors/lamp/error") != ""
    assert errno_of(lambda: os.close(os.dup(descriptor))) == "ok"  # nothing new
    os.write(descriptor, LAMP[100:].encode())
    assert errno_of(lambda: os.close(os.dup(descriptor))) == "ok"
    assert lamp.read("monitors/lamp/error") == ""
    os.ftruncate(descriptor, 0)
    os.write(descriptor, LAMP.encode())
    assert errno_of(lambda: os.close(descriptor)) == "ok"


def test_opening_it_with_o_trunc_alone_changes_nothing(lamp: Mount) -> None:
    old = lamp.read("monitors/lamp/model")
    assert sh(": > monitors/lamp/model", lamp).returncode == 0
    os.truncate(lamp / "monitors/lamp/model", 0)
    assert lamp.read("monitors/lamp/model") == old


def test_a_text_that_is_too_big_is_not_taken_in_part(lamp: Mount) -> None:
    old = lamp.read("monitors/lamp/model")
    descriptor = os.open(lamp / "monitors/lamp/model", os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, LAMP.encode())
    for _ in range(15):
        os.write(descriptor, b"\n" * (1 << 16))
    assert errno_of(lambda: os.write(descriptor, b"\n" * (1 << 16))) == "EFBIG"
    assert errno_of(lambda: os.write(descriptor, b"\n")) == "EFBIG"
    assert errno_of(lambda: os.close(descriptor)) == "ok"
    assert lamp.read("monitors/lamp/model") == old


FOLDERS = [
    ("mkdir", "mine", "EPERM"), ("mkdir", "events/mine", "EPERM"), ("mkdir", "hwbp/x", "EPERM"),
    ("mkdir", "monitors/wip", "EEXIST"), ("mkdir", "monitors/sched/wip", "EEXIST"),
    ("mkdir", "monitors/a b", "EINVAL"), ("mkdir", "monitors/" + "x" * 32, "EINVAL"),
    ("mkdir", "monitors/" + "x" * 256, "ENAMETOOLONG"), ("mkdir", "monitors/\udcff", "EINVAL"),
    ("mkdir", "monitors/wip/mine", "EINVAL"), ("mkdir", "monitors/sched/sco/mine", "EINVAL"),
    ("mkdir", "monitors/wip/model", "EEXIST"), ("mkdir", "monitors/no/mine", "ENOENT"),
    ("rmdir", "monitors/wip", "EPERM"), ("rmdir", "monitors/sched", "EPERM"),
    ("rmdir", "monitors/no", "ENOENT"), ("rmdir", "monitors", "EPERM"),
    ("rmdir", "monitors/box", "ENOTEMPTY"), ("rmdir", "monitors/wip/model", "ENOTDIR"),
]  # fmt: skip


def test_folders_that_are_not_to_be_made_or_removed(rv: Mount) -> None:
    (rv / "monitors/box/child").mkdir(parents=True)
    found = [
        (call, path, errno_of(lambda: getattr(os, call)(rv / path)))  # noqa: B023
        for call, path, _ in FOLDERS
    ]
    assert found == FOLDERS


def test_a_removed_monitor_answers_enodev_and_its_folder_is_empty(lamp: Mount) -> None:
    folder = lamp / "monitors/lamp"
    descriptors = [os.open(folder / name, os.O_RDWR) for name in ("model", "bindings", "enable")]
    inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.write(descriptors[0], LAMP.encode())
    folder.rmdir()
    folder.mkdir()
    for descriptor in descriptors:
        assert errno_of(lambda: os.read(descriptor, 10)) == "ENODEV"  # noqa: B023
        assert errno_of(lambda: os.write(descriptor, b"1")) == "ENODEV"  # noqa: B023
    assert errno_of(lambda: os.close(descriptors[0])) == "ENODEV"
    assert errno_of(lambda: os.open("model", os.O_RDONLY, dir_fd=inside)) == "ENOENT"
    for descriptor in (*descriptors[1:], inside):
        os.close(descriptor)
    assert "Traceback" not in lamp.log


def test_the_new_model_judges_from_the_next_event_on(lamp: Mount) -> None:
    """``trace`` shows each event judged once: by the old model before, by the new one after."""
    lamp.write("monitors/lamp/enable", "1")
    lamp.write("events/rv/event_lamp/enable", "1")
    for turn in range(20):
        lamp.write(INJECT, "pid=1")
        lamp.write("events/sched/sched_switch/inject", "prev_pid=1")
        model = LAMP.replace('"on"', f'"on{turn}"')
        (lamp / "monitors/lamp/model").write_text(model)
    steps = [line.split(": ")[-1] for line in lamp.read("trace").splitlines() if "_lamp" in line]
    names = ["on", *(f"on{turn}" for turn in range(19))]
    assert steps == [
        step
        for name in names
        for step in (f"off x wakeup -> {name}", f"{name} x switch -> off (final)")
    ]
