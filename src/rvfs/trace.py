"""The trace: a ring of text lines, as ftrace prints them, of the events that are switched on.

``trace`` shows the ring, ``trace_pipe`` consumes it, ``events/SYSTEM/EVENT/enable`` says
what goes in. Nobody listening costs nothing: an event that is not switched on is never
formatted. When the ring is full the oldest line goes; the header counts it, and so does a
``LOST`` line for the reader of ``trace_pipe`` that misses it.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rvfs.event import IDLE_PID, Batch, Transition, Verdict
from rvfs.model.rule import Rule
from rvfs.monitor import Monitor, Scope
from rvfs.news import News
from rvfs.tracepoint import Tracepoint, Vocabulary

#: Lines that the ring holds.
CAPACITY = 16384
#: The ring does not know these; ftrace prints dots for what is not so.
_FLAGS = "....."

_HEADER = """\
# tracer: nop
#
# entries-in-buffer/entries-written: {held}/{written}   #P:{cpus}
#
#                                _-----=> irqs-off/BH-disabled
#                               / _----=> need-resched
#                              | / _---=> hardirq/softirq
#                              || / _--=> preempt-depth
#                              ||| / _-=> migrate-disable
#                              |||| /     delay
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
"""


class _Line(NamedTuple):
    cpu: int
    text: bytes


_TEXT = "__data_loc char[] "
#: What rv_trace.h declares: the fields and the text of each event of a monitor. An instance
#: that is a task or an object has its ``id`` before.
_STATE = [_TEXT + "state", _TEXT + "event"]
_STEP = ([*_STATE, _TEXT + "next_state", "bool final_state"],
         "{state} x {event} -> {next_state}{final_state:final}")  # fmt: skip
_ERROR = (_STATE, "event {event} not expected in the state {state}")
_ENV_ERROR = ([*_STATE, _TEXT + "env"], _ERROR[1] + " with env {env}")
_TASK = [_TEXT + "comm", "pid_t pid"]
_RULE_STEP = ([*_TASK, _TEXT + "states", _TEXT + "atoms", _TEXT + "next"],
              "{comm}[{pid}]: ({states}) x ({atoms}) -> ({next})")  # fmt: skip
_RULE_ERROR = (_TASK, "{comm}[{pid}]: violation detected")


def event_tracepoints(monitor: Monitor) -> tuple[Tracepoint, ...]:
    """``rv:event_NAME``, ``rv:error_NAME`` and, of a hybrid automaton, ``rv:error_env_NAME``
    (kernel/trace/rv/rv_trace.h); none for a container."""
    if monitor.model is None:
        return ()
    if isinstance(monitor.model, Rule):
        return _declare(monitor, [], "", {"event": _RULE_STEP, "error": _RULE_ERROR})
    kinds = {"event": _STEP, "error": _ERROR}
    if monitor.model.timing is not None:
        kinds["error_env"] = _ENV_ERROR
    keyed = monitor.scope in (Scope.TASK, Scope.OBJECT)
    return _declare(monitor, *((["int id"], "{id}: ") if keyed else ([], "")), kinds)


def _declare(
    monitor: Monitor, key: list[str], prefix: str, kinds: Mapping[str, tuple[list[str], str]]
) -> tuple[Tracepoint, ...]:
    return tuple(
        Tracepoint.declare("rv", f"{kind}_{monitor.name}", key + fields, prefix + text)
        for kind, (fields, text) in kinds.items()
    )


class Trace:
    """The ring, and the numbers of the tracepoints that are switched on.

    ``version`` changes whenever that set does; ``news`` are of the ring.
    """

    def __init__(self, vocabulary: Vocabulary, *, cpus: int = 1, capacity: int = CAPACITY) -> None:
        self._vocabulary, self._cpus, self._capacity = vocabulary, cpus, capacity
        self._lines: deque[_Line] = deque()
        self._bytes = 0
        self._written = 0
        self._missed: Counter[int] = Counter()
        self._callbacks: list[Callable[[], None]] = []
        self.news = News()
        self.enabled: set[int] = set()
        self.version = 0

    def enable(self, number: int, on: bool) -> None:
        """Switch a tracepoint on or off, by its number."""
        (self.enabled.add if on else self.enabled.discard)(number)
        self.version += 1

    def is_enabled(self, full_name: str) -> bool:
        """Whether ``system:name`` is switched on; False for one that does not exist."""
        return full_name in self._vocabulary and self._vocabulary.number(full_name) in self.enabled

    def wanted(self) -> dict[int, frozenset[str]]:
        """What a source must deliver for the tracepoints that are switched on: every field."""
        return {
            tp: frozenset(self._vocabulary[tp].by_name)
            for tp in self.enabled
            if self._vocabulary[tp].system != "rv"
        }

    # -- writing ---------------------------------------------------------------------------

    def record(
        self, batch: Batch, steps: Iterable[Transition], verdicts: Sequence[Verdict]
    ) -> None:
        """Add the events of a batch that are switched on, and what the monitors made of them."""
        for cpu, count in batch.lost.items():
            self._missed[cpu] += count
        if not self.enabled:
            return
        lines = [
            *self._timer_lines(batch, verdicts), *self._source_lines(batch),
            *self._step_lines(steps), *self._error_lines(batch, verdicts),
        ]  # fmt: skip
        lines.sort(key=lambda line: line[0])
        self._append(line for _, line in lines)

    def _source_lines(self, batch: Batch) -> Iterator[tuple[int, _Line]]:
        shown = [batch.rows(tp) for tp in self.enabled if len(batch.rows(tp))]
        positions = np.sort(np.concatenate(shown)) if shown else np.empty(0, dtype=np.intp)
        passed = positions[: -self._capacity]  # they would leave the ring before anybody could read
        for cpu, count in Counter(batch.cpu[passed].tolist()).items():
            self._miss(cpu, count)
        for position in positions[-self._capacity :].tolist():
            tracepoint = self._vocabulary[int(batch.tp[position])]
            cpu, pid = int(batch.cpu[position]), int(batch.pid[position])
            yield position, self._line(
                tracepoint, int(batch.time[position]), cpu, pid, batch.comm(pid, cpu),
                batch.values(position),
            )  # fmt: skip

    def _step_lines(self, steps: Iterable[Transition]) -> Iterator[tuple[int, _Line]]:
        for step in steps:
            pid = step.pid if step.key is None else step.key
            yield step.position, self._rv_line(f"event_{step.monitor}", step, {
                "id": step.key, "state": step.state, "event": step.event,
                "next_state": step.next_state, "final_state": step.final,
                "comm": step.comm, "pid": pid, "states": step.state, "atoms": step.event,
                "next": step.next_state,
            })  # fmt: skip

    def _timer_lines(
        self, batch: Batch, verdicts: Sequence[Verdict]
    ) -> Iterator[tuple[int, _Line]]:
        """What time alone forbade stands before the event behind it."""
        yield from self._verdict_lines(v for v in verdicts if _is_before(v, batch))

    def _error_lines(
        self, batch: Batch, verdicts: Sequence[Verdict]
    ) -> Iterator[tuple[int, _Line]]:
        yield from self._verdict_lines(v for v in verdicts if not _is_before(v, batch))

    def _verdict_lines(self, verdicts: Iterable[Verdict]) -> Iterator[tuple[int, _Line]]:
        for verdict in verdicts:
            kind = "error" if verdict.env is None else "error_env"
            name = f"{kind}_{verdict.monitor}"
            if self.is_enabled(f"rv:{name}"):
                yield verdict.position, self._rv_line(name, verdict, {
                    "id": verdict.key, "state": verdict.state, "event": verdict.event,
                    "env": verdict.env, "comm": verdict.comm,
                    "pid": verdict.pid if verdict.key is None else verdict.key,
                })  # fmt: skip

    def _rv_line(self, name: str, at: Transition | Verdict, values: Mapping[str, object]) -> _Line:
        tracepoint = self._vocabulary[self._vocabulary.number(f"rv:{name}")]
        return self._line(tracepoint, at.time, at.cpu, at.pid, at.current, values)

    def _line(
        self, tracepoint: Tracepoint, time: int, cpu: int, pid: int, comm: str,
        values: Mapping[str, object],
    ) -> _Line:  # fmt: skip
        seconds, micros = divmod((time + 500) // 1000, 1_000_000)
        name = "<idle>" if pid == IDLE_PID else comm
        return _Line(
            cpu,
            f"{name:>16}-{pid:<7d} [{cpu:03d}] {_FLAGS} {seconds:5d}.{micros:06d}: "
            f"{tracepoint.name}: {tracepoint.text(values)}\n".encode(),
        )

    def _append(self, lines: Iterable[_Line]) -> None:
        before = self._written
        for line in lines:
            self._lines.append(line)
            self._bytes += len(line.text)
            self._written += 1
            while len(self._lines) > self._capacity:
                oldest = self._lines.popleft()
                self._bytes -= len(oldest.text)
                self._missed[oldest.cpu] += 1
        if self._written > before:
            self.news.tell()
            for callback in tuple(self._callbacks):
                callback()

    def _miss(self, cpu: int, count: int) -> None:
        self._written += count
        self._missed[cpu] += count
        self.news.tell()

    # -- reading ---------------------------------------------------------------------------

    @property
    def _header(self) -> bytes:
        return _HEADER.format(
            held=len(self._lines), written=self._written, cpus=self._cpus
        ).encode()

    @property
    def size(self) -> int:
        """The exact length of :meth:`text`, without making it."""
        return len(self._header) + self._bytes

    def text(self) -> bytes:
        """The whole ring below its header, oldest line first."""
        return self._header + b"".join(line.text for line in self._lines)

    def clear(self) -> None:
        """Empty the ring and its counts."""
        self._lines.clear()
        self._missed.clear()
        self._bytes = self._written = 0
        self.news.tell()

    def __len__(self) -> int:
        return len(self._lines)

    def take(self, size: int) -> bytes:
        """Whole lines, oldest first, out of the ring: at most ``size`` bytes, but at least one
        line. What was lost before them is said first. Empty when there is nothing."""
        if not self._lines:
            return b""
        taken = [
            f"CPU:{cpu} [LOST {count} EVENTS]\n".encode()
            for cpu, count in sorted(self._missed.items())
        ]
        self._missed.clear()
        room = size - sum(map(len, taken))
        while self._lines and (not taken or len(self._lines[0].text) <= room):
            line = self._lines.popleft().text
            self._bytes -= len(line)
            room -= len(line)
            taken.append(line)
        self.news.tell()
        return b"".join(taken)

    def put_back(self, data: bytes) -> None:
        """Whole lines that were taken and not delivered, to the front again."""
        lines = [_Line(0, line) for line in data.splitlines(keepends=True)]
        self._lines.extendleft(reversed(lines))
        self._bytes += len(data)
        self.news.tell()

    def when_ready(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back each time lines were added; returns what ends that."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)


def _is_before(verdict: Verdict, batch: Batch) -> bool:
    """Whether time alone forbade it, before the event at its position came."""
    if verdict.env is None or verdict.event != "none":
        return False
    return verdict.position >= len(batch) or verdict.time < int(batch.time[verdict.position])
