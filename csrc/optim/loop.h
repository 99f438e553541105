/* What the loops of rules share. Each is a plain loop that reads like its formula, which the compiler vectorises. All
 * operations are single IEEE roundings (no contraction), so a NumPy expression in the same order gives the same bits,
 * and neither tails nor alignment, chunks or threads can matter. tests/reference/ has these expressions. */

/* p, and the states, of n elements; g is the gradient after the stages. Decoupled weight decay is the factor `keep` on
 * p (1 without: exact), since a pass of its own would be one more way to memory. */
struct rule_arrays {
    ptrdiff_t n;
    real *p;
    const real *g;
    real *s0, *s1, *s2, *s3, *s4, *s5;
};

/* Before a loop over more than four arrays: no two of them overlap. Compilers would compare the addresses of all pairs
 * rather than trust `restrict` in a function they inline, and give up where these are many. */
#ifdef __clang__
#define APART _Pragma("clang loop vectorize(assume_safety)")
#else
#define APART _Pragma("GCC ivdep")
#endif

enum { CHUNK = 4096 / sizeof(real) }; /* r->n is at most this */

/* 1 or -1; x itself where that is 0 or NaN. */
ALWAYS_INLINE real sign_of(real x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

/* Elements [from, to) of an array, and of states of its shape. */
ALWAYS_INLINE struct schuss_segment piece_of(const struct schuss_segment *s, ptrdiff_t from, ptrdiff_t to) {
    struct schuss_segment piece = {.n = to - from, .p = (real *)s->p + from, .g = (real *)s->g + from};
    for (int k = 0; k < SCHUSS_MAX_STATES; k++) piece.s[k] = s->s[k] ? (real *)s->s[k] + from : NULL;
    for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++)
        piece.average[k] = s->average[k] ? (real *)s->average[k] + from : NULL;
    return piece;
}
