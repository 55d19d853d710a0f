# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# ruff: noqa: F821
# mypy: ignore-errors
"""Decodes the texts of ftrace events: the fields behind the heads of :mod:`_lines`.

This file is plain Python and its own twin: ``_texts.pxd`` gives the types with which Cython
compiles it; what is said in ``_lines.py`` holds here. The patterns of ``source/event_text.py``
have the last word on what it leaves.
"""

#: Of a head: where its text begins and ends, at the newline.
TEXT, TEXT_END, HEAD = 10, 11, 12

#: The steps of a form, ``STEP`` numbers each: what to do; the words of a row before its column (-1:
#: nobody wants it); of a number whether it may have all 64 bits, of a text how long it may be;
#: place and length of the literal behind it.
NUMBER, WORDS, STATE, HEXADECIMAL, NOTHING, DONE = 0, 1, 2, 3, 4, 5
STEP = 5

#: A letter that is no task state; the plus behind the letters.
NO_STATE, PREEMPTED = -1, 0x100

#: What a form says of a text: it is not so written, it is, or ask the pattern (as a step says).
NO, YES, ASK, UNSURE = 0, 1, 2, -2
#: How often each byte of a text is looked at before the pattern is asked.
PATIENCE = 8

SPACE, PLUS, COMMA, DASH, EQUALS, UNDERSCORE, BAR = 32, 43, 44, 45, 61, 95, 124
ZERO, NINE, CAPITAL_A = 48, 57, 65
LETTER_A, LETTER_F, LETTER_X, LETTER_Z = 97, 102, 120, 122
WORD, MAX, LOW = (1 << 64) - 1, (1 << 63) - 1, (1 << 32) - 1


class Texts:
    """The forms in which an event is written.

    ``firsts`` are the first steps of the forms, tried in this order; the last one may be -1: ask
    the pattern. ``states``: the bits of each letter. None of the ``literals`` has a newline or is
    longer than what lies behind lines, and as much lies behind them.
    """

    def __init__(self, firsts, steps, literals, states):
        self.kept = firsts, steps, literals, states
        self.firsts, self.steps = numbers(firsts), numbers(steps)
        self.literals, self.states = octets(literals), numbers(states)
        self.forms, self.deepest = firsts.shape[0], steps.shape[0] // STEP

    def read(self, lines, places, out, misses):
        """The fields of these events of the lines, in ``out`` (uint64): a word per event for
        each number, and for each text its place and its end. Which are left is in ``misses``,
        how many is returned. Behind the columns ``out`` has two more words for each step.
        """
        heads, events, firsts, missed, left = (
            lines.heads, numbers(places), self.firsts, room(misses), 0,
        )  # fmt: skip
        self.p, self.out, self.count = lines.p, words(out), places.shape[0]
        self.stack = out.shape[0] - 2 * self.deepest
        for k in range(self.count):
            row, answer = HEAD * events[k], NO
            for form in range(self.forms):
                if firsts[form] < 0:
                    answer = ASK
                else:
                    answer = self.match(heads[row + TEXT], heads[row + TEXT_END], firsts[form], k)
                if answer != NO:
                    break
            missed[left] = k
            left += answer != YES
        return left

    def match(self, at, end, step, row):
        """Go through a form from its first step, each text as short as can be: NO, YES or ASK."""
        p, q, steps, out, count = self.p, self.literals, self.steps, self.out, self.count
        top, patience, step = self.stack, PATIENCE * (end - at + 1), STEP * step
        while True:
            kind, column = steps[step], steps[step + 1]
            if kind == WORDS:
                out[top], out[top + 1] = step, at
                top += 2
                if column >= 0:
                    out[column * count + 2 * row] = at
            else:
                place = column * count + row if column >= 0 else -1
                if kind == NUMBER:
                    at = self.number(at, place, steps[step + 2])
                elif kind == STATE:
                    at = self.state(at, place)
                elif kind == HEXADECIMAL:
                    at = self.hexadecimal(at, place, steps[step + 2])
                elif kind == DONE:
                    if at == end or self.is_end(at, end):
                        return YES
                    at = -1
                if at >= 0:
                    size = steps[step + 4]
                    if same(p, at, q, steps[step + 3], size):
                        at, step = at + size, step + STEP
                        continue
                elif at == UNSURE:
                    return ASK
            at = -1
            while top > self.stack and at < 0:  # the last text goes on, or that before it
                step, place = out[top - 2], out[top - 1]
                at = self.behind_words(place, end, step)
                patience -= (end if at < 0 else at) - place + 1
                top -= 2 * (at < 0)
            if at < 0:
                return NO
            out[top - 1] = at + 1
            column = steps[step + 1]
            if column >= 0:
                place = column * count + 2 * row
                out[place + 1] = at
                if at - out[place] > steps[step + 2]:
                    return ASK
            if patience < 0:
                return ASK
            at, step = at + steps[step + 4], step + STEP

    def behind_words(self, at, end, step):
        """Where, from here on, a text may end: what follows it stands there; or -1."""
        size = self.steps[step + 4]
        if size:
            return seek(self.p, at, end, self.literals, self.steps[step + 3], size)
        while at < end and not self.is_end(at, end):
            at += 1
        return at  # where all ends, if not before

    def is_end(self, at, end):
        """Whether nothing follows but white space or fields that newer kernels have added."""
        p, place = self.p, at
        if end - at <= 3:
            while place < end and is_blank(p[place]):
                place += 1
            if place == end:
                return True
        at += p[at] == COMMA
        if p[at] != SPACE or not (LETTER_A <= p[at + 1] <= LETTER_Z or p[at + 1] == UNDERSCORE):
            return False
        return p[word_end(p, at + 2)] == EQUALS

    # -- fields: behind them; -1: there is none here; or UNSURE ------------------------------------

    def number(self, at, place, unsigned):
        p = self.p
        negative = p[at] == DASH
        start = at + negative
        few = few_digits(p, start)
        at, value = start + (few >> 32), few & LOW
        if not few:
            at = digits(p, start)
            if at == start:
                return -1
            if at - start > 18:
                return UNSURE
            value = decimal(p, start, at)
        if negative:
            if unsigned:
                return UNSURE
            value = (0 - value) & WORD
        if place >= 0:
            self.out[place] = value
        return at

    def hexadecimal(self, at, place, unsigned):
        p, value = self.p, 0
        prefix = 2 if p[at] == ZERO and p[at + 1] == LETTER_X else 0
        start = at = at + prefix
        while ZERO <= p[at] <= NINE or LETTER_A <= p[at] <= LETTER_F:
            digit = p[at] - (ZERO if p[at] <= NINE else LETTER_A - 10)
            value = (value << 4 | digit) & WORD
            at += 1
        if at == start:
            return UNSURE if prefix else -1
        if at - start > 16 or (value > MAX and not unsigned):
            return UNSURE
        if place >= 0:
            self.out[place] = value
        return at

    def state(self, at, place):
        p, states, start, value = self.p, self.states, at, 0
        while True:
            if not CAPITAL_A <= p[at] <= LETTER_Z:
                return -1 if at == start else UNSURE
            if states[p[at]] < 0:
                return UNSURE
            value |= states[p[at]]
            at += 1
            if p[at] != BAR:
                break
            at += 1
        if p[at] == PLUS:
            value |= PREEMPTED
            at += 1
        elif CAPITAL_A <= p[at] <= LETTER_Z:
            return UNSURE
        if place >= 0:
            self.out[place] = value
        return at
