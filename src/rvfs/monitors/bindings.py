"""The bindings file of a monitor, ``NAME.toml``: which events of the system its model sees.

=================  ==================================================================
``description``    one line, shown in ``desc`` and in listings
``scope``          ``global``, ``cpu``, ``task`` or ``object``: what an instance belongs to
``children``       of a container only, instead of scope and bindings: the names of
                   its folders, in the order of registration
``[params]``       numbers that can be changed while it runs: name = default
``[constants]``    numbers that cannot
``[values]``       what ``NAME()`` of a guard is: a sum of environment variables,
                   parameters and constants
``[init]``         the atoms of a rule that are known from the start: name = true or false
``[[on]]``         one binding each, in the order in which they are tried
``tracepoint``     ``system:name``
``task``           the field with the task's pid; without it the current task
``cpu``            the field with the CPU; without it the CPU of the event
``id``             of an object monitor: a sum of fields that is the object's number
``when``           a condition on the fields, as in the kernel's event filters
``event``          the event of the model, an automaton
``entry``          ``handle`` (default), ``start``, ``start_run``; or ``reset``, without event
``env``            what the event tells of environment variables: name = a condition
                   (1 where it holds) or a sum of fields
``set``            instead of an event, atoms of a rule that are known now: name = true,
                   false or a condition
``update``         the same, and the rule takes a step
``pulse``          a step with these values, then a step with their opposites
=================  ==================================================================

Every fault is named with the line of its key; one reading names them all. Whether the names
fit the model and the tracepoints is for :mod:`rvfs.monitors.fitting` to say.
"""

import enum
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rvfs.errors import ModelError
from rvfs.model.filter import Filter, parse_filter
from rvfs.model.terms import Sum, parse_sum
from rvfs.monitor import Action, Binding, Entry, Reading, Scope
from rvfs.monitors.sheet import Sheet, Table, Where

_TOP_KEYS: Mapping[str, type] = {
    "description": str, "scope": str, "children": list, "params": dict, "constants": dict,
    "values": dict, "init": dict, "on": list,
}  # fmt: skip
_ON_KEYS: Mapping[str, type] = {
    **dict.fromkeys(("tracepoint", "event", "entry", "task", "cpu", "id", "when"), str),
    **dict.fromkeys(("env", "set", "update", "pulse"), dict),
}
#: Which keys of a binding pick an instance.
_INSTANCE_KEYS: Mapping[Scope, tuple[str, ...]] = {
    Scope.GLOBAL: (), Scope.CPU: ("cpu",), Scope.TASK: ("task", "cpu"), Scope.OBJECT: ("id",),
}  # fmt: skip
_TAKEN = ("event", *(action.value for action in Action))
_TRACEPOINT = re.compile(r"[\w-]+:[\w-]+")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
#: What a sum has none of.
_OF_CONDITION = re.compile(r"[=!<>&|~(]")

_Choice = TypeVar("_Choice", bound=enum.Enum)
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Bindings:
    """A bindings file as it was read. ``children`` is None except for a container."""

    sheet: Sheet
    description: str
    scope: Scope = Scope.GLOBAL
    bindings: tuple[Binding, ...] = ()
    children: tuple[str, ...] | None = None
    params: Mapping[str, int] = field(default_factory=dict)
    constants: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, Sum] = field(default_factory=dict)
    init: Mapping[str, bool] = field(default_factory=dict)


def read_bindings(text: str, *, file: str) -> Bindings:
    """Read a bindings file. Raises :class:`ModelError` with the line of the fault."""
    sheet = Sheet(text, file=file, array="on")
    top = sheet.check(sheet.top, _TOP_KEYS)
    description = sheet.require(top, "description", "one line on what the monitor checks")
    if "\n" in description:
        sheet.fault("the description wants to be one line", "description")
    if "children" in top:
        bindings = Bindings(sheet, description, children=_children(sheet, top))
    else:
        bindings = _of_model(sheet, top, description)
    sheet.stop()
    return bindings


def _of_model(sheet: Sheet, top: Table, description: str) -> Bindings:
    known = sheet.require(top, "scope", f"one of {_names(Scope)}")
    scope = _choice(sheet, top, "scope", Scope) if known else None
    on = [_binding(sheet, number, scope) for number in range(len(sheet.tables))]
    return Bindings(
        sheet, description, scope or Scope.GLOBAL, tuple(on), None,
        _named(sheet, top, "params", _number), _named(sheet, top, "constants", _number),
        _named(sheet, top, "values", _sum), _named(sheet, top, "init", _known),
    )  # fmt: skip


def _children(sheet: Sheet, top: Table) -> tuple[str, ...]:
    for key in _TOP_KEYS:
        if key in sheet.top and key not in ("description", "children"):
            sheet.fault(f"a container has no {key!r}; its children have", key)
    children = top["children"]
    if not all(isinstance(child, str) for child in children) or len(set(children)) < len(children):
        sheet.fault("children wants names in quotes, each once", "children")
    return tuple(map(str, children))


