"""panic: halt verification, so that the tree shows the moment of the violation.

The kernel's panics the machine. This one stops the pump; the real machine is touched only
where that was asked for in so many words (``rvfs mount --panic=sysrq``).
"""

from pathlib import Path

from rvfs.errors import Halted
from rvfs.event import Verdict

SYSRQ = Path("/proc/sysrq-trigger")


class Panic:
    """Raises :class:`Halted`; with ``sysrq`` given, first crashes the kernel through that file."""

    name = "panic"
    description = "panic the system if an exception is found."
    inline = True

    def __init__(self, sysrq: Path | None = None) -> None:
        self._sysrq = sysrq

    def react(self, verdict: Verdict) -> None:
        """Halt. Raises :class:`Halted` always."""
        if self._sysrq is not None:
            self._sysrq.write_text("c")
        raise Halted(f"verification halted: {verdict.message.strip()}")
