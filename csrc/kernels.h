/* What one ISA level provides for one dtype: a table of function pointers. isa/ fills them, everything else calls
 * through them. `void *` arrays hold the table's dtype. */
#ifndef SCHUSS_KERNELS_H
#define SCHUSS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "pool.h"
#include "schuss.h"

/* Constants of one step of one group, computed once in double; rules round them to the dtype. A rule reads what its own
 * row in optim/rules/ sets, beyond what is common (optim/constants.c). */
struct rule_constants {
    int rule, dtype;
    int adaptive;                           /* RAdam, AdaBelief: there is a denominator */
    int nesterov, centered, amsgrad, first; /* first: step 1, momentum buffers are filled rather than mixed */
    double step_size;                       /* what multiplies the update */
    double limit;                           /* ADOPT: of a divided gradient; FTRL: l1 */
    double exponent, shrink, offset;        /* FTRL */
    double second_step;                     /* what multiplies its second part */
    double momentum, one_minus_momentum, one_minus_dampening;
    double beta1, beta2, beta3;
    double one_minus_beta1, one_minus_beta2, one_minus_beta3;
    double sqrt_correction;                 /* 1 / sqrt(1 - beta2^t) */
    double mix;                             /* of the newest point in the average that a rule keeps */
    double y_step;                          /* schedule-free rules: of the gradient in y's step */
    double eta_minus, eta_plus, smallest_step, largest_step;
    double eps;                             /* added to a denominator */
    double inner_eps;                       /* added under its root, or to what it is a maximum of */
    double velocity;                        /* what multiplies gradients that go into a velocity: 1 or lr */
    double eps2, threshold;                 /* Adafactor: the least rms of parameters, the most of an update */
    double keep;                            /* decoupled weight decay: parameters times this first; 1: none */
    double decay;                           /* weight decay by the rule itself, which then sets l2 to 0 */
    double factor;                          /* of this array, from its sums (MEASURED rules) */
    double coefficients[3];                 /* of Muon's polynomial, applied so many times; which lr suits a shape */
    int iterations, match_rms, in_bf16;     /* in_bf16: its products are of bfloat16 */
    const struct schuss_group *group;       /* SOAP: the group, which says what dimensions have a basis */
    int refresh;                            /* SOAP: whether bases change after the step */
    int normalizes;                         /* SOAP: whether updates are divided by their size */
    int pass;                               /* MATRIX rules: which of their passes over elements this is */
    const void *item;                       /* MATRIX rules: what that pass knows of the array */
    /* the stages, by optim/step.c */
    double scale;                           /* of the gradient: unscaling, clipping, the sign of maximize; 1: none */
    double clip_value;                      /* <= 0: none; applied after grad_scale, before the rest of scale */
    double grad_scale;                      /* applied before clip_value */
    double l2, l1;                          /* coupled weight decay, and that of absolute values; 0: none */
    double average_weight[SCHUSS_MAX_AVERAGES]; /* of the parameters in their average; 0: it stays as it is */
    int pull[SCHUSS_MAX_AVERAGES];          /* 1: afterwards the parameters become the average */
    int zero_grad;
    int seen;                               /* the gradient has been looked at in a pass before */
    /* for arrays that are not of the dtype */
    int64_t t;                              /* the step's number */
    int sums_write;                         /* MEASURED rules: the states that the pass with sums writes, bit k for slot k */
};

/* Which random numbers round, where rounding is stochastic: those of this seed, array and step. first: the element of the
 * array that what is narrowed begins with. */
struct rounding {
    uint64_t seed;
    uint32_t number;
    int64_t t;
    ptrdiff_t first;
};

