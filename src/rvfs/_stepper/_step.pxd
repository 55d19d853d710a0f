cimport cython
from libc.stdint cimport int16_t, int64_t

@cython.locals(
    found=Py_ssize_t, observed=bint, i=Py_ssize_t, letter=Py_ssize_t, slot=Py_ssize_t,
    row=Py_ssize_t, following=int16_t,
)
cpdef Py_ssize_t step(
    const int16_t[::1] table, Py_ssize_t width, int16_t idle,
    const int16_t[::1] letters, const int64_t[::1] slots, int16_t[::1] states,
    int64_t[::1] violations, int16_t[::1] before, int16_t[::1] after,
)
