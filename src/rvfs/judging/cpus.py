"""How many CPUs this process may use: those it may run on, or what its group is given of them.

A container with two CPUs' worth of time (``docker run --cpus=2``) may run on all of the
machine's, but more than two processes would only wait for each other. Of the groups that a
process is in, one within the other, the strictest decides.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """One at least; a part of a CPU counts as one. ``groups`` is where cgroup v2 is mounted."""
    quotas = (_quota(groups / group / "cpu.max") for group in _groups(own))
    return max(1, math.ceil(min([len(os.sched_getaffinity(0)), *quotas])))


def _groups(own: Path) -> Iterator[str]:
    """The paths of the groups, relative to the root."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("0::/"):  # of version 2
            path = PurePosixPath(line[4:])
            yield from map(str, (path, *path.parents))


def _quota(file: Path) -> float:
    """In CPUs. The file has it for a period, both in µs, or ``max`` for none."""
    try:
        quota, period = file.read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