/* What happens to the sums of a product before they become C: its end.
 *
 *   NONE      C = sums
 *   FORWARD   C = act(sums + bias) * mask + add. What the derivative of act is computed from is stored in values
 *   BACKWARD  C = sums * mask * act'(values). The sums are stored in raw. With a dropout and no mask, act is relu and
 *             values are those after dropout, which tell what stayed
 *   ADD       C = alpha sums + beta add
 *   CONSUME   C is not stored: blocks of it go to consume()
 *
 * With `scaled`, all sums are multiplied by beta before; not with ADD.
 *
 * Each array is [m x n], has rows that lie ld_NAME elements apart, and is not C. The bias is [n]. The mask has a bit an
 * element, and rows that lie ld_mask bytes apart; what stays is scaled by 1 / (1 - *dropout). A part of the end is left
 * out where its array is NULL: bias, mask, raw, and values and add of FORWARD. */
/* Bytes of a row of a mask: bits are read 32 at a time, from any byte on. */
#define MASK_BYTES(n) (((n) + 7) / 8 + 3)
enum tile_end_kind { END_NONE, END_FORWARD, END_BACKWARD, END_ADD, END_CONSUME };
struct tile_end {
    int kind;
    int activation;
    double alpha, beta;
    const void *bias;
    void *values;         /* FORWARD: written; NULL: not. BACKWARD: read */
    ptrdiff_t ld_values;
    int values_activated; /* FORWARD: values are what comes out of act, else what goes in */
    int scaled;           /* beta is a factor of the sums */
    const double *dropout; /* its probability in this pass; NULL: there is none */
    const void *mask;
    ptrdiff_t ld_mask;
    const void *add;
    ptrdiff_t ld_add;
    void *raw;
    ptrdiff_t ld_raw;
    /* CONSUME: a block is C[row, row + rows) x [col, col + cols), contiguous and still in cache. It is gone when
     * consume() returns. streams: arrays laid out like C that consume() reads; the product fetches them into cache
     * meanwhile. */
    int (*consume)(void *context, ptrdiff_t row, ptrdiff_t col, ptrdiff_t rows, ptrdiff_t cols, const void *block);
    void *context;
    int n_streams;
    const void *streams[1 + SCHUSS_MAX_STATES];
};

/* C[m x n] = start + A[m x k] B[k x n], then `end`. A[i][p] lies at a[i * a_row + p * a_col]; B[p][j] at
 * b[p * ldb + j], or at b[j * ldb + p] if b_transposed. Products go in blocks of LONG_K, counted from p = 0. Within a
 * block each element of C is one chain of fused multiply-adds in increasing p, the first on top of start, the others of
 * zero; then the blocks are added in increasing order. So its bits do not depend on how the work is cut. */
enum { LONG_K = 4096 };
struct gemm {
    ptrdiff_t m, n, k;
    const void *a;
    ptrdiff_t a_row, a_col;
    /* NULL, or what makes A as it is needed: fill() writes A's rows [row, row + rows) x columns [p, p + depth) to
     * to[rows x depth], whose rows lie ld elements apart. a is not looked at then, a_row is 0 and a_col 1, and scratch
     * is fill_scratch(k) bytes longer. */
    void (*fill)(const void *context, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t p, ptrdiff_t depth, void *to, ptrdiff_t ld);
    const void *fill_context;
    /* NULL, or called now and then while rows [row, row + rows) of C compute: part `part` of `parts` of what fill() reads
     * for the next rows, and consume() for these, is to be fetched. */
    void (*fetch)(const void *context, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t col, ptrdiff_t cols, ptrdiff_t part,
                  ptrdiff_t parts);
    const void *fetch_context;
    int fetches_a; /* where a_row is 1: 1 if the rows of the next tiles are fetched while tiles compute */
    /* NULL, or A is these rows order[0], order[1], ..., or from 0 on where order is NULL; a is not looked at then.
     * a_row == 1: transposed */
    const struct schuss_compressed *compressed;
    const int64_t *order;
    int averages; /* of compressed rows transposed: 1 if each value counts divided by how many its row has */
    const void *b;
    ptrdiff_t ldb;
    int b_transposed;
    void *c;
    ptrdiff_t ldc;
    /* NULL, or [m x n], where each element's first chain begins in place of zero. It may be C itself, with the same row
     * length: C is read before it is written. Not with compressed rows, nor with END_CONSUME, nor with a scaled end. */
    const void *start;
    ptrdiff_t ld_start;
    struct tile_end end;
};

