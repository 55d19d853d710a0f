# cython: boundscheck=False, wraparound=False, initializedcheck=False
# mypy: ignore-errors
"""Step the instances of an automaton.

This file is plain Python and its own twin: ``_step.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do. Nothing checks an index here: there is room for
every instance before it is stepped.
"""


class Stepper:
    """``table[row * width + letter]`` is the next row, or negative for a violation.

    ``idle`` is the row of an instance that is not monitoring, which is where a violation
    leaves it. ``letters[i]`` of event ``at[i]`` meets the instance ``instances[i]``. ``counts``
    has how often each entry of the table was met. ``violations`` (two numbers for each letter)
    receives: index of the letter, row it was refused in.
    """

    def __init__(self, table, width, idle, at, letters, instances, counts, violations):
        self.table, self.width, self.idle = table, width, idle
        self.at, self.letters, self.instances = at, letters, instances
        self.counts, self.violations = counts, violations

    def hold(self, states, since):
        """The row of each instance, and the time (ns) since when it is in it."""
        self.states, self.since = states, since

    def run(self, first, last, times, before, after):
        """Take the letters ``first`` to ``last - 1``; the number of violations found.

        ``before`` and ``after``, unless None, receive the row on either side of every letter.
        """
        table, width, idle = self.table, self.width, self.idle
        at, letters, instances = self.at, self.letters, self.instances
        states, since, counts = self.states, self.since, self.counts
        violations = self.violations
        found = 0
        observed = before is not None
        for i in range(first, last):
            instance = instances[i]
            row = states[instance]
            cell = row * width + letters[i]
            following = table[cell]
            counts[cell] += 1
            if observed:
                before[i] = row
                after[i] = following
            if following < 0:
                violations[2 * found] = i
                violations[2 * found + 1] = row
                found += 1
                following = idle
            if following != row:
                states[instance] = following
                since[instance] = times[at[i]]
        return found
