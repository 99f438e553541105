/* What the parts of this program share: numbers to compute with, and a hash of what came out. */
#ifndef BITS_H
#define BITS_H

#include "kernels.h"

struct run {
    int dtype;
    ptrdiff_t item; /* bytes of one real */
    const struct kernels *kernels;
    int threads;
    uint64_t drawn; /* numbers used so far */
    uint64_t hash;
    int unusable;   /* a NaN or a denormal was hashed */
};

/* n reals. They end exactly where their memory ends and begin one real past an aligned address, so that a checker of
 * memory sees every byte too many and no kernel can count on alignment. Freed by report. */
void *reals(struct run *r, ptrdiff_t n);
/* The same, zeros; the same, uniform in (-scale, scale) and never nearer to 0 than scale / 2^21; the same, positive. */
void *zeros(struct run *r, ptrdiff_t n);
void *numbers(struct run *r, ptrdiff_t n, double scale);
void *positive(struct run *r, ptrdiff_t n, double scale);
/* Any memory, 64-byte aligned, that ends exactly; freed by report. */
void *aligned(ptrdiff_t bytes);

static inline void *at(const struct run *r, void *array, ptrdiff_t element) {
    return (char *)array + element * r->item;
}

/* Mixes an integer, the reals, the double into the hash. A hash and an integer that differs always give another hash; so
 * does another hash and the same integer. A whole word at a time, since an emulator runs this, too. */
void hash_integer(struct run *r, uint64_t x);
void hash_reals(struct run *r, const void *array, ptrdiff_t n);
void hash_double(struct run *r, double x);
/* Prints "dtype part name hash", starts the hash and the numbers anew and frees every array. */
void report(struct run *r, const char *part, const char *name);

/* The parts; each reports many lines. */
void check_rules(struct run *r);
void check_lbfgs(struct run *r);
void check_products(struct run *r);
void check_functions(struct run *r);
void check_losses(struct run *r);
void check_random(struct run *r);
void check_formats(struct run *r);
void check_training(struct run *r);

#endif
