"""Whether bindings fit the model and the tracepoints that they name.

=======================  ================================================================
names of the model       events, atoms, the environment variables that it reads
names of the tracepoint  its fields: a text where a text is meant, a number where a number
names of a guard         a clock is reset by the model, any other variable is told by the
                         ``env`` of some binding; values are in the tables of the file
=======================  ================================================================

What does not fit is a fault. What fits but is hardly meant is a warning, as is a tracepoint that
nobody knows: as in the kernel, it never fires.
"""

from collections.abc import Iterator, Mapping

from rvfs.errors import InvalidInput, ModelError, UnknownName
from rvfs.model.automaton import Automaton
from rvfs.model.filter import Filter
from rvfs.model.rule import Rule
from rvfs.model.timing import Timing, Value
from rvfs.monitor import Binding, Entry, Model, Monitor, Reading
from rvfs.monitors.bindings import Bindings
from rvfs.monitors.sheet import Where
from rvfs.tracepoint import HWBP, Tracepoint, Vocabulary

#: Numbers that stand in no record: the engine knows them of every event.
COMPUTED = frozenset({"common_prio"})

#: (message, key, where the key stands).
_Fault = tuple[str, str, Where]


def monitor_of(
    name: str, model: Model | None, bindings: Bindings, vocabulary: Vocabulary
) -> Monitor:
    """The monitor. Raises :class:`ModelError` where a binding names what does not exist."""
    check_fit(bindings, model, vocabulary)
    try:
        return Monitor(
            name, bindings.description, bindings.scope, model, bindings.bindings,
            bindings.params, bindings.constants, bindings.values, bindings.init,
        )  # fmt: skip
    except InvalidInput as error:
        raise ModelError(str(error), file=bindings.sheet.file) from None


def check_fit(bindings: Bindings, model: Model | None, vocabulary: Vocabulary) -> None:
    """Raises :class:`ModelError` where a binding names what model or tracepoint do not have.

    Without a model only the tracepoints are looked at.
    """
    for message, key, where in _misfits(bindings, model, vocabulary):
        bindings.sheet.fault(message, key, where)
    bindings.sheet.stop()


def _misfits(bindings: Bindings, model: Model | None, vocabulary: Vocabulary) -> Iterator[_Fault]:
    match model:
        case Rule():
            yield from _rule_misfits(bindings, model)
        case Automaton():
            yield from _automaton_misfits(bindings, model)
    for number, binding in enumerate(bindings.bindings):
        if binding.tracepoint in vocabulary:
            tracepoint = vocabulary[vocabulary.number(binding.tracepoint)]
            for key, name, as_text in _fields(binding):
                message = _field_misfit(tracepoint, name, as_text)
                if message:
                    yield message, key, number


def _rule_misfits(bindings: Bindings, rule: Rule) -> Iterator[_Fault]:
    for number, binding in enumerate(bindings.bindings):
        if binding.event:
            yield "the model is a rule: it takes set, update or pulse, no event", "event", number
        if binding.action:
            for atom in sorted(set(binding.atoms) - set(rule.atoms)):
                yield _unknown("atom", atom, rule.atoms), binding.action.value, number
    for atom in sorted(set(bindings.init) - set(rule.atoms)):
        yield _unknown("atom", atom, rule.atoms), atom, "init"


def _automaton_misfits(bindings: Bindings, model: Automaton) -> Iterator[_Fault]:
    timing = model.timing or Timing((), ())
    read = sorted({*timing.envs, *_variables(bindings, timing)})
    for number, binding in enumerate(bindings.bindings):
        if binding.action is not None:
            message = "the model is an automaton: it takes an event, and no atoms"
            yield message, binding.action.value, number
        elif binding.entry is not Entry.RESET and binding.event not in model.events:
            yield _unknown("event", binding.event, model.events), "event", number
        for name in sorted(set(binding.env) - set(read)):
            yield _unknown("environment variable", name, read), "env", number
    if bindings.init:
        yield "the model is an automaton: it has no atoms", "init", None
    yield from _guard_misfits(bindings, timing)
    yield from _clashes(bindings, timing)


def _unknown(kind: str, name: str, known: object) -> str:
    assert isinstance(known, list | tuple)
    return f"the model has no {kind} {name!r} (it has: {', '.join(known) or 'none'})"


def _told(bindings: Bindings) -> set[str]:
    """The environment variables that some binding tells."""
    return {name for binding in bindings.bindings for name in binding.env}


def _numbers(bindings: Bindings) -> Mapping[str, int]:
    return {**bindings.params, **bindings.constants}


def _variables(bindings: Bindings, timing: Timing) -> set[str]:
    """What is compared with, and what the values are made of, if it is no number of the file."""
    values = [c.value for c in timing.conditions]
    names = {value.name for value in values if value.name and not value.of_instance}
    names.update(name for each in bindings.values.values() for name in each.fields)
    return names - _numbers(bindings).keys()


