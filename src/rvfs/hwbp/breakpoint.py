"""What a breakpoint watches, and what each architecture's debug registers can do.

An architecture is a table of rules, tried in order; the first one that is broken is the
refusal. ``x86`` and ``arm64`` follow arch/x86/kernel/hw_breakpoint.c and
arch/arm64/kernel/hw_breakpoint.c for 64-bit tasks; ``none`` accepts everything. Addresses of
the kernel are judged after these rules, for every architecture alike: see :func:`validate`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from rvfs.errors import InvalidInput, NotPermitted, NotSupported, RvfsError

#: The values of a breakpoint type (include/uapi/linux/hw_breakpoint.h). EMPTY and INVALID are
#: refused by the slot table itself; any other number is left to the architecture.
EMPTY, R, W, RW, X, INVALID = 0, 1, 2, 3, 4, 7
TYPES: Mapping[str, int] = {"EMPTY": 0, "R": 1, "W": 2, "RW": 3, "X": 4, "INVALID": 7}
TYPE_NAMES: Mapping[int, str] = {number: name for name, number in TYPES.items()}

#: Addresses, lengths and periods have 64 bits, a type has 32 (struct perf_event_attr).
WORD = 1 << 64
TYPE_LIMIT = 1 << 32
#: perf_event_open(2) keeps the highest bit of a period for itself.
PERIOD_LIMIT = 1 << 63

X86_TASK_SIZE_MAX = (1 << 47) - 4096
X86_CPU_ENTRY_AREA = 0xFFFF_FE00_0000_0000
X86_CPU_ENTRY_AREA_SIZE = 512 << 30
X86_X_LEN = 8  # sizeof(long), whatever the instruction's size
ARM64_TASK_SIZE = 1 << 48


class Pool(StrEnum):
    """The kinds of debug register. x86 has shared ones, arm64 one pool for each purpose."""

    INST = "inst"
    DATA = "data"
    SHARED = "shared"


@dataclass(frozen=True)
class Registers:
    """How many registers of which kind each CPU has (hw_breakpoint_slots())."""

    slots: Mapping[Pool, int]

    @classmethod
    def shared(cls, count: int) -> "Registers":
        return cls({Pool.SHARED: count})

    @classmethod
    def split(cls, *, inst: int, data: int) -> "Registers":
        return cls({Pool.INST: inst, Pool.DATA: data})

    def pool(self, bp_type: int) -> Pool:
        """The pool that a type draws from: DATA for whatever reads or writes, INST for the rest."""
        if Pool.SHARED in self.slots:
            return Pool.SHARED
        return Pool.DATA if bp_type & RW else Pool.INST

    def of(self, bp_type: int) -> int:
        """How many registers there are for a type on each CPU."""
        return self.slots[self.pool(bp_type)]


@dataclass(frozen=True, slots=True)
class Attributes:
    """The part of struct perf_event_attr that concerns a breakpoint. ``bp_len`` is in bytes."""

    bp_type: int
    bp_len: int
    bp_addr: int
    exclude_kernel: bool = True
    disabled: bool = True
    branch_stack: bool = False
    sample_period: int = 0

    @property
    def last(self) -> int:
        """The address of the last byte; below ``bp_addr`` where the range wraps."""
        return (self.bp_addr + self.bp_len - 1) % WORD

    @property
    def fixed(self) -> tuple[bool, bool, int]:
        """What PERF_EVENT_IOC_MODIFY_ATTRIBUTES must find unchanged."""
        return self.exclude_kernel, self.branch_stack, self.sample_period

    def __str__(self) -> str:
        name = TYPE_NAMES.get(self.bp_type, f"type {self.bp_type}")
        return f"{name} {self.bp_len} {self.bp_addr:#x}"


class Rule(NamedTuple):
    """One thing an architecture cannot do. ``broken`` gets whether a task is the target."""

    broken: Callable[[Attributes, bool], bool]
    error: type[RvfsError]
    why: str


@dataclass(frozen=True)
class Arch:
    """``in_kernel`` is asked only about attributes that break none of the ``rules``."""

    name: str
    registers: Registers
    rules: tuple[Rule, ...]
    in_kernel: Callable[[Attributes], bool]


def _power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


def _in_cpu_entry_area(attr: Attributes) -> bool:
    end = X86_CPU_ENTRY_AREA + X86_CPU_ENTRY_AREA_SIZE
    return attr.last >= X86_CPU_ENTRY_AREA and attr.bp_addr < end


def _in_x86_kernel(attr: Attributes) -> bool:
    """An instruction counts as one byte, so a range that starts in user space may end beyond."""
    last = attr.bp_addr if attr.bp_type == X else attr.last
    return last >= X86_TASK_SIZE_MAX


def _passes_arm64_word(attr: Attributes, _task: bool) -> bool:
    return attr.bp_type != X and attr.bp_addr % 8 + attr.bp_len > 8


def _in_arm64_kernel(attr: Attributes) -> bool:
    """Both ends must be; the first one decides, since a range never passes its 8-byte word."""
    return attr.bp_addr >= ARM64_TASK_SIZE


#: Without a list of the functions that must not be probed, every kernel instruction is on it:
#: so is it on a kernel built without CONFIG_KPROBES.
_X86_RULES = (
    Rule(lambda a, _: a.last < a.bp_addr, InvalidInput, "the range wraps or is empty"),
    Rule(lambda a, _: _in_cpu_entry_area(a), InvalidInput, "overlaps the CPU entry area"),
    Rule(lambda a, _: a.bp_type == R, InvalidInput, "x86 has no watchpoint for reads alone: RW"),
    Rule(lambda a, _: a.bp_type not in (W, RW, X), InvalidInput, "the types are W, RW and X"),
    Rule(
        lambda a, _: a.bp_type == X and a.bp_addr >= X86_TASK_SIZE_MAX,
        InvalidInput, "no instruction of the kernel can be watched",
    ),
    Rule(
        lambda a, _: a.bp_type == X and a.bp_len != X86_X_LEN,
        InvalidInput, "the length of X must be 8, whatever the instruction",
    ),
    Rule(lambda a, _: not _power_of_two(a.bp_len), InvalidInput, "the length is no power of two"),
    Rule(
        lambda a, _: a.bp_type != X and a.bp_addr % a.bp_len != 0,
        InvalidInput, "the address is not aligned to the length",
    ),
)  # fmt: skip
_X86_NO_RANGES = Rule(lambda a, _: a.bp_len > 8, NotSupported, "the lengths are 1, 2, 4 and 8")

_ARM64_RULES = (
    Rule(lambda a, _: a.bp_type not in (R, W, RW, X), InvalidInput, "the types are R, W, RW and X"),
    Rule(lambda a, _: not 1 <= a.bp_len <= 8, InvalidInput, "the lengths are 1 to 8"),
    Rule(_passes_arm64_word, InvalidInput, "passes the end of its 8-byte word"),
    Rule(
        lambda a, task: task and _in_arm64_kernel(a),
        InvalidInput, "a task cannot watch an address of the kernel",
    ),
)  # fmt: skip

X86 = Arch("x86", Registers.shared(4), (*_X86_RULES, _X86_NO_RANGES), _in_x86_kernel)
#: AMD processors with BPEXT also watch aligned ranges of a power of two.
X86_BPEXT = Arch("x86", Registers.shared(4), _X86_RULES, _in_x86_kernel)
ARM64 = Arch("arm64", Registers.split(inst=6, data=4), _ARM64_RULES, _in_arm64_kernel)
NONE = Arch("none", Registers.shared(4), (), lambda _: False)

ARCHES: Mapping[str, Arch] = {arch.name: arch for arch in (X86, ARM64, NONE)}


def validate(arch: Arch, attr: Attributes, *, task: bool, sys_admin: bool = True) -> None:
    """hw_breakpoint_parse(): can this machine watch that, and may the caller ask for it?

    Raises the error of the first rule that is broken, then, for an address of the kernel,
    :class:`InvalidInput` with ``exclude_kernel`` and :class:`NotPermitted` without CAP_SYS_ADMIN.
    """
    for rule in arch.rules:
        if rule.broken(attr, task):
            raise rule.error(f"{attr} cannot be watched on {arch.name}: {rule.why}")
    if arch.in_kernel(attr):
        if attr.exclude_kernel:
            raise InvalidInput(f"{attr} is in the kernel, and exclude_kernel is set")
        if not sys_admin:
            raise NotPermitted(f"{attr} is in the kernel: that takes CAP_SYS_ADMIN")