/* Rows [row0, row1) of a batch and where they lie; see schuss_loss_value. */
struct loss_rows {
    const struct schuss_loss *loss;
    ptrdiff_t cols;
    const void *prediction, *target;
    const double *weights;
    double total;
    void *gradient;
};

enum { LBFGS_CHUNK = 1024 };

/* cos2pi, sin2pi: of 2 pi x. */
#define ELEMENTARY_FUNCTIONS(X) \
    X(EXP, exp) X(LOG, log) X(TANH, tanh) X(ERFC, erfc) X(EXPM1, expm1) X(LOG1P, log1p) X(COS2PI, cos2pi) \
    X(SIN2PI, sin2pi)
#define NUMBER_OF(NAME, name) ELEMENTARY_##NAME,
enum elementary { ELEMENTARY_FUNCTIONS(NUMBER_OF) N_ELEMENTARY };
#undef NUMBER_OF
const char *schuss_elementary_name(int f);

struct kind;  /* train/kind.h */
struct table; /* rows/group.h */

/* A way to walk over arrays; see schuss_way. Bytes, multiples of a line; a chunk is at most 4096. */
struct way {
    int chunk, ahead;
};
extern const struct way optimizer_ways[SCHUSS_WAYS];
extern const struct way optimizer_stored_ways[SCHUSS_WAYS]; /* of arrays that are not of the dtype: bytes of reals */

struct kernels {
    int dtype;
    ptrdiff_t item; /* bytes of one real */
    int vector_bytes;
    ptrdiff_t tile_rows, tile_cols;

    /* The rule and its stages over a piece of an array: n, p, g, s and average say where. g is written only to zero it.
     * Sets *nonfinite if a gradient is. */
    void (*step)(const struct schuss_segment *piece, const struct rule_constants *c, int *nonfinite);
    /* The same of whole rows, of `cols` elements each, by a BY_ROW rule, of whose states the piece has an element a row. g
     * NULL: gradients are zero. */
    void (*by_row)(const struct schuss_segment *piece, const struct rule_constants *c, int *nonfinite);
    /* p and s become k[0] p + k[1] s and k[2] p + k[3] s, `second` k[4] times itself and `third` k[5] times; each n
     * elements, in double, rounded once. States may be NULL. */
    void (*coast)(ptrdiff_t n, const double *k, void *p, void *s, void *second, void *third);
    /* What a MEASURED rule does before: sums[SCHUSS_MAX_SUMS] over the piece, in double, in a fixed order. Zeroes g
     * like step. */
    void (*measure)(const struct schuss_segment *piece, const struct rule_constants *c, double *sums, int *nonfinite);
    /* A step of a MATRIX rule for one array, made by all members of a team, each with its own `me`. scratch:
     * array_scratch bytes for at least so many members; it may be used again after a team_wait. Sets *nonfinite, in a
     * member that meets one, if a gradient is. */
    void (*array)(const struct schuss_segment *s, const struct rule_constants *c, char *scratch, struct team *me,
                  int *nonfinite);
    ptrdiff_t (*array_scratch)(const struct schuss_group *g, const struct schuss_segment *s, int members);
    /* Between reals and numbers of a format (enum schuss_format), each n of them. more: SPLIT: the lower halves; 8 bits:
     * the scale of each block, float; else NULL. Nothing overlaps. rounding is looked at where the format is stochastic.
     * What a format keeps of a number is in optim/formats.h. */
    void (*widen)(int format, ptrdiff_t n, const void *from, const void *more, void *to);
    void (*narrow)(int format, ptrdiff_t n, const void *from, void *to, void *more, const struct rounding *rounding);
    /* 1 if any of x[n] is NaN or infinite. */
    int (*any_nonfinite)(ptrdiff_t n, const void *x);
    /* Sum of squares of clip(scale * x[n]), in double, in a fixed order. clip <= 0: none. */
    double (*sum_squares)(ptrdiff_t n, const void *x, double scale, double clip);
    /* Sum of |x[n]|, in double, in a fixed order. */
    double (*sum_absolute)(ptrdiff_t n, const void *x);

