/* L-BFGS: more directions than pairs are remembered, over arrays of odd sizes and one that threads share. */
#include <string.h>

#include "bits.h"

enum { MOST = 3, ROOM = MOST + 1, DIRECTIONS = 6, N_SIZES = 5 };
static const ptrdiff_t sizes[N_SIZES] = {1, 0, 35, 1023, 33000};

static void *vector(const struct run *r, ptrdiff_t n) {
    const ptrdiff_t bytes = (n + 15) / 16 * 16 * r->item;
    return memset(aligned(bytes), 0, (size_t)bytes);
}

/* y = x / 2 + noise / 8: pairs that mostly are curved enough. */
static void mix(const struct run *r, ptrdiff_t n, const void *x, const void *noise, void *y) {
    for (ptrdiff_t i = 0; i < n; i++)
        if (r->dtype == SCHUSS_F32) ((float *)y)[i] = ((const float *)x)[i] / 2 + ((const float *)noise)[i] / 8;
        else ((double *)y)[i] = ((const double *)x)[i] / 2 + ((const double *)noise)[i] / 8;
}

void check_lbfgs(struct run *r) {
    struct schuss_segment segments[N_SIZES];
    void *s[ROOM], *y[ROOM];
    const void *vectors[2 * ROOM];
    struct schuss_lbfgs l = {.dtype = r->dtype, .n_segments = N_SIZES, .segments = segments, .most = MOST, .scale = 1};
    for (int i = 0; i < N_SIZES; i++) {
        segments[i] = (struct schuss_segment){.n = sizes[i], .p = numbers(r, sizes[i], 1), .g = reals(r, sizes[i])};
        l.n += sizes[i];
    }
    for (int i = 0; i < ROOM; i++) {
        s[i] = vector(r, l.n);
        y[i] = vector(r, l.n);
    }
    l.s = s;
    l.y = y;
    l.vectors = vectors;
    l.d = vector(r, l.n);
    l.x = vector(r, l.n);
    double *few = memset(aligned(schuss_lbfgs_numbers(2) * 8), 0, (size_t)schuss_lbfgs_numbers(2) * 8);
    double *all = memset(aligned(schuss_lbfgs_numbers(ROOM) * 8), 0, (size_t)schuss_lbfgs_numbers(ROOM) * 8);
    schuss_lbfgs_grow(&l, 2, few);
    void *g[2] = {vector(r, l.n), vector(r, l.n)};
    for (int k = 0; k < DIRECTIONS; k++) {
        struct schuss_lbfgs_look look;
        if (k == 2) schuss_lbfgs_grow(&l, ROOM, all);
        for (int i = 0; i < N_SIZES; i++)
            mix(r, sizes[i], segments[i].p, numbers(r, sizes[i], 1), (void *)(uintptr_t)segments[i].g);
        schuss_lbfgs_gather(&l, g[k % 2], &look);
        schuss_lbfgs_direction(&l, g[k % 2], k ? g[1 - k % 2] : NULL, 0.5);
        const int nonfinite = schuss_lbfgs_move(&l, 0.25, 1) | look.nonfinite;
        schuss_lbfgs_move(&l, 0.5, 0);
        hash_integer(r, (uint64_t)nonfinite);
        hash_double(r, look.slope);
        hash_double(r, look.total);
        hash_double(r, look.largest);
        hash_double(r, l.slope);
        hash_double(r, l.largest);
        hash_double(r, l.scale);
        hash_reals(r, l.d, l.n);
        for (int i = 0; i < l.count; i++) hash_double(r, schuss_lbfgs_rho(&l, i));
    }
    hash_integer(r, (uint64_t)l.count);
    for (int i = 0; i < N_SIZES; i++) hash_reals(r, segments[i].p, sizes[i]);
    schuss_lbfgs_restore(&l);
    for (int i = 0; i < N_SIZES; i++) hash_reals(r, segments[i].p, sizes[i]);
    schuss_lbfgs_append(&l, 1);
    schuss_lbfgs_direction(&l, g[0], g[1], 0.5);
    hash_reals(r, l.d, l.n);
    report(r, "rule", "lbfgs");
}
