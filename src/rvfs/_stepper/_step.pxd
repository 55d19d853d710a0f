cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

from rvfs._stepper._memory cimport address_of, half
from rvfs._stepper._select cimport Selector

cdef int64_t UNKNOWN, BASE

cdef class Stepper:
    cdef readonly Py_ssize_t begin, next, last, found
    cdef Selector selector
    cdef const uint64_t[::1] words
    cdef int32_t[::1] states, cells
    cdef const int32_t[::1] table
    cdef int64_t[::1] violations

    @cython.locals(
        words=int64_t, violations=int64_t[::1], cells=int32_t[::1],
        states=int32_t[::1], table="const int32_t[::1]", unknown=int32_t, mask=int32_t,
        found=Py_ssize_t, i=Py_ssize_t, instance=Py_ssize_t, cell=Py_ssize_t, base=int32_t,
    )
    cpdef void run(self, Py_ssize_t first, Py_ssize_t last, bint inside) noexcept

    cpdef void go_to(self, Py_ssize_t first) noexcept

    @cython.locals(stop=Py_ssize_t)
    cpdef void sweep(self, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t piece) noexcept

cdef class Witness:
    cdef const uint64_t[::1] words
    cdef const int32_t[::1] cells
    cdef const uint64_t[::1] changed
    cdef int64_t[::1] counts, since
    cdef Py_ssize_t members, room

    @cython.locals(
        words="const uint64_t[::1]", cells="const int32_t[::1]", counts=int64_t[::1],
        changed="const uint64_t[::1]", since=int64_t[::1], members=Py_ssize_t, room=Py_ssize_t,
        nobody=Py_ssize_t, i=Py_ssize_t, cell=Py_ssize_t, instance=Py_ssize_t, time=int64_t,
        which=uint64_t, member=Py_ssize_t,
    )
    cpdef look(self, Py_ssize_t first, Py_ssize_t last, const int64_t[::1] times, Py_ssize_t begin)
