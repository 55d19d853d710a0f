cimport cython
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t

from rvfs._stepper._memory cimport address, of_share, read, spread, within, word

cdef extern from "_wide.h":
    cdef struct rvfs_wide:
        const int64_t *tps
        const int64_t *cpus
        const int64_t *pids
        const int64_t *numbers
        const int64_t *places
        const int64_t *questions
        const int64_t *data
        const uint16_t *letters
        const int64_t *cursors
        const int64_t *lengths
        int64_t *counts
        uint64_t *words
        int64_t tracks, number_of_places, widest, scope, cpus_limit, pids_limit, top
    bint has_wide "rvfs_has_wide"()
    int64_t rvfs_wide_fill(rvfs_wide *wide, int64_t begin, int64_t end, int64_t first)

cdef int64_t NOT_WIDE

cdef class Selector:
    cdef readonly Py_ssize_t top, spare
    cdef bint wide
    cdef int64_t share, shares
    cdef const int64_t[::1] numbers
    cdef Py_ssize_t scope, cpus_limit, pids_limit, widest, heaviest, piece
    cdef const int64_t[::1] places, questions, load_firsts, load_columns
    cdef const int32_t[::1] tracks, widths
    cdef const uint16_t[::1] letters
    cdef int64_t tps, cpus, pids
    cdef object held
    cdef int64_t[::1] data, lengths, cursors, counts, drops, values, ids
    cdef int32_t[::1] lodgings, free
    cdef uint32_t[::1] spots
    cdef uint16_t[::1] answers
    cdef uint64_t[::1] words

    @cython.locals(c=Py_ssize_t, t=Py_ssize_t)
    cpdef begin(
        self, const int64_t[::1] tps, const int64_t[::1] cpus, const int64_t[::1] pids, list columns
    )

    @cython.locals(t=Py_ssize_t, last=Py_ssize_t)
    cpdef Py_ssize_t fill(self, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t first) noexcept

    @cython.locals(
        words=uint64_t[::1], share=int64_t, shares=int64_t, i=Py_ssize_t, number=int64_t
    )
    cdef void leave_out(self, Py_ssize_t first, Py_ssize_t last) noexcept

    @cython.locals(t=Py_ssize_t, place=Py_ssize_t, last=Py_ssize_t)
    cdef Py_ssize_t fill_each(self, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t first) noexcept

    @cython.locals(
        tps=int64_t, tracks="const int32_t[::1]", widths="const int32_t[::1]", most=int64_t,
        counts=int64_t[::1], spots=uint32_t[::1], piece=Py_ssize_t, behind=uint32_t, i=uint32_t,
        tp=int64_t, t=Py_ssize_t,
    )
    cdef Py_ssize_t lay_out(self, Py_ssize_t begin, Py_ssize_t end) noexcept

    @cython.locals(
        column=Py_ssize_t, questions=Py_ssize_t, own=int64_t, keys=int64_t, start=Py_ssize_t
    )
    cdef void fill_place(
        self, Py_ssize_t place, Py_ssize_t row, Py_ssize_t count, Py_ssize_t begin,
        Py_ssize_t first
    ) noexcept

    @cython.locals(
        answers=uint16_t[::1], bit=Py_ssize_t, node=Py_ssize_t, column=int64_t, mask=int64_t,
        lowest=int64_t, span=int64_t, r=Py_ssize_t,
    )
    cdef void ask(
        self, Py_ssize_t question, Py_ssize_t questions, Py_ssize_t row, Py_ssize_t count
    ) noexcept

    @cython.locals(
        words=uint64_t[::1], spots="const uint32_t[::1]", answers="const uint16_t[::1]",
        letters="const uint16_t[::1]", spot=Py_ssize_t, letter=Py_ssize_t, lowest=int64_t,
        shift=int64_t, limit=int64_t, every=int64_t, seen=int64_t, top=int64_t, fixed=uint16_t,
        r=Py_ssize_t, at=uint32_t, key=int64_t, idle=bint, cpus=int64_t, cpu=int64_t,
        seen_cpus=int64_t,
    )
    cdef bint put_all(
        self, Py_ssize_t place, int64_t keys, Py_ssize_t start, bint own, bint asked,
        Py_ssize_t count, Py_ssize_t begin, Py_ssize_t first
    ) noexcept

    @cython.locals(
        spot=Py_ssize_t, column=Py_ssize_t, letters=Py_ssize_t, asked=bint, r=Py_ssize_t,
        at=Py_ssize_t, letter=Py_ssize_t, instance=int64_t, i=Py_ssize_t, key=int64_t,
    )
    cdef void put_each(
        self, Py_ssize_t place, Py_ssize_t row, Py_ssize_t count, Py_ssize_t begin,
        Py_ssize_t first
    ) noexcept

    @cython.locals(column=Py_ssize_t, cpu=int64_t)
    cdef int64_t instance(
        self, Py_ssize_t place, Py_ssize_t row, Py_ssize_t at, int64_t key
    ) noexcept

    @cython.locals(load=Py_ssize_t, held=Py_ssize_t)
    cdef void carry(self, Py_ssize_t letter, Py_ssize_t row, Py_ssize_t i) noexcept

    @cython.locals(mask=uint64_t, probe=uint64_t, lodging=int64_t)
    cdef int64_t find(self, int64_t key) noexcept

    @cython.locals(i=Py_ssize_t, mask=uint64_t, probe=uint64_t)
    cpdef rehash(self, ids, lodgings, free, const int32_t[::1] taken)


cdef inline int64_t fill_wide(Selector self, int64_t begin, int64_t end, int64_t first) noexcept:
    """Selector.fill by AVX-512, or NOT_WIDE."""
    cdef rvfs_wide w
    if self.cursors.shape[0] == 0 or self.places.shape[0] == 0:
        return NOT_WIDE
    w.tps, w.cpus = <const int64_t *><size_t>self.tps, <const int64_t *><size_t>self.cpus
    w.pids = <const int64_t *><size_t>self.pids
    w.numbers, w.places, w.data = &self.numbers[0], &self.places[0], &self.data[0]
    w.questions, w.letters = &self.questions[0], &self.letters[0]
    w.cursors, w.lengths, w.counts = &self.cursors[0], &self.lengths[0], &self.counts[0]
    w.words = &self.words[0]
    w.tracks, w.number_of_places = self.cursors.shape[0], self.places.shape[0] // 7
    w.widest = self.widest
    w.scope, w.cpus_limit, w.pids_limit = self.scope, self.cpus_limit, self.pids_limit
    w.top = 0
    cdef int64_t last = rvfs_wide_fill(&w, begin, end, first)
    if last >= 0 and w.top > self.top:
        self.top = w.top
    return last
