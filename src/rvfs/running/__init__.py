"""The monitors that run: one class for each kind of model."""

from rvfs._stepper import Twin
from rvfs.model.rule import Rule
from rvfs.program import Program
from rvfs.running.instances import Found, Running
from rvfs.running.plain import Plain
from rvfs.running.ruled import Ruled
from rvfs.running.timed import Timed

__all__ = ["Found", "Plain", "Ruled", "Running", "Timed", "run"]


def run(program: Program, twin: Twin) -> Running:
    """A program whose instances are not monitoring yet. Raises
    :class:`rvfs.errors.UnknownName` for a condition that mentions what is not known."""
    if isinstance(program.model, Rule):
        return Ruled(program, twin)
    return (Plain if program.model.timing is None else Timed)(program, twin)
