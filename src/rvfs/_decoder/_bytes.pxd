# What C has and Python has not: `__init__.py` gives the interpreted twins their own.
#
# A memory view that an object holds has its base loaded from the object at each access; these
# are the plain pointers. Whoever takes one keeps what it points into.
#
# A number is read from any address, and once for each time that the code says so: what it is read
# from may be a file that somebody writes to, so that what was checked must be what is used.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

ctypedef const uint8_t *Bytes
ctypedef int32_t *Shorts
ctypedef int64_t *Numbers
ctypedef uint64_t *Words

cdef extern from *:
    """
    #include <stdint.h>
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #define RVFS_BIG 1
    #else
    #define RVFS_BIG 0
    #endif
    /* A branch that is foreseen, where gcc would compute both (hence the asm). */
    #define rvfs_turned(value, big, swap) \\
        (__builtin_expect((big) != RVFS_BIG, 0) ? ({ __asm__(""); swap(value); }) : value)
    typedef uint16_t __attribute__((aligned(1), may_alias)) rvfs_u16;
    typedef uint32_t __attribute__((aligned(1), may_alias)) rvfs_u32;
    typedef uint64_t __attribute__((aligned(1), may_alias)) rvfs_u64;
    static inline uint64_t rvfs_two(const uint8_t *data, int64_t at, int big)
    {
        uint16_t value = *(const volatile rvfs_u16 *)(data + at);
        return rvfs_turned(value, big, __builtin_bswap16);
    }
    static inline uint64_t rvfs_four(const uint8_t *data, int64_t at, int big)
    {
        uint32_t value = *(const volatile rvfs_u32 *)(data + at);
        return rvfs_turned(value, big, __builtin_bswap32);
    }
    static inline uint64_t rvfs_eight(const uint8_t *data, int64_t at, int big)
    {
        uint64_t value = *(const volatile rvfs_u64 *)(data + at);
        return rvfs_turned(value, big, __builtin_bswap64);
    }
    #define rvfs_prefetch(data, at) __builtin_prefetch((data) + (at))
    #define rvfs_pair(high, low) ((int64_t)(high) << 32 | (uint32_t)(low))
    #define rvfs_signed(value) ((int64_t)(int32_t)(value))
    /* Without a branch, which gcc would make of it (hence the asm). */
    static inline int64_t rvfs_choose(int64_t first, int64_t a, int64_t b)
    {
        int64_t mask = -first;
        __asm__("" : "+r"(mask));
        return b ^ ((a ^ b) & mask);
    }
    """
    void prefetch "rvfs_prefetch"(Bytes data, int64_t at) nogil
    int64_t choose "rvfs_choose"(int64_t first, int64_t a, int64_t b) nogil
    int64_t pair "rvfs_pair"(int64_t high, int64_t low) nogil
    int64_t signed "rvfs_signed"(uint64_t value) nogil
    uint64_t two "rvfs_two"(Bytes data, int64_t at, bint big) nogil
    uint64_t four "rvfs_four"(Bytes data, int64_t at, bint big) nogil
    uint64_t eight "rvfs_eight"(Bytes data, int64_t at, bint big) nogil

cdef inline Bytes bytes_of(const uint8_t[::1] view):
    return &view[0] if view.shape[0] else NULL

cdef inline Shorts shorts_of(int32_t[::1] view):
    return &view[0] if view.shape[0] else NULL

cdef inline Numbers numbers_of(int64_t[::1] view):
    return &view[0] if view.shape[0] else NULL

cdef inline Words words_of(uint64_t[::1] view):
    return &view[0] if view.shape[0] else NULL
