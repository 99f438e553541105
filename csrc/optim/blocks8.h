/* States of 8 bits: blocks of 256 elements, each a code a byte, and the block's largest magnitude, `absmax`, a float.
 * An element is map(code) * absmax, rounded once. What is exchanged with others are codes and absmax, and the maps are
 * the known ones ("dynamic": Dettmers, Lewis, Shleifer, Zettlemoyer, "8-bit optimizers via block-wise quantization",
 * 2022): signed, zero at code 127, and unsigned, zero at code 0, in both 1 at code 255.
 *
 * Seven decades share the codes between: decade d = 0..6, of 10^(d-7) to 10^(d-6), is cut into equal cells, 2^d of them
 * signed, 2^(d+1) unsigned, and a code means its cell's middle. Signed, code 127 + k is of decade floor(log2 k) and code
 * 127 - k is its negative. Unsigned, with k = code + 1, the decade is floor(log2 k) - 1. Of both, with p = floor(log2 k),
 *
 *     map = (18 k + 9 - 16 * 2^p) * (10^(d-6) / (20 * 2^p))
 *
 * an integer times a constant of the decade. Others make the same maps by sums of rounded floats: theirs differ from
 * this one by up to two units in the last place, which no code notices.
 *
 * All levels, and both dtypes, make the same codes and reals: where a level has no multiply-add, its products are exact,
 * or doubles stand in for one. tests/reference/blocks8.py is the twin. */

enum { BLOCK8 = 256, SIGNED_ZERO = 127 };

/* The constants for widening, by the lowest three bits of the exponent of the float k: 2^p is 127 + p. */
static const float SIGNED_UNIT[8] = {
    /* p = 1 to 6; 7, which is k = 128 and means 1 = 2304 / 2304; 0 */
    (float)(1e-5 / 40), (float)(1e-4 / 80), (float)(1e-3 / 160), (float)(1e-2 / 320),
    (float)(1e-1 / 640), (float)(1.0 / 1280), (float)(1.0 / 2304), (float)(1e-6 / 20),
};
/* (9 - 16 * 2^p) / 2^p: times 2^p, which has the sign of k here and is 0 of 0, it is what 18 k lacks. */
static const float SIGNED_REST[8] = {
    9.0f / 2 - 16, 9.0f / 4 - 16, 9.0f / 8 - 16, 9.0f / 16 - 16, 9.0f / 32 - 16, 9.0f / 64 - 16, 0, 9 - 16,
};
static const float UNSIGNED_UNIT[8] = {
    /* p = 1 to 7; 0 and 8 have one place, and 18 k - 18 is 0 of k = 1, and 4590 of k = 256, which mean 0 and 1 */
    (float)(1e-6 / 40), (float)(1e-5 / 80), (float)(1e-4 / 160), (float)(1e-3 / 320),
    (float)(1e-2 / 640), (float)(1e-1 / 1280), (float)(1.0 / 2560), (float)(1.0 / 4590),
};
/* 9 - 16 * 2^p. */
static const float UNSIGNED_REST[8] = {9 - 32, 9 - 64, 9 - 128, 9 - 256, 9 - 512, 9 - 1024, 9 - 2048, -18};

/* The narrowing. x = |value| * (SPREAD / absmax) + TINIEST; the upper half of its bits times NEAR, from bit 23 on, is
 * its decade. That is a logarithm good to a few hundredths; with this SPREAD all decades' beginnings fall where it errs
 * by less than the last cell of the decade before, and such an x is found by the later decade: in cells from its first
 * code's middle it is at y <= -0.3, halfway between two codes. BEND moves that to -0.5, where rounding changes:
 * min(y, 2 y + 0.1) is y from -0.1 on. TINIEST, still of the lowest decade, keeps zeros there. */
#define SPREAD 1.12744140625
#define BEND 0.1f
#define TINIEST 0x1p-23
enum { NEAR_SIGNED = 19592, NEAR_UNSIGNED = 19590 };
/* y = x * CELLS + BEFORE. */
#define CELLS(unit, cells) (cells / (0.9 * unit * SPREAD))
#define BEFORE(unit, cells) (-((0.1 + 0.45 / cells) * cells / 0.9 + TINIEST * CELLS(unit, cells)))
/* The lookup begins with decade 1. Decade 7 is the code of 1 alone, of which y <= -0.3 is halfway to the one below.
 * Of decade 0, the last, y <= -0.3 is halfway to zero; unsigned, y = 0.5 is halfway between its two codes. */
#define SIGNED_DECADES(of) \
    of(1e-5, 2), of(1e-4, 4), of(1e-3, 8), of(1e-2, 16), of(1e-1, 32), of(1.0, 64)
