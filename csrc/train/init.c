/* Initial weights and the order of an epoch, drawn from (seed, stream, position) alone. Drawn in double for both
 * dtypes, and with our own logarithm, so that a seed means the same network everywhere. */
#include <math.h>

#include "../kernels.h"
#include "../names.h"
#include "../rng.h"

void schuss_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    struct philox r = philox4x32(counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
    for (int i = 0; i < 4; i++) out[i] = r.v[i];
}

/* Fisher-Yates. Step i reads 64 random bits as a fraction of i + 1; the bias is below n / 2^64. */
void schuss_permutation(int64_t *order, ptrdiff_t n, uint64_t seed, uint64_t epoch) {
    struct philox r = {{0}};
    for (ptrdiff_t i = 0; i < n; i++) order[i] = i;
    for (ptrdiff_t i = n - 1; i > 0; i--) {
        const int half = (int)(i & 1);
        if (half || i == n - 1)
            r = random_block(seed, STREAM_SHUFFLE + (uint32_t)(epoch >> 32), (uint32_t)epoch, (uint64_t)i >> 1);
        const uint64_t bits = (uint64_t)r.v[2 * half + 1] << 32 | r.v[2 * half];
        const ptrdiff_t j = (ptrdiff_t)(((unsigned __int128)bits * (uint64_t)(i + 1)) >> 64);
        const int64_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

static double natural_log(double x) {
    double y;
    schuss_kernels(SCHUSS_F64)->elementary(ELEMENTARY_LOG, 1, &x, &y);
    return y;
}

static double horner(int n, const double *coefficients, double x) {
    double y = coefficients[n - 1];
    for (int i = n - 2; i >= 0; i--) y = y * x + coefficients[i];
    return y;
}

/* The normal quantile: Wichura, algorithm AS 241 (PPND16), Applied Statistics 37, 1988. 0 < p < 1. */
static double normal_quantile(double p) {
    static const double a[] = {3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3,
                               1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
                               3.3430575583588128105e+4, 2.5090809287301226727e+3};
    static const double b[] = {1.0, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
                               2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4,
                               5.2264952788528545610e+3};
    static const double c[] = {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
                               3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
                               2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double d[] = {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
                               1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
                               1.05075007164441684324e-9};
    static const double e[] = {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
                               2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                               2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double f[] = {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
                               7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
                               2.04426310338993978564e-15};
    const double q = p - 0.5;
    if (fabs(q) <= 0.425) {
        const double r = 0.180625 - q * q;
        return q * horner(8, a, r) / horner(8, b, r);
    }
    double r = sqrt(-natural_log(q < 0 ? p : 1 - p));
    r = r <= 5 ? horner(8, c, r - 1.6) / horner(8, d, r - 1.6) : horner(8, e, r - 5) / horner(8, f, r - 5);
    return q < 0 ? -r : r;
}

/* Draw number i of a stream: in [0, 1), 53 bits. */
static double unit_draw(uint64_t seed, uint32_t stream, uint64_t i) {
    const struct philox r = random_block(seed, STREAM_INIT + stream, 0, i / 2);
    return i % 2 ? random_unit(r.v[2], r.v[3]) : random_unit(r.v[0], r.v[1]);
}

static double normal_draw(uint64_t seed, uint32_t stream, uint64_t i) {
    const double p = unit_draw(seed, stream, i) + 0x1p-54; /* the last of them would round to 1 */
    return normal_quantile(p < 1 ? p : 1 - 0x1p-53);
}

static double dot(ptrdiff_t n, const double *x, const double *y) {
    double lane[8] = {0};
    ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++) lane[l] += x[i + l] * y[i + l];
    for (; i < n; i++) lane[i % 8] += x[i] * y[i];
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* Gram-Schmidt, each vector against those before it, twice over ("twice is enough"). v[count x length]. */
static void orthonormalise(ptrdiff_t count, ptrdiff_t length, double *v) {
    for (ptrdiff_t i = 0; i < count; i++) {
        double *x = v + i * length;
        for (int pass = 0; pass < 2; pass++)
            for (ptrdiff_t j = 0; j < i; j++) {
                const double *y = v + j * length, along = dot(length, x, y);
                for (ptrdiff_t k = 0; k < length; k++) x[k] -= along * y[k];
            }
        const double norm = sqrt(dot(length, x, x));
        for (ptrdiff_t k = 0; k < length; k++) x[k] /= norm;
    }
}

static void put(int dtype, void *w, ptrdiff_t i, double value) {
    if (dtype == SCHUSS_F32) ((float *)w)[i] = (float)value;
    else ((double *)w)[i] = value;
}

int schuss_initialise(int dtype, void *w, ptrdiff_t n_in, ptrdiff_t n_out, int init, double scale, uint64_t seed,
                      uint32_t stream, double *room) {
    if (!schuss_kernels(SCHUSS_F64)) return SCHUSS_NO_ISA;
    const ptrdiff_t n = n_in * n_out;
    if (init == SCHUSS_INIT_ORTHOGONAL) {
        const int fewer_rows = n_in < n_out;
        const ptrdiff_t count = fewer_rows ? n_in : n_out, length = fewer_rows ? n_out : n_in;
        for (ptrdiff_t i = 0; i < n; i++) room[i] = normal_draw(seed, stream, (uint64_t)i);
        orthonormalise(count, length, room);
        for (ptrdiff_t i = 0; i < n_in; i++)
            for (ptrdiff_t j = 0; j < n_out; j++)
                put(dtype, w, i * n_out + j, scale * (fewer_rows ? room[i * length + j] : room[j * length + i]));
        return SCHUSS_OK;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        double value = 0;
        if (init == SCHUSS_INIT_UNIFORM) value = scale * (2 * unit_draw(seed, stream, (uint64_t)i) - 1);
        if (init == SCHUSS_INIT_SIGNS) value = unit_draw(seed, stream, (uint64_t)i) < 0.5 ? scale : -scale;
        if (init == SCHUSS_INIT_NORMAL) value = scale * normal_draw(seed, stream, (uint64_t)i);
        put(dtype, w, i, value);
    }
    return SCHUSS_OK;
}

int schuss_draw_rows(int dtype, void *w, ptrdiff_t cols, const int64_t *rows, ptrdiff_t n, double mean, double scale,
                     uint64_t seed, uint32_t stream) {
    if (!schuss_kernels(SCHUSS_F64)) return SCHUSS_NO_ISA;
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = rows[i] * cols; j < (rows[i] + 1) * cols; j++)
            put(dtype, w, j, mean + scale * normal_draw(seed, stream, (uint64_t)j));
    return SCHUSS_OK;
}

const char *schuss_init_name(int init) { return NAME_OF(SCHUSS_INITS, init); }