def _names(choices: type[enum.Enum]) -> str:
    return ", ".join(choice.value for choice in choices)


def _choice(
    sheet: Sheet, table: Table, key: str, choices: type[_Choice], where: Where = None
) -> _Choice | None:
    try:
        return choices(table[key])
    except ValueError:
        sheet.fault(f"{key} wants one of {_names(choices)}, not {table[key]!r}", key, where)
        return None


def _named(
    sheet: Sheet, top: Table, section: str, read: Callable[[str, Any], _Read]
) -> Mapping[str, _Read]:
    """A table of names; each that cannot be read is a fault."""
    return dict(_entries(sheet, top.get(section, {}), read, lambda name: (name, section)))


def _entries(
    sheet: Sheet,
    table: Table,
    read: Callable[[str, Any], _Read],
    place: Callable[[str], tuple[str, Where]],
) -> Iterator[tuple[str, _Read]]:
    for name, value in table.items():
        try:
            if not _IDENTIFIER.fullmatch(name):
                raise ModelError(f"expected a name (letters, digits, _), found {name!r}")
            yield name, read(name, value)
        except ModelError as error:
            sheet.fault(error.message, *place(name))


def _number(name: str, value: object) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ModelError(f"{name} wants a number of 64 bits, not {value!r}")
    return value


def _known(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ModelError(f"{name} wants true or false, not {value!r}")
    return value


def _sum(name: str, value: object) -> Sum:
    if not isinstance(value, str):
        raise ModelError(f"{name} wants a sum in quotes, not {value!r}")
    return parse_sum(value)


def _told(name: str, value: object) -> Reading:
    if not isinstance(value, str):
        raise ModelError(f"{name} wants a condition or a sum in quotes, not {value!r}")
    return parse_filter(value) if _OF_CONDITION.search(value) else parse_sum(value)


def _atom(name: str, value: object) -> bool | Filter:
    if not isinstance(value, bool | str):
        raise ModelError(f"{name} wants true, false or a condition in quotes, not {value!r}")
    return value if isinstance(value, bool) else parse_filter(value)


def _binding(sheet: Sheet, number: int, scope: Scope | None) -> Binding:
    """The binding of that number; where it has faults, what could be read of it."""
    table = sheet.check(sheet.tables[number], _ON_KEYS, number)
    tracepoint = sheet.require(table, "tracepoint", "system:name, as in events/", number)
    if tracepoint and not _TRACEPOINT.fullmatch(tracepoint):
        sheet.fault(f"tracepoint wants system:name, not {tracepoint!r}", "tracepoint", number)
    entry = _choice(sheet, table, "entry", Entry, number) if "entry" in table else Entry.HANDLE
    action = _check_taken(sheet, number)
    if scope:
        _check_instance(sheet, table, number, scope)

    def tells(key: str, read: Callable[[str, Any], _Read]) -> dict[str, _Read]:
        return dict(_entries(sheet, table.get(key, {}), read, lambda _: (key, number)))

    return Binding(
        tracepoint, table.get("event", ""), entry or Entry.HANDLE,
        table.get("task"), table.get("cpu"), _text(sheet, table, "when", number, parse_filter),
        _text(sheet, table, "id", number, parse_sum), tells("env", _told),
        action, tells(action.value, _atom) if action else {},
    )  # fmt: skip


def _check_taken(sheet: Sheet, number: int) -> Action | None:
    """A binding has an event, or atoms, or the entry ``reset``: one of them."""
    table = sheet.tables[number]
    taken = [key for key in table if key in _TAKEN]
    resets = table.get("entry") == Entry.RESET.value
    if not taken and not resets:
        sheet.require(
            table, "event", "an event of the model (of a rule: set, update, pulse)", number
        )
    for other in [*taken[1:], *taken[:1] * resets]:
        first = "entry reset" if resets else taken[0]
        sheet.fault(f"{other} beside {first}: a binding has one of them", other, number)
    if not taken or taken[0] == "event":
        return None
    for key in ("entry", "env"):
        if key in table and not resets:
            sheet.fault(f"{key} is of an event, and this is {taken[0]}", key, number)
    if table[taken[0]] == {}:
        sheet.fault(f"{taken[0]} names no atom", taken[0], number)
    return Action(taken[0])


def _check_instance(sheet: Sheet, table: Table, number: int, scope: Scope) -> None:
    for key in ("task", "cpu", "id"):
        if key in table and key not in _INSTANCE_KEYS[scope]:
            sheet.fault(f"scope {scope.value} has no instance per {key}", key, number)
    if scope is Scope.OBJECT:
        sheet.require(table, "id", "a sum of fields, the number of the object", number)


def _text(
    sheet: Sheet, table: Table, key: str, number: int, parse: Callable[[str], _Read]
) -> _Read | None:
    """What a key's text says; None where there is none, or a fault."""
    try:
        return parse(table[key]) if key in table else None
    except ModelError as error:
        sheet.fault(error.message, key, number)
        return None
