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
    leaves it. ``letters[i]`` (-1: nothing) meets the instance ``instances[i]``; there are ``wide``
    of them for each event. ``counts`` has how often each entry of the table was met.
    ``violations`` (two numbers for each letter) receives: index of the letter, row it was
    refused in.
    """

    def __init__(self, table, width, idle, wide, letters, instances, counts, violations):
        self.table, self.width, self.idle = table, width, idle
        self.wide, self.letters, self.instances = wide, letters, instances
        self.counts, self.violations = counts, violations

    def hold(self, states, since):
        """The row of each instance, and the time (ns) since when it is in it."""
        self.states, self.since = states, since

    def run(self, begin, end, first, times, before, after):
        """Take the letters of the events ``begin .. end - 1``, which stand from ``first`` on; the
        number of violations found.

        ``before`` and ``after``, unless None, receive the row on either side of every letter.
        """
        table, width, idle = self.table, self.width, self.idle
        letters, instances, wide = self.letters, self.instances, self.wide
        states, since, counts = self.states, self.since, self.counts
        violations = self.violations
        found = 0
        observed = before is not None
        i = first
        for event in range(begin, end):
            for _ in range(wide):
                letter = letters[i]
                if letter >= 0:
                    instance = instances[i]
                    row = states[instance]
                    cell = row * width + letter
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
                        since[instance] = times[event]
                i += 1
        return found
