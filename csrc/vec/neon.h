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
