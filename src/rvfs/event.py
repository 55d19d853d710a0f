"""The vocabulary of the data path: batches of events in, verdicts out.

The boundary to native code is a batch, never an event. A batch is columnar; a column of
a tracepoint's field holds one value per event *of that tracepoint*, in batch order, so
``batch.rows(tp)[i]`` is the position in the batch of ``batch.fields[tp][name][i]``.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
#: One value per event of a tracepoint: int64 or uint64 for numbers, ``S`` or object
#: (``bytes``) for strings.
Column = npt.NDArray[Any]

#: Idle tasks all have pid 0 but are one task per CPU.
IDLE_PID = 0


#: What makes these rows of a column.
Maker: TypeAlias = Callable[[slice], Column]
_ALL = slice(None)
#: Single values of a column that are read before all of it is made.
_FEW = 8


class Columns(Mapping[str, Column]):
    """The columns of one tracepoint, some of which are made ``later``: when first asked for.

    So what only few look at, such as the names of tasks, is not paid for by all.
    """

    def __init__(
        self, made: Mapping[str, Column], later: Mapping[str, Maker] | None = None
    ) -> None:
        self._made, self._later = dict(made), dict(later or {})
        self._asked = Counter[str]()

    def __getitem__(self, name: str) -> Column:
        if name not in self._made and name in self._later:
            self._made[name] = self._later[name](_ALL)  # where this raises it does so each time
            del self._later[name]
        return self._made[name]

    def value(self, name: str, row: int) -> Any:
        """One value, for which not all of a column is made if only few are asked for."""
        self._asked[name] += 1
        if name in self._made or self._asked[name] > _FEW:
            return self[name][row]
        return self._later[name](slice(row, row + 1))[0]

    def __contains__(self, name: object) -> bool:
        return name in self._made or name in self._later

    def __iter__(self) -> Iterator[str]:
        yield from (*self._made, *self._later)

    def __len__(self) -> int:
        return len(self._made) + len(self._later)

    def part(self, first: int, last: int) -> "Columns":
        """The rows ``first .. last - 1``."""
        made = {name: column[first:last] for name, column in self._made.items()}
        return Columns(made, {name: partial(self._cut, name, first, last) for name in self._later})

    def _cut(self, name: str, first: int, last: int, rows: slice) -> Column:
        if name in self._made or rows == _ALL:
            return self[name][first:last][rows]
        return self._later[name](slice(first + rows.start, first + rows.stop))


@dataclass(frozen=True)
class Batch:
    """Events in time order.

    ``tp``, ``time`` (ns), ``cpu`` and ``pid`` (the task that was current, ``common_pid``)
    have one entry per event, dtype int64. ``fields`` maps a tracepoint's number to the
    columns that were subscribed, ``comms`` a pid to the task's name, where the source knows it.
    ``lost`` counts the events per CPU that the source dropped since the last batch. ``now``
    (ns) is how far the source's clock has come where that is later than the last event: no
    event before it will follow. ``places`` are the :meth:`rows` that the source knows already.

    What every event has can be subscribed like a field: ``common_flags`` and
    ``common_preempt_count`` (as in the head of a trace record), while ``common_cpu`` and
    ``common_pid`` are ``cpu`` and ``pid``.
    """

    tp: Ints
    time: Ints
    cpu: Ints
    pid: Ints
    fields: Mapping[int, Mapping[str, Column]] = field(default_factory=dict)
    comms: Mapping[int, str] = field(default_factory=dict)
    lost: Mapping[int, int] = field(default_factory=dict)
    now: int | None = None
    places: Mapping[int, npt.NDArray[np.intp]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tp)

    def rows(self, tp: int) -> npt.NDArray[np.intp]:
        """Positions of the events of one tracepoint, ascending."""
        found = self._rows.get(tp)
        if found is None:
            found = self._rows[tp] = np.flatnonzero(self.tp == tp)
        return found

    @cached_property
    def _rows(self) -> dict[int, npt.NDArray[np.intp]]:
        return dict(self.places)

    def comm(self, pid: int, cpu: int) -> str:
        """The name of a task, ``swapper/CPU`` for an idle one, ``<...>`` if not known."""
        if pid == IDLE_PID:
            return f"swapper/{cpu}"
        return self.comms.get(pid, "<...>")

    def value(self, tp: int, name: str, position: int) -> Any:
        """A subscribed field of one event, which is of tracepoint ``tp``."""
        columns, row = self.fields[tp], int(np.searchsorted(self.rows(tp), position))
        return columns.value(name, row) if isinstance(columns, Columns) else columns[name][row]

    def values(self, position: int) -> dict[str, object]:
        """The subscribed fields of one event."""
        tp = int(self.tp[position])
        row = int(np.searchsorted(self.rows(tp), position))
        return {name: column[row] for name, column in self.fields.get(tp, {}).items()}

    def __getitem__(self, part: slice) -> "Batch":
        """The events of a slice (step 1) as a batch of their own; ``lost`` goes with the first."""
        start, stop, _ = part.indices(len(self))
        fields = {}
        for tp, columns in self.fields.items():
            first, last = np.searchsorted(self.rows(tp), (start, stop))
            mine = columns if isinstance(columns, Columns) else Columns(columns)
            fields[tp] = mine.part(int(first), int(last))
        return Batch(
            self.tp[start:stop], self.time[start:stop], self.cpu[start:stop], self.pid[start:stop],
            fields, self.comms, self.lost if start == 0 else {},
            self.now if stop == len(self) else None,
        )  # fmt: skip


def batch_of(
    events: Sequence[tuple[int, int, int, int, Mapping[str, object]]],
    comms: Mapping[int, str] | None = None,
) -> Batch:
    """A batch from single events ``(tp, time, cpu, pid, fields)``, for ``inject`` and tests.

    All events of one tracepoint must have the same fields; strings are ``bytes``.
    """
    heads = np.array([event[:4] for event in events], dtype=np.int64).reshape(-1, 4)
    columns: dict[int, dict[str, list[object]]] = {}
    for tp, *_, values in events:
        mine = columns.setdefault(tp, {name: [] for name in values})
        for name, value in values.items():
            mine[name].append(value)
    tps, times, cpus, pids = (np.ascontiguousarray(column) for column in heads.T)
    return Batch(
        tps,
        times,
        cpus,
        pids,
        fields={
            tp: {name: np.array(values) for name, values in mine.items()}
            for tp, mine in columns.items()
        },
        comms=comms or {},
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """One violation: which monitor, where in time and on which CPU, whose instance, and why.

    ``time`` is in ns of the source's clock. ``key`` is the pid of the instance's task for
    a per-task monitor and None otherwise; ``comm`` its name. ``pid`` and ``current`` are
    the task that was running when the event came. ``position`` is the event's place in its batch.

    Where the environment was what forbade it, ``env`` tells it (``clk=7,irq_off=0``), and
    ``event`` is ``none`` when time alone did: then ``time`` is when it ran out, and the rest is
    of the event before which that was. For an LTL rule (``rule``) ``state`` is the set of its
    states and ``event`` the atoms that held.

    One event may be a violation for several instances of a monitor, whose order is that of
    ``rank``: the slot of the event that named the instance. It is below 0 where time ran out,
    and then the instance's.
    """

    monitor: str
    time: int
    cpu: int
    pid: int
    current: str
    key: int | None
    comm: str
    state: str
    event: str
    position: int = 0
    env: str | None = None
    rule: bool = False
    rank: int = field(default=0, compare=False)

    @property
    def message(self) -> str:
        """What a reactor is given (include/rv/{da,ha,ltl}_monitor.h), newline included."""
        if self.rule:
            return f"rv: {self.monitor}: {self.comm}[{self.key}]: violation detected\n"
        env = "" if self.env is None else f" with env {self.env}"
        return (
            f"rv: monitor {self.monitor} does not allow event {self.event} "
            f"on state {self.state}{env}\n"
        )


@dataclass(frozen=True, slots=True)
class Transition:
    """One step that the model allows, as ``event_NAME`` reports it.

    For an LTL rule ``state`` and ``next_state`` are sets of its states (the last one empty when
    the rule is violated) and ``event`` the atoms that held; ``comm`` names the instance's task.
    """

    monitor: str
    time: int
    cpu: int
    pid: int
    current: str
    key: int | None
    state: str
    event: str
    next_state: str
    final: bool
    position: int = 0
    comm: str = ""
