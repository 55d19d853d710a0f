"""Events as a Parquet table: one row per event, in time order, one column per field.

========================= ============== ========================================================
``ts``                    int64          ns of the recording's clock, never going back
``cpu``, ``pid``          int64          where it happened, and the task that was current there
``comm``                  string, null   the name of that task; may be missing
``event``                 string         ``system:name`` (``name`` will do to read)
FIELD                     int64, uint64, a field of the event, in any event that has one of this
                          string         name; what it holds in the row of another means nothing
EVENT.FIELD               likewise       a field of this event (its bare name) alone: where the
                                         name is one of the above, or has two types
========================= ============== ========================================================

Where events were lost there is a row of the event :data:`LOST`: on ``cpu``, before the next
row; ``lost.events`` says how many, 0 where nobody counted. The metadata ``rvfs.tracepoints``
of the table declares its events (JSON: their C declarations and print templates), so that
those which rvfs does not know by itself can be judged as well; ``rvfs.notes`` is a list of
sentences on what could not be delivered.
"""

import json
from collections.abc import Iterable, Mapping

import pyarrow as pa

from rvfs.tracepoint import COMMON_FIELDS, Field, Tracepoint

HEAD = ("ts", "cpu", "pid", "comm", "event")
LOST, LOST_EVENTS = "rvfs:lost", "lost.events"
DECLARATIONS, NOTES = b"rvfs.tracepoints", b"rvfs.notes"

TEXT = pa.dictionary(pa.int32(), pa.string())
HEAD_TYPES = (pa.int64(), pa.int64(), pa.int64(), TEXT, TEXT)
#: What every event may have beside its own fields.
COMMON = ("common_flags", "common_preempt_count")

#: (tracepoint's full name, field) → column.
Places = Mapping[tuple[str, str], str]


def type_of(field: Field) -> pa.DataType:
    if field.is_string:
        return TEXT
    return pa.uint64() if field.size == 8 and not field.signed else pa.int64()


def columns_of(tracepoint: Tracepoint) -> dict[str, Field]:
    """Its own fields, and those of every event."""
    return {**tracepoint.by_name, **{name: COMMON_FIELDS[name] for name in COMMON}}


def lay_out(tracepoints: Iterable[Tracepoint]) -> tuple[pa.Schema, Places]:
    """The table for these events, and where each field goes."""
    types: dict[str, pa.DataType] = dict(zip(HEAD, HEAD_TYPES, strict=True))
    places: dict[tuple[str, str], str] = {}
    tracepoints = list(tracepoints)
    for tracepoint in tracepoints:
        for name, field in columns_of(tracepoint).items():
            kind = type_of(field)
            shared = name not in HEAD and types.get(name, kind) == kind
            column = name if shared else own_column(tracepoint, name)
            types[column] = kind
            places[tracepoint.full_name, name] = column
    types[LOST_EVENTS] = pa.int64()
    told = {DECLARATIONS: json.dumps({t.full_name: _declared(t) for t in tracepoints})}
    fields = [pa.field(name, kind, nullable=name == "comm") for name, kind in types.items()]
    return pa.schema(fields, told), places


def own_column(tracepoint: Tracepoint, field: str) -> str:
    return f"{tracepoint.name}.{field}"


def _declared(tracepoint: Tracepoint) -> dict[str, object]:
    return {
        "fields": [field.declaration for field in tracepoint.fields],
        "template": tracepoint.template,
    }


def declared(metadata: Mapping[bytes, bytes] | None) -> list[Tracepoint]:
    """The events that a table declares. Raises :class:`ValueError` or an rvfs error."""
    told = json.loads((metadata or {}).get(DECLARATIONS, b"{}"))
    return [_declare(name, **entry) for name, entry in told.items()]


def _declare(name: str, *, fields: list[str], template: str) -> Tracepoint:
    system, _, bare = name.partition(":")
    return Tracepoint.declare(system, bare, fields, template)
