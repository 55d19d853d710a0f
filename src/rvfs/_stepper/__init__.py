"""The hot code, and nothing else: what a batch brings to whom, and what becomes of it.

:class:`Twin` gathers it. Each of its files is plain Python that Cython compiles with the types
of the ``.pxd`` beside it. With ``RVFS_PURE=1`` in the environment the same files are
interpreted instead: slower, and the same to the letter.
"""

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

PURE = os.environ.get("RVFS_PURE", "") not in ("", "0")

_FILES = {"_select": "Selector", "_step": "Stepper", "_timed": "Timed", "_rule": "Ruled"}
_64_BITS = (1 << 64) - 1

#: What ``_memory.pxd`` has for the compiled twin.
_MEMORY: Mapping[str, Callable[..., Any]] = {
    "address": lambda column: column,
    "read": lambda column, row: column[row],
    "spread": lambda key: (key * 0x9E3779B97F4A7C15 & _64_BITS) >> 20,
    "within": lambda value, lowest, span: (value - lowest) & _64_BITS <= span & _64_BITS,
}


@dataclass(frozen=True)
class Twin:
    """The classes of :mod:`_select`, :mod:`_step`, :mod:`_timed` and :mod:`_rule`.

    ``view`` is what an array is handed to them as, ``columns`` makes what they note the columns
    of a batch in.
    """

    compiled: bool
    Selector: Any
    Stepper: Any
    Timed: Any
    Ruled: Any

    def view(self, array: Any) -> Any:
        """Interpreted code indexes a plain memory view faster than an array."""
        return array if self.compiled else memoryview(array)

    def columns(self, count: int) -> Any:
        return np.zeros(count, dtype=np.int64) if self.compiled else [None] * count


def _load_interpreted(name: str) -> ModuleType:
    """The interpreted twin of one file, whether or not the compiled one is there."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"rvfs._stepper.{name}_interpreted", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(_MEMORY)
    spec.loader.exec_module(module)
    return module


def _load_compiled(name: str) -> ModuleType:
    module = importlib.import_module(f"rvfs._stepper.{name}")
    if str(module.__file__).endswith(".py"):
        raise ImportError(
            "rvfs: the compiled stepper is missing; build it with 'pip install .' "
            "or set RVFS_PURE=1 to do without"
        )
    return module


def load(*, compiled: bool) -> Twin:
    """One of the twins. Raises ImportError when it should be compiled and was not."""
    find = _load_compiled if compiled else _load_interpreted
    return Twin(compiled, **{name: getattr(find(file), name) for file, name in _FILES.items()})


chosen = load(compiled=not PURE)

__all__ = ["PURE", "Twin", "chosen", "load"]
