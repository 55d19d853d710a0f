"""Who waits in a read of the mount, and whether a signal waits for it.

The kernel tells a FUSE server of an interrupted request, but the library between keeps that
to itself; and until the server answers, the reader stays in an uninterruptible sleep, for
SIGKILL too. What can be seen instead: such a reader is in state D, in the kernel function
``request_wait_answer``, with a signal pending that it does not block
(fs/fuse/dev.c). All of this is in /proc, and is read here.

A read request names no task either. It is the one that sleeps in a system call on a descriptor
of that open file, which is told by its inode number: fs.py does not give one to two open files.
The task that opened it is looked at first; an inherited descriptor (``cat <&3``) is looked for
in all tasks.
"""

import enum
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

PROC = "/proc"
#: Where a task sleeps until a FUSE server answers.
_WAITING = "request_wait_answer"
_STATUS = re.compile(r"^(State|SigPnd|ShdPnd|SigBlk):\s+(\S+)", re.MULTILINE)


@dataclass(eq=False)
class Wait:
    """A read that waits: the inode of the open file, the task that opened it, the task that reads.

    ``tid`` is None until it is known.
    """

    inode: int
    opener: int
    tid: int | None = None


class Sight(enum.Enum):
    """What is seen of a reader."""

    WAITS = "waits"
    INTERRUPTED = "interrupted"
    UNSURE = "between the two, or hidden from us"


def look(waits: Sequence[Wait], device: str, name: str) -> list[Sight]:
    """What is seen of each of the readers; finds out first who they are.

    ``device`` is that of the mount, as in /proc/self/mountinfo (``0:53``); ``name`` is how
    the path of the file ends. Takes about 20 µs per reader, and 10 ms and more when an
    inherited descriptor must be looked for.
    """
    _identify(waits, device, name)
    return [_sight(wait) for wait in waits]


def _identify(waits: Sequence[Wait], device: str, name: str) -> None:
    unknown = {wait.inode: wait for wait in waits if wait.tid is None}
    for wait in tuple(unknown.values()):
        if wait.inode in _reads(wait.opener, device, name):
            wait.tid = wait.opener
            del unknown[wait.inode]
    if unknown:
        for process in filter(str.isdecimal, _listed(PROC)):
            for tid in map(int, _listed(f"{PROC}/{process}/task")):
                for inode in unknown.keys() & set(_reads(tid, device, name)):
                    unknown[inode].tid = tid


def _sight(wait: Wait) -> Sight:
    if wait.tid is not None and not _is_waiting(wait.tid):
        wait.tid = None  # it was a passing request of another kind
    status = dict(_STATUS.findall(_read(f"{PROC}/{wait.tid or wait.opener}/status")))
    if status.get("State") == "D":
        pending = int(status["SigPnd"], 16) | int(status["ShdPnd"], 16)
        if pending & ~int(status["SigBlk"], 16):
            return Sight.INTERRUPTED
    return Sight.WAITS if wait.tid and status.get("State") == "S" else Sight.UNSURE


def _is_waiting(tid: int) -> bool:
    return _read(f"{PROC}/{tid}/wchan") == _WAITING


def _reads(tid: int, device: str, name: str) -> Iterator[int]:
    """The inodes of those files that the task may be reading; one, where we may see its call.

    By tasks, not processes: one whose first thread has ended shows no descriptors.
    """
    if not _is_waiting(tid):
        return
    call = _read(f"{PROC}/{tid}/syscall").split()
    descriptors = [str(int(call[1], 16))] if len(call) > 1 else _listed(f"{PROC}/{tid}/fd")
    for descriptor in descriptors:
        if _target(f"{PROC}/{tid}/fd/{descriptor}").endswith(name):
            lines = _read(f"{PROC}/{tid}/fdinfo/{descriptor}").splitlines()
            info = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            if "ino" in info and _device(tid, info["mnt_id"]) in (device, None):
                yield int(info["ino"])


def _target(link: str) -> str:
    with suppress(OSError):
        return str(Path(link).readlink()).removesuffix(" (deleted)")
    return ""


def _device(tid: int, mount: str) -> str | None:
    """The device of one mount as a task sees it; None after a lazy unmount."""
    return next((found.device for found in _mounts(str(tid)) if found.number == mount), None)


def device_of(mountpoint: Path) -> str | None:
    """The device of the rvfs at a path, without asking the one who serves it."""
    mounted = [found for found in _mounts("self") if found.path == str(mountpoint)]
    return mounted[-1].device if mounted and mounted[-1].type == "fuse.rvfs" else None


class _Mount(NamedTuple):
    """A line of mountinfo; ``device`` is ``major:minor``."""

    number: str
    device: str
    path: str
    type: str


def _mounts(task: str) -> Iterator[_Mount]:
    for line in _read(f"{PROC}/{task}/mountinfo").splitlines():
        mount, _, filesystem = line.partition(" - ")
        number, _, device, _, path, *_ = mount.split(" ")
        unescaped = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), path)
        yield _Mount(number, device, unescaped, filesystem.split(" ")[0])


def _read(path: str) -> str:
    """The text of a file of /proc; empty when its task is gone or not ours to look at."""
    with suppress(OSError):
        return Path(path).read_text(errors="replace")
    return ""


def _listed(folder: str) -> list[str]:
    with suppress(OSError):
        return [entry.name for entry in Path(folder).iterdir()]
    return []
