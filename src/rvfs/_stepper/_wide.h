/* Selector.fill for machines with AVX-512, eight events at a time; see _select.py, whose results it
 * must equal to the letter. Only chosen where it pays: up to two places for an event, keys that
 * are tasks or CPUs, nothing taken along. Whatever else there is, and any key out of its range, is
 * left to the portable code (RVFS_NOT_WIDE), with nothing changed that counts. */
#ifndef RVFS_WIDE_H
#define RVFS_WIDE_H

#include <stdint.h>

#define RVFS_NOT_WIDE (-3)

struct rvfs_wide {
    const int64_t *tps, *cpus, *pids;          /* of all events */
    const int64_t *numbers;                    /* of the tracepoints, by track */
    const int64_t *places, *questions, *data;  /* as Selector has them */
    const uint16_t *letters;
    const int64_t *cursors, *lengths;
    int64_t *counts;
    uint64_t *words;
    int64_t tracks, number_of_places, scope, cpus_limit, pids_limit;
    int64_t top;
};

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define RVFS_TARGET __attribute__((target("avx512f,avx512vl,avx512dq,bmi,bmi2,popcnt")))
enum { RVFS_PLACE = 7, RVFS_QUESTION = 4, RVFS_MOST_TRACKS = 16, RVFS_TABLE = 3 };

static int rvfs_has_wide(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("bmi2");
}

struct rvfs_question {
    __m512i mask, lowest, span;
    const int64_t *column;
};

struct rvfs_place {
    __m512i letters;
    const int64_t *keys; /* NULL for the event's own */
    int64_t questions;
    struct rvfs_question question[RVFS_TABLE];
};

struct rvfs_track {
    __m512i number;
    int64_t row, length, places;
    struct rvfs_place place[2];
};

RVFS_TARGET static inline const int64_t *rvfs_column(const struct rvfs_wide *w, int64_t column)
{
    return column < 0 ? NULL : (const int64_t *)(intptr_t)w->data[column];
}

/* What is the same for all events, with everything in the registers' own form. */
RVFS_TARGET static void rvfs_prepare(const struct rvfs_wide *w, struct rvfs_track *tracks)
{
    for (int64_t t = 0; t < w->tracks; t++) {
        tracks[t].number = _mm512_set1_epi64(w->numbers[t]);
        tracks[t].row = w->cursors[t], tracks[t].length = w->lengths[t], tracks[t].places = 0;
    }
    for (int64_t i = 0; i < w->number_of_places; i++) {
        const int64_t *from = w->places + RVFS_PLACE * i;
        struct rvfs_track *track = tracks + from[0];
        struct rvfs_place *place = track->place + from[1];
        int64_t letters[8] = {0};
        for (int j = 0; j < 1 << from[5]; j++)
            letters[j] = w->letters[from[6] + j];
        track->places++;
        place->letters = _mm512_loadu_si512(letters);
        place->keys = rvfs_column(w, from[w->scope == 1 ? 3 : 2]);
        place->questions = from[5];
        for (int64_t q = 0; q < from[5]; q++) {
            const int64_t *asked = w->questions + RVFS_QUESTION * (from[4] + q);
            place->question[q] = (struct rvfs_question){
                _mm512_set1_epi64(asked[1]), _mm512_set1_epi64(asked[2]),
                _mm512_set1_epi64(asked[3]), rvfs_column(w, asked[0]),
            };
        }
    }
}

/* The letters of a place, for the rows of its tracepoint from `row` on that `some` has bits for. */
RVFS_TARGET static inline __m512i rvfs_letters(
    const struct rvfs_place *place, __mmask8 some, int64_t row)
{
    __m512i answers = _mm512_setzero_si512();
    for (int64_t q = 0; q < place->questions; q++) {
        const struct rvfs_question *question = place->question + q;
        __m512i value = _mm512_maskz_loadu_epi64(some, question->column + row);
        value = _mm512_sub_epi64(_mm512_and_si512(value, question->mask), question->lowest);
        __mmask8 yes = _mm512_cmple_epu64_mask(value, question->span);
        answers = _mm512_mask_or_epi64(answers, yes, answers, _mm512_set1_epi64(1LL << q));
    }
    return _mm512_permutexvar_epi64(answers, place->letters);
}

#define RVFS_INLINE RVFS_TARGET static inline __attribute__((always_inline))

struct rvfs_range {
    __m512i shift, last_key, last_cpu, top;
    __mmask8 wrong;
};

/* Words of one place, as far as they are known without the event: key and letter. */
RVFS_INLINE __m512i rvfs_raw(
    const struct rvfs_wide *w, const struct rvfs_place *place, int64_t row, __mmask8 here,
    __mmask8 mine, __mmask8 some, int64_t i, struct rvfs_range *range)
{
    __m512i keys = _mm512_setzero_si512();
    if (place->keys)
        keys = _mm512_maskz_loadu_epi64(some, place->keys + row);
    else if (w->scope)
        keys = _mm512_maskz_compress_epi64(
            mine, _mm512_maskz_loadu_epi64(here, (w->scope == 1 ? w->cpus : w->pids) + i));
    range->wrong |= _mm512_mask_cmpgt_epu64_mask(some, keys, range->last_key);
    return _mm512_or_si512(_mm512_slli_epi64(keys, 32), rvfs_letters(place, some, row));
}

