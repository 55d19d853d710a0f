# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# ruff: noqa: F821
# mypy: ignore-errors
"""Decodes lines of ftrace text: their heads, and which of them are wanted.

This file is plain Python and its own twin: ``_lines.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do: whole numbers, attributes, and memory views that are
pointers when compiled. What looks at many bytes (``spaces``, ``digits``, ``same``, …) is C's
(``_octets.pxd``); the interpreted twin is given that of ``_octets.py``.

It takes what is written as it mostly is, and there finds what the pattern of
``source/text_lines.py`` would have found, which has the last word on all that is left: a line
it cannot read is no error, it is passed on.

Nothing checks an index here, and the bytes are anybody's. Each line ends with a newline, which
is no part of anything that is looked for: so nothing goes on behind one, and only what may be
any byte, the name of a task, is held against the end of the line.
"""

#: How many bytes must lie behind the lines, for words of 8; the first one is a newline.
BEYOND = 64

#: What is kept of a line that is an event, ``HEAD`` numbers each: where it begins; the names of
#: task and event, the flags and the text, each as place and end (both 0 where there is none).
LINE, COMM, COMM_END, PID, CPU, TIME = 0, 1, 2, 3, 4, 5
FLAGS, FLAGS_END, EVENT, EVENT_END, TEXT, TEXT_END = 6, 7, 8, 9, 10, 11
HEAD = 12

#: Of the events that are wanted, by row: what a batch has of them, which name it was, and where
#: they are among the heads; then the latter once more, name by name.
TP, HEAD_TIME, HEAD_CPU, HEAD_PID, NAME, PLACE, ORDER = 0, 1, 2, 3, 4, 5, 6
SELECTED = 7

#: Task names that were met before: in each place a pid, the length of the name, and it in 4 words.
KNOWN, KNOWN_WORDS = 4096, 6

TAB, NEWLINE, SPACE, DASH, DOT, COLON = 9, 10, 32, 45, 46, 58
OPEN, CLOSE, LEFT, RIGHT = 40, 41, 91, 93
EIGHT, LETTER_S, LETTER_U = 56, 115, 117
LONGEST_COMM, LOW = 32, (1 << 32) - 1


