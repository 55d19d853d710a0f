# What C does with 8 bytes at a time; `_octets.py` has it byte by byte for the interpreted twins.
from libc.stdint cimport int64_t, uint8_t, uint64_t

ctypedef const uint8_t *Octets
ctypedef uint8_t *Marks
ctypedef const int64_t *Numbers
ctypedef int64_t *Room
ctypedef uint64_t *Words

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    #define RVFS_EACH(byte) (0x0101010101010101u * (uint64_t)(byte))
    #if defined(__GNUC__) || defined(__clang__)
    #define rvfs_lowest(marks) (__builtin_ctzll(marks) >> 3)
    #else
    static inline int rvfs_lowest(uint64_t marks)
    {
        int place = 0;

        while (!(marks & 0xff)) {
            marks >>= 8;
            place++;
        }
        return place;
    }
    #endif

    /* 8 bytes, the first one the lowest. */
    static inline uint64_t rvfs_word(const uint8_t *p)
    {
        uint64_t word;

        memcpy(&word, p, sizeof(word));
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
    #endif
        return word;
    }

    /* The lowest mark is right, those above it need not be. */
    static inline uint64_t rvfs_zeros(uint64_t word)
    {
        return (word - RVFS_EACH(0x01)) & ~word & RVFS_EACH(0x80);
    }

    static inline int64_t rvfs_line_end(const uint8_t *p, int64_t at, int64_t end)
    {
        const uint8_t *found = (const uint8_t *)memchr(p + at, 10, (size_t)(end - at));

        return found ? found - p : end;
    }

    /* 1: a letter, digit or underscore. 2: white space. */
    static const uint8_t rvfs_kinds[256] = {
        [9] = 2, [10] = 2, [11] = 2, [12] = 2, [13] = 2, [32] = 2,
        ['0'] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ['_'] = 1,
        ['A'] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        ['a'] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    };

    #define rvfs_is_word(c) (rvfs_kinds[(uint8_t)(c)] == 1)
    #define rvfs_is_blank(c) (rvfs_kinds[(uint8_t)(c)] == 2)

    static inline int64_t rvfs_word_end(const uint8_t *p, int64_t at)
    {
        while (rvfs_is_word(p[at]))
            at++;
        return at;
    }

    static inline int64_t rvfs_token_end(const uint8_t *p, int64_t at)
    {
        while (!rvfs_is_blank(p[at]))
            at++;
        return at;
    }

    static inline int64_t rvfs_spaces(const uint8_t *p, int64_t at)
    {
        uint64_t others;

        while (!(others = rvfs_word(p + at) ^ RVFS_EACH(' ')))
            at += 8;
        return at + rvfs_lowest(others);
    }

    static inline int64_t rvfs_digits(const uint8_t *p, int64_t at)
    {
        uint64_t word, others;

        for (;; at += 8) {
            word = rvfs_word(p + at) ^ RVFS_EACH('0');
            others = ((word + RVFS_EACH(0x80 - 10)) | word) & RVFS_EACH(0x80);
            if (others)
                return at + rvfs_lowest(others);
        }
    }

    static inline uint64_t rvfs_eight_digits(uint64_t word)
    {
        word = word * 10 + (word >> 8);
        return ((word & 0x000000FF000000FFu) * 0x000F424000000064u
                + ((word >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u) >> 32;
    }

    static inline int64_t rvfs_few_digits(const uint8_t *p, int64_t at)
    {
        uint64_t word = rvfs_word(p + at) ^ RVFS_EACH('0');
        uint64_t others = ((word + RVFS_EACH(0x80 - 10)) | word) & RVFS_EACH(0x80);
        int count = others ? rvfs_lowest(others) : 0;

        return count ? (int64_t)count << 32 | (int64_t)rvfs_eight_digits(word << (64 - 8 * count)) : 0;
    }

    static inline uint64_t rvfs_decimal(const uint8_t *p, int64_t at, int64_t end)
    {
        int64_t first = (end - at) & 7;
        uint64_t value = 0;

        if (first) {
            value = rvfs_eight_digits((rvfs_word(p + at) ^ RVFS_EACH('0')) << (64 - 8 * first));
            at += first;
        }
        for (; at < end; at += 8)
            value = value * 100000000u + rvfs_eight_digits(rvfs_word(p + at) ^ RVFS_EACH('0'));
        return value;
    }

    static inline int64_t rvfs_find(const uint8_t *p, int64_t at, int64_t end, uint8_t byte)
    {
        uint64_t marks;

        for (; at < end; at += 8) {
            marks = rvfs_zeros(rvfs_word(p + at) ^ RVFS_EACH(byte));
            if (marks) {
                at += rvfs_lowest(marks);
                break;
            }
        }
        return at < end ? at : end;
    }

    static inline uint64_t rvfs_packed(const uint8_t *p, int64_t at, int64_t end)
    {
        uint64_t word;

        if (at >= end)
            return 0;
        word = rvfs_word(p + at);
        return end - at < 8 ? word & ((1ull << 8 * (end - at)) - 1) : word;
    }

    static inline int rvfs_same(const uint8_t *p, int64_t at, const uint8_t *q, int64_t start, int64_t size)
    {
        uint64_t others = rvfs_word(p + at) ^ rvfs_word(q + start);
        int64_t k;

        if (size < 8)
            return !size || !(others << (64 - 8 * size));
        if (others)
            return 0;
        for (k = 8; k < size - 8; k += 8)
            if (rvfs_word(p + at + k) != rvfs_word(q + start + k))
                return 0;
        return rvfs_word(p + at + size - 8) == rvfs_word(q + start + size - 8);
    }

    static inline int64_t rvfs_seek(const uint8_t *p, int64_t at, int64_t end, const uint8_t *q, int64_t start, int64_t size)
    {
        int64_t behind = end - size + 1;

        for (;; at++) {
            at = at < behind ? rvfs_find(p, at, behind, q[start]) : behind;
            if (at >= behind)
                return -1;
            if (rvfs_same(p, at, q, start, size))
                return at;
        }
    }
    """
    int64_t line_end "rvfs_line_end"(Octets p, int64_t at, int64_t end) nogil
    bint is_word "rvfs_is_word"(uint8_t c) nogil
    bint is_blank "rvfs_is_blank"(uint8_t c) nogil
    int64_t word_end "rvfs_word_end"(Octets p, int64_t at) nogil
    int64_t token_end "rvfs_token_end"(Octets p, int64_t at) nogil
    int64_t spaces "rvfs_spaces"(Octets p, int64_t at) nogil
    int64_t digits "rvfs_digits"(Octets p, int64_t at) nogil
    int64_t few_digits "rvfs_few_digits"(Octets p, int64_t at) nogil
    uint64_t decimal "rvfs_decimal"(Octets p, int64_t at, int64_t end) nogil
    int64_t find "rvfs_find"(Octets p, int64_t at, int64_t end, uint8_t byte) nogil
    uint64_t packed "rvfs_packed"(Octets p, int64_t at, int64_t end) nogil
    bint same "rvfs_same"(Octets p, int64_t at, Octets q, int64_t start, int64_t size) nogil
    int64_t seek "rvfs_seek"(Octets p, int64_t at, int64_t end, Octets q, int64_t start, int64_t size) nogil

cdef inline Octets octets(const uint8_t[::1] view) noexcept:
    return &view[0] if view.shape[0] else NULL

cdef inline Marks marks(uint8_t[::1] view) noexcept:
    return &view[0] if view.shape[0] else NULL

cdef inline Numbers numbers(const int64_t[::1] view) noexcept:
    return &view[0] if view.shape[0] else NULL

cdef inline Room room(int64_t[::1] view) noexcept:
    return &view[0] if view.shape[0] else NULL

cdef inline Words words(uint64_t[::1] view) noexcept:
    return &view[0] if view.shape[0] else NULL
