/* The vocabulary's machine part for aarch64. See vec/vec.h for what each name means. */
enum { TILE_ROWS = 8, TILE_VECS = 3 };

#include "partial.h"

#if REAL_BITS == 32
#define V_SQRT(a) (vec)vsqrtq_f32((float32x4_t)(a))
static inline vec v_set1(real x) { return (vec)vdupq_n_f32(x); }
static inline vec v_fma(vec a, vec b, vec c) {
    return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
static inline wide v_widen(const real *p) { return (wide)vcvt_f64_f32(vld1_f32(p)); }
#define V_HALVES
static inline vec v_from_halves(const uint16_t *p) { return (vec)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
static inline void v_to_halves(uint16_t *p, vec v) {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)v)));
}
#else
#define V_SQRT(a) (vec)vsqrtq_f64((float64x2_t)(a))
static inline vec v_set1(real x) { return (vec)vdupq_n_f64(x); }
static inline vec v_fma(vec a, vec b, vec c) {
    return (vec)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#endif
static inline vecl v_product32(vecl a, vecl b) {
    return (vecl)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
}

typedef uint8x16x2_t table8;
static inline vecf f_fma(vecf a, vecf b, vecf c) {
    return (vecf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
static inline vecf f_fma_exact(vecf a, vecf b, vecf c) { return f_fma(a, b, c); }
static inline vecf f_min(vecf a, vecf b) { return (vecf)vbslq_f32((uint32x4_t)(a < b), (float32x4_t)a, (float32x4_t)b); }
static inline table8 f_table8_of(const float *t) {
    return (table8){{vreinterpretq_u8_f32(vld1q_f32(t)), vreinterpretq_u8_f32(vld1q_f32(t + 4))}};
}
static inline vecf f_table8(table8 t, vecw w) {
    const vecw bytes = (w & 7) * 0x04040404 + 0x03020100;
    return (vecf)vqtbl2q_u8(t, (uint8x16_t)bytes);
}
static inline vecw w_max(vecw a, vecw b) { return (vecw)vmaxq_u32((uint32x4_t)a, (uint32x4_t)b); }
static inline vecw w_upper_times(vecw w, int c) { return (w >> 16) * c; }
static inline vecw w_of_bytes(const uint8_t *p) { return (vecw){p[0], p[1], p[2], p[3]}; }
static inline uint8x16_t lowest_bytes(const vecw *w) {
    const uint16x8_t a = vcombine_u16(vmovn_u32((uint32x4_t)w[0]), vmovn_u32((uint32x4_t)w[1]));
    const uint16x8_t b = vcombine_u16(vmovn_u32((uint32x4_t)w[2]), vmovn_u32((uint32x4_t)w[3]));
    return vcombine_u8(vmovn_u16(a), vmovn_u16(b));
}
static inline void w_to_bytes(uint8_t *p, const vecw *w) { vst1q_u8(p, lowest_bytes(w)); }
static inline void w_to_mirrored(uint8_t *p, uint8_t m, const vecw *w, const vecf *v) {
    const vecw signs[4] = {(vecw)v[0] >> 31, (vecw)v[1] >> 31, (vecw)v[2] >> 31, (vecw)v[3] >> 31};
    const uint8x16_t middle = vdupq_n_u8(m), bytes = lowest_bytes(w);
    vst1q_u8(p, vbslq_u8(lowest_bytes(signs), vqsubq_u8(middle, bytes), vaddq_u8(middle, bytes)));
}
