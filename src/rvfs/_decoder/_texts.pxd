cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t

from rvfs._decoder._octets cimport (
    Numbers, Octets, Room, Words, decimal, digits, few_digits, is_blank, numbers, octets, room, same, seek,
    word_end, words,
)
from rvfs._decoder._lines cimport Lines

cdef int64_t TEXT, TEXT_END, HEAD, NUMBER, WORDS, STATE, HEXADECIMAL, NOTHING, DONE, STEP, NO_STATE
cdef int64_t PREEMPTED, NO, YES, ASK, UNSURE, PATIENCE, SPACE, PLUS, COMMA, DASH, EQUALS, UNDERSCORE
cdef int64_t BAR, ZERO, NINE, CAPITAL_A, LETTER_A, LETTER_F, LETTER_X, LETTER_Z
cdef uint64_t WORD, MAX
cdef int64_t LOW

@cython.final
cdef class Texts:
    cdef object kept
    cdef Numbers firsts, steps, states
    cdef Octets literals, p
    cdef Words out
    cdef int64_t forms, deepest, count, stack

    @cython.locals(
        heads=Numbers, events=Numbers, firsts=Numbers, missed=Room, left=int64_t, k=int64_t, row=int64_t, answer=int64_t, form=int64_t,
    )
    cpdef int64_t read(self, Lines lines, const int64_t[::1] places, uint64_t[::1] out, int64_t[::1] misses)
    @cython.locals(
        p=Octets, q=Octets, steps=Numbers, out=Words, count=int64_t, top=int64_t, patience=int64_t,
        kind=int64_t, column=int64_t, size=int64_t, place=int64_t,
    )
    cdef int64_t match(self, int64_t at, int64_t end, int64_t step, int64_t row) noexcept
    @cython.locals(size=int64_t)
    cdef inline int64_t behind_words(self, int64_t at, int64_t end, int64_t step) noexcept
    @cython.locals(p=Octets, place=int64_t)
    cdef bint is_end(self, int64_t at, int64_t end) noexcept
    @cython.locals(p=Octets, negative=bint, start=int64_t, few=int64_t, value=uint64_t)
    cdef inline int64_t number(self, int64_t at, int64_t place, bint unsigned) noexcept
    @cython.locals(p=Octets, value=uint64_t, prefix=int64_t, start=int64_t, digit=int64_t)
    cdef inline int64_t hexadecimal(self, int64_t at, int64_t place, bint unsigned) noexcept
    @cython.locals(p=Octets, states=Numbers, start=int64_t, value=uint64_t)
    cdef inline int64_t state(self, int64_t at, int64_t place) noexcept
