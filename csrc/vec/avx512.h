/* The vocabulary's machine part for AVX-512 (F, BW, VL, DQ). See vec/vec.h for what each name means. */
enum { TILE_ROWS = 14, TILE_VECS = 2 };

#if REAL_BITS == 32
typedef __mmask16 vmask;
#define V_BITS(m) (uint32_t)_mm512_movepi32_mask((__m512i)(m))
#define V_MAX(a, b) (vec)_mm512_max_ps((__m512)(a), (__m512)(b))
#define V_MIN(a, b) (vec)_mm512_min_ps((__m512)(a), (__m512)(b))
#define V_SQRT(a) (vec)_mm512_sqrt_ps((__m512)(a))
static inline vmask v_mask(ptrdiff_t n) { return n >= 16 ? (vmask)0xffff : (vmask)((1u << n) - 1); }
static inline vec v_set1(real x) { return (vec)_mm512_set1_ps(x); }
static inline vec v_fma(vec a, vec b, vec c) { return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
static inline vec v_load_m(const real *p, vmask m) { return (vec)_mm512_maskz_loadu_ps(m, p); }
static inline void v_store_m(real *p, vec v, vmask m) { _mm512_mask_storeu_ps(p, m, (__m512)v); }
static inline wide v_widen(const real *p) { return (wide)_mm512_cvtps_pd(_mm256_loadu_ps(p)); }
#define V_HALVES
static inline vec v_from_halves(const uint16_t *p) {
    return (vec)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
static inline void v_to_halves(uint16_t *p, vec v) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT));
}
#else
typedef __mmask8 vmask;
#define V_BITS(m) (uint32_t)_mm512_movepi64_mask((__m512i)(m))
#define V_MAX(a, b) (vec)_mm512_max_pd((__m512d)(a), (__m512d)(b))
#define V_MIN(a, b) (vec)_mm512_min_pd((__m512d)(a), (__m512d)(b))
#define V_SQRT(a) (vec)_mm512_sqrt_pd((__m512d)(a))
static inline vmask v_mask(ptrdiff_t n) { return n >= 8 ? (vmask)0xff : (vmask)((1u << n) - 1); }
static inline vec v_set1(real x) { return (vec)_mm512_set1_pd(x); }
static inline vec v_fma(vec a, vec b, vec c) { return (vec)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
static inline vec v_load_m(const real *p, vmask m) { return (vec)_mm512_maskz_loadu_pd(m, p); }
static inline void v_store_m(real *p, vec v, vmask m) { _mm512_mask_storeu_pd(p, m, (__m512d)v); }
#endif
static inline vecl v_product32(vecl a, vecl b) { return (vecl)_mm512_mul_epu32((__m512i)a, (__m512i)b); }

typedef vecf table8;
static inline vecf f_fma(vecf a, vecf b, vecf c) { return (vecf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
static inline vecf f_fma_exact(vecf a, vecf b, vecf c) { return f_fma(a, b, c); }
#define F_ADD_PAIRS f_add_pairs
#define F_ADD_PAIRS_TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,avx512bf16"
__attribute__((target(F_ADD_PAIRS_TARGET))) ALWAYS_INLINE vecf f_add_pairs(vecf sum, vecw a, vecw b) {
    return (vecf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}
static inline vecf f_min(vecf a, vecf b) { return (vecf)_mm512_min_ps((__m512)a, (__m512)b); }
static inline table8 f_table8_of(const float *t) { return (vecf)_mm512_broadcast_f32x8(_mm256_loadu_ps(t)); }
static inline vecf f_table8(table8 t, vecw w) { return (vecf)_mm512_permutexvar_ps((__m512i)w, (__m512)t); }
static inline vecw w_max(vecw a, vecw b) { return (vecw)_mm512_max_epu32((__m512i)a, (__m512i)b); }
static inline vecw w_upper_times(vecw w, int c) {
    return (vecw)_mm512_madd_epi16((__m512i)w, _mm512_set1_epi32(c << 16));
}
static inline vecw w_of_bytes(const uint8_t *p) {
    return (vecw)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}
/* The lowest bytes; in each 16 of them four of every vector, as _mm512_packs_epi32 leaves them, which in_order() undoes. */
static inline __m512i lowest_bytes(const vecw *w) {
    const __m512i halves = _mm512_set_epi16(62, 60, 58, 56, 30, 28, 26, 24, 54, 52, 50, 48, 22, 20, 18, 16, /* */
                                            46, 44, 42, 40, 14, 12, 10, 8, 38, 36, 34, 32, 6, 4, 2, 0);
    const __m512i a = _mm512_permutex2var_epi16((__m512i)w[0], halves, (__m512i)w[1]);
    const __m512i b = _mm512_permutex2var_epi16((__m512i)w[2], halves, (__m512i)w[3]);
    return _mm512_packus_epi16(a, b);
}
static inline __m512i in_order(__m512i bytes) {
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes);
}
static inline void w_to_bytes(uint8_t *p, const vecw *w) { _mm512_storeu_si512(p, in_order(lowest_bytes(w))); }
static inline void w_to_mirrored(uint8_t *p, uint8_t m, const vecw *w, const vecf *v) {
    const __m512i middle = _mm512_set1_epi8((char)m), bytes = lowest_bytes(w);
    const __mmask64 down = _mm512_movepi8_mask(_mm512_packs_epi16(
        _mm512_packs_epi32((__m512i)v[0], (__m512i)v[1]), _mm512_packs_epi32((__m512i)v[2], (__m512i)v[3])));
    const __m512i up = _mm512_add_epi8(middle, bytes);
    _mm512_storeu_si512(p, in_order(_mm512_mask_subs_epu8(up, down, middle, bytes)));
}
