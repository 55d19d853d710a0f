"""Skeletons of bindings: what is found for a model, and that they load as they are."""

import tomllib

import pytest

from rvfs.model.automaton import Automaton
from rvfs.model.canonical import canonical
from rvfs.model.dot import parse_dot
from rvfs.model.ltl import parse_ltl
from rvfs.monitor import Entry
from rvfs.monitors import Loaded, load_texts, shipped
from rvfs.monitors.files import known_tracepoints
from rvfs.monitors.skeleton import Machine, skeleton, start_of
from rvfs.tracepoint import Tracepoint, Vocabulary

MODEL = r"""digraph {
	__init_off; off; on [label = "on\nclk < LIMIT() && clk < most2 && clk < LARGE"];
	off -> on [label = "lamp_up;irq == 1;reset(clk)"];
	on -> off [label = "lamp_gone\nswitch_out"];
}"""


def machine(**fields: list[str]) -> Machine:
    """One with these tracepoints: ``system__name``, and its fields."""
    known = {
        f"{system}:{name}": Tracepoint.declare(system, name, declarations)
        for (system, name), declarations in ((n.split("__"), d) for n, d in fields.items())
    }
    return Machine("this test", tuple(known), known.__getitem__)


ROOM = machine(
    room__lamp_up=["pid_t who", "int watt"],
    room__lamp_upper=["int watt"],
    room__door=["int number"],
    sched__sched_switch=["pid_t prev_pid", "char prev_comm[16]", "pid_t next_pid"],
    mm__page_fault_user=["unsigned long address"],
)


def read(text: str) -> Automaton:
    return parse_dot(text, file="lamp.dot").model


def load(text: str, bindings: str, known: Machine = ROOM) -> Loaded:
    vocabulary = Vocabulary()
    for name in known.names:
        vocabulary.add(known.tracepoint(name))
    return load_texts("lamp", text, bindings, vocabulary)


def names_like(name: str) -> list[str]:
    return [tracepoint.full_name for tracepoint in ROOM.like(name)]


def test_names_are_compared_by_their_words() -> None:
    assert names_like("lamp_up") == ["room:lamp_up", "room:lamp_upper"]
    assert names_like("switch_in") == ["sched:sched_switch"]
    assert names_like("door_lamp") == ["room:door"]
    assert names_like("PAGEFAULT") == ["mm:page_fault_user"]


@pytest.mark.parametrize("name", ["window", "up", "sleep_window", "door_of_a_house", "a"])
def test_what_is_not_like_anything_is_not_found(name: str) -> None:
    assert names_like(name) == []


def test_a_skeleton_says_what_there_is_and_what_not() -> None:
    text = skeleton(read(MODEL), ROOM)
    assert "# room:lamp_up: pid_t who; int watt\n# room:lamp_upper: int watt\n[[on]]\n" in text
    assert 'task = "prev_pid"  # or next_pid\nevent = "switch_out"\nentry = "start"\n' in text
    assert (
        "# lamp_gone: no tracepoint has a name like it.\n# [[on]]\n"
        '# tracepoint = "system:name"\n# event = "lamp_gone"\n# entry = "start"\n' in text
    )


def test_a_skeleton_of_a_hybrid_loads_as_it_is() -> None:
    loaded = load(MODEL, skeleton(read(MODEL), ROOM))
    assert loaded.warnings == ()
    monitor = loaded.monitor
    assert (monitor.params, monitor.constants) == ({"most2": 1000}, {"LARGE": 1000})
    assert monitor.values.keys() == {"LIMIT"}
    assert [b.event for b in monitor.bindings] == ["lamp_up", "switch_out"]
    assert monitor.bindings[0].env.keys() == {"irq"}


def test_where_nothing_is_found_it_loads_and_says_so() -> None:
    nothing = machine()
    loaded = load(MODEL, skeleton(read(MODEL), nothing), nothing)
    assert [binding.event for binding in loaded.monitor.bindings] == ["switch_out"]
    assert "there is no tracepoint system:name" in loaded.warnings[0]


def test_a_skeleton_of_a_rule_loads_as_it_is() -> None:
    rule = "RULE = always (PAGEFAULT imply not MOON)\n"
    text = skeleton(parse_ltl(rule, file="r.ltl").model, ROOM)
    loaded = load(rule, text)
    (binding,) = loaded.monitor.bindings
    assert (binding.tracepoint, binding.atoms) == ("mm:page_fault_user", {"PAGEFAULT": True})
    assert "# MOON: no tracepoint" in text
    assert "# MOON = false" in text


def test_the_skeletons_of_all_that_is_shipped_load() -> None:
    known = {tracepoint.full_name: tracepoint for _, tracepoint in known_tracepoints()}
    catalogue = Machine("rvfs", tuple(known), known.__getitem__)
    models = [one.monitor.model for top in shipped() for one in top if one.monitor.model]
    assert models
    for model in models:
        text = skeleton(model, catalogue)
        assert tomllib.loads(text)["on"]
        assert load(canonical(model), text, catalogue).bound


def test_entries_are_derived_as_the_kernels_generator_does() -> None:
    model = read(MODEL)
    entries = {event: start_of(model, event) for event in model.events}
    assert entries == {
        "lamp_gone": Entry.START, "lamp_up": Entry.HANDLE, "switch_out": Entry.START,
    }  # fmt: skip
    loop = read('digraph { __init_a; a; b; a -> b [label="go"]; b -> b [label="on"] }')
    assert start_of(loop, "go") is Entry.START_RUN
    assert start_of(loop, "on") is Entry.HANDLE
