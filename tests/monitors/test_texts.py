"""Monitors from texts: the language by its content, and one text that is a whole monitor."""

from pathlib import Path

import pytest

from rvfs.errors import AlreadyRegistered, InvalidInput, ModelError
from rvfs.model.automaton import Automaton
from rvfs.model.rule import Rule
from rvfs.monitors import (
    Loaded,
    available,
    from_folder,
    load_file,
    load_model_file,
    load_monitor,
    load_texts,
)
from rvfs.tracepoint import Tracepoint, Vocabulary

MODEL = """\
digraph {
	__init_off; off; on;
	off -> on [label = "up"];
	on -> off [label = "down"];
}
"""
SHEET = """\
description = "a lamp."
scope = "cpu"

[[on]]
tracepoint = "sched:sched_waking"
event = "up"
entry = "start"

[[on]]
tracepoint = "sched:sched_switch"
when = "prev_state == 0"
event = "down"
"""


def vocabulary() -> Vocabulary:
    known = Vocabulary()
    known.add(Tracepoint.declare("sched", "sched_waking", ["pid_t pid"]))
    known.add(Tracepoint.declare("sched", "sched_switch", ["long prev_state"]))
    return known


def load(model: str | None, bindings: str | None = None) -> Loaded:
    return load_texts("lamp", model, bindings, vocabulary())


def carrying(sheet: str, model: str = MODEL, marker: str = "//!") -> str:
    return "".join(f"{marker} {line}".rstrip() + "\n" for line in sheet.splitlines()) + model


def faults_of(model: str | None, bindings: str | None = None) -> list[str]:
    with pytest.raises(ModelError) as caught:
        load(model, bindings)
    return [str(fault) for fault in (caught.value, *caught.value.also)]


def test_a_model_carries_its_bindings_or_has_them_beside() -> None:
    assert load(carrying(SHEET)) == load(MODEL, SHEET)
    assert load(carrying(SHEET)).monitor.description == "a lamp."


def test_lines_with_bindings_may_stand_anywhere() -> None:
    head, *others = SHEET.splitlines()
    first, *rest = MODEL.splitlines(keepends=True)
    text = f"//! {head}\n{first}\t" + carrying("\n".join(others), model="").replace(
        "\n//!", "\n\t//!"
    )
    assert load(text + "".join(rest)) == load(MODEL, SHEET)


def test_other_comments_are_no_bindings() -> None:
    assert not load("//!x\n// ! y\n/* //! z */\n" + MODEL).bound


def test_faults_of_bindings_within_are_told_in_their_place() -> None:
    faulty = SHEET.replace('"down"', '"left"').replace("prev_state == 0", "prev_state = 0")
    assert faults_of(carrying(faulty)) == [
        "model:11:5: cannot read the condition 'prev_state = 0' at column 12: "
        "expected one of == != < <= > >= & ~"
    ]
    assert faults_of("\n" + carrying(SHEET.replace('"down"', '"left"'))) == [
        "model:13:5: the model has no event 'left' (it has: down, up)"
    ]
    assert faults_of("// lamp\n//! description = ?\n" + MODEL) == ["model:2:19: Invalid value"]


def test_bindings_in_two_places_are_refused() -> None:
    assert faults_of("\n" + carrying(SHEET), SHEET) == [
        "model:2: it carries bindings, and there is bindings; expected one of them"
    ]


def test_what_has_no_model_yet_is_a_container() -> None:
    assert load(None).monitor.is_container
    assert load(None, SHEET).monitor.description == "a lamp."


def test_a_model_without_bindings_is_not_bound() -> None:
    loaded = load(MODEL)
    assert not loaded.bound
    assert isinstance(loaded.monitor.model, Automaton)
    assert loaded.monitor.bindings == ()
    assert load(MODEL, SHEET).bound


def test_a_container_has_no_model() -> None:
    assert faults_of(MODEL, 'description = "d"\nchildren = []') == [
        "bindings:2:1: model is a model, so this is no container"
    ]


