/* Inverted dropout (Srivastava et al., JMLR 15, 2014): what stays is scaled by 1 / (1 - probability). What stays is drawn
 * before a layer computes, a bit each, and applied where its result is finished. */

enum { BLOCKS_DRAWN = 16 }; /* Philox blocks of a word of bits */

/* As philox4x32() with counters {draw, item + block, stream}, for 16 blocks at a time, a block in each 64 bits: bit 4 b +
 * q is 1 where number q of block b is at least the threshold. */
ALWAYS_INLINE uint64_t draw_bits(uint64_t seed, uint32_t stream, uint32_t item, uint64_t draw, uint32_t threshold) {
    enum { GROUPS = BLOCKS_DRAWN / BLOCKS_ABREAST };
    const vecl lane = numbers_from(0);
    vecl c0[GROUPS], c1[GROUPS], c2[GROUPS], c3[GROUPS], found = {0};
#pragma GCC unroll 8
    for (int g = 0; g < GROUPS; g++) {
        c0[g] = (uint32_t)draw - (vecl){0};
        c1[g] = (uint32_t)(draw >> 32) - (vecl){0};
        c2[g] = lane + (item + (uint64_t)g * BLOCKS_ABREAST);
        c3[g] = stream - (vecl){0};
    }
    philox_abreast(GROUPS, c0, c1, c2, c3, seed);
    /* u >= threshold where u + 2^32 - threshold has bit 32. */
    const vecl rest = ((uint64_t)1 << 32) - threshold - (vecl){0}, half = 0xffffffffu - (vecl){0};
#pragma GCC unroll 8
    for (int g = 0; g < GROUPS; g++) {
        const vecl stays0 = ((c0[g] & half) + rest) >> 32, stays1 = ((c1[g] & half) + rest) >> 32;
        const vecl stays2 = ((c2[g] & half) + rest) >> 32, stays3 = ((c3[g] & half) + rest) >> 32;
        const vecl four = (stays0 | stays1 << 1) | (stays2 << 2 | stays3 << 3);
        found |= four << (4 * (lane + (uint64_t)g * BLOCKS_ABREAST));
    }
    uint64_t word = 0;
    for (int l = 0; l < BLOCKS_ABREAST; l++) word |= found[l];
    return word;
}

/* See struct kernels. */
static void draw_mask(ptrdiff_t first, ptrdiff_t n, double probability, uint64_t seed, uint32_t layer, uint64_t draw,
                      void *mask) {
    const uint32_t threshold = (uint32_t)(probability * 0x1p32); /* probability < 1 */
    const uint32_t stream = STREAM_DROPOUT + layer;
    const int skipped = (int)(first % 4); /* numbers of the first block that are of elements before */
    uint32_t item = (uint32_t)(first / 4);
    char *to = (char *)mask;
    uint64_t word = draw_bits(seed, stream, item, draw, threshold);
    for (ptrdiff_t i = 0; i < n; i += 64, to += 8) {
        uint64_t bits = word >> skipped;
        if (i + 64 < n + skipped) word = draw_bits(seed, stream, item += BLOCKS_DRAWN, draw, threshold);
        if (skipped) bits |= word << (64 - skipped);
        const int bytes = n - i >= 64 ? 8 : (int)(n - i + 7) / 8;
        for (int b = 0; b < bytes; b++) to[b] = (char)(bits >> 8 * b);
    }
}
