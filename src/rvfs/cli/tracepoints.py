"""Which tracepoints a tracefs, a recording or rvfs itself has, for ``rvfs model bind``."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from rvfs.errors import InvalidInput
from rvfs.monitors.files import known_tracepoints
from rvfs.monitors.skeleton import Machine
from rvfs.source.format_file import parse_format
from rvfs.source.replay import Replay
from rvfs.tracepoint import Tracepoint, Vocabulary

TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
#: A system of the tracer itself: its formats are no tracepoints.
_INTERNAL = "ftrace"
_BATCH = 1 << 16


def of_this_machine() -> Machine:
    """Those of its tracefs; where that cannot be read, those that rvfs knows."""
    for folder in TRACEFS:
        try:
            return of_tracefs(folder)
        except InvalidInput:
            continue
    known = {tracepoint.full_name: tracepoint for _, tracepoint in known_tracepoints()}
    return Machine("rvfs (no tracefs can be read here)", tuple(known), known.__getitem__)


def of_tracefs(folder: Path) -> Machine:
    """Those of a tracefs, or of an rvfs mount. Raises :class:`InvalidInput`."""
    try:
        systems = [entry for entry in (folder / "events").iterdir() if entry.is_dir()]
        found = [
            f"{system.name}:{event.parent.name}"
            for system in systems if system.name != _INTERNAL
            for event in system.glob("*/format")
        ]  # fmt: skip
    except OSError as error:
        raise InvalidInput(f"{folder}/events: {error.strerror}") from None
    if not found:
        raise InvalidInput(f"{folder}/events: no event can be read there")
    return Machine(str(folder), tuple(sorted(found)), _format_of(folder))


def _format_of(folder: Path) -> Callable[[str], Tracepoint]:
    def read(name: str) -> Tracepoint:
        system, event = name.split(":")
        try:
            text = (folder / "events" / system / event / "format").read_text()
        except OSError as error:
            raise InvalidInput(f"{folder}: the format of {name}: {error.strerror}") from None
        return parse_format(text, system).tracepoint

    return read


def of_recording(path: str) -> Machine:
    """Those that the recording has events of. Raises :class:`rvfs.errors.TraceError`."""
    vocabulary = Vocabulary()
    for _, tracepoint in known_tracepoints():
        vocabulary.add(tracepoint)
    replay = Replay(path, vocabulary)
    replay.subscribe({number: frozenset() for number, _ in vocabulary})
    seen: set[int] = set()
    while (batch := replay.read(_BATCH)) is not None:
        seen.update(np.unique(batch.tp).tolist())
    replay.close()
    found = {vocabulary[number].full_name: vocabulary[number] for number in sorted(seen)}
    return Machine(path, tuple(found), found.__getitem__)
