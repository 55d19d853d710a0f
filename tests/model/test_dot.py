"""DOT → automaton: the dialects, what each construct means, and the way back."""

from hypothesis import given
from hypothesis import strategies as st

from rvfs.model.automaton import Automaton, automaton
from rvfs.model.canonical import to_dot
from rvfs.model.dot import parse_dot

LINE_FORM = r"""
digraph state_automaton {
	{node [shape = circle] "busy"};
	{node [shape = plaintext, style=invis, label=""] "__init_idle"};
	{node [shape = doublecircle] "idle"};
	{node [shape = circle] "idle"};
	"__init_idle" -> "idle";
	"busy" [label = "busy"];
	"busy" -> "busy" [ label = "poke" ];
	"busy" -> "idle" [ label = "done\nabort" ];
	"idle" [label = "idle", color = green3];
	"idle" -> "busy" [ label = "poke" ];
	{ rank = min ;
		"__init_idle";
		"idle";
	}
}
"""

GRAMMAR_FORM = r"""
/* the same model as people write it for Graphviz */
strict digraph {
  center = true; size = "7,11"
  node [shape=circle]            // the rule
  idle [label=idle shape=ellipse] # the exception
  busy [label="busy"]
  __init_idle [shape=point, label=""]
  __init_idle -> idle
  idle -> busy [label=poke, color="#ff0000"];
  subgraph cluster_work { busy -> busy [label="poke"] }
  busy -> idle [label="abort" + "\ndone"]
}
"""

IDLE_BUSY = Automaton(
    "m",
    states=("idle", "busy"),
    events=("abort", "done", "poke"),
    table=((-1, -1, 1), (0, 0, 1)),
    final=frozenset({"idle"}),
)


def read(text: str) -> Automaton:
    return parse_dot(text, file="dir/m.dot").model


def graph(*statements: str) -> str:
    """A two-state model a → b → a, and these statements."""
    base = '"__init_a"; a; b; b -> a [label="back"]; a -> b [label="go"]'
    return "digraph {\n" + "\n".join([base, *statements]) + "\n}"


def test_the_line_form_is_read() -> None:
    assert read(LINE_FORM) == IDLE_BUSY


def test_the_grammar_form_is_read_as_the_same_model() -> None:
    assert read(GRAMMAR_FORM) == IDLE_BUSY


def test_a_model_is_called_as_its_file_unless_a_name_is_given() -> None:
    assert read(LINE_FORM).name == "m"
    assert parse_dot(LINE_FORM, file="m.dot", name="other").model.name == "other"


def test_the_initial_state_comes_first_and_the_others_sorted() -> None:
    model = read('digraph { c; a; b; __init_b; b -> c [label="z\\ny"]; c -> a [label="x"] }')
    assert model.states == ("b", "a", "c")
    assert model.events == ("x", "y", "z")


def test_labels_of_parallel_edges_merge() -> None:
    model = read(graph('a -> b [label="run"]', 'a -> b [label="run\\nhop"]'))
    assert [model.next_state("a", event) for event in ("go", "run", "hop")] == ["b", "b", "b"]


def test_a_comma_in_a_state_name_is_an_underscore() -> None:
    model = read(
        'digraph { {node [shape=circle] "__init_p,q"}; "p,q" [label="p,q"]; "__init_p,q" -> "p,q";'
        ' "p,q" -> "p,q" [label=e] }'
    )
    assert model.states == ("p_q",)


def test_without_a_final_state_the_initial_one_is_final() -> None:
    assert read(graph()).final == {"a"}


def test_doublecircle_and_ellipse_are_final() -> None:
    model = read(graph("c [shape=circle]", "b -> c [label=f]", "c -> a [label=f]")[:-1] + "}")
    assert model.final == {"a"}
    model = read('digraph { {node [shape=ellipse] a}; b [shape="doublecircle"]; c; __init_c'
                 " c -> a [label=e] c -> b [label=f] c -> c [label=g] }")  # fmt: skip
    assert model.final == {"a", "b"}


def test_the_first_shape_of_a_node_counts() -> None:
    assert read(graph("{node [shape=circle] c}", "c [shape=doublecircle]", "b -> c [label=f]")
                ).final == {"a"}  # fmt: skip


def test_defaults_end_with_their_scope() -> None:
    model = read("digraph { { node [shape=doublecircle] b } a; __init_a a -> b [label=e] }")
    assert model.final == {"b"}


def test_what_a_node_says_of_itself_counts_more_than_a_default() -> None:
    model = read(
        "digraph { node [shape=doublecircle] a [shape=circle] b; __init_a a->b [label=e] }"
    )
    assert model.final == {"b"}


def test_what_a_comment_says_is_not_a_statement() -> None:
    comments = '/* a -> a [label="go"] */', '// "x" -> "y"', '# c [label="c;x<1"]'
    assert read(graph(*comments)) == read(graph())


def test_a_comment_sign_in_quotes_is_text() -> None:
    assert read(graph('a [tooltip="/* no // comment # */", label="a"]')) == read(graph())


def test_a_label_may_hold_real_line_ends() -> None:
    assert read(graph('a -> b [label="x\ny"]')).events == ("back", "go", "x", "y")


def test_a_dead_end_is_a_warning_with_its_place() -> None:
    model = parse_dot(graph("  c", "b -> c [label=f]"), file="m.dot")
    assert model.warnings == (
        "m.dot:3:3: warning: state c is a dead end: every event there is a violation",
    )
    assert model.model.next_state("b", "f") == "c"


def test_windows_line_ends_change_nothing() -> None:
    assert read(LINE_FORM.replace("\n", "\r\n")) == IDLE_BUSY


def test_canonical_dot_is_written_for_the_line_parser_too() -> None:
    lines = to_dot(IDLE_BUSY).splitlines()
    assert lines[0] == "digraph state_automaton {"
    nodes = [i for i, line in enumerate(lines) if line.split()[0] == "{node"]
    assert nodes == list(range(nodes[0], nodes[0] + 3))
    assert lines[nodes[-1] + 1] == '\t"__init_idle" -> "idle";'
    assert '\t"busy" -> "idle" [ label = "abort\\ndone" ];' in lines


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True).filter(
    lambda name: not name.startswith("__init_")
)


@st.composite
def automata(draw: st.DrawFn) -> Automaton:
    """Any automaton whose every state is reached: each new state hangs on an earlier one."""
    states = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    events = draw(st.lists(NAMES, min_size=len(states), max_size=8, unique=True))
    edges = {
        (draw(st.sampled_from(states[:i])), events[i]): states[i] for i in range(1, len(states))
    }
    places = st.tuples(st.sampled_from(states), st.sampled_from(events))
    extra = draw(st.dictionaries(places, st.sampled_from(states), max_size=12))
    final = draw(st.sets(st.sampled_from(states)))
    table = [(source, event, target) for (source, event), target in {**extra, **edges}.items()]
    return automaton("m", states[0], table, states=states, final=final)


@given(automata())
def test_canonical_dot_gives_the_same_automaton_again(model: Automaton) -> None:
    assert read(to_dot(model)) == model


def test_ports_are_part_of_the_picture_only() -> None:
    plain = 'digraph { __init_a; a; b; a -> b [label="x"]; b -> a [label="y"] }'
    ported = plain.replace("a -> b", 'a:n:e -> "b":sw').replace("b -> a", "b -> a:port")
    assert ported.count(":") == 4
    assert parse_dot(ported, file="m.dot") == parse_dot(plain, file="m.dot")
