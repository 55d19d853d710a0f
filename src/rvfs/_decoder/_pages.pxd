cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef int64_t AT, END, NEXT, FILLED, TIME, KEY, RECORD, LENGTH, OWED, UNCOUNTED, FAULT, FAULT_AT
cdef int64_t FAULT_VALUE, CPU, LANE, FINE, BAD_PAGE, BAD_TIME_STAMP, BAD_COMMIT, CUT_EVENT
cdef int64_t BAD_LENGTH, BAD_TIME, LONG_EVENT, FULL, HUNGRY, GAP, LATE, SHORT, TURN, SLOT
cdef int64_t OFFSET, SIZE, KIND, BASE, COLUMN, UNSIGNED, SIGNED, TEXT, DYNAMIC, RELATIVE
cdef int64_t UNWANTED, UNKNOWN, CHUNK, PADDING, TIME_EXTEND, STAMP_MASK, MAX_TIME, MAX_KEY
cdef int64_t MAX_LOST, COMMIT_MASK, MISSED_EVENTS, MISSED_STORED, HALF
cdef uint64_t WORD, TOP, ONES, TOPS

@cython.final
cdef class Merge:
    cdef const uint8_t[::1] data
    cdef uint32_t[:] fours
    cdef uint64_t[:] eights
    cdef int64_t[::1] lanes, heap, unknown
    cdef int32_t[::1] slots
    cdef Py_ssize_t page_size, long_size, type_at
    cdef bint big, swift, quick, plain
    cdef readonly int64_t taken, count, lane, lost, reached
    cdef const int64_t[::1] numbers, needed, pid_at
    cdef const int64_t[:, ::1] columns
    cdef int64_t[::1] records, lengths
    cdef int64_t[::1] rows, found
    cdef int64_t[::1] tps, times, cpus, pids
    cdef uint64_t[::1] out

    @cython.locals(slot=Py_ssize_t)
    cpdef want(
        self, const int64_t[::1] numbers, const int64_t[::1] needed, const int64_t[::1] pid_at,
        const int64_t[:, ::1] columns, int64_t[::1] rows, int64_t[::1] records,
        int64_t[::1] lengths, int64_t[::1] found,
    )
    @cython.locals(slot=Py_ssize_t)
    cpdef begin(
        self, int64_t[::1] tps, int64_t[::1] times, int64_t[::1] cpus, int64_t[::1] pids,
        uint64_t[::1] out,
    )
    @cython.locals(i=Py_ssize_t)
    cpdef settle(self)
    cpdef int64_t first(self)
    @cython.locals(why=int64_t)
    cpdef int64_t take(self, int64_t limit, int64_t until)

    @cython.locals(
        fours=uint32_t[:], slots=int32_t[::1], records=int64_t[::1], lengths=int64_t[::1],
        tps=int64_t[::1], times=int64_t[::1], cpus=int64_t[::1], pids=int64_t[::1],
        lanes=int64_t[::1], found=int64_t[::1], quick=bint, type_at=Py_ssize_t, taken=int64_t,
        count=Py_ssize_t, reached=int64_t, plain=bint, half=int64_t, why=int64_t, size=Py_ssize_t, i=Py_ssize_t, other=Py_ssize_t,
        bound=int64_t, lane=Py_ssize_t, cpu=int64_t, at=Py_ssize_t, end=Py_ssize_t, time=int64_t,
        key=int64_t, record=Py_ssize_t, length=int64_t, owed=int64_t, kind=int64_t,
        slot=Py_ssize_t, row=Py_ssize_t, place=Py_ssize_t, pid=int64_t, head=int64_t,
    )
    cdef int64_t find(self, int64_t limit, int64_t until) noexcept
    @cython.locals(first=int64_t, second=int64_t)
    cdef inline bint before(self, Py_ssize_t a, Py_ssize_t b) noexcept
    @cython.locals(size=Py_ssize_t, i=Py_ssize_t, at=Py_ssize_t)
    cdef Py_ssize_t order(self) noexcept
    @cython.locals(lane=int64_t, child=Py_ssize_t)
    cdef void sift(self, Py_ssize_t at, Py_ssize_t size) noexcept
    cdef inline Py_ssize_t runner_up(self, Py_ssize_t size) noexcept

    @cython.locals(
        lanes=int64_t[::1], lane=Py_ssize_t, at=Py_ssize_t, end=Py_ssize_t, time=int64_t, start=Py_ssize_t, size=Py_ssize_t,
        behind=Py_ssize_t, head=int64_t, kind=int64_t, delta=int64_t, following=int64_t,
        moved=int64_t,
    )
    cdef inline void advance(self, Py_ssize_t i) noexcept
    @cython.locals(
        lanes=int64_t[::1], page=Py_ssize_t, stop=Py_ssize_t, data=Py_ssize_t, time=uint64_t,
        commit=uint64_t, used=Py_ssize_t, missed=uint64_t,
    )
    cdef bint open_page(self, Py_ssize_t lane) noexcept
    cdef bint fail(self, Py_ssize_t lane, int64_t fault, int64_t at, int64_t value) noexcept

    @cython.locals(column=Py_ssize_t, slot=Py_ssize_t, kind=int64_t)
    cdef void gather(self) noexcept
    @cython.locals(
        fours=uint32_t[:], out=uint64_t[::1], records=int64_t[::1],
        first=Py_ssize_t, offset=Py_ssize_t, size=Py_ssize_t, place=Py_ssize_t, sign=uint64_t,
        every=uint64_t, quick=bint, k=Py_ssize_t, at=Py_ssize_t, value=uint64_t,
    )
    cdef void gather_numbers(self, Py_ssize_t column, Py_ssize_t slot) noexcept
    @cython.locals(
        out=uint64_t[::1], records=int64_t[::1], first=Py_ssize_t, offset=Py_ssize_t,
        size=Py_ssize_t, words=Py_ssize_t, place=Py_ssize_t, every=uint64_t, ones=uint64_t,
        tops=uint64_t, tail=uint64_t, k=Py_ssize_t, at=Py_ssize_t, word=Py_ssize_t,
        value=uint64_t, nul=uint64_t, keep=uint64_t, eights=uint64_t[:], swift=bint,
    )
    cdef void gather_text(self, Py_ssize_t column, Py_ssize_t slot) noexcept
    @cython.locals(
        offset=Py_ssize_t, first=Py_ssize_t, place=Py_ssize_t, base=Py_ssize_t, k=Py_ssize_t, at=Py_ssize_t,
        length=int64_t, word=int64_t, start=int64_t,
    )
    cdef void gather_places(self, Py_ssize_t column, Py_ssize_t slot) noexcept

    @cython.locals(value=uint64_t, k=Py_ssize_t)
    cdef inline uint64_t number(self, Py_ssize_t at, Py_ssize_t size) noexcept
    @cython.locals(a=uint64_t, b=uint64_t, c=uint64_t, d=uint64_t)
    cdef inline uint64_t four(self, Py_ssize_t at) noexcept
    cdef inline uint64_t eight(self, Py_ssize_t at) noexcept
