# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Decodes lines of ftrace text: their heads, and the fields in the text behind.

This file is plain Python and its own twin: ``_lines.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do: memory views, whole numbers, functions.

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

#: A letter that is no task state.
NO_STATE = -1
PREEMPTED = 0x100

#: What a form says of a text: it is not so written, it is, or ask the pattern.
NO, YES, ASK = 0, 1, 2
UNSURE = -2
#: How often each byte of a text is looked at before the pattern is asked.
PATIENCE = 8

#: Task names that were met before: in each place a pid, and the name in 4 words.
KNOWN, KNOWN_WORDS = 4096, 5

SPACE, TAB, LINE_END, DASH, DOT, COLON, PLUS, BAR = 32, 9, 10, 45, 46, 58, 43, 124
OPEN, CLOSE, LEFT, RIGHT, COMMA, UNDERSCORE, EQUALS = 40, 41, 91, 93, 44, 95, 61
ZERO, EIGHT, NINE, CAPITAL_A, CAPITAL_Z = 48, 56, 57, 65, 90
LETTER_A, LETTER_F, LETTER_S, LETTER_U, LETTER_X, LETTER_Z = 97, 102, 115, 117, 120, 122
LONGEST_COMM = 32
WORD, MAX = (1 << 64) - 1, (1 << 63) - 1


def is_digit(c):  # type: ignore[no-untyped-def]
    return ZERO <= c <= NINE


def is_blank(c):  # type: ignore[no-untyped-def]
    """As ``\\s``."""
    return c == SPACE or TAB <= c <= 13


def is_lower(c):  # type: ignore[no-untyped-def]
    return LETTER_A <= c <= LETTER_Z or c == UNDERSCORE


def is_word(c):  # type: ignore[no-untyped-def]
    """As ``\\w``."""
    return is_lower(c) or CAPITAL_A <= c <= CAPITAL_Z or is_digit(c)


def spaces(data, at, end):  # type: ignore[no-untyped-def]
    """Behind the spaces that begin here."""
    while at < end and data[at] == SPACE:
        at += 1
    return at


def digits(data, at, end):  # type: ignore[no-untyped-def]
    """Behind the digits that begin here."""
    while at < end and is_digit(data[at]):
        at += 1
    return at


def decimal(data, at, end):  # type: ignore[no-untyped-def]
    """The value of these digits, 18 at most."""
    value = 0
    while at < end:
        value = 10 * value + data[at] - ZERO
        at += 1
    return value


# -- heads -------------------------------------------------------------------------------------


def heads(data, ends, rows, others):  # type: ignore[no-untyped-def]
    """Find the events among the lines that end at ``ends``; how many they are.

    ``rows`` receives :data:`HEAD` rows with room for every line; ``others`` the lines that are
    left, as triples: begin, end, number of events before. All int64.
    """
    capacity, at, found, left = len(ends), 0, 0, 0
    for index in range(capacity):
        end = ends[index]
        if head(data, at, end, rows, capacity, found):
            rows[LINE * capacity + found] = at
            found += 1
        else:
            others[3 * left], others[3 * left + 1], others[3 * left + 2] = at, end, found
            left += 1
        at = end + 1
    return found


def head(data, at, end, rows, capacity, row):  # type: ignore[no-untyped-def]
    """Whether the line is an event. The shortest name of a task is taken that leaves a head."""
    while at < end and (data[at] == SPACE or data[at] == TAB):
        at += 1
    dash, last = at + 1, min(at + LONGEST_COMM, end - 1)
    while dash <= last:
        if data[dash] == DASH and behind_comm(data, dash + 1, end, rows, capacity, row):
            rows[COMM * capacity + row], rows[COMM_END * capacity + row] = at, dash
            return True
        dash += 1
    return False


