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

typedef const float *table8;
static inline vecf f_fma(vecf a, vecf b, vecf c) {
    vecf result;
    for (int i = 0; i < 4; i++) result[i] = (float)((double)a[i] * (double)b[i] + (double)c[i]);
    return result;
}
static inline vecf f_fma_exact(vecf a, vecf b, vecf c) { return a * b + c; }
static inline vecf f_min(vecf a, vecf b) { return (vecf)(((a < b) & (vecw)a) | (~(a < b) & (vecw)b)); }
static inline table8 f_table8_of(const float *t) { return t; }
static inline vecf f_table8(table8 t, vecw w) { return (vecf){t[w[0] & 7], t[w[1] & 7], t[w[2] & 7], t[w[3] & 7]}; }
static inline vecw w_max(vecw a, vecw b) {
    const vecw larger = (a ^ INT32_MIN) > (b ^ INT32_MIN);
    return (larger & a) | (~larger & b);
}
static inline vecw w_upper_times(vecw w, int c) { return (w >> 16) * c; }
static inline vecw w_of_bytes(const uint8_t *p) { return (vecw){p[0], p[1], p[2], p[3]}; }
static inline void w_to_bytes(uint8_t *p, const vecw *w) {
    for (int i = 0; i < 16; i++) p[i] = (uint8_t)w[i / 4][i % 4];
}
static inline void w_to_mirrored(uint8_t *p, uint8_t m, const vecw *w, const vecf *v) {
    for (int i = 0; i < 16; i++) {
        const uint8_t byte = (uint8_t)w[i / 4][i % 4];
        if (((vecw)v[i / 4])[i % 4] < 0) p[i] = (uint8_t)(m > byte ? m - byte : 0);
        else p[i] = (uint8_t)(m + byte);
    }
}
