/* Philox4x32-10, a counter-based generator: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2,
 * 3", SC 2011. Every draw is a pure function of (seed, stream, counter), so nothing depends on threads or history. */
#ifndef SCHUSS_RNG_H
#define SCHUSS_RNG_H

#include <stdint.h>

/* Streams keep the uses of one seed apart. Initialisation adds the layer, dropout the layer. */
enum {
    STREAM_SHUFFLE = 0,
    STREAM_INIT = 1 << 20,
    STREAM_DROPOUT = 2 << 20,
    STREAM_AUGMENT = 3 << 20,
    STREAM_NEGATIVES = 4 << 20,
    STREAM_POSITIVES = 5 << 20,
    STREAM_ROUNDING = 6 << 20 /* the higher word of the step is added */
};

struct philox {
    uint32_t v[4];
};

static inline struct philox philox4x32(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1) {
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (struct philox){{c0, c1, c2, c3}};
}

/* Block `block` of the sequence that belongs to (seed, stream, item); item < 2^32, block < 2^64. */
static inline struct philox random_block(uint64_t seed, uint32_t stream, uint32_t item, uint64_t block) {
    return philox4x32((uint32_t)block, (uint32_t)(block >> 32), item, stream, (uint32_t)seed, (uint32_t)(seed >> 32));
}

/* In [0, 1), 53 bits. */
static inline double random_unit(uint32_t low, uint32_t high) {
    uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
    return (double)bits * 0x1p-53;
}

#endif
