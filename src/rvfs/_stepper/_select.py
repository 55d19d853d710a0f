# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# ruff: noqa: F821
# mypy: ignore-errors
"""Which letters the events of a batch bring to which instances of one monitor.

This file is plain Python and its own twin: ``_select.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do. ``read``, ``within``, ``spread`` and ``address`` are C's
(``_memory.pxd``); the interpreted twin is given its own.

A *slot* of a tracepoint is an instance that its events concern. Its decision program leads
to one letter, or to none: node ``n`` is six numbers, ``column, mask, lowest, span, yes, no``,
and asks whether ``column & mask`` is one of ``lowest .. lowest + span`` (64 bits, without a
sign: so one question does for all comparisons, signed or not). A target is the next node, or
``-1`` for no letter, or ``-2 - letter``.
"""


class Selector:
    """Goes through a batch, a piece at a time.

    ``firsts[tp]`` to ``firsts[tp + 1]`` are the slots of a tracepoint. A slot is three
    numbers: the target where its program begins, the column with the key of the instance and
    the column with the CPU; -1 is the event's own. Letter ``l`` takes along the values of the
    columns ``load_columns[load_firsts[l]:load_firsts[l + 1]]``.

    ``scope``: 0 global, 1 per CPU, 2 per task (an instance is its CPU for an idle task, else
    ``cpus_limit`` + pid), 3 per object (an instance is the place that its id was given).

    ``run`` fills ``at`` (index of the event), ``letters``, ``instances`` and ``values`` as far
    as they reach. After it ``top`` is the largest instance seen, ``dropped`` the letters whose
    key was impossible, ``next`` the event with which the next run goes on.
    """

    def __init__(
        self, scope, cpus_limit, pids_limit, firsts, slots, nodes, load_firsts, load_columns,
        widest, heaviest, rows, data, at, letters, instances, values,
    ):  # fmt: skip
        self.scope, self.cpus_limit, self.pids_limit = scope, cpus_limit, pids_limit
        self.firsts, self.slots, self.nodes = firsts, slots, nodes
        self.load_firsts, self.load_columns = load_firsts, load_columns
        self.widest, self.heaviest = widest, heaviest
        self.rows, self.data = rows, data
        self.at, self.letters, self.instances, self.values = at, letters, instances, values
        self.next = self.dropped = self.spare = 0
        self.top = self.short = -1

    def begin(self, tps, cpus, pids, columns, limits):
        """Go to the start of a batch. ``limits[tp]``: how many events its columns are for."""
        self.tps, self.cpus, self.pids, self.limits = tps, cpus, pids, limits
        self.columns = columns
        for c in range(len(columns)):
            self.data[c] = address(columns[c])
        for tp in range(len(self.rows)):
            self.rows[tp] = 0
        self.next = 0

    def run(self, first, room):
        """Go on in the batch; how many letters were found. They are written from place ``first``
        on, ``room`` at most.

        It ends early, with ``next`` short of the end, when an array is full, when there is no
        place for another object (see :meth:`rehash`), or at an event for which the columns of
        its tracepoint are too ``short``: then that is its tracepoint, else -1.
        """
        firsts, slots, nodes = self.firsts, self.slots, self.nodes
        load_firsts, load_columns = self.load_firsts, self.load_columns
        tps, limits, rows, data = self.tps, self.limits, self.rows, self.data
        at, letters, instances, values = self.at, self.letters, self.instances, self.values
        count = len(tps)
        known = len(firsts) - 1
        room = first + room - self.widest
        spare = len(values) - self.heaviest
        found = first
        held = 0
        top = self.top
        i = self.next
        while i < count and found <= room and held <= spare:
            tp = tps[i]
            if tp < 0 or tp >= known or firsts[tp] == firsts[tp + 1]:
                i += 1
                continue
            if self.scope == 3 and self.spare < self.widest:
                break
            slot = firsts[tp]
            end = firsts[tp + 1]
            row = rows[tp]
            if row >= limits[tp]:
                self.short = tp
                break
            rows[tp] = row + 1
            while slot < end:
                target = slots[3 * slot]
                while target >= 0:
                    node = 6 * target
                    value = read(data[nodes[node]], row) & nodes[node + 1]
                    target = nodes[node + 5 - within(value, nodes[node + 2], nodes[node + 3])]
                if target < -1:
                    letter = -2 - target
                    instance = self.instance(i, row, 3 * slot)
                    if instance >= 0:
                        at[found] = i
                        letters[found] = letter
                        instances[found] = instance
                        found += 1
                        if instance > top:
                            top = instance
                        for load in range(load_firsts[letter], load_firsts[letter + 1]):
                            values[held] = read(data[load_columns[load]], row)
                            held += 1
                    else:
                        self.dropped += 1
                slot += 1
            i += 1
        self.next = i
        self.top = top
        return found - first

    def instance(self, i, row, slot):
        """The instance that event ``i`` concerns; -1 for an impossible key."""
        if self.scope == 0:
            return 0
        column = self.slots[slot + 1]
        if self.scope == 3:
            return self.place(read(self.data[column], row))
        if self.scope == 2:
            key = self.pids[i] if column < 0 else read(self.data[column], row)
            if key > 0:
                return self.cpus_limit + key if key <= self.pids_limit else -1
            if key < 0:
                return -1
        column = self.slots[slot + 2]
        cpu = self.cpus[i] if column < 0 else read(self.data[column], row)
        return cpu if 0 <= cpu < self.cpus_limit else -1

    def place(self, key):
        """Where the object of this id lives; a new one is given a place."""
        mask = len(self.places) - 1
        probe = spread(key) & mask
        place = self.places[probe]
        while place >= 0:
            if self.ids[place] == key:
                return place
            probe = (probe + 1) & mask
            place = self.places[probe]
        self.spare -= 1
        place = self.free[self.spare]
        self.ids[place] = key
        self.places[probe] = place
        return place

    def rehash(self, ids, places, free, taken):
        """Take other tables: ``ids`` of the objects by place, of which ``taken`` are in use, and
        ``free`` are not; the last is given away first. ``places`` is empty (-1), a power of two
        and larger than ``ids``."""
        self.ids, self.places, self.free = ids, places, free
        self.spare = len(self.free)
        mask = len(self.places) - 1
        for i in range(len(taken)):
            probe = spread(self.ids[taken[i]]) & mask
            while self.places[probe] >= 0:
                probe = (probe + 1) & mask
            self.places[probe] = taken[i]