def behind_comm(data, at, end, rows, capacity, row):  # type: ignore[no-untyped-def]
    """``PID (TGID) [CPU] FLAGS``; TGID, brackets and flags may be missing."""
    start, at = at, digits(data, at, end)
    if not 0 < at - start <= 10 or at >= end or data[at] != SPACE:
        return False
    rows[PID * capacity + row] = decimal(data, start, at)
    at = spaces(data, at, end)
    if at < end and data[at] == OPEN:
        at += 1
        while at < end and (is_digit(data[at]) or data[at] == SPACE or data[at] == DASH):
            at += 1
        if end - at < 2 or data[at] != CLOSE or data[at + 1] != SPACE:
            return False
        at = spaces(data, at + 1, end)
    if at < end and data[at] == LEFT:
        at += 1
    start, at = at, digits(data, at, end)
    if not 0 < at - start <= 5:
        return False
    rows[CPU * capacity + row] = decimal(data, start, at)
    if at < end and data[at] == RIGHT:
        at += 1
    start, at = at, spaces(data, at, end)
    if at >= end:
        return False
    rows[FLAGS * capacity + row] = rows[FLAGS_END * capacity + row] = 0
    if not is_digit(data[at]):
        start = at
        if data[at] == LEFT or data[at] == RIGHT:
            return False
        while at < end and not is_blank(data[at]):
            at += 1
        if not 3 <= at - start <= 12:
            return False
        rows[FLAGS * capacity + row], rows[FLAGS_END * capacity + row] = start, at
        start, at = at, spaces(data, at, end)
    return at > start and time(data, at, end, rows, capacity, row)


def time(data, at, end, rows, capacity, row):  # type: ignore[no-untyped-def]
    """``4808.908091``, ``4808.908090837``, ``12us`` or ``117``, in ns, and what follows."""
    start, at = at, digits(data, at, end)
    count = at - start
    if not 0 < count <= 18:
        return False
    value = decimal(data, start, at)
    if at < end and data[at] == DOT:
        if count > 10 or (count == 10 and data[start] > EIGHT):
            return False
        start, at = at + 1, digits(data, at + 1, end)
        count = at - start
        if not 6 <= count <= 9:
            return False
        part = decimal(data, start, at)
        while count < 9:
            part *= 10
            count += 1
        value = value * 1000000000 + part
        at = unit(data, at, end)
    elif unit(data, at, end) > at:
        if count > 15:
            return False
        value *= 1000
        at = unit(data, at, end)
    at = spaces(data, at, end)
    if end - at < 2 or data[at] != COLON or data[at + 1] != SPACE:
        return False
    rows[TIME * capacity + row] = value
    at = spaces(data, at + 1, end)
    start = at
    while at < end and (is_word(data[at]) or data[at] == DOT):
        at += 1
    rows[EVENT * capacity + row] = rows[EVENT_END * capacity + row] = 0
    if at > start and at < end and data[at] == COLON:
        rows[EVENT * capacity + row], rows[EVENT_END * capacity + row] = start, at
        start = at + 1
        while start < end and (data[start] == SPACE or data[start] == TAB):
            start += 1
    rows[TEXT * capacity + row], rows[TEXT_END * capacity + row] = start, end
    return True


def unit(data, at, end):  # type: ignore[no-untyped-def]
    """Behind ``us`` and the mark for long delays, if that stands here."""
    if end - at < 2 or data[at] != LETTER_U or data[at + 1] != LETTER_S:
        return at
    at += 2
    return at + 1 if at < end and data[at] != COLON and not is_blank(data[at]) else at


# -- what is wanted of the heads ---------------------------------------------------------------


