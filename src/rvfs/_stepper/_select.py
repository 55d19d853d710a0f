# cython: boundscheck=False, wraparound=False, initializedcheck=False
# ruff: noqa: F821
# mypy: ignore-errors
"""Which letters the events of a batch bring to which instances.

This file is plain Python and its own twin: ``_select.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do. ``read``, ``within``, ``spread``, ``word``,
``of_share``, ``address``, ``has_wide`` and ``fill_wide`` are C's; the interpreted twin is given
its own.

What comes to an instance is a *word* of 64 bits, high ones first::

    32 instance | 16 position of the event in the piece | 16 letter, 0 for nothing

An event of a tracepoint has a fixed number of them, one for each *place*: an instance that
it concerns. So a first pass over the events finds those of each tracepoint and where their
words stand (their *spots*), and a second goes column by column, for each place over all
events of its tracepoint, with what it asks in registers; the order of events is kept without
sorting.

What comes to a place is told by questions: question ``n`` is four numbers, ``column, mask,
lowest, span``, and asks whether ``column & mask`` is one of ``lowest .. lowest + span`` (64
bits, without a sign: so one form does for all comparisons, signed or not). The answers, the
first one the lowest bit, are the index of the letter in the place's part of ``letters``.

On machines with AVX-512 ``_wide.h`` does the same for most monitors, eight events at a time.
"""

#: Of ``fill_wide`` (``_wide.h``): it is not for this piece.
NOT_WIDE = -3


