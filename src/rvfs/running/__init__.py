"""The monitors that run: one class for each kind of model.

stepping    the instances of one scope, and the native code that takes words to them
instances   what is said of a monitor's instances, whoever steps them
team        automata without clocks, stepped together as their product
timed       hybrid automata
ruled       rules in linear temporal logic
"""

from rvfs.model.rule import Rule
from rvfs.program import Program
from rvfs.running.arrays import Found, Manner
from rvfs.running.instances import Running
from rvfs.running.ruled import Ruled
from rvfs.running.stepping import Stepping
from rvfs.running.team import Plain, Team
from rvfs.running.timed import Timed

__all__ = ["Found", "Manner", "Plain", "Ruled", "Running", "Stepping", "Team", "Timed", "run"]


def run(program: Program, manner: Manner) -> Plain | Ruled | Timed:
    """A program whose instances are not monitoring yet; a plain one needs a team. Raises
    :class:`rvfs.errors.UnknownName` for a condition that mentions what is not known."""
    if isinstance(program.model, Rule):
        return Ruled(program, manner)
    return Plain(program) if program.model.timing is None else Timed(program, manner)
