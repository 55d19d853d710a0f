/* Selector.fill for machines with AVX-512; see _select.py. Words are made for eight rows of a
 * tracepoint at a time, then put in the order of eight events at a time. Only chosen where it pays:
 * up to four places for an event, keys that are tasks or CPUs, nothing taken along. Whatever else
 * there is, and any key out of its range, is left to the portable code (RVFS_NOT_WIDE), with
 * nothing changed that counts. */
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
    int64_t tracks, number_of_places, widest, scope, cpus_limit, pids_limit;
    int64_t top;
};

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define RVFS_TARGET __attribute__((target("avx512f,avx512vl,avx512dq,bmi,bmi2,popcnt")))
#define RVFS_INLINE RVFS_TARGET static inline __attribute__((always_inline))

enum {
    RVFS_PLACE = 7, RVFS_QUESTION = 4, RVFS_MOST_TRACKS = 16, RVFS_TABLE = 3, RVFS_PLACES = 4,
    RVFS_ROWS = 128, /* of a tracepoint, whose words are made at once */
};
/* Of a word that is not done: it comes to an idle task, whose CPU only the event knows. */
#define RVFS_IDLE (1ULL << 63)

static int rvfs_has_wide(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("bmi2");
}

struct rvfs_question {
    int64_t mask, lowest, span;
    const int64_t *column;
};

struct rvfs_place {
    __m512i letters;
    const int64_t *keys; /* NULL for the event's own */
    int64_t questions;
    struct rvfs_question question[RVFS_TABLE];
};

struct rvfs_track {
    int64_t id, number, row, length, places;
    int64_t made, used; /* rows whose words are there, and those of them that were used */
    __mmask8 own[RVFS_PLACES]; /* all, where the event's own task or CPU is meant */
    struct rvfs_place place[RVFS_PLACES];
    uint64_t words[RVFS_PLACES][RVFS_ROWS + 8]; /* eight at a time are read */
};

/* The largest key of a column, and of an idle task's CPUs. */
struct rvfs_range {
    __m512i shift, key, cpu;
};

RVFS_INLINE __mmask8 rvfs_first(int64_t count)
{
    return count < 8 ? (1 << count) - 1 : 0xFF;
}

static inline const int64_t *rvfs_column(const struct rvfs_wide *w, int64_t column)
{
    return column < 0 ? NULL : (const int64_t *)(intptr_t)w->data[column];
}

/* What is the same for all events. Those tracepoints come first of which there are values. */
RVFS_TARGET static struct rvfs_track *rvfs_prepare(
    const struct rvfs_wide *w, struct rvfs_track *tracks)
{
    struct rvfs_track *live = tracks, *rest = tracks + w->tracks, *at[RVFS_MOST_TRACKS];

    for (int64_t t = 0; t < w->tracks; t++) {
        struct rvfs_track *track = at[t] = w->cursors[t] < w->lengths[t] ? live++ : --rest;

        track->id = t, track->number = w->numbers[t];
        track->row = w->cursors[t], track->length = w->lengths[t];
        track->places = track->made = track->used = 0;
    }
    for (int64_t i = 0; i < w->number_of_places; i++) {
        const int64_t *from = w->places + RVFS_PLACE * i;
        struct rvfs_track *track = at[from[0]];
        struct rvfs_place *place = track->place + from[1];
        int64_t letters[8] = {0};
        for (int j = 0; j < 1 << from[5]; j++)
            letters[j] = w->letters[from[6] + j];
        track->places++;
        place->letters = _mm512_loadu_si512(letters);
        place->keys = rvfs_column(w, from[w->scope == 1 ? 3 : 2]);
        place->questions = from[5];
        track->own[from[1]] = place->keys || !w->scope ? 0 : 0xFF;
        for (int64_t q = 0; q < from[5]; q++) {
            const int64_t *asked = w->questions + RVFS_QUESTION * (from[4] + q);
            place->question[q] = (struct rvfs_question){
                asked[1], asked[2], asked[3], rvfs_column(w, asked[0]),
            };
        }
    }
    return live;
}

/* The words of a place, but for their position and what only the event knows: those of the next
 * `count` rows of its tracepoint. */
