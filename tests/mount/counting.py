"""``python counting.py FILE …``: rvfs with the arguments that follow; each request that the kernel
sends is counted in FILE, eight bytes that others may map."""

import mmap
import struct
import sys
from functools import wraps
from pathlib import Path
from typing import Any

from rvfs import fs  # isort: skip - before pyfuse3
import pyfuse3

from rvfs.cli import main

#: Not an answer to anybody's call.
UNASKED = {"forget", "release", "init", "stacktrace"}


def count_in(counter: mmap.mmap) -> None:
    """Have every handler add one."""

    def counted(method: Any) -> Any:
        @wraps(method)
        async def handler(self: fs.Operations, *args: Any) -> Any:
            struct.pack_into("Q", counter, 0, struct.unpack_from("Q", counter)[0] + 1)
            return await method(self, *args)

        return handler

    for name in dir(pyfuse3.Operations):
        if not name.startswith("_") and name not in UNASKED:
            method = getattr(fs.Operations, name)
            if callable(method):
                setattr(fs.Operations, name, counted(method))


def open_counter(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 8)


if __name__ == "__main__":
    count_in(open_counter(Path(sys.argv[1])))
    raise SystemExit(main(sys.argv[2:]))
