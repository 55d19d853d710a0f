"""A print template as the steps in which the decoder reads a text that was written by it.

Not every template has steps: after each field must come something that cannot be part of it.
The codecs that have, and how the decoder calls them, are the table :data:`_STEPS`.
"""

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from rvfs._decoder import lines, texts
from rvfs.codec import CODECS, TASK_STATES, Codec
from rvfs.event import Ints
from rvfs.tracepoint import Field, Tracepoint

#: What a text may be long where no column keeps it.
ANY = np.iinfo(np.int64).max

#: Codec → the decoder's step, and the characters that could go on what it reads.
_STEPS: Mapping[Codec, tuple[int, str]] = {
    CODECS["d"]: (texts.NUMBER, string.digits),
    CODECS["03d"]: (texts.NUMBER, string.digits),
    CODECS["x"]: (texts.HEXADECIMAL, string.digits + "abcdefx"),
    CODECS["0x"]: (texts.HEXADECIMAL, string.digits + "abcdefx"),
    CODECS["task_state"]: (texts.STATE, string.ascii_letters + "|+"),
    CODECS["s"]: (texts.WORDS, ""),
    CODECS["str"]: (texts.WORDS, ""),
}

#: The bits of each letter of a task state, as the kernel and as older releases of trace-cmd have
#: them.
OLD_STATES: Mapping[str, str] = {"x": "P", "W": "I"}
STATES = np.full(256, texts.NO_STATE, dtype=np.int64)
STATES[ord("R")] = 0
for _letter, _bit in TASK_STATES.items():
    STATES[ord(_letter)] = _bit
for _old, _letter in OLD_STATES.items():
    STATES[ord(_old)] = TASK_STATES[_letter]

#: Instead of a form's first step: its pattern has to be asked.
ASK = -1


@dataclass(frozen=True, slots=True)
class Forms:
    """The steps of several forms: where each begins, the steps, and the text of their literals
    (with more behind it, as the decoder wants it)."""

    first: Ints
    steps: Ints
    literals: bytes

    @property
    def depth(self) -> int:
        """How many steps there are."""
        return len(self.steps) // int(texts.STEP)


def compile_forms(templates: Iterable[Tracepoint], fields: Sequence[Field]) -> Forms:
    """The forms of these templates that read these fields, up to the first that has no steps;
    behind them a form that asks the pattern."""
    places = accumulate(map(words, fields), initial=0)
    columns = {field.name: (at, field) for at, field in zip(places, fields, strict=False)}
    first, steps, literals = [], list[int](), b""
    for template in templates:
        mine = _steps(template, columns, len(literals))
        if mine is None:
            break
        first.append(len(steps) // texts.STEP)
        steps += mine[0]
        literals += mine[1]
    literals += bytes(lines.BEYOND)
    return Forms(np.array([*first, ASK], dtype=np.int64), np.array(steps, dtype=np.int64), literals)


def words(field: Field) -> int:
    """What a row of its column has in the decoder: of a text place and end."""
    return 2 if field.is_string else 1


def longest(field: Field) -> int:
    """The bytes that a text may have."""
    return ANY if field.dynamic else -(-field.size // 8) * 8


def _steps(
    template: Tracepoint, columns: Mapping[str, tuple[int, Field]], place: int
) -> tuple[list[int], bytes] | None:
    """The steps of a template, whose literals begin at ``place``; None: it has none."""
    text, left = template.literals[0].encode(), dict(columns)
    steps = [texts.NOTHING, -1, 0, place, len(text)]
    last = len(template.slots) - 1
    for at, (name, codec) in enumerate(template.slots):
        following = template.literals[at + 1]
        if codec not in _STEPS or (not following and at != last):
            return None
        step, more = _STEPS[codec]
        if following and following[0] in more:
            return None
        column, bound = -1, ANY if step == texts.WORDS else 0
        if name in left:
            column, field = left.pop(name)
            bound = longest(field) if field.is_string else int(field.size == 8 and not field.signed)
        literal = following.encode()
        steps += (step, column, bound, place + len(text), len(literal))
        text += literal
    longest_literal = max(len(literal.encode()) for literal in template.literals)
    if longest_literal > lines.BEYOND or b"\n" in text:
        return None
    return [*steps, texts.DONE, -1, 0, 0, 0], text
