"""Bindings of hybrid automata, rules and objects: what they say, and each way to be wrong."""

import pytest

from rvfs.errors import ModelError
from rvfs.model.rule import Rule
from rvfs.model.terms import Sum
from rvfs.monitor import Action, Entry, Monitor, Scope
from rvfs.monitors.texts import load_texts
from rvfs.tracepoint import Tracepoint, Vocabulary

HYBRID = r"""digraph {
	__init_off; off; on [label = "on\nclk < LIMIT()"];
	off -> on [label = "up;irq == 1 && level < most;reset(clk)"];
	on -> off [label = "down"];
}"""
HYBRID_SHEET = """\
description = "a lamp."
scope = "object"

[params]
most = 3
extra_ns = 4_000

[constants]
base = 0x10

[values]
LIMIT = "budget + extra_ns + base"

[[on]]
tracepoint = "lamp:up"
id = "number - common_cpu"
event = "up"
entry = "start_run"
env = { irq = "common_flags & 1", level = "args[1]", budget = "budget" }

[[on]]
tracepoint = "lamp:down"
id = "number"
when = 'why ~ "*off*" && number != args[0]'
event = "down"

[[on]]
tracepoint = "lamp:gone"
id = "number"
entry = "reset"
"""
RULE_SHEET = """\
description = "sleepers."
scope = "task"

[init]
SLEEP = false

[[on]]
tracepoint = "sched:sched_switch"
task = "next_pid"
set = { RT = "next_prio < 100", SLEEP = false }

[[on]]
tracepoint = "sched:sched_switch"
task = "prev_pid"
when = "common_prio <= next_prio"
pulse = { SLEEP = true }

[[on]]
tracepoint = "sched:sched_switch"
update = { WAKE = true }
"""
RULE = "RULE = always ((RT and SLEEP) imply WAKE)"


def vocabulary() -> Vocabulary:
    known = Vocabulary()
    fields = ["int number", "u64 budget", "long args[2]", "char why[16]"]
    for name in ("up", "down", "gone"):
        known.add(Tracepoint.declare("lamp", name, fields))
    switch = ["pid_t prev_pid", "pid_t next_pid", "int next_prio", "char next_comm[16]"]
    known.add(Tracepoint.declare("sched", "sched_switch", switch))
    return known


def hybrid(sheet: str = HYBRID_SHEET) -> Monitor:
    return load_texts("lamp", HYBRID, sheet, vocabulary()).monitor


def test_a_hybrid_monitor_is_read() -> None:
    monitor = hybrid()
    assert monitor.scope is Scope.OBJECT
    assert monitor.params == {"most": 3, "extra_ns": 4000}
    assert monitor.constants == {"base": 16}
    assert monitor.values["LIMIT"].fields == {"budget", "extra_ns", "base"}
    up, down, gone = monitor.bindings
    assert up.id == Sum("number - common_cpu", (("number", 1), ("common_cpu", -1)))
    assert (up.entry, down.entry, gone.entry) == (Entry.START_RUN, Entry.HANDLE, Entry.RESET)
    assert {name: told.text for name, told in up.env.items()} == {
        "irq": "common_flags & 1", "level": "args[1]", "budget": "budget",
    }  # fmt: skip
    assert isinstance(up.env["level"], Sum)
    assert not isinstance(up.env["irq"], Sum)
    assert (gone.event, gone.env) == ("", {})


def test_a_rule_is_read() -> None:
    monitor = load_texts("sleepers", RULE, RULE_SHEET, vocabulary()).monitor
    assert isinstance(monitor.model, Rule)
    assert monitor.init == {"SLEEP": False}
    known, slept, woken = monitor.bindings
    assert [binding.action for binding in monitor.bindings] == [
        Action.SET, Action.PULSE, Action.UPDATE,
    ]  # fmt: skip
    condition = known.atoms["RT"]
    assert not isinstance(condition, bool)
    assert condition.text == "next_prio < 100"
    assert (known.atoms["SLEEP"], slept.atoms, woken.atoms) == (
        False, {"SLEEP": True}, {"WAKE": True},
    )  # fmt: skip


def test_tables_may_stand_inline_and_behind_the_bindings() -> None:
    head, on = HYBRID_SHEET.split("\n[params]")
    tables, *others = on.split("\n[[on]]")
    moved = "\n[[on]]".join([head, *others]) + "\n[params]" + tables
    assert hybrid(moved) == hybrid()
    inline = HYBRID_SHEET.replace("[constants]\nbase = 0x10", "").replace(
        'scope = "object"', 'scope = "object"\nconstants = { base = 0x10 }'
    )
    assert hybrid(inline) == hybrid()


def test_a_guard_may_compare_with_what_a_binding_tells() -> None:
    sheet = HYBRID_SHEET.replace("most = 3\n", "").replace("env = {", 'env = { most = "args[0]",')
    assert hybrid(sheet).bindings[0].env["most"].text == "args[0]"


