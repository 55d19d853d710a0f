# What C has and Python has not: `__init__.py` gives the interpreted twins their own.
from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #define RVFS_BIG 1
    #else
    #define RVFS_BIG 0
    #endif
    #define rvfs_read(column, row) (((const int64_t *)(intptr_t)(column))[row])
    #define rvfs_expect(column, row) __builtin_prefetch(&rvfs_read(column, row), 1)
    #define rvfs_spread(key) (((uint64_t)(key) * 0x9E3779B97F4A7C15u) >> 20)
    #define rvfs_within(value, lowest, span) \\
        ((uint64_t)(value) - (uint64_t)(lowest) <= (uint64_t)(span))
    #define rvfs_half(words, i, high) \\
        (((const uint32_t *)(intptr_t)(words))[2 * (i) + ((high) ^ RVFS_BIG)])
    #define rvfs_word(instance, at, letter) \\
        ((uint64_t)(instance) << 32 | (uint64_t)(at) << 16 | (uint64_t)(letter))
    /* No branch: nobody could foretell it. */
    #define rvfs_of_share(word, number, share, shares) \\
        ((word) & ~(0xFFFFu * (uint64_t)((uint32_t)(number) % (uint32_t)(shares) != (share))))
    """
    int64_t read "rvfs_read"(int64_t column, Py_ssize_t row) nogil
    void expect "rvfs_expect"(int64_t column, Py_ssize_t row) nogil
    uint64_t spread "rvfs_spread"(int64_t key) nogil
    uint64_t half "rvfs_half"(int64_t words, Py_ssize_t i, bint high) nogil
    bint within "rvfs_within"(int64_t value, int64_t lowest, int64_t span) nogil
    uint64_t word "rvfs_word"(int64_t instance, int64_t at, int64_t letter) nogil
    uint64_t of_share "rvfs_of_share"(
        uint64_t word, int64_t number, int64_t share, int64_t shares
    ) nogil

cdef inline int64_t address(const int64_t[::1] column):
    return <int64_t><size_t>&column[0] if column.shape[0] else 0

cdef inline int64_t address_of(const uint64_t[::1] words):
    return <int64_t><size_t>&words[0] if words.shape[0] else 0
