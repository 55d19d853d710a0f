"""How the values of an event's fields are written in text, and read back: one table.

A codec is named by a print template (:mod:`rvfs.tracepoint`); its forms are those of the
kernel's ``print fmt`` (include/trace/events/*.h).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rvfs.errors import InvalidInput

#: The letters of a task state in ``prev_state=`` (include/trace/events/sched.h).
TASK_STATES: Mapping[str, int] = {
    "S": 0x01, "D": 0x02, "T": 0x04, "t": 0x08, "X": 0x10, "Z": 0x20, "P": 0x40, "I": 0x80,
}  # fmt: skip
PREEMPTED = 0x100


def task_state_text(value: int) -> str:
    """``1`` → ``S``, ``0`` → ``R``, ``0x100`` (preempted) → ``R+``."""
    letters = [letter for letter, bit in TASK_STATES.items() if value & bit]
    return ("|".join(letters) or "R") + ("+" if value & PREEMPTED else "")


def task_state_value(text: str) -> int:
    """The inverse of :func:`task_state_text`. Raises :class:`InvalidInput`."""
    value = PREEMPTED if text.endswith("+") else 0
    for letter in text.removesuffix("+").split("|"):
        if letter != "R":
            if letter not in TASK_STATES:
                raise InvalidInput(f"task state {text!r} has an unknown letter {letter!r}")
            value |= TASK_STATES[letter]
    return value


@dataclass(frozen=True, slots=True)
class Codec:
    """How one field value is written in text: to text, its pattern, back, and in C."""

    to_text: Callable[[object], str]
    pattern: str
    from_text: Callable[[str], object]
    c_format: str
    c_argument: str = "REC->{name}"


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _number(value: object) -> int:
    return int(value)  # type: ignore[call-overload, no-any-return]


_STATE_FLAGS = ", ".join(f'{{ {bit:#x}, "{letter}" }}' for letter, bit in TASK_STATES.items())
_STATE_C = (
    f'(REC->{{name}} & 0xff) ? __print_flags(REC->{{name}} & 0xff, "|", {_STATE_FLAGS}) : "R", '
    'REC->{name} & 0x100 ? "+" : ""'
)

#: The flags of a contended lock (include/trace/events/lock.h), and the softirqs by number.
LOCK_FLAGS = ("SPIN", "READ", "WRITE", "RT", "PERCPU", "MUTEX")
SOFTIRQS = (
    "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU",
)  # fmt: skip


def _flags(names: Sequence[str]) -> Codec:
    """Bits by their names, and the others as a number, as ``__print_flags`` writes them."""
    bits = {name: 1 << i for i, name in enumerate(names)}

    def to_text(value: object) -> str:
        number = _number(value)
        words = [name for name, bit in bits.items() if number & bit]
        rest = number >> len(bits) << len(bits)
        return "|".join([*words, f"{rest:#x}"] if rest else words)

    def from_text(text: str) -> int:
        words = text.split("|") if text else []
        return sum(bits[word] if word in bits else int(word, 16) for word in words)

    table = ", ".join(f'{{ {bit:#x}, "{name}" }}' for name, bit in bits.items())
    c_argument = f'__print_flags(REC->{{name}}, "|", {table})'
    return Codec(to_text, r"[\w|]*", from_text, "%s", c_argument)


def _symbols(names: Sequence[str]) -> Codec:
    """Numbers from 0 by their names, as ``__print_symbolic`` writes them."""
    table = ", ".join(f'{{ {i}, "{name}" }}' for i, name in enumerate(names))
    c_argument = f"__print_symbolic(REC->{{name}}, {table})"
    return Codec(lambda v: names[_number(v)], "|".join(names), names.index, "%s", c_argument)


CODECS: Mapping[str, Codec] = {
    "d": Codec(lambda v: str(_number(v)), r"-?\d+", int, "%ld"),
    "03d": Codec(lambda v: f"{_number(v):03d}", r"-?\d+", int, "%03d"),
    "x": Codec(lambda v: f"{_number(v):x}", r"(?:0x)?[0-9a-f]+", lambda t: int(t, 16), "%lx"),
    "0x": Codec(lambda v: f"{_number(v):#x}", r"(?:0x)?[0-9a-f]+", lambda t: int(t, 16), "0x%lx"),
    "p": Codec(lambda v: f"{_number(v):016x}", r"(?:0x)?[0-9a-f]+", lambda t: int(t, 16), "%p"),
    # %ps names a symbol of the kernel, which then is no number that could be read back
    "ps": Codec(
        lambda v: f"{_number(v):#x}", r"\S+", lambda t: int(t, 16) if t.startswith("0x") else 0,
        "%ps", "(void *)REC->{name}",
    ),
    "lock_flags": _flags(LOCK_FLAGS),
    "softirq": _symbols(SOFTIRQS),
    "s": Codec(_text, r".*?", str.encode, "%s"),
    "str": Codec(_text, r".*?", str.encode, "%s", "__get_str({name})"),
    "bool": Codec(
        lambda v: "true" if v else "false", r"true|false|0|1",
        lambda t: int(t in ("true", "1")), "%s", 'REC->{name} ? "true" : "false"',
    ),
    "final": Codec(
        lambda v: " (final)" if v else "", r" \(final\)|", lambda t: int(bool(t)),
        "%s", 'REC->{name} ? " (final)" : ""',
    ),
    "task_state": Codec(
        lambda v: task_state_text(_number(v)), r"[A-Za-z|]+\+?", task_state_value, "%s%s", _STATE_C
    ),
}  # fmt: skip
