"""A simulated machine as a source of events.

``scripts`` is what can happen, as a table; ``faults`` what may go wrong; ``machine`` decides
what happens next; ``emission`` makes batches of it. This file is the source: it reads the
machine in stretches, gives out what is due and wanted, and counts what was planted.

The stream depends on the options alone: not on how it is read, nor on what is subscribed,
which only picks events and fields. Time is simulated, in ns.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence

import numpy as np
import trio

from rvfs.errors import InvalidInput
from rvfs.event import Batch
from rvfs.source import Wanted
from rvfs.source.sim.emission import WIDTH, Book, Stretch
from rvfs.source.sim.faults import SECOND, Fault, Plan, Planted, parse_fault
from rvfs.source.sim.machine import ORIGIN, Codes, Machine

__all__ = ["Fault", "Planted", "Sim", "parse_fault"]

#: Events per second of simulated time and CPU, where no rate is given: a busy machine.
NATURAL_RATE = 500_000
#: The part of its time that a CPU spends in scripts, at most; beyond, they get shorter.
BUSY = 0.5
#: What one event takes in the scripts, on average, in ns.
MEAN_GAP = 180

#: Steps between two reads of the machine: some milliseconds of work.
STEPS = 256
#: Seconds. A wait is never shorter (one batch for many events) nor longer (somebody may
#: have subscribed meanwhile).
SHORTEST_WAIT, LONGEST_WAIT = 0.005, 0.05

#: Of what was planted, how many are kept.
KEPT = 1 << 16

#: option → (smallest, largest)
LIMITS = {"cpus": (1, 1024), "tasks": (1, 10_000)}


class Sim:
    """The simulated machine.

    ``rate`` is events per second on average, of the machine's clock and the wall's; None is
    as fast as somebody reads. ``duration`` is in seconds of simulated time; None is without end.
    ``clock`` gives the wall's seconds, for the rate.

    ``counts`` has the violations planted in what was read so far, per monitor; ``planted``
    the last :data:`KEPT` of them. Raises :class:`InvalidInput` for an option out of range.
    """

    name = "sim"

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        cpus: int = 2,
        tasks: int = 16,
        seed: int = 0,
        rate: float | None = 10_000.0,
        duration: float | None = None,
        faults: Sequence[Fault] = (),
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        _check_range("cpus", cpus)
        _check_range("tasks", tasks)
        _check_positive("rate", rate)
        _check_positive("duration", duration)
        self.cpus = cpus
        self.counts: Counter[str] = Counter()
        self.planted: deque[Planted] = deque(maxlen=KEPT)