RVFS_INLINE __m512i rvfs_words(
    const struct rvfs_wide *w, __m512i raw, __m512i at, __mmask8 here, __mmask8 present, int64_t i,
    struct rvfs_range *range)
{
    __m512i who = _mm512_add_epi64(_mm512_srli_epi64(raw, 32), range->shift);
    __mmask8 idle = w->scope == 2 ? _mm512_mask_cmpeq_epi64_mask(present, who, range->shift) : 0;
    if (idle) {
        __m512i cpus = _mm512_maskz_loadu_epi64(here, w->cpus + i);
        range->wrong |= _mm512_mask_cmpgt_epu64_mask(idle, cpus, range->last_cpu);
        who = _mm512_mask_mov_epi64(who, idle, cpus);
    }
    range->top = _mm512_mask_max_epu64(range->top, present, range->top, who);
    raw = _mm512_and_si512(raw, _mm512_set1_epi64(0xFFFF));
    return _mm512_ternarylogic_epi64(_mm512_slli_epi64(who, 32), at, raw, 0xFE);
}

RVFS_TARGET static int64_t rvfs_wide_fill(
    struct rvfs_wide *wide, int64_t begin, int64_t end, int64_t first)
{
    const struct rvfs_wide w = *wide;
    const __m512i zero = _mm512_setzero_si512(), each = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    const __m512i high = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    struct rvfs_range range = {
        _mm512_set1_epi64(w.scope == 2 ? w.cpus_limit : 0),
        _mm512_set1_epi64(w.scope == 2 ? w.pids_limit : w.cpus_limit - 1),
        _mm512_set1_epi64(w.cpus_limit - 1), zero, 0,
    };
    struct rvfs_track tracks[RVFS_MOST_TRACKS], *const behind = tracks + w.tracks;
    uint64_t *out = w.words + first;

    rvfs_prepare(wide, tracks);
    for (int64_t i = begin; i < end; i += 8) {
        __mmask8 here = end - i < 8 ? (1 << (end - i)) - 1 : 0xFF;
        uint32_t one = 0, two = 0;
        __m512i tps = _mm512_maskz_loadu_epi64(here, w.tps + i), first_word = zero, second = zero;
        for (struct rvfs_track *track = tracks; track < behind; track++) {
            __mmask8 mine = _mm512_mask_cmpeq_epi64_mask(here, tps, track->number);
            if (!mine)
                continue;
            int64_t row = track->row, count = __builtin_popcount(mine);
            __mmask8 some = (1 << count) - 1;
            track->row = row + count;
            if (row + count > track->length)
                return RVFS_NOT_WIDE;
            if (track->places > 0) {
                __m512i raw = rvfs_raw(&w, track->place, row, here, mine, some, i, &range);
                first_word = _mm512_mask_expand_epi64(first_word, mine, raw);
                one |= mine;
            }
            if (track->places > 1) {
                __m512i raw = rvfs_raw(&w, track->place + 1, row, here, mine, some, i, &range);
                second = _mm512_mask_expand_epi64(second, mine, raw);
                two |= mine;
            }
        }
        __m512i at = _mm512_slli_epi64(_mm512_add_epi64(_mm512_set1_epi64(i - begin), each), 16);
        first_word = rvfs_words(&w, first_word, at, here, one, i, &range);
        second = rvfs_words(&w, second, at, here, two, i, &range);
        /* In the order of the events: 1st place, 2nd place. There is room for eight more. */
        uint32_t both = _pdep_u32(one, 0x5555) | _pdep_u32(two, 0xAAAA);
        __m512i four = _mm512_permutex2var_epi64(first_word, low, second);
        _mm512_storeu_si512(out, _mm512_maskz_compress_epi64(both & 0xFF, four));
        out += __builtin_popcount(both & 0xFF);
        four = _mm512_permutex2var_epi64(first_word, high, second);
        _mm512_storeu_si512(out, _mm512_maskz_compress_epi64(both >> 8, four));
        out += __builtin_popcount(both >> 8);
    }
    __mmask8 wrong = range.wrong;
    __m512i top = range.top;
    if (wrong)
        return RVFS_NOT_WIDE;
    for (int64_t t = 0; t < w.tracks; t++)
        w.counts[t + 1] = tracks[t].row - w.cursors[t];
    wide->top = (int64_t)_mm512_reduce_max_epu64(top);
    return out - w.words;
}

#else

static int rvfs_has_wide(void)
{
    return 0;
}

static int64_t rvfs_wide_fill(struct rvfs_wide *w, int64_t begin, int64_t end, int64_t first)
{
    (void)w, (void)begin, (void)end, (void)first;
    return RVFS_NOT_WIDE;
}

#endif
#endif
