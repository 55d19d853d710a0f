"""Every error that rvfs raises on purpose, and the errno that each one carries.

::

    RvfsError                EIO      something of ours failed
    ├── InvalidInput         EINVAL   what was written or asked for makes no sense
    │   ├── UnknownName      EINVAL   no monitor, reactor, tracepoint or field of that name
    │   └── ModelError       EINVAL   a model, filter or bindings text is wrong; says where
    ├── AlreadyRegistered    EEXIST   the name is taken
    ├── NotEmpty             ENOTEMPTY  a container that still has children
    ├── TooBig               EFBIG    a text is longer than what is taken
    ├── NotSaved             EIO, ENOSPC, …  the state folder cannot be used; says which, and why
    ├── CannotMake           ENOMEM   the tree has no room for an object of that name
    ├── Busy                 EBUSY    somebody holds it; the message says who
    ├── Gone                 ENODEV   the object was removed while its file was open
    ├── NotPermitted         EPERM    the tree has a fixed shape
    ├── Missing              ENOENT   no such path in the tree
    ├── WouldBlock           EAGAIN   nothing to read yet on a non-blocking descriptor
    ├── Interrupted          EINTR    a signal waits for whoever waits for us
    ├── Halted               ESHUTDOWN  the panic reactor has stopped verification
    ├── NoSpace              ENOSPC   no debug register is left; says which CPU and who holds them
    ├── NotSupported         EOPNOTSUPP  the debug registers cannot do that
    ├── NoTask               ESRCH    the task has exited, or never was
    ├── NoAccess             EACCES   the caller may not watch that task, CPU or address space
    ├── NoDevice             ENODEV   the CPU is offline
    ├── NotReady             ENOMEM   nobody has said yet how many debug registers there are
    ├── Locked               EPERM    the slot table is in use, and a debugger cannot wait for it
    ├── ReactorError         EIO      a reactor failed; says how
    ├── TraceError           EIO      a recording cannot be read; says file and offset
    └── MountError           EIO      the file system cannot be mounted

Below the rim everything raises from this tree. ``fs.py`` turns it into an errno,
``cli.py`` into one line and an exit code; nobody else translates.
"""

import errno
from collections.abc import Iterable


class RvfsError(Exception):
    """Root of the tree. ``str(error)`` is one sentence for a person."""

    errno: int = errno.EIO


class InvalidInput(RvfsError):
    """What was written or asked for makes no sense."""

    errno = errno.EINVAL


class UnknownName(InvalidInput):
    """There is no monitor, reactor, tracepoint or field of that name."""


class ModelError(InvalidInput):
    """A model, filter or bindings text is wrong.

    ``file`` is the name the text was given under, ``line`` and ``column`` count from 1;
    either may be 0 where the fault has no single place (a missing initial state).
    ``also`` holds the further faults of the same text, in the order of their places.
    """

    also: "tuple[ModelError, ...]" = ()

    def __init__(self, message: str, *, file: str = "<text>", line: int = 0, column: int = 0):
        self.message, self.file, self.line, self.column = message, file, line, column
        place = file + (f":{line}" if line else "") + (f":{column}" if line and column else "")
        super().__init__(f"{place}: {message}")

    @classmethod
    def first_of(cls, faults: Iterable["ModelError"]) -> "ModelError":
        """The fault that stands first in the text, with the others in its ``also``."""
        first, *others = sorted(faults, key=lambda fault: (fault.line, fault.column))
        first.also = tuple(others)
        return first


class AlreadyRegistered(RvfsError):
    """The name is taken."""

    errno = errno.EEXIST


class CannotMake(RvfsError):
    """The tree has no room for an object of that name."""

    errno = errno.ENOMEM


class NotEmpty(RvfsError):
    """The container still has children."""

    errno = errno.ENOTEMPTY


class TooBig(RvfsError):
    """A text is longer than what is taken."""

    errno = errno.EFBIG


class NotSaved(RvfsError):
    """The state folder cannot be used: ``errno`` is what the operating system said."""

    def __init__(self, message: str, code: int | None = None):
        super().__init__(message)
        self.errno = code or errno.EBUSY


class Busy(RvfsError):
    """Somebody holds what was asked for; the message says who."""

    errno = errno.EBUSY


class Gone(RvfsError):
    """The object behind an open file was removed."""

    errno = errno.ENODEV


class NotPermitted(RvfsError):
    """The tree has a fixed shape: nobody makes, moves or removes files in it."""

    errno = errno.EPERM


class Missing(RvfsError):
    """No such path in the tree."""

    errno = errno.ENOENT


class WouldBlock(RvfsError):
    """Nothing to read yet, and the reader asked not to wait."""

    errno = errno.EAGAIN


class Interrupted(RvfsError):
    """A signal waits for the task that waits for us."""

    errno = errno.EINTR


class Halted(RvfsError):
    """The panic reactor has stopped verification."""

    errno = errno.ESHUTDOWN


class NoSpace(RvfsError):
    """No debug register is left on some CPU.

    ``cpu`` is the CPU with the least room for the request and ``pool`` the kind of register
    ("inst", "data" or "shared") of which it has ``slots``. ``pinned`` of them are held by
    breakpoints of the CPU itself and ``held`` are counted for the task ``holder`` (its name;
    None where no task has any): the task that asks or, for a request without a task, the
    one that holds the most. ``asked`` is the weight of the request.
    """

    errno = errno.ENOSPC

    def __init__(
        self, message: str, *, cpu: int, pool: str, slots: int, pinned: int,
        holder: str | None, held: int, asked: int,
    ):  # fmt: skip
        self.cpu, self.pool, self.slots, self.pinned = cpu, pool, slots, pinned
        self.holder, self.held, self.asked = holder, held, asked
        super().__init__(message)


class NotSupported(RvfsError):
    """The debug registers of this machine cannot do what was asked for."""

    errno = errno.EOPNOTSUPP


class NoTask(RvfsError):
    """The task has exited, or there never was one."""

    errno = errno.ESRCH


class NoAccess(RvfsError):
    """The caller may not watch that task, that CPU or that address space."""

    errno = errno.EACCES


class NoDevice(RvfsError):
    """The CPU is offline."""

    errno = errno.ENODEV


class NotReady(RvfsError):
    """Nobody has said yet how many debug registers there are."""

    errno = errno.ENOMEM


class Locked(RvfsError):
    """The slot table is in use, and the caller cannot wait (kernel: a plain -1)."""

    errno = errno.EPERM


class ReactorError(RvfsError):
    """A reactor failed: whatever it raised is the cause."""


class TraceError(RvfsError):
    """A recording cannot be read.

    ``offset`` is in bytes from the start of ``file``; None where the fault has no place in it
    (no such file).
    """

    def __init__(self, message: str, *, file: str, offset: int | None = None):
        self.message, self.file, self.offset = message, file, offset
        place = "" if offset is None else f"offset {offset}: "
        super().__init__(f"{file}: {place}{message}")


class MountError(RvfsError):
    """The file system cannot be mounted where it was asked to be."""
