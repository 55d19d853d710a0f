"""What came of one unit, as a file: violations batch by batch, and how it ended.

==========  ===========================================================================
first line  an object: the columns of the values, and the form that the lines have
a batch     ``[bytes of lines, bytes of values]``, and behind this line both: what the user
            is told, and an array per violation, as JSON
last line   an object: how it ended
==========  ===========================================================================

Whoever judges writes the lines, so that whoever makes one report of many results has only to
copy them. The file is there when it is whole: it is written as ``.part`` and renamed. It is
kept (``.found``) when the recording was judged to its end; a fault may be gone the next time
(``.failed``).
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from rvfs.event import Verdict
from rvfs.judging.report import Found, Judged, Report, Step
from rvfs.judging.unit import Unit

COLUMNS = tuple(Verdict.__slots__)

_values = attrgetter(*COLUMNS)


@dataclass(frozen=True, slots=True)
class Form:
    """What is written of violations: ``lines`` of this ``name``, ``values``, or both."""

    name: str = ""
    lines: Callable[[str, Sequence[Verdict]], str] | None = None
    values: bool = True

    def lot(self, file: str, verdicts: Sequence[Verdict]) -> Iterator[bytes]:
        lines = _encoded(self.lines(file, verdicts)) if self.lines else b""
        values = _encoded(json.dumps([*map(_values, verdicts)])) if self.values else b""
        yield b"[%d, %d]\n" % (len(lines), len(values))
        yield lines
        yield values


#: What is to be worked with, not told.
VALUES = Form()


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

    def save(self, file: str, steps: Iterable[Step], form: Form) -> None:
        """Write what the unit of a file yields. Raises :class:`OSError`; it is not done then."""
        whole = False
        with self._part.open("wb") as part:
            part.write(_line({"columns": COLUMNS, "form": form.name}))
            for step in steps:
                if isinstance(step, Judged):
                    part.write(_line(_plain(step)))
                    whole = step.report is not None
                else:
                    part.writelines(form.lot(file, step.verdicts))
        self._part.rename(self._kept if whole else self._failed)

    def pack(self) -> tuple[bool, bytes]:
        """Whether it is one to keep, and what the file holds; for :meth:`unpack` elsewhere."""
        return self.is_kept, (self._kept if self.is_kept else self._failed).read_bytes()

    def unpack(self, kept: bool, data: bytes) -> None:
        """Have the result that was made elsewhere."""
        self._part.write_bytes(data)
        self._part.rename(self._kept if kept else self._failed)

    def load(self, form: Form) -> Iterator[Step]:
        """What :meth:`save` was given; as it is told, if that is there in this form."""
        with (self._kept if self.is_kept else self._failed).open("rb") as file:
            as_lines = json.loads(next(file))["form"] == form.name != ""
            for line in file:
                if line.startswith(b"{"):
                    yield _judged(json.loads(line))
                    return
                lines, values = map(file.read, json.loads(line))
                yield _told(lines) if as_lines else _found(values)

    @property
    def _part(self) -> Path:
        return self.folder / f"{self.key}.part"

    @property
    def _kept(self) -> Path:
        return self.folder / f"{self.key}.found"

    @property
    def _failed(self) -> Path:
        return self.folder / f"{self.key}.failed"


def _is_whole(path: Path) -> bool:
    """Whether a file is there, with its last line: a machine that crashes may lose that."""
    try:
        with path.open("rb") as file:
            file.seek(-3, os.SEEK_END)
            return file.read() == b"}}\n"  # of a report, in an object
    except OSError:
        return False


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # names of files are any bytes


def _line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _told(lines: bytes) -> Found:
    return Found([], done=1, lines=lines.decode("utf-8", "surrogateescape"))


def _found(values: bytes) -> Found:
    return Found([Verdict(*row) for row in json.loads(values)], done=1)


def _plain(end: Judged) -> dict[str, object]:
    report = end.report and {**vars(end.report), "uncounted": sorted(end.report.uncounted)}
    return {"error": end.error, "report": report}


def _judged(end: dict[str, Any]) -> Judged:
    if end["report"] is None:
        return Judged(None, end["error"])
    told = end["report"]
    lost = Counter({int(cpu): count for cpu, count in told["lost"].items()})
    counted = {name: Counter(told[name]) for name in ("events", "violations")}
    uncounted = frozenset(told["uncounted"])
    return Judged(Report(**{**told, **counted, "lost": lost, "uncounted": uncounted}), end["error"])
