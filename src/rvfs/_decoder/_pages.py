# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# mypy: ignore-errors
"""Decodes pages of the kernel's ring buffer: the events of all CPUs in time order, as columns.

This file is plain Python and its own twin: ``_pages.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do: memory views, whole numbers, attributes.

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
part of the arena, a record never its page, a field never its record; text is copied in words
of 8 bytes, for which the arena has 8 more at its end.
"""

#: What is kept of a CPU, ``LANE`` numbers. Places are those of the arena. The pending event is
#: the lane's next one; ``RECORD`` is 0 where there is none.
AT, END = 0, 1  # behind the pending event; the end of its page's events
NEXT, FILLED = 2, 3  # the page after it; the end of the bytes that were read in
TIME, KEY = 4, 5  # as recorded; what orders it, which never goes back, even where time does
RECORD, LENGTH = 6, 7  # the pending event's record
OWED, UNCOUNTED = 8, 9  # events lost before it; whether the kernel did not count them all
FAULT, FAULT_AT, FAULT_VALUE = 10, 11, 12  # what is wrong, or FINE; the lane ends there
CPU, LANE = 13, 14

#: What can be wrong.
FINE, BAD_PAGE, BAD_TIME_STAMP, BAD_COMMIT = 0, 1, 2, 3
CUT_EVENT, BAD_LENGTH, BAD_TIME, LONG_EVENT = 4, 5, 6, 7

#: Why :meth:`Merge.take` returned.
FULL = 0  # as many events as were asked for
HUNGRY = 1  # a lane has nothing pending: it needs bytes, has ended or is at fault
GAP = 2  # events were lost before the next one
LATE = 3  # the next one is later than asked for
SHORT = 4  # the next one's record is shorter than the fields wanted of it
TURN = 5  # it is another lane's turn: never the reason

#: A column that is wanted: the tracepoint's place among the wanted ones, offset and size of the
#: field, how it is stored, and where the column begins in ``out``.
SLOT, OFFSET, SIZE, KIND, BASE, COLUMN = 0, 1, 2, 3, 4, 5

#: How a field is stored: a number; characters, copied as words; ``__data_loc`` (or ``__rel_loc``,
#: counted from the end of the field), told as place and length.
UNSIGNED, SIGNED, TEXT, DYNAMIC, RELATIVE = 0, 1, 2, 3, 4

#: Of ``slots``, by ``common_type``: a wanted tracepoint's place, or one of these.
UNWANTED, UNKNOWN = -1, -2

#: Events whose records are found before their fields are gathered: they are in the cache then.
CHUNK = 512

PADDING, TIME_EXTEND = 29, 30
#: A time stamp event has 59 bits; the others come from the time before it.
STAMP_MASK = (1 << 59) - 1
#: Beyond that a time can only be damage; what deltas add on one page cannot overflow 63 bits.
MAX_TIME, MAX_KEY = 1 << 62, (1 << 63) - 1
#: Nobody loses more: a larger number is none.
MAX_LOST = 1 << 40

#: Of the commit word.
COMMIT_MASK = (1 << 27) - 1
MISSED_EVENTS, MISSED_STORED = 1 << 31, 1 << 30

WORD, TOP, HALF = (1 << 64) - 1, 1 << 63, 1 << 31
ONES, TOPS = 0x0101010101010101, 0x8080808080808080