#define UNSIGNED_DECADES(of) \
    of(1e-5, 4), of(1e-4, 8), of(1e-3, 16), of(1e-2, 32), of(1e-1, 64), of(1.0, 128)
#define LAST(cells, y, value) ((y) - (cells) * ((value) + TINIEST / SPREAD))
#define UNSIGNED_LOWEST (0.8 / 3.875e-7)
static const float SIGNED_CELLS[8] = {SIGNED_DECADES(CELLS), 32 / SPREAD, 1e6 / SPREAD};
static const float SIGNED_BEFORE[8] = {
    SIGNED_DECADES(BEFORE), LAST(32, -0.3, 0.996484375), LAST(1e6, -0.3, 2.75e-7),
};
static const float UNSIGNED_CELLS[8] = {UNSIGNED_DECADES(CELLS), 64 / SPREAD, UNSIGNED_LOWEST / SPREAD};
static const float UNSIGNED_BEFORE[8] = {
    UNSIGNED_DECADES(BEFORE), LAST(64, -0.3, 0.9982421875), LAST(UNSIGNED_LOWEST, 0.5, 5.5e-7),
};
/* The first code of each decade, or what is to be added to 127, and what makes a float's lowest byte count it: 2^23, at
 * which floats are integers. */
#define COUNT(code) (8388608.0f + (code))
static const float SIGNED_CODE[8] = {
    COUNT(2), COUNT(4), COUNT(8), COUNT(16), COUNT(32), COUNT(64), COUNT(128), COUNT(1),
};
static const float UNSIGNED_CODE[8] = {
    COUNT(3), COUNT(7), COUNT(15), COUNT(31), COUNT(63), COUNT(127), COUNT(255), COUNT(1),
};

/* The bits of COUNT(1). What is never negative stands below a fraction: were its small numbers 0, a rule that divides by
 * their root would make steps of any size where another state of that element is not. So they are code 1 at least. */
enum { LEAST_WORD = 0x4b000001 };

/* code[256], to[256]. */
ALWAYS_INLINE void widen_block(const int is_signed, const uint8_t *code, float absmax, float *to) {
    const table8 unit = f_table8_of(is_signed ? SIGNED_UNIT : UNSIGNED_UNIT);
    const table8 rest = f_table8_of(is_signed ? SIGNED_REST : UNSIGNED_REST);
    for (int i = 0; i < BLOCK8; i += WORDS) {
        const vecw w = w_of_bytes(code + i) + (is_signed ? -SIGNED_ZERO : 1);
        const vecf k = __builtin_convertvector(w, vecf);
        const vecw exponent = (vecw)k >> 23;
        vecf whole;
        if (is_signed) {
            const vecf power = (vecf)((vecw)k & (int32_t)0xff800000);
            whole = f_fma_exact(power, f_table8(rest, exponent), 18 * k);
        } else whole = f_fma_exact(k, 18 - (vecf){0}, f_table8(rest, exponent));
        f_store(to + i, whole * f_table8(unit, exponent) * absmax);
    }
}

/* from[256], code[256]; none of them NaN, larger than absmax, which is a normal number below 2^100, or, unsigned,
 * negative. */
ALWAYS_INLINE void narrow_block(const int is_signed, const float *from, float absmax, uint8_t *code) {
    const table8 cells = f_table8_of(is_signed ? SIGNED_CELLS : UNSIGNED_CELLS);
    const table8 before = f_table8_of(is_signed ? SIGNED_BEFORE : UNSIGNED_BEFORE);
    const table8 codes = f_table8_of(is_signed ? SIGNED_CODE : UNSIGNED_CODE);
    const vecf scale = (float)SPREAD / absmax - (vecf){0};
    const vecf tiniest = (float)TINIEST - (vecf){0}, bend = BEND - (vecf){0}, two = 2 - (vecf){0};
    for (int i = 0; i < BLOCK8; i += 4 * WORDS) {
        vecf v[4];
        vecw w[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            v[j] = f_load(from + i + j * WORDS);
            const vecf x = f_fma(is_signed ? (vecf)((vecw)v[j] & 0x7fffffff) : v[j], scale, tiniest);
            const vecw decade = w_upper_times((vecw)x, is_signed ? NEAR_SIGNED : NEAR_UNSIGNED) >> 23;
            const vecf y = f_fma(x, f_table8(cells, decade), f_table8(before, decade));
            w[j] = (vecw)(f_min(y, f_fma_exact(y, two, bend)) + f_table8(codes, decade));
            if (!is_signed) w[j] = w_max(w[j], (v[j] > 0) & LEAST_WORD);
        }
        /* Signed, -1 becomes the least code, which is -0.993. */
        if (is_signed) w_to_mirrored(code + i, SIGNED_ZERO, w, v);
        else w_to_bytes(code + i, w);
    }
}

