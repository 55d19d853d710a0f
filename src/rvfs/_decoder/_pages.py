# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# ruff: noqa: F821
# mypy: ignore-errors
"""Decodes pages of the kernel's ring buffer: the events of all CPUs in time order.

This file is plain Python and its own twin: ``_pages.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do. ``two``, ``four``, ``eight`` and the functions ``_of``
are C's (``_bytes.pxd``), as are the numbers of ``_layout.pxd``; the interpreted twin is given
its own.

A page is a time stamp (8 bytes), a commit word (a ``long`` of the machine: bytes used, and
the flags below), then events. An event starts with a 32-bit word of 5 bits ``type_len`` and
27 bits time delta, low bits first on little-endian machines, high bits first on others::

    type_len   meaning                      length
    1 .. 28    data of 4 * type_len bytes
    0          data                         next word, which it includes
    29         padding, or a discarded event  next word; with no time delta: to the end of the page
    30         time extend                  the next word is the delta's higher part
    31         absolute time stamp          the next word is its higher part

(include/linux/ring_buffer.h, kernel/trace/ring_buffer.c; ``header_page`` and ``header_event``
of the recording.)

Nothing checks an index here, and the bytes are anybody's: so every length that the pages
claim is held against the end of what they lie in before it is used. A lane never leaves its
part of the arena, a record never its page, and no record is taken that is too short for what is
wanted of it.
"""

#: A time stamp event has 59 bits; the others come from the time before it.
STAMP_MASK = (1 << 59) - 1
#: Beyond that a time can only be damage; what deltas add on one page cannot overflow 63 bits.
MAX_TIME, MAX_KEY = 1 << 62, (1 << 63) - 1
#: Nobody loses more: a larger number is none.
MAX_LOST = 1 << 40

#: What orders the end of what was found of a lane: it comes first, so that it is seen.
PAST = -1

#: Of the commit word.
COMMIT_MASK = (1 << 27) - 1
MISSED_EVENTS, MISSED_STORED = 1 << 31, 1 << 30


