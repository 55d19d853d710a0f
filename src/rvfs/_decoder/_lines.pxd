cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef int64_t LINE, COMM, COMM_END, PID, CPU, TIME, FLAGS, FLAGS_END, EVENT, EVENT_END, TEXT
cdef int64_t TEXT_END, HEAD, LITERAL, NUMBER, HEXADECIMAL, STATE, WORDS, DONE, STEP, NO_STATE
cdef int64_t PREEMPTED, NO, YES, ASK, UNSURE, PATIENCE, KNOWN, KNOWN_WORDS, SPACE, TAB, DASH
cdef int64_t DOT, COLON, PLUS, BAR, OPEN, CLOSE, LEFT, RIGHT, COMMA, UNDERSCORE, EQUALS, ZERO
cdef int64_t EIGHT, NINE, CAPITAL_A, CAPITAL_Z, LETTER_A, LETTER_F, LETTER_S, LETTER_U, LETTER_X
cdef int64_t LETTER_Z, LONGEST_COMM
cdef uint64_t WORD, MAX

@cython.final
cdef class Lines:
    cdef const uint8_t[::1] data, literals
    cdef int64_t[::1] rows, stack
    cdef const int64_t[::1] steps, states, columns
    cdef uint64_t[::1] values, out
    cdef Py_ssize_t capacity, row

    cdef inline bint is_digit(self, int64_t c) noexcept
    cdef inline bint is_blank(self, int64_t c) noexcept
    cdef inline bint is_number(self, int64_t c) noexcept
    cdef inline bint is_lower(self, int64_t c) noexcept
    cdef inline bint is_word(self, int64_t c) noexcept
    cdef inline Py_ssize_t spaces(self, Py_ssize_t at, Py_ssize_t end) noexcept
    cdef inline Py_ssize_t digits(self, Py_ssize_t at, Py_ssize_t end) noexcept
    @cython.locals(value=int64_t)
    cdef inline int64_t decimal(self, Py_ssize_t at, Py_ssize_t end) noexcept

    @cython.locals(at=Py_ssize_t, left=Py_ssize_t, index=Py_ssize_t, end=Py_ssize_t)
    cpdef int64_t heads(self, const int64_t[::1] ends, int64_t[::1] rows, int64_t[::1] others)
    @cython.locals(place=Py_ssize_t)
    cdef inline void note(self, Py_ssize_t what, int64_t start, int64_t end) noexcept
    @cython.locals(dash=Py_ssize_t, last=Py_ssize_t)
    cdef bint head(self, Py_ssize_t at, Py_ssize_t end) noexcept
    @cython.locals(start=Py_ssize_t)
    cdef bint behind_comm(self, Py_ssize_t at, Py_ssize_t end) noexcept
    @cython.locals(start=Py_ssize_t, count=Py_ssize_t, value=int64_t, part=int64_t)
    cdef bint time(self, Py_ssize_t at, Py_ssize_t end) noexcept
    cdef inline Py_ssize_t unit(self, Py_ssize_t at, Py_ssize_t end) noexcept

    @cython.locals(row=Py_ssize_t, at=Py_ssize_t, size=Py_ssize_t, number=int64_t, entry=Py_ssize_t, start=Py_ssize_t)
    cpdef kinds(self, const int64_t[::1] places, const int64_t[::1] ends, const uint8_t[::1] names, const int64_t[::1] table, int64_t[::1] found)
    @cython.locals(stop=Py_ssize_t)
    cdef inline bint same(self, Py_ssize_t at, Py_ssize_t start, Py_ssize_t size) noexcept
    @cython.locals(
        count=Py_ssize_t, row=Py_ssize_t, pid=int64_t, changed=bint, place=Py_ssize_t, at=Py_ssize_t, end=Py_ssize_t, k=Py_ssize_t,
        value=uint64_t,
    )
    cpdef int64_t strangers(
        self, const int64_t[::1] pids, const int64_t[::1] places, const int64_t[::1] ends, uint64_t[::1] known, int64_t[::1] found,
    )
    @cython.locals(value=uint64_t, byte=uint64_t, shift=int)
    cdef inline uint64_t packed(self, Py_ssize_t at, Py_ssize_t end) noexcept

    @cython.locals(left=Py_ssize_t, row=Py_ssize_t, answer=int64_t, form=Py_ssize_t, first=Py_ssize_t)
    cpdef int64_t texts(
        self, const int64_t[::1] places, const int64_t[::1] ends, const int64_t[::1] forms, const int64_t[::1] steps, const uint8_t[::1] literals,
        const int64_t[::1] states, const int64_t[::1] columns, uint64_t[::1] values, int64_t[::1] stack, uint64_t[::1] out, int64_t[::1] misses,
    )
    @cython.locals(
        column=Py_ssize_t, words=Py_ssize_t, own=bint, first=uint64_t, second=uint64_t, place=Py_ssize_t, word=Py_ssize_t,
    )
    cdef bint keep(self, Py_ssize_t row) noexcept
    @cython.locals(depth=Py_ssize_t, patience=int64_t, kind=int64_t, column=Py_ssize_t, place=Py_ssize_t)
    cdef int64_t match(self, Py_ssize_t at, Py_ssize_t end, Py_ssize_t step) noexcept
    @cython.locals(place=Py_ssize_t, size=Py_ssize_t)
    cdef inline Py_ssize_t literal(self, Py_ssize_t at, Py_ssize_t end, Py_ssize_t step) noexcept
    @cython.locals(place=Py_ssize_t, size=Py_ssize_t, first=int64_t, last=Py_ssize_t)
    cdef Py_ssize_t seek(self, Py_ssize_t at, Py_ssize_t end, Py_ssize_t step) noexcept
    @cython.locals(place=Py_ssize_t)
    cdef bint is_end(self, Py_ssize_t at, Py_ssize_t end) noexcept
    @cython.locals(start=Py_ssize_t, found=uint64_t, negative=bint, count=Py_ssize_t)
    cdef Py_ssize_t value(self, Py_ssize_t at, Py_ssize_t end, int64_t kind, Py_ssize_t column, bint unsigned) noexcept
    @cython.locals(row=Py_ssize_t, at=Py_ssize_t, size=Py_ssize_t, bits=int64_t, wide=Py_ssize_t)
    cpdef marks(self, const int64_t[::1] places, const int64_t[::1] ends, const int64_t[::1] letters, int64_t[::1] flags, int64_t[::1] counts)
