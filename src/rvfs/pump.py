"""The one loop from source to reactors.

::

    source ──batch──▶ engine ──verdicts──▶ reactors
                                       └─▶ trace

The pump asks for a batch when it has done with the last one, so a source is never faster
than what follows it. Batches are kept so short that a file request waits no longer than
:data:`SHARE` for one. What is injected through the tree goes through :meth:`Pump.feed` like
any other batch.

A reactor on the event path must not block; the others are fed through a bounded queue by
:meth:`Pump.serve_reactors`, and what does not fit is counted in ``overflow``.
"""

import logging
import time
from collections import Counter

import trio

from rvfs.engine import Engine
from rvfs.errors import Halted, ReactorError, TraceError
from rvfs.event import Batch, Transition, Verdict, batch_of
from rvfs.reactors import Reactor, is_inline
from rvfs.registered import Registered
from rvfs.registry import Registry
from rvfs.source import Source
from rvfs.trace import Trace

log = logging.getLogger(__name__)

#: Seconds that one batch should take.
SHARE = 0.001
SMALLEST, LARGEST = 64, 1 << 16
#: Seconds between two looks at the clock where no source has one.
TICK = 0.01
#: Passes of the event loop between two batches: what one request of FUSE takes.
PASSES = 4
#: Verdicts that wait for slow reactors.
QUEUE = 1024


