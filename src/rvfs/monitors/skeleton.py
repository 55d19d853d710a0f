"""The skeleton of a bindings file: what a model needs, and what a machine has for it.

Each event (or atom) gets a binding to the tracepoint whose name is most like its own, with
the fields of that one and of the next ones as comments. Where nothing is like it, the binding
is a comment. What the skeleton cannot know is marked ``EDIT``; it loads as it is.

Names are compared by their words: a word counts the more, the fewer tracepoints have it.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from rvfs.model.automaton import Automaton
from rvfs.model.rule import Rule
from rvfs.model.timing import Timing
from rvfs.monitor import Entry, Model
from rvfs.tracepoint import COMMON_FIELDS, Tracepoint

#: How many tracepoints are named for one event.
SHOWN = 3
#: How much of the weight of its words must be found again.
ENOUGH = 0.5
EDIT = "  # EDIT"
_WORD = re.compile(r"[a-z]+|\d+")
#: Words that say which way, not what.
_WAYS = frozenset(("in", "out", "on", "off", "up", "down", "to", "by"))
#: Words of this length are found within longer ones: PAGEFAULT in page_fault_user.
_LONG = 5


class Machine(NamedTuple):
    """What has tracepoints: what it is called, their full names, and each by its name."""

    title: str
    names: tuple[str, ...]
    tracepoint: Callable[[str], Tracepoint]

    def like(self, name: str) -> list[Tracepoint]:
        """The tracepoints whose names are most like this one, the best first."""
        words = {word for word in _words(name) if word not in _WAYS}
        weight = {word: self._weight(word) for word in words}
        scores = {
            other: sum(weight[word] for word in words if _has(other, word)) for other in self.names
        }
        enough = ENOUGH * sum(weight.values()) or math.inf
        good = [other for other, score in scores.items() if score >= enough]
        good.sort(key=lambda other: (-scores[other], len(_words(other) - words), other))
        return [self.tracepoint(other) for other in good[:SHOWN]]

    def _weight(self, word: str) -> float:
        """One that no tracepoint has is missed the most."""
        count = sum(_has(other, word) for other in self.names)
        return math.log1p(len(self.names) / max(count, 1))


def _words(name: str) -> frozenset[str]:
    return frozenset(_WORD.findall(name.lower().rpartition(":")[2]))


def _has(name: str, word: str) -> bool:
    squashed = name.lower().rpartition(":")[2].replace("_", "")
    return word in _words(name) or (len(word) >= _LONG and word in squashed)


def skeleton(model: Model, machine: Machine) -> str:
    """The text of a bindings file for the model."""
    blocks = [_Block(name, machine.like(name)) for name in _needs(model)]
    lines = [
        f"# Bindings of {model.name}: which events of the system it sees.",
        f"# Tracepoints are those of {machine.title}; look at what is marked EDIT.",
        f'description = "{model.name}."{EDIT}: one line on what it checks',
        'scope = "task"  # or cpu, global, object',
    ]
    lines += _of_rule(model) if isinstance(model, Rule) else _tables(model.timing)
    told = isinstance(model, Rule) or model.timing is None or not model.timing.envs
    for block in blocks:
        lines += ["", *_about(block)]
        text = list(_binding(model, block))
        if not told and (block.found or block is blocks[-1]):
            text += _env(model)
            told = True
        elif not block.found:
            text = [f"# {line}" for line in text]
        lines += text
    return "\n".join([*lines, ""])


class _Block(NamedTuple):
    """An event or atom, and the tracepoints that may tell it."""

    name: str
    found: list[Tracepoint]


def _needs(model: Model) -> tuple[str, ...]:
    return model.atoms if isinstance(model, Rule) else model.events


def _of_rule(rule: Rule) -> Iterator[str]:
    yield ""
    yield "# Atoms that are known of every instance from the start; the rule starts once all are."
    yield "[init]"
    yield from (f"# {atom} = false" for atom in rule.atoms)


def _tables(timing: Timing | None) -> Iterator[str]:
    """The names that guards compare with: CAPITALS are constants, as in the kernel's models."""
    values = (
        list(dict.fromkeys(c.value for c in timing.conditions if c.value.name)) if timing else []
    )
    plain = [value.name for value in values if value.name and not value.of_instance]
    tables = {
        "params": [f"{name} = 1000{EDIT}" for name in plain if not name.isupper()],
        "constants": [f"{name} = 1000{EDIT}" for name in plain if name.isupper()],
        "values": [
            f'{value.name} = "1000"{EDIT}: a sum of what env tells, params and constants'
            for value in values if value.of_instance
        ],
    }  # fmt: skip
    for section, lines in tables.items():
        if lines:
            yield from ("", f"[{section}]", *dict.fromkeys(lines))


def _about(block: _Block) -> Iterator[str]:
    if not block.found:
        yield f"# {block.name}: no tracepoint has a name like it."
    for tracepoint in block.found:
        fields = "; ".join(field.declaration for field in tracepoint.fields) or "no fields"
        yield f"# {tracepoint.full_name}: {fields}"


def _binding(model: Model, block: _Block) -> Iterator[str]:
    yield "[[on]]"
    yield f'tracepoint = "{block.found[0].full_name if block.found else "system:name"}"'
    pids = _pids(block.found[0]) if block.found else []
    if pids:
        yield f'task = "{pids[0]}"' + (f"  # or {', '.join(pids[1:])}" if pids[1:] else "")
    elif block.found:
        yield '# task = "FIELD"; without it the current task'
    if isinstance(model, Rule):
        kinds = "set, update or pulse; true, false or a condition"
        yield f"update = {{ {block.name} = true }}{EDIT}: {kinds}"
        return
    yield f'event = "{block.name}"'
    entry = start_of(model, block.name)
    if entry is not Entry.HANDLE:
        yield f'entry = "{entry.value}"'


def start_of(model: Automaton, event: str) -> Entry:
    """The entry that is safe for an event, as the kernel's generator derives it.

    What always leads to the initial state may start; where nothing does, what is allowed in
    no other state may start and run.
    """
    if _returns(model, event):
        return Entry.START
    others = any(_returns(model, other) for other in model.events)
    sources = [state for state in model.states if model.next_state(state, event)]
    return Entry.START_RUN if not others and sources == [model.initial] else Entry.HANDLE


def _returns(model: Automaton, event: str) -> bool:
    targets = {model.next_state(state, event) for state in model.states} - {None}
    return targets == {model.initial}


def _env(model: Model) -> Iterator[str]:
    envs = model.timing.envs if isinstance(model, Automaton) and model.timing else ()
    told = ", ".join(f'{name} = "0"' for name in envs)
    yield f"env = {{ {told} }}{EDIT}: a condition or a sum of fields"
    yield f"# every event has {', '.join(COMMON_FIELDS)}; common_flags & 1: interrupts are off"


def _pids(tracepoint: Tracepoint) -> list[str]:
    return [
        name for name, field in tracepoint.by_name.items()
        if name.endswith("pid") and not field.is_string
    ]  # fmt: skip
