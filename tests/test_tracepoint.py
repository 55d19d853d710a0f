"""Tracepoints: layout, text both ways, format files, the vocabulary."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs.errors import InvalidInput, UnknownName
from rvfs.tracepoint import (
    PREEMPTED,
    TASK_STATES,
    Tracepoint,
    Vocabulary,
    catalogue,
    task_state_text,
    task_state_value,
)

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


SYS_ENTER = Tracepoint.declare(
    "raw_syscalls", "sys_enter", ["long id", "unsigned long args[6]"],
    "NR {id} (" + ", ".join(f"{{args[{i}]:x}}" for i in range(6)) + ")",
)  # fmt: skip


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
