/* Initial weights and orders of an epoch. */
#include "bits.h"

static void check_init(struct run *r, const char *name, int init) {
    static const ptrdiff_t shapes[][2] = {{1, 1}, {7, 3}, {3, 8}, {40, 33}};
    for (int i = 0; i < 4; i++) {
        const ptrdiff_t n_in = shapes[i][0], n_out = shapes[i][1], n = n_in * n_out;
        void *w = reals(r, n);
        schuss_initialise(r->dtype, w, n_in, n_out, init, 0.37, 0x123456789abcdef, (uint32_t)i,
                          aligned(n * (ptrdiff_t)sizeof(double)));
        hash_reals(r, w, n);
    }
    report(r, "init", name);
}

void check_random(struct run *r) {
    check_init(r, "zeros", SCHUSS_INIT_ZEROS);
    check_init(r, "uniform", SCHUSS_INIT_UNIFORM);
    check_init(r, "normal", SCHUSS_INIT_NORMAL);
    check_init(r, "orthogonal", SCHUSS_INIT_ORTHOGONAL);
    for (ptrdiff_t n = 0; n < 1000; n = 3 * n + 1) {
        int64_t *order = aligned(n * (ptrdiff_t)sizeof(int64_t));
        schuss_permutation(order, n, 42, (uint64_t)n);
        for (ptrdiff_t i = 0; i < n; i++) hash_integer(r, (uint64_t)order[i]);
    }
    report(r, "init", "permutation");
}
