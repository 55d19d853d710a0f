"""The process from which workers are forked: it loads what they need once, early, on its own.

Forking this process instead would do worse: numpy has threads by then.
"""

import multiprocessing
import os
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from tempfile import gettempdir

#: What the server has loaded.
PRELOAD = ["__main__", "rvfs.judging.executors"]


def start() -> BaseContext:
    """Have the server load while this process does something else; how workers are started."""
    if not _has_room():
        return multiprocessing.get_context("spawn")
    forkserver.set_forkserver_preload(PRELOAD)
    forkserver.ensure_running()
    return multiprocessing.get_context("forkserver")


def _has_room() -> bool:
    """Whether the server's socket can be where temporary files are: 108 bytes with its name."""
    return len(os.fsencode(gettempdir())) < 70
