"""What may be written: the boolean, the command, the injected event."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs.errors import InvalidInput, UnknownName
from rvfs.tracepoint import Tracepoint
from rvfs.written import parse_bool, parse_command, parse_event

POINT = Tracepoint.declare(
    "a", "point",
    ["char comm[4]", "pid_t pid", "long state", "unsigned char small", "__data_loc char[] name",
     "int many[3]", "u64 wide"],
)  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [b"1", b"1\n", b"y", b"Yes", b"true", b"Tuesday", b"on", b"ONE", b"oN\n", b"10", b"1abc"],
)
def test_true(data: bytes) -> None:
    assert parse_bool(data) is True


@pytest.mark.parametrize("data", [b"0", b"n", b"No", b"f", b"False", b"off", b"OF", b"offline"])
def test_false(data: bytes) -> None:
    assert parse_bool(data) is False


@pytest.mark.parametrize(
    "data", [b"", b"\n", b" 1", b"2", b"-", b"o", b"O\n", b"\0", b"x", b"ow", b"\xff"]
)
def test_no_boolean(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="is no boolean"):
        parse_bool(data)


@given(st.binary(min_size=2, max_size=2), st.binary())
def test_only_two_bytes_of_a_boolean_count(head: bytes, tail: bytes) -> None:
    def value(data: bytes) -> bool | None:
        try:
            return parse_bool(data)
        except InvalidInput:
            return None

    assert value(head + tail) == value(head)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"wip", "wip"),
        (b"wip\n", "wip"),
        (b" \t\n\v\f\rwip\xa0 \n", "wip"),
        (b"wip\0wwnr", "wip"),
        (b"! wip", "! wip"),
        (b"a\nb\n", "a\nb"),
        (b"\n", ""),
        (b" ", ""),
        (b"\0wip", ""),
        (b"x" * 33, "x" * 33),
        (b"\xff", "\udcff"),
    ],
)
def test_command(data: bytes, word: str) -> None:
    assert parse_command(data) == word


@pytest.mark.parametrize("length", [0, 34, 5000])
def test_command_of_a_wrong_length(length: int) -> None:
    with pytest.raises(InvalidInput, match=f"1 to 33 bytes, not {length}"):
        parse_command(b" " * length)


def test_an_event_names_fields_in_any_order() -> None:
    event = parse_event(
        b" state = 0x10 pid=-017 comm='ab' name=\"x y\" many[1]=7 wide=0xffffffffffffffff\n", POINT
    )
    assert event.values == {
        "comm": b"ab", "pid": -15, "state": 16, "small": 0, "name": b"x y",
        "many[0]": 0, "many[1]": 7, "many[2]": 0, "wide": 2**64 - 1,
    }  # fmt: skip
    assert set(event.common.values()) == {0}


def test_an_empty_event_is_all_zero() -> None:
    assert parse_event(b"", POINT).values["state"] == 0


def test_a_string_is_cut_to_its_array_and_keeps_its_backslashes() -> None:
    event = parse_event(rb"""comm="abcdef" name='it\'s' """, POINT)
    assert event.values["comm"] == b"abc"
    assert event.values["name"] == rb"it\'s"


def test_common_fields_say_where_it_happens() -> None:
    batch = parse_event(b"common_cpu=3 common_pid=77 pid=5 comm='me'", POINT).batch(9, 1234)
    assert (batch.tp[0], batch.time[0], batch.cpu[0], batch.pid[0]) == (9, 1234, 3, 77)
    assert batch.values(0)["pid"] == 5
    assert batch.values(0).keys() > POINT.by_name.keys()
    assert batch.comm(5, 0) == "me"


def test_common_fields_say_how_it_happens() -> None:
    batch = parse_event(b"common_flags=0x11 common_preempt_count=2", POINT).batch(9, 1234)
    values = batch.values(0)
    assert (values["common_flags"], values["common_preempt_count"]) == (0x11, 2)
    assert parse_event(b"", POINT).batch(9, 1234).values(0)["common_flags"] == 0


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"nope=1", "has no field 'nope'"),
        (b"=1", "expected field=number"),
        (b"pid", "expected field=number"),
        (b"pid=", "expected field=number"),
        (b"pid=1;", "expected field=number"),
        (b"pid=1,state=2", "expected field=number"),
        (b"comm='abc", "expected field=number"),
        (b"pid=ten", "expected field=number"),
        (b"pid=1x", "'1x' is no number"),
        (b"pid=08", "'08' is no number"),
        (b"pid=0x", "'0x' is no number"),
        (b"pid=2147483648", "outside -2147483648..2147483647"),
        (b"small=256", "outside 0..255"),
        (b"small=-1", "outside 0..255"),
        (b"wide=18446744073709551616", "outside 0.."),
        (b"pid='1'", "is a number, not a string"),
        (b"comm=1", "is a string and wants quotes"),
        (b"many=1", "has no field .many."),
        (b"common_cpu=8192", "outside 0..8191"),
        (b"common_pid=-1", "outside 0..4194303"),
        (b"common_flags=256", "outside 0..255"),
        (b"common_prio=3", "common_prio cannot be told"),
        (b"name='" + b"x" * 256 + b"'", "255 bytes at most"),
        (b"pid=1 " * 700, "4095 bytes at most"),
    ],
)
def test_an_event_that_makes_no_sense(line: bytes, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        parse_event(line, POINT)


def test_an_unknown_field_is_an_unknown_name() -> None:
    with pytest.raises(UnknownName, match="it has: comm, pid"):
        parse_event(b"prev_pid=1", POINT)


@given(st.binary(max_size=200))
def test_anything_else_is_refused_as_invalid_input(data: bytes) -> None:
    with suppress(InvalidInput):
        assert parse_event(data, POINT).values.keys() == POINT.by_name.keys()


@given(st.integers(-(2**31), 2**31 - 1), st.sampled_from(["d", "#x"]))
def test_numbers_are_read_back(value: int, form: str) -> None:
    assert parse_event(f"pid={value:{form}}".encode(), POINT).values["pid"] == value