RVFS_INLINE void rvfs_rows(
    const struct rvfs_wide *w, const struct rvfs_place *place, int64_t questions, int64_t row,
    int64_t count, uint64_t *words, struct rvfs_range *range)
{
    const __m512i shift = range->shift, letters = place->letters;
    const __mmask8 task = w->scope == 2 ? 0xFF : 0;
    const int64_t *keys = place->keys;
    __m512i most = range->key, mask[RVFS_TABLE], lowest[RVFS_TABLE], span[RVFS_TABLE];

    for (int64_t q = 0; q < questions; q++) {
        mask[q] = _mm512_set1_epi64(place->question[q].mask);
        lowest[q] = _mm512_set1_epi64(place->question[q].lowest);
        span[q] = _mm512_set1_epi64(place->question[q].span);
    }
    for (int64_t r = 0; r < count; r += 8) {
        __mmask8 some = rvfs_first(count - r), idle = 0;
        __m512i who = _mm512_setzero_si512(), answers = _mm512_setzero_si512();
        if (keys) {
            who = _mm512_maskz_loadu_epi64(some, keys + row + r);
            _mm_prefetch(keys + row + r + RVFS_ROWS, _MM_HINT_T0);
            most = _mm512_max_epu64(most, who);
            idle = _mm512_testn_epi64_mask(who, who) & task;
            who = _mm512_add_epi64(who, shift);
        }
        for (int64_t q = 0; q < questions; q++) {
            const int64_t *column = place->question[q].column + row + r;
            __m512i value = _mm512_maskz_loadu_epi64(some, column);
            _mm_prefetch(column + RVFS_ROWS, _MM_HINT_T0);
            value = _mm512_sub_epi64(_mm512_and_si512(value, mask[q]), lowest[q]);
            __mmask8 yes = _mm512_cmple_epu64_mask(value, span[q]);
            answers = _mm512_mask_or_epi64(answers, yes, answers, _mm512_set1_epi64(1LL << q));
        }
        who = _mm512_or_si512(
            _mm512_slli_epi64(who, 32), _mm512_permutexvar_epi64(answers, letters));
        who = _mm512_mask_or_epi64(who, idle, who, _mm512_set1_epi64(RVFS_IDLE));
        _mm512_storeu_si512(words + r, who);
    }
    range->key = most;
}

RVFS_TARGET static void rvfs_place_rows(
    const struct rvfs_wide *w, const struct rvfs_place *place, int64_t row, int64_t count,
    uint64_t *words, struct rvfs_range *range)
{
    switch (place->questions) { /* each with all that it needs in registers */
    case 0:
        return rvfs_rows(w, place, 0, row, count, words, range);
    case 1:
        return rvfs_rows(w, place, 1, row, count, words, range);
    case 2:
        return rvfs_rows(w, place, 2, row, count, words, range);
    default:
        return rvfs_rows(w, place, 3, row, count, words, range);
    }
}

/* Have the words of the next rows, from the first that was not used on; false if they are not as
 * many as are needed. */
RVFS_TARGET __attribute__((noinline)) static int rvfs_more(
    const struct rvfs_wide *w, struct rvfs_track *track, int64_t needed, struct rvfs_range *range)
{
    track->row += track->used;
    track->used = 0;
    track->made = track->length - track->row < RVFS_ROWS ? track->length - track->row : RVFS_ROWS;
    for (int64_t p = 0; p < track->places; p++)
        rvfs_place_rows(w, track->place + p, track->row, track->made, track->words[p], range);
    return track->made >= needed;
}

/* Put in whom the event alone tells: its own task or CPU (`own`), the CPU of an idle task. */
RVFS_INLINE __m512i rvfs_complete(
    const struct rvfs_wide *w, __m512i word, __mmask8 own, int64_t i,
    struct rvfs_range *range)
{
    if (own) {
        __m512i who = _mm512_maskz_loadu_epi64(own, (w->scope == 1 ? w->cpus : w->pids) + i);
        range->key = _mm512_max_epu64(range->key, who);
        __mmask8 idle = w->scope == 2 ? _mm512_mask_testn_epi64_mask(own, who, who) : 0;
        who = _mm512_slli_epi64(_mm512_add_epi64(who, range->shift), 32);
        word = _mm512_mask_or_epi64(word, own, word, who);
        word = _mm512_mask_or_epi64(word, idle, word, _mm512_set1_epi64(RVFS_IDLE));
    }
    __mmask8 idle = _mm512_movepi64_mask(word);
    if (idle) {
        __m512i cpus = _mm512_maskz_loadu_epi64(idle, w->cpus + i);
        range->cpu = _mm512_max_epu64(range->cpu, cpus);
        __m512i letter = _mm512_and_si512(word, _mm512_set1_epi64(0xFFFF));
        word = _mm512_mask_or_epi64(word, idle, letter, _mm512_slli_epi64(cpus, 32));
    }
    return word;
}

/* Whether there is an event of a tracepoint of which there are no values. */
RVFS_TARGET static int rvfs_is_missing(
    const struct rvfs_track *track, const struct rvfs_track *behind, __mmask8 here, __m512i tps)
{
    for (; track < behind; track++)
        if (_mm512_mask_cmpeq_epi64_mask(here, tps, _mm512_set1_epi64(track->number)))
            return 1;
    return 0;
}

/* The words of eight events in their order, and for each in that of its places; behind them. There
 * is room for eight more. */
