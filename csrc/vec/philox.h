/* Philox4x32-10 as rng.h has it, of blocks side by side: a counter in each 64 bits, of which the lower half counts. */

enum { BLOCKS_ABREAST = VECTOR_BYTES / 8 };

/* BLOCKS_ABREAST numbers from `first` on. */
ALWAYS_INLINE vecl numbers_from(uint64_t first) {
    static const uint64_t number[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    vecl lane;
    memcpy(&lane, number, sizeof lane);
    return lane + first;
}

/* The four words of each block, in place of its counters. The upper halves of what comes out are not to be looked at. */
ALWAYS_INLINE void philox_abreast(const int groups, vecl *c0, vecl *c1, vecl *c2, vecl *c3, uint64_t seed) {
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        const vecl multiplier0 = 0xD2511F53u - (vecl){0}, multiplier1 = 0xCD9E8D57u - (vecl){0};
#pragma GCC unroll 8
        for (int g = 0; g < groups; g++) {
            const vecl a = v_product32(multiplier0, c0[g]), b = v_product32(multiplier1, c2[g]);
            c0[g] = (b >> 32) ^ c1[g] ^ k0;
            c2[g] = (a >> 32) ^ c3[g] ^ k1;
            c1[g] = b;
            c3[g] = a;
        }
    }
}
