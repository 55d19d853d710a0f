"""What the debug registers of each architecture can watch."""

from collections.abc import Sequence

import pytest

from rvfs.errors import InvalidInput, NotPermitted, NotSupported, RvfsError
from rvfs.hwbp.breakpoint import (
    ARM64,
    EMPTY,
    NONE,
    RW,
    X86,
    X86_BPEXT,
    Arch,
    Attributes,
    R,
    W,
    X,
    validate,
)

USER = 0x7F00_0000_0000
KERNEL = 0xFFFF_8880_0000_0000
END = (1 << 47) - 4096  # where x86 ends user space
ENTRY = 0xFFFF_FE00_0000_0000
GIB = 1 << 30
ARM_KERNEL = 0xFFFF_0000_0000_0000

Watch = tuple[int, int, int]


def check(arch: Arch, watch: Watch, *, kernel: bool = False, task: bool = True) -> None:
    validate(arch, Attributes(*watch, exclude_kernel=not kernel), task=task)


def each(*watches: Watch) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("watch", watches, ids=lambda w: str(Attributes(*w)))


class TestX86:
    @each(
        *[(kind, length, USER) for kind in (W, RW) for length in (1, 2, 4, 8)],
        (W, 1, USER + 7), (W, 2, USER + 6), (W, 4, USER + 4), (W, 8, USER + 8), (W, 1, 0),
        (X, 8, USER), (X, 8, USER + 1), (X, 8, END - 1),
        (W, 8, END - 8), (W, 1, END - 1),
    )  # fmt: skip
    def test_can_watch(self, watch: Watch) -> None:
        check(X86, watch)

    @pytest.mark.parametrize(
        ("why", "watches"),
        [
            ("the range wraps or is empty", [(W, 0, USER), (X, 0, USER), (W, 16, (1 << 64) - 8)]),
            ("no watchpoint for reads alone", [(R, 8, USER), (R, 3, USER)]),
            ("the types are W, RW and X", [(kind, 8, USER) for kind in (EMPTY, 5, 6, 8)]),
            ("the length of X must be 8", [(X, length, USER) for length in (1, 2, 4, 16)]),
            ("no power of two", [(W, length, 24) for length in (3, 6, 12, 24)]),
            ("not aligned", [(W, 16, 8), (W, 8, 4), (W, 4, 2), (W, 2, 1), (RW, 8, 1)]),
        ],
    )
    def test_cannot_watch(self, why: str, watches: Sequence[Watch]) -> None:
        for watch in watches:
            with pytest.raises(InvalidInput, match=f"cannot be watched on x86: .*{why}"):
                check(X86, watch)

    @each((W, 16, USER), (RW, 4096, USER), (W, 1 << 63, 0), (W, 8192, (1 << 47) - 8192))
    def test_ranges_are_for_some(self, watch: Watch) -> None:
        with pytest.raises(NotSupported, match="lengths are 1, 2, 4 and 8"):
            check(X86, watch, kernel=True)
        check(X86_BPEXT, watch, kernel=True)

    @each((W, 16, USER + 8), (W, 24, USER), (X, 16, USER))
    def test_ranges_are_aligned_powers_of_two(self, watch: Watch) -> None:
        with pytest.raises(InvalidInput):
            check(X86_BPEXT, watch)

    @each((W, 8, END), (W, 1, END), (W, 8, KERNEL), (RW, 8, (1 << 64) - 8), (W, 1, (1 << 64) - 1))
    def test_the_kernel(self, watch: Watch) -> None:
        with pytest.raises(InvalidInput, match="exclude_kernel is set"):
            check(X86, watch)
        check(X86, watch, kernel=True)
        check(X86, watch, kernel=True, task=False)

    def test_a_range_that_ends_in_the_kernel_is_in_the_kernel(self) -> None:
        with pytest.raises(InvalidInput, match="exclude_kernel is set"):
            check(X86_BPEXT, (W, 8192, (1 << 47) - 8192))

    @each((X, 8, END), (X, 8, KERNEL), (X, 8, (1 << 64) - 8))
    def test_no_instruction_of_the_kernel(self, watch: Watch) -> None:
        with pytest.raises(InvalidInput, match="no instruction of the kernel"):
            check(X86, watch, kernel=True)

    @each((W, 8, ENTRY), (W, 8, ENTRY + 512 * GIB - 8), (W, 16 * GIB, ENTRY - 8 * GIB))
    def test_the_entry_area(self, watch: Watch) -> None:
        with pytest.raises(InvalidInput, match="CPU entry area"):
            check(X86_BPEXT, watch, kernel=True)

    @each((W, 8, ENTRY - 8), (W, 8, ENTRY + 512 * GIB))
    def test_beside_the_entry_area(self, watch: Watch) -> None:
        check(X86, watch, kernel=True)

    def test_a_right_is_asked_for_last(self) -> None:
        def ask(**attr: bool) -> None:
            validate(X86, Attributes(W, 8, KERNEL, **attr), task=True, sys_admin=False)

        with pytest.raises(InvalidInput):
            ask(exclude_kernel=True)
        with pytest.raises(NotPermitted, match="CAP_SYS_ADMIN"):
            ask(exclude_kernel=False)


class TestArm64:
    @each(
        *[(kind, length, USER) for kind in (R, W, RW, X) for length in range(1, 9)],
        (W, 1, USER + 7), (R, 4, USER + 4), (RW, 3, USER + 5), (X, 8, USER + 3), (X, 4, USER + 6),
        (W, 8, (1 << 48) - 8),
    )  # fmt: skip
    def test_can_watch(self, watch: Watch) -> None:
        check(ARM64, watch, kernel=True)

    @each(
        (EMPTY, 8, USER), (5, 8, USER), (8, 8, USER),
        (W, 0, USER), (W, 9, USER), (X, 0, USER), (X, 9, USER), (W, 16, USER),
        (W, 2, USER + 7), (W, 8, USER + 1), (R, 5, USER + 4),
    )  # fmt: skip
    def test_cannot_watch(self, watch: Watch) -> None:
        with pytest.raises(InvalidInput, match="cannot be watched on arm64: "):
            check(ARM64, watch, kernel=True)

    @each((W, 8, ARM_KERNEL), (X, 4, ARM_KERNEL), (W, 8, 1 << 48))
    def test_a_task_cannot_watch_the_kernel(self, watch: Watch) -> None:
        with pytest.raises(InvalidInput, match="a task cannot"):
            check(ARM64, watch, kernel=True)
        check(ARM64, watch, kernel=True, task=False)
        with pytest.raises(InvalidInput, match="exclude_kernel is set"):
            check(ARM64, watch, task=False)


@each((EMPTY, 0, 0), (77, 3, KERNEL + 1), (W, 8, ENTRY))
def test_none_accepts_everything(watch: Watch) -> None:
    check(NONE, watch)


@pytest.mark.parametrize(
    ("arch", "slots"), [(X86, [4]), (X86_BPEXT, [4]), (ARM64, [6, 4]), (NONE, [4])]
)
def test_registers(arch: Arch, slots: Sequence[int]) -> None:
    assert list(arch.registers.slots.values()) == slots


def test_a_refusal_says_what_and_why() -> None:
    with pytest.raises(RvfsError) as refusal:
        check(X86, (X, 1, 0x1000))
    assert str(refusal.value) == (
        "X 1 0x1000 cannot be watched on x86: the length of X must be 8, whatever the instruction"
    )
