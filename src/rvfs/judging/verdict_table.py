"""Violations as a Parquet table (``pip install 'rvfs[parquet]'``): one row each.

``file``; ``ts`` (ns), ``cpu``, ``pid`` and ``comm`` of the event, as in a table of events;
``monitor``; ``key`` and ``task``, the instance's task (``key`` is null for a monitor that has
no task) or object; ``state`` and ``event`` of the model; ``env``, null where no environment
had a part in it.
"""

from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rvfs.event import Verdict

WORD = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    {
        "file": WORD, "ts": pa.int64(), "cpu": pa.int32(), "pid": pa.int32(), "comm": WORD,
        "monitor": WORD, "key": pa.int64(), "task": WORD, "state": WORD, "event": WORD,
        "env": pa.string(),
    }
)  # fmt: skip


#: Rows that are written at once.
ROW_GROUP = 1 << 16

_values = attrgetter(
    "time", "cpu", "pid", "current", "monitor", "key", "comm", "state", "event", "env"
)


class VerdictTable:
    """The table at ``path``, whole when the block ends."""

    def __init__(self, path: Path):
        self._file = pq.ParquetWriter(path, SCHEMA, compression="lz4")
        self._rows: list[tuple[object, ...]] = []

    def __enter__(self) -> "VerdictTable":
        return self

    def __exit__(self, *error: object) -> None:
        self._flush()
        self._file.close()

    def write(self, file: str, verdicts: Iterable[Verdict]) -> str:
        """Append violations of a recording; nothing of them is to be shown."""
        self._rows += [(file, *_values(verdict)) for verdict in verdicts]
        if len(self._rows) >= ROW_GROUP:
            self._flush()
        return ""

    def _flush(self) -> None:
        columns = [
            pa.array([row[place] for row in self._rows], kind)
            for place, kind in enumerate(SCHEMA.types)
        ]
        self._file.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))
        self._rows.clear()
