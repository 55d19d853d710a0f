cimport cython
from libc.stdint cimport int64_t, uint64_t

from rvfs._decoder._bytes cimport (
    Bytes, Numbers, Words, bytes_of, eight, four, numbers_of, signed, two, words_of,
)
from rvfs._decoder._layout cimport *

cdef uint64_t WORD, TOP, ONES, TOPS

@cython.final
cdef class Fields:
    cdef object kept
    cdef tuple used
    cdef Bytes data
    cdef bint big
    cdef Numbers plans, records, lengths, columns
    cdef Words out
    cdef Py_ssize_t count

    cpdef begin(self, plans, records, lengths, columns, out)
    @cython.locals(column=Py_ssize_t, kind=int64_t, first=int64_t, last=int64_t)
    cpdef gather(self)
    @cython.locals(
        data=Bytes, big=bint, records=Numbers, out=Words, offset=int64_t, size=int64_t,
        place=int64_t, sign=uint64_t, every=uint64_t, row=int64_t, at=int64_t, value=uint64_t,
    )
    cdef void gather_numbers(self, Py_ssize_t column, int64_t first, int64_t last) noexcept
    @cython.locals(
        offset=int64_t, place=int64_t, base=int64_t, recent=int64_t, row=int64_t, at=int64_t, length=int64_t,
        word=int64_t, start=int64_t,
    )
    cdef void gather_places(self, Py_ssize_t column, int64_t first, int64_t last) noexcept
    @cython.locals(
        data=Bytes, places=Numbers, words=Words, wide=int64_t, every=uint64_t, ones=uint64_t,
        tops=uint64_t, tail=uint64_t, to=int64_t, row=Py_ssize_t, at=int64_t, keep=uint64_t,
        word=int64_t, value=uint64_t, nul=uint64_t,
    )
    cpdef texts(self, records, int64_t offset, int64_t size, out)
