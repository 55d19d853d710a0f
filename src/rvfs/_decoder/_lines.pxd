cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef int64_t LINE, COMM, COMM_END, PID, CPU, TIME, FLAGS, FLAGS_END, EVENT, EVENT_END, TEXT, TEXT_END, HEAD, LITERAL, NUMBER, HEXADECIMAL, STATE, WORDS, DONE, STEP, NO_STATE, PREEMPTED, NO, YES, ASK, UNSURE, PATIENCE, KNOWN, KNOWN_WORDS, SPACE, TAB, LINE_END, DASH, DOT, COLON, PLUS, BAR, OPEN, CLOSE, LEFT, RIGHT, COMMA, UNDERSCORE, EQUALS, ZERO, EIGHT, NINE, CAPITAL_A, CAPITAL_Z, LETTER_A, LETTER_F, LETTER_S, LETTER_U, LETTER_X, LETTER_Z, LONGEST_COMM
cdef uint64_t WORD, MAX

cdef inline bint is_digit(int64_t c) noexcept
cdef inline bint is_blank(int64_t c) noexcept
cdef inline bint is_lower(int64_t c) noexcept
cdef inline bint is_word(int64_t c) noexcept
cdef inline Py_ssize_t spaces(const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end) noexcept
cdef inline Py_ssize_t digits(const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end) noexcept
@cython.locals(value=int64_t)
cdef inline int64_t decimal(const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end) noexcept

@cython.locals(
    capacity=Py_ssize_t, at=Py_ssize_t, found=Py_ssize_t, left=Py_ssize_t, index=Py_ssize_t,
    end=Py_ssize_t,
)
cpdef int64_t heads(
    const uint8_t[::1] data, const int64_t[::1] ends, int64_t[::1] rows, int64_t[::1] others,
)
@cython.locals(dash=Py_ssize_t, last=Py_ssize_t)
cdef inline bint head(const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end, int64_t[::1] rows, Py_ssize_t capacity, Py_ssize_t row) noexcept
@cython.locals(start=Py_ssize_t)
cdef inline bint behind_comm(const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end, int64_t[::1] rows, Py_ssize_t capacity, Py_ssize_t row) noexcept
@cython.locals(start=Py_ssize_t, count=Py_ssize_t, value=int64_t, part=int64_t)
cdef inline bint time(const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end, int64_t[::1] rows, Py_ssize_t capacity, Py_ssize_t row) noexcept
cdef inline Py_ssize_t unit(const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end) noexcept

@cython.locals(row=Py_ssize_t, at=Py_ssize_t, size=Py_ssize_t, number=int64_t, entry=Py_ssize_t, start=Py_ssize_t)
cpdef kinds(
    const uint8_t[::1] data, const int64_t[::1] places, const int64_t[::1] ends, const uint8_t[::1] names, const int64_t[::1] table, int64_t[::1] found,
)
@cython.locals(k=Py_ssize_t)
cdef inline bint same(
    const uint8_t[::1] data, Py_ssize_t at, const uint8_t[::1] other, Py_ssize_t start, Py_ssize_t size,
) noexcept
@cython.locals(
    count=Py_ssize_t, row=Py_ssize_t, pid=int64_t, changed=bint, place=Py_ssize_t, at=Py_ssize_t, end=Py_ssize_t, k=Py_ssize_t,
    value=uint64_t,
)
cpdef int64_t strangers(
    const uint8_t[::1] data, const int64_t[::1] pids, const int64_t[::1] places, const int64_t[::1] ends, uint64_t[::1] known, int64_t[::1] found,
)
@cython.locals(value=uint64_t, byte=uint64_t, shift=int)
cdef inline uint64_t packed(const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end) noexcept

@cython.locals(left=Py_ssize_t, row=Py_ssize_t, answer=int64_t, form=Py_ssize_t, first=Py_ssize_t)
cpdef int64_t texts(
    const uint8_t[::1] data, const int64_t[::1] places, const int64_t[::1] ends, const int64_t[::1] forms, const int64_t[::1] steps, const uint8_t[::1] literals,
    const int64_t[::1] states, const int64_t[::1] columns, uint64_t[::1] values, int64_t[::1] stack, uint64_t[::1] out, int64_t[::1] misses,
)
@cython.locals(column=Py_ssize_t, words=Py_ssize_t, first=uint64_t, second=uint64_t, place=Py_ssize_t, word=Py_ssize_t)
cdef inline bint keep(
    const uint8_t[::1] data, Py_ssize_t row, const int64_t[::1] columns, uint64_t[::1] values, uint64_t[::1] out,
) noexcept
@cython.locals(depth=Py_ssize_t, patience=int64_t, kind=int64_t, column=Py_ssize_t, place=Py_ssize_t)
cdef inline int64_t match(
    const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end, const int64_t[::1] steps, Py_ssize_t step, const uint8_t[::1] literals, const int64_t[::1] states,
    uint64_t[::1] values, int64_t[::1] stack,
) noexcept
@cython.locals(place=Py_ssize_t, size=Py_ssize_t)
cdef inline Py_ssize_t literal(
    const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end, const int64_t[::1] steps, Py_ssize_t step, const uint8_t[::1] literals,
) noexcept
@cython.locals(place=Py_ssize_t, size=Py_ssize_t, first=int64_t, last=Py_ssize_t)
cdef inline Py_ssize_t seek(
    const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end, const int64_t[::1] steps, Py_ssize_t step, const uint8_t[::1] literals,
) noexcept
@cython.locals(place=Py_ssize_t)
cdef inline bint is_end(const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end) noexcept
@cython.locals(start=Py_ssize_t, found=uint64_t, negative=bint, count=Py_ssize_t)
cdef inline Py_ssize_t value(
    const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end, int64_t kind, Py_ssize_t column, bint unsigned, const int64_t[::1] states,
    uint64_t[::1] values,
) noexcept
@cython.locals(row=Py_ssize_t, at=Py_ssize_t, size=Py_ssize_t, bits=int64_t, wide=Py_ssize_t)
cpdef marks(
    const uint8_t[::1] data, const int64_t[::1] places, const int64_t[::1] ends, const int64_t[::1] letters, int64_t[::1] flags, int64_t[::1] counts,
)
