"""What came of one unit, as a file of JSON lines: an array per violation, and how it ended.

The first line names the columns of the arrays; the last one is the only object. The file is
there when it is whole: it is written as ``.part`` and renamed. It is kept (``.jsonl``) when
the recording was judged to its end; a fault may be gone the next time (``.failed``).
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

from rvfs.event import Verdict
from rvfs.judging.report import Found, Judged, Report, Step
from rvfs.judging.unit import Unit

COLUMNS = tuple(Verdict.__slots__)
#: Violations that are read at once.
CHUNK = 1 << 10

_values = attrgetter(*COLUMNS)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a unit, in a folder, once it is there."""

    folder: Path
    key: str

    @classmethod
    def of(cls, unit: Unit, folder: Path) -> "Result":
        return cls(folder, unit.key())

    @property
    def is_begun(self) -> bool:
        return self._part.exists()

    @property
    def is_done(self) -> bool:
        return self.is_kept or self._failed.exists()

    @property
    def is_kept(self) -> bool:
        """Done, and what another run need not do again."""
        return _is_whole(self._kept)

    def forget_failure(self) -> None:
        self._failed.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)

    def save(self, steps: Iterable[Step]) -> None:
        """Write what a unit yields. Raises :class:`OSError`; the result is not done then."""
        whole = False
        with self._part.open("w") as file:
            file.write(json.dumps(COLUMNS) + "\n")
            for step in steps:
                file.writelines(_lines(step))
                whole = isinstance(step, Judged) and step.report is not None
        self._part.rename(self._kept if whole else self._failed)

    def pack(self) -> tuple[bool, bytes]:
        """Whether it is one to keep, and what the file holds; for :meth:`unpack` elsewhere."""
        return self.is_kept, (self._kept if self.is_kept else self._failed).read_bytes()

    def unpack(self, kept: bool, data: bytes) -> None:
        """Have the result that was made elsewhere."""
        self._part.write_bytes(data)
        self._part.rename(self._kept if kept else self._failed)

    def load(self) -> Iterator[Step]:
        """What :meth:`save` was given, violations in lots of another size."""
        with (self._kept if self.is_kept else self._failed).open() as file:
            next(file)
            while lines := list(islice(file, CHUNK)):
                end = lines.pop() if lines[-1].startswith("{") else None
                yield Found([Verdict(*json.loads(line)) for line in lines], done=1)
                if end:
                    yield _judged(json.loads(end))

    @property
    def _part(self) -> Path:
        return self.folder / f"{self.key}.part"

    @property
    def _kept(self) -> Path:
        return self.folder / f"{self.key}.jsonl"

    @property
    def _failed(self) -> Path:
        return self.folder / f"{self.key}.failed"


def _is_whole(path: Path) -> bool:
    """Whether a file is there, with its last line: a machine that crashes may lose that."""
    try:
        with path.open("rb") as file:
            file.seek(-2, os.SEEK_END)
            return file.read() == b"}\n"
    except OSError:
        return False


def _lines(step: Step) -> Iterator[str]:
    if isinstance(step, Judged):
        report = step.report and {**vars(step.report), "uncounted": sorted(step.report.uncounted)}
        yield json.dumps({"report": report, "error": step.error}) + "\n"
    else:
        yield from (json.dumps(_values(verdict)) + "\n" for verdict in step.verdicts)


def _judged(end: dict[str, Any]) -> Judged:
    if end["report"] is None:
        return Judged(None, end["error"])
    told = end["report"]
    lost = Counter({int(cpu): count for cpu, count in told["lost"].items()})
    counted = {name: Counter(told[name]) for name in ("events", "violations")}
    uncounted = frozenset(told["uncounted"])
    return Judged(Report(**{**told, **counted, "lost": lost, "uncounted": uncounted}), end["error"])
