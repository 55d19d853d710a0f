# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# mypy: ignore-errors
"""Decodes lines of ftrace text: their heads, and the fields in the text behind.

This file is plain Python and its own twin: ``_lines.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do: memory views, whole numbers, attributes.

It takes what is written as it mostly is, and there finds what the patterns of
``source/text_lines.py`` and ``source/event_text.py`` would have found, which have the last
word on all that is left: a line it cannot read is no error, it is passed on. Places are those of
``data``; nothing is read at a place that was not held against the end of the line before.
"""

#: What is kept of a line that is an event, by row of ``heads``: where it begins; the names of
#: task and event, the flags and the text, each as place and end (both 0 where there is none).
LINE, COMM, COMM_END, PID, CPU, TIME = 0, 1, 2, 3, 4, 5
FLAGS, FLAGS_END, EVENT, EVENT_END, TEXT, TEXT_END = 6, 7, 8, 9, 10, 11
HEAD = 12

#: The steps of a form, ``STEP`` numbers each: what to do, the column (-1: nobody wants it); of
#: a literal its place and length, of a number whether it may have all 64 bits.
LITERAL, NUMBER, HEXADECIMAL, STATE, WORDS, DONE = 0, 1, 2, 3, 4, 5
STEP = 4

#: A letter that is no task state; the plus behind the letters.
NO_STATE, PREEMPTED = -1, 0x100

#: What a form says of a text: it is not so written, it is, or ask the pattern (as a step says).
NO, YES, ASK, UNSURE = 0, 1, 2, -2
#: How often each byte of a text is looked at before the pattern is asked.
PATIENCE = 8

#: Task names that were met before: in each place a pid, and the name in 4 words.
KNOWN, KNOWN_WORDS = 4096, 5

SPACE, TAB, DASH, DOT, COLON, PLUS, BAR = 32, 9, 45, 46, 58, 43, 124
OPEN, CLOSE, LEFT, RIGHT, COMMA, UNDERSCORE, EQUALS = 40, 41, 91, 93, 44, 95, 61
ZERO, EIGHT, NINE, CAPITAL_A, CAPITAL_Z = 48, 56, 57, 65, 90
LETTER_A, LETTER_F, LETTER_S, LETTER_U, LETTER_X, LETTER_Z = 97, 102, 115, 117, 120, 122
LONGEST_COMM, WORD, MAX = 32, (1 << 64) - 1, (1 << 63) - 1


