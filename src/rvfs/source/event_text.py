"""Reads the fields of an event back from its text.

The same event is written in three forms; the first that fits a line is taken:

1. the kernel's, by the tracepoint's own print template (newer kernels may add fields
   at the end);
2. that of trace-cmd's plug-ins, the templates in :data:`PLUGIN_TEMPLATES`;
3. ``field=value`` by the fields' own names, in any order (``trace-cmd report -R``).

trace-cmd's own ``sched_switch`` loses something: it writes a task that was preempted as
``R``, and older releases have letters of their own: the idle state ``I`` is ``W``, and the
two states of a dead task, ``X`` and ``Z``, are exchanged.

The decoder reads what is written in the first two forms; their patterns have the last word, and
read what it left.
"""

import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from rvfs._decoder import Texts, lines
from rvfs.codec import CODECS, Codec
from rvfs.errors import InvalidInput
from rvfs.event import Column, Ints, Maker
from rvfs.source.text_forms import OLD_STATES, STATES, compile_forms, longest, words
from rvfs.source.text_lines import Block
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
_OLD_STATES = str.maketrans(dict(OLD_STATES))

#: Newer kernels add fields at the end of a text.
_END = r"(?:,? [a-z_]\w*=.*)?\s{0,3}"
_NUMBER = r"-?0x[0-9a-fA-F]+|-?\d+"
#: Where a text ends that stands without quotes before the next field.
_TEXT = r".*?(?= ==> | [a-z_]\w*=|\s{0,3}$)"
#: Values that are read once: pids, priorities and states come again and again.
_CACHED = 1 << 16

_Read = Callable[[bytes], object]
_Made = dict[str, Column]
_Later = dict[str, Maker]


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
        self._patterns = PatternReader(tracepoint, self._fields)
        forms = compile_forms(_templates(tracepoint, wanted), self._fields)
        self._texts = Texts(forms.first.data, forms.steps.data, forms.literals, STATES.data)
        self._words, self._depth = sum(map(words, self._fields)), forms.depth

    def columns(self, block: Block, events: Ints) -> tuple[_Made, _Later]:
        """The fields of these events, as :class:`rvfs.event.Columns` takes them: what is a text
        itself is made later. Raises :class:`Unreadable`."""
        made: _Made = {}
        later: _Later = {}
        if not self._fields:
            return made, later
        out = np.empty(self._words * len(events) + 2 * self._depth, dtype=np.uint64)
        misses = np.empty(len(events), dtype=np.int64)
        left = self._texts.read(block.lines, events.data, out.data, misses.data)
        late = self._late(block, events, misses[:left]) if left else None
        base = 0
        for field in self._fields:
            size = words(field) * len(events)
            found, base = out[base : base + size], base + size
            if field.is_string:
                later[field.name] = partial(_text, field, block, found.reshape(-1, 2), late)
            else:
                wide = field.size == 8 and not field.signed
                made[field.name] = _with(found if wide else found.view(np.int64), field, late)
        return made, later

    def _late(self, block: Block, events: Ints, misses: Ints) -> "_Late":
        """What the patterns have to read."""
        texts = [block.text(event, lines.TEXT) for event in events[misses].tolist()]
        try:
            return misses, self._patterns.columns(texts)
        except Unreadable as fault:
            raise Unreadable(int(misses[fault.position])) from None


#: The rows that the patterns have read, and their columns.
_Late = tuple[Ints, Mapping[str, Column]]


def _text(
    field: Field, block: Block, places: npt.NDArray[np.uint64], late: _Late | None, rows: slice
) -> Column:
    """These rows of the column of the texts between these places."""
    if late is not None:
        places[late[0]] = 0
        return _with(_between(field, block, places), field, late)[rows]
    return _between(field, block, np.ascontiguousarray(places[rows]))


def _between(field: Field, block: Block, places: npt.NDArray[np.uint64]) -> Column:
    if field.dynamic:
        found = np.empty(len(places), dtype=object)
        found[:] = [bytes(block.data[at:end]) for at, end in places.tolist()]
    else:
        copied = np.empty(len(places) * longest(field) // 8, dtype=np.uint64)
        block.lines.copy(places.reshape(-1).data, copied.data)
        found = (copied.byteswap() if sys.byteorder == "big" else copied).view(f"S{longest(field)}")
    return found


def _with(found: Column, field: Field, late: _Late | None) -> Column:
    """With the rows that the patterns have read."""
    if late is None:
        return found
    misses, read = late
    found = found.astype(np.promote_types(found.dtype, read[field.name].dtype), copy=False)
    found[misses] = read[field.name]
    return found


class PatternReader:
    """Reads the fields as the forms' patterns say."""

    def __init__(self, tracepoint: Tracepoint, fields: Sequence[Field]):
        self._fields = fields
        names = [field.name for field in fields]
        self._forms = list(_forms(tracepoint, names)) if names else []

    def columns(self, texts: Sequence[bytes]) -> dict[str, Column]:
        """The fields, one value per text. Raises :class:`Unreadable`."""
        rows, left = [dict[str, object]()] * len(texts), list(range(len(texts)))
        for form in self._forms:
            found = [(row, match) for row in left if (match := form.pattern.fullmatch(texts[row]))]
            if not found:
                continue
            try:
                columns = form.columns([match for _, match in found])
                self._arrays(columns)
            except (InvalidInput, ValueError, OverflowError):
                return self._one_by_one(texts)
            for (row, _), *values in zip(found, *columns.values(), strict=True):
                rows[row] = dict(zip(columns, values, strict=True))
            left = [row for row in left if not rows[row]]
        if left:
            raise Unreadable(left[0])
        return self._from_rows(rows)

    def _one_by_one(self, texts: Sequence[bytes]) -> dict[str, Column]:
        """Where a text that fits a form has a value that is none."""
        return self._from_rows([self._row(at, text) for at, text in enumerate(texts)])

    def _from_rows(self, rows: Sequence[Mapping[str, object]]) -> dict[str, Column]:
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


def _templates(tracepoint: Tracepoint, names: Collection[str]) -> Iterator[Tracepoint]:
    """Its own template and that of trace-cmd's plug-in, if they have all these fields."""
    plugin = PLUGIN_TEMPLATES.get(tracepoint.full_name)
    candidates = [tracepoint]
    if plugin is not None:
        candidates.append(Tracepoint(tracepoint.system, tracepoint.name, tracepoint.fields, plugin))
    own = set(names) & tracepoint.by_name.keys()
    yield from (each for each in candidates if own <= {name for name, _ in each.slots})


def _forms(tracepoint: Tracepoint, names: Sequence[str]) -> Iterator[_Form]:
    for template in _templates(tracepoint, names):
        yield _by_template(template, frozenset(names))
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
