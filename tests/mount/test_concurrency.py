"""Many who write and read at the same time, while events come as fast as they can."""

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rvfs.testing import Mount

SECONDS = 10
PATIENCE = 60

#: Each runs again and again until the time is over. A command may fail (EBUSY, or what it
#: names has been switched off); what must not is the tree.
LOOPS = (
    "echo wip > enabled_monitors",
    "echo sched >> enabled_monitors; echo '!sched' >> enabled_monitors",
    "for m in wwnr sched:snroc sssw; do echo $m >> enabled_monitors; done; : > enabled_monitors",
    "for r in panic printk nop; do echo $r > monitors/wwnr/reactors; done",
    "cd monitors/sched; echo printk > reactors; echo 1 > enable; echo nop > reactors; cd ../..",
    "echo 0 > monitoring_on; echo 1 > monitoring_on",
    "echo 1 > events/rv/enable; echo 0 > events/rv/enable; : > trace",
    "cat available_monitors enabled_monitors monitors/*/reactors monitors/*/*/enable trace log",
    "for n in 1 2 3 4 5; do echo open $$.$n - 0 W 8 u+0 > hwbp/reserve; done; cat hwbp/breakpoints",
    "cat hwbp/cpu*/* hwbp/bp/*/*; rmdir hwbp/bp/*; echo wide $$ W 8 u+0 > hwbp/check",
    "ls -lR .; echo 1 > events/sched/enable; timeout 0.2 cat trace_pipe; echo 0 > events/enable",
)


@pytest.mark.needs("compiled")
def test_a_tree_that_everybody_pulls_at(rv_mount: Callable[..., Mount]) -> None:
    rv = rv_mount(source="sim", rate="max", task_slots=3)
    pull(rv)

    (rv / "enabled_monitors").write_text("\n")
    assert rv.read("enabled_monitors") == ""
    wait_event(rv)
    for name in ("wwnr", "snroc", "nrp"):  # all three slots are free
        rv.write("enabled_monitors", name)
    assert rv.read("enabled_monitors") == "wwnr\nsched:nrp\nsched:snroc\n"
    assert rv.read("monitoring_on") == "1\n"
    rv.write("events/enable", "0")
    (rv / "enabled_monitors").write_text("\n")  # so that their files stand still
    for path in files(rv.path):
        assert len(path.read_bytes()) == path.stat().st_size, path
    assert not re.search("Traceback|failed|never awaited", rv.log)
    rv.close()
    assert rv.process.returncode == 0


def pull(rv: Mount) -> None:
    """Run all loops, each at least once; none of them is stuck in the end."""
    again = "; [ $SECONDS -lt $end ]; do :; done > /dev/null 2>&1"
    shells = [
        subprocess.Popen(
            ["bash", "-c", f"end=$((SECONDS + {SECONDS})); while {{ {loop}; }}{again}"], cwd=rv.path
        )
        for loop in LOOPS
    ]
    for shell in shells:
        assert shell.wait(SECONDS + PATIENCE) == 0


def wait_event(rv: Mount) -> None:
    """Events still come."""
    rv.write("events/sched/sched_switch/enable", "1")
    deadline = time.monotonic() + PATIENCE
    while "sched_switch: " not in rv.read("trace"):
        assert time.monotonic() < deadline, "no event comes any more"


def files(folder: Path) -> list[Path]:
    """All that can be read, but the one that waits for lines and the one that grows."""
    return [
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name not in ("inject", "reserve", "trace_pipe", "log")
    ]
