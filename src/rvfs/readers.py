"""Who waits in a read of the mount, and whether a signal waits for it.

The kernel tells a FUSE server of an interrupted request, but the library between keeps that
to itself; and until the server answers, the reader stays in an uninterruptible sleep, for
SIGKILL too. What can be seen instead: such a reader is in state D, in the kernel function
``request_wait_answer``, with a signal pending that it does not block
(fs/fuse/dev.c). All of this is in /proc, and is read here.

A read request names no task either. The one who opened the file is looked at first; an
inherited descriptor (``cat <&3``) is looked for in every process, by the inode number of the
open file, which fs.py does not give to two of them.
"""

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


def interrupted(waits: Sequence[Wait], device: str, name: str) -> list[Wait]:
    """Those whose reader has been interrupted; finds out first who the readers are.

    ``device`` is that of the mount, as in /proc/self/mountinfo (``0:53``); ``name`` is how
    the path of the file ends. Takes about 20 µs per reader, and 10 ms and more when an
    inherited descriptor must be looked for.
    """
    _identify(waits, device, name)
    return [wait for wait in waits if wait.tid is not None and _is_interrupted(wait)]


def _identify(waits: Sequence[Wait], device: str, name: str) -> None:
    known = {wait.tid for wait in waits}
    for wait in waits:
        if wait.tid is None and wait.opener not in known and _is_waiting(wait.opener):
            known.add(wait.opener)
            wait.tid = wait.opener
    unknown = {wait.inode: wait for wait in waits if wait.tid is None}
    if unknown:
        for inode, tid in _find(frozenset(unknown), device, name):
            if tid not in known:
                unknown[inode].tid = tid


def _is_waiting(tid: int) -> bool:
    return _read(f"{PROC}/{tid}/wchan") == _WAITING


def _is_interrupted(wait: Wait) -> bool:
    status = dict(_STATUS.findall(_read(f"{PROC}/{wait.tid}/status")))
    if status.get("State") not in ("S", "D"):
        wait.tid = None  # it was another one's
        return False
    pending = int(status["SigPnd"], 16) | int(status["ShdPnd"], 16)
    return status["State"] == "D" and bool(pending & ~int(status["SigBlk"], 16))


def _find(inodes: frozenset[int], device: str, name: str) -> Iterator[tuple[int, int]]:
    """``(inode, tid)`` of the tasks that wait, in a process that has one of the files open."""
    for process in filter(str.isdecimal, _listed(PROC)):
        held = set(_held(process, inodes, device, name))
        if held:
            for tid in filter(_is_waiting, map(int, _listed(f"{PROC}/{process}/task"))):
                yield from ((inode, tid) for inode in held)


def _held(process: str, inodes: frozenset[int], device: str, name: str) -> Iterator[int]:
    for descriptor in _listed(f"{PROC}/{process}/fd"):
        if _target(f"{PROC}/{process}/fd/{descriptor}").endswith(name):
            lines = _read(f"{PROC}/{process}/fdinfo/{descriptor}").splitlines()
            info = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            inode = int(info.get("ino", 0))
            if inode in inodes and _device(process, info["mnt_id"]) in (device, None):
                yield inode


def _target(link: str) -> str:
    with suppress(OSError):
        return str(Path(link).readlink()).removesuffix(" (deleted)")
    return ""


def _device(process: str, mount: str) -> str | None:
    """The device of one mount as a process sees it; None after a lazy unmount."""
    return next((found.device for found in _mounts(process) if found.number == mount), None)


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


def _mounts(process: str) -> Iterator[_Mount]:
    for line in _read(f"{PROC}/{process}/mountinfo").splitlines():
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
