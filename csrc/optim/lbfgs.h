/* What L-BFGS does with a chunk of its vectors (optim/lbfgs.c walks over them). Vectors are 64-byte aligned and padded
 * with zeros to whole turns of 16 virtual lanes, so no loop has a tail. Sums are made in double: element j goes to lane
 * j % 16, then one fixed tree. A product of two floats is exact in double. */

typedef int64_t wide_bits __attribute__((vector_size(VECTOR_BYTES)));
typedef struct {
    wide v[LANE_VECS];
} lanes; /* 16 doubles */

/* Rounds doubles to reals. Compilers cut __builtin_convertvector into halves, so it is used only where there is no
 * intrinsic. */
#if REAL_BITS == 64
ALWAYS_INLINE void store_rounded(real *x, wide v) { v_store(x, v); }
#elif VECTOR_BYTES == 64
ALWAYS_INLINE void store_rounded(real *x, wide v) { _mm256_storeu_ps(x, _mm512_cvtpd_ps((__m512d)v)); }
#elif VECTOR_BYTES == 32
ALWAYS_INLINE void store_rounded(real *x, wide v) { _mm_storeu_ps(x, _mm256_cvtpd_ps((__m256d)v)); }
#else
typedef real half_vec __attribute__((vector_size(VECTOR_BYTES / 2)));
ALWAYS_INLINE void store_rounded(real *x, wide v) {
    const half_vec rounded = __builtin_convertvector(v, half_vec);
    memcpy(x, &rounded, sizeof rounded);
}
#endif

ALWAYS_INLINE wide wide_load(const double *x) {
    wide v;
    memcpy(&v, x, sizeof v);
    return v;
}
ALWAYS_INLINE void wide_store(double *x, wide v) { memcpy(x, &v, sizeof v); }
ALWAYS_INLINE wide wide_abs(wide x) { return (wide)((wide_bits)x & (INT64_MAX - (wide_bits){0})); }

static double lanes_sum(lanes sums) {
    double lane[VIRTUAL_LANES];
    for (int half = LANE_VECS / 2; half; half /= 2)
        for (int q = 0; q < half; q++) sums.v[q] += sums.v[q + half];
    wide_store(lane, sums.v[0]);
    for (int half = DOUBLES / 2; half; half /= 2)
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}

/* See struct kernels. */
static void lbfgs_look(ptrdiff_t n, const void *gradient, const void *direction, double *looks) {
    const real *g = (const real *)gradient, *d = (const real *)direction;
    lanes total = {0}, slope = {0};
    vec largest[SUM_VECS] = {0};
    for (ptrdiff_t i = 0; i < n; i += VIRTUAL_LANES) {
#pragma GCC unroll 8
        for (int q = 0; q < LANE_VECS; q++) {
            const wide x = v_widen(g + i + q * DOUBLES);
            total.v[q] += wide_abs(x);
            slope.v[q] += x * v_widen(d + i + q * DOUBLES);
        }
#pragma GCC unroll 8
        for (int q = 0; q < SUM_VECS; q++) largest[q] = v_max(v_abs(v_load(g + i + q * LANES)), largest[q]);
    }
    looks[0] = lanes_sum(slope);
    looks[1] = lanes_sum(total);
    looks[2] = 0;
    for (int q = 0; q < SUM_VECS; q++)
        for (int l = 0; l < LANES; l++)
            if (largest[q][l] > looks[2]) looks[2] = largest[q][l];
}

/* See struct kernels. */
static void lbfgs_pair(ptrdiff_t n, double t, const void *d, const void *g, const void *before, void *s, void *y) {
    const real *restrict direction = (const real *)d, *restrict after = (const real *)g;
    const real *restrict gradient = (const real *)before;
    real *restrict step = (real *)s, *restrict change = (real *)y;
    for (ptrdiff_t i = 0; i < n; i++) step[i] = (real)t * direction[i];
    for (ptrdiff_t i = 0; i < n; i++) change[i] = after[i] - gradient[i];
}

/* What is read two vectors after the k-th, from which memory is to be fetched meanwhile: a chunk is too short for the
 * hardware to foresee it. After the last vector that is the next chunk of the first ones. count >= 2. */
ALWAYS_INLINE const real *soon(const void *const *vectors, int count, int k, ptrdiff_t from, ptrdiff_t n) {
    return k + 2 < count ? (const real *)vectors[k + 2] + from : (const real *)vectors[k + 2 - count] + from + n;
}
enum { LINE = 64 / sizeof(real) }; /* reals that are fetched together */

/* See struct kernels. */
static void lbfgs_dots(ptrdiff_t n, int count, const void *const *vectors, ptrdiff_t from, const void *a, const void *b,
                       double *sums) {
    double wide_a[LBFGS_CHUNK], wide_b[LBFGS_CHUNK]; /* converted once, not for each vector */
    for (ptrdiff_t i = 0; i < n; i += DOUBLES) {
        wide_store(wide_a + i, v_widen((const real *)a + i));
        wide_store(wide_b + i, v_widen((const real *)b + i));
    }
    for (int k = 0; k < count; k++) {
        const real *x = (const real *)vectors[k] + from, *later = soon(vectors, count, k, from, n);
        lanes with_a = {0}, with_b = {0};
        for (ptrdiff_t i = 0; i < n; i += VIRTUAL_LANES) {
            for (int q = 0; q < VIRTUAL_LANES; q += LINE) __builtin_prefetch(later + i + q);
#pragma GCC unroll 8
            for (int q = 0; q < LANE_VECS; q++) {
                const wide v = v_widen(x + i + q * DOUBLES);
                with_a.v[q] += v * wide_load(wide_a + i + q * DOUBLES);
                with_b.v[q] += v * wide_load(wide_b + i + q * DOUBLES);
            }
        }
        sums[2 * k] += lanes_sum(with_a);
        sums[2 * k + 1] += lanes_sum(with_b);
    }
}

/* See struct kernels. */
static void lbfgs_combine(ptrdiff_t n, int count, const void *const *vectors, ptrdiff_t from, const double *factors,
                          const void *gradient, double factor, void *out) {
    const real *g = (const real *)gradient;
    double sum[LBFGS_CHUNK];
    for (ptrdiff_t i = 0; i < n; i += DOUBLES) wide_store(sum + i, factor * v_widen(g + i));
    for (int k = 0; k < count; k += 2) {
        const real *x = (const real *)vectors[k] + from, *later_x = soon(vectors, count, k, from, n);
        const real *y = (const real *)vectors[k + 1] + from, *later_y = soon(vectors, count, k + 1, from, n);
        const double of_x = factors[k], of_y = factors[k + 1];
        for (ptrdiff_t i = 0; i < n; i += LINE) {
            __builtin_prefetch(later_x + i);
            __builtin_prefetch(later_y + i);
#pragma GCC unroll 8
            for (ptrdiff_t q = i; q < i + LINE; q += DOUBLES)
                wide_store(sum + q, (wide_load(sum + q) + of_x * v_widen(x + q)) + of_y * v_widen(y + q));
        }
    }
    for (ptrdiff_t i = 0; i < n; i += DOUBLES) store_rounded((real *)out + i, wide_load(sum + i));
}

/* See struct kernels. */
static void lbfgs_move(ptrdiff_t n, double t, const void *d, const void *x, void *p) {
    const real *restrict direction = (const real *)d, *restrict start = (const real *)x;
    real *restrict to = (real *)p;
    for (ptrdiff_t i = 0; i < n; i++) to[i] = start[i] + (real)t * direction[i];
}
