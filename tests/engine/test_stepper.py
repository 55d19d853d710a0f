"""The twins of the native code: which one is taken. What they do is compared by test_engine."""

import os
import subprocess
import sys

import pytest

from rvfs import _stepper


@pytest.mark.parametrize("pure", ["1", "0", ""])
def test_rvfs_pure_chooses_the_twin(pure: str) -> None:
    compiled = pure != "1"
    if compiled and _stepper.PURE:
        pytest.skip("RVFS_PURE is set: this run does without the compiled stepper")
    code = "from rvfs import _stepper; print(_stepper.chosen.compiled)"
    found = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "RVFS_PURE": pure},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == str(compiled)
