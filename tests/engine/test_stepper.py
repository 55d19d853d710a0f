"""Both twins of the stepper, on the same buffers."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs import _stepper

LETTERS, ROWS = 3, 4  # the last row is "not monitoring"
tables = st.lists(st.integers(-1, ROWS - 1), min_size=LETTERS * ROWS, max_size=LETTERS * ROWS)
events = st.lists(st.tuples(st.integers(-1, LETTERS - 1), st.integers(0, 2)), max_size=30)


def ints16(values: Any) -> Any:
    return np.array(values, dtype=np.int16)


def run(step: Any, table: Any, found: Any, observed: bool) -> tuple[Any, ...]:
    states = ints16([0, 1, ROWS - 1])
    letters, slots = ints16([e[0] for e in found]), np.array([e[1] for e in found], dtype=np.int64)
    violations = np.full(2 * len(found), -7, dtype=np.int64)
    before, after = np.full((2, len(found)), -7, dtype=np.int16)
    count = step(
        ints16(table), LETTERS, ROWS - 1, letters, slots, states, violations,
        *((before, after) if observed else (None, None)),
    )  # fmt: skip
    return count, *(a.tolist() for a in (states, violations, before, after))


def spelled_out(table: Any, found: Any, observed: bool) -> tuple[Any, ...]:
    states, pairs = [0, 1, ROWS - 1], []
    before, after = [-7] * len(found), [-7] * len(found)
    for i, (letter, slot) in enumerate(found):
        if letter == -1:
            continue
        row = states[slot]
        following = table[row * LETTERS + letter]
        if observed:
            before[i], after[i] = row, following
        pairs += [i, row] if following < 0 else []
        states[slot] = ROWS - 1 if following < 0 else following
    filled = pairs + [-7] * (2 * len(found) - len(pairs))
    return len(pairs) // 2, states, filled, before, after


@pytest.mark.parametrize("twin", ["chosen", "interpreted"])
@given(table=tables, found=events, observed=st.booleans())
def test_the_stepper_does_what_its_words_say(
    twin: str, table: Any, found: Any, observed: bool
) -> None:
    step = _stepper.step if twin == "chosen" else _stepper.interpreted_step
    assert run(step, table, found, observed) == spelled_out(table, found, observed)


@pytest.mark.parametrize(
    ("pure", "expected"), [("1", "function"), ("0", "compiled"), ("", "compiled")]
)
def test_rvfs_pure_chooses_the_twin(pure: str, expected: str) -> None:
    if expected == "compiled" and _stepper.PURE:
        pytest.skip("RVFS_PURE is set: this run does without the compiled stepper")
    code = "from rvfs import _stepper; print(type(_stepper.step).__name__)"
    found = subprocess.run(
        [sys.executable, "-c", code], env={"RVFS_PURE": pure}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert (found.stdout.strip() == "function") == (expected == "function")
