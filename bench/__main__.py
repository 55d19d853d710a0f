"""``python -m bench``: the whole table; ``python -m bench stepping`` one section of it."""

import importlib
import os
import platform
import sys

from bench.table import show

#: Module → title. A section that cannot be measured on this machine says so in its rows.
SECTIONS = {
    "stepping": "Stepping and judging",
    "inside": "Looking inside",
    "replay": "Reading recordings",
    "parquet": "Parquet",
    "check": "Checking several recordings",
    "tree": "The mount",
    "hwbp": "Breakpoint slots",
}


def main(names: list[str]) -> int:
    unknown = set(names) - SECTIONS.keys()
    if unknown:
        known = ", ".join(SECTIONS)
        print(f"bench: no section {', '.join(unknown)}; there are {known}", file=sys.stderr)
        return 2
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    for name in names or SECTIONS:
        show(SECTIONS[name], importlib.import_module(f"bench.{name}").rows())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
