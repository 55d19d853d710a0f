cimport cython
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint64_t

from rvfs._stepper._book cimport ARMED, DUE, FIRST, ROW, SINCE, WHERE
from rvfs._stepper._memory cimport address, expect, within

cdef Py_ssize_t AHEAD
cdef int8_t GUARD, RESET, REARM, DISARM

cdef class Timed:
    cdef readonly Py_ssize_t next, armed_count
    cdef Py_ssize_t width, clocks, span, page, stride, most, origin, heaviest
    cdef int64_t unset, never, horizon, soonest
    cdef int8_t[::1] costs
    cdef int16_t idle
    cdef bint watched, begun, told
    cdef const int16_t[::1] table
    cdef const int8_t[::1] kinds, rearms
    cdef const int64_t[::1] load_firsts, load_registers
    cdef const int64_t[::1] guards, resets, nodes, terms, bound_firsts, bounds
    cdef const uint64_t[::1] words
    cdef const int64_t[::1] values
    cdef int64_t[::1] book, counts, violations
    cdef int32_t[::1] heap

    @cython.locals(
        observed=bint, found=Py_ssize_t, i=Py_ssize_t, instance=Py_ssize_t, base=Py_ssize_t,
        letter=Py_ssize_t, load=Py_ssize_t, held=Py_ssize_t, time=int64_t, row=int16_t,
        following=int16_t, cell=Py_ssize_t, met=Py_ssize_t, kind=int8_t,
        words="const uint64_t[::1]", book=int64_t[::1],
        table="const int16_t[::1]", counts=int64_t[::1], kinds="const int8_t[::1]",
        load_firsts="const int64_t[::1]", heavy=bint, place=int64_t, costs=int8_t[::1], cost=int8_t, origin=Py_ssize_t,
        width=Py_ssize_t, page=Py_ssize_t, idle=int16_t, watched=bint, told=bint,
        soon=int64_t, never=int64_t,
    )
    cpdef Py_ssize_t run(
        self, Py_ssize_t last, const int64_t[::1] times, int16_t[::1] before, int16_t[::1] after
    )

    @cython.locals(cost=int8_t)
    cdef int8_t cost(self, Py_ssize_t cell, int16_t row, int16_t following)

    @cython.locals(bound=Py_ssize_t, cell=Py_ssize_t)
    cpdef ask(
        self, const int64_t[::1] guards, const int64_t[::1] resets, const int64_t[::1] nodes,
        const int64_t[::1] terms, const int64_t[::1] bound_firsts, const int64_t[::1] bounds
    )

    cpdef begin(self, Py_ssize_t begin, Py_ssize_t first)

    @cython.locals(
        book=int64_t[::1], instance=Py_ssize_t, base=Py_ssize_t, due=int64_t, armed=int64_t,
        row=int16_t,
    )
    cpdef Py_ssize_t expire(self, int64_t time, Py_ssize_t found=*)

    @cython.locals(r=Py_ssize_t, base=Py_ssize_t, place=Py_ssize_t)
    cdef Py_ssize_t refuse(
        self, Py_ssize_t found, Py_ssize_t i, int16_t row, int64_t time, Py_ssize_t instance,
        int64_t why
    ) noexcept

    @cython.locals(r=Py_ssize_t, base=Py_ssize_t)
    cpdef stop(self, Py_ssize_t instance, bint forget)

    @cython.locals(value=int64_t, node=Py_ssize_t, term=Py_ssize_t)
    cdef bint holds(self, int64_t target, Py_ssize_t base, int64_t time) noexcept

    @cython.locals(
        bound=Py_ssize_t, began=int64_t, limit=int64_t, due=int64_t, book=int64_t[::1],
        bounds="const int64_t[::1]",
    )
    cdef bint keeps(self, int16_t row, Py_ssize_t base, int64_t time) noexcept

    @cython.locals(limit=int64_t, term=Py_ssize_t, value=int64_t)
    cdef int64_t limit(self, Py_ssize_t bound, Py_ssize_t base) noexcept

    @cython.locals(
        bound=Py_ssize_t, base=Py_ssize_t, earliest=int64_t, limit=int64_t, began=int64_t,
    )
    cpdef void rearm(self, int16_t row, Py_ssize_t instance, int64_t time) noexcept

    @cython.locals(base=Py_ssize_t, place=Py_ssize_t)
    cdef void arm(self, Py_ssize_t instance, int64_t key) noexcept

    cdef inline int64_t due(self, Py_ssize_t place) noexcept

    cdef inline void put(self, Py_ssize_t place, Py_ssize_t instance) noexcept

    @cython.locals(last=Py_ssize_t)
    cdef void drop_first(self) noexcept

    @cython.locals(instance=Py_ssize_t, due=int64_t, parent=Py_ssize_t)
    cdef void sift_up(self, Py_ssize_t place) noexcept

    @cython.locals(instance=Py_ssize_t, due=int64_t, child=Py_ssize_t)
    cdef void sift_down(self, Py_ssize_t place) noexcept
