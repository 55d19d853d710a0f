"""The verbs of the trace.dat tests: events, files of every form, what must come out."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from rvfs.errors import TraceError
from tests.source.dat_writer import (
    SWITCH,
    WAKEUP,
    Event,
    Item,
)
from tests.source.reading import (
    Seen,
    read_all,
)

FORMS = [
    {"version": version, "order": order, "long_size": long_size, "compression": compression}
    for version, compression in ((6, "none"), (7, "none"), (7, "zlib"))
    for order in "<>"
    for long_size in (4, 8)
]
every_form = pytest.mark.parametrize(
    "form",
    FORMS,
    ids=lambda f: f"v{f['version']}{f['order']}{8 * f['long_size']}{f['compression']}",
)
SWITCHES, WAKEUPS, IRQS = "sched:sched_switch", "sched:sched_wakeup", "irq:irq_handler_entry"


def switch(time: int, prev: int, following: int, state: int = 1) -> Event:
    values = {
        "prev_comm": f"task {prev}".encode(), "prev_pid": prev, "prev_prio": 120,
        "prev_state": state, "next_comm": b"next", "next_pid": following, "next_prio": 98,
    }  # fmt: skip
    return Event(time, SWITCH, prev, values)


def wakeup(time: int, current: int, pid: int) -> Event:
    return Event(time, WAKEUP, current, {"comm": b"woken", "pid": pid, "prio": 5, "target_cpu": 1})


def expected(cpus: Mapping[int, list[Item]]) -> list[Seen]:
    """What a reader must deliver: a stable sort by time, the lower CPU first."""
    found = [
        Seen(f"{e.kind.system}:{e.kind.name}", e.time, cpu, e.pid, e.values)
        for cpu, items in sorted(cpus.items()) for e in items if isinstance(e, Event)
    ]  # fmt: skip
    return sorted(found, key=lambda seen: seen.time)


def write(folder: Path, data: bytes) -> Path:
    path = folder / "trace.dat"
    path.write_bytes(data)
    return path


def refusal(path: Path, *names: str) -> TraceError:
    with pytest.raises(TraceError) as caught:
        read_all(path, *names)
    return caught.value