def test_the_end_of_an_object_is_the_end_of_a_rule_too() -> None:
    more = '[[on]]\ntracepoint = "sched:sched_switch"\ntask = "prev_pid"\nentry = "reset"\n'
    loaded = load_texts("sleepers", RULE, RULE_SHEET + more, vocabulary())
    assert loaded.monitor.bindings[-1].entry is Entry.RESET


def faults_of(sheet: str, model: str) -> list[str]:
    with pytest.raises(ModelError) as caught:
        load_texts("m", model, sheet, vocabulary())
    told = [str(fault) for fault in (caught.value, *caught.value.also)]
    return [fault.removeprefix("bindings:") for fault in told]


FAULTY_HYBRIDS = {
    ("most = 3", "most = 3.5"): "5:1: most wants a number of 64 bits, not 3.5",
    ("most = 3", "most = true"): "5:1: most wants a number of 64 bits, not True",
    ("most = 3", "most = 9223372036854775808"):
        "5:1: most wants a number of 64 bits, not 9223372036854775808",
    ("most = 3", 'most = 3\n"a b" = 3'):
        "6:1: expected a name (letters, digits, _), found 'a b'",
    ("most = 3\n", "\n"):
        "4:1: the model compares with 'most', which is neither a parameter nor a "
        "constant nor told by a binding",
    ("extra_ns = 4_000", "base = 3"):
        [
            "9:1: 'base' is among the params as well",
            "12:1: 'extra_ns' is neither a parameter nor a constant nor told by a binding",
        ],
    ("extra_ns = 4_000", "extra_ns = 4\nclk = 2"): "7:1: 'clk' is a variable of the model as well",
    ("extra_ns = 4_000", "extra_ns = 4\nlevel = 2"):
        "7:1: 'level' is a variable of the model as well",
    ('LIMIT = "', 'OTHER = "'):
        "11:1: the model compares with LIMIT(), which is not among the values",
    ("budget + extra_ns", "budget * extra_ns"):
        "12:1: cannot read the sum 'budget * extra_ns + base' at column 8: "
        "expected '+' or '-', found '*'",
    ('"budget + extra_ns + base"', "7"): "12:1: LIMIT wants a sum in quotes, not 7",
    ("budget + extra_ns", "budge + extra_ns"):
        [
            "12:1: 'budge' is neither a parameter nor a constant nor told by a binding",
            "19:1: the model has no environment variable 'budget' (it has: budge, irq, level)",
        ],
    ('irq = "common_flags & 1", ', ""): " no binding tells 'irq', which the model reads",
    ("common_flags & 1", "common_flags 1 &"):
        "19:1: cannot read the condition 'common_flags 1 &' at column 14: expected one of "
        "== != < <= > >= & ~",
    ('level = "args[1]"', "level = 1"):
        "19:1: level wants a condition or a sum in quotes, not 1",
    ('level = "args[1]"', 'level = "args[2]"'):
        "19:1: lamp:up has no field 'args[2]' (it has: number, budget, args[0], args[1], why)",
    ('level = "args[1]"', 'level = "why"'): "19:1: field why of lamp:up is a text, not a number",
    ('level = "args[1]"', 'level = "args[1]", other = "number"'):
        "19:1: the model has no environment variable 'other' (it has: budget, irq, level)",
    ('id = "number - common_cpu"\n', ""):
        "14:1: 'id' is missing: a sum of fields, the number of the object",
    ('id = "number - common_cpu"', 'id = "number - -1"'):
        "16:1: cannot read the sum 'number - -1' at column 10: "
        "expected a name or a number, found '-'",
    ('id = "number - common_cpu"', 'id = "number - why"'):
        "16:1: field why of lamp:up is a text, not a number",
    ('id = "number - common_cpu"', 'id = "number"\ncpu = "number"'):
        "17:1: scope object has no instance per cpu",
    ('scope = "object"', 'scope = "cpu"'): [
        f"{line}:1: scope cpu has no instance per id" for line in (16, 23, 29)
    ],
    ('when = \'why ~ "*off*"', "when = 'why == 3"):
        "24:1: field why of lamp:down is a text, not a number",
    ('entry = "reset"', 'entry = "reset"\nevent = "down"'):
        "31:1: event beside entry reset: a binding has one of them",
    ('entry = "reset"', ""): "27:1: 'event' is missing: an event of the model "
        "(of a rule: set, update, pulse)",
    ('event = "down"', "set = { A = true }"):
        "25:1: the model is an automaton: it takes an event, and no atoms",
    ("[values]", "[init]\nA = true\n[values]"):
        "11:1: the model is an automaton: it has no atoms",
    ("[values]", "[colors]\nred = 1\n[values]"):
        "11:1: unknown key 'colors' (known: description, scope, children, params, constants, "
        "values, init, on)",
    ("[params]", "params = 3\n[parameters]"): [
        "4:1: params wants a table, not 3",
        "5:1: unknown key 'parameters' (known: description, scope, children, params, constants, "
        "values, init, on)",
    ],
}  # fmt: skip


