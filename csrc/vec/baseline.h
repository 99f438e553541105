/* The vocabulary's machine part for any CPU with 16-byte vectors (SSE2 on x86-64). See vec/vec.h for what each name
 * means. There is no fused multiply-add here, so products may differ from the other levels in the last bits. */
enum { TILE_ROWS = 6, TILE_VECS = 2 };

#include "partial.h"

static inline vec v_set1(real x) {
#if REAL_BITS == 32
    return (vec){x, x, x, x};
#else
    return (vec){x, x};
#endif
}
static inline vec v_fma(vec a, vec b, vec c) { return a * b + c; }
#if REAL_BITS == 32
static inline wide v_widen(const real *p) { return (wide){p[0], p[1]}; }
#endif
#ifdef __SSE2__
static inline vecl v_product32(vecl a, vecl b) { return (vecl)_mm_mul_epu32((__m128i)a, (__m128i)b); }
#else
static inline vecl v_product32(vecl a, vecl b) { return (a & 0xffffffffu) * (b & 0xffffffffu); }
#endif
