"""One breakpoint of the running kernel: perf_event_open(2), its ioctls, and its ring of hits.

The attributes are those of a breakpoint that counts each hit (period 1) and writes one sample
for it into a ring that is mapped here. A sample and a loss have these fields::

    sample  header 8 | ip 8 | pid 4 | tid 4 | time 8 | address 8 | cpu 4 | - 4
    lost    header 8 | id 8 | lost 8 | pid 4 | tid 4 | time 8 | cpu 4 | - 4

Source: include/uapi/linux/perf_event.h and the manual page perf_event_open(2).
"""

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rvfs.errors import (
    InvalidInput,
    NoAccess,
    NoDevice,
    NoTask,
    NotPermitted,
    NotSupported,
    RvfsError,
)
from rvfs.hwbp.breakpoint import Attributes

#: perf_event_open(2) by architecture.
SYSCALLS: Mapping[str, int] = {"x86_64": 298, "aarch64": 241}
PERF_TYPE_BREAKPOINT = 5
PERF_FLAG_FD_CLOEXEC = 8
CLOCK_MONOTONIC = 1

ENABLE, DISABLE, MODIFY_ATTRIBUTES = 0x2400, 0x2401, 0x4008_240B
#: IP, TID, TIME, ADDR and CPU; what stands in a sample, and but for IP and ADDR in every record.
SAMPLE_TYPE = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 7
BRANCH_STACK, ANY_BRANCH = 1 << 11, 1 << 3
#: Bits of the attributes, by their places.
DISABLED, EXCLUDE_KERNEL, EXCLUDE_HV, SAMPLE_ID_ALL, USE_CLOCKID = (
    1,
    1 << 5,
    1 << 6,
    1 << 18,
    1 << 25,
)

_ATTR = struct.Struct("=IIQQQQQIIQQQQIiQIHHIIQ")
_HEADER = struct.Struct("=IHH")
_LOST = struct.Struct("=IHHQQIIQI4x")
RECORD_LOST, RECORD_SAMPLE = 2, 9

#: Pages of a ring: a power of two. What one user may lock (perf_event_mlock_kb) holds four.
PAGES = 32
_HEADS = slice(1024, 1040)  # data_head and data_tail in the first page, which is not data

Hits = npt.NDArray[Any]
HIT = np.dtype([
    ("header", "V8"), ("ip", "u8"), ("tgid", "i4"), ("pid", "i4"), ("time", "i8"),
    ("address", "u8"), ("cpu", "i4"), ("-", "V4"),
])  # fmt: skip

_PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
_libc = ctypes.CDLL(None, use_errno=True)


class Refusal(NamedTuple):
    """What an errno of the kernel means here; ``why`` is filled in with what was ``asked``."""

    error: type[RvfsError]
    why: str


REFUSALS: Mapping[int, Refusal] = {
    errno.EACCES: Refusal(
        NoAccess, "{asked}: we may not, but root may (perf_event_paranoid is {paranoid})"
    ),
    errno.EPERM: Refusal(NotPermitted, "{asked}: that takes CAP_SYS_ADMIN, or more locked memory"),
    errno.ESRCH: Refusal(NoTask, "{asked}: there is no such task, or it has exited"),
    errno.EINVAL: Refusal(InvalidInput, "{asked}: the debug registers cannot do that"),
    errno.ENODEV: Refusal(NoDevice, "{asked}: the CPU is offline"),
    errno.EOPNOTSUPP: Refusal(NotSupported, "{asked}: this machine has no debug register for it"),
    errno.ENOENT: Refusal(NotSupported, "{asked}: this kernel has no hardware breakpoints"),
    errno.ENOSYS: Refusal(NotSupported, "{asked}: this kernel has no perf events"),
}  # fmt: skip


class NoRegister(Exception):
    """ENOSPC: the kernel has no register left. Who counts registers says what that means."""


def refuse(number: int, asked: str) -> Exception:
    """The error for an errno of the kernel."""
    if number == errno.ENOSPC:
        return NoRegister(asked)
    refusal = REFUSALS.get(number, Refusal(RvfsError, "{asked}: " + os.strerror(number)))
    return refusal.error(refusal.why.format(asked=asked, paranoid=_paranoid()))


def _paranoid() -> str:
    with suppress(OSError):
        return _PARANOID.read_text().strip()
    return "not there"


