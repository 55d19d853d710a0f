"""A print template as the steps in which the decoder reads a text that was written by it.

Not every template has steps: after each field must come something that cannot be part of it.
The codecs that have, and how the decoder calls them, are the table :data:`_STEPS`.
"""

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rvfs._decoder import lines
from rvfs.codec import CODECS, TASK_STATES, Codec
from rvfs.event import Ints
from rvfs.tracepoint import Field, Tracepoint

#: Codec → the decoder's step, and the characters that could go on what it reads.
_STEPS: Mapping[Codec, tuple[int, str]] = {
    CODECS["d"]: (lines.NUMBER, string.digits),
    CODECS["03d"]: (lines.NUMBER, string.digits),
    CODECS["x"]: (lines.HEXADECIMAL, string.digits + "abcdefx"),
    CODECS["0x"]: (lines.HEXADECIMAL, string.digits + "abcdefx"),
    CODECS["task_state"]: (lines.STATE, string.ascii_letters + "|+"),
    CODECS["s"]: (lines.WORDS, ""),
    CODECS["str"]: (lines.WORDS, ""),
}

#: The bits of each letter of a task state, as the kernel and as older releases of trace-cmd have
#: them.
OLD_STATES: Mapping[str, str] = {"x": "P", "W": "I"}
STATES = np.full(256, lines.NO_STATE, dtype=np.int64)
STATES[ord("R")] = 0
for _letter, _bit in TASK_STATES.items():
    STATES[ord(_letter)] = _bit
for _old, _letter in OLD_STATES.items():
    STATES[ord(_old)] = TASK_STATES[_letter]

#: Instead of a form's first step: its pattern has to be asked.
ASK = -1


@dataclass(frozen=True, slots=True)
class Forms:
    """The steps of several forms: where each begins, the steps, and the text of their literals."""

    first: Ints
    steps: Ints
    literals: bytes

    @property
    def depth(self) -> int:
        """How many steps there are."""
        return len(self.steps) // int(lines.STEP)


def compile_forms(templates: Iterable[Tracepoint], fields: Sequence[Field]) -> Forms:
    """The forms of these templates that read these fields, up to the first that has no steps;
    behind them a form that asks the pattern."""
    columns = {field.name: (at, field) for at, field in enumerate(fields)}
    first, steps, literals = [], list[int](), b""
    for template in templates:
        mine = _steps(template, columns, len(literals))
        if mine is None:
            break
        first.append(len(steps) // lines.STEP)
        steps += mine[0]
        literals += mine[1]
    return Forms(np.array([*first, ASK], dtype=np.int64), np.array(steps, dtype=np.int64), literals)


def _steps(
    template: Tracepoint, columns: Mapping[str, tuple[int, Field]], place: int
) -> tuple[list[int], bytes] | None:
    """The steps of a template, whose literals begin at ``place``; None: it has none."""
    steps, text, left = list[int](), template.literals[0].encode(), dict(columns)
    if text:
        steps += (lines.LITERAL, -1, place, len(text))
    last = len(template.slots) - 1
    for at, (name, codec) in enumerate(template.slots):
        following = template.literals[at + 1]
        if codec not in _STEPS or (not following and at != last):
            return None
        step, more = _STEPS[codec]
        if following and following[0] in more:
            return None
        column, field = left.pop(name, (-1, None))
        wide = field is not None and field.size == 8 and not field.signed
        steps += (step, column, int(wide), 0)
        if following:
            steps += (lines.LITERAL, -1, place + len(text), len(following.encode()))
            text += following.encode()
    return [*steps, lines.DONE, -1, 0, 0], text