@pytest.mark.parametrize("change", FAULTY_HYBRIDS)
def test_a_faulty_hybrid_is_named_with_its_lines(change: tuple[str, str]) -> None:
    expected = FAULTY_HYBRIDS[change]
    assert HYBRID_SHEET.count(change[0]) == 1
    faults = faults_of(HYBRID_SHEET.replace(*change), HYBRID)
    assert faults == (expected if isinstance(expected, list) else [expected])


FAULTY_RULES = {
    ("SLEEP = false\n\n", "SLEEP = 0\n\n"): "5:1: SLEEP wants true or false, not 0",
    ("SLEEP = false\n\n", "SLEEPING = false\n\n"):
        "5:1: the model has no atom 'SLEEPING' (it has: RT, SLEEP, WAKE)",
    ("WAKE = true", "AWAKE = true"):
        "20:1: the model has no atom 'AWAKE' (it has: RT, SLEEP, WAKE)",
    ("WAKE = true", "WAKE = 1"):
        "20:1: WAKE wants true, false or a condition in quotes, not 1",
    ("WAKE = true", 'WAKE = "next_pid"'):
        "20:1: cannot read the condition 'next_pid' at column 9: expected one of "
        "== != < <= > >= & ~",
    ("WAKE = true", 'WAKE = "pid == 1"'):
        "20:1: sched:sched_switch has no field 'pid' "
        "(it has: prev_pid, next_pid, next_prio, next_comm)",
    ("update = { WAKE = true }", "update = { }"): "20:1: update names no atom",
    ("update = { WAKE = true }", "update = 3"): "20:1: update wants a table, not 3",
    ("update = { WAKE = true }", "update = { WAKE = true }\nset = { RT = true }"):
        "21:1: set beside update: a binding has one of them",
    ("update = { WAKE = true }", 'event = "wake"'):
        "20:1: the model is a rule: it takes set, update or pulse, no event",
    ("update = { WAKE = true }", 'update = { WAKE = true }\nentry = "start"'):
        "21:1: entry is of an event, and this is update",
    ("update = { WAKE = true }", 'update = { WAKE = true }\nenv = { a = "next_pid" }'):
        "21:1: env is of an event, and this is update",
}  # fmt: skip


@pytest.mark.parametrize("change", FAULTY_RULES)
def test_a_faulty_rule_is_named_with_its_lines(change: tuple[str, str]) -> None:
    assert RULE_SHEET.count(change[0]) == 1
    assert faults_of(RULE_SHEET.replace(*change), RULE) == [FAULTY_RULES[change]]


def doubts_of(sheet: str, model: str) -> list[str]:
    warnings = load_texts("m", model, sheet, vocabulary()).warnings
    return [warning.removeprefix("bindings") for warning in warnings]


def test_what_is_right_raises_no_doubt() -> None:
    assert doubts_of(HYBRID_SHEET, HYBRID) == []
    assert doubts_of(RULE_SHEET, RULE) == []


def test_what_nothing_compares_with_is_a_warning() -> None:
    sheet = HYBRID_SHEET.replace("most = 3", "most = 3\nleast = 2").replace(
        "[values]", '[values]\nMORE = "budget"'
    )
    assert doubts_of(sheet, HYBRID) == [
        ":6: warning: least is not used", ":13: warning: MORE is not used",
    ]  # fmt: skip


def test_a_rule_has_no_use_for_parameters() -> None:
    assert doubts_of(RULE_SHEET.replace("[init]", "[params]\nx = 1\n[init]"), RULE) == [
        ":5: warning: x is not used: a rule compares nothing"
    ]


def test_an_atom_that_nothing_tells_keeps_a_rule_from_starting() -> None:
    assert doubts_of(RULE_SHEET.replace("WAKE", "SLEEP"), RULE) == [
        ": warning: it never begins to monitor: no binding tells WAKE"
    ]
    assert doubts_of(RULE_SHEET.replace("[init]", "[init]\nRT = true"), RULE) == []


def test_a_reset_is_no_start() -> None:
    assert doubts_of(HYBRID_SHEET.replace("start_run", "handle"), HYBRID) == [
        ": warning: it never begins to monitor: no entry is a start"
    ]


def test_objects_of_other_numbers_are_no_alternatives() -> None:
    more = '[[on]]\ntracepoint = "lamp:up"\nid = "{}"\nevent = "down"\n'
    assert doubts_of(HYBRID_SHEET + more.format("number"), HYBRID) == []
    assert doubts_of(HYBRID_SHEET + more.format("number - common_cpu"), HYBRID) == [
        ":32: warning: never taken: an earlier binding of lamp:up has no condition"
    ]
