# cython: boundscheck=False, wraparound=False, initializedcheck=False
# ruff: noqa: F821
# mypy: ignore-errors
"""Step instances through the product of automata.

This file is plain Python and its own twin: ``_step.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do. ``half`` and ``address_of`` are C's; the interpreted
twin is given its own. Nothing checks an index here: there is room for every instance before it is
stepped.

A *row* of the product says in which state each of the automata is; a row's *base* is the index
of its first cell in the table, and what is kept of an instance is the base of its row. Cells are
made when they are first met (:mod:`rvfs.running.product`), so there are only those that
events come to.
"""

#: Of a cell: nobody has been there; the flag of one in which an automaton refuses.
UNKNOWN = -1
BASE = 0x7FFFFFFF


class Stepper:
    """Takes ``words`` as ``selector`` writes them.

    ``violations`` (two numbers for each) receives: index of the word, cell. ``cells``, if
    ``inside``, receives the cell that each word met. Where it came to: the words from ``next`` to
    ``last - 1`` of the piece from event ``begin`` on are not yet taken, ``found`` violations of
    those before are not yet told.
    """

    def __init__(self, selector, words, violations, cells):
        self.selector, self.words, self.violations, self.cells = selector, words, violations, cells
        self.begin = self.next = self.last = self.found = 0

    def hold(self, states, table):
        """The base of each instance's row; the base that follows each cell."""
        self.states, self.table = states, table

    def go_to(self, first):
        """Nothing of the piece whose words begin at ``first`` is taken yet."""
        self.next, self.found = first, 0

    def sweep(self, begin, end, piece):
        """Go on with the events from ``begin`` on, a piece at a time, up to a piece of which
        something must be known before its words can be taken, or told. ``last`` is then as
        :meth:`Selector.fill` has it, ``begin`` is ``end`` if there was nothing."""
        self.found = 0
        while begin < end:
            stop = min(begin + piece, end)
            self.next, self.last = 0, self.selector.fill(begin, stop, 0)
            if self.last < 0 or self.selector.top >= len(self.states):
                break
            self.run(0, self.last, False)
            if self.found or self.next < self.last:
                break
            begin = stop
        self.begin = min(begin, end)

    def run(self, first, last, inside):
        """Take the words ``first .. last - 1``; ``found`` is the number of violations.

        It ends early, with ``next`` short of ``last``, before a word that comes to a cell that
        is not known.
        """
        words, violations, cells = address_of(self.words), self.violations, self.cells
        states, table, unknown, mask = self.states, self.table, UNKNOWN, BASE
        found = 0
        i = first
        while i < last:
            instance = half(words, i, True)
            cell = states[instance] + (half(words, i, False) & 0xFFFF)
            base = table[cell]
            if inside:
                cells[i] = cell
            if base < 0:
                if base == unknown:
                    break
                violations[2 * found] = i
                violations[2 * found + 1] = cell
                found += 1
                base &= mask
            states[instance] = base
            i += 1
        self.next, self.found = i, found


class Witness:
    """Remembers what was met, for who looks inside: how often each cell, and since when each
    automaton of an instance is in its state."""

    def __init__(self, words, cells):
        self.words, self.cells = words, cells

    def hold(self, counts, changed, since, members):
        """``changed[cell]`` has a bit for each of the ``members`` whose state it changes.
        ``since`` (ns) has a part for each; the last entry of a part is nobody's."""
        self.counts, self.changed, self.since, self.members = counts, changed, since, members
        self.room = len(since) // members

    def look(self, first, last, times, begin):
        """The words ``first .. last - 1`` were taken; the events of their piece are those from
        ``times[begin]`` on."""
        words, cells, counts, changed = self.words, self.cells, self.counts, self.changed
        since, members, room = self.since, self.members, self.room
        nobody = room - 1
        for i in range(first, last):
            cell = cells[i]
            counts[cell] += 1
            instance = words[i] >> 32
            time = times[begin + (words[i] >> 16 & 0xFFFF)]
            which = changed[cell]
            for member in range(members):
                since[member * room + (instance if which >> member & 1 else nobody)] = time
