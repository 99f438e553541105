/* The vocabulary's machine part for AVX2 with FMA and F16C. See vec/vec.h for what each name means. */
enum { TILE_ROWS = 6, TILE_VECS = 2 };

typedef __m256i vmask;

#if REAL_BITS == 32
#define V_BITS(m) (uint32_t)_mm256_movemask_ps((__m256)(m))
#define V_MAX(a, b) (vec)_mm256_max_ps((__m256)(a), (__m256)(b))
#define V_MIN(a, b) (vec)_mm256_min_ps((__m256)(a), (__m256)(b))
#define V_SQRT(a) (vec)_mm256_sqrt_ps((__m256)(a))
static inline vmask v_mask(ptrdiff_t n) {
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n > 8 ? 8 : (int)n), lane);
}
static inline vec v_set1(real x) { return (vec)_mm256_set1_ps(x); }
static inline vec v_fma(vec a, vec b, vec c) { return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
static inline vec v_load_m(const real *p, vmask m) { return (vec)_mm256_maskload_ps(p, m); }
static inline void v_store_m(real *p, vec v, vmask m) { _mm256_maskstore_ps(p, m, (__m256)v); }
static inline wide v_widen(const real *p) { return (wide)_mm256_cvtps_pd(_mm_loadu_ps(p)); }
#define V_HALVES
static inline vec v_from_halves(const uint16_t *p) { return (vec)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
static inline void v_to_halves(uint16_t *p, vec v) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT));
}
#else
#define V_BITS(m) (uint32_t)_mm256_movemask_pd((__m256d)(m))
#define V_MAX(a, b) (vec)_mm256_max_pd((__m256d)(a), (__m256d)(b))
#define V_MIN(a, b) (vec)_mm256_min_pd((__m256d)(a), (__m256d)(b))
#define V_SQRT(a) (vec)_mm256_sqrt_pd((__m256d)(a))
static inline vmask v_mask(ptrdiff_t n) {
    __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n > 4 ? 4 : n), lane);
}
static inline vec v_set1(real x) { return (vec)_mm256_set1_pd(x); }
static inline vec v_fma(vec a, vec b, vec c) { return (vec)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
static inline vec v_load_m(const real *p, vmask m) { return (vec)_mm256_maskload_pd(p, m); }
static inline void v_store_m(real *p, vec v, vmask m) { _mm256_maskstore_pd(p, m, (__m256d)v); }
#endif
static inline vecl v_product32(vecl a, vecl b) { return (vecl)_mm256_mul_epu32((__m256i)a, (__m256i)b); }

typedef vecf table8;
static inline vecf f_fma(vecf a, vecf b, vecf c) { return (vecf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
static inline vecf f_fma_exact(vecf a, vecf b, vecf c) { return f_fma(a, b, c); }
static inline vecf f_min(vecf a, vecf b) { return (vecf)_mm256_min_ps((__m256)a, (__m256)b); }
static inline table8 f_table8_of(const float *t) { return (vecf)_mm256_loadu_ps(t); }
static inline vecf f_table8(table8 t, vecw w) { return (vecf)_mm256_permutevar8x32_ps((__m256)t, (__m256i)w); }
static inline vecw w_max(vecw a, vecw b) { return (vecw)_mm256_max_epu32((__m256i)a, (__m256i)b); }
static inline vecw w_upper_times(vecw w, int c) {
    return (vecw)_mm256_madd_epi16((__m256i)w, _mm256_set1_epi32(c << 16));
}
static inline vecw w_of_bytes(const uint8_t *p) {
    return (vecw)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}
/* The lowest bytes; in each 16 of them four of every vector, which in_order() undoes. */
static inline __m256i lowest_bytes(const vecw *w) {
    const __m256i low = _mm256_set1_epi32(255);
    __m256i a = _mm256_packs_epi32(_mm256_and_si256((__m256i)w[0], low), _mm256_and_si256((__m256i)w[1], low));
    __m256i b = _mm256_packs_epi32(_mm256_and_si256((__m256i)w[2], low), _mm256_and_si256((__m256i)w[3], low));
    return _mm256_packus_epi16(a, b);
}
static inline __m256i in_order(__m256i bytes) {
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
static inline void w_to_bytes(uint8_t *p, const vecw *w) {
    _mm256_storeu_si256((__m256i *)p, in_order(lowest_bytes(w)));
}
static inline void w_to_mirrored(uint8_t *p, uint8_t m, const vecw *w, const vecf *v) {
    const __m256i middle = _mm256_set1_epi8((char)m), bytes = lowest_bytes(w);
    const __m256i signs = _mm256_packs_epi16(_mm256_packs_epi32((__m256i)v[0], (__m256i)v[1]),
                                             _mm256_packs_epi32((__m256i)v[2], (__m256i)v[3]));
    const __m256i up = _mm256_add_epi8(middle, bytes), down = _mm256_subs_epu8(middle, bytes);
    _mm256_storeu_si256((__m256i *)p, in_order(_mm256_blendv_epi8(up, down, signs)));
}
