"""The stepper: the only hot code.

:func:`step` is compiled from ``_step.py`` (types in ``_step.pxd``). With ``RVFS_PURE=1`` in
the environment the same file is interpreted instead: slower, and the same to the letter.
"""

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

PURE = os.environ.get("RVFS_PURE", "") not in ("", "0")


def load_interpreted() -> ModuleType:
    """The interpreted twin, whether or not the compiled one is there."""
    path = Path(__file__).with_name("_step.py")
    spec = importlib.util.spec_from_file_location("rvfs._stepper._step_interpreted", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def interpreted_step(*buffers: Any) -> int:
    """:func:`step`, interpreted. Plain memory views index faster than numpy arrays do."""
    views = (b if b is None or isinstance(b, int) else memoryview(b) for b in buffers)
    found: int = _interpreted(*views)
    return found


_interpreted = load_interpreted().step

if PURE:
    step = interpreted_step
else:
    from rvfs._stepper import _step

    if _step.__file__.endswith(".py"):
        raise ImportError(
            "rvfs: the compiled stepper is missing; build it with 'pip install .' "
            "or set RVFS_PURE=1 to do without"
        )
    step = _step.step

__all__ = ["PURE", "interpreted_step", "step"]