    /* p[n] += weight (target[n] - p[n]). */
    void (*move_towards)(ptrdiff_t n, double weight, const void *target, void *p);
    /* L-BFGS, on n <= LBFGS_CHUNK elements of padded vectors, n % 16 == 0. Sums in double, in a fixed order.
     * looks[3]: d . g, the sum and the largest of |g|; NaN are in the sums only. */
    void (*lbfgs_look)(ptrdiff_t n, const void *g, const void *d, double *looks);
    /* s = t d, y = g - before. */
    void (*lbfgs_pair)(ptrdiff_t n, double t, const void *d, const void *g, const void *before, void *s, void *y);
    /* sums[2 k] += v . a, sums[2 k + 1] += v . b for v = vectors[k] from its element `from` on, k < count. */
    void (*lbfgs_dots)(ptrdiff_t n, int count, const void *const *vectors, ptrdiff_t from, const void *a, const void *b,
                       double *sums);
    /* out = factor g + sum of factors[k] vectors[k], from their elements `from` on, in increasing k < count (even), in
     * double, rounded once. */
    void (*lbfgs_combine)(ptrdiff_t n, int count, const void *const *vectors, ptrdiff_t from, const double *factors,
                          const void *g, double factor, void *out);
    /* p = x + t d; any n and alignment. */
    void (*lbfgs_move)(ptrdiff_t n, double t, const void *d, const void *x, void *p);

