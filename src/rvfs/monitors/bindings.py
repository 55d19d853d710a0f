"""The bindings file of a monitor, ``NAME.toml``: which events of the system its model sees.

=================  ==================================================================
``description``    one line, shown in ``desc`` and in listings
``scope``          ``global``, ``cpu`` or ``task``: what an instance belongs to
``children``       of a container only, instead of scope and bindings: the names of
                   its folders, in the order of registration
``[[on]]``         one binding each, in the order in which they are tried
``tracepoint``     ``system:name``
``event``          the event of the model
``entry``          ``handle`` (default), ``start`` or ``start_run``
``task``           the field with the task's pid; without it the current task
``cpu``            the field with the CPU; without it the CPU of the event
``when``           a condition on the fields, as in the kernel's event filters
=================  ==================================================================

Every fault is named with the line of its key; one reading names them all.
"""

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from rvfs.errors import InvalidInput, ModelError, UnknownName
from rvfs.model.filter import Filter, parse_filter
from rvfs.monitor import Binding, Entry, Model, Monitor, Scope
from rvfs.monitors.sheet import Sheet, Table
from rvfs.tracepoint import HWBP, Tracepoint, Vocabulary

_TOP_KEYS: Mapping[str, type] = {"description": str, "scope": str, "children": list, "on": list}
_ON_KEYS: Mapping[str, type] = dict.fromkeys(
    ("tracepoint", "event", "entry", "task", "cpu", "when"), str
)
#: Which fields a binding may name to pick an instance.
_INSTANCE_KEYS: Mapping[Scope, tuple[str, ...]] = {
    Scope.GLOBAL: (), Scope.CPU: ("cpu",), Scope.TASK: ("task", "cpu"),
}  # fmt: skip
_TRACEPOINT = re.compile(r"[\w-]+:[\w-]+")

_Choice = TypeVar("_Choice", bound=enum.Enum)


@dataclass(frozen=True, slots=True)
class Bindings:
    """A bindings file as it was read. ``children`` is None except for a container."""

    sheet: Sheet
    description: str
    scope: Scope
    bindings: tuple[Binding, ...]
    children: tuple[str, ...] | None

    def monitor(self, name: str, model: Model | None, vocabulary: Vocabulary) -> Monitor:
        """The monitor. Raises :class:`ModelError` where a binding names what does not exist.

        A tracepoint that the vocabulary lacks passes, as in the kernel; see :meth:`warnings`.
        """
        for number, binding in enumerate(self.bindings):
            for key, message in _misfits(binding, model, vocabulary):
                self.sheet.fault(message, key, number)
        self.sheet.stop()
        try:
            return Monitor(name, self.description, self.scope, model, self.bindings)
        except InvalidInput as error:
            raise ModelError(str(error), file=self.sheet.file) from None

    def warnings(self, vocabulary: Vocabulary) -> Iterator[str]:
        """What is not wrong, but hardly meant: ``FILE:LINE: warning: what``."""
        for number, binding in enumerate(self.bindings):
            for message in self._doubts(number, binding, vocabulary):
                yield self.sheet.warning(message, "tracepoint", number)
        if self.children is None and all(b.entry is Entry.HANDLE for b in self.bindings):
            yield self.sheet.warning("it never begins to monitor: no entry is a start", "on")

    def _doubts(self, number: int, binding: Binding, vocabulary: Vocabulary) -> Iterator[str]:
        comes_later = binding.tracepoint.startswith(f"{HWBP}:")
        if binding.tracepoint not in vocabulary and not comes_later:
            yield f"there is no tracepoint {binding.tracepoint}"
        if any(_always_before(earlier, binding) for earlier in self.bindings[:number]):
            yield f"never taken: an earlier binding of {binding.tracepoint} has no condition"


def read_bindings(text: str, *, file: str) -> Bindings:
    """Read a bindings file. Raises :class:`ModelError` with the line of the fault."""
    sheet = Sheet(text, file=file, array="on")
    top = sheet.check(sheet.top, _TOP_KEYS)
    description = sheet.require(top, "description", "one line on what the monitor checks")
    if "\n" in description:
        sheet.fault("the description wants to be one line", "description")
    if "children" in top:
        bindings = Bindings(sheet, description, Scope.GLOBAL, (), _children(sheet, top))
    else:
        scope = _choice(sheet, top, "scope", Scope) if _has(sheet, top, "scope") else None
        on = [_binding(sheet, number, scope) for number in range(len(sheet.tables))]
        bindings = Bindings(sheet, description, scope or Scope.GLOBAL, tuple(on), None)
    sheet.stop()
    return bindings


