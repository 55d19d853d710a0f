"""``trace_pipe``: readers wait here for lines, and each line goes to one of them.

::

    read ── line there ──────────────────────────────────▶ answered at once
      └──── none: waits ──┬─ a line comes; the reader lives ──▶ answered
                          ├─ a signal waits for the reader ───▶ EINTR
                          └─ the tree is unmounted ───────────▶ end of file

Before a line goes to a reader that has waited, :mod:`rvfs.readers` looks whether it still
wants it; so one that dies takes nothing along. One task does all of that
(:meth:`TracePipe.serve`), and sleeps while nobody waits.
"""

import os
from collections.abc import Callable, Sequence

import trio

from rvfs.errors import Interrupted, WouldBlock
from rvfs.readers import Sight, Wait, look
from rvfs.trace import Trace

#: Seconds between two looks at the readers that wait, and how much longer than a look takes.
PERIOD, RATIO = 0.05, 10
#: Seconds that readers have to see the end of the file.
GRACE = 0.5
#: How often one is looked at that is just being interrupted, before it is taken as hidden.
TRIES = 20


class Reader:
    """One open ``trace_pipe``; of what it was given, it hands on as much as is asked for."""

    def __init__(self, trace: Trace, inode: int, opener: int, flags: int) -> None:
        self._trace = trace
        self.inode, self.opener = inode, opener
        self.blocking = not flags & os.O_NONBLOCK
        self._data, self._done = b"", 0
        self.hidden = False

    @property
    def begun(self) -> bool:
        """Whether it was given more than it has handed on."""
        return self._done < len(self._data)

    @property
    def ready(self) -> bool:
        return self.begun or len(self._trace) > 0

    def take(self, size: int) -> bytes:
        """At most ``size`` bytes; empty when there is nothing."""
        if not self.begun:
            self._data, self._done = self._trace.take(size), 0
        part = self._data[self._done : self._done + size]
        self._done += len(part)
        return part

    def close(self) -> None:
        """Put back what was not read, from the start of the line that was being read."""
        if self.begun:
            begin = self._data.rfind(b"\n", 0, self._done) + 1
            self._trace.put_back(self._data[begin:])


class _Asked(Wait):
    """A read that waits, and what became of it."""

    def __init__(self, reader: Reader, size: int) -> None:
        super().__init__(reader.inode, reader.opener)
        self.reader, self.size = reader, size
        self.answered = trio.Event()
        self.data: bytes | None = None

    def answer(self, data: bytes | None) -> None:
        """``data``, or None for EINTR."""
        self.data = data
        self.answered.set()


class TracePipe:
    """The readers of one trace that wait, in the order in which they came."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._device = ""
        self._next_look = 0.0
        self._waiting: list[_Asked] = []
        self._readers: set[Reader] = set()
        self._pollers: dict[Reader, Callable[[], None]] = {}
        self._bell = trio.Event()
        self._all_released = trio.Event()
        self._closed = False
        self._forget_trace = trace.when_ready(self._lines_came)

    def open(self, inode: int, opener: int, flags: int) -> Reader:
        """``opener`` is a thread's number, ``flags`` are those of open(2)."""
        reader = Reader(self._trace, inode, opener, flags)
        self._readers.add(reader)
        return reader

    async def read(self, reader: Reader, size: int) -> bytes:
        """At most ``size`` bytes of whole or begun lines; empty at the end of the mount.

        Raises :class:`WouldBlock` and :class:`Interrupted`.
        """
        data = reader.take(size)
        if data or self._closed:
            return data
        if not reader.blocking:
            raise WouldBlock("no line waits in trace_pipe")
        return await self._wait(_Asked(reader, size))

    async def _wait(self, asked: _Asked) -> bytes:
        self._waiting.append(asked)
        self._bell.set()
        try:
            await asked.answered.wait()
        finally:
            if asked in self._waiting:
                self._waiting.remove(asked)
        if asked.data is None:
            raise Interrupted("a signal came while it waited for a line")
        return asked.data

    def poll(self, reader: Reader, notify: Callable[[], None] | None) -> bool:
        """Whether a line can be read now. ``notify`` is called when the next one comes, even if:
        who waits for edges (EPOLLET) polls once, and reads all that there is."""
        if notify is not None:
            self._pollers[reader] = notify
        return reader.ready

    def release(self, reader: Reader) -> None:
        """The file was closed: what was not read of it goes to the others."""
        self._pollers.pop(reader, None)
        self._readers.discard(reader)
        if self._closed and not self._readers:
            self._all_released.set()
        reader.close()
        self._lines_came()

    async def close(self) -> None:
        """What there is, and then the end of the file, for all who read; returns when they have
        closed it, or after :data:`GRACE` seconds."""
        self._closed = True
        self._forget_trace()
        for asked in tuple(self._waiting):
            self._answer(asked, asked.reader.take(asked.size))
        if self._readers:
            with trio.move_on_after(GRACE):
                await self._all_released.wait()

    def _lines_came(self) -> None:
        self._bell.set()
        if len(self._trace):
            pollers, self._pollers = self._pollers, {}
            for notify in pollers.values():
                notify()

    # -- the task --------------------------------------------------------------------------

    async def serve(self, device: str) -> None:
        """Answer those who wait, until cancelled; ``device`` as in /proc/self/mountinfo."""
        self._device = device
        while True:
            if not self._waiting:
                await self._rung()
            elif len(self._trace):
                await self._deliver()
            else:
                with trio.move_on_at(self._next_look) as nothing_came:
                    await self._rung()
                if nothing_came.cancelled_caught:
                    await self._look_at_all()

    async def _rung(self) -> None:
        """Return when a reader or a line has come."""
        self._bell = trio.Event()
        await self._bell.wait()

    async def _deliver(self) -> None:
        """Give what there is to the first who waits, unless it has been interrupted."""
        first = self._waiting[0]
        sight = await self._sight_of(first)
        if first not in self._waiting or sight is Sight.INTERRUPTED:
            return
        if data := first.reader.take(first.size):
            self._answer(first, data)

    async def _sight_of(self, asked: _Asked) -> Sight:
        """Looks again at one who is being interrupted now; but only once in vain."""
        for _ in range(1 if asked.reader.hidden else TRIES):
            (sight,) = await self._look([asked])
            if sight is not Sight.UNSURE:
                return sight
            await trio.sleep(PERIOD / TRIES)
        asked.reader.hidden = True
        return Sight.UNSURE

    async def _look_at_all(self) -> None:
        """Drop who has been interrupted; not so often that it would cost a tenth of a CPU."""
        began = trio.current_time()
        await self._look(tuple(self._waiting))
        now = trio.current_time()
        self._next_look = now + max(PERIOD, RATIO * (now - began))

    async def _look(self, waits: Sequence[_Asked]) -> list[Sight]:
        sights = await trio.to_thread.run_sync(look, waits, self._device, "/trace_pipe")
        for asked, sight in zip(waits, sights, strict=True):
            if sight is Sight.INTERRUPTED and asked in self._waiting:
                self._answer(asked, None)
        return sights

    def _answer(self, asked: _Asked, data: bytes | None) -> None:
        self._waiting.remove(asked)
        asked.answer(data)
