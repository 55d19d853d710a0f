"""Replay of trace.dat: every form the format has, and what happens when it is damaged."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvfs.source.replay import Replay
from tests.source.dat_verbs import (
    FORMS,
    IRQS,
    SWITCHES,
    WAKEUPS,
    every_form,
    expected,
    refusal,
    switch,
    wakeup,
    write,
)
from tests.source.dat_writer import (
    IRQ,
    ODD,
    RELATIVE,
    SWITCH,
    WAKEUP,
    Discarded,
    Event,
    Item,
    Kind,
    Lost,
    Raw,
    Stamp,
    Writer,
)
from tests.source.reading import (
    Seen,
    batches,
    events,
    lost,
    read_all,
    vocabulary,
    wanting,
)


@every_form
def test_every_form_is_read_alike(form: Mapping[str, object], tmp_path: Path) -> None:
    cpus: dict[int, list[Item]] = {
        0: [switch(1000, 1, 2), switch(1200, 2, 1, 0x100), wakeup(1 << 41, 1, 9)],
        1: [wakeup(1100, 7, 8), switch(1200, 7, 8, 0)],
    }
    path = write(tmp_path, Writer(**form).file(cpus))  # type: ignore[arg-type]
    assert read_all(path, SWITCHES, WAKEUPS) == expected(cpus)


@every_form
def test_gaps_stand_where_they_were(form: Mapping[str, object], tmp_path: Path) -> None:
    cpus: dict[int, list[Item]] = {
        0: [switch(10, 1, 2), Lost(12), switch(30, 2, 1), switch(40, 1, 2)],
        1: [switch(20, 3, 4), Lost(None), switch(35, 4, 3)],
    }
    path = write(tmp_path, Writer(**form).file(cpus))  # type: ignore[arg-type]
    known = vocabulary()
    replay = Replay(str(path), known)
    replay.subscribe(wanting(known, SWITCHES))
    found = batches(replay)
    assert events(found, known) == expected(cpus)
    assert lost(found) == [(2, {0: 12}), (3, {1: 1})]
    assert replay.uncounted == {1}


def test_events_lost_after_the_last_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, Writer().file({0: [switch(10, 1, 2), Lost(3)]}))
    known = vocabulary()
    replay = Replay(str(path), known)
    replay.subscribe(wanting(known, SWITCHES))
    assert lost(batches(replay)) == [(1, {0: 3})]


def test_time_extends_stamps_and_discarded_events_carry_the_time_on(tmp_path: Path) -> None:
    items: list[Item] = [
        switch(5, 1, 2), Discarded(9), switch(20, 2, 1),
        Stamp(1 << 50), switch((1 << 50) + 3, 1, 2),
        Discarded((1 << 51) + 1, 32), switch((1 << 51) + 2, 2, 1),
    ]  # fmt: skip
    path = write(tmp_path, Writer().file({0: items}))
    assert read_all(path, SWITCHES) == expected({0: items})


def test_an_absolute_stamp_has_only_the_lower_bits_of_the_time(tmp_path: Path) -> None:
    start = (1 << 60) + 5
    items: list[Item] = [switch(start, 1, 2), Stamp(start + 90), switch(start + 93, 2, 1)]
    path = write(tmp_path, Writer().file({0: items}))
    assert read_all(path, SWITCHES) == expected({0: items})


def test_a_null_padding_ends_its_page(tmp_path: Path) -> None:
    items: list[Item] = [switch(1, 1, 2), Raw(1, (29, 5, 5, 5)), Lost(None), switch(2, 2, 1)]
    path = write(tmp_path, Writer().file({0: items}))
    assert read_all(path, SWITCHES) == expected({0: items})


def test_events_of_one_time_come_from_the_lower_cpu_first_across_stretches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rvfs.source.ring_buffer.STRETCH", 512)
    cpus: dict[int, list[Item]] = {
        cpu: [switch(7, n, n + 1) for n in range(1, 50)] for cpu in range(3)
    }
    path = write(tmp_path, Writer(page_size=512).file(cpus))
    assert read_all(path, SWITCHES) == expected(cpus)


def test_long_records_and_many_pages(tmp_path: Path) -> None:
    items: list[Item] = [
        Event(100 * n, SWITCH, n, switch(0, n, n + 1).values, pad=4 * (n % 90))
        for n in range(1, 900)
    ]
    path = write(tmp_path, Writer(page_size=1024).file({0: items, 3: items}))
    assert read_all(path, SWITCHES) == expected({0: items, 3: items})


def test_every_width_sign_and_text_of_a_field(tmp_path: Path) -> None:
    values = {"small": 255, "short_one": -2, "wide": (1 << 64) - 1, "text": b"ab",
              "array[0]": 7, "array[1]": -8}  # fmt: skip
    items: list[Item] = [
        Event(1, ODD, 1, values), Event(2, IRQ, 1, {"irq": 5, "name": b"eth 0"}),
        Event(3, IRQ, 1, {"irq": 6, "name": b""}),
        Event(4, RELATIVE, 1, {"before": 1, "name": b"after"}),
    ]  # fmt: skip
    for order in "<>":
        path = write(tmp_path, Writer(order=order).file({0: items}))
        known = vocabulary()
        replay = Replay(str(path), known)
        replay.subscribe(wanting(known, "test:odd", "test:relative", IRQS))
        assert events(batches(replay), known) == expected({0: items})


def test_a_text_ends_at_its_first_nul(tmp_path: Path) -> None:
    event = Event(1, WAKEUP, 1, {"comm": b"ab\0leftover", "pid": 1, "prio": 1, "target_cpu": 0})
    path = write(tmp_path, Writer().file({0: [event]}))
    assert read_all(path, WAKEUPS)[0].fields["comm"] == b"ab"


def test_formats_of_the_recording_replace_the_catalogue(tmp_path: Path) -> None:
    newer = Kind(999, "sched", "sched_switch", (*SWITCH.fields, ("int extra", 4, True)))
    path = write(tmp_path, Writer(kinds=(newer, ODD)).file({0: []}))
    known = vocabulary()
    number, template = known.number(SWITCHES), known[known.number(SWITCHES)].template
    Replay(str(path), known)
    assert known.number(SWITCHES) == number
    assert "extra" in known[number].by_name
    assert known[number].template == template
    assert known[known.number("test:odd")].template == (
        "small={small} short_one={short_one} wide={wide} array={array[0]},{array[1]} text={text}"
    )


def test_names_of_tasks_come_from_the_recording(tmp_path: Path) -> None:
    path = write(tmp_path, Writer(comms={1: "init", 2: "two words"}).file({0: [switch(1, 2, 1)]}))
    known = vocabulary()
    replay = Replay(str(path), known)
    replay.subscribe(wanting(known, SWITCHES))
    batch = batches(replay)[0]
    assert [batch.comm(pid, 0) for pid in (1, 2, 3, 0)] == [
        "init",
        "two words",
        "<...>",
        "swapper/0",
    ]


def test_only_what_is_wanted_is_delivered_from_the_next_read_on(tmp_path: Path) -> None:
    items: list[Item] = [switch(n, 1, 2) if n % 2 else wakeup(n, 1, 2) for n in range(20)]
    path = write(tmp_path, Writer().file({0: items}))
    known = vocabulary()
    replay = Replay(str(path), known)
    switches, wakeups = known.number(SWITCHES), known.number(WAKEUPS)
    replay.subscribe({switches: frozenset({"next_pid"})})
    first = replay.read(10)
    replay.subscribe({wakeups: frozenset({"pid", "nonsense"}), 4711: frozenset()})
    second = replay.read(10)
    assert first is not None
    assert second is not None
    assert (first.time.tolist(), second.time.tolist()) == ([1, 3, 5, 7, 9], [10, 12, 14, 16, 18])
    assert (list(first.fields[switches]), list(second.fields[wakeups])) == (["next_pid"], ["pid"])


def test_time_offset_and_tsc_become_nanoseconds(tmp_path: Path) -> None:
    writer = Writer()
    scale = writer.pack(4, 3 << 20) + writer.pack(4, 21) + writer.pack(8, 0)
    for options, time in (
        ([(7, b"500\0")], 1 << 40 | 501), ([(1, b"0x10\0")], (1 << 40 | 1) + 16_000),
        ([(14, scale)], (1 << 40 | 1) * 3 // 2),
    ):  # fmt: skip
        writer.options = options
        path = write(tmp_path, writer.file({0: [switch(1 << 40 | 1, 1, 2)]}))
        assert [seen.time for seen in read_all(path, SWITCHES)] == [time]


def test_the_overrun_that_the_kernel_counted_is_told(tmp_path: Path) -> None:
    stat = b"CPU: 1\nentries: 5\noverrun: 12\ncommit overrun: 0\n\0"
    path = write(tmp_path, Writer(options=[(2, stat)]).file({0: [switch(1, 1, 2)]}))
    assert Replay(str(path), vocabulary()).notes == ["CPU 1: the kernel counted 12 events overrun"]


def test_events_of_an_unknown_type_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, Writer(kinds=(SWITCH,)).file({0: [switch(1, 1, 2), wakeup(2, 1, 1)]}))
    known = vocabulary()
    replay = Replay(str(path), known)
    replay.subscribe(wanting(known, SWITCHES))
    assert len(events(batches(replay), known)) == 1
    assert replay.notes == ["1 events of type 315, whose format is not recorded"]


def test_an_unknown_compression_is_refused_by_name(tmp_path: Path) -> None:
    data = Writer(version=7, compression="zlib").file({0: [switch(1, 1, 2)]})
    error = refusal(write(tmp_path, data.replace(b"zlib\0", b"lz4x\0", 1)))
    assert "compressed with lz4x, which is not available" in str(error)
    assert "trace-cmd convert" in str(error)


@st.composite
def machines(draw: st.DrawFn) -> dict[int, list[Item]]:
    """Up to four CPUs, each with events, gaps and discarded events in time order."""
    cpus: dict[int, list[Item]] = {}
    for cpu in range(draw(st.integers(1, 4))):
        time, items = 1, list[Item]()
        for step in draw(st.lists(st.integers(0, 12), max_size=60)):
            time += (0, 1, 7, 1 << 27, 1 << 40)[step % 5]
            if step == 12:
                items.append(Lost(step))
            elif step == 11:
                items.append(Discarded(time, 4 * step))
            else:
                items.append((switch if step % 2 else wakeup)(time, step, step + 1))
        cpus[cpu] = items
    return cpus


@given(cpus=machines(), form=st.sampled_from(FORMS), limit=st.integers(1, 40))
def test_what_was_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, cpus: dict[int, list[Item]],
    form: Mapping[str, object], limit: int,
) -> None:  # fmt: skip
    path = write(tmp_path_factory.mktemp("dat"), Writer(page_size=512, **form).file(cpus))  # type: ignore[arg-type]
    assert read_all(path, SWITCHES, WAKEUPS, limit=limit) == expected(cpus)


@every_form
def test_an_instance_is_read_where_the_top_buffer_is_empty(
    form: Mapping[str, object], tmp_path: Path
) -> None:
    cpus: dict[int, list[Item]] = {0: [switch(5, 1, 2)], 1: [switch(6, 2, 1)]}
    writer = Writer(instances={"first": cpus, "second": {0: [switch(9, 3, 4)]}}, **form)  # type: ignore[arg-type]
    path = write(tmp_path, writer.file({0: [], 1: []}))
    assert read_all(path, SWITCHES) == expected(cpus)
    assert Replay(str(path), vocabulary()).notes == [
        "instance 'second' of the recording is not read"
    ]


@every_form
def test_text_of_a_latency_tracer_in_a_trace_dat(
    form: Mapping[str, object], tmp_path: Path
) -> None:
    line = b"  a-12  1d..2. 40us+: sched_wakeup: comm=b pid=3 prio=4 target_cpu=000\n"
    text = b"# tracer: wakeup\n" + line
    path = write(tmp_path, Writer(text=text, comms={7: "seven"}, **form).file({}))  # type: ignore[arg-type]
    known = vocabulary()
    replay = Replay(str(path), known)
    replay.subscribe(wanting(known, WAKEUPS))
    found = batches(replay)
    fields = {"comm": b"b", "pid": 3, "prio": 4, "target_cpu": 0}
    assert events(found, known) == [Seen(WAKEUPS, 40_000, 1, 12, fields)]
    assert (found[0].comm(12, 1), found[0].comm(7, 1)) == ("a", "seven")


# Against trace-cmd


@pytest.mark.needs("trace-cmd")
@pytest.mark.parametrize("form", [f for f in FORMS if f["compression"] == "none"], ids=str)
def test_trace_cmd_reads_what_the_writer_writes(form: Mapping[str, object], tmp_path: Path) -> None:
    long = Event(3000, WAKEUP, 7, wakeup(0, 1, 9).values, pad=200)
    cpus: dict[int, list[Item]] = {
        0: [switch(1000, 1, 2), Lost(7), switch(1 << 40, 2, 1), Discarded((1 << 40) + 5),
            Stamp((1 << 40) + 8), switch((1 << 40) + 9000, 1, 2)],
        1: [wakeup(1000, 7, 8), Lost(None), long],
    }  # fmt: skip
    writer = Writer(instances={"other": {0: []}}, **form)  # type: ignore[arg-type]
    path = write(tmp_path, writer.file(cpus))
    told = subprocess.run(
        ["trace-cmd", "report", "-t", str(path)], capture_output=True, text=True, check=True
    ).stdout
    lines = re.findall(r"-(\d+) +\[(\d+)\] +(\d+)\.(\d{9}): (\w+):", told)
    seen = [(int(pid), int(cpu), int(s) * 10**9 + int(ns), name) for pid, cpu, s, ns, name in lines]
    assert seen == [
        (e.pid, e.cpu, e.time, e.event.partition(":")[2]) for e in read_all(path, SWITCHES, WAKEUPS)
    ]
    assert re.findall(r"CPU:\d \[.*\]", told) == [
        "CPU:1 [EVENTS DROPPED]",
        "CPU:0 [7 EVENTS DROPPED]",
    ]
