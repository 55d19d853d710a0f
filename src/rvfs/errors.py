"""Every error that rvfs raises on purpose, and the errno that each one carries.

::

    RvfsError                EIO      something of ours failed
    ├── InvalidInput         EINVAL   what was written or asked for makes no sense
    │   ├── UnknownName      EINVAL   no monitor, reactor, tracepoint or field of that name
    │   └── ModelError       EINVAL   a model, filter or bindings text is wrong; says where
    ├── AlreadyRegistered    EEXIST   the name is taken
    ├── CannotMake           ENOMEM   the tree has no room for an object of that name
    ├── Busy                 EBUSY    somebody holds it; the message says who
    ├── Gone                 ENODEV   the object was removed while its file was open
    ├── NotPermitted         EPERM    the tree has a fixed shape
    ├── Missing              ENOENT   no such path in the tree
    ├── WouldBlock           EAGAIN   nothing to read yet on a non-blocking descriptor
    ├── Interrupted          EINTR    a signal waits for whoever waits for us
    ├── Halted               ESHUTDOWN  the panic reactor has stopped verification
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
