cimport cython
from libc.stdint cimport int16_t, int32_t, int64_t, uint64_t

from rvfs._stepper._memory cimport address, read, spread, within

cdef class Selector:
    cdef readonly Py_ssize_t next, top, dropped, short
    cdef Py_ssize_t scope, cpus_limit, pids_limit, widest, heaviest
    cdef const int64_t[::1] firsts, slots, nodes, load_firsts, load_columns
    cdef const int64_t[::1] tps, cpus, pids, limits
    cdef int64_t[::1] rows, data
    cdef object columns
    cdef int32_t[::1] at, instances
    cdef int16_t[::1] letters
    cdef int64_t[::1] values
    cdef int64_t[::1] ids
    cdef int32_t[::1] places, free
    cdef readonly Py_ssize_t spare

    @cython.locals(c=Py_ssize_t, tp=Py_ssize_t)
    cpdef begin(self, tps, cpus, pids, list columns, limits)

    @cython.locals(
        i=Py_ssize_t, count=Py_ssize_t, known=Py_ssize_t, found=Py_ssize_t, held=Py_ssize_t,
        spare=Py_ssize_t, slot=Py_ssize_t, end=Py_ssize_t, row=Py_ssize_t,
        tp=int64_t, target=int64_t, node=Py_ssize_t, letter=Py_ssize_t, instance=int64_t,
        load=Py_ssize_t, top=Py_ssize_t, value=int64_t,
    )
    cpdef Py_ssize_t run(self, Py_ssize_t first, Py_ssize_t room)

    @cython.locals(key=int64_t, cpu=int64_t, column=int64_t)
    cdef int64_t instance(self, Py_ssize_t i, Py_ssize_t row, Py_ssize_t slot) noexcept

    @cython.locals(mask=uint64_t, probe=uint64_t, place=int64_t)
    cdef int64_t place(self, int64_t key) noexcept

    @cython.locals(i=Py_ssize_t, mask=uint64_t, probe=uint64_t)
    cpdef rehash(self, ids, places, free, const int32_t[::1] taken)