class Merge:
    """The lanes of a recording, merged: events of one time come from the lower lane first.

    ``data`` is the arena, ``fours`` and ``eights`` are the numbers of 4 and 8 bytes that begin at
    each of its bytes, which only a ``swift`` machine can read: one that has the lowest byte first
    and minds no odd address. ``big``: the recorded machine had the lowest byte last. ``lanes`` has
    :data:`LANE` numbers per CPU, ascending; ``heap`` room for as many lanes. ``slots`` and
    ``unknown`` (a count) go by ``common_type``, which lies at ``type_at`` of a record.
    dtypes: data uint8, fours uint32, eights uint64, slots int32, everything else int64.
    """

    def __init__(
        self, data, fours, eights, swift, lanes, heap, slots, unknown,
        page_size, long_size, big, type_at,
    ):  # fmt: skip
        self.data, self.fours, self.eights, self.swift = data, fours, eights, swift
        self.lanes, self.heap, self.slots, self.unknown = lanes, heap, slots, unknown
        self.page_size, self.long_size, self.big, self.type_at = page_size, long_size, big, type_at
        self.quick = swift and not big
        self.taken = self.count = self.lane = self.lost = self.reached = 0

    def want(self, numbers, needed, pid_at, columns, rows, records, lengths, found):
        """Deliver these tracepoints and fields.

        By slot: ``numbers`` for the column of tracepoints, ``needed`` bytes of a record,
        ``pid_at`` of ``common_pid`` in it or -1; ``rows`` counts its events. ``columns``: the
        fields. ``records`` and ``lengths`` (slots x :data:`CHUNK`) and ``found`` (slots) are for
        us alone.
        """
        self.numbers, self.needed, self.pid_at, self.columns = numbers, needed, pid_at, columns
        self.rows, self.records, self.lengths, self.found = rows, records, lengths, found
        self.plain = self.quick and self.type_at == 0
        for slot in range(pid_at.shape[0]):
            if pid_at[slot] < 0:
                self.plain = False

    def begin(self, tps, times, cpus, pids, out):
        """Where the next events go: columns with one entry per event, and those of fields.

        ``out`` is uint64: numbers in two's complement, text in words, its first byte the lowest.
        """
        self.tps, self.times, self.cpus, self.pids, self.out = tps, times, cpus, pids, out
        self.taken = self.count = self.lost = 0
        for slot in range(self.rows.shape[0]):
            self.rows[slot] = 0

    def settle(self):
        """Find the pending event of every lane that has none, as far as its bytes go."""
        for i in range(self.heap.shape[0]):
            if self.lanes[i * LANE + RECORD] == 0 and self.lanes[i * LANE + FAULT] == FINE:
                self.advance(i)

    def first(self):
        """The lane whose event is the next one; -1 where none is pending."""
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
            self.gather()
        return why

    # -- merging -------------------------------------------------------------------------------

    def find(self, limit, until):
        """The heads of the next events, and where their records are; why it ended.

        One lane goes on for as long as its events come before that of the runner-up.
        """
        fours, slots, records, lengths = self.fours, self.slots, self.records, self.lengths
        tps, times, cpus, pids = self.tps, self.times, self.cpus, self.pids
        lanes, found, quick, type_at = self.lanes, self.found, self.quick, self.type_at
        taken, count, reached, plain, half = self.taken, self.count, self.reached, self.plain, HALF
        why, size = TURN, self.order()
        while size and why == TURN:
            i, other = self.heap[0], self.runner_up(size)
            bound = MAX_KEY if other < 0 else lanes[other * LANE + KEY] - (i > other)
            lane = i * LANE
            cpu, at, end = lanes[lane + CPU], lanes[lane + AT], lanes[lane + END]
            time, key = lanes[lane + TIME], lanes[lane + KEY]
            record, length = lanes[lane + RECORD], lanes[lane + LENGTH]
            owed = lanes[lane + OWED]
            while key <= bound:
                if taken >= limit or time > until or (owed and taken):
                    why = FULL if taken >= limit else LATE if time > until else GAP
                    break
                if owed:
                    self.lost, self.lane = owed, i
                    owed = lanes[lane + OWED] = 0
                kind = fours[record] & 0xFFFF if plain else self.number(record + type_at, 2)
                slot = slots[kind]
                if slot >= 0:
                    if length < self.needed[slot]:
                        self.lane = i
                        why = SHORT
                        break
                    row = found[slot]
                    found[slot] = row + 1
                    row += slot * CHUNK
                    records[row] = record
                    lengths[row] = length
                    tps[count] = self.numbers[slot]
                    times[count] = time
                    cpus[count] = cpu
                    place = self.pid_at[slot]
                    if plain:
                        pid = fours[record + place]
                    else:
                        pid = self.number(record + place, 4) if place >= 0 else 0
                    pids[count] = (pid ^ half) - half
                    count += 1
                elif slot == UNKNOWN:
                    self.unknown[kind] += 1
                taken += 1
                reached = time
                if quick and at < end:  # the ordinary event, found at once
                    head = fours[at]
                    kind = head & 31
                    if 0 < kind < PADDING and at + 4 + 4 * kind <= end:
                        record = at + 4
                        length = 4 * kind
                        at = record + length
                        time += head >> 5
                        key = time if time > key else key
                        continue
                lanes[lane + AT], lanes[lane + TIME], lanes[lane + KEY] = at, time, key
                self.advance(i)
                at, end = lanes[lane + AT], lanes[lane + END]
                time, key = lanes[lane + TIME], lanes[lane + KEY]
                record, length = lanes[lane + RECORD], lanes[lane + LENGTH]
                owed = lanes[lane + OWED]
                if record == 0:
                    why = HUNGRY
                    break
            lanes[lane + AT], lanes[lane + TIME], lanes[lane + KEY] = at, time, key
            lanes[lane + RECORD], lanes[lane + LENGTH] = record, length
            if why == TURN:
                self.sift(0, size)
        self.taken, self.count, self.reached = taken, count, reached
        return HUNGRY if why == TURN else why

    def before(self, a, b):
        """Whether the pending event of lane ``a`` comes before that of ``b``."""
        first, second = self.lanes[a * LANE + KEY], self.lanes[b * LANE + KEY]
        return first < second or (first == second and a < b)

    def order(self):
        """Make a heap of the lanes with a pending event; how many they are."""
        size = 0
        for i in range(self.heap.shape[0]):
            if self.lanes[i * LANE + RECORD]:
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

    def runner_up(self, size):
        """The lane that comes after the first one; -1 where there is no other."""
        if size < 2:
            return -1
        if size > 2 and self.before(self.heap[2], self.heap[1]):
            return self.heap[2]
        return self.heap[1]

    # -- pages ---------------------------------------------------------------------------------

    def advance(self, i):
        """Make the lane's next event the pending one; none where its bytes end, or at a fault."""
        lanes, lane = self.lanes, i * LANE
        at, end, time = lanes[lane + AT], lanes[lane + END], lanes[lane + TIME]
        lanes[lane + RECORD] = 0
        while True:
            if at >= end:
                lanes[lane + AT] = at
                if lanes[lane + NEXT] >= lanes[lane + FILLED] or not self.open_page(lane):
                    return
                at, end, time = lanes[lane + AT], lanes[lane + END], lanes[lane + TIME]
                continue
            start, size = at + 4, 0
            head = self.number(at, 4)
            if self.big:
                kind, delta = head >> 27, head & 0x7FFFFFF
            else:
                kind, delta = head & 31, head >> 5
            if 0 < kind < PADDING:
                size = 4 * kind
                behind = start + size
            elif kind == PADDING and delta == 0:
                at = end
                continue
            else:
                if end - at < 8:
                    self.fail(lane, CUT_EVENT, at, 0)
                    return
                following = self.number(at + 4, 4)
                behind = at + 8
                if kind == 0:
                    if following < 8:
                        self.fail(lane, BAD_LENGTH, at, following)
                        return
                    start, size = at + 8, following - 4
                    behind = at + 4 + (following + 3) // 4 * 4
                elif kind == PADDING:
                    behind = at + 4 + max((following + 3) // 4 * 4, 4)
            if behind > end:
                self.fail(lane, LONG_EVENT, at, 0)
                return
            at = behind
            if kind <= PADDING:
                time += delta
            else:
                moved = (following << 27) + delta
                time = time + moved if kind == TIME_EXTEND else (time & ~STAMP_MASK) | moved
                if time > MAX_TIME:
                    self.fail(lane, BAD_TIME, at - 8, time)
                    return
            if kind < PADDING:
                break
        lanes[lane + AT], lanes[lane + TIME] = at, time
        lanes[lane + RECORD], lanes[lane + LENGTH] = start, size
        if time > lanes[lane + KEY]:
            lanes[lane + KEY] = time

    def open_page(self, lane):
        """Go to the lane's next page; False for one that is damaged."""
        lanes = self.lanes
        page = lanes[lane + NEXT]
        stop = min(page + self.page_size, lanes[lane + FILLED])
        data = page + 8 + self.long_size
        if data > stop:
            return self.fail(lane, BAD_PAGE, page, 0)
        time, commit = self.number(page, 8), self.number(page + 8, self.long_size)
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
                lanes[lane + UNCOUNTED] = missed = 1
            lanes[lane + OWED] = min(lanes[lane + OWED] + missed, MAX_LOST)
        lanes[lane + AT], lanes[lane + END] = data, data + used
        lanes[lane + NEXT], lanes[lane + TIME] = page + self.page_size, time
        return True

    def fail(self, lane, fault, at, value):
        """The lane ends here; False."""
        self.lanes[lane + FAULT], self.lanes[lane + FAULT_AT] = fault, at
        self.lanes[lane + FAULT_VALUE] = value
        return False

    # -- fields --------------------------------------------------------------------------------

    def gather(self):
        """The fields of the records found, behind those that were gathered before."""
        for column in range(self.columns.shape[0]):
            slot = self.columns[column, SLOT]
            if self.found[slot]:
                kind = self.columns[column, KIND]
                if kind == TEXT:
                    self.gather_text(column, slot)
                elif kind in (DYNAMIC, RELATIVE):
                    self.gather_places(column, slot)
                else:
                    self.gather_numbers(column, slot)
        for slot in range(self.rows.shape[0]):
            self.rows[slot] += self.found[slot]
            self.found[slot] = 0

    def gather_numbers(self, column, slot):
        fours, out, records, first = self.fours, self.out, self.records, slot * CHUNK
        offset, size = self.columns[column, OFFSET], self.columns[column, SIZE]
        place = self.columns[column, BASE] + self.rows[slot]
        sign = TOP >> (64 - 8 * size) if self.columns[column, KIND] == SIGNED else 0
        every = WORD
        quick = self.quick and size == 4
        for k in range(self.found[slot]):
            at = records[first + k] + offset
            value = fours[at] if quick else self.number(at, size)
            out[place + k] = ((value ^ sign) - sign) & every

    def gather_text(self, column, slot):
        """Up to the first NUL; what is behind it is 0."""
        out, records, first = self.out, self.records, slot * CHUNK
        offset, size = self.columns[column, OFFSET], self.columns[column, SIZE]
        words = (size + 7) // 8
        place = self.columns[column, BASE] + self.rows[slot] * words
        every, ones, tops, eights, swift = WORD, ONES, TOPS, self.eights, self.swift
        tail = every >> (8 * (8 * words - size))
        for k in range(self.found[slot]):
            at, keep = records[first + k] + offset, every
            for word in range(words):
                value = (eights[at] if swift else self.eight(at)) & keep
                at += 8
                if word == words - 1:
                    value &= tail
                nul = (value - ones) & ~value & tops
                out[place] = value & (nul - 1) & ~nul & every
                place += 1
                if nul:
                    keep = 0

    def gather_places(self, column, slot):
        """Where a dynamic text lies, and how long it is: nothing of it outside its record."""
        offset, first = self.columns[column, OFFSET], slot * CHUNK
        place = self.columns[column, BASE] + 2 * self.rows[slot]
        base = offset + 4 if self.columns[column, KIND] == RELATIVE else 0
        for k in range(self.found[slot]):
            at, length = self.records[first + k], self.lengths[first + k]
            word = self.number(at + offset, 4)
            start = base + (word & 0xFFFF)
            self.out[place] = at + start
            self.out[place + 1] = min(word >> 16, max(length - start, 0))
            place += 2

    # -- bytes ---------------------------------------------------------------------------------

    def number(self, at, size):
        """The unsigned number of 1, 2, 4 or 8 bytes there."""
        if self.big:
            value = 0
            for k in range(size):
                value = value << 8 | self.data[at + k]
            return value
        if size == 4:
            return self.four(at)
        if size == 8:
            return self.eight(at)
        value = self.data[at]
        if size == 2:
            value |= self.data[at + 1] << 8
        return value

    def four(self, at):
        """4 bytes, the first one the lowest."""
        if self.swift:
            return self.fours[at]
        a, b, c, d = self.data[at], self.data[at + 1], self.data[at + 2], self.data[at + 3]
        return a | b << 8 | c << 16 | d << 24

    def eight(self, at):
        """8 bytes, the first one the lowest."""
        if self.swift:
            return self.eights[at]
        return self.four(at) | self.four(at + 4) << 32
