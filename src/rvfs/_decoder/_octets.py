"""What the interpreted twins have in place of ``_octets.pxd``, byte by byte.

``p`` and ``q`` are bytes, places are those in them. Compiled, words of 8 bytes are read, so that
up to 7 bytes behind the last one that is looked at must be there.
"""

from collections.abc import Sequence
from typing import TypeVar

__all__ = [
    "decimal", "digits", "few_digits", "find", "is_blank", "is_word", "line_end", "marks",
    "numbers", "octets", "packed", "room", "same", "seek", "spaces", "token_end", "word_end",
    "words",
]  # fmt: skip

T = TypeVar("T")


def is_word(c: int) -> bool:
    """As ``\\w``."""
    return ord("a") <= c | 0x20 <= ord("z") or ord("0") <= c <= ord("9") or c == ord("_")


def is_blank(c: int) -> bool:
    """As ``\\s``."""
    return c == ord(" ") or ord("\t") <= c <= ord("\r")


def word_end(p: Sequence[int], at: int) -> int:
    """Behind the letters, digits and underscores that begin here; something else must follow."""
    while is_word(p[at]):
        at += 1
    return at


def token_end(p: Sequence[int], at: int) -> int:
    """Where the next white space is, which there must be."""
    while not is_blank(p[at]):
        at += 1
    return at


def line_end(p: Sequence[int], at: int, end: int) -> int:
    """Where the next newline is, or ``end``."""
    return find(p, at, end, ord("\n"))


def spaces(p: Sequence[int], at: int) -> int:
    """Behind the spaces that begin here; something else must follow."""
    while p[at] == ord(" "):
        at += 1
    return at


def digits(p: Sequence[int], at: int) -> int:
    """Behind the digits that begin here; something else must follow."""
    while ord("0") <= p[at] <= ord("9"):
        at += 1
    return at


def few_digits(p: Sequence[int], at: int) -> int:
    """The value of the digits that begin here and, times 2 ** 32, how many they are; 0 unless they
    are 1 to 7."""
    count = digits(p, at) - at
    return count << 32 | decimal(p, at, at + count) if 0 < count < 8 else 0


def decimal(p: Sequence[int], at: int, end: int) -> int:
    """The value of these digits, 19 at most."""
    value = 0
    for place in range(at, end):
        value = 10 * value + p[place] - ord("0")
    return value


def find(p: Sequence[int], at: int, end: int, byte: int) -> int:
    """Where the next such byte is, or ``end``."""
    while at < end and p[at] != byte:
        at += 1
    return min(at, end)


def packed(p: Sequence[int], at: int, end: int) -> int:
    """Up to 8 bytes as a number, the first one the lowest."""
    return sum(p[place] << 8 * (place - at) for place in range(at, min(at + 8, end)))


def same(p: Sequence[int], at: int, q: Sequence[int], start: int, size: int) -> bool:
    """Whether so many bytes are the same."""
    return all(p[at + k] == q[start + k] for k in range(size))


def seek(p: Sequence[int], at: int, end: int, q: Sequence[int], start: int, size: int) -> int:
    """Where, before ``end``, the next such text is; or -1."""
    for place in range(at, end - size + 1):
        if same(p, place, q, start, size):
            return place
    return -1


def octets(view: T) -> T:
    """Compiled, these are where the view begins."""
    return view


marks = numbers = room = words = octets