/* The largest of from[256] as bits: of magnitudes, signed; unsigned, a negative number comes out as larger than all that
 * are not. An infinity or NaN is larger than numbers. */
ALWAYS_INLINE uint32_t largest_bits(const int is_signed, const float *from) {
    vecw w[4] = {{0}, {0}, {0}, {0}};
    for (int i = 0; i < BLOCK8; i += 4 * WORDS)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            const vecw bits = (vecw)f_load(from + i + j * WORDS);
            w[j] = w_max(w[j], is_signed ? bits & 0x7fffffff : bits);
        }
    uint32_t words[4 * WORDS], largest = 0;
    memcpy(words, w, sizeof words);
    for (int i = 0; i < 4 * WORDS; i++) largest = words[i] > largest ? words[i] : largest;
    return largest;
}

ALWAYS_INLINE void widen_blocks(const int is_signed, ptrdiff_t n, const uint8_t *code, const float *absmax, real *to) {
    for (; n > 0; n -= BLOCK8, code += BLOCK8, to += BLOCK8, absmax++) {
        if (REAL_BITS == 32 && n >= BLOCK8) {
            widen_block(is_signed, code, *absmax, (float *)to);
            continue;
        }
        const ptrdiff_t here = n < BLOCK8 ? n : BLOCK8;
        uint8_t whole[BLOCK8] = {0};
        float wide[BLOCK8];
        memcpy(whole, code, (size_t)here);
        widen_block(is_signed, whole, *absmax, wide);
        for (ptrdiff_t i = 0; i < here; i++) to[i] = wide[i];
    }
}

ALWAYS_INLINE void narrow_blocks(const int is_signed, ptrdiff_t n, const real *from, uint8_t *code, float *absmax) {
    enum { SMALLEST_NORMAL = 0x00800000, INFINITE = 0x7f800000, LARGE = (127 + 100) << 23 };
    for (; n > 0; n -= BLOCK8, code += BLOCK8, from += BLOCK8, absmax++) {
        const int whole = n >= BLOCK8;
        const size_t here = whole ? BLOCK8 : (size_t)n;
        float copy[BLOCK8];
        const float *block = (const float *)from;
        if (REAL_BITS != 32 || !whole) {
            for (size_t i = 0; i < here; i++) copy[i] = (float)from[i];
            if (!whole) memset(copy + here, 0, sizeof copy - here * sizeof *copy);
            block = copy;
        }
        uint32_t bits = largest_bits(is_signed, block);
        if (!is_signed && bits > INT32_MAX) {
            for (int i = 0; i < BLOCK8; i++) copy[i] = block[i] < 0 && -block[i] < INFINITY ? 0 : fabsf(block[i]);
            block = copy;
            bits = largest_bits(is_signed, block);
        }
        if (bits < SMALLEST_NORMAL || bits >= INFINITE) {
            *absmax = bits < SMALLEST_NORMAL ? 0 : NAN;
            memset(code, is_signed ? SIGNED_ZERO : 0, here);
            continue;
        }
        float largest;
        memcpy(&largest, &bits, sizeof bits);
        *absmax = largest;
        if (bits >= LARGE) { /* SPREAD over it could be a denormal, which is flushed. */
            for (int i = 0; i < BLOCK8; i++) copy[i] = block[i] * 0x1p-32f;
            block = copy;
            largest *= 0x1p-32f;
        }
        if (whole) {
            narrow_block(is_signed, block, largest, code);
        } else {
            uint8_t codes[BLOCK8];
            narrow_block(is_signed, block, largest, codes);
            memcpy(code, codes, here);
        }
    }
}

/* code[n], absmax[n / 256 rounded up], to[n]. A NaN as absmax makes the whole block NaN. */
static void widen_8bit(int is_signed, ptrdiff_t n, const uint8_t *code, const float *absmax, real *to) {
    if (is_signed) widen_blocks(1, n, code, absmax, to);
    else widen_blocks(0, n, code, absmax, to);
}

/* from[n], code[n], absmax[n / 256 rounded up]. The nearest code of x as above, in real arithmetic but for the last
 * places of x: within two units of them halfway between two codes either may be taken. Zeros stay zeros, and the
 * largest magnitude is kept exactly where it is positive. Unsigned, what is negative is 0, and nothing else but zeros
 * is. A block of zeros, and of denormals, which kernels flush, gets absmax 0; one with a NaN or an infinity gets NaN as
 * absmax: all of it is NaN when it is widened. Doubles are rounded to floats first. */
static void narrow_8bit(int is_signed, ptrdiff_t n, const real *from, uint8_t *code, float *absmax) {
    if (is_signed) narrow_blocks(1, n, from, code, absmax);
    else narrow_blocks(0, n, from, code, absmax);
}
