"""DOT → hybrid automaton: what its labels say of clocks, and the way back."""

from hypothesis import given
from hypothesis import strategies as st

from rvfs.model.automaton import Automaton, automaton
from rvfs.model.canonical import canonical, to_dot
from rvfs.model.dot import parse_dot
from rvfs.model.timing import Condition, Constraint, Timing, Value, conditions, timing
from tests.model.test_dot import automata
from tests.model.test_guard import BOUNDS, CONSTRAINTS

STALL = r"""
digraph state_automaton {
	center = true;
	size = "7,11";
	{node [shape = plaintext, style=invis, label=""] "__init_dequeued"};
	{node [shape = doublecircle] "dequeued"};
	{node [shape = circle] "enqueued"};
	{node [shape = circle] "running"};
	"__init_dequeued" -> "dequeued";
	"dequeued" [label = "dequeued", color = green3];
	"enqueued" [label = "enqueued\nclk < threshold_jiffies"];
	"running" [label = "running"];
	"dequeued" -> "enqueued" [ label = "wakeup;reset(clk)" ];
	"enqueued" -> "running" [ label = "switch_in" ];
	"running" -> "enqueued" [ label = "preempt;prio <= 5 && !(irq == 1);reset(clk)\nyield" ];
	"running" -> "dequeued" [ label = "wait" ];
}
"""
LIMIT = Condition("clk", "<", Value(name="threshold_jiffies", unit="j"))


def read(text: str) -> Automaton:
    return parse_dot(text, file="dir/m.dot").model


def timing_of(*statements: str) -> Timing:
    """Of a two-state model a → b → a and these statements."""
    base = '"__init_a"; a; b; b -> a [label="back"]; a -> b [label="go"]'
    found = read("digraph {\n" + "\n".join([base, *statements]) + "\n}").timing
    assert found is not None
    return found


def test_a_hybrid_model_is_read() -> None:
    model = read(STALL)
    assert model.next_state("running", "preempt") == "enqueued"
    assert model.timing is not None
    assert (model.timing.clocks, model.timing.envs) == (("clk",), ("irq", "prio"))
    assert model.timing.invariants == {"enqueued": (LIMIT,)}
    assert sorted(model.timing.constraints) == [("dequeued", "wakeup"), ("running", "preempt")]
    assert model.timing.constraints["dequeued", "wakeup"] == Constraint(None, ("clk",))
    assert [c.env for c in conditions(model.timing.constraints["running", "preempt"].guard)] == [
        "prio", "irq",
    ]  # fmt: skip


def test_a_plain_model_has_no_timing() -> None:
    assert read("digraph { __init_a; a; a -> a [label=e] }").timing is None


def test_a_model_without_a_clock_may_have_guards() -> None:
    found = timing_of('a -> b [label="x;irq_off == 1"]')
    assert (found.clocks, found.envs) == ((), ("irq_off",))


def test_there_may_be_any_number_of_clocks() -> None:
    found = timing_of(
        'a -> b [label="x;reset(one);reset(two)"]', r'b [label="b\none < 5ms && two <= 7"]',
        'b -> a [label="y;three > 1;reset(three)"]',
    )  # fmt: skip
    assert found.clocks == ("one", "three", "two")
    assert [bound.env for bound in found.invariants["b"]] == ["one", "two"]


def test_an_invariant_may_stand_on_several_lines() -> None:
    split = timing_of('a -> b [label="x;reset(c);reset(d)"]', r'b [label="b\nc < 5\nd < 6"]')
    assert split == timing_of('a -> b [label="x;reset(c);reset(d)"]', r'b [label="b\nc<5&&d<6"]')


def test_parallel_edges_that_ask_the_same_merge() -> None:
    edge = 'a -> b [label="x;irq == 1;reset(c)"]'
    assert timing_of(edge, edge.replace("irq == 1;reset(c)", "reset(c);irq==1")) == timing_of(edge)


def test_a_clock_that_nothing_reads_is_a_warning() -> None:
    text = STALL.replace(r"\nclk < threshold_jiffies", "")
    assert parse_dot(text, file="m.dot").warnings == (
        "m.dot:13:2: warning: clk is reset, but no guard or invariant reads it",
    )
    assert parse_dot(STALL, file="m.dot").warnings == ()


def test_canonical_text_is_written_as_the_kernel_reads_it() -> None:
    lines = canonical(read(STALL)).splitlines()
    assert '\t"enqueued" [label = "enqueued\\nclk < threshold_jiffies"];' in lines
    assert (
        '\t"running" -> "enqueued" '
        '[ label = "preempt;prio <= 5 && !(irq == 1);reset(clk)\\nyield" ];' in lines
    )


@st.composite
def hybrids(draw: st.DrawFn) -> Automaton:
    """Any automaton with constraints; only clocks have invariants."""
    plain = draw(automata())
    steps = [(s, e, t) for s in plain.states for e in plain.events if (t := plain.next_state(s, e))]
    places = st.sampled_from([(source, event) for source, event, _ in steps])
    constraints = draw(st.dictionaries(places, CONSTRAINTS, min_size=1)) if steps else {}
    clocks = sorted({clock for constraint in constraints.values() for clock in constraint.resets})
    invariants = draw(st.dictionaries(st.sampled_from(plain.states), BOUNDS)) if clocks else {}
    about_clocks = {
        state: tuple(Condition(draw(st.sampled_from(clocks)), b.sign, b.value) for b in bounds)
        for state, bounds in invariants.items()
    }
    return automaton(
        "m", plain.initial, steps, states=plain.states, final=plain.final,
        timing=timing(about_clocks, constraints),
    )  # fmt: skip


@given(hybrids())
def test_canonical_dot_gives_the_same_hybrid_again(model: Automaton) -> None:
    assert read(to_dot(model)) == model
    assert hash(read(to_dot(model))) == hash(model)
