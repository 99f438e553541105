/* Inverted dropout (Srivastava et al., JMLR 15, 2014): what stays is scaled by 1 / (1 - probability). */

/* See struct kernels. */
static void dropout(ptrdiff_t first, ptrdiff_t n, double probability, uint64_t seed, uint32_t layer, uint64_t draw,
                    const void *x, void *mask, void *y) {
    const real *from = (const real *)x;
    real *factor = (real *)mask, *to = (real *)y;
    const real raised = (real)(1 / (1 - probability));
    const uint32_t threshold = (uint32_t)(probability * 0x1p32); /* probability < 1 */
    enum { BATCH = 64 };
    const ptrdiff_t skipped = first % 4; /* numbers of the first block that are of elements before */
    uint32_t bits[4 * BATCH];
    for (ptrdiff_t i = -skipped; i < n; i += 4 * BATCH) {
        const ptrdiff_t width = n - i < 4 * BATCH ? n - i : 4 * BATCH;
        for (ptrdiff_t b = 0; 4 * b < width; b++) {
            struct philox r = random_block(seed, STREAM_DROPOUT + layer, (uint32_t)((first + i) / 4 + b), draw);
            for (int q = 0; q < 4; q++) bits[4 * b + q] = r.v[q];
        }
        for (ptrdiff_t j = i < 0 ? -i : 0; j < width; j++) {
            factor[i + j] = bits[j] < threshold ? 0 : raised;
            to[i + j] = from[i + j] * factor[i + j];
        }
    }
}
