# cython: boundscheck=False, wraparound=False, initializedcheck=False
# ruff: noqa: F821
# mypy: ignore-errors
"""Which letters the events of a batch bring to which instances of one monitor.

This file is plain Python and its own twin: ``_select.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do. ``read``, ``within``, ``spread`` and ``address`` are C's
(``_memory.pxd``); the interpreted twin is given its own.

Work goes column by column: for each tracepoint, for each of its slots, all events of the
piece. What they bring is written to fixed *places*, ``width`` for each event of the batch, so
that the order of events is kept without sorting, and each loop has all it asks in registers.

A *slot* of a tracepoint is an instance that its events concern. Its decision program leads
to one letter, or to none: node ``n`` is six numbers, ``column, mask, lowest, span, yes, no``,
and asks whether ``column & mask`` is one of ``lowest .. lowest + span`` (64 bits, without a
sign: so one question does for all comparisons, signed or not). A target is the next node, or
``-1`` for no letter, or ``-2 - letter``.
"""


class Selector:
    """Goes through a batch, a piece at a time.

    A slot is five numbers: which of the monitor's tracepoints it is of, the place in the event,
    the target where its program begins, the column with the key of the instance and the column
    with the CPU; -1 is the event's own. Letter ``l`` takes along the values of the columns
    ``load_columns[load_firsts[l]:load_firsts[l + 1]]``.

    ``scope``: 0 global, 1 per CPU, 2 per task (an instance is its CPU for an idle task, else
    ``cpus_limit`` + pid), 3 per object (an instance is the place that its id was given).

    ``run`` fills ``letters`` (-1: nothing), ``instances`` and ``values``. After it ``top`` is the
    largest instance seen, ``dropped`` the letters whose key was impossible.
    """

    def __init__(
        self, scope, cpus_limit, pids_limit, width, heaviest, slots, nodes, load_firsts,
        load_columns, data, positions, lengths, cursors, letters, instances, values,
    ):  # fmt: skip
        self.scope, self.cpus_limit, self.pids_limit = scope, cpus_limit, pids_limit
        self.width, self.heaviest = width, heaviest
        self.slots, self.nodes = slots, nodes
        self.load_firsts, self.load_columns = load_firsts, load_columns
        self.data, self.positions, self.lengths, self.cursors = data, positions, lengths, cursors
        self.letters, self.instances, self.values = letters, instances, values
        self.dropped = self.spare = self.top = 0

    def begin(self, cpus, pids, columns, rows):
        """Go to the start of a batch: ``rows`` are, for each of the monitor's tracepoints, the
        positions of its events; a column has one value for each of them."""
        self.cpus, self.pids = cpus, pids
        self.columns, self.rows = columns, rows
        for c in range(len(columns)):
            self.data[c] = address(columns[c])
        for t in range(len(rows)):
            self.positions[t] = address(rows[t])
            self.lengths[t] = len(rows[t])
            self.cursors[t] = 0

    def next(self, end):
        """The position of the next event that concerns anybody; ``end`` if there is none."""
        for t in range(len(self.rows)):
            row = self.cursors[t]
            if row < self.lengths[t]:
                at = read(self.positions[t], row)
                if at < end:
                    end = at
        return end

    def run(self, begin, end, first):
        """Write what the events ``begin .. end - 1`` bring, from place ``first`` on.

        False, and nothing done, if there may be no place for another object: see :meth:`rehash`.
        """
        if self.scope == 3 and self.spare < (end - begin) * self.width:
            return False
        letters = self.letters
        for place in range(first, first + (end - begin) * self.width):
            letters[place] = -1
        origin = first - begin * self.width
        for slot in range(0, len(self.slots), 5):
            t = self.slots[slot]
            stop = self.stop(t, end)
            if self.cursors[t] < stop:
                self.fill(
                    slot, self.positions[t], self.cursors[t], stop, origin + self.slots[slot + 1]
                )
        for t in range(len(self.rows)):
            self.cursors[t] = self.stop(t, end)
        return True

    def stop(self, t, end):
        """The first event of a tracepoint that is not before ``end``."""
        low, high = self.cursors[t], self.lengths[t]
        while low < high:
            middle = (low + high) >> 1
            if read(self.positions[t], middle) < end:
                low = middle + 1
            else:
                high = middle
        return low

    def fill(self, slot, rows, row, stop, origin):
        """What the events ``row .. stop - 1`` of its tracepoint bring to a slot."""
        target, key_column = self.slots[slot + 2], self.slots[slot + 3]
        node = 6 * target
        if self.scope == 2 and key_column >= 0 and not self.heaviest:
            column, mask, lowest, span, yes, no = rows, 0, 0, 0, target, target
            if target >= 0:
                column, mask = self.data[self.nodes[node]], self.nodes[node + 1]
                lowest, span = self.nodes[node + 2], self.nodes[node + 3]
                yes, no = self.nodes[node + 4], self.nodes[node + 5]
            self.fill_tasks(slot, rows, row, stop, origin, column, mask, lowest, span, yes, no)
            return
        while row < stop:
            target = self.decide(self.slots[slot + 2], row)
            if target < -1:
                self.put(slot, rows, row, origin, -2 - target)
            row += 1

    def fill_tasks(self, slot, rows, row, stop, origin, column, mask, lowest, span, yes, no):
        """The same for tasks that a column names, where no value is taken along: the first
        question is in registers."""
        letters, instances, width = self.letters, self.instances, self.width
        keys, cpus_limit, pids_limit = (
            self.data[self.slots[slot + 3]], self.cpus_limit, self.pids_limit,
        )  # fmt: skip
        top = 0
        while row < stop:
            place = origin + read(rows, row) * width
            key = read(keys, row)
            target = yes if within(read(column, row) & mask, lowest, span) else no
            if target >= 0:
                target = self.decide(target, row)
            if 0 < key <= pids_limit:
                letters[place] = -2 - target
                instances[place] = cpus_limit + key
                top = max(top, key)
            elif target < -1:
                self.put(slot, rows, row, origin, -2 - target)
            row += 1
        if top:
            self.top = max(self.top, cpus_limit + top)

    def put(self, slot, rows, row, origin, letter):
        """A letter comes to an instance."""
        at = read(rows, row)
        column = self.slots[slot + 3]
        key = self.pids[at] if column < 0 else read(self.data[column], row)
        instance = self.instance(slot, row, at, key)
        if instance >= 0:
            place = origin + at * self.width
            self.letters[place] = letter
            self.instances[place] = instance
            self.top = max(self.top, instance)
            if self.heaviest:
                self.carry(letter, row, place)

    def decide(self, target, row):
        """Where a program ends."""
        while target >= 0:
            node = 6 * target
            target = self.nodes[
                node + 5 - within(
                    read(self.data[self.nodes[node]], row) & self.nodes[node + 1],
                    self.nodes[node + 2], self.nodes[node + 3],
                )
            ]  # fmt: skip
        return target

    def instance(self, slot, row, at, key):
        """The instance of this key; -1 for an impossible one, which is counted."""
        if self.scope == 0:
            return 0
        if self.scope == 3:
            return self.place(key)
        if self.scope == 2 and 0 < key <= self.pids_limit:
            return self.cpus_limit + key
        if self.scope == 2 and key:
            self.dropped += 1
            return -1
        column = self.slots[slot + 4]
        cpu = self.cpus[at] if column < 0 else read(self.data[column], row)
        if 0 <= cpu < self.cpus_limit:
            return cpu
        self.dropped += 1
        return -1

    def carry(self, letter, row, place):
        """The values that a letter takes along."""
        held = place * self.heaviest
        for load in range(self.load_firsts[letter], self.load_firsts[letter + 1]):
            self.values[held] = read(self.data[self.load_columns[load]], row)
            held += 1

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