class Lines:
    """Lines in the first ``size`` bytes of ``data``, behind which are :data:`BEYOND` more.

    When :meth:`read` has returned, ``count`` lines were events and ``left`` were not, and the
    last of them ends before ``at``.
    """

    def __init__(self, data, size):
        self.data, self.size = data, size
        if not 0 <= self.size <= self.data.shape[0] - BEYOND or self.data[self.size] != NEWLINE:
            raise ValueError("behind lines there must be a newline, and bytes that mean nothing")
        self.p = octets(self.data)
        self.count = self.left = self.at = 0

    # -- heads -------------------------------------------------------------------------------------

    def read(self, heads, others):
        """Find the events among the lines that are whole, as many as there is room for.

        ``heads`` receives :data:`HEAD` numbers for each, ``others`` the lines that are left, as
        triples: begin, end, number of events before. All int64.
        """
        self.use(heads)
        p, other, at = self.p, room(others), 0
        for _ in range(min(heads.shape[0] // HEAD, others.shape[0] // 3)):
            end = line_end(p, at, self.size)
            if end == self.size:
                break
            if self.head(at, end, HEAD * self.count):
                self.count += 1
            else:
                place = 3 * self.left
                other[place], other[place + 1], other[place + 2] = at, end, self.count
                self.left += 1
            at = end + 1
        self.at = at

    def use(self, heads):
        """Take these heads for those of the lines."""
        self.kept, self.heads = heads, room(heads)

    def head(self, at, end, row):
        """Whether the line is an event. The shortest name of a task is taken that leaves a head."""
        p, heads = self.p, self.heads
        heads[row + LINE] = at
        at = spaces(p, at)
        while p[at] == TAB:
            at = spaces(p, at + 1)
        behind = min(at + LONGEST_COMM + 1, end)
        dash = find(p, at + 1, behind, DASH)
        while dash < behind:
            if self.behind_comm(dash + 1, row):
                heads[row + COMM], heads[row + COMM_END], heads[row + TEXT_END] = at, dash, end
                return True
            dash = find(p, dash + 1, behind, DASH)
        return False

    def behind_comm(self, at, row):
        """``PID (TGID) [CPU] FLAGS``; TGID, brackets and flags may be missing."""
        p, heads = self.p, self.heads
        few, start = few_digits(p, at), at
        at = at + (few >> 32) if few else digits(p, at)
        if not 0 < at - start <= 10 or p[at] != SPACE:
            return False
        heads[row + PID] = few & LOW if few else decimal(p, start, at)
        at = spaces(p, at)
        if p[at] == OPEN:
            at = self.behind_tgid(at + 1)
            if p[at] != SPACE:
                return False
            at = spaces(p, at)
        at += p[at] == LEFT
        few = few_digits(p, at)
        if not 0 < few >> 32 <= 5:
            return False
        heads[row + CPU] = few & LOW
        at += few >> 32
        at += p[at] == RIGHT
        start, at = at, spaces(p, at)
        heads[row + FLAGS] = heads[row + FLAGS_END] = 0
        if digits(p, at) == at:
            start, at = at, token_end(p, at)
            if p[start] == LEFT or p[start] == RIGHT or not 3 <= at - start <= 12:
                return False
            heads[row + FLAGS], heads[row + FLAGS_END] = start, at
            start, at = at, spaces(p, at)
        return at > start and self.time(at, row)

    def behind_tgid(self, at):
        """Behind the bracket that closes after digits, spaces and dashes, or where that stops."""
        p, start = self.p, -1
        while at > start:
            start, at = at, spaces(p, digits(p, at))
            at += p[at] == DASH
        return at + 1 if p[at] == CLOSE else at

    def time(self, at, row):
        """``4808.908091``, ``4808.908090837``, ``12us`` or ``117``, in ns, and what follows."""
        p, heads = self.p, self.heads
        few, start = few_digits(p, at), at
        at = at + (few >> 32) if few else digits(p, at)
        count = at - start
        if not 0 < count <= 18:
            return False
        value = few & LOW if few else decimal(p, start, at)
        if p[at] == DOT:
            if count > 10 or (count == 10 and p[start] > EIGHT):
                return False
            few, start = few_digits(p, at + 1), at + 1
            at = start + (few >> 32) if few else digits(p, start)
            count = at - start
            if not 6 <= count <= 9:
                return False
            part = few & LOW if few else decimal(p, start, at)
            while count < 9:
                part, count = 10 * part, count + 1
            value = value * 1000000000 + part
            at = self.unit(at)
        elif count <= 15 and self.unit(at) > at:
            value *= 1000
            at = self.unit(at)
        at = spaces(p, at)
        if p[at] != COLON or p[at + 1] != SPACE:
            return False
        heads[row + TIME] = value
        start = at = spaces(p, at + 1)
        at = word_end(p, at)
        while p[at] == DOT:
            at = word_end(p, at + 1)
        heads[row + EVENT] = heads[row + EVENT_END] = 0
        if at > start and p[at] == COLON:
            heads[row + EVENT], heads[row + EVENT_END] = start, at
            start = at + 1
            while p[start] == SPACE or p[start] == TAB:
                start += 1
        heads[row + TEXT] = start
        return True

    def unit(self, at):
        """Behind ``us`` and the mark for long delays, if that stands here."""
        p = self.p
        if p[at] != LETTER_U or p[at + 1] != LETTER_S:
            return at
        at += 2
        return at + (p[at] != COLON and not is_blank(p[at]))

    # -- of events ---------------------------------------------------------------------------------

    def jumps(self, count, last, cpus, found):
        """Which of the first events have an earlier time than the one before (of the first one,
        ``last``), in ``found``; how many. ``cpus`` (uint8) is marked for each CPU.
        """
        heads, jump, mark, jumped = self.heads, room(found), marks(cpus), 0
        for event in range(count):
            time = heads[HEAD * event + TIME]
            mark[heads[HEAD * event + CPU]] = 1
            jump[jumped] = event
            jumped += time < last
            last = time
        return jumped

    def select(self, start, stop, names, table, selected, bounds):
        """Which of the events ``start .. stop - 1`` have a name in ``table``; how many they are.

        ``table`` has triples: place and length in ``names``, number. ``selected`` receives
        :data:`SELECTED` rows with room for all; the events of name ``n`` are there from
        ``bounds[n]`` to ``bounds[n + 1]``. There are two more ``bounds`` than names, 0 at first.
        """
        p, q, heads, entries, wanted = (
            self.p, octets(names), self.heads, numbers(table), room(selected),
        )  # fmt: skip
        width, bound, kinds, count = stop - start, room(bounds), bounds.shape[0] - 2, 0
        times, cpus, pids, named, placed = (
            HEAD_TIME * width, HEAD_CPU * width, HEAD_PID * width, NAME * width, PLACE * width,
        )  # fmt: skip
        for event in range(start, stop):
            row = HEAD * event
            at, size = heads[row + EVENT], heads[row + EVENT_END] - heads[row + EVENT]
            for name in range(kinds):
                if entries[3 * name + 1] == size and same(p, at, q, entries[3 * name], size):
                    wanted[count] = entries[3 * name + 2]
                    wanted[times + count] = heads[row + TIME]
                    wanted[cpus + count] = heads[row + CPU]
                    wanted[pids + count] = heads[row + PID]
                    wanted[named + count], wanted[placed + count] = name, event
                    bound[name + 2] += 1
                    count += 1
                    break
        for name in range(kinds):
            bound[name + 2] += bound[name + 1]
        for k in range(count):
            name = wanted[NAME * width + k]
            wanted[ORDER * width + bound[name + 1]] = wanted[PLACE * width + k]
            bound[name + 1] += 1
        return count

    def strangers(self, places, known, found):
        """Which of these events have a task not known by that name, in ``found``; how many.

        ``known`` (uint64) is what was learned before, :data:`KNOWN_WORDS` per place; a task
        that has to make room for another is a stranger when it comes again.
        """
        p, heads, events, learned, strange, count = (
            self.p, self.heads, numbers(places), words(known), room(found), 0,
        )  # fmt: skip
        for k in range(places.shape[0]):
            row = HEAD * events[k]
            pid, at, end = heads[row + PID], heads[row + COMM], heads[row + COMM_END]
            place, size = (pid & (KNOWN - 1)) * KNOWN_WORDS, end - at
            changed = (learned[place] != pid + 1) | (learned[place + 1] != size)
            learned[place], learned[place + 1] = pid + 1, size
            while at < end:
                name = packed(p, at, end)
                changed |= learned[place + 2] != name
                learned[place + 2] = name
                at, place = at + 8, place + 1
            strange[count] = events[k]
            count += changed
        return count

    def copy(self, places, out):
        """The texts between these pairs of places (uint64), each in as many words of ``out``."""
        p, place, word, count = self.p, words(places), words(out), places.shape[0] // 2
        width = out.shape[0] // count if count else 0
        for row in range(count):
            at, end = place[2 * row], place[2 * row + 1]
            for k in range(width):
                word[row * width + k] = packed(p, at + 8 * k, end)

    def flags(self, places, letters, found, counts):
        """``common_flags`` and ``common_preempt_count`` of these events, from the letters of heads.

        Columns: interrupts, reschedule, interrupt context, preemption depth, migration disabled;
        the last one is younger, and real-time kernels had one behind the second and one before the
        last. ``letters``: the bits of each letter, 256 per column.
        """
        p, heads = self.p, self.heads
        for k in range(places.shape[0]):
            row = HEAD * places[k]
            at, size, bits = heads[row + FLAGS], heads[row + FLAGS_END] - heads[row + FLAGS], 0
            counts[k] = 0
            if size >= 4:
                wide = size >= 7
                bits = letters[p[at]] | letters[256 + p[at + 1]]
                if wide:
                    bits |= letters[256 + p[at + 2]]
                bits |= letters[512 + p[at + 2 + wide]]
                counts[k] = letters[768 + p[at + 3 + wide]]
                if size > 4:
                    counts[k] |= letters[768 + p[at + size - 1]] << 4
            found[k] = bits
