/* The SIMD vocabulary. A `vec` holds LANES reals and takes the infix operators + - * / < > (GCC and Clang vector
 * types); comparisons give a `veci`, each lane all ones or all zeros. The machine's header adds:
 *
 *   TILE_ROWS, TILE_VECS                  the shape of the GEMM's register tile
 *   vmask, v_mask(n)                      the first n lanes, n >= 0; all of them from n = LANES on
 *   v_load_m(p, m), v_store_m(p, v, m)    those lanes only: others read as 0, and are not touched in memory
 *   v_set1(x)                             x in every lane
 *   v_fma(a, b, c)                        a * b + c, rounded once
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

#include MACHINE_HEADER

ALWAYS_INLINE vec v_select(veci mask, vec yes, vec no) { return (vec)((mask & (veci)yes) | (~mask & (veci)no)); }
ALWAYS_INLINE veci v_seti(real_int x) { return x - (veci){0}; }
ALWAYS_INLINE vec v_abs(vec x) { return (vec)((veci)x & v_seti((real_int)(((uint64_t)1 << (REAL_BITS - 1)) - 1))); }
/* NaN if either is NaN in b; a NaN in a gives b. */
ALWAYS_INLINE vec v_max(vec a, vec b) { return v_select(a > b, a, b); }
ALWAYS_INLINE vec v_min(vec a, vec b) { return v_select(a < b, a, b); }

/* Sums of rows use 16 virtual lanes whatever LANES is: element j goes to lane j % 16, then one fixed tree. */
enum { VIRTUAL_LANES = 16, SUM_VECS = VIRTUAL_LANES / LANES };
ALWAYS_INLINE real v_tree(const vec *sums) {
    real lane[VIRTUAL_LANES];
    memcpy(lane, sums, sizeof lane);
    for (int half = VIRTUAL_LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}
