"""Small recordings of every kind: clean, wrong, damaged, empty, with losses."""

from collections.abc import Iterable
from pathlib import Path

from rvfs.judging.unit import Unit
from rvfs.monitors import shipped_monitor

SWITCH = (
    "prev_comm={0} prev_pid={1} prev_prio=120 prev_state={2} ==> "
    "next_comm={3} next_pid={4} next_prio=120"
)
WAKEUP = "sched_wakeup: comm={0} pid={1} prio=120 target_cpu=000"


def line(time: int, what: str, cpu: int = 0) -> str:
    return f" task-1 [{cpu:03d}] d..2.  0.{time:06d}: {what}\n"


def text(times: Iterable[tuple[int, str]]) -> str:
    return "".join(line(*one) for one in times)


def switch(*names: object) -> str:
    return "sched_switch: " + SWITCH.format(*names)


IN, OUT = switch("a", 1, "S", "b", 2), switch("b", 2, "S", "a", 1)
CLEAN = text([(1, WAKEUP.format("b", 2)), (2, IN), (3, OUT)])
#: wwnr: task 1 is switched out, asleep, and then switched out again: it never came in between.
WRONG = text([(1, WAKEUP.format("b", 2)), (2, IN), (4, IN)])
KINDS = {
    "clean": CLEAN,
    "wrong": WRONG,
    "very wrong": text([(time, IN) for time in range(3000)]),
    "damaged": WRONG + "\x07junk\n",
    "empty": "",
    "no events": "# tracer: nop\n#\n",
    "with a gap": text([(1, WAKEUP.format("b", 2)), (2, IN)])
    + "CPU:0 [LOST 7 EVENTS]\n"
    + line(4, IN),
}


def write(folder: Path, kind: str, name: str = "") -> Path:
    path = folder / (name or kind)
    path.write_text(KINDS[kind])
    return path


def unit(path: Path, *monitors: str) -> Unit:
    names = monitors or ("wwnr",)
    return Unit.of(str(path), (shipped_monitor(name).monitor for name in names))
