cimport cython
from libc.stdint cimport int16_t, int32_t, int64_t

cdef class Stepper:
    cdef const int16_t[::1] table
    cdef Py_ssize_t width, wide
    cdef int16_t idle
    cdef const int32_t[::1] instances
    cdef const int16_t[::1] letters
    cdef int16_t[::1] states
    cdef int64_t[::1] since, counts, violations

    @cython.locals(
        width=Py_ssize_t, wide=Py_ssize_t, idle=int16_t, observed=bint, found=Py_ssize_t,
        i=Py_ssize_t, event=Py_ssize_t, _=Py_ssize_t, letter=Py_ssize_t, instance=Py_ssize_t,
        row=int16_t, following=int16_t, cell=Py_ssize_t,
    )
    cpdef Py_ssize_t run(
        self, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t first, const int64_t[::1] times,
        int16_t[::1] before, int16_t[::1] after
    )
