"""nop: do nothing."""

from rvfs.event import Verdict


class Nop:
    """What every monitor begins with."""

    name = "nop"
    description = "no-operation reactor: do nothing."
    inline = True

    def react(self, verdict: Verdict) -> None:
        """Nothing."""
