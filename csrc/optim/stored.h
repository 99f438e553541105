/* Where the elements of arrays lie that are not of the step's dtype. Inside the core only. */
#ifndef SCHUSS_OPTIM_STORED_H
#define SCHUSS_OPTIM_STORED_H

#include "../kernels.h"

enum { BLOCK_8BIT = 256 /* Elements that share a scale; arrays of 8 bits are cut at multiples of so many. */ };

static inline int is_8bit(int format) { return format == SCHUSS_8BIT_SIGNED || format == SCHUSS_8BIT_UNSIGNED; }

/* Bytes of an element, without what lies elsewhere. */
static inline ptrdiff_t format_bytes(int format) {
    return format == SCHUSS_F64 ? 8 : format == SCHUSS_F32 ? 4 : is_8bit(format) ? 1 : 2;
}

/* Blocks of an array of 8 bits. */
static inline ptrdiff_t blocks_8bit(ptrdiff_t n) { return (n + BLOCK_8BIT - 1) / BLOCK_8BIT; }

/* Element number `element` of an array. */
static inline void *stored_at(int format, const void *array, ptrdiff_t element) {
    return (char *)(uintptr_t)array + element * format_bytes(format);
}

/* Bytes of an element of a segment's gradient; item: of one of the step's dtype. */
static inline ptrdiff_t gradient_bytes(const struct schuss_segment *s, ptrdiff_t item) {
    return s->stored ? format_bytes(s->stored->g) : item;
}

/* What belongs to it: its lower half, or the scale of its block. */
static inline void *more_at(int format, const void *more, ptrdiff_t element) {
    if (format == SCHUSS_SPLIT) return (uint16_t *)(uintptr_t)more + element;
    return is_8bit(format) ? (float *)(uintptr_t)more + element / BLOCK_8BIT : NULL;
}

/* Random numbers of what belongs to an array: slot -1 is that of the parameters, -2 of their copy. */
static inline struct rounding rounding_of(const struct schuss_stored *as, int slot, int64_t t, ptrdiff_t first) {
    return (struct rounding){.seed = as->seed, .number = as->number * (SCHUSS_MAX_STATES + 2) + (uint32_t)(slot + 2), .t = t,
                             .first = first};
}

#endif
