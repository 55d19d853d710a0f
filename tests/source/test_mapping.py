"""A mapped file that is made shorter, or cannot be mapped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rvfs.errors import TraceError
from rvfs.source._mapping import Mapping
from rvfs.source.file_bytes import FileBytes
from rvfs.source.replay import Replay
from rvfs.source.ring_buffer import Lanes
from tests.source.dat_verbs import SWITCHES, switch, write
from tests.source.dat_writer import Writer
from tests.source.reading import vocabulary, wanting

PAGE = os.sysconf("SC_PAGESIZE")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bytes"
    path.write_bytes(b"x" * (3 * PAGE + 5))
    return path


def opened(file: Path) -> FileBytes:
    return FileBytes(os.open(file, os.O_RDONLY), str(file))


def test_a_mapping_has_the_bytes_of_the_file(file: Path) -> None:
    mapping = opened(file).mapped()
    assert bytes(mapping) == file.read_bytes()
    mapping.leave(0, 2 * PAGE)
    assert bytes(mapping) == file.read_bytes()
    assert mapping.torn == -1
    with pytest.raises((TypeError, BufferError)):
        memoryview(mapping)[0] = 1


def test_an_empty_file_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert bytes(opened(tmp_path / "empty").mapped()) == b""


def test_what_a_file_has_no_longer_is_zeros_and_is_told(file: Path) -> None:
    mapping = opened(file).mapped()
    os.truncate(file, PAGE)
    assert bytes(memoryview(mapping)[:PAGE]) == b"x" * PAGE
    assert mapping.torn == -1
    assert memoryview(mapping)[3 * PAGE] == 0
    assert mapping.torn == 3 * PAGE
    assert bytes(mapping) == b"x" * PAGE + b"\0" * (2 * PAGE + 5)
    assert mapping.torn == PAGE


def test_each_mapping_has_its_own(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"y" * PAGE)
    for _ in range(3):
        mappings = [opened(path).mapped() for path in (file, other, file)]
        os.truncate(other, 0)
        assert bytes(mappings[1]) == b"\0" * PAGE
        assert [mapping.torn for mapping in mappings] == [-1, 0, -1]
        other.write_bytes(b"y" * PAGE)


def test_what_cannot_be_mapped_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No such device|Invalid argument|Permission denied"):
        Mapping(os.open(tmp_path, os.O_RDONLY), PAGE)
    buffer = FileBytes(os.open(tmp_path, os.O_RDONLY), "folder")
    with pytest.raises(TraceError, match="folder: cannot be mapped"):
        buffer.mapped()


KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGBUS)"
TOUCHED = """
import mmap, os
file = open({file!r}, "r+b")
mapping = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
file.truncate(0)
mapping[0]
"""


@pytest.mark.parametrize("touch", [KILLED, TOUCHED])
def test_every_other_bus_error_ends_the_process(touch: str, file: Path) -> None:
    program = "import rvfs.source._mapping\n" + touch.format(file=str(file))
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGBUS


def test_events_that_are_not_there_any_more_are_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is made shorter after it was looked how long it is."""
    path = write(tmp_path, Writer().file({0: [switch(time, 1, 2) for time in range(1, 8001)]}))
    known = vocabulary()
    replay = Replay(str(path), known)
    replay.subscribe(wanting(known, SWITCHES))
    feed = Lanes.feed

    def feed_and_cut(lanes: Lanes) -> int:
        size = feed(lanes)
        os.truncate(path, 2 * PAGE)
        return size

    monkeypatch.setattr(Lanes, "feed", feed_and_cut)
    for _ in range(2):
        with pytest.raises(TraceError, match="became shorter while it was read") as error:
            replay.read(1 << 16)
        assert error.value.offset == 2 * PAGE
