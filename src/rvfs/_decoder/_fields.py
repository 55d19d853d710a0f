# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# ruff: noqa: F821
# mypy: ignore-errors
"""The fields of records as columns, in words of 8 bytes.

This file is plain Python and its own twin: ``_fields.pxd`` gives the types with which Cython
compiles it. Keep it to what both can do; see ``_pages.py``, which says where the records are.

Nothing checks an index here. Who calls has seen to it that no record is shorter than the
fields wanted of it; a text is read in whole words, for which there are 7 bytes more behind the
file.
"""

WORD, TOP = (1 << 64) - 1, 1 << 63
ONES, TOPS = 0x0101010101010101, 0x8080808080808080


class Fields:
    """Takes fields out of the file ``data``; ``big``: its numbers have the lowest byte last."""

    def __init__(self, data, big):
        self.kept, self.data, self.big = data, bytes_of(data), big

    def begin(self, plans, records, lengths, columns, out):
        """Of which records, and where to: ``out`` (uint64) gets numbers in two's complement, and
        places and lengths of dynamic texts. ``columns`` has ``COLUMN`` numbers for each; like all
        others it is int64."""
        self.used = plans, records, lengths, columns, out
        self.plans, self.records, self.lengths = (
            numbers_of(plans), numbers_of(records), numbers_of(lengths),
        )  # fmt: skip
        self.columns, self.out, self.count = numbers_of(columns), words_of(out), len(columns)

    def gather(self):
        """The fields of the records that were found since the last time."""
        for column in range(0, self.count, COLUMN):
            kind, first = self.columns[column + KIND], self.columns[column + ROW]
            last = self.plans[self.columns[column + OF] + CURSOR]
            if kind in (DYNAMIC, RELATIVE):
                self.gather_places(column, first, last)
            else:
                self.gather_numbers(column, first, last)
            self.columns[column + ROW] = last

    def gather_numbers(self, column, first, last):
        data, big, records, out = self.data, self.big, self.records, self.out
        offset, size = self.columns[column + OFFSET], self.columns[column + SIZE]
        place = self.columns[column + OUT] - first
        sign = TOP >> (64 - 8 * size) if self.columns[column + KIND] == SIGNED else 0
        every = WORD
        if size == 4 and sign and not big:  # the ordinary number
            for row in range(first, last):
                out[place + row] = signed(four(data, records[row] + offset, False)) & every
        elif size == 4:
            for row in range(first, last):
                value = four(data, records[row] + offset, big)
                out[place + row] = ((value ^ sign) - sign) & every
        elif size == 8:
            for row in range(first, last):
                out[place + row] = eight(data, records[row] + offset, big)
        else:
            for row in range(first, last):
                at = records[row] + offset
                value = data[at] if size == 1 else two(data, at, big)
                out[place + row] = ((value ^ sign) - sign) & every
        self.columns[column + OUT] = place + last

    def gather_places(self, column, first, last):
        """Where a dynamic text lies, and how long it is: nothing of it outside its record."""
        offset, place = self.columns[column + OFFSET], self.columns[column + OUT]
        base = offset + 4 if self.columns[column + KIND] == RELATIVE else 0
        recent = self.columns[column + OF] // PLAN * CHUNK
        for row in range(first, last):
            at, length = self.records[row], self.lengths[recent + (row & (CHUNK - 1))]
            word = four(self.data, at + offset, self.big)
            start = base + (word & 0xFFFF)
            self.out[place] = at + start
            self.out[place + 1] = min(word >> 16, max(length - start, 0))
            place += 2
        self.columns[column + OUT] = place

    def texts(self, records, offset, size, out):
        """The texts of ``size`` bytes at this offset of records, in whole words (uint64, the first
        byte the lowest), up to the first NUL; what is behind it is 0."""
        data, places, words = self.data, numbers_of(records), words_of(out)
        wide, every, ones, tops = (size + 7) // 8, WORD, ONES, TOPS
        tail = every >> (8 * (8 * wide - size))
        to = 0
        for row in range(len(records)):
            at, keep = places[row] + offset, every
            for word in range(wide):
                value = eight(data, at + 8 * word, False) & keep
                if word == wide - 1:
                    value &= tail
                nul = (value - ones) & ~value & tops
                words[to] = value & (nul - 1) & ~nul & every
                to += 1
                if nul:
                    keep = 0
