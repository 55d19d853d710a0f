cdef class Done:
    pass

cdef class Lock:
    cdef bint _taken
    cdef object _waiting

cdef class LowLevel:
    cdef object _ready
    cdef int _burst