def _has(sheet: Sheet, top: Table, key: str) -> bool:
    return bool(sheet.require(top, key, f"one of {_names(Scope)}"))


def _names(choices: type[enum.Enum]) -> str:
    return ", ".join(choice.value for choice in choices)


def _choice(
    sheet: Sheet, table: Table, key: str, choices: type[_Choice], number: int | None = None
) -> _Choice | None:
    try:
        return choices(table[key])
    except ValueError:
        sheet.fault(f"{key} wants one of {_names(choices)}, not {table[key]!r}", key, number)
        return None


def _children(sheet: Sheet, top: Table) -> tuple[str, ...]:
    for key in ("scope", "on"):
        if key in sheet.top:
            sheet.fault(f"a container has no {key!r}; its children have", key)
    children = top["children"]
    if not all(isinstance(child, str) for child in children) or len(set(children)) < len(children):
        sheet.fault("children wants names in quotes, each once", "children")
    return tuple(map(str, children))


def _binding(sheet: Sheet, number: int, scope: Scope | None) -> Binding:
    """The binding of that number; where it has faults, what could be read of it."""
    table = sheet.check(sheet.tables[number], _ON_KEYS, number)
    tracepoint = sheet.require(table, "tracepoint", "system:name, as in events/", number)
    if tracepoint and not _TRACEPOINT.fullmatch(tracepoint):
        sheet.fault(f"tracepoint wants system:name, not {tracepoint!r}", "tracepoint", number)
    event = sheet.require(table, "event", "an event of the model", number)
    for key in ("task", "cpu"):
        if scope and key in table and key not in _INSTANCE_KEYS[scope]:
            sheet.fault(f"a {scope.value} monitor has no instance per {key}", key, number)
    entry = _choice(sheet, table, "entry", Entry, number) if "entry" in table else Entry.HANDLE
    condition = _condition(sheet, number, table["when"]) if "when" in table else None
    return Binding(
        tracepoint, event, entry or Entry.HANDLE, table.get("task"), table.get("cpu"), condition
    )


def _condition(sheet: Sheet, number: int, text: str) -> Filter | None:
    try:
        return parse_filter(text, file=sheet.file)
    except ModelError as error:
        sheet.fault(error.message, "when", number)
        return None


def _always_before(earlier: Binding, later: Binding) -> bool:
    def instance(binding: Binding) -> tuple[str, str | None, str | None]:
        return binding.tracepoint, binding.task, binding.cpu

    return earlier.when is None and instance(earlier) == instance(later)


def _misfits(
    binding: Binding, model: Model | None, vocabulary: Vocabulary
) -> Iterator[tuple[str, str]]:
    """(key, message) for every name in a binding that the model or the tracepoint lacks."""
    if model is not None and binding.event not in model.events:
        known = ", ".join(model.events) or "none"
        yield "event", f"the model has no event {binding.event!r} (it has: {known})"
    if binding.tracepoint not in vocabulary:
        return
    tracepoint = vocabulary[vocabulary.number(binding.tracepoint)]
    for key, name, as_text in _named_fields(binding):
        message = _field_misfit(tracepoint, name, as_text)
        if message:
            yield key, message


def _named_fields(binding: Binding) -> Iterator[tuple[str, str, bool]]:
    """(key, field, whether it is used as a text)."""
    for key, name in (("task", binding.task), ("cpu", binding.cpu)):
        if name is not None:
            yield key, name, False
    if binding.when is not None:
        for name in sorted(binding.when.fields):
            yield "when", name, name in binding.when.strings


def _field_misfit(tracepoint: Tracepoint, name: str, as_text: bool) -> str | None:
    try:
        is_text = tracepoint.field(name).is_string
    except UnknownName as error:
        return str(error)
    kinds = ("a number", "a text")
    if is_text == as_text:
        return None
    return f"field {name} of {tracepoint.full_name} is {kinds[is_text]}, not {kinds[as_text]}"
