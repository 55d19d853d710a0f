"""printk: write the message to the kernel log, as a warning."""

import logging
from pathlib import Path

from rvfs.event import Verdict

log = logging.getLogger("rvfs.reactors.printk")

KMSG = Path("/dev/kmsg")
#: KERN_WARNING, the kernel's default level (include/linux/kern_levels.h).
LEVEL = 4


class Printk:
    """Where ``kmsg`` may not be written, the same text goes to rvfs's own log.

    Not inline: a serial console makes the kernel's log slow.
    """

    name = "printk"
    description = "prints the exception msg to the kernel message log."

    def __init__(self, kmsg: Path = KMSG) -> None:
        self._kmsg = kmsg

    def react(self, verdict: Verdict) -> None:
        """One line per violation."""
        try:
            # Opened anew each time: the kernel drops more than 10 lines in 5 s of one descriptor.
            with self._kmsg.open("wb", buffering=0) as kmsg:
                kmsg.write(f"<{LEVEL}>{verdict.message}".encode())
        except OSError:
            log.warning("%s", verdict.message.rstrip("\n"))
