"""From an event to letters: conditions made questions, fields made columns.

A monitor's bindings of one tracepoint are gathered into slots, one for each instance that
they name, with alternatives that are tried in the order of the file. Slots that name the same
instance share a place (:mod:`rvfs._stepper._select`). A question compares a column with a
number; the answers to all questions of a place say at once what comes to it. Whatever else
is asked or told (a text, one field against another, a sum) is a column of its own, computed
once per batch (:mod:`rvfs.columns`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rvfs.columns import Fields, First, Origin, Priorities, fields_of
from rvfs.event import Batch, Ints
from rvfs.model.filter import Both, Comparison, Either, Filter, Not, Test
from rvfs.model.terms import Sum
from rvfs.tracepoint import Tracepoint

_64_BITS = (1 << 64) - 1
_SIGNED = (-(1 << 63), (1 << 63) - 1)
_UNSIGNED = (0, _64_BITS)
#: Questions of a place; each more doubles the letters that it may have.
MOST_QUESTIONS = 8


@dataclass(frozen=True, slots=True)
class Slot:
    """An instance that the events of a tracepoint concern, and what they bring it.

    ``task``, ``cpu`` and ``id`` are its key (None: the event's own); ``choices`` the letters,
    the first of which applies whose condition holds.
    """

    choices: tuple[tuple[Filter | None, int], ...]
    task: str | None = None
    cpu: str | None = None
    id: Sum | None = None

    @property
    def key(self) -> tuple[str | None, str | None, Sum | None]:
        return self.task, self.cpu, self.id

    @property
    def asked(self) -> frozenset[Comparison | tuple[First, int]]:
        """What is asked for it: comparisons or, where they are too many, the bits of a number."""
        tests = [when.test for when, _ in self.choices if when]
        asked = frozenset[Comparison]().union(*map(_comparisons, tests))
        if len(asked) <= MOST_QUESTIONS:
            return asked
        return frozenset((self.first, bit) for bit in range(len(self.choices).bit_length()))

    @property
    def first(self) -> First:
        """The column that tells which of the choices it is."""
        return First(tuple(when for when, _ in self.choices))


def _comparisons(test: Test) -> frozenset[Comparison]:
    match test:
        case Not(inner):
            return _comparisons(inner)
        case Both(tests) | Either(tests):
            return frozenset[Comparison]().union(*map(_comparisons, tests))
        case Comparison():
            return frozenset((test,))


#: What an event brings to an instance: of each slot of its place a letter, or None.
Outcome: TypeAlias = tuple[int | None, ...]


class Place(NamedTuple):
    """Slots with the same key. ``name`` gives an outcome the number of its letter, from 1 on; one
    of nothing but None is letter 0."""

    slots: Sequence[Slot]
    name: Callable[[Outcome], int]


@dataclass(slots=True)
class Selection:
    """Questions and places, as :class:`rvfs._stepper.Selector` takes them.

    ``columns`` are (tracepoint, origin), made from fields that are ``needed``; ``loads[letter]``
    the columns whose values a letter takes along. An event of one of the ``tracepoints`` has
    ``widest`` places at most, a letter takes ``heaviest`` values along at most.
    """

    columns: list[tuple[int, Origin]] = field(default_factory=list)
    needed: list[frozenset[str]] = field(default_factory=list)
    tracepoints: list[int] = field(default_factory=list)
    widths: dict[int, int] = field(default_factory=dict)
    places: list[tuple[int, ...]] = field(default_factory=list)
    questions: list[tuple[int, ...]] = field(default_factory=list)
    letters: list[int] = field(default_factory=list)
    loads: list[list[int]] = field(default_factory=lambda: [[]])
    widest: int = 1
    heaviest: int = 0

    def add(self, tracepoint: Tracepoint, tp: int, places: Sequence[Place]) -> None:
        """Add a tracepoint and its places, in the order in which their words come."""
        for offset, (slots, name) in enumerate(places):
            asker = _Asker(self, tracepoint, tp)
            choose = [asker.chooser(slot) for slot in slots]
            first, count = len(self.letters), len(asker.questions)
            for answers in range(1 << count):
                outcome = tuple(chosen(answers) for chosen in choose)
                nothing = all(letter is None for letter in outcome)
                self.letters.append(0 if nothing else name(outcome))
            task, cpu, identity = slots[0].key
            columns = self.column(tp, task if identity is None else identity), self.column(tp, cpu)
            track = len(self.tracepoints)
            self.places.append((track, offset, *columns, len(self.questions), count, first))
            self.questions += asker.questions
        self.tracepoints.append(tp)
        self.widths[tp] = len(places)
        self.widest = max(self.widest, len(places))

    def carry(self, tp: int, loads: Mapping[int, Sequence[Origin]]) -> None:
        """Have letters of a tracepoint take values along."""
        for letter, origins in loads.items():
            self.loads += [[] for _ in range(letter + 1 - len(self.loads))]
            self.loads[letter] = [self.column(tp, origin) for origin in origins]
            self.heaviest = max(self.heaviest, len(origins))

    def column(self, tp: int, origin: Origin | None) -> int:
        """The number of a column; -1 for none."""
        if origin is None:
            return -1
        if (tp, origin) not in self.columns:
            self.columns.append((tp, origin))
            self.needed.append(fields_of(origin))
        return self.columns.index((tp, origin))

    def bind(self, batch: Batch, priorities: Priorities) -> list[Ints]:
        """The columns of a batch, one value for each event of their tracepoint."""
        fields = {tp: Fields(batch, tp, priorities) for tp in self.tracepoints}
        return [
            fields[tp].column(origin, needed)
            for (tp, origin), needed in zip(self.columns, self.needed, strict=True)
        ]

    def lengths(self, count: int, columns: Iterable[Ints]) -> list[int]:
        """For each tracepoint, how many events can be judged of a batch of ``count``."""
        lengths = dict.fromkeys(self.tracepoints, count)
        for (tp, _), column in zip(self.columns, columns, strict=True):
            lengths[tp] = min(lengths[tp], len(column))
        return list(lengths.values())

    def wanted(self) -> Iterable[tuple[int, frozenset[str]]]:
        """Tracepoints and the fields that are needed of them."""
        for tp in self.tracepoints:
            yield tp, frozenset()
        for (tp, _), needed in zip(self.columns, self.needed, strict=True):
            yield tp, needed


_Answers: TypeAlias = Callable[[int], bool]


class _Asker:
    """Gathers the questions of a place, and reads their answers (bits, the first the lowest)."""

    def __init__(self, selection: Selection, tracepoint: Tracepoint, tp: int) -> None:
        self._selection, self._tracepoint, self._tp = selection, tracepoint, tp
        self.questions: list[tuple[int, ...]] = []

    def chooser(self, slot: Slot) -> Callable[[int], int | None]:
        """What tells the letter of a slot by the answers."""
        if all(isinstance(one, Comparison) for one in slot.asked):
            read = [self._test(when.test) if when else _always for when, _ in slot.choices]
        else:
            read = self._numbers(slot.first, len(slot.choices))
        letters = [letter for _, letter in slot.choices]
        return lambda answers: next(
            (letter for ask, letter in zip(read, letters, strict=True) if ask(answers)), None
        )

    def _numbers(self, origin: First, count: int) -> list[_Answers]:
        """The questions for a number up to ``count``, and what tells 1, 2, 3 ..."""
        column, every = self._selection.column(self._tp, origin), range(count.bit_length())
        bits = [self._ask(column, question_of("&", 1 << bit, _SIGNED)) for bit in every]
        shift = bits[0]
        return [
            lambda answers, n=n: answers >> shift & (1 << len(bits)) - 1 == n  # type: ignore[misc]
            for n in range(1, count + 1)
        ]

    def _test(self, test: Test) -> _Answers:
        match test:
            case Not(inner):
                denied = self._test(inner)
                return lambda answers: not denied(answers)
            case Both(tests):
                every = [self._test(inner) for inner in tests]
                return lambda answers: all(one(answers) for one in every)
            case Either(tests):
                some = [self._test(inner) for inner in tests]
                return lambda answers: any(one(answers) for one in some)
            case Comparison(name, sign, int(value)):
                declared = self._tracepoint.field(name)
                unsigned = declared.size == 8 and not declared.signed
                question = question_of(sign, value, _UNSIGNED if unsigned else _SIGNED)
                column = self._selection.column(self._tp, name)
            case Comparison():
                question = question_of("&", _64_BITS, _SIGNED)
                column = self._selection.column(self._tp, test)
        if question.never:
            return lambda _: question.negated
        bit = self._ask(column, question)
        return lambda answers: bool(answers >> bit & 1) != question.negated

    def _ask(self, column: int, question: "Question") -> int:
        """The bit that answers it."""
        asked = (column, question.mask, question.lowest, question.span)
        if asked not in self.questions:
            self.questions.append(asked)
        return self.questions.index(asked)


def _always(_: int) -> bool:
    return True


class Question(NamedTuple):
    """Whether ``value & mask`` is one of ``lowest .. lowest + span``, of 64 bits, or is not."""

    mask: int
    lowest: int
    span: int
    negated: bool
    never: bool = False


def question_of(sign: str, value: int, domain: tuple[int, int]) -> Question:
    """The question that a comparison with a number asks of a column with these values."""
    if sign == "&":
        return Question(_pattern(value), 1, _pattern(-2), False, value & _64_BITS == 0)
    first, last = {
        "==": (value, value), "!=": (value, value), "<": (domain[0], value - 1),
        "<=": (domain[0], value), ">": (value + 1, domain[1]), ">=": (value, domain[1]),
    }[sign]  # fmt: skip
    first, last = max(first, domain[0]), min(last, domain[1])
    return Question(-1, _pattern(first), _pattern(last - first), sign == "!=", first > last)


def _pattern(value: int) -> int:
    """The number of 64 bits with a sign that has the same bits."""
    return (value + (1 << 63) & _64_BITS) - (1 << 63)


def packed(rows: Iterable[Sequence[int]], width: int) -> npt.NDArray[np.int64]:
    """Rows of numbers, one after the other; where there is none, one of ``width`` zeros."""
    flat = [number for row in rows for number in row]
    return np.array(flat or [0] * width, dtype=np.int64)
