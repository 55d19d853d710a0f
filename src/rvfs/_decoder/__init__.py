"""The decoders: from the bytes of a recording to columns.

Each is one file, compiled (types in the ``.pxd`` beside it); with ``RVFS_PURE=1`` in the
environment the same file is interpreted instead: slower, and the same to the letter.

    _pages   pages of the ring buffer, of all CPUs, merged by time: where their records are
    _fields  the fields of records, as columns
    _lines   lines of ftrace text: their heads
    _texts   the fields in the texts behind those heads

What C does with many bytes of a text at once is in ``_octets.pxd``; interpreted it is
``_octets.py``.
"""

import importlib
import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from rvfs._decoder import _octets

PURE = os.environ.get("RVFS_PURE", "") not in ("", "0")
_OF_TEXT = ("_lines", "_texts")


def _number(size: int) -> Callable[[Any, int, bool], int]:
    """Reads the number of so many bytes at a place, the first one the highest if it is big."""
    return lambda data, at, big: int.from_bytes(data[at : at + size], "big" if big else "little")


def _layout() -> Mapping[str, int]:
    """The numbers of ``_layout.pxd``."""
    text = Path(__file__).with_name("_layout.pxd").read_text()
    return {name: int(value) for name, value in re.findall(r"^    (\w+) = (-?\d+)", text, re.M)}


#: What ``_bytes.pxd`` and ``_layout.pxd`` have for the compiled twins.
_NAMES: Mapping[str, Callable[..., Any] | int] = {
    "two": _number(2), "four": _number(4), "eight": _number(8),
    "signed": lambda value: (value & (1 << 32) - 1 ^ 1 << 31) - (1 << 31),
    "pair": lambda high, low: high << 32 | low & (1 << 32) - 1,
    "prefetch": lambda data, at: None,
    "choose": lambda first, a, b: a if first else b,
    "bytes_of": memoryview, "shorts_of": memoryview, "numbers_of": memoryview,
    "words_of": memoryview, **_layout(),
}  # fmt: skip


def _interpreted(name: str) -> ModuleType:
    """The interpreted twin, whether or not the compiled one is there."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"rvfs._decoder.{name}_interpreted", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(_NAMES)
    if name in _OF_TEXT:
        vars(module).update((each, getattr(_octets, each)) for each in _octets.__all__)
    spec.loader.exec_module(module)
    return module


def _compiled(name: str) -> ModuleType:
    module = importlib.import_module(f"rvfs._decoder.{name}")
    if str(module.__file__).endswith(".py"):
        raise ImportError(
            "rvfs: a compiled decoder is missing; build it with 'pip install .' "
            "or set RVFS_PURE=1 to do without"
        )
    return module


#: The interpreted twins: also where the constants are, which the compiled ones keep to themselves.
pages, fields, lines, texts = map(_interpreted, ("_pages", "_fields", "_lines", "_texts"))

Merge = pages.Merge if PURE else _compiled("_pages").Merge
Fields = fields.Fields if PURE else _compiled("_fields").Fields
Lines = lines.Lines if PURE else _compiled("_lines").Lines
Texts = texts.Texts if PURE else _compiled("_texts").Texts

__all__ = ["PURE", "Fields", "Lines", "Merge", "Texts", "fields", "lines", "pages", "texts"]
