cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t

from rvfs._decoder._octets cimport (
    Marks, Numbers, Octets, Room, Words, decimal, digits, few_digits, find, is_blank, line_end, marks, numbers,
    octets, packed, room, same, spaces, token_end, word_end, words,
)

cdef int64_t BEYOND, LINE, COMM, COMM_END, PID, CPU, TIME, FLAGS, FLAGS_END, EVENT, EVENT_END, TEXT
cdef int64_t TEXT_END, HEAD, TP, HEAD_TIME, HEAD_CPU, HEAD_PID, NAME, PLACE, ORDER, SELECTED, KNOWN
cdef int64_t KNOWN_WORDS, TAB, NEWLINE, SPACE, DASH, DOT, COLON, OPEN, CLOSE, LEFT, RIGHT, EIGHT
cdef int64_t LETTER_S, LETTER_U, LONGEST_COMM, LOW

@cython.final
cdef class Lines:
    cdef const uint8_t[::1] data
    cdef int64_t[::1] kept
    cdef Octets p
    cdef Room heads
    cdef int64_t size
    cdef readonly int64_t count, left, at

    @cython.locals(p=Octets, other=Room, at=int64_t, end=int64_t, place=int64_t)
    cpdef read(self, int64_t[::1] heads, int64_t[::1] others)
    cpdef use(self, int64_t[::1] heads)
    @cython.locals(p=Octets, heads=Room, behind=int64_t, dash=int64_t)
    cdef inline bint head(self, int64_t at, int64_t end, int64_t row) noexcept
    @cython.locals(p=Octets, heads=Room, few=int64_t, start=int64_t)
    cdef inline bint behind_comm(self, int64_t at, int64_t row) noexcept
    @cython.locals(p=Octets, start=int64_t)
    cdef int64_t behind_tgid(self, int64_t at) noexcept
    @cython.locals(p=Octets, heads=Room, few=int64_t, start=int64_t, count=int64_t, value=int64_t, part=int64_t)
    cdef inline bint time(self, int64_t at, int64_t row) noexcept
    @cython.locals(p=Octets)
    cdef inline int64_t unit(self, int64_t at) noexcept

    @cython.locals(heads=Room, jump=Room, mark=Marks, jumped=int64_t, event=int64_t, time=int64_t)
    cpdef int64_t jumps(self, int64_t count, int64_t last, uint8_t[::1] cpus, int64_t[::1] found)
    @cython.locals(
        p=Octets, q=Octets, heads=Room, entries=Numbers, wanted=Room, bound=Room, width=int64_t, kinds=int64_t,
        count=int64_t, event=int64_t, row=int64_t, at=int64_t, size=int64_t, name=int64_t, k=int64_t,
        times=int64_t, cpus=int64_t, pids=int64_t, named=int64_t, placed=int64_t,
    )
    cpdef int64_t select(
        self, int64_t start, int64_t stop, const uint8_t[::1] names, const int64_t[::1] table, int64_t[::1] selected, int64_t[::1] bounds,
    )
    @cython.locals(
        p=Octets, heads=Room, events=Numbers, learned=Words, strange=Room, count=int64_t, k=int64_t, row=int64_t,
        pid=int64_t, at=int64_t, end=int64_t, place=int64_t, size=int64_t, changed=bint, name=uint64_t,
    )
    cpdef int64_t strangers(self, const int64_t[::1] places, uint64_t[::1] known, int64_t[::1] found)
    @cython.locals(
        p=Octets, place=Words, word=Words, count=int64_t, width=int64_t, row=int64_t, at=int64_t, end=int64_t, k=int64_t,
    )
    cpdef copy(self, uint64_t[::1] places, uint64_t[::1] out)
    @cython.locals(p=Octets, heads=Room, k=Py_ssize_t, row=int64_t, at=int64_t, size=int64_t, bits=int64_t, wide=int64_t)
    cpdef flags(self, const int64_t[::1] places, const int64_t[::1] letters, int64_t[::1] found, int64_t[::1] counts)