class Selector:
    """Goes through a batch, a piece at a time.

    ``tracks`` is, by tracepoint number, 0 or one more than the number among those that matter
    here; ``widths``, by that number, how many places an event has. A place is seven numbers:
    its tracepoint, its offset in the event, the column with the key of the instance, that with
    the CPU (-1: the event's own), the first of its questions and how many they are, the first of
    its ``letters``. Letter ``l`` takes along the values of the columns
    ``load_columns[load_firsts[l]:load_firsts[l + 1]]``, ``heaviest`` at most.

    ``scope``: 0 global, 1 per CPU, 2 per task (an instance is its CPU for an idle task, else
    ``cpus_limit`` + pid), 3 per object (an instance is the place that its id was given). Both
    limits are powers of two. For each of the tracks, and a first one for all other events, there
    are ``piece`` spots: ``16 word | 16 event``, both counted from the first of the piece.
    ``numbers`` are those of the tracks; ``wide`` allows for what only some machines have. Of
    ``shares``, only what comes to instances of this ``share`` is written.

    ``fill`` writes ``words`` and ``values``. After it ``top`` is the largest instance seen,
    ``drops`` counts by letter those whose key was impossible.
    """

    def __init__(
        self, scope, cpus_limit, pids_limit, widest, heaviest, piece, tracks, widths, places,
        questions, letters, load_firsts, load_columns, data, lengths, cursors, counts, spots,
        answers, drops, words, values, numbers, wide, share, shares,
    ):  # fmt: skip
        self.numbers, self.wide = numbers, wide and has_wide()
        self.share, self.shares = share, shares
        self.scope, self.cpus_limit, self.pids_limit = scope, cpus_limit, pids_limit
        self.widest, self.heaviest, self.piece = widest, heaviest, piece
        self.tracks, self.widths = tracks, widths
        self.places, self.questions, self.letters = places, questions, letters
        self.load_firsts, self.load_columns = load_firsts, load_columns
        self.data, self.lengths, self.cursors, self.counts = data, lengths, cursors, counts
        self.spots, self.answers, self.drops = spots, answers, drops
        self.words, self.values = words, values
        self.spare = self.top = 0

    def begin(self, tps, cpus, pids, columns):
        """Go to the start of a batch; a column has one value for each event of its tracepoint, and
        ``lengths`` says how many they are."""
        self.held = (tps, cpus, pids, columns)
        self.tps, self.cpus, self.pids = address(tps), address(cpus), address(pids)
        for c in range(len(columns)):
            self.data[c] = address(columns[c])
        for t in range(len(self.cursors)):
            self.cursors[t] = 0

    def fill(self, begin, end, first):
        """Write what the events ``begin .. end - 1`` bring, from ``words[first]`` on; behind it.

        -1, and nothing done, if there may be no place for another object: see :meth:`rehash`. -2
        if there are more events than values.
        """
        if self.scope == 3 and self.spare < (end - begin) * self.widest:
            return -1
        last = fill_wide(self, begin, end, first) if self.wide else NOT_WIDE
        if last == NOT_WIDE:
            last = self.fill_each(begin, end, first)
        if last >= 0:
            for t in range(len(self.cursors)):
                self.cursors[t] += self.counts[t + 1]
            if self.shares > 1:
                self.leave_out(first, last)
        return last

    def leave_out(self, first, last):
        """Nothing comes to the instances of other shares: tasks and CPUs by their numbers, objects
        by their ids."""
        words, share, shares = self.words, self.share, self.shares
        if self.scope < 3:
            for i in range(first, last):
                words[i] = of_share(words[i], words[i] >> 32, share, shares)
            return
        for i in range(first, last):
            if words[i] & 0xFFFF:
                number = self.ids[words[i] >> 32] & 0x7FFFFFFF
                words[i] = of_share(words[i], number, share, shares)

    def fill_each(self, begin, end, first):
        """The same for any machine, and any monitor."""
        last = first + self.lay_out(begin, end)
        for t in range(len(self.cursors)):
            if self.cursors[t] + self.counts[t + 1] > self.lengths[t]:
                return -2
        for place in range(0, len(self.places), 7):
            t = self.places[place]
            if self.counts[t + 1]:
                self.fill_place(place, self.cursors[t], self.counts[t + 1], begin, first)
        return last

    def lay_out(self, begin, end):
        """Find the events of each tracepoint, and the spot of each; how many words they have."""
        tps, tracks, widths, most = self.tps, self.tracks, self.widths, len(self.tracks) - 1
        counts, spots, piece = self.counts, self.spots, self.piece
        for t in range(len(counts)):
            counts[t] = 0
        behind = 0
        for i in range(end - begin):
            tp = read(tps, begin + i)
            t = tracks[tp] if within(tp, 0, most) else 0
            spots[t * piece + counts[t]] = behind << 16 | i
            counts[t] += 1
            behind += widths[t]
        return behind

    def fill_place(self, place, row, count, begin, first):
        """What the ``count`` events from ``row`` on of its tracepoint bring to a place."""
        column, questions = self.places[place + 2], self.places[place + 5]
        self.ask(self.places[place + 4], questions, row, count)
        if self.scope < 3 and not self.heaviest:
            if self.scope == 1:
                column = self.places[place + 3]
            own = self.cpus if self.scope == 1 else self.pids
            keys, start = (own, begin) if column < 0 else (self.data[column], row)
            if self.put_all(place, keys, start, column < 0, questions > 0, count, begin, first):
                return
        self.put_each(place, row, count, begin, first)

    def ask(self, question, questions, row, count):
        """The answers for these events."""
        answers = self.answers
        for bit in range(questions):
            node = 4 * (question + bit)
            column, mask = self.data[self.questions[node]], self.questions[node + 1]
            lowest, span = self.questions[node + 2], self.questions[node + 3]
            if bit == 0:
                for r in range(count):
                    answers[r] = within(read(column, row + r) & mask, lowest, span)
            else:
                for r in range(count):
                    answers[r] |= within(read(column, row + r) & mask, lowest, span) << bit

    def put_all(self, place, keys, start, own, asked, count, begin, first):
        """The words of a place, as if each key were one of a task, or of a CPU; False if one is
        not, and then they must be written one by one. ``keys`` are, from ``start`` on, those of
        all events (``own``), or of its tracepoint's. Task 0 is the CPU's."""
        words, spots, answers, letters = self.words, self.spots, self.answers, self.letters
        spot, letter = (self.places[place] + 1) * self.piece, self.places[place + 6]
        first += self.places[place + 1]
        idle, cpus = self.scope == 2, self.cpus
        shift = self.cpus_limit if self.scope == 2 else 0
        limit = self.pids_limit if self.scope == 2 else self.cpus_limit
        every = 0 if self.scope == 0 else -1
        seen = seen_cpus = top = 0
        fixed = letters[letter]
        if idle and self.places[place + 3] >= 0:
            return False
        for r in range(count):
            at = spots[spot + r]
            key = read(keys, start + ((at & 0xFFFF) if own else r)) & every
            seen |= key
            key += shift
            if idle and key == shift:
                key = read(cpus, begin + (at & 0xFFFF))
                seen_cpus |= key
            top = max(top, key)
            words[first + (at >> 16)] = word(
                key, at & 0xFFFF, letters[letter + answers[r]] if asked else fixed
            )
        if not (within(seen, 0, limit - 1) and within(seen_cpus, 0, self.cpus_limit - 1)):
            return False
        self.top = max(self.top, top)
        return True

    def put_each(self, place, row, count, begin, first):
        """The words of a place, one by one."""
        spot, column = (self.places[place] + 1) * self.piece, self.places[place + 2]
        letters, asked = self.places[place + 6], self.places[place + 5] > 0
        first += self.places[place + 1]
        for r in range(count):
            at = begin + (self.spots[spot + r] & 0xFFFF)
            i = first + (self.spots[spot + r] >> 16)
            letter = self.letters[letters + (self.answers[r] if asked else 0)]
            instance = 0
            if letter:
                key = read(self.pids, at) if column < 0 else read(self.data[column], row + r)
                instance = self.instance(place, row + r, at, key)
                if instance < 0:
                    self.drops[letter] += 1
                    instance = letter = 0
                elif self.heaviest:
                    self.carry(letter, row + r, i)
            self.words[i] = word(instance, at - begin, letter)
            self.top = max(self.top, instance)

    def instance(self, place, row, at, key):
        """The instance of this key; -1 for an impossible one."""
        if self.scope == 0:
            return 0
        if self.scope == 3:
            return self.find(key)
        if self.scope == 2 and key:
            return self.cpus_limit + key if 0 < key <= self.pids_limit else -1
        column = self.places[place + 3]
        cpu = read(self.cpus, at) if column < 0 else read(self.data[column], row)
        return cpu if 0 <= cpu < self.cpus_limit else -1

    def carry(self, letter, row, i):
        """The values that a letter takes along."""
        held = i * self.heaviest
        for load in range(self.load_firsts[letter], self.load_firsts[letter + 1]):
            self.values[held] = read(self.data[self.load_columns[load]], row)
            held += 1

    def find(self, key):
        """Where the object of this id lives; a new one is given a place."""
        mask = len(self.lodgings) - 1
        probe = spread(key) & mask
        lodging = self.lodgings[probe]
        while lodging >= 0:
            if self.ids[lodging] == key:
                return lodging
            probe = (probe + 1) & mask
            lodging = self.lodgings[probe]
        self.spare -= 1
        lodging = self.free[self.spare]
        self.ids[lodging] = key
        self.lodgings[probe] = lodging
        return lodging

    def rehash(self, ids, lodgings, free, taken):
        """Take other tables: ``ids`` of the objects by instance, of which ``taken`` are in use, and
        ``free`` are not; the last is given away first. ``lodgings`` is empty (-1), a power of two
        and larger than ``ids``."""
        self.ids, self.lodgings, self.free = ids, lodgings, free
        self.spare = len(self.free)
        mask = len(self.lodgings) - 1
        for i in range(len(taken)):
            probe = spread(self.ids[taken[i]]) & mask
            while self.lodgings[probe] >= 0:
                probe = (probe + 1) & mask
            self.lodgings[probe] = taken[i]
