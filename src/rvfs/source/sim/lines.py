"""Reads a script of the simulated machine: words to lines, one for each event.

Beside words, a script has ``|``, the context switch: from there on ``b`` is current. And it
has what no tracepoint tells of the context, from where it stands: ``+h`` and ``-h``, a hard
interrupt begins and ends, ``+s`` and ``-s`` a softirq; ``+i`` and ``-i``, interrupts are off
and on, ``+p`` and ``-p``, preemption is. This gives each line the flags and the preemption
count of a trace record's head, as they are when the tracepoint is passed.

``!MONITOR.EVENT`` marks the very event at which that monitor must report, and ``@b`` whose
instance does: a task's, or that of the object ``m``. A violation of the event ``none`` is
due when the time after this event has run out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rvfs.source.sim.words import WORDS, Origin

#: Of common_flags (include/linux/trace_events.h).
IRQS_OFF, HARDIRQ, SOFTIRQ = 0x01, 0x08, 0x10


@dataclass(frozen=True, slots=True)
class Mark:
    """The monitor that must report at this event; ``key`` is ``a``, ``b``, ``m`` or ""."""

    monitor: str
    event: str
    key: str


@dataclass(frozen=True, slots=True)
class Line:
    """One event of a script: ``current`` is ``a`` or ``b``, ``gap`` the ns that follow it."""

    tracepoint: str
    current: str
    gap: int
    fields: Mapping[str, Origin]
    mark: Mark | None


@dataclass
class _Context:
    """Who is current, and what the head of a record tells."""

    current: str = "a"
    flags: int = 0
    preempt_count: int = 0

    def change(self, what: str) -> None:
        """``|``, ``+h`` …; anything else changes nothing."""
        if what == "|":
            self.current = "b"
        elif what in _COUNTS:
            self.preempt_count += _COUNTS[what]
        elif what in _FLAGS:
            bit, on = _FLAGS[what]
            self.flags = self.flags | bit if on else self.flags & ~bit

    @property
    def head(self) -> Mapping[str, Origin]:
        return {"common_flags": self.flags, "common_preempt_count": self.preempt_count}


_COUNTS = {"+p": 1, "-p": -1, "preempt_disable": 1, "preempt_enable": -1}
_FLAGS = {
    "+i": (IRQS_OFF, True), "-i": (IRQS_OFF, False),
    "+h": (HARDIRQ, True), "-h": (HARDIRQ, False), "+s": (SOFTIRQ, True), "-s": (SOFTIRQ, False),
    "irq_disable": (IRQS_OFF, True), "irq_enable": (IRQS_OFF, False),
}  # fmt: skip
#: What is told before it happens: the other tracepoints find the context changed.
_AHEAD = ("irq_enable", "preempt_enable")

_WORD = re.compile(r"(\w+)(?:=(\w+))?(?:!(\w+)\.([\w,]+)(?:@([abm]))?)?")


def read_script(text: str) -> Iterator[Line]:
    """The lines of a script."""
    context = _Context()
    for word in text.split():
        match = _WORD.fullmatch(word)
        name = match[1] if match else word
        if name not in _AHEAD:
            context.change(name)
        if match:
            yield _line(match, context)
        if name in _AHEAD:
            context.change(name)


def _line(match: re.Match[str], context: _Context) -> Line:
    name, value, monitor, event, key = match.groups()
    tracepoint, gap, fields = WORDS[name]
    origins = {field: _value(value) if o == "value" else o for field, o in fields.items()}
    mark = Mark(monitor, event, key or "") if monitor else None
    return Line(tracepoint, context.current, gap, {**origins, **context.head}, mark)


def _value(text: str) -> Origin:
    return text if text in ("n", "m") else int(text, 0)
