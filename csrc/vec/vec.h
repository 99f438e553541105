/* The SIMD vocabulary. A `vec` holds LANES reals and takes the infix operators + - * / < > (GCC and Clang vector
 * types); comparisons give a `veci`, each lane all ones or all zeros. The machine's header adds:
 *
 *   TILE_ROWS, TILE_VECS                  the shape of the GEMM's register tile
 *   vmask, v_mask(n)                      the first n lanes, n >= 0; all of them from n = LANES on
 *   v_load_m(p, m), v_store_m(p, v, m)    those lanes only: others read as 0, and are not touched in memory
 *   v_set1(x)                             x in every lane
 *   v_fma(a, b, c)                        a * b + c, rounded once
 *   V_BITS(m)                             bit i: whether lane i of a comparison is true; left out without an instruction
 *   v_product32(a, b)                     of the lower 32 bits of each 64
 *   V_MAX(a, b), V_MIN(a, b)              a > b ? a : b, a < b ? a : b, where there is an instruction; else left out
 *   V_SQRT(a)                             the root of each lane, where there is an instruction; else left out
 *   V_HALVES, v_from_halves(p), v_to_halves(p, v)  LANES numbers of 16 bits (binary16) from p on, nearest, ties to even,
 *                                         where reals are floats and there are instructions; else left out
 *   v_widen(p)                            DOUBLES reals from p on, as doubles; of floats only, the other is here
 *
 * and, of lanes of 32 bits whatever a real is, floats (vecf) and their words (vecw):
 *
 *   f_fma(a, b, c)                        a * b + c, rounded once; at the baseline, if a double holds it exactly
 *   f_fma_exact(a, b, c)                  the same, where a * b is exact
 *   F_ADD_PAIRS, F_ADD_PAIRS_TARGET       f_add_pairs(sum, a, b): sum + the products of the upper halves of words as bfloat16,
 *                                         then of the lower ones, each rounded once; in functions with that target, on
 *                                         CPUs that schuss_has_bf16(); else left out
 *   f_min(a, b)                           a < b ? a : b
 *   table8, f_table8_of(t), f_table8(t, w)    eight floats, made ready; the one that the lowest three bits of w tell
 *   w_max(a, b)                           the larger one, of numbers without a sign
 *   w_upper_times(w, c)                   the upper 16 bits of w, which are not negative, times c, 0 <= c < 32768
 *   w_of_bytes(p)                         WORDS bytes from p on, each a word
 *   w_to_bytes(p, w)                      the lowest byte of each word of w[4], of which the next one is 0
 *   w_to_mirrored(p, m, w, v)             m + that byte, but m - it, at least 0, where v[4] has its sign bit set
 *
 * Before inclusion: REAL_BITS, VECTOR_BYTES and MACHINE_HEADER. */

#if REAL_BITS == 32
typedef float real;
typedef int32_t real_int;
typedef uint32_t real_uint;
#define SQRT sqrtf
enum { DTYPE = SCHUSS_F32, MANTISSA_BITS = 23, EXPONENT_BIAS = 127 };
#else
typedef double real;
typedef int64_t real_int;
typedef uint64_t real_uint;
#define SQRT sqrt
enum { DTYPE = SCHUSS_F64, MANTISSA_BITS = 52, EXPONENT_BIAS = 1023 };
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef real_int veci __attribute__((vector_size(VECTOR_BYTES)));
enum { LANES = VECTOR_BYTES / sizeof(real) };