def _guard_misfits(bindings: Bindings, timing: Timing) -> Iterator[_Fault]:
    told = _told(bindings)
    for env in sorted(set(timing.envs) - told):
        yield f"no binding tells {env!r}, which the model reads", "env", None
    for value in dict.fromkeys(condition.value for condition in timing.conditions):
        if value.name is not None:
            yield from _value_misfit(bindings, value, value.name)
    for name, each in bindings.values.items():
        for part in sorted(each.fields - told - _numbers(bindings).keys()):
            message = f"{part!r} is neither a parameter nor a constant nor told by a binding"
            yield message, name, "values"


def _value_misfit(bindings: Bindings, value: Value, name: str) -> Iterator[_Fault]:
    if value.of_instance and name not in bindings.values:
        yield f"the model compares with {name}(), which is not among the values", "values", None
    elif not value.of_instance and name not in {*_numbers(bindings), *_told(bindings)}:
        what = "is neither a parameter nor a constant nor told by a binding"
        yield f"the model compares with {name!r}, which {what}", "params", None


def _clashes(bindings: Bindings, timing: Timing) -> Iterator[_Fault]:
    """A name that is two things."""
    taken = dict.fromkeys((*timing.clocks, *_told(bindings)), "a variable of the model")
    for section in ("params", "constants", "values"):
        for name in getattr(bindings, section):
            if name in taken:
                yield f"{name!r} is {taken[name]} as well", name, section
            taken[name] = f"among the {section}"


def _fields(binding: Binding) -> Iterator[tuple[str, str, bool]]:
    """(key, field, whether it is used as a text)."""
    for key, name in (("task", binding.task), ("cpu", binding.cpu)):
        if name is not None:
            yield key, name, False
    told = binding.atoms.values() if binding.action else ()
    readings: list[tuple[str, Reading | bool | None]] = [
        ("id", binding.id), ("when", binding.when), *(("env", r) for r in binding.env.values()),
        *((binding.action.value, r) for r in told if binding.action),
    ]  # fmt: skip
    for key, reading in readings:
        if not isinstance(reading, bool | None):
            strings = reading.strings if isinstance(reading, Filter) else ()
            for name in sorted(reading.fields):
                yield key, name, name in strings


def _field_misfit(tracepoint: Tracepoint, name: str, as_text: bool) -> str | None:
    try:
        is_text = name not in COMPUTED and tracepoint.field(name).is_string
    except UnknownName as error:
        return str(error)
    kinds = ("a number", "a text")
    if is_text == as_text:
        return None
    return f"field {name} of {tracepoint.full_name} is {kinds[is_text]}, not {kinds[as_text]}"


def doubts(bindings: Bindings, model: Model | None, vocabulary: Vocabulary) -> Iterator[str]:
    """What is not wrong, but hardly meant: ``FILE:LINE: warning: what``."""
    for message, key, where in _doubts(bindings, model, vocabulary):
        yield bindings.sheet.warning(message, key, where)


def _doubts(bindings: Bindings, model: Model | None, vocabulary: Vocabulary) -> Iterator[_Fault]:
    for number, binding in enumerate(bindings.bindings):
        comes_later = binding.tracepoint.startswith(f"{HWBP}:")
        if binding.tracepoint not in vocabulary and not comes_later:
            yield f"there is no tracepoint {binding.tracepoint}", "tracepoint", number
        if any(_always_before(earlier, binding) for earlier in bindings.bindings[:number]):
            why = f"an earlier binding of {binding.tracepoint} has no condition"
            yield f"never taken: {why}", "tracepoint", number
    match model:
        case Rule():
            yield from _silent_atoms(bindings, model)
        case Automaton():
            yield from _unused(bindings, model.timing or Timing((), ()))
            if all(b.entry in (Entry.HANDLE, Entry.RESET) for b in bindings.bindings):
                yield "it never begins to monitor: no entry is a start", "on", None


def _always_before(earlier: Binding, later: Binding) -> bool:
    """Whether an alternative is hidden; what tells atoms is none, it always applies."""

    def instance(binding: Binding) -> tuple[object, ...]:
        return binding.tracepoint, binding.task, binding.cpu, binding.id

    alternatives = earlier.action is None and instance(earlier) == instance(later)
    return alternatives and earlier.when is None


def _silent_atoms(bindings: Bindings, rule: Rule) -> Iterator[_Fault]:
    told = {*bindings.init, *(atom for binding in bindings.bindings for atom in binding.atoms)}
    for atom in rule.atoms:
        if atom not in told:
            yield f"it never begins to monitor: no binding tells {atom}", "on", None
    for section in ("params", "constants", "values"):
        for name in getattr(bindings, section):
            yield f"{name} is not used: a rule compares nothing", name, section


def _unused(bindings: Bindings, timing: Timing) -> Iterator[_Fault]:
    compared = {(c.value.name, c.value.of_instance) for c in timing.conditions}
    added = {name for each in bindings.values.values() for name in each.fields}
    for section in ("params", "constants", "values"):
        for name in getattr(bindings, section):
            of_instance = section == "values"
            if (name, of_instance) not in compared and (of_instance or name not in added):
                yield f"{name} is not used", name, section