class Pump:
    """Feeds batches to the engine, verdicts to reactors and trace.

    ``lost`` counts the events that sources dropped, per CPU; ``overflow`` the verdicts that
    slow reactors missed, per reactor; ``halted`` is why the panic reactor stopped it, or None.
    """

    def __init__(self, engine: Engine, registry: Registry, trace: Trace) -> None:
        self._engine, self._registry, self._trace = engine, registry, trace
        self._to_reactors, self._from_pump = trio.open_memory_channel[
            tuple[Registered, Reactor, Verdict]
        ](QUEUE)
        self._source_time = 0
        self._stopped = trio.Event()
        self.events = 0
        self.lost: Counter[int] = Counter()
        self.overflow: Counter[str] = Counter()
        self.halted: str | None = None

    def now(self) -> int:
        """The time (ns) of an event that is injected now, by the source's clock.

        Where no source has delivered anything, that is the machine's monotonic clock.
        """
        return self._source_time or time.monotonic_ns()

    def feed(self, batch: Batch) -> None:
        """Take one batch through engine, reactors and trace.

        Raises :class:`Halted` when the panic reactor has stopped verification, before.
        """
        if self.halted is not None:
            raise Halted(self.halted)
        self._account(batch)
        verdicts: list[Verdict] = []
        steps: list[Transition] = []
        if self._registry.monitoring_on:
            self._observe()
            verdicts = self._engine.step(batch, steps)
        self._deliver(batch, steps, verdicts)

    def _deliver(self, batch: Batch, steps: list[Transition], verdicts: list[Verdict]) -> None:
        try:
            if self._registry.reacting_on:
                for verdict in verdicts:
                    self._react(verdict)
        except Halted as error:
            self._halt(str(error))
        self._trace.record(batch, steps, verdicts)

    def advance(self, now: int) -> None:
        """It is ``now`` (ns), and no event has come: timers may run out."""
        if self._registry.monitoring_on and self.halted is None:
            verdicts = self._engine.advance(now)
            if verdicts:
                self._deliver(batch_of([]), [], verdicts)

    def _account(self, batch: Batch) -> None:
        self.events += len(batch)
        for cpu, count in batch.lost.items():
            self.lost[cpu] += count
            log.warning(
                "the source lost %d events on CPU %d (%d so far)", count, cpu, self.lost[cpu]
            )

    def _observe(self) -> None:
        """Have those steps reported that somebody has switched on in ``events/rv``."""
        for registered in self._registry.monitors:
            if registered.program is not None and registered.enabled:
                on = self._trace.is_enabled(f"rv:event_{registered.name}")
                self._engine.observe(registered.name, on)

    # -- reactors --------------------------------------------------------------------------

    def _react(self, verdict: Verdict) -> None:
        registered = self._registry.find(verdict.monitor)
        reactor = registered.reactor
        if is_inline(reactor):
            self._call(registered, reactor, verdict)
            return
        try:
            self._to_reactors.send_nowait((registered, reactor, verdict))
        except trio.WouldBlock:
            self._count_overflow(reactor.name)
        else:
            registered.hold()

    def _call(self, registered: Registered, reactor: Reactor, verdict: Verdict) -> None:
        """React. A reactor that fails is dropped from its monitor, and life goes on."""
        try:
            _react(reactor, verdict)
        except Halted:
            raise
        except ReactorError:
            self._drop(registered, reactor)

    def _drop(self, registered: Registered, reactor: Reactor) -> None:
        name = registered.name
        log.exception("reactor %s failed; monitor %s goes on with nop", reactor.name, name)
        self._registry.drop_reactor(registered)

    def _count_overflow(self, name: str) -> None:
        self.overflow[name] += 1
        if self.overflow[name].bit_count() == 1:  # 1, 2, 4, 8 …: heard, but not flooded
            log.warning(
                "reactor %s is too slow: it missed %d violations", name, self.overflow[name]
            )

    def _halt(self, why: str) -> None:
        self.halted = why
        self._stopped.set()
        log.error("%s", why)

    async def wait_halted(self) -> str:
        """Return, with the reason, when the panic reactor has stopped verification."""
        await self._stopped.wait()
        assert self.halted is not None
        return self.halted

    async def serve_reactors(self) -> None:
        """Run the reactors that may be slow, one violation after the other; never returns."""
        async for registered, reactor, verdict in self._from_pump:
            try:
                await trio.to_thread.run_sync(_react, reactor, verdict)
            except (ReactorError, Halted):
                self._drop(registered, reactor)
            finally:
                registered.release()

    # -- the loop --------------------------------------------------------------------------

    async def run(self, source: Source) -> None:
        """Pump until the source has ended or verification was halted, and say so in the log."""
        subscribed: object = None
        limit = SMALLEST
        while self.halted is None:
            if subscribed != self._registry.version:
                subscribed = self._registry.version
                source.subscribe(self._registry.wanted())
            began = time.perf_counter()
            batch = self._take(source, limit)
            if batch is None:
                self._say_end(source)
                return
            if batch.now is not None:
                self._source_time = batch.now
            if len(batch):
                self._source_time = max(self._source_time, int(batch.time[-1]))
                limit = _next_limit(limit, time.perf_counter() - began)
                for _ in range(PASSES):
                    await trio.lowlevel.checkpoint()
            else:
                await source.wait()

    async def keep_time(self) -> None:
        """Where there is no source, let timers run out by the machine's clock; never returns."""
        while True:
            await trio.sleep(TICK)
            self.advance(time.monotonic_ns())

    def drain(self, source: Source) -> None:
        """Feed all that a source has now, without waiting; not more once verification halts."""
        source.subscribe(self._registry.wanted())
        while self.halted is None:
            batch = self._take(source, LARGEST)
            if batch is None or not (len(batch) or batch.lost):
                return

    def _say_end(self, source: Source) -> None:
        for note in source.notes:
            log.warning("source %s: %s", source.name, note)
        log.info("source %s has ended after %d events", source.name, self.events)

    def _take(self, source: Source, limit: int) -> Batch | None:
        """Feed the next batch; None at the end, or where the source cannot be read.

        That may show as late as when somebody asks for a column.
        """
        try:
            batch = source.read(limit)
            if batch is not None:
                self.feed(batch)
        except TraceError as error:
            log.error("source %s: %s", source.name, error)
            return None
        return batch


def _react(reactor: Reactor, verdict: Verdict) -> None:
    """Whatever a reactor raises, be it SystemExit, is its failure and nobody else's.

    Raises :class:`Halted`, or :class:`ReactorError` from what it was.
    """
    try:
        reactor.react(verdict)
    except Halted:
        raise
    except BaseException as error:
        raise ReactorError(f"{type(error).__name__}: {error}") from error


def _next_limit(limit: int, took: float) -> int:
    """Twice or half as many events, so that a batch takes about :data:`SHARE` seconds."""
    if took > SHARE:
        return max(SMALLEST, limit // 2)
    return min(LARGEST, limit * 2) if took < SHARE / 2 else limit