def kinds(data, places, ends, names, table, found):  # type: ignore[no-untyped-def]
    """The number of each event, by its name; 0 where it is none of those in ``table``.

    ``table`` has triples: place and end in ``names``, number. ``found`` receives one per event.
    """
    for row in range(found.shape[0]):
        at, size, number = places[row], ends[row] - places[row], 0
        for entry in range(table.shape[0] // 3):
            start = table[3 * entry]
            if table[3 * entry + 1] - start == size and same(data, at, names, start, size):
                number = table[3 * entry + 2]
                break
        found[row] = number


def same(data, at, other, start, size):  # type: ignore[no-untyped-def]
    """Whether so many bytes are equal in both."""
    k = 0
    while k < size and data[at + k] == other[start + k]:
        k += 1
    return k == size


def strangers(data, pids, places, ends, known, found):  # type: ignore[no-untyped-def]
    """The rows whose task was not known by that name, in ``found``; how many they are.

    ``known`` (uint64) is what was learned before, :data:`KNOWN_WORDS` per place; a task that has to
    make room for another is a stranger when it comes again.
    """
    count = 0
    for row in range(pids.shape[0]):
        pid, changed = pids[row], False
        place = pid % KNOWN * KNOWN_WORDS
        if known[place] != pid + 1:
            known[place] = pid + 1
            changed = True
        at, end = places[row], ends[row]
        for k in range(1, KNOWN_WORDS):
            value = packed(data, at, end)
            at += 8
            if known[place + k] != value:
                known[place + k] = value
                changed = True
        if changed:
            found[count] = row
            count += 1
    return count


def packed(data, at, end):  # type: ignore[no-untyped-def]
    """Up to 8 bytes as a number, the first one the lowest."""
    value, shift = 0, 0
    while at < end and shift < 64:
        byte = data[at]
        value |= byte << shift
        at += 1
        shift += 8
    return value


# -- texts -------------------------------------------------------------------------------------


def texts(  # type: ignore[no-untyped-def]
    data, places, ends, forms, steps, literals, states, columns, values, stack, out, misses
):
    """The wanted fields of these texts in ``out``; how many rows are left, in ``misses``.

    ``forms`` are the first steps of the forms, tried in this order; the last one may be -1: ask
    the pattern. ``states``: the bits of each letter. ``columns``: where it begins in ``out``
    (uint64), the words of a row there, and whether they are a text's own. ``values`` (a pair per
    column, uint64) and ``stack`` (a pair per step) are for us alone.
    """
    left = 0
    for row in range(places.shape[0]):
        answer = NO
        for form in range(forms.shape[0]):
            first = forms[form]
            answer = ASK
            if first >= 0:
                answer = match(
                    data, places[row], ends[row], steps, first, literals, states, values, stack
                )
            if answer != NO:
                break
        if answer != YES or not keep(data, row, columns, values, out):
            misses[left] = row
            left += 1
    return left


def keep(data, row, columns, values, out):  # type: ignore[no-untyped-def]
    """Write the values of a row; False where a text is longer than its column."""
    for column in range(columns.shape[0] // 3):
        words, first, second = columns[3 * column + 1], values[2 * column], values[2 * column + 1]
        place = columns[3 * column] + row * words
        if columns[3 * column + 2]:
            if second - first > 8 * words:
                return False
            for word in range(words):
                out[place + word] = packed(data, first + 8 * word, second)
        else:
            out[place] = first
            if words == 2:
                out[place + 1] = second
    return True


def match(data, at, end, steps, step, literals, states, values, stack):  # type: ignore[no-untyped-def]
    """Go through a form from its first step, each text as short as can be: NO, YES or ASK."""
    depth, patience = 0, PATIENCE * (end - at + 1)
    while True:
        kind, column = steps[STEP * step], steps[STEP * step + 1]
        if kind == WORDS:
            stack[2 * depth], stack[2 * depth + 1] = step, at
            depth += 1
            if column >= 0:
                values[2 * column] = at
        else:
            if kind == DONE:
                if is_end(data, at, end):
                    return YES
                at = -1
            elif kind == LITERAL:
                at = literal(data, at, end, steps, step, literals)
            else:
                at = value(data, at, end, kind, column, steps[STEP * step + 2], states, values)
            if at >= 0:
                step += 1
                continue
            if at == UNSURE:
                return ASK
        at = -1
        while depth and at < 0:  # the text that began last goes on, or that before it
            step, place = stack[2 * depth - 2], stack[2 * depth - 1]
            at = seek(data, place, end, steps, step + 1, literals)
            patience -= (end if at < 0 else at) - place + 1
            depth -= at < 0
        if at < 0:
            return NO
        if patience < 0:
            return ASK
        stack[2 * depth - 1] = at + 1
        column = steps[STEP * step + 1]
        if column >= 0:
            values[2 * column + 1] = at
        step += 1


def literal(data, at, end, steps, step, literals):  # type: ignore[no-untyped-def]
    """Behind the literal of this step; -1 where it does not stand here."""
    place, size = steps[STEP * step + 2], steps[STEP * step + 3]
    return at + size if end - at >= size and same(data, at, literals, place, size) else -1


def seek(data, at, end, steps, step, literals):  # type: ignore[no-untyped-def]
    """Where, from here on, a text may end: the step behind it can be done there; or -1."""
    if steps[STEP * step] == DONE:
        while at < end and not is_end(data, at, end):
            at += 1
        return at  # where all ends, if not before
    place, size = steps[STEP * step + 2], steps[STEP * step + 3]
    first, last = literals[place], end - size
    while at <= last:
        if data[at] == first and same(data, at, literals, place, size):
            return at
        at += 1
    return -1


def is_end(data, at, end):  # type: ignore[no-untyped-def]
    """Whether nothing follows but white space or fields that newer kernels have added."""
    place = at
    while place < end and is_blank(data[place]):
        place += 1
    if place == end and end - at <= 3:
        return True
    if at < end and data[at] == COMMA:
        at += 1
    if end - at < 3 or data[at] != SPACE or not is_lower(data[at + 1]):
        return False
    at += 2
    while at < end and is_word(data[at]):
        at += 1
    return at < end and data[at] == EQUALS


def value(data, at, end, kind, column, unsigned, states, values):  # type: ignore[no-untyped-def]
    """Behind the number or state that stands here; -1: none does; UNSURE: one of another kind."""
    start, found, negative, count = at, 0, False, 0
    if kind == STATE:
        while True:
            if at >= end or not (CAPITAL_A <= data[at] <= LETTER_Z):
                return -1 if at == start else UNSURE
            if states[data[at]] < 0:
                return UNSURE
            found |= states[data[at]]
            at += 1
            if at >= end or data[at] != BAR:
                break
            at += 1
        if at < end and data[at] == PLUS:
            found |= PREEMPTED
            at += 1
        elif at < end and CAPITAL_A <= data[at] <= LETTER_Z:
            return UNSURE
    elif kind == NUMBER:
        negative = at < end and data[at] == DASH
        start = at + negative
        at = digits(data, start, end)
        count = at - start
        if count > 18 or (negative and unsigned):
            return UNSURE
        found = decimal(data, start, at)
    else:
        if end - at > 1 and data[at] == ZERO and data[at + 1] == LETTER_X:
            at += 2
        start = at
        while at < end and (is_digit(data[at]) or LETTER_A <= data[at] <= LETTER_F):
            count = data[at] - (ZERO if data[at] <= NINE else LETTER_A - 10)
            found = (found << 4 | count) & WORD
            at += 1
        count = at - start
        if count > 16 or (found > MAX and not unsigned):
            return UNSURE
    if kind != STATE and count == 0:
        return -1 if kind == NUMBER or start == 0 or data[start - 1] != LETTER_X else UNSURE
    if column >= 0:
        values[2 * column] = (0 - found) & WORD if negative else found
    return at


# -- flags -------------------------------------------------------------------------------------


def marks(data, places, ends, letters, flags, counts):  # type: ignore[no-untyped-def]
    """``common_flags`` and ``common_preempt_count`` of each row, from the letters of its head.

    Columns: interrupts, reschedule, interrupt context, preemption depth, migration disabled; the
    last one is younger, and real-time kernels had one between the second and the third and
    one before the last. ``letters``: the bits of each letter, 256 per column.
    """
    for row in range(flags.shape[0]):
        at, size, bits = places[row], ends[row] - places[row], 0
        counts[row] = 0
        if size >= 4:
            wide = 1 if size >= 7 else 0
            bits = letters[data[at]] | letters[256 + data[at + 1]]
            if wide:
                bits |= letters[256 + data[at + 2]]
            bits |= letters[512 + data[at + 2 + wide]]
            counts[row] = letters[768 + data[at + 3 + wide]]
            if size > 4:
                counts[row] |= letters[768 + data[at + size - 1]] << 4
        flags[row] = bits