class Merge:
    """The lanes of a recording, merged: events of one time come from the lower lane first.

    ``data`` is the file, ``fields`` takes fields out of it. ``big``: the recorded machine had the
    lowest byte last. ``lanes`` has ``LANE`` numbers per CPU, ascending, and as many for a lane that
    never has an event; ``found`` has ``WINDOW`` numbers for each of them, ``queue`` more than
    ``CHUNK``, ``heap`` room for the lanes. ``slots`` and ``unknown`` (a count) go by
    ``common_type``, which lies at ``type_at`` of a record. dtypes: data uint8, slots int32,
    everything else int64.
    """

    def __init__(
        self, data, fields, lanes, found, queue, heap, slots, unknown, page_size, long_size, big,
        type_at,
    ):  # fmt: skip
        self.kept = data, lanes, found, queue, heap, slots, unknown
        self.data, self.lanes, self.heap = bytes_of(data), numbers_of(lanes), numbers_of(heap)
        self.found, self.queue = numbers_of(found), numbers_of(queue)
        self.slots, self.unknown = shorts_of(slots), numbers_of(unknown)
        self.size, self.page_size, self.long_size = len(heap), page_size, long_size
        self.fields, self.big, self.type_at = fields, big, type_at
        self.taken = self.count = self.lane = self.lost = self.reached = self.uncounted = 0
        self.noted = 0

    def want(self, plans):
        """``slots`` and what these plans need are what it is from now on."""
        self.wanted = plans
        self.needs = numbers_of(plans)
        for i in range(self.size):
            for at in range(self.lanes[i * LANE + POS], self.lanes[i * LANE + STOP], FOUND):
                start, size = self.found[at + START], self.found[at + WHAT] >> 32
                kind = two(self.data, start + self.type_at, self.big)
                self.found[at + WHAT] = pair(size, self.plan(kind, size))

    def plan(self, kind, size):
        """What is done with a record of this type and size."""
        plan = self.slots[kind]
        return TOO_SHORT if plan >= 0 and size < self.needs[plan + NEEDED] else plan

    def begin(self, plans, records, lengths, lengthy, rows, tps, times, cpus, pids):
        """Where the next events go.

        ``plans`` has ``PLAN`` numbers for each wanted tracepoint. At its cursor ``records`` gets
        the place of its next event's record and ``rows`` the event's place in the columns that
        follow, which have one entry per event. ``lengths`` are those of the last ``CHUNK`` records
        of each tracepoint, if they are wanted (``lengthy``).
        """
        self.used = plans, records, lengths, rows, tps, times, cpus, pids
        self.plans, self.records = numbers_of(plans), numbers_of(records)
        self.lengths, self.rows, self.lengthy = numbers_of(lengths), numbers_of(rows), lengthy
        self.tps, self.times = numbers_of(tps), numbers_of(times)
        self.cpus, self.pids = numbers_of(cpus), numbers_of(pids)
        self.taken = self.count = self.lost = 0

    def settle(self):
        """Find the next events of every lane that has none, as far as its bytes go."""
        for i in range(self.size):
            if self.lanes[i * LANE + POS] == self.lanes[i * LANE + STOP]:
                self.fill(i)

    def idle(self):
        """Whether some lane has no event."""
        for i in range(self.size):
            if self.lanes[i * LANE + POS] == self.lanes[i * LANE + STOP]:
                return True
        return False

    def first(self):
        """The lane whose event is the next one; -1 where none is known."""
        return self.heap[0] if self.order() else -1

    def take(self, limit, until):
        """Go on to ``limit`` events since :meth:`begin`, none later than ``until``; why it ended.

        Afterwards ``taken`` are the events, ``count`` those that were wanted, ``reached`` the
        time of the last one; ``lost`` are the events lost before the first one, on the CPU of
        ``lane``. For SHORT, too, ``lane`` is the one that is meant.
        """
        why = FULL
        while why == FULL and self.taken < limit:
            why = self.find(min(limit, self.taken + CHUNK), until)
            self.note()
            self.fields.gather()
        return why

    # -- merging -------------------------------------------------------------------------------

    def find(self, limit, until):
        """Find the order of the next events; why it ended.

        The two lanes that come first go on for as long as their events come before that of any
        other lane.
        """
        lanes, heap, why, size = self.lanes, self.heap, TURN, self.order()
        while size and why == TURN:
            i = heap[0]
            lane = i * LANE
            if self.taken >= limit:
                why = FULL
            elif self.found[lanes[lane + POS] + WHEN] > until:
                why = LATE
            elif lanes[lane + OWED] and self.taken:
                why = GAP
            else:
                if lanes[lane + OWED]:
                    self.lost, self.lane = lanes[lane + OWED], i
                    lanes[lane + OWED] = 0
                child = 0 if size < 2 else 2 if size > 2 and self.before(heap[2], heap[1]) else 1
                j, bound = heap[child] if child else self.size, until
                if lanes[j * LANE + OWED]:  # what was lost before it comes first
                    bound = min(bound, lanes[j * LANE + KEY] - 1)
                    j = self.size
                bound = min(bound, self.key_at(3 - child, size) - 1)
                bound = min(bound, self.key_at(2 * child + 1, size) - 1)
                bound = min(bound, self.key_at(2 * child + 2, size) - 1)
                why = self.run(min(i, j), max(i, j), bound, limit)
                if child:
                    self.sift(child, size)
                self.sift(0, size)
        return HUNGRY if why == TURN else why

    def run(self, low, high, bound, limit):
        """Take the first event of two lanes, and those behind it that are not beyond ``bound``.

        Which lane is next nobody can guess, so no branch depends on it; and as each choice waits
        for the one before, what orders the events behind the next ones is read ahead.
        """
        found, queue, to = self.found, self.queue, self.noted
        lanes, one, other = self.lanes, low * LANE, high * LANE
        a, b = lanes[one + POS], lanes[other + POS]
        start = latest = a + b
        stop = start + FOUND * (limit - self.taken)
        x, y = found[a + ORDER], found[b + ORDER]
        p, q = found[a + FOUND + ORDER], found[b + FOUND + ORDER]
        while True:
            lower = x <= y
            at = choose(lower, a, b)
            plan = signed(found[at + WHAT])
            if plan <= TOO_SHORT:
                break
            latest = queue[to] = at
            to += plan >= 0
            a += FOUND * lower
            b += FOUND * (1 - lower)
            x, y = choose(lower, p, x), choose(lower, y, q)
            p, q = found[a + FOUND + ORDER], found[b + FOUND + ORDER]
            if a + b >= stop or (x > bound and y > bound):
                break
        if a + b > start:
            self.taken += (a + b - start) // FOUND
            self.reached = found[latest + WHEN]
        self.noted = to
        lanes[one + POS], lanes[one + KEY] = a, x
        lanes[other + POS], lanes[other + KEY] = b, y
        if plan == TOO_SHORT:
            self.lane = choose(lower, low, high)
            return SHORT
        i = low if a == lanes[one + STOP] else high
        if lanes[i * LANE + POS] == lanes[i * LANE + STOP]:
            self.note()
            self.fill(i)
        return HUNGRY if lanes[i * LANE + POS] == lanes[i * LANE + STOP] else TURN

    def note(self):
        """The heads of the events that come next, in their order."""
        found, queue, plans, lanes = self.found, self.queue, self.plans, self.lanes
        tps, times, cpus = self.tps, self.times, self.cpus
        count = self.count
        for n in range(self.noted):
            at = queue[n]
            tps[count] = plans[signed(found[at + WHAT]) + NUMBER]
            times[count] = found[at + WHEN]
            cpus[count] = lanes[at // WINDOW * LANE + CPU]
            count += 1
        self.note_records()
        self.count, self.noted = count, 0

    def note_records(self):
        """Where the records are of the events that are noted, and who was running."""
        data, big, plans, found, queue = self.data, self.big, self.plans, self.found, self.queue
        records, rows, pids, count = self.records, self.rows, self.pids, self.count
        lengths, lengthy = self.lengths, self.lengthy
        for n in range(self.noted):
            at = queue[n]
            plan, record = signed(found[at + WHAT]), found[at + START]
            row, place = plans[plan + CURSOR], plans[plan + PID_AT]
            plans[plan + CURSOR] = row + 1
            records[row] = record
            rows[row] = count
            if lengthy:
                lengths[plan // PLAN * CHUNK + (row & (CHUNK - 1))] = found[at + WHAT] >> 32
            pids[count] = signed(four(data, record + place, big)) if place >= 0 else 0
            count += 1

    def key_at(self, place, size):
        """What orders the lane at this place of the heap."""
        return self.lanes[self.heap[place] * LANE + KEY] if place < size else MAX_KEY

    def before(self, a, b):
        """Whether the pending event of lane ``a`` comes before that of ``b``."""
        first, second = self.lanes[a * LANE + KEY], self.lanes[b * LANE + KEY]
        return first < second or (first == second and a < b)

    def order(self):
        """Make a heap of the lanes with a pending event; how many they are."""
        size = 0
        for i in range(self.size):
            if self.lanes[i * LANE + POS] < self.lanes[i * LANE + STOP]:
                self.heap[size] = i
                size += 1
        for at in range(size // 2 - 1, -1, -1):
            self.sift(at, size)
        return size

    def sift(self, at, size):
        """Let the lane at this place of the heap sink to where it belongs."""
        lane = self.heap[at]
        while True:
            child = 2 * at + 1
            if child >= size:
                break
            if child + 1 < size and self.before(self.heap[child + 1], self.heap[child]):
                child += 1
            if self.before(lane, self.heap[child]):
                break
            self.heap[at] = self.heap[child]
            at = child
        self.heap[at] = lane

    # -- pages ---------------------------------------------------------------------------------

    def fill(self, i):
        """Find the next events of a lane that has none; none where its bytes end, or at a fault.

        The first one only may have lost events before it.
        """
        data, big, lanes, lane, found = self.data, self.big, self.lanes, i * LANE, self.found
        at, end, time, key = (
            lanes[lane + AT], lanes[lane + END], lanes[lane + TIME], lanes[lane + LAST],
        )  # fmt: skip
        begin = to = i * WINDOW
        last = begin + WINDOW - 2 * FOUND if lanes[lane + FAULT] == FINE else begin
        while to < last:
            while to < last and at < end:  # the ordinary ones
                prefetch(data, at + AHEAD)
                head = four(data, at, big)
                if big:
                    kind, delta = head >> 27, head & 0x7FFFFFF
                else:
                    kind, delta = head & 31, head >> 5
                size = 4 * kind
                if kind == 0 or kind >= PADDING or at + 4 + size > end:
                    break
                time += delta
                key = max(key, time)
                self.put(to, key, time, at + 4, size)
                at += 4 + size
                to += FOUND
            if to >= last:
                break
            if at >= end:
                if lanes[lane + NEXT] >= lanes[lane + FILLED]:
                    break
                if (to > begin and self.missed(lane)) or not self.open_page(lane):
                    break
                at, end, time = lanes[lane + AT], lanes[lane + END], lanes[lane + TIME]
                continue
            if 0 < kind < PADDING:
                self.fail(lane, LONG_EVENT, at, 0)
                break
            if kind == PADDING and delta == 0:
                at = end
                continue
            if end - at < 8:
                self.fail(lane, CUT_EVENT, at, 0)
                break
            following = four(data, at + 4, big)
            behind = at + 8
            if kind == 0 and following < 8:
                self.fail(lane, BAD_LENGTH, at, following)
                break
            if kind == 0 or kind == PADDING:
                behind = at + 4 + max((following + 3) // 4 * 4, 4)
            if behind > end:
                self.fail(lane, LONG_EVENT, at, 0)
                break
            if kind <= PADDING:
                time += delta
            else:
                moved = (following << 27) + delta
                time = time + moved if kind == TIME_EXTEND else (time & ~STAMP_MASK) | moved
                if time > MAX_TIME:
                    self.fail(lane, BAD_TIME, at, time)
                    break
            if kind == 0:
                key = max(key, time)
                self.put(to, key, time, at + 8, following - 4)
                to += FOUND
            at = behind
        found[to + ORDER], found[to + WHAT] = PAST, ENDED
        lanes[lane + AT], lanes[lane + END] = at, end
        lanes[lane + TIME], lanes[lane + LAST] = time, key
        lanes[lane + POS], lanes[lane + STOP], lanes[lane + KEY] = begin, to, found[begin + ORDER]

    def put(self, to, key, time, start, size):
        """Note what was found of an event."""
        kind = two(self.data, start + self.type_at, self.big)
        plan = self.plan(kind, size)
        if plan == UNKNOWN:
            self.unknown[kind] += 1
        self.found[to + ORDER], self.found[to + WHEN] = key, time
        self.found[to + START], self.found[to + WHAT] = start, pair(size, plan)

    def missed(self, lane):
        """Whether events were lost before the lane's next page."""
        page = self.lanes[lane + NEXT]
        if page + 8 + self.long_size > self.lanes[lane + FILLED]:
            return False
        return self.number(page + 8, self.long_size) & MISSED_EVENTS != 0

    def open_page(self, lane):
        """Go to the lane's next page; False for one that is damaged."""
        lanes = self.lanes
        page = lanes[lane + NEXT]
        stop = min(page + self.page_size, lanes[lane + FILLED])
        data = page + 8 + self.long_size
        if data > stop:
            return self.fail(lane, BAD_PAGE, page, 0)
        time, commit = eight(self.data, page, self.big), self.number(page + 8, self.long_size)
        used = commit & COMMIT_MASK
        if time > MAX_TIME:
            return self.fail(lane, BAD_TIME_STAMP, page, 0)
        if used % 4 or data + used > stop:
            return self.fail(lane, BAD_COMMIT, page + 8, used)
        if commit & MISSED_EVENTS:
            missed = 0
            if commit & MISSED_STORED and data + used + self.long_size <= stop:
                missed = self.number(data + used, self.long_size)
            if not 0 < missed <= MAX_LOST:
                lanes[lane + UNCOUNTED] = self.uncounted = missed = 1
            lanes[lane + OWED] = min(lanes[lane + OWED] + missed, MAX_LOST)
        lanes[lane + AT], lanes[lane + END] = data, data + used
        lanes[lane + NEXT], lanes[lane + TIME] = page + self.page_size, time
        return True

    def fail(self, lane, fault, at, value):
        """The lane ends here; False."""
        self.lanes[lane + FAULT], self.lanes[lane + FAULT_AT] = fault, at
        self.lanes[lane + FAULT_VALUE] = value
        return False

    def number(self, at, size):
        """The unsigned number of 4 or 8 bytes there."""
        return four(self.data, at, self.big) if size == 4 else eight(self.data, at, self.big)
