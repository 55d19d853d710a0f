"""The decoders: from the bytes of a recording to columns.

Each is one file, compiled (types in the ``.pxd`` beside it); with ``RVFS_PURE=1`` in the
environment the same file is interpreted instead: slower, and the same to the letter.

    _pages   pages of the ring buffer, of all CPUs, merged by time
    _lines   lines of ftrace text: their heads, and the fields in the text behind
"""

import importlib
import importlib.util
import os
from pathlib import Path
from types import ModuleType

PURE = os.environ.get("RVFS_PURE", "") not in ("", "0")


def _interpreted(name: str) -> ModuleType:
    """The interpreted twin, whether or not the compiled one is there."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"rvfs._decoder.{name}_interpreted", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
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
pages, lines = _interpreted("_pages"), _interpreted("_lines")

Merge = pages.Merge if PURE else _compiled("_pages").Merge
Lines = lines.Lines if PURE else _compiled("_lines").Lines

__all__ = ["PURE", "Lines", "Merge", "lines", "pages"]
