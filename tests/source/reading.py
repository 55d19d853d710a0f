"""The verbs of the replay tests: write a recording, read it back as plain events."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from rvfs.errors import TraceError
from rvfs.event import Batch
from rvfs.source.replay import Replay
from rvfs.tracepoint import Vocabulary, catalogue


class Seen(NamedTuple):
    """An event as it was delivered; texts are bytes."""

    event: str
    time: int
    cpu: int
    pid: int
    fields: Mapping[str, object]


def vocabulary() -> Vocabulary:
    known = Vocabulary()
    for tracepoint in catalogue():
        known.add(tracepoint)
    return known


def wanting(known: Vocabulary, *names: str) -> dict[int, frozenset[str]]:
    """All fields of these tracepoints."""
    numbers = [known.number(name) for name in names]
    return {number: frozenset(known[number].by_name) for number in numbers}


def batches(replay: Replay, limit: int = 1 << 14) -> list[Batch]:
    found = []
    while (batch := replay.read(limit)) is not None:
        found.append(batch)
    return found


def events(found: Iterable[Batch], known: Vocabulary) -> list[Seen]:
    return [
        Seen(
            known[int(batch.tp[at])].full_name, int(batch.time[at]), int(batch.cpu[at]),
            int(batch.pid[at]), {name: _plain(v) for name, v in batch.values(at).items()},
        )
        for batch in found
        for at in range(len(batch))
    ]  # fmt: skip


def _plain(value: object) -> object:
    return bytes(value) if isinstance(value, bytes) else int(value)  # type: ignore[call-overload]


def read_all(path: Path, *names: str, limit: int = 1 << 14) -> list[Seen]:
    """The events of these tracepoints, with all their fields."""
    known = vocabulary()
    replay = Replay(str(path), known)
    replay.subscribe(wanting(known, *names))
    return events(batches(replay, limit), known)


def until_damage(
    path: Path, *names: str, limit: int = 1 << 14
) -> tuple[list[Seen], TraceError | None]:
    """The events before the damage, and the error, if there is one."""
    known, found = vocabulary(), list[Batch]()
    try:
        replay = Replay(str(path), known)
        replay.subscribe(wanting(known, *names))
        while (batch := replay.read(limit)) is not None:
            found.append(batch)
    except TraceError as error:
        return events(found, known), error
    return events(found, known), None


def lost(found: Iterable[Batch]) -> list[tuple[int, dict[int, int]]]:
    """(events before, lost per CPU), for every gap."""
    gaps, before = [], 0
    for batch in found:
        if batch.lost:
            gaps.append((before, dict(batch.lost)))
        before += len(batch)
    return gaps
