/* Numbers as arrays store them, and as reals. Denormals are kept, although kernels run with denormals flushed: what could
 * be one goes through no arithmetic. Of a NaN the sign stays and the upper bits of its payload, and it is quiet.
 *
 *   F32, F64         nearest; ties to even
 *   BF16             the upper half of a float, nearest, ties to even
 *   BF16_STOCHASTIC  stored as BF16; the lower half of a float, as a fraction of 65536, is how likely it is rounded away
 *                    from zero. What is finite stays so: the largest bfloat16 is where it ends
 *   F16              IEEE 754's binary16, nearest, ties to even: by instructions where there are some, else the same bits
 *                    by integers
 *   SPLIT            a float in two halves: the nearest BF16, ties away from zero, and, in 16 bits, what the float's bits
 *                    are more, or, as a negative number, less. Nothing is lost but the payload of a NaN
 *   8BIT_SIGNED, 8BIT_UNSIGNED  blocks8.h
 *
 * Doubles become floats first, by a rounding of their own, wherever a format is narrower than a float. */

/* The bits of a float, and of a double. */
ALWAYS_INLINE uint32_t bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
ALWAYS_INLINE float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
ALWAYS_INLINE uint64_t bits_of_double(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
ALWAYS_INLINE double double_of_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

enum { FLOAT_INFINITY = 0x7f800000, FLOAT_LEAST_NORMAL = 0x00800000, FLOAT_MAGNITUDE = 0x7fffffff };

/* Denormal floats are multiples of 2^-149, which doubles count without a denormal among them. */
ALWAYS_INLINE double double_of_float_bits(uint32_t bits) {
    const int32_t magnitude = (int32_t)(bits & FLOAT_MAGNITUDE);
    const uint64_t denormal = bits_of_double((double)magnitude * 0x1p-149) | (uint64_t)(bits >> 31) << 63;
    const uint64_t normal = bits_of_double((double)float_of_bits(bits));
    return double_of_bits(magnitude < FLOAT_LEAST_NORMAL ? denormal : normal);
}
/* The addition rounds to these multiples: 2^52 is where doubles have no bit below 1. */
ALWAYS_INLINE uint32_t float_bits_of_double(double x) {
    const double magnitude = double_of_bits(bits_of_double(x) & ~(UINT64_C(1) << 63));
    const uint32_t sign = (uint32_t)(bits_of_double(x) >> 32) & 0x80000000u;
    const uint32_t denormal = (uint32_t)bits_of_double(magnitude * 0x1p149 + 0x1p52) | sign;
    return magnitude < 0x1p-126 ? denormal : bits_of_float((float)x);
}

#if REAL_BITS == 32
ALWAYS_INLINE uint32_t float_bits(real x) { return bits_of_float(x); }
ALWAYS_INLINE real real_of(uint32_t bits) { return float_of_bits(bits); }
#else
ALWAYS_INLINE uint32_t float_bits(real x) { return float_bits_of_double(x); }
ALWAYS_INLINE real real_of(uint32_t bits) { return double_of_float_bits(bits); }
#endif

/* The bfloat16, or, of a NaN, its own upper half, quiet. */
ALWAYS_INLINE uint32_t bf16_or_nan(uint32_t bits, uint32_t bf16) {
    const int32_t magnitude = (int32_t)(bits & FLOAT_MAGNITUDE);
    return magnitude > FLOAT_INFINITY ? bits >> 16 | 0x40 : bf16;
}

ALWAYS_INLINE uint32_t bf16_nearest(uint32_t bits) {
    return bf16_or_nan(bits, (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* draw: 16 random bits. */
ALWAYS_INLINE uint32_t bf16_stochastic(uint32_t bits, uint32_t draw) {
    enum { BF16_LARGEST = 0x7f7f };
    const int32_t magnitude = (int32_t)(bits & FLOAT_MAGNITUDE), added = (int32_t)((uint32_t)magnitude + draw) >> 16;
    const int32_t finite = added < BF16_LARGEST ? added : BF16_LARGEST;
    const int32_t rounded = magnitude < FLOAT_INFINITY ? finite : FLOAT_INFINITY >> 16;
    return bf16_or_nan(bits, (bits >> 16 & 0x8000) | (uint32_t)rounded);
}

#ifndef V_HALVES
/* Denormals of 16 bits are multiples of 2^-24, none of them a denormal float. Where their bits are chosen by a mask, the
 * compiler does not branch. */
ALWAYS_INLINE uint32_t float_bits_of_f16(uint32_t half) {
    const int32_t magnitude = (int32_t)(half & 0x7fff);
    const uint32_t denormal = bits_of_float((float)magnitude * 0x1p-24f), is_denormal = -(uint32_t)(magnitude < 0x400);
    const uint32_t bias = magnitude < 0x7c00 ? 112u << 23 : 224u << 23, quiet = magnitude > 0x7c00 ? 0x400000 : 0;
    const uint32_t other = (((uint32_t)magnitude << 13) + bias) | quiet;
    return (denormal & is_denormal) | (other & ~is_denormal) | (half & 0x8000) << 16;
}
/* From 1/2 to 1 floats are multiples of 2^-24. */
ALWAYS_INLINE uint32_t f16_nearest(uint32_t bits) {
    const int32_t magnitude = (int32_t)(bits & FLOAT_MAGNITUDE);
    const uint32_t rest = (uint32_t)magnitude - (112u << 23);
    const int32_t normal = (int32_t)(rest + 0xfff + (rest >> 13 & 1)) >> 13;
    const int32_t clamped = normal < 0x7c00 ? normal : 0x7c00;
    const int32_t denormal = (int32_t)(bits_of_float(float_of_bits((uint32_t)magnitude) + 0.5f) - bits_of_float(0.5f));
    const int32_t nan = 0x7e00 | (magnitude >> 13 & 0x3ff);
    const int32_t found = magnitude < 113 << 23 ? denormal : magnitude > FLOAT_INFINITY ? nan : clamped;
    return (uint32_t)found | (bits >> 16 & 0x8000);
}
#endif

static void widen_bf16(ptrdiff_t n, const uint16_t *restrict from, real *restrict to) {
    for (ptrdiff_t i = 0; i < n; i++) to[i] = real_of((uint32_t)from[i] << 16);
}

static void narrow_bf16(ptrdiff_t n, const real *restrict from, uint16_t *restrict to) {
    for (ptrdiff_t i = 0; i < n; i++) to[i] = (uint16_t)bf16_nearest(float_bits(from[i]));
}

enum { NUMBERS_OF_BLOCK = 8, ROUNDING_BLOCKS = 16, NUMBERS_DRAWN = ROUNDING_BLOCKS * NUMBERS_OF_BLOCK };
/* Which of four numbers comes i-th in memory, xor i: the first is the lowest of 64 bits. */
enum { NUMBER_IN_MEMORY = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 3 };

/* The numbers of ROUNDING_BLOCKS Philox blocks, of 16 bits each, from block `first` on. Word q of a block has two of its
 * eight: number 2 q in its lower half, 2 q + 1 in its upper half. */
ALWAYS_INLINE void draw_roundings(const struct rounding *r, uint64_t first, uint16_t *draws) {
    enum { GROUPS = ROUNDING_BLOCKS / BLOCKS_ABREAST };
    vecl c0[GROUPS], c1[GROUPS], c2[GROUPS], c3[GROUPS];
    const uint64_t t = (uint64_t)r->t;
#pragma GCC unroll 8
    for (int g = 0; g < GROUPS; g++) {
        c0[g] = numbers_from(first + (uint64_t)g * BLOCKS_ABREAST);
        c1[g] = r->number - (vecl){0};
        c2[g] = (uint32_t)t - (vecl){0};
        c3[g] = STREAM_ROUNDING + (uint32_t)(t >> 32) - (vecl){0};
    }
    philox_abreast(GROUPS, c0, c1, c2, c3, r->seed);
    uint64_t lower[ROUNDING_BLOCKS], upper[ROUNDING_BLOCKS], words[2 * ROUNDING_BLOCKS];
    const vecl half = 0xffffffffu - (vecl){0};
#pragma GCC unroll 8
    for (int g = 0; g < GROUPS; g++) {
        const vecl first_two = (c0[g] & half) | c1[g] << 32, last_two = (c2[g] & half) | c3[g] << 32;
        memcpy(lower + g * BLOCKS_ABREAST, &first_two, sizeof first_two);
        memcpy(upper + g * BLOCKS_ABREAST, &last_two, sizeof last_two);
    }
    for (int b = 0; b < ROUNDING_BLOCKS; b++) words[2 * b] = lower[b], words[2 * b + 1] = upper[b];
    memcpy(draws, words, sizeof words);
}

/* Element e of the array has number e % 8 of block e / 8. */
static void narrow_stochastic(ptrdiff_t n, const real *restrict from, uint16_t *restrict to, const struct rounding *r) {
    uint16_t draws[NUMBERS_DRAWN];
    uint64_t block = (uint64_t)r->first / NUMBERS_OF_BLOCK;
    ptrdiff_t skipped = r->first % NUMBERS_OF_BLOCK;
    while (n > 0) {
        draw_roundings(r, block, draws);
        const ptrdiff_t rest = NUMBERS_DRAWN - skipped, width = n < rest ? n : rest;
        for (ptrdiff_t i = 0; i < width; i++)
            to[i] = (uint16_t)bf16_stochastic(float_bits(from[i]), draws[(skipped + i) ^ NUMBER_IN_MEMORY]);
        from += width, to += width, n -= width;
        block += ROUNDING_BLOCKS, skipped = 0;
    }
}

#ifdef V_HALVES
/* The last vector of either is made of what is left, and zeros. */
static void widen_f16(ptrdiff_t n, const uint16_t *restrict from, real *restrict to) {
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(to + i, v_from_halves(from + i));
    if (i == n) return;
    uint16_t last[LANES] = {0};
    memcpy(last, from + i, (size_t)(n - i) * sizeof *last);
    v_store_m(to + i, v_from_halves(last), v_mask(n - i));
}

static void narrow_f16(ptrdiff_t n, const real *restrict from, uint16_t *restrict to) {
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) v_to_halves(to + i, v_load(from + i));
    if (i == n) return;
    uint16_t last[LANES];
    v_to_halves(last, v_load_m(from + i, v_mask(n - i)));
    memcpy(to + i, last, (size_t)(n - i) * sizeof *last);
}
#else
static void widen_f16(ptrdiff_t n, const uint16_t *restrict from, real *restrict to) {
    for (ptrdiff_t i = 0; i < n; i++) to[i] = real_of(float_bits_of_f16(from[i]));
}

static void narrow_f16(ptrdiff_t n, const real *restrict from, uint16_t *restrict to) {
    for (ptrdiff_t i = 0; i < n; i++) to[i] = (uint16_t)f16_nearest(float_bits(from[i]));
}
#endif

static void widen_split(ptrdiff_t n, const uint16_t *restrict high, const uint16_t *restrict low, real *restrict to) {
    for (ptrdiff_t i = 0; i < n; i++) to[i] = real_of(((uint32_t)high[i] << 16) + (uint32_t)(int16_t)low[i]);
}

static void narrow_split(ptrdiff_t n, const real *restrict from, uint16_t *restrict high, uint16_t *restrict low) {
    for (ptrdiff_t i = 0; i < n; i++) {
        const uint32_t bits = float_bits(from[i]);
        const int32_t magnitude = (int32_t)(bits & FLOAT_MAGNITUDE);
        high[i] = (uint16_t)bf16_or_nan(bits, (bits + 0x8000) >> 16);
        low[i] = (uint16_t)(magnitude > FLOAT_INFINITY ? 0 : bits);
    }
}

/* Floats and doubles, whichever of them a real is not. */
static void widen_other(ptrdiff_t n, const void *from, real *restrict to) {
#if REAL_BITS == 32
    const double *restrict x = (const double *)from;
    for (ptrdiff_t i = 0; i < n; i++) to[i] = real_of(float_bits_of_double(x[i]));
#else
    const uint32_t *restrict x = (const uint32_t *)from;
    for (ptrdiff_t i = 0; i < n; i++) to[i] = real_of(x[i]);
#endif
}

static void narrow_other(ptrdiff_t n, const real *restrict from, void *to) {
#if REAL_BITS == 32
    double *restrict y = (double *)to;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = double_of_float_bits(float_bits(from[i]));
#else
    uint32_t *restrict y = (uint32_t *)to;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = float_bits(from[i]);
#endif
}

/* See struct kernels. */
static void widen(int format, ptrdiff_t n, const void *from, const void *more, void *to) {
    real *const out = (real *)to;
    if (format == DTYPE) {
        memcpy(to, from, (size_t)n * sizeof(real));
        return;
    }
    switch (format) {
    case SCHUSS_BF16:
    case SCHUSS_BF16_STOCHASTIC: widen_bf16(n, (const uint16_t *)from, out); break;
    case SCHUSS_F16: widen_f16(n, (const uint16_t *)from, out); break;
    case SCHUSS_SPLIT: widen_split(n, (const uint16_t *)from, (const uint16_t *)more, out); break;
    case SCHUSS_8BIT_SIGNED:
    case SCHUSS_8BIT_UNSIGNED:
        widen_8bit(format == SCHUSS_8BIT_SIGNED, n, (const uint8_t *)from, (const float *)more, out);
        break;
    default: widen_other(n, from, out); break;
    }
}

/* See struct kernels. */
static void narrow(int format, ptrdiff_t n, const void *from, void *to, void *more, const struct rounding *rounding) {
    const real *const x = (const real *)from;
    if (format == DTYPE) {
        memcpy(to, from, (size_t)n * sizeof(real));
        return;
    }
    switch (format) {
    case SCHUSS_BF16: narrow_bf16(n, x, (uint16_t *)to); break;
    case SCHUSS_BF16_STOCHASTIC: narrow_stochastic(n, x, (uint16_t *)to, rounding); break;
    case SCHUSS_F16: narrow_f16(n, x, (uint16_t *)to); break;
    case SCHUSS_SPLIT: narrow_split(n, x, (uint16_t *)to, (uint16_t *)more); break;
    case SCHUSS_8BIT_SIGNED:
    case SCHUSS_8BIT_UNSIGNED:
        narrow_8bit(format == SCHUSS_8BIT_SIGNED, n, x, (uint8_t *)to, (float *)more);
        break;
    default: narrow_other(n, x, to); break;
    }
}