class Lines:
    """The lines in ``data`` (bytes), of which each ends with its newline."""

    def __init__(self, data):
        self.data = data

    def is_digit(self, c):
        return ZERO <= c <= NINE

    def is_blank(self, c):
        """As ``\\s``."""
        return c == SPACE or TAB <= c <= 13

    def is_number(self, c):
        return self.is_digit(c) or c in (SPACE, DASH)

    def is_lower(self, c):
        return LETTER_A <= c <= LETTER_Z or c == UNDERSCORE

    def is_word(self, c):
        """As ``\\w``."""
        return self.is_lower(c) or CAPITAL_A <= c <= CAPITAL_Z or self.is_digit(c)

    def spaces(self, at, end):
        """Behind the spaces that begin here."""
        while at < end and self.data[at] == SPACE:
            at += 1
        return at

    def digits(self, at, end):
        """Behind the digits that begin here."""
        while at < end and self.is_digit(self.data[at]):
            at += 1
        return at

    def decimal(self, at, end):
        """The value of these digits, 18 at most."""
        value = 0
        while at < end:
            value = 10 * value + self.data[at] - ZERO
            at += 1
        return value

    # -- heads -------------------------------------------------------------------------------------

    def heads(self, ends, rows, others):
        """Find the events among the lines that end at ``ends``; how many they are.

        ``rows`` receives :data:`HEAD` rows with room for every line; ``others`` the lines that are
        left, as triples: begin, end, number of events before. All int64.
        """
        self.rows, self.capacity, self.row = rows, ends.shape[0], 0
        at, left = 0, 0
        for index in range(ends.shape[0]):
            end = ends[index]
            if self.head(at, end):
                self.rows[LINE * self.capacity + self.row] = at
                self.row += 1
            else:
                others[left], others[left + 1], others[left + 2] = at, end, self.row
                left += 3
            at = end + 1
        return self.row

    def note(self, what, start, end):
        """A place and an end, for the line that is being read."""
        place = what * self.capacity + self.row
        self.rows[place], self.rows[place + self.capacity] = start, end

    def head(self, at, end):
        """Whether the line is an event. The shortest name of a task is taken that leaves a head."""
        while at < end and (self.data[at] == SPACE or self.data[at] == TAB):
            at += 1
        dash, last = at + 1, min(at + LONGEST_COMM, end - 1)
        while dash <= last:
            if self.data[dash] == DASH and self.behind_comm(dash + 1, end):
                self.note(COMM, at, dash)
                return True
            dash += 1
        return False

    def behind_comm(self, at, end):
        """``PID (TGID) [CPU] FLAGS``; TGID, brackets and flags may be missing."""
        start, at = at, self.digits(at, end)
        if not 0 < at - start <= 10 or at >= end or self.data[at] != SPACE:
            return False
        self.rows[PID * self.capacity + self.row] = self.decimal(start, at)
        at = self.spaces(at, end)
        if at < end and self.data[at] == OPEN:
            at += 1
            while at < end and self.is_number(self.data[at]):
                at += 1
            if end - at < 2 or self.data[at] != CLOSE or self.data[at + 1] != SPACE:
                return False
            at = self.spaces(at + 1, end)
        if at < end and self.data[at] == LEFT:
            at += 1
        start, at = at, self.digits(at, end)
        if not 0 < at - start <= 5:
            return False
        self.rows[CPU * self.capacity + self.row] = self.decimal(start, at)
        if at < end and self.data[at] == RIGHT:
            at += 1
        start, at = at, self.spaces(at, end)
        if at >= end:
            return False
        self.note(FLAGS, 0, 0)
        if not self.is_digit(self.data[at]):
            start = at
            while at < end and not self.is_blank(self.data[at]):
                at += 1
            if self.data[start] in (LEFT, RIGHT) or not 3 <= at - start <= 12:
                return False
            self.note(FLAGS, start, at)
            start, at = at, self.spaces(at, end)
        return at > start and self.time(at, end)

    def time(self, at, end):
        """``4808.908091``, ``4808.908090837``, ``12us`` or ``117``, in ns, and what follows."""
        start, at = at, self.digits(at, end)
        count = at - start
        if not 0 < count <= 18:
            return False
        value = self.decimal(start, at)
        if at < end and self.data[at] == DOT:
            if count > 10 or (count == 10 and self.data[start] > EIGHT):
                return False
            start, at = at + 1, self.digits(at + 1, end)
            count = at - start
            if not 6 <= count <= 9:
                return False
            part = self.decimal(start, at)
            while count < 9:
                part, count = 10 * part, count + 1
            value = value * 1000000000 + part
            at = self.unit(at, end)
        elif count <= 15 and self.unit(at, end) > at:
            value *= 1000
            at = self.unit(at, end)
        at = self.spaces(at, end)
        if end - at < 2 or self.data[at] != COLON or self.data[at + 1] != SPACE:
            return False
        self.rows[TIME * self.capacity + self.row] = value
        at = self.spaces(at + 1, end)
        start = at
        while at < end and (self.is_word(self.data[at]) or self.data[at] == DOT):
            at += 1
        self.note(EVENT, 0, 0)
        if at > start and at < end and self.data[at] == COLON:
            self.note(EVENT, start, at)
            start = at + 1
            while start < end and (self.data[start] == SPACE or self.data[start] == TAB):
                start += 1
        self.note(TEXT, start, end)
        return True

    def unit(self, at, end):
        """Behind ``us`` and the mark for long delays, if that stands here."""
        if end - at < 2 or self.data[at] != LETTER_U or self.data[at + 1] != LETTER_S:
            return at
        at += 2
        return at + (at < end and self.data[at] != COLON and not self.is_blank(self.data[at]))

    # -- what is wanted of the heads ---------------------------------------------------------------

    def kinds(self, places, ends, names, table, found):
        """The number of each event, by its name; 0 where it is none of those in ``table``.

        ``table`` has triples: place and end in ``names``, number. ``found`` receives one per event.
        """
        self.literals = names
        for row in range(found.shape[0]):
            at, size, number = places[row], ends[row] - places[row], 0
            for entry in range(table.shape[0] // 3):
                start = table[3 * entry]
                if table[3 * entry + 1] - start == size and self.same(at, start, size):
                    number = table[3 * entry + 2]
                    break
            found[row] = number

    def same(self, at, start, size):
        """Whether so many bytes are those of the literals from ``start`` on."""
        stop = at + size
        while at < stop and self.data[at] == self.literals[start]:
            at, start = at + 1, start + 1
        return at == stop

    def strangers(self, pids, places, ends, known, found):
        """The rows whose task was not known by that name, in ``found``; how many they are.

        ``known`` (uint64) is what was learned before, :data:`KNOWN_WORDS` per place; a task
        that has to make room for another is a stranger when it comes again.
        """
        count = 0
        for row in range(pids.shape[0]):
            pid = pids[row]
            place = pid % KNOWN * KNOWN_WORDS
            changed = known[place] != pid + 1
            known[place] = pid + 1
            at, end = places[row], ends[row]
            for k in range(1, KNOWN_WORDS):
                value = self.packed(at, end)
                at += 8
                if known[place + k] != value:
                    known[place + k] = value
                    changed = True
            if changed:
                found[count] = row
                count += 1
        return count

    def packed(self, at, end):
        """Up to 8 bytes as a number, the first one the lowest."""
        value, shift = 0, 0
        while at < end and shift < 64:
            byte = self.data[at]
            value |= byte << shift
            at, shift = at + 1, shift + 8
        return value

    # -- texts -------------------------------------------------------------------------------------

    def texts(
        self, places, ends, forms, steps, literals, states, columns, values, stack, out, misses
    ):
        """The wanted fields of these texts in ``out``; how many rows are left, in ``misses``.

        ``forms`` are the first steps of the forms, tried in this order; the last one may be -1: ask
        the pattern. ``states``: the bits of each letter. ``columns``: where it begins in ``out``
        (uint64), the words of a row there, and whether they are a text. ``values`` (a pair per
        column, uint64) and ``stack`` (a pair per step) are for us alone.
        """
        self.steps, self.literals, self.states, self.columns = steps, literals, states, columns
        self.values, self.stack, self.out = values, stack, out
        left = 0
        for row in range(places.shape[0]):
            answer = NO
            for form in range(forms.shape[0]):
                first = forms[form]
                answer = ASK if first < 0 else self.match(places[row], ends[row], first)
                if answer != NO:
                    break
            if answer != YES or not self.keep(row):
                misses[left] = row
                left += 1
        return left

    def keep(self, row):
        """Write the values of a row; False where a text is longer than its column."""
        for column in range(self.columns.shape[0] // 3):
            words, own = self.columns[3 * column + 1], self.columns[3 * column + 2]
            place = self.columns[3 * column] + row * words
            first, second = self.values[2 * column], self.values[2 * column + 1]
            if own:
                if second - first > 8 * words:
                    return False
                for word in range(words):
                    self.out[place + word] = self.packed(first + 8 * word, second)
            else:
                self.out[place] = first
                if words == 2:
                    self.out[place + 1] = second
        return True

    def match(self, at, end, step):
        """Go through a form from its first step, each text as short as can be: NO, YES or ASK."""
        depth, patience = 0, PATIENCE * (end - at + 1)
        while True:
            kind, column = self.steps[STEP * step], self.steps[STEP * step + 1]
            if kind == WORDS:
                self.stack[2 * depth], self.stack[2 * depth + 1] = step, at
                depth += 1
                if column >= 0:
                    self.values[2 * column] = at
            else:
                if kind == DONE:
                    if self.is_end(at, end):
                        return YES
                    at = -1
                elif kind == LITERAL:
                    at = self.literal(at, end, step)
                else:
                    at = self.value(at, end, kind, column, self.steps[STEP * step + 2])
                if at >= 0:
                    step += 1
                    continue
                if at == UNSURE:
                    return ASK
            at = -1
            while depth and at < 0:  # the text that began last goes on, or that before it
                step, place = self.stack[2 * depth - 2], self.stack[2 * depth - 1]
                at = self.seek(place, end, step + 1)
                patience -= (end if at < 0 else at) - place + 1
                depth -= at < 0
            if at < 0:
                return NO
            if patience < 0:
                return ASK
            self.stack[2 * depth - 1] = at + 1
            column = self.steps[STEP * step + 1]
            if column >= 0:
                self.values[2 * column + 1] = at
            step += 1

    def literal(self, at, end, step):
        """Behind the literal of this step; -1 where it does not stand here."""
        place, size = self.steps[STEP * step + 2], self.steps[STEP * step + 3]
        return at + size if end - at >= size and self.same(at, place, size) else -1

    def seek(self, at, end, step):
        """Where, from here on, a text may end: the step behind it can be done there; or -1."""
        if self.steps[STEP * step] == DONE:
            while at < end and not self.is_end(at, end):
                at += 1
            return at  # where all ends, if not before
        place, size = self.steps[STEP * step + 2], self.steps[STEP * step + 3]
        first, last = self.literals[place], end - size
        while at <= last:
            if self.data[at] == first and self.same(at, place, size):
                return at
            at += 1
        return -1

    def is_end(self, at, end):
        """Whether nothing follows but white space or fields that newer kernels have added."""
        if end - at <= 3:
            place = at
            while place < end and self.is_blank(self.data[place]):
                place += 1
            if place == end:
                return True
        if at < end and self.data[at] == COMMA:
            at += 1
        if end - at < 3 or self.data[at] != SPACE or not self.is_lower(self.data[at + 1]):
            return False
        at += 2
        while at < end and self.is_word(self.data[at]):
            at += 1
        return at < end and self.data[at] == EQUALS

    def value(self, at, end, kind, column, unsigned):
        """Behind the number or state that stands here; -1: none does; or UNSURE."""
        start, found, negative, count = at, 0, False, 0
        if kind == STATE:
            while True:
                if at >= end or not (CAPITAL_A <= self.data[at] <= LETTER_Z):
                    return -1 if at == start else UNSURE
                if self.states[self.data[at]] < 0:
                    return UNSURE
                found |= self.states[self.data[at]]
                at += 1
                if at >= end or self.data[at] != BAR:
                    break
                at += 1
            if at < end and self.data[at] == PLUS:
                found |= PREEMPTED
                at += 1
            elif at < end and CAPITAL_A <= self.data[at] <= LETTER_Z:
                return UNSURE
        elif kind == NUMBER:
            negative = at < end and self.data[at] == DASH
            start = at + negative
            at = self.digits(start, end)
            count = at - start
            if count > 18 or (negative and unsigned):
                return UNSURE
            found = self.decimal(start, at)
        else:
            if end - at > 1 and self.data[at] == ZERO and self.data[at + 1] == LETTER_X:
                at += 2
            start = at
            while at < end and self.is_digit(self.data[at]) | (
                LETTER_A <= self.data[at] <= LETTER_F
            ):
                count = self.data[at] - (ZERO if self.data[at] <= NINE else LETTER_A - 10)
                found = (found << 4 | count) & WORD
                at += 1
            count = at - start
            if count > 16 or (found > MAX and not unsigned):
                return UNSURE
        if kind != STATE and count == 0:
            return UNSURE if start and self.data[start - 1] == LETTER_X else -1
        if column >= 0:
            self.values[2 * column] = (0 - found) & WORD if negative else found
        return at

    # -- flags -------------------------------------------------------------------------------------

    def marks(self, places, ends, letters, flags, counts):
        """``common_flags`` and ``common_preempt_count`` of each row, from the letters of its head.

        Columns: interrupts, reschedule, interrupt context, preemption depth, migration disabled;
        the last one is younger, and real-time kernels had one behind the second and one before the
        last. ``letters``: the bits of each letter, 256 per column.
        """
        for row in range(flags.shape[0]):
            at, size, bits = places[row], ends[row] - places[row], 0
            counts[row] = 0
            if size >= 4:
                wide = size >= 7
                bits = letters[self.data[at]] | letters[256 + self.data[at + 1]]
                if wide:
                    bits |= letters[256 + self.data[at + 2]]
                bits |= letters[512 + self.data[at + 2 + wide]]
                counts[row] = letters[768 + self.data[at + 3 + wide]]
                if size > 4:
                    counts[row] |= letters[768 + self.data[at + size - 1]] << 4
            flags[row] = bits
