cimport cython
from libc.stdint cimport int16_t, int32_t, int64_t, uint64_t

from rvfs._stepper._memory cimport address, read, spread, within

cdef class Selector:
    cdef readonly Py_ssize_t top, dropped, spare
    cdef Py_ssize_t scope, cpus_limit, pids_limit, width, heaviest
    cdef const int64_t[::1] slots, nodes, load_firsts, load_columns, cpus, pids
    cdef int64_t[::1] data, positions, lengths, cursors, values, ids
    cdef object columns, rows
    cdef int32_t[::1] instances, places, free
    cdef int16_t[::1] letters

    @cython.locals(c=Py_ssize_t, t=Py_ssize_t)
    cpdef begin(self, cpus, pids, list columns, list rows)

    @cython.locals(t=Py_ssize_t, at=int64_t, row=Py_ssize_t)
    cpdef Py_ssize_t next(self, Py_ssize_t end)

    @cython.locals(t=Py_ssize_t, slot=Py_ssize_t, stop=Py_ssize_t, place=Py_ssize_t, origin=Py_ssize_t)
    cpdef bint run(self, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t first)

    @cython.locals(low=Py_ssize_t, high=Py_ssize_t, middle=Py_ssize_t)
    cdef Py_ssize_t stop(self, Py_ssize_t t, Py_ssize_t end) noexcept

    @cython.locals(
        target=int64_t, key_column=int64_t, node=Py_ssize_t, column=int64_t, mask=int64_t,
        lowest=int64_t, span=int64_t, yes=int64_t, no=int64_t,
    )
    cdef void fill(
        self, Py_ssize_t slot, int64_t rows, Py_ssize_t row, Py_ssize_t stop, Py_ssize_t origin
    ) noexcept

    @cython.locals(
        width=Py_ssize_t, keys=int64_t, cpus_limit=int64_t, pids_limit=int64_t, top=int64_t,
        place=Py_ssize_t, key=int64_t, target=int64_t,
    )
    cdef void fill_tasks(
        self, Py_ssize_t slot, int64_t rows, Py_ssize_t row, Py_ssize_t stop, Py_ssize_t origin,
        int64_t column, int64_t mask, int64_t lowest, int64_t span, int64_t yes, int64_t no
    ) noexcept

    @cython.locals(
        at=Py_ssize_t, column=int64_t, key=int64_t, instance=int64_t, place=Py_ssize_t
    )
    cdef void put(
        self, Py_ssize_t slot, int64_t rows, Py_ssize_t row, Py_ssize_t origin, Py_ssize_t letter
    ) noexcept

    @cython.locals(node=Py_ssize_t)
    cdef int64_t decide(self, int64_t target, Py_ssize_t row) noexcept

    @cython.locals(column=int64_t, cpu=int64_t)
    cdef int64_t instance(
        self, Py_ssize_t slot, Py_ssize_t row, Py_ssize_t at, int64_t key
    ) noexcept

    @cython.locals(load=Py_ssize_t, held=Py_ssize_t)
    cdef void carry(self, Py_ssize_t letter, Py_ssize_t row, Py_ssize_t place) noexcept

    @cython.locals(mask=uint64_t, probe=uint64_t, place=int64_t)
    cdef int64_t place(self, int64_t key) noexcept

    @cython.locals(i=Py_ssize_t, mask=uint64_t, probe=uint64_t)
    cpdef rehash(self, ids, places, free, const int32_t[::1] taken)
