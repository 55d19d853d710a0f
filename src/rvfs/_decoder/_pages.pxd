cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

from rvfs._decoder._bytes cimport (
    Bytes, Numbers, Shorts, bytes_of, choose, eight, four, numbers_of, pair, prefetch, shorts_of,
    signed, two,
)
from rvfs._decoder._fields cimport Fields
from rvfs._decoder._layout cimport *

cdef int64_t PAST, STAMP_MASK, MAX_TIME, MAX_KEY, MAX_LOST, COMMIT_MASK, MISSED_EVENTS, MISSED_STORED

@cython.final
cdef class Merge:
    cdef tuple kept, used
    cdef Bytes data
    cdef Shorts slots
    cdef Numbers lanes, heap, found, queue, unknown, needs
    cdef object wanted
    cdef Numbers plans, records, lengths, rows, tps, times, cpus, pids
    cdef Py_ssize_t size, page_size, long_size, type_at, noted
    cdef bint big, lengthy
    cdef Fields fields
    cdef readonly int64_t taken, count, lane, lost, reached, uncounted

    cpdef begin(self, plans, records, lengths, bint lengthy, rows, tps, times, cpus, pids)
    @cython.locals(i=Py_ssize_t)
    cpdef settle(self)
    @cython.locals(i=Py_ssize_t)
    cpdef bint idle(self)
    cpdef int64_t first(self)

    @cython.locals(why=int64_t)
    cpdef int64_t take(self, int64_t limit, int64_t until)
    @cython.locals(
        lanes=Numbers, heap=Numbers, why=int64_t, size=Py_ssize_t, i=Py_ssize_t, lane=Py_ssize_t,
        child=Py_ssize_t, j=Py_ssize_t, bound=int64_t,
    )
    cdef int64_t find(self, int64_t limit, int64_t until) noexcept
    @cython.locals(i=Py_ssize_t, at=int64_t, start=int64_t, size=int64_t, kind=int64_t)
    cpdef want(self, plans)
    @cython.locals(plan=int64_t)
    cdef inline int64_t plan(self, int64_t kind, int64_t size) noexcept
    @cython.locals(
        found=Numbers, queue=Numbers, to=Py_ssize_t, lanes=Numbers, one=Py_ssize_t,
        other=Py_ssize_t, a=int64_t, b=int64_t, start=int64_t, latest=int64_t, stop=int64_t,
        x=int64_t, y=int64_t, p=int64_t, q=int64_t, lower=int64_t, at=int64_t, plan=int64_t,
        i=Py_ssize_t,
    )
    cdef int64_t run(
        self, Py_ssize_t low, Py_ssize_t high, int64_t bound, int64_t limit
    ) noexcept
    @cython.locals(
        found=Numbers, queue=Numbers, plans=Numbers, lanes=Numbers, tps=Numbers, times=Numbers,
        cpus=Numbers, count=int64_t, n=Py_ssize_t, at=uint64_t,
    )
    cdef void note(self) noexcept
    @cython.locals(
        data=Bytes, big=bint, plans=Numbers, found=Numbers, queue=Numbers, records=Numbers,
        rows=Numbers, pids=Numbers, lengths=Numbers, lengthy=bint, count=int64_t, n=Py_ssize_t,
        at=int64_t, plan=int64_t, record=int64_t, row=int64_t, place=int64_t,
    )
    cdef void note_records(self) noexcept
    cdef inline int64_t key_at(self, Py_ssize_t place, Py_ssize_t size) noexcept
    @cython.locals(first=int64_t, second=int64_t)
    cdef inline bint before(self, Py_ssize_t a, Py_ssize_t b) noexcept
    @cython.locals(size=Py_ssize_t, i=Py_ssize_t, at=Py_ssize_t)
    cdef Py_ssize_t order(self) noexcept
    @cython.locals(lane=int64_t, child=Py_ssize_t)
    cdef inline void sift(self, Py_ssize_t at, Py_ssize_t size) noexcept

    @cython.locals(
        data=Bytes, big=bint, lanes=Numbers, lane=Py_ssize_t, found=Numbers, at=int64_t, end=int64_t,
        time=int64_t, key=int64_t, begin=int64_t, to=int64_t, last=int64_t, size=int64_t, behind=int64_t, head=int64_t, kind=int64_t, delta=int64_t,
        following=int64_t, moved=int64_t,
    )
    cdef void fill(self, Py_ssize_t i) noexcept
    @cython.locals(kind=int64_t, plan=int64_t)
    cdef inline void put(
        self, int64_t to, int64_t key, int64_t time, int64_t start, int64_t size
    ) noexcept
    @cython.locals(page=int64_t)
    cdef bint missed(self, Py_ssize_t lane) noexcept
    @cython.locals(
        lanes=Numbers, page=int64_t, stop=int64_t, data=int64_t, time=uint64_t, commit=uint64_t,
        used=int64_t, missed=uint64_t,
    )
    cdef bint open_page(self, Py_ssize_t lane) noexcept
    cdef bint fail(self, Py_ssize_t lane, int64_t fault, int64_t at, int64_t value) noexcept
    cdef inline uint64_t number(self, int64_t at, Py_ssize_t size) noexcept
