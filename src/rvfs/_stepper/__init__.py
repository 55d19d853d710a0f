"""The hot code, and nothing else: what a batch brings to whom, and what becomes of it.

:class:`Twin` gathers it. Each of its files is plain Python that Cython compiles with the types
of the ``.pxd`` beside it. With ``RVFS_PURE=1`` in the environment the same files are
interpreted instead: slower, and the same to the letter. ``RVFS_PORTABLE=1`` leaves out what
only some processors have.
"""

import importlib
import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

PURE = os.environ.get("RVFS_PURE", "") not in ("", "0")
PORTABLE = os.environ.get("RVFS_PORTABLE", "") not in ("", "0")

_CLASSES = {
    "Selector": "_select", "Stepper": "_step", "Witness": "_step", "Timed": "_timed",
    "Ruled": "_rule",
}  # fmt: skip
_64_BITS = (1 << 64) - 1


def _book() -> Mapping[str, int]:
    """The numbers of ``_book.pxd``."""
    text = Path(__file__).with_name("_book.pxd").read_text()
    return {name: int(value) for name, value in re.findall(r"^    (\w+) = (\d+)", text, re.M)}


#: A page of the book of instances with clocks.
BOOK = _book()
#: What ``_memory.pxd`` and ``_book.pxd`` have for the compiled twin.
_MEMORY: Mapping[str, Callable[..., Any] | int | None] = {
    **BOOK,
    "address": lambda column: column,
    "address_of": lambda words: words,
    "half": lambda words, i, high: words[i] >> 32 if high else words[i] & 0xFFFFFFFF,
    "expect": lambda column, row: None,
    "read": lambda column, row: column[row],
    "spread": lambda key: (key * 0x9E3779B97F4A7C15 & _64_BITS) >> 20,
    "within": lambda value, lowest, span: (value - lowest) & _64_BITS <= span & _64_BITS,
    "word": lambda instance, at, letter: (instance << 32 | at << 16 | letter) & _64_BITS,
    "of_share": lambda word, number, share, shares: (
        word if number % shares == share else word & ~0xFFFF
    ),
    "has_wide": lambda: False,
    "fill_wide": None,
}


@dataclass(frozen=True)
class Twin:
    """The classes of :mod:`_select`, :mod:`_step`, :mod:`_timed` and :mod:`_rule`.

    ``wide``: what only some machines have may be used. ``view`` is what an array is handed to
    them as, ``columns`` makes what they note the columns of a batch in.
    """

    compiled: bool
    wide: bool
    Selector: Any
    Stepper: Any
    Witness: Any
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


def load(*, compiled: bool, wide: bool = True) -> Twin:
    """One of the twins. Raises ImportError when it should be compiled and was not."""
    find = _load_compiled if compiled else _load_interpreted
    files = {file: find(file) for file in _CLASSES.values()}
    classes = {name: getattr(files[file], name) for name, file in _CLASSES.items()}
    return Twin(compiled, wide, **classes)


chosen = load(compiled=not PURE, wide=not PORTABLE)

__all__ = ["PORTABLE", "PURE", "Twin", "chosen", "load"]