    /* The part [row0, row1) x [col0, col1) of a product. scratch: gemm_scratch bytes for a product of at least the
     * part's size. Returns what consume() returned, or'ed. */
    int (*gemm)(const struct gemm *g, ptrdiff_t row0, ptrdiff_t row1, ptrdiff_t col0, ptrdiff_t col1, void *scratch);
    ptrdiff_t (*gemm_scratch)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, int end_kind);
    /* What is needed beside where A is filled. */
    ptrdiff_t (*fill_scratch)(ptrdiff_t k);
    /* As gemm_scratch where A is compressed rows transposed. */
    ptrdiff_t (*sparse_scratch)(ptrdiff_t n, ptrdiff_t k);
    /* out[n] = sum over rows of x[rows x n], for columns [col0, col1), in the order that dense/sums.h has. */
    void (*column_sums)(ptrdiff_t rows, ptrdiff_t col0, ptrdiff_t col1, const void *x, ptrdiff_t ldx, void *out);

    /* y[n] = act(x[n]); in place allowed. Not softmax. */
    void (*activate)(int activation, double alpha, ptrdiff_t n, const void *x, void *y);
    /* d[n] = d[n] * act'(values[n]). Not softmax. */
    void (*differentiate)(int activation, double alpha, ptrdiff_t n, const void *values, void *d);
    /* d[n] += x[n]. */
    void (*add)(ptrdiff_t n, const void *x, void *d);
    /* The end of rows [row, row + rows) x [col, col + cols) that were computed elsewhere: c is their first element, ldc
     * elements a row. All of it but the factor and the bias. */
    void (*finish_rows)(const struct tile_end *end, ptrdiff_t rows, ptrdiff_t cols, void *c, ptrdiff_t ldc, ptrdiff_t row,
                        ptrdiff_t col);
    /* Bytes of scratch of a member that groups the entries of a table and sums its gradient. */
    ptrdiff_t (*table_scratch)(const struct table *table);
    /* The kinds of layers, by enum schuss_kind. */
    const struct kind *const *kinds;
    /* Softmax of each row, in place. */
    void (*softmax)(ptrdiff_t rows, ptrdiff_t cols, void *x);
    /* d = y * (d - sum_j d_j y_j), a row at a time. */
    void (*softmax_backward)(ptrdiff_t rows, ptrdiff_t cols, const void *y, void *d);

    /* Bit j of mask, from the lowest of its first byte on: 0, with the given probability, if element first + j of the
     * layer's output is dropped, else 1. Element i of pass `draw` belongs to Philox block i / 4, so any range may be
     * computed alone; first + n < 2^34. mask has MASK_BYTES(n) bytes. */
    void (*draw_mask)(ptrdiff_t first, ptrdiff_t n, double probability, uint64_t seed, uint32_t layer, uint64_t draw,
                      void *mask);
    /* y[n] = x[n] times 1 / (1 - probability) where the bit is 1, times 0 where it is 0; in place allowed. */
    void (*apply_mask)(ptrdiff_t n, double probability, const void *mask, const void *x, void *y);

    /* The weighted losses of rows [row0, row1) into values[row0..row1-1], and their gradients. */
    void (*loss)(const struct loss_rows *l, ptrdiff_t row0, ptrdiff_t row1, double *values);

    /* Ranking by pairs, see schuss.h. Pairs [first, end) of the epoch, each a step. */
    void (*pairwise_steps)(struct schuss_pairwise *p, ptrdiff_t first, ptrdiff_t end);
    /* Of a batch's pairs `from` to `to`, the first of which is number `first` of the epoch: which negative, what factor,
     * what loss. Returns 1 if a score is not finite. */
    int (*pairwise_look)(struct schuss_pairwise *p, ptrdiff_t first, ptrdiff_t from, ptrdiff_t to, int member);
    /* The gradients of rows that belong to this member of `members`, of a batch of n pairs. */
    void (*pairwise_gather)(struct schuss_pairwise *p, ptrdiff_t n, int member, int members);
    /* The step of these rows. Returns 1 if a number that was written is not finite. */
    int (*pairwise_update)(struct schuss_pairwise *p, int member);
    /* All three, by one member alone. Returns 1 if a score is not finite, else 2 if a number that was written is not. */
    int (*pairwise_alone)(struct schuss_pairwise *p, ptrdiff_t first, ptrdiff_t n);
    /* The losses of a batch of n pairs, into the epoch's sums. */
    void (*pairwise_sum)(struct schuss_pairwise *p, ptrdiff_t n);
    ptrdiff_t (*pairwise_scratch)(const struct schuss_pairwise *p, int members);
    /* Numbers [first, end) of schuss_pairwise_represent and schuss_pairwise_scores. */
    void (*pairwise_represent)(const struct schuss_side *side, ptrdiff_t slots, ptrdiff_t stride, ptrdiff_t first,
                               ptrdiff_t end, void *out);
    void (*pairwise_scores)(ptrdiff_t dim, ptrdiff_t stride, const void *of_users, const void *of_items, ptrdiff_t first,
                            ptrdiff_t end, const int32_t *users, const int32_t *items, void *out);
    /* See schuss_factors_steps; ratings [from, to) of schuss_factors_predict. */
    void (*factors_steps)(const struct schuss_factors *f, ptrdiff_t from, ptrdiff_t to, double *sum);
    void (*factors_predict)(const struct schuss_factors *f, ptrdiff_t from, ptrdiff_t to, void *out);
    /* Rows [row0, row1) of schuss_rank, in scratch of rank_scratch bytes. */
    void (*rank)(const struct schuss_ranking *r, const struct schuss_best *best, const struct schuss_places *places,
                 ptrdiff_t row0, ptrdiff_t row1, void *scratch);
    ptrdiff_t (*rank_scratch)(const struct schuss_ranking *r);

    /* An elementary function, for tests of its error: y[n] = f(x[n]). log1p: on [0, 1]. */
    void (*elementary)(int f, ptrdiff_t n, const void *x, void *y);
};

/* Whether this CPU has vdpbf16ps, and what AVX-512 needs. On x86-64 only. */
int schuss_has_bf16(void);

#endif
