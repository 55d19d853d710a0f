"""Tracepoints: layout, text both ways, format files, the vocabulary."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs.codec import PREEMPTED, TASK_STATES, task_state_text, task_state_value
from rvfs.errors import InvalidInput, UnknownName
from rvfs.source.format_file import parse_fields
from rvfs.tracepoint import Field, Tracepoint, Vocabulary, catalogue

CATALOGUE = {t.full_name: t for t in catalogue()}
SWITCH = CATALOGUE["sched:sched_switch"]

#: As the kernel prints them (include/trace/events/*.h).
LINES: list[tuple[str, dict[str, Any], str]] = [
    ("sched:sched_switch",
     {"prev_comm": b"a b", "prev_pid": 7, "prev_prio": 120, "prev_state": 1,
      "next_comm": b"swapper/1", "next_pid": 0, "next_prio": 120},
     "prev_comm=a b prev_pid=7 prev_prio=120 prev_state=S ==> "
     "next_comm=swapper/1 next_pid=0 next_prio=120"),
    ("sched:sched_wakeup", {"comm": b"x", "pid": 3, "prio": 19, "target_cpu": 7},
     "comm=x pid=3 prio=19 target_cpu=007"),
    ("irq:irq_handler_entry", {"irq": 36, "name": b"virtio1-req.0"}, "irq=36 name=virtio1-req.0"),
    ("signal:signal_deliver",
     {"sig": 17, "errno": 0, "code": 1, "sa_handler": 0x55E8C1A5CDC0, "sa_flags": 0x4000000},
     "sig=17 errno=0 code=1 sa_handler=55e8c1a5cdc0 sa_flags=4000000"),
    ("raw_syscalls:sys_exit", {"id": 262, "ret": -2}, "NR 262 = -2"),
    ("exceptions:page_fault_user",
     {"address": 0x5582ED5FB680, "ip": 0x5582E519157D, "error_code": 7},
     "address=0x5582ed5fb680 ip=0x5582e519157d error_code=0x7"),
    ("lock:contention_begin", {"lock_addr": 0xFFFF88810A2B3C40, "flags": 8},
     "ffff88810a2b3c40 (flags=RT)"),
    ("lock:contention_begin", {"lock_addr": 0xABC, "flags": 5},
     "0000000000000abc (flags=SPIN|WRITE)"),
    ("lock:contention_begin", {"lock_addr": 0, "flags": 0}, "0000000000000000 (flags=)"),
    ("lock:contention_begin", {"lock_addr": 0, "flags": 0x148},
     "0000000000000000 (flags=RT|0x140)"),
    ("lock:contention_end", {"lock_addr": 0xABC, "ret": -4}, "0000000000000abc (ret=-4)"),
    ("task:task_newtask",
     {"pid": 3, "comm": b"sh", "clone_flags": 0x1200011, "oom_score_adj": -1000},
     "pid=3 comm=sh clone_flags=1200011 oom_score_adj=-1000"),
    ("sched:sched_pi_setprio", {"comm": b"x", "pid": 3, "oldprio": 120, "newprio": 49},
     "comm=x pid=3 oldprio=120 newprio=49"),
    ("irq:softirq_entry", {"vec": 9}, "vec=9 [action=RCU]"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "values", "text"), LINES)
def test_an_event_prints_as_the_kernel_prints_it_and_reads_back(
    name: str, values: dict[str, Any], text: str
) -> None:
    tracepoint = CATALOGUE[name]
    assert tracepoint.text(values) == text
    match = tracepoint.pattern.fullmatch(text)
    assert match is not None
    read = {
        field: codec.from_text(text)
        for (field, codec), text in zip(tracepoint.slots, match.groups(), strict=True)
    }
    assert read == values


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "R"), (PREEMPTED, "R+"), (1, "S"), (2, "D"), (0x20, "Z"), (0x21, "S|Z"), (0x101, "S+")],
)
def test_task_states_are_letters(value: int, text: str) -> None:
    assert task_state_text(value) == text
    assert task_state_value(text) == value


@given(st.sets(st.sampled_from(list(TASK_STATES.values()))), st.booleans())
def test_every_task_state_reads_back(bits: set[int], preempted: bool) -> None:
    value = sum(bits) + (PREEMPTED if preempted else 0)
    assert task_state_value(task_state_text(value)) == value


def test_an_unknown_state_letter_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'Q'"):
        task_state_value("Q")


def test_fields_lie_as_a_c_compiler_lays_them() -> None:
    """Offsets and sizes as in a 64-bit kernel's own format file of sched_switch."""
    assert [(f.name, f.offset, f.size, f.signed) for f in SWITCH.fields] == [
        ("prev_comm", 8, 16, True),
        ("prev_pid", 24, 4, True),
        ("prev_prio", 28, 4, True),
        ("prev_state", 32, 8, True),
        ("next_comm", 40, 16, True),
        ("next_pid", 56, 4, True),
        ("next_prio", 60, 4, True),
    ]


def test_a_symbol_of_the_kernel_is_no_address() -> None:
    """What ``%ps`` names cannot be read back; the event is there all the same."""
    match = CATALOGUE["exceptions:page_fault_kernel"].pattern.fullmatch(
        "address=0x7f00 ip=copy_user_generic error_code=0x2"
    )
    assert match is not None
    slots = CATALOGUE["exceptions:page_fault_kernel"].slots
    values = [codec.from_text(text) for (_, codec), text in zip(slots, match.groups(), strict=True)]
    assert values == [0x7F00, 0, 2]