RVFS_INLINE uint64_t *rvfs_write(
    const __m512i *words, const __mmask8 *some, int64_t places, uint64_t *out)
{
    const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    const __m512i high = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    const __m512i even = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i odd = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    __m512i a = _mm512_permutex2var_epi64(words[0], low, words[1]);
    __m512i b = _mm512_permutex2var_epi64(words[0], high, words[1]);
    __m512i all[4] = {a, b, a, b};
    uint32_t which = _pdep_u32(some[0], 0x5555) | _pdep_u32(some[1], 0xAAAA);

    if (places > 2) {
        __m512i c = _mm512_permutex2var_epi64(words[2], low, words[3]);
        __m512i d = _mm512_permutex2var_epi64(words[2], high, words[3]);

        all[0] = _mm512_permutex2var_epi64(a, even, c);
        all[1] = _mm512_permutex2var_epi64(a, odd, c);
        all[2] = _mm512_permutex2var_epi64(b, even, d);
        all[3] = _mm512_permutex2var_epi64(b, odd, d);
        which = _pdep_u32(some[0], 0x11111111) | _pdep_u32(some[1], 0x22222222)
            | _pdep_u32(some[2], 0x44444444) | _pdep_u32(some[3], 0x88888888);
    }
    for (int n = 0; n < (places > 2 ? 4 : 2); n++, which >>= 8) {
        _mm512_storeu_si512(out, _mm512_maskz_compress_epi64(which & 0xFF, all[n]));
        out += __builtin_popcount(which & 0xFF);
    }
    return out;
}

/* For up to `places` (2 or 4) places. */
RVFS_INLINE int64_t rvfs_fill(
    struct rvfs_wide *wide, int64_t begin, int64_t end, int64_t first, int64_t places)
{
    const struct rvfs_wide w = *wide;
    const __m512i zero = _mm512_setzero_si512();
    const __m512i nothing = _mm512_set1_epi64(-1); /* a tracepoint that there is not */
    const __m512i each = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    struct rvfs_range range = {
        _mm512_set1_epi64(w.scope == 2 ? w.cpus_limit : 0), _mm512_setzero_si512(),
        _mm512_setzero_si512(),
    };
    struct rvfs_track tracks[RVFS_MOST_TRACKS], *const live = rvfs_prepare(&w, tracks);
    uint64_t *out = w.words + first;

    for (int64_t i = begin; i < end; i += 8) {
        __mmask8 here = rvfs_first(end - i), known = 0;
        __m512i tps = _mm512_mask_loadu_epi64(nothing, here, w.tps + i);
        __m512i at = _mm512_slli_epi64(_mm512_add_epi64(_mm512_set1_epi64(i - begin), each), 16);
        __m512i words[RVFS_PLACES] = {zero, zero, zero, zero};
        __mmask8 some[RVFS_PLACES] = {0}, own[RVFS_PLACES] = {0};

        for (struct rvfs_track *track = tracks; track < live; track++) {
            __mmask8 mine = _mm512_cmpeq_epi64_mask(tps, _mm512_set1_epi64(track->number));
            int64_t used = track->used, count = __builtin_popcount(mine);
            if (!mine)
                continue;
            if (used + count > track->made) {
                if (!rvfs_more(&w, track, count, &range))
                    return RVFS_NOT_WIDE;
                used = 0;
            }
            track->used = used + count;
            known |= mine;
            for (int64_t p = 0; p < places; p++) {
                if (p && p >= track->places)
                    break;
                __m512i its = _mm512_loadu_si512(track->words[p] + used);
                __asm__("" : "+v"(its)); /* to expand it from memory is slower */
                words[p] = _mm512_mask_expand_epi64(words[p], mine, its);
                some[p] |= mine, own[p] |= mine & track->own[p];
            }
        }
        if (known != here && rvfs_is_missing(live, tracks + w.tracks, here, tps))
            return RVFS_NOT_WIDE;
        for (int64_t p = 0; p < places; p++) {
            if (places > 2) /* where an event has that many, most of them bring nothing */
                some[p] &= _mm512_test_epi64_mask(words[p], _mm512_set1_epi64(0xFFFF));
            words[p] = rvfs_complete(&w, words[p], own[p] & some[p], i, &range);
            words[p] = _mm512_or_si512(words[p], at);
        }
        out = rvfs_write(words, some, places, out);
    }
    uint64_t key = _mm512_reduce_max_epu64(range.key), cpu = _mm512_reduce_max_epu64(range.cpu);
    if (key > (uint64_t)(w.scope == 2 ? w.pids_limit : w.cpus_limit - 1)
        || cpu >= (uint64_t)w.cpus_limit)
        return RVFS_NOT_WIDE;
    for (int64_t t = 0; t < w.tracks; t++)
        w.counts[t + 1] = 0;
    for (struct rvfs_track *track = tracks; track < live; track++)
        w.counts[track->id + 1] = track->row + track->used - w.cursors[track->id];
    wide->top = (int64_t)(key ? key + (w.scope == 2 ? w.cpus_limit : 0) : cpu);
    return out - w.words;
}

RVFS_TARGET static int64_t rvfs_wide_fill(
    struct rvfs_wide *wide, int64_t begin, int64_t end, int64_t first)
{
    return wide->widest > 2 ? rvfs_fill(wide, begin, end, first, RVFS_PLACES)
                            : rvfs_fill(wide, begin, end, first, 2);
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