ALWAYS_INLINE vec v_load(const real *p) {
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
ALWAYS_INLINE void v_store(real *p, vec v) { memcpy(p, &v, sizeof v); }

typedef uint64_t vecl __attribute__((vector_size(VECTOR_BYTES)));
typedef double wide __attribute__((vector_size(VECTOR_BYTES)));
enum { DOUBLES = VECTOR_BYTES / sizeof(double) };
#if REAL_BITS == 64
ALWAYS_INLINE wide v_widen(const real *p) { return (wide)v_load(p); }
#endif

typedef float vecf __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t vecw __attribute__((vector_size(VECTOR_BYTES)));
enum { WORDS = VECTOR_BYTES / sizeof(float) };
ALWAYS_INLINE vecf f_load(const float *p) {
    vecf v;
    memcpy(&v, p, sizeof v);
    return v;
}
ALWAYS_INLINE void f_store(float *p, vecf v) { memcpy(p, &v, sizeof v); }

#include MACHINE_HEADER

/* Bit i: whether lane i of a comparison is true. */
ALWAYS_INLINE uint32_t v_bits(veci mask) {
#ifdef V_BITS
    return V_BITS(mask);
#undef V_BITS
#else
    uint32_t bits = 0;
    for (int i = 0; i < LANES; i++) bits |= (uint32_t)(mask[i] & 1) << i;
    return bits;
#endif
}
ALWAYS_INLINE vec v_select(veci mask, vec yes, vec no) { return (vec)((mask & (veci)yes) | (~mask & (veci)no)); }
ALWAYS_INLINE veci v_seti(real_int x) { return x - (veci){0}; }
ALWAYS_INLINE vec v_abs(vec x) { return (vec)((veci)x & v_seti((real_int)(((uint64_t)1 << (REAL_BITS - 1)) - 1))); }
#ifndef V_MAX
#define V_MAX(a, b) v_select(a > b, a, b)
#define V_MIN(a, b) v_select(a < b, a, b)
#endif
/* A NaN in b stays; a NaN in a gives b. */
ALWAYS_INLINE vec v_max(vec a, vec b) { return V_MAX(a, b); }
ALWAYS_INLINE vec v_min(vec a, vec b) { return V_MIN(a, b); }
#undef V_MAX
#undef V_MIN
ALWAYS_INLINE vec v_sqrt(vec a) {
#ifdef V_SQRT
    return V_SQRT(a);
#undef V_SQRT
#else
    vec roots;
    for (int i = 0; i < LANES; i++) roots[i] = SQRT(a[i]);
    return roots;
#endif
}

/* The low (high) halves of a and b, lane by lane in turn: a0 b0 a1 b1 ... */
#if VECTOR_BYTES * 8 == REAL_BITS * 2
#define ZIP_LOW 0, 2
#define ZIP_HIGH 1, 3
#elif VECTOR_BYTES * 8 == REAL_BITS * 4
#define ZIP_LOW 0, 4, 1, 5
#define ZIP_HIGH 2, 6, 3, 7
#elif VECTOR_BYTES * 8 == REAL_BITS * 8
#define ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define ZIP_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#endif
#ifdef __clang__
#define V_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define V_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (veci){__VA_ARGS__})
#endif
ALWAYS_INLINE vec v_zip_low(vec a, vec b) { return V_SHUFFLE(a, b, ZIP_LOW); }
ALWAYS_INLINE vec v_zip_high(vec a, vec b) { return V_SHUFFLE(a, b, ZIP_HIGH); }

/* The same within every 16 bytes, and their even (odd) 16 bytes, first a's and then b's. Those are cheap on x86-64. */
#if REAL_BITS == 32
#define ZIP_PAIR(i, n) i, i + n, i + 1, i + 1 + n
#define WHOLE(i) i, i + 1, i + 2, i + 3
#else
#define ZIP_PAIR(i, n) i, i + n
#define WHOLE(i) i, i + 1
#endif
enum { SHORT = 16 / sizeof(real) }; /* lanes of 16 bytes */
#if VECTOR_BYTES == 16
#define SHORT_ZIP(high) ZIP_PAIR(high, LANES)
#elif VECTOR_BYTES == 32
#define SHORT_ZIP(high) ZIP_PAIR(high, LANES), ZIP_PAIR(SHORT + high, LANES)
#define EACH_SECOND(odd) WHOLE(odd), WHOLE(2 * SHORT + odd)
#else
#define SHORT_ZIP(high) \
    ZIP_PAIR(high, LANES), ZIP_PAIR(SHORT + high, LANES), ZIP_PAIR(2 * SHORT + high, LANES), \
        ZIP_PAIR(3 * SHORT + high, LANES)
#define EACH_SECOND(odd) WHOLE(odd), WHOLE(2 * SHORT + odd), WHOLE(4 * SHORT + odd), WHOLE(6 * SHORT + odd)
#endif

/* Transposes rows[LANES]. Rounds of zips within 16 bytes, each of which halves the distance between what belongs
 * together, transpose squares of 16 bytes; then these find their places. */
ALWAYS_INLINE void v_transpose(vec *rows) {
    vec moved[LANES];
#pragma GCC unroll 2
    for (int round = 1; round < SHORT; round *= 2) {
#pragma GCC unroll 16
        for (int i = 0; i < LANES / 2; i++) {
            const int from = i / (SHORT / 2) * SHORT + i % (SHORT / 2);
            moved[2 * i] = V_SHUFFLE(rows[from], rows[from + SHORT / 2], SHORT_ZIP(0));
            moved[2 * i + 1] = V_SHUFFLE(rows[from], rows[from + SHORT / 2], SHORT_ZIP(SHORT / 2));
        }
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) rows[i] = moved[i];
    }
#if VECTOR_BYTES > 16
#pragma GCC unroll 2
    for (int round = SHORT; round < LANES; round *= 2) {
#pragma GCC unroll 16
        for (int i = 0; i < LANES / 2; i++) {
            const int from = i / SHORT * 2 * SHORT + i % SHORT;
            moved[i] = V_SHUFFLE(rows[from], rows[from + SHORT], EACH_SECOND(0));
            moved[i + LANES / 2] = V_SHUFFLE(rows[from], rows[from + SHORT], EACH_SECOND(SHORT));
        }
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) rows[i] = moved[i];
    }
#endif
}

/* v in the first n lanes, `rest` in the others. */
ALWAYS_INLINE vec v_first(vec v, ptrdiff_t n, vec rest) {
    static const real lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return n >= LANES ? v : v_select(v_load(lane) < v_set1((real)n), v, rest);
}

/* Sums of rows use 16 virtual lanes whatever LANES is: element j goes to lane j % 16, then one fixed tree, which adds
 * lane i + 8 to lane i, then i + 4, i + 2, i + 1. A vector zipped with itself has lanes i and i + LANES / 2 side by
 * side, so zip_low + zip_high is a round of that tree. */
enum { VIRTUAL_LANES = 16, SUM_VECS = VIRTUAL_LANES / LANES };
ALWAYS_INLINE real v_tree(const vec *sums) {
    vec v[SUM_VECS];
    for (int i = 0; i < SUM_VECS; i++) v[i] = sums[i];
    for (int half = SUM_VECS / 2; half; half /= 2)
        for (int i = 0; i < half; i++) v[i] += v[i + half];
    for (int half = LANES / 2; half; half /= 2) v[0] = v_zip_low(v[0], v[0]) + v_zip_high(v[0], v[0]);
    return v[0][0];
}
