# cython: boundscheck=False, wraparound=False, initializedcheck=False
# ruff: noqa: F821
# mypy: ignore-errors
"""Step the instances of an LTL rule: atoms that are known, and a set of states.

This file is plain Python and its own twin: ``_rule.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do. ``address`` and ``expect`` are C's; the interpreted twin
is given its own. The order is that of include/rv/ltl_monitor.h.
"""

#: How many words ahead the memory of an instance is asked for.
AHEAD = 8


class Ruled:
    """``table[row * width + class]`` is the next row, negative for a violation.

    The class of a valuation is found in ``diagram``, ``depth`` bytes of it: entry
    ``256 * node + byte``. ``start[class]`` is the row to start in, or negative. ``counts`` is as
    large as the table.

    ``kinds[letter]``: 0 atoms are set, 1 updated, 2 pulsed, 3 the instance is forgotten: of a
    new one ``first_known`` are known, with ``first_values``. A letter tells the atoms
    ``puts[letter]``; those that hold are ``holds[letter]`` and, where it takes a value along
    (``load_firsts``), those of that value.

    ``violations`` (three numbers for each) receives: index of the word, row, valuation; there are
    two for each word at most.
    ``resets`` are the instances that were forgotten while they were monitoring. Unless it is
    ``watched``, ``counts`` and ``since`` stay as they are.
    """

    def __init__(
        self, table, width, idle, start, depth, diagram, all_known, first_known, first_values,
        kinds, puts, holds, load_firsts, words, values, counts, violations, watched,
    ):  # fmt: skip
        self.table, self.width, self.idle, self.start = table, width, idle, start
        self.depth, self.diagram = depth, diagram
        self.all_known, self.first_known, self.first_values = all_known, first_known, first_values
        self.kinds, self.puts, self.holds, self.load_firsts = kinds, puts, holds, load_firsts
        self.words, self.values = words, values
        self.counts, self.violations = counts, violations
        self.watched, self.resets = watched, 0

    def hold(self, states, since, known, valuations):
        """The row of each instance, since when, the atoms that are known of it and that hold."""
        self.states, self.since, self.known, self.valuations = states, since, known, valuations

    def run(self, first, last, begin, times, before, after, seen):
        """Take the words ``first .. last - 1``, of the piece whose first event is ``begin``; the
        number of violations found.

        ``before``, ``after`` and ``seen``, unless None, receive two entries for each word, one
        for each half of a pulse: the row on either side, and the valuation. Where there was no
        step, ``before`` is the idle row.
        """
        words, states, since, table = self.words, self.states, self.since, self.table
        counts, kinds, puts, holds = self.counts, self.kinds, self.puts, self.holds
        load_firsts, diagram, start = self.load_firsts, self.diagram, self.start
        known, valuations = self.known, self.valuations
        width, depth, idle, watched = self.width, self.depth, self.idle, self.watched
        observed = before is not None
        atoms, truth = address(known), address(valuations)
        found = 0
        for i in range(first, last):
            expect(atoms, words[i + AHEAD] >> 32)
            expect(truth, words[i + AHEAD] >> 32)
            letter = (words[i] & 0xFFFF) - 1
            if observed:
                before[2 * i] = before[2 * i + 1] = idle
            if letter < 0:
                continue
            instance = words[i] >> 32
            kind = kinds[letter]
            if kind == 3:
                known[instance] = self.first_known
                valuations[instance] = self.first_values
                self.resets += states[instance] != idle
                states[instance] = idle
                continue
            known[instance] |= puts[letter]
            value = valuations[instance] & ~puts[letter] | holds[letter]
            if load_firsts[letter] < load_firsts[letter + 1]:
                value |= self.values[i]
            for half in range(kind):
                if half:
                    value ^= puts[letter]
                node = 0
                for byte in range(depth):
                    node = diagram[256 * node + (value >> 8 * byte & 255)]
                row = states[instance]
                following = row
                if row != idle:
                    cell = row * width + node
                    following = table[cell]
                    if watched:
                        counts[cell] += 1
                    if observed:
                        before[2 * i + half] = row
                        after[2 * i + half] = following
                        seen[2 * i + half] = value
                    if following < 0:
                        self.violations[3 * found] = i
                        self.violations[3 * found + 1] = row
                        self.violations[3 * found + 2] = value
                        found += 1
                        following = idle
                elif half == 0 and known[instance] == self.all_known:
                    following = start[node]
                    if following < 0:
                        following = idle
                if following != row:
                    states[instance] = following
                    if watched:
                        since[instance] = times[begin + (words[i] >> 16 & 0xFFFF)]
            valuations[instance] = value
        return found
