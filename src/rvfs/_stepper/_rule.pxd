cimport cython
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint64_t

from rvfs._stepper._memory cimport address, expect

cdef Py_ssize_t AHEAD

cdef class Ruled:
    cdef readonly Py_ssize_t resets
    cdef Py_ssize_t width, depth
    cdef int16_t idle
    cdef bint watched
    cdef int64_t all_known, first_known, first_values
    cdef const int16_t[::1] table, start
    cdef const int32_t[::1] diagram
    cdef const int8_t[::1] kinds
    cdef const int64_t[::1] puts, holds, load_firsts
    cdef const uint64_t[::1] words
    cdef const int64_t[::1] values
    cdef int16_t[::1] states
    cdef int64_t[::1] since, counts, known, valuations, violations

    @cython.locals(
        observed=bint, found=Py_ssize_t, i=Py_ssize_t, instance=Py_ssize_t,
        letter=Py_ssize_t, kind=int8_t, half=int8_t, value=int64_t, row=int16_t,
        following=int16_t, node=Py_ssize_t, byte=Py_ssize_t, cell=Py_ssize_t,
        words="const uint64_t[::1]", states=int16_t[::1], since=int64_t[::1],
        table="const int16_t[::1]", counts=int64_t[::1], kinds="const int8_t[::1]",
        puts="const int64_t[::1]", holds="const int64_t[::1]",
        load_firsts="const int64_t[::1]", diagram="const int32_t[::1]", known=int64_t[::1],
        valuations=int64_t[::1], start="const int16_t[::1]", width=Py_ssize_t,
        depth=Py_ssize_t, idle=int16_t, watched=bint, atoms=int64_t, truth=int64_t,
    )
    cpdef Py_ssize_t run(
        self, Py_ssize_t first, Py_ssize_t last, Py_ssize_t begin, const int64_t[::1] times,
        int16_t[::1] before, int16_t[::1] after, int64_t[::1] seen
    )