def pack(attr: Attributes) -> bytes:
    """struct perf_event_attr."""
    bits = (
        DISABLED * attr.disabled | EXCLUDE_KERNEL * attr.exclude_kernel
        | EXCLUDE_HV | SAMPLE_ID_ALL | USE_CLOCKID
    )  # fmt: skip
    sample_type = SAMPLE_TYPE | BRANCH_STACK * attr.branch_stack
    return _ATTR.pack(
        PERF_TYPE_BREAKPOINT, _ATTR.size, 0, attr.sample_period or 1, sample_type, 0, bits,
        1, attr.bp_type, attr.bp_addr, attr.bp_len,
        ANY_BRANCH * attr.branch_stack, 0, 0, CLOCK_MONOTONIC, 0, 0, 0, 0, 0, 0, 0,
    )  # fmt: skip


def open_event(pid: int, cpu: int, attr: Attributes) -> int:
    """A descriptor from perf_event_open(2); ``pid`` and ``cpu`` are -1 for any.

    Raises :class:`NoRegister` and the errors of :data:`REFUSALS`.
    """
    asked = f"{attr} for {f'task {pid}' if pid >= 0 else 'every task'} on " + (
        f"CPU {cpu}" if cpu >= 0 else "every CPU"
    )
    call = SYSCALLS.get(platform.machine())
    if call is None:
        raise refuse(errno.ENOSYS, asked)
    packed = ctypes.create_string_buffer(pack(attr), _ATTR.size)
    descriptor = _libc.syscall(
        call, packed, ctypes.c_int(pid), ctypes.c_int(cpu), ctypes.c_int(-1),
        ctypes.c_ulong(PERF_FLAG_FD_CLOEXEC),
    )  # fmt: skip
    if descriptor < 0:
        raise refuse(ctypes.get_errno(), asked)
    return int(descriptor)


class PerfEvent:
    """One that is open. ``fd`` is readable when a hit has come, and hung up when its task ends."""

    def __init__(self, pid: int, cpu: int, attr: Attributes) -> None:
        """Raises :class:`NoRegister` and the errors of :data:`REFUSALS`."""
        self.fd, self.cpu = open_event(pid, cpu, attr), cpu
        self._told = 0
        try:
            self._map = mmap.mmap(self.fd, (1 + PAGES) * mmap.PAGESIZE)
        except OSError as error:
            os.close(self.fd)
            raise refuse(error.errno or errno.EIO, "the ring of a breakpoint") from None
        self._bytes = memoryview(self._map)
        self._heads = self._bytes[_HEADS].cast("Q")
        self._data = self._bytes[mmap.PAGESIZE :]

    def enable(self, on: bool) -> None:
        self._ioctl(ENABLE if on else DISABLE, 0)

    def modify(self, attr: Attributes) -> None:
        """Raises the errors of :data:`REFUSALS`; refused, it watches what it watched."""
        self._ioctl(MODIFY_ATTRIBUTES, pack(attr))

    def _ioctl(self, request: int, argument: int | bytes) -> None:
        try:
            fcntl.ioctl(self.fd, request, argument)
        except OSError as error:
            raise refuse(error.errno or errno.EIO, "changing a breakpoint") from None

    @property
    def count(self) -> int:
        """The hits so far, by the kernel's own count."""
        return int.from_bytes(os.read(self.fd, 8), "little")

    @property
    def empty(self) -> bool:
        return self._heads[0] == self._heads[1]

    def take(self) -> tuple[Hits, Counter[int]]:
        """The hits in the ring, oldest first (of :data:`HIT`), and how many were lost per CPU."""
        head, tail = self._heads
        data = self._between(tail, head)
        self._heads[1] = head
        samples, lost = [], Counter[int]()
        for kind, record in _records(data):
            if kind == RECORD_SAMPLE:
                samples.append(record)
            elif kind == RECORD_LOST:
                *_, count, _pid, _tid, _time, cpu = _LOST.unpack(record)
                lost[cpu] += count
        self._told += len(samples) + lost.total()
        return np.frombuffer(b"".join(samples), HIT), lost

    @property
    def untold(self) -> int:
        """Hits that were lost since the ring last had room to say so; for a disabled event."""
        return self.count - self._told

    def _between(self, tail: int, head: int) -> bytes:
        size = len(self._data)
        start, stop = tail % size, tail % size + head - tail
        return bytes(self._data[start:stop]) + bytes(self._data[: max(stop - size, 0)])

    def close(self) -> None:
        """The register is free when this returns; safe to call twice."""
        if self.fd < 0:
            return
        for view in (self._heads, self._data, self._bytes):
            view.release()
        self._map.close()
        os.close(self.fd)
        self.fd = -1


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, the whole record)."""
    at = 0
    while at < len(data):
        kind, _, size = _HEADER.unpack_from(data, at)
        yield kind, data[at : at + size]
        at += size
