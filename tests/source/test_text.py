"""Replay of ftrace text in every form that the kernel and trace-cmd print."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs.codec import task_state_text
from rvfs.errors import TraceError
from rvfs.source.replay import Replay
from rvfs.source.text_lines import BLOCK, MOST_LINES
from rvfs.tracepoint import Tracepoint
from tests.source.reading import (
    Seen,
    batches,
    events,
    lost,
    read_all,
    until_damage,
    vocabulary,
    wanting,
)

SWITCHES, WAKEUPS, FORKS = "sched:sched_switch", "sched:sched_wakeup", "sched:sched_process_fork"
SWITCH = (
    "prev_comm=a b prev_pid=12 prev_prio=120 prev_state=R+ ==> "
    "next_comm=c-d:e next_pid=13 next_prio=98"
)
FIELDS = {
    "prev_comm": b"a b", "prev_pid": 12, "prev_prio": 120, "prev_state": 256,
    "next_comm": b"c-d:e", "next_pid": 13, "next_prio": 98,
}  # fmt: skip
HEADER = """\
# tracer: nop
#
# entries-in-buffer/entries-written: 1/1   #P:4
#
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
"""

#: What stands before ``sched_switch: …``, and the time in ns that it means.
HEADS = {
    "trace": ("            a b-12      [001] d..2.  4808.908264: ", 4808908264000),
    "without flags": ("            a b-12      [001]   4808.908264: ", 4808908264000),
    "four flags of older kernels": ("   a b-12    [001] d..2  4808.908264: ", 4808908264000),
    "flags of a real-time kernel": ("   a b-12    [001] d..h3..1  4808.908264: ", 4808908264000),
    "tgid": ("     a b-12      (     12) [001] d..2.  4808.908264: ", 4808908264000),
    "no tgid known": ("     a b-12      (-------) [001] d..2.  4808.908264: ", 4808908264000),
    "latency format": ("     a b-12        1d..2. 3288275940us+: ", 3288275940000),
    "trace-cmd": ("            a b-12    [001]  4808.908264: ", 4808908264000),
    "trace-cmd -t": ("            a b-12    [001]  4808.908264155: ", 4808908264155),
    "trace-cmd -l": ("     a b-12      1d..2.  4808.908264: ", 4808908264000),
    "clock counter": ("            a b-12      [001] d..2.           33: ", 33),
    "clock x86-tsc": ("            a b-12      [001] d..2. 8626841426580: ", 8626841426580),
}
BODIES = {
    "kernel": SWITCH,
    "a newer kernel": f"{SWITCH} next_new=7",
    "trace-cmd -R": (
        "prev_comm=a b prev_pid=12 prev_prio=120 prev_state=256 "
        "next_comm=c-d:e next_pid=13 next_prio=98"
    ),
    "trace-cmd -R, hexadecimal": (
        " prev_comm=a b prev_pid=0xc prev_prio=0x78 prev_state=0x100 "
        "next_comm=c-d:e next_pid=0xd next_prio=0x62"
    ),
    "trace-cmd, newer": "a b:12 [120] R+ ==> c-d:e:13 [98]",
}


def write(folder: Path, text: str) -> Path:
    path = folder / "trace.txt"
    path.write_text(text)
    return path


def line(time: int, event: str, text: str, *, cpu: int = 1, task: str = "task-12") -> str:
    seconds, microseconds = divmod(time, 1_000_000)
    return f"  {task}   [{cpu:03d}] d..2.  {seconds}.{microseconds:06d}: {event}: {text}\n"


@pytest.mark.parametrize("head", HEADS)
def test_every_head_is_read(head: str, tmp_path: Path) -> None:
    start, time = HEADS[head]
    path = write(tmp_path, f"{HEADER}{start}sched_switch: {SWITCH}\n")
    assert read_all(path, SWITCHES) == [Seen(SWITCHES, time, 1, 12, FIELDS)]


def test_times_of_several_widths_in_one_text(tmp_path: Path) -> None:
    text = "".join(f"{start}sched_switch: {SWITCH}\n" for start, _ in HEADS.values())
    found = read_all(write(tmp_path, text), SWITCHES)
    assert [seen.time for seen in found] == [time for _, time in HEADS.values()]


@pytest.mark.parametrize("body", BODIES)
def test_every_form_of_a_switch_is_read(body: str, tmp_path: Path) -> None:
    path = write(tmp_path, line(7, "sched_switch", BODIES[body]))
    assert [seen.fields for seen in read_all(path, SWITCHES)] == [FIELDS]


@pytest.mark.parametrize(
    ("text", "state"), [("S", 1), ("D", 2), ("R", 0), ("I", 128), ("W", 128), ("x", 64), ("Z", 32)]
)
def test_task_states_of_trace_cmd(text: str, state: int, tmp_path: Path) -> None:
    path = write(tmp_path, line(7, "sched_switch", f"a:1 [120] {text} ==> b:2 [120]"))
    assert [seen.fields["prev_state"] for seen in read_all(path, SWITCHES)] == [state]


@pytest.mark.parametrize(
    "text", ["rec.sh:19908 [120] CPU:001", "comm=rec.sh pid=19908 prio=120 target_cpu=001"]
)
def test_every_form_of_a_wakeup_is_read(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, line(7, "sched_wakeup", text))
    fields = {"comm": b"rec.sh", "pid": 19908, "prio": 120, "target_cpu": 1}
    assert [seen.fields for seen in read_all(path, WAKEUPS)] == [fields]


@pytest.mark.parametrize("names", [("comm", "pid"), ("parent_comm", "parent_pid")])
def test_a_fork_by_its_text_and_by_its_fields(names: tuple[str, str], tmp_path: Path) -> None:
    text = f"{names[0]}=sh {names[1]}=5 child_comm=sh child_pid=6"
    path = write(tmp_path, line(7, "sched_process_fork", text))
    fields = {"parent_comm": b"sh", "parent_pid": 5, "child_comm": b"sh", "child_pid": 6}
    assert [seen.fields for seen in read_all(path, FORKS)] == [fields]


def test_elements_of_an_array_are_read(tmp_path: Path) -> None:
    known = vocabulary()
    arguments = ", ".join(f"{{args[{i}]:x}}" for i in range(6))
    entry = Tracepoint.declare(
        "raw_syscalls", "sys_enter", ["long id", "unsigned long args[6]"],
        "NR {id} (" + arguments + ")",
    )  # fmt: skip
    number = known.add(entry)
    path = write(tmp_path, line(7, "sys_enter", "NR 202 (ffffffffffffff9c, 80, 1, 0, 0, a)"))
    replay = Replay(str(path), known)
    replay.subscribe({number: frozenset({"id", "args[0]", "args[5]"})})
    assert [seen.fields for seen in events(batches(replay), known)] == [
        {"id": 202, "args[0]": 2**64 - 100, "args[5]": 10}
    ]


def test_forms_may_be_mixed(tmp_path: Path) -> None:
    path = write(tmp_path, "".join(line(7, "sched_switch", body) for body in BODIES.values()))
    assert [seen.fields for seen in read_all(path, SWITCHES)] == [FIELDS] * len(BODIES)


@pytest.mark.parametrize("task", ["a-b-12", "a:b-12", "x y-1 z-12", "<...>-12", "[k]-12", "-12-12"])
def test_names_of_tasks_may_look_like_anything(task: str, tmp_path: Path) -> None:
    path = write(tmp_path, line(7, "sched_switch", SWITCH, task=task))
    known = vocabulary()
    replay = Replay(str(path), known)
    replay.subscribe(wanting(known, SWITCHES))
    batch = batches(replay)[0]
    assert batch.pid.tolist() == [12]
    assert batch.comm(12, 1) == task.removesuffix("-12")


def test_idle_tasks_are_named_by_their_cpu(tmp_path: Path) -> None:
    path = write(tmp_path, line(7, "sched_switch", SWITCH, task="<idle>-0", cpu=3))
    known = vocabulary()
    replay = Replay(str(path), known)
    replay.subscribe(wanting(known, SWITCHES))
    batch = batches(replay)[0]
    assert batch.comm(0, 3) == "swapper/3"


def test_lines_between_events_are_passed_over(tmp_path: Path) -> None:
    text = (
        "version = 6\ncpus=2\nCPU 0 is empty\n\n"
        + line(1, "sched_switch", SWITCH)
        + "  task-12   [001] d..2.  0.000002: <stack trace>\n => schedule\n => do_idle\n"
        + line(3, "tracing_mark_write", "first\nsecond: line\n\nthird")
        + "  task-12   [001] d..2.  0.000004: do_fork <-sys_clone\n"
        + line(5, "sys_enter", "NR 3 (1, 2)")
        + "# a comment\n"
        + line(6, "sched_switch", SWITCH)
    )
    path = write(tmp_path, text)
    assert [seen.time for seen in read_all(path, SWITCHES)] == [1000, 6000]
    assert Replay(str(path), vocabulary()).cpus == 2


def test_free_text_goes_on_across_blocks(tmp_path: Path) -> None:
    text = line(1, "bprint", "begins\n" + "more\n" * (BLOCK // 3)) + line(2, "sched_switch", SWITCH)
    assert [seen.time for seen in read_all(write(tmp_path, text), SWITCHES)] == [2000]


def test_more_lines_than_a_block_takes_are_read_all_the_same(tmp_path: Path) -> None:
    text = "# x\n" * (2 * MOST_LINES) + line(1, "sched_switch", SWITCH)
    text += "# x\n" * MOST_LINES + line(2, "sched_switch", SWITCH, cpu=9)
    path = write(tmp_path, text)
    assert [seen.time for seen in read_all(path, SWITCHES)] == [1000, 2000]
    assert Replay(str(path), vocabulary()).cpus == 10


@pytest.mark.parametrize("others", [0, 40_000])
def test_names_are_what_they_were_when_they_are_asked_for_late(others: int, tmp_path: Path) -> None:
    count, known = 4000, vocabulary()
    lines = [line(n, "sched_switch", SWITCH.replace("a b", f"a {n}")) for n in range(count)]
    lines[1] = line(1, "sched_switch", SWITCH.replace("a b", "longer than a name may be"))
    path = write(tmp_path, ("# x\n" * (others // count)).join(lines))
    replay = Replay(str(path), known)
    replay.subscribe(wanting(known, SWITCHES))
    found = batches(replay)
    replay.close()
    names = [name for b in found for name in b.fields[known.number(SWITCHES)]["prev_comm"].tolist()]
    assert names[:3] == [b"a 0", b"longer than a name may be", b"a 2"]
    assert names[2:] == [f"a {n}".encode() for n in range(2, count)]


def test_what_few_events_say_does_not_keep_their_blocks(tmp_path: Path) -> None:
    block = line(1, "sched_switch", SWITCH) + line(2, "sched_wakeup", "x" * 1000) * (BLOCK // 1000)
    replay, known = Replay(str(write(tmp_path, 8 * block)), vocabulary()), vocabulary()
    replay.subscribe(wanting(known, SWITCHES))
    tracemalloc.start()
    try:
        found = batches(replay)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(map(len, found)) == 8
    assert kept < 4 * BLOCK


@pytest.mark.parametrize(
    ("gap", "count"),
    [
        ("CPU:1 [LOST 12 EVENTS]", {1: 12}),
        ("CPU:1 [LOST EVENTS]", {1: 1}),
        ("CPU:0 [1733943 EVENTS DROPPED]", {0: 1733943}),
        ("CPU:0 [EVENTS DROPPED]", {0: 1}),
        ("##### CPU 2 buffer started ####", {2: 1}),
        ("CPU:1 [LOST 2 EVENTS]\nCPU:0 [LOST 3 EVENTS]\nCPU:1 [LOST 1 EVENTS]", {0: 3, 1: 3}),
    ],
)
def test_lost_events_stand_at_the_head_of_a_batch(
    gap: str, count: dict[int, int], tmp_path: Path
) -> None:
    before, after = line(1, "sched_switch", SWITCH), line(2, "sched_switch", SWITCH)
    known = vocabulary()
    replay = Replay(str(write(tmp_path, f"{before * 3}{gap}\n{after}")), known)
    replay.subscribe(wanting(known, SWITCHES))
    found = batches(replay)
    assert lost(found) == [(3, count)]
    assert [len(batch) for batch in found] == [3, 1]


@pytest.mark.parametrize(
    ("gap", "cpus"),
    [
        ("CPU:1 [LOST 12 EVENTS]", set()), ("CPU:1 [LOST EVENTS]", {1}),
        ("##### CPU 2 buffer started ####\nCPU:1 [LOST 2 EVENTS]", {2}),
    ],
)  # fmt: skip
def test_losses_that_nobody_counted_are_known_as_such(
    gap: str, cpus: set[int], tmp_path: Path
) -> None:
    event = line(1, "sched_switch", SWITCH)
    replay = Replay(str(write(tmp_path, f"{event}{gap}\n{event}")), vocabulary())
    batches(replay)
    assert replay.uncounted == cpus


def test_where_time_goes_back_is_a_gap_on_every_cpu(tmp_path: Path) -> None:
    one = [line(n, "sched_switch", SWITCH, cpu=n % 3) for n in range(4_000_001, 4_004_001)]
    text = "".join(["# a comment\n", *one, *one, *one[:1]])
    known = vocabulary()
    replay = Replay(str(write(tmp_path, text)), known)
    replay.subscribe(wanting(known, SWITCHES))
    every = {0: 1, 1: 1, 2: 1}
    assert lost(batches(replay)) == [(4000, every), (8000, every)]
    assert replay.uncounted == set(every)
    assert replay.notes == [
        "line 4002: time goes back by 0.003999 s: what follows is taken for another recording, "
        "nothing is judged across",
        "time goes back 2 times in all",
    ]


def test_equal_times_are_no_gap(tmp_path: Path) -> None:
    replay = Replay(str(write(tmp_path, line(5, "sched_switch", SWITCH) * 3)), vocabulary())
    assert lost(batches(replay)) == []
    assert replay.notes == []


def test_what_the_kernel_had_overwritten_is_told(tmp_path: Path) -> None:
    text = HEADER.replace("1/1", "1/41") + line(1, "sched_switch", SWITCH)
    replay = Replay(str(write(tmp_path, text)), vocabulary())
    assert replay.notes == ["the kernel overwrote 40 events before this text was read"]
    assert replay.cpus == 4


def test_a_header_without_events_is_an_empty_recording(tmp_path: Path) -> None:
    assert read_all(write(tmp_path, HEADER), SWITCHES) == []


def test_a_last_line_without_its_newline_is_not_judged_but_lost(tmp_path: Path) -> None:
    whole, cut = line(1, "sched_switch", SWITCH), line(2, "sched_switch", SWITCH)[:-2]
    known = vocabulary()
    replay = Replay(str(write(tmp_path, whole + cut)), known)
    replay.subscribe(wanting(known, SWITCHES))
    found = batches(replay)
    assert len(events(found, known)) == 1
    assert lost(found) == [(1, {1: 1})]
    assert replay.notes == ["the last line has no newline: it is not judged, but counted as lost"]


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    good = "\ufeff" + HEADER + line(1, "sched_switch", SWITCH)
    found, error = until_damage(write(tmp_path, good + "damaged\n"), SWITCHES)
    assert [seen.fields for seen in found] == [FIELDS]
    assert error is not None
    assert error.offset == len(good.encode())
    assert "line 8 is no event" in str(error)


def test_events_of_unknown_tracepoints_are_passed_over(tmp_path: Path) -> None:
    text = "".join(line(n, "sys_exit" if n % 3 else "sched_switch", SWITCH) for n in range(30))
    found = read_all(write(tmp_path, text), SWITCHES, limit=7)
    assert [seen.time for seen in found] == [3000 * n for n in range(10)]


# Damage


@pytest.mark.parametrize(
    "content",
    [b"#include <stdio.h>\nint main(void)\n{\n", b"\x89PNG\r\n\x1a\n" + bytes(300),
     b"hello world\n", b"\0" * 5000, b"x" * (2 * BLOCK), "größe\n".encode("utf-16")],
    ids=["C", "PNG", "prose", "zeros", "one line", "UTF-16"],
)  # fmt: skip
def test_what_is_no_recording_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(TraceError, match="not an ftrace text: line") as caught:
        Replay(str(path), vocabulary())
    assert caught.value.offset is not None


def test_function_graph_text_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "# tracer: function_graph\n#\n 0)   0.633 us    |  schedule();\n")
    with pytest.raises(TraceError, match="function graph"):
        Replay(str(path), vocabulary())


def test_a_damaged_line_is_named_after_the_events_before_it(tmp_path: Path) -> None:
    good = "".join(line(n, "sched_switch", SWITCH) for n in range(1, 4000))
    text = good + "\x01\x02 damaged\n" + line(9, "sched_switch", SWITCH)
    found, error = until_damage(write(tmp_path, text), SWITCHES, limit=100)
    assert len(found) == 3999
    assert error is not None
    assert error.offset == len(good)
    assert "line 4000 is no event: '\\x01\\x02 damaged'" in str(error)


@pytest.mark.parametrize(
    "text",
    ["prev_comm=a prev_pid=x", SWITCH.replace("R+", "Q"), SWITCH.replace("=13", "=" + "9" * 30)],
)
def test_a_wanted_field_that_cannot_be_read_is_damage(text: str, tmp_path: Path) -> None:
    good = line(1, "sched_switch", SWITCH) * 3 + line(2, "sched_wakeup", "nonsense")
    path = write(tmp_path, good + line(3, "sched_switch", text) + line(4, "sched_switch", SWITCH))
    found, error = until_damage(path, SWITCHES)
    assert len(found) == 3
    assert error is not None
    assert error.offset == len(good)
    assert "line 5 is no sched:sched_switch with" in str(error)


@pytest.mark.parametrize("time", ["9999999999.000001", "9" * 19, "9" * 16 + "us", "1.5", "-1"])
def test_an_impossible_time_is_damage(time: str, tmp_path: Path) -> None:
    good = line(1, "sched_switch", SWITCH)
    path = write(tmp_path, good + line(1, "sched_switch", SWITCH).replace("0.000001", time))
    found, error = until_damage(path, SWITCHES)
    assert len(found) == 1
    assert error is not None
    assert error.offset == len(good)


@pytest.mark.parametrize(
    "filler", [" ", "-1 ", " a", "a-1 [001] ", " next_pid=", " ==> next_comm=", "9", "[", "("]
)
def test_long_lines_of_anything_come_to_an_end(filler: str, tmp_path: Path) -> None:
    filler *= BLOCK // 2 // len(filler)
    good = line(1, "sched_switch", SWITCH)
    for text in (
        filler + "x\n", f"  task-12 {filler}\n", f"  task-12 [001] {filler}x\n",
        line(2, "sched_switch", f"{filler}x"), line(2, "sched_switch", f"prev_comm={filler}x"),
        line(2, "irq_handler_entry", f"irq=5 name={filler}"),
    ):  # fmt: skip
        found, _error = until_damage(
            write(tmp_path, good + text), SWITCHES, "irq:irq_handler_entry"
        )
        assert found[0].fields == FIELDS


# Round trip

NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="="),
    min_size=1, max_size=3,
)  # fmt: skip


@given(
    rows=st.lists(
        st.tuples(NAMES, st.integers(0, 1 << 22), st.sampled_from([0, 1, 2, 3, 0x80, 0x100])),
        max_size=40,
    ),
    limit=st.integers(1, 50),
)
def test_what_a_tracepoint_prints_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, int]], limit: int
) -> None:
    known = vocabulary()
    tracepoint = known[known.number(SWITCHES)]
    values = [
        {"prev_comm": name.encode(), "prev_pid": pid, "prev_prio": 1, "prev_state": state,
         "next_comm": b"next one", "next_pid": pid + 1, "next_prio": 2}
        for name, pid, state in rows
    ]  # fmt: skip
    text = "".join(
        line(n, "sched_switch", tracepoint.text(value), cpu=n % 4) for n, value in enumerate(values)
    )
    path = write(tmp_path_factory.mktemp("text"), HEADER + text)
    found = read_all(path, SWITCHES, limit=limit)
    assert found == [Seen(SWITCHES, 1000 * n, n % 4, 12, value) for n, value in enumerate(values)]
    assert all(task_state_text(state) in text for _, _, state in rows)
