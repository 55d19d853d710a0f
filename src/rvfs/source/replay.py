"""Replay of recordings: ftrace text and ``trace.dat``, as fast as it goes or in recorded time."""

import os
import stat
import time
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Set

from rvfs.errors import InvalidInput, TraceError
from rvfs.event import Batch
from rvfs.extras import extra
from rvfs.source import Wanted
from rvfs.source.dat_reader import DatReader
from rvfs.source.file_bytes import FileBytes
from rvfs.source.ftrace_text import TextReader
from rvfs.source.reader import Reader
from rvfs.source.recording import MAGIC
from rvfs.source.ring_buffer import Span
from rvfs.source.trace_dat import read_recording
from rvfs.tracepoint import Vocabulary

PARQUET = b"PAR1"
#: What people hand over by mistake, by its first bytes.
OTHER_KINDS: Mapping[bytes, str] = {
    b"\xfd7zXZ\0": "compressed with xz: unpack it first (xz -dk)",
    b"\x1f\x8b": "compressed with gzip: unpack it first (gzip -dk)",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: unpack it first (zstd -dk)",
    b"BZh": "compressed with bzip2: unpack it first (bzip2 -dk)",
    b"PERFILE2": "a perf.data file, not a trace.dat",
    b"\x7fELF": "a program, not a recording",
}


def open_file(path: str) -> FileBytes:
    """The bytes of a regular file. Raises :class:`TraceError` for what is none, or is empty."""
    try:
        buffer = FileBytes(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), path)
        if not stat.S_ISREG(buffer.mode):
            raise TraceError("not a regular file", file=path)
    except (OSError, ValueError) as error:
        raise TraceError(getattr(error, "strerror", None) or str(error), file=path) from None
    if not len(buffer):
        raise TraceError("the file is empty", file=path, offset=0)
    return buffer


def open_reader(path: str, vocabulary: Vocabulary) -> Reader:
    """The reader for the recording at ``path``, told by its first bytes.

    A ``trace.dat`` puts its own formats into the vocabulary. Raises :class:`TraceError`.
    """
    buffer = open_file(path)
    head = buffer[: len(MAGIC)]
    for magic, kind in OTHER_KINDS.items():
        if head.startswith(magic):
            raise TraceError(kind, file=path, offset=0)
    if head.startswith(PARQUET):
        return _open_parquet(path, buffer, vocabulary)
    if head[:3] == MAGIC[:3]:
        try:
            recording = read_recording(buffer, path)
        except OSError as error:  # no room for the decompressed pages
            raise TraceError(f"cannot unpack: {error.strerror}", file=path) from None
        if recording.text is None:
            return DatReader(recording, path, vocabulary)
        return TextReader(recording.buffer, recording.text, path, vocabulary, recording.comms)
    start = len(BOM_UTF8) if head.startswith(BOM_UTF8) else 0
    return TextReader(buffer, Span(0, start, len(buffer) - start, start), path, vocabulary, {})


def _open_parquet(path: str, buffer: FileBytes, vocabulary: Vocabulary) -> Reader:
    buffer.close()
    with extra("parquet", f"reading {path}"):
        from rvfs.source.parquet import ParquetReader
    return ParquetReader(path, vocabulary)


class Replay:
    """A :class:`rvfs.source.Source` over the recording at ``path``.

    Without ``speed`` events come as fast as they are read; with it, an event comes when as
    much time has passed on ``clock`` (seconds) as in the recording, divided by ``speed``,
    counted from the first read. Raises :class:`InvalidInput` for a speed that is none.
    """

    def __init__(
        self, path: str, vocabulary: Vocabulary, *, speed: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):  # fmt: skip
        if speed is not None and not speed > 0:
            raise InvalidInput(f"the speed of a replay must be more than 0, not {speed}")
        self.name = f"replay {path}"
        self._reader = open_reader(path, vocabulary)
        self.cpus = self._reader.cpus
        self._speed, self._clock = speed, clock
        self._began: tuple[float, int] | None = None

    @property
    def notes(self) -> list[str]:
        """What was left out or could not be judged; grows until the end."""
        return self._reader.notes

    @property
    def uncounted(self) -> Set[int]:
        """CPUs that lost events whose number nobody knows; a loss is told as 1 then."""
        return self._reader.uncounted

    @property
    def done(self) -> float:
        """How much of the recording was read, from 0 to 1."""
        return self._reader.done

    def subscribe(self, wanted: Wanted) -> None:
        self._reader.subscribe(wanted)

    def read(self, limit: int) -> Batch | None:
        return self._reader.read(limit, self._now() if self._speed else None)

    async def wait(self) -> None:
        import trio  # here, so that who only reads does not load it

        await trio.sleep(self.delay())

    def delay(self) -> float:
        """Seconds until a read may have events."""
        if not self._speed:
            return 0
        try:
            due = self._reader.due()
        except TraceError:
            return 0  # what is damaged says so when it is read
        return 0 if due is None else max((due - self._now()) / 1e9 / self._speed, 0)

    def _now(self) -> int:
        """The time of the recording, in ns, that the clock stands at."""
        assert self._speed
        if self._began is None:
            self._began = self._clock(), self._reader.due() or 0
        start, first = self._began
        return first + int((self._clock() - start) * self._speed * 1e9)

    def close(self) -> None:
        self._reader.close()
