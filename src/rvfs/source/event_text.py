"""Reads the fields of an event back from its text.

The same event is written in three forms; the first that fits a line is taken:

1. the kernel's, by the tracepoint's own print template (newer kernels may add fields
   at the end);
2. that of trace-cmd's plug-ins, the templates in :data:`PLUGIN_TEMPLATES`;
3. ``field=value`` by the fields' own names, in any order (``trace-cmd report -R``).

trace-cmd's own ``sched_switch`` loses something: it writes a task that was preempted as
``R``, and older releases have letters of their own: the idle state ``I`` is ``W``, and the
two states of a dead task, ``X`` and ``Z``, are exchanged.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rvfs.codec import CODECS, Codec
from rvfs.errors import InvalidInput
from rvfs.event import Column
from rvfs.tracepoint import Field, Tracepoint

PLUGIN_TEMPLATES: Mapping[str, str] = {
    "sched:sched_switch": (
        "{prev_comm}:{prev_pid} [{prev_prio}] {prev_state:task_state} ==> "
        "{next_comm}:{next_pid} [{next_prio}]"
    ),
    "sched:sched_wakeup": "{comm}:{pid} [{prio}] CPU:{target_cpu:03d}",
    "sched:sched_wakeup_new": "{comm}:{pid} [{prio}] CPU:{target_cpu:03d}",
    "sched:sched_waking": "{comm}:{pid} [{prio}] CPU:{target_cpu:03d}",
}

#: Task states as the older plug-in spells those that the kernel spells otherwise.
_OLD_STATES = str.maketrans({"x": "P", "W": "I"})

#: Newer kernels add fields at the end of a text.
_END = r"(?:,? [a-z_]\w*=.*)?\s{0,3}"
_NUMBER = r"-?0x[0-9a-fA-F]+|-?\d+"
#: Where a text ends that stands without quotes before the next field.
_TEXT = r".*?(?= ==> | [a-z_]\w*=|\s{0,3}$)"
#: Values that are read once: pids, priorities and states come again and again.
_CACHED = 1 << 16

_Read = Callable[[bytes], object]


class Unreadable(Exception):
    """The text at ``position`` is not that event, or lacks a wanted field."""

    def __init__(self, position: int):
        self.position = position


@dataclass(frozen=True, slots=True)
class _Form:
    """One way to write an event: a pattern with a group per field, in this order."""

    pattern: re.Pattern[bytes]
    read: Mapping[str, _Read]

    def columns(self, matches: Sequence[re.Match[bytes]]) -> dict[str, list[object]]:
        groups = zip(*(match.groups() for match in matches), strict=True)
        return {
            name: list(map(read, texts))
            for (name, read), texts in zip(self.read.items(), groups, strict=True)
        }


class BodyReader:
    """Reads the wanted fields of one tracepoint from the texts of its events."""

    def __init__(self, tracepoint: Tracepoint, wanted: Iterable[str]):
        wanted = frozenset(wanted)
        self._fields = [field for field in tracepoint.by_name.values() if field.name in wanted]
        names = [field.name for field in self._fields]
        self._forms = list(_forms(tracepoint, names)) if names else []

    def columns(self, texts: Sequence[bytes]) -> dict[str, Column]:
        """The fields, one value per text. Raises :class:`Unreadable`."""
        if not texts:
            return {field.name: _column(field, []) for field in self._fields}
        for form in self._forms:
            if form.pattern.fullmatch(texts[0]) is None:
                continue
            matches = [match for match in map(form.pattern.fullmatch, texts) if match]
            if len(matches) == len(texts):
                try:
                    return self._arrays(form.columns(matches))
                except (InvalidInput, ValueError, OverflowError):
                    break
        return self._one_by_one(texts) if self._fields else {}

    def _one_by_one(self, texts: Sequence[bytes]) -> dict[str, Column]:
        """Where the texts are not all of one form, or one of them is damaged."""
        rows = [self._row(position, text) for position, text in enumerate(texts)]
        return self._arrays({f.name: [row[f.name] for row in rows] for f in self._fields})

    def _row(self, position: int, text: bytes) -> dict[str, object]:
        for form in self._forms:
            match = form.pattern.fullmatch(text)
            if match is not None:
                try:
                    values = {name: column[0] for name, column in form.columns([match]).items()}
                    self._arrays({name: [value] for name, value in values.items()})
                except (InvalidInput, ValueError, OverflowError):
                    continue
                return values
        raise Unreadable(position)

    def _arrays(self, values: Mapping[str, list[object]]) -> dict[str, Column]:
        return {field.name: _column(field, values[field.name]) for field in self._fields}


def _column(field: Field, values: list[object]) -> Column:
    if field.is_string:
        return np.array(values, dtype=object if field.dynamic else np.bytes_)
    wide = field.size == 8 and not field.signed
    return np.array(values, dtype=np.uint64 if wide else np.int64)


def _forms(tracepoint: Tracepoint, names: Sequence[str]) -> Iterator[_Form]:
    plugin = PLUGIN_TEMPLATES.get(tracepoint.full_name)
    candidates = [tracepoint]
    if plugin is not None:
        candidates.append(Tracepoint(tracepoint.system, tracepoint.name, tracepoint.fields, plugin))
    for candidate in candidates:
        slots = {name for name, _ in candidate.slots}
        if set(names) <= slots:
            yield _by_template(candidate, frozenset(names))
    yield _by_name(tracepoint, names)


def _by_template(tracepoint: Tracepoint, wanted: frozenset[str]) -> _Form:
    pattern, read = re.escape(tracepoint.literals[0]), {}
    for (name, codec), literal in zip(tracepoint.slots, tracepoint.literals[1:], strict=True):
        if name in wanted and name not in read:
            pattern += f"({codec.pattern})"
            read[name] = _reader(codec)
        else:
            pattern += f"(?:{codec.pattern})"
        pattern += re.escape(literal)
    return _Form(re.compile((pattern + _END).encode()), read)


def _by_name(tracepoint: Tracepoint, names: Sequence[str]) -> _Form:
    """Every ``name=value`` is looked for from the start of the text, so order is free."""
    codecs = dict(tracepoint.slots)
    pattern, read = "", {}
    for name in names:
        field, codec = tracepoint.by_name[name], codecs.get(name, CODECS["d"])
        value = _TEXT if field.is_string else f"{_NUMBER}|{codec.pattern}"
        ends = "" if field.is_string else r"(?![\w.])"
        pattern += rf"(?=(?:.*?[ ,(])?{re.escape(name)}=({value}){ends})"
        read[name] = bytes if field.is_string else _number_reader(codec)
    return _Form(re.compile((pattern + ".*").encode()), read)


def _reader(codec: Codec) -> _Read:
    """What the codec reads, from bytes."""
    if codec.from_text is int:
        return int
    if codec.from_text is str.encode:
        return bytes
    from_text = codec.from_text
    translate = _OLD_STATES if codec is CODECS["task_state"] else {}
    return lru_cache(_CACHED)(lambda text: from_text(text.decode().translate(translate)))


def _number_reader(codec: Codec) -> _Read:
    """A plain number, decimal or hexadecimal, before what the codec reads."""
    by_codec = _reader(codec)

    def read(text: bytes) -> object:
        try:
            return int(text, 16 if b"x" in text[:3] else 10)
        except ValueError:
            return by_codec(text)

    return lru_cache(_CACHED)(read)