@pytest.mark.parametrize("head", ["", "// a\n# b\n/* c\nd */ strict ", "\n\t"])
def test_dot_begins_with_a_graph(head: str) -> None:
    assert isinstance(load(head + MODEL).monitor.model, Automaton)
    assert isinstance(load(head + MODEL.replace("digraph", "DiGraph ")).monitor.model, Automaton)


def test_texts_are_called_as_the_caller_says() -> None:
    with pytest.raises(ModelError, match=r"^m/lamp.dot:1:10: "):
        load_texts("lamp", "digraph {", None, vocabulary(), file="m/lamp.dot")
    with pytest.raises(ModelError, match=r"^m/lamp.toml:1: "):
        load_texts("lamp", None, "x", vocabulary(), bindings_file="m/lamp.toml")


RULE = "# two atoms\nRULE = always (A imply B)\n"
RULE_SHEET = """\
description = "a rule."
scope = "cpu"
[[on]]
tracepoint = "sched:sched_switch"
update = { A = true, B = "prev_state == 0" }
"""


def test_what_is_no_graph_is_a_rule() -> None:
    for head in ("", "\n\t", "# digraph {\n", "GRAPH = A\n"):
        model = load(head + RULE).monitor.model
        assert isinstance(model, Rule)
        assert model.atoms == ("A", "B")


def test_a_rule_carries_its_bindings_too() -> None:
    loaded = load(carrying(RULE_SHEET, RULE, "#!"))
    assert loaded == load(RULE, RULE_SHEET)
    assert loaded.monitor.bindings[0].atoms["A"] is True
    assert faults_of(carrying(RULE_SHEET.replace("A =", "C ="), RULE, "#!")) == [
        "model:5:4: the model has no atom 'C' (it has: A, B)"
    ]


def test_each_language_has_its_own_lines() -> None:
    assert not load(carrying(SHEET, marker="#!")).bound
    assert not load("#!/usr/bin/env rvfs\n" + RULE).bound


def test_a_rule_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.ltl"
    path.write_text(carrying(RULE_SHEET, RULE, "#!"))
    assert isinstance(load_model_file(path).model, Rule)


def test_a_file_may_be_a_whole_monitor(tmp_path: Path) -> None:
    path = tmp_path / "lamp.dot"
    path.write_text(carrying(SHEET))
    assert load_model_file(path) == load_file(path).monitor
    assert [loaded.monitor.name for loaded in from_folder(tmp_path)] == ["lamp"]
    folder = tmp_path / "lamp"
    folder.mkdir()
    path.rename(folder / "lamp.dot")
    assert load_monitor(folder).monitor.description == "a lamp."


def test_a_file_among_folders_needs_bindings(tmp_path: Path) -> None:
    path = tmp_path / "lamp.dot"
    path.write_text(MODEL)
    with pytest.raises(ModelError) as caught:
        from_folder(tmp_path)
    assert str(caught.value) == f"{path}: it carries no bindings, and there is no lamp.toml"
    path.with_suffix(".toml").write_text(SHEET)
    assert [loaded.monitor.name for loaded in from_folder(tmp_path)] == ["lamp"]


def test_a_folder_and_a_file_of_one_name_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "lamp").mkdir()
    for path in (tmp_path / "lamp.dot", tmp_path / "lamp" / "lamp.dot"):
        path.write_text(carrying(SHEET))
    with pytest.raises(AlreadyRegistered, match="more than one monitor lamp"):
        available(tmp_path)


def test_bindings_within_and_beside_a_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lamp.dot"
    path.write_text(carrying(SHEET))
    path.with_suffix(".toml").write_text(SHEET)
    with pytest.raises(InvalidInput) as caught:
        load_file(path)
    assert str(caught.value) == (
        f"{path}:1: it carries bindings, and there is {tmp_path}/lamp.toml; expected one of them"
    )
