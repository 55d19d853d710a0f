"""The letters between CPU and time of a line, as the kernel has them in an event's common fields.

After trace_print_lat_fmt in kernel/trace/trace_output.c, and the TRACE_FLAG_* of
include/linux/trace_events.h. A letter that means nothing, such as the dot, is 0.
"""

from collections.abc import Mapping

import numpy as np

IRQS_OFF, NEED_RESCHED_LAZY, NEED_RESCHED, HARDIRQ = 0x01, 0x02, 0x04, 0x08
SOFTIRQ, PREEMPT_RESCHED, NMI, BH_OFF = 0x10, 0x20, 0x40, 0x80

#: Per column. X stood in the first one where a machine could not tell; its bit is another's now.
_COLUMNS: tuple[Mapping[str, int], ...] = (
    {"d": IRQS_OFF, "b": BH_OFF, "D": IRQS_OFF | BH_OFF},
    {
        "n": NEED_RESCHED, "p": PREEMPT_RESCHED, "l": NEED_RESCHED_LAZY,
        "N": NEED_RESCHED | PREEMPT_RESCHED, "b": NEED_RESCHED | NEED_RESCHED_LAZY,
        "L": PREEMPT_RESCHED | NEED_RESCHED_LAZY,
        "B": NEED_RESCHED | PREEMPT_RESCHED | NEED_RESCHED_LAZY,
    },
    {"h": HARDIRQ, "s": SOFTIRQ, "H": HARDIRQ | SOFTIRQ, "z": NMI, "Z": NMI | HARDIRQ},
    {f"{value:x}": value for value in range(1, 16)},
)  # fmt: skip

#: As the decoder takes it: 256 entries per column.
LETTERS = np.array(
    [column.get(chr(byte), 0) for column in _COLUMNS for byte in range(256)], dtype=np.int64
)
#: What can be read from the letters, and its row in what the decoder finds.
MARKS: Mapping[str, int] = {"common_flags": 0, "common_preempt_count": 1}