EVENTS = Path("/sys/kernel/tracing/events")
HERE = [name for name in CATALOGUE if (EVENTS / name.replace(":", "/") / "format").exists()]


@pytest.mark.skipif(not HERE, reason="no tracefs to be read here")
def test_the_fields_are_those_of_the_running_kernel() -> None:
    """Newer kernels add fields at the end, and store texts in other ways."""
    for name in HERE:
        text = (EVENTS / name.replace(":", "/") / "format").read_text()
        theirs, _ = parse_fields(text.partition("\n\n")[2].partition("\nprint fmt:")[0])
        ours = [_shape(field) for field in CATALOGUE[name].fields]
        assert ours == [_shape(field) for field in theirs[: len(ours)]], name


def _shape(field: Field) -> tuple[object, ...]:
    if field.is_string:
        return field.name, "text"
    return field.name, field.type, field.size, field.signed, field.count


SYS_ENTER = CATALOGUE["raw_syscalls:sys_enter"]


def test_an_array_of_numbers_is_a_column_per_element() -> None:
    assert list(SYS_ENTER.by_name) == ["id", *(f"args[{i}]" for i in range(6))]
    element = SYS_ENTER.field("args[1]")
    assert (element.offset, element.size, element.signed, element.count) == (24, 8, False, 0)
    with pytest.raises(UnknownName, match=r"has no field 'args' \(it has: id, args\[0\], "):
        SYS_ENTER.field("args")
    with pytest.raises(UnknownName, match="has no field"):
        SYS_ENTER.field("args[6]")


def test_a_text_is_one_column() -> None:
    assert SWITCH.field("prev_comm").count == 16
    with pytest.raises(UnknownName, match="has no field"):
        SWITCH.field("prev_comm[0]")


def test_the_elements_of_an_array_have_their_place_in_the_text() -> None:
    values = {"id": 202, **{f"args[{i}]": 0x7F << 8 * i for i in range(6)}}
    text = "NR 202 (7f, 7f00, 7f0000, 7f000000, 7f00000000, 7f0000000000)"
    assert SYS_ENTER.text(values) == text
    match = SYS_ENTER.pattern.fullmatch(text)
    assert match is not None
    assert match.groups()[:2] == ("202", "7f")
    assert SYS_ENTER.format_text(1).endswith(
        'print fmt: "NR %ld (%lx, %lx, %lx, %lx, %lx, %lx)", REC->id, REC->args[0], '
        "REC->args[1], REC->args[2], REC->args[3], REC->args[4], REC->args[5]\n"
    )


def test_every_event_has_the_common_columns() -> None:
    assert [SWITCH.field(f"common_{name}").size for name in ("flags", "preempt_count", "pid")] == [
        1, 1, 4,
    ]  # fmt: skip
    assert not SWITCH.field("common_cpu").is_string
    assert "common_flags" not in SWITCH.by_name


def test_a_format_file_reads_as_the_kernel_writes_it() -> None:
    text = CATALOGUE["irq:irq_handler_entry"].format_text(42)
    assert text.splitlines() == [
        "name: irq_handler_entry",
        "ID: 42",
        "format:",
        "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;",
        "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;",
        "\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;",
        "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;",
        "",
        "\tfield:int irq;\toffset:8;\tsize:4;\tsigned:1;",
        "\tfield:__data_loc char[] name;\toffset:12;\tsize:4;\tsigned:0;",
        "",
        'print fmt: "irq=%ld name=%s", REC->irq, __get_str(name)',
    ]


@pytest.mark.parametrize(
    ("fields", "template", "says"),
    [
        (["float x"], None, "unknown type 'float'"),
        (["x"], None, "cannot read"),
        (["int x"], "{y}", "no field 'y'"),
        (["int x"], "{x:roman}", "unknown codec 'roman'"),
    ],
)
def test_a_bad_declaration_is_refused(fields: list[str], template: str | None, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Tracepoint.declare("sys", "name", fields, template)


def test_without_a_template_every_field_is_printed() -> None:
    tracepoint = Tracepoint.declare("s", "n", ["int a", "char b[4]", "__data_loc char[] c"])
    assert tracepoint.text({"a": 1, "b": b"xy", "c": b"z"}) == "a=1 b=xy c=z"
    array = Tracepoint.declare("s", "n", ["int a[2]"])
    assert array.text({"a[0]": 1, "a[1]": -2}) == "a=1,-2"


def test_a_tracepoint_added_again_keeps_its_number_a_removed_number_is_not_reused() -> None:
    vocabulary = Vocabulary()
    first = vocabulary.add(Tracepoint.declare("s", "a", ["int x"]))
    newer = Tracepoint.declare("s", "a", ["int x", "int y"])
    assert vocabulary.add(newer) == first
    assert vocabulary[first] is newer
    vocabulary.remove("s:a")
    assert "s:a" not in vocabulary
    assert vocabulary.add(newer) != first
    with pytest.raises(UnknownName, match="'s:b'"):
        vocabulary.number("s:b")
