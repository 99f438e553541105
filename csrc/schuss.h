/* The interface that the Python extension calls. C11, no Python in here.
 *
 * Arrays are row-major. Sizes are ptrdiff_t, in elements unless a name says bytes. `void *` arrays hold the dtype
 * of the call (float or double). The caller owns and allocates every array; nothing is allocated in a step.
 * Functions return a schuss_status; they never print or abort. */
#ifndef SCHUSS_H
#define SCHUSS_H

#include <stddef.h>
#include <stdint.h>

#include "layers/list.h"
#include "optim/list.h"

#if PTRDIFF_MAX < INT64_MAX
#error "schuss needs a 64-bit machine: sizes and random numbers are 64-bit integers"
#endif

/* Names of an enum, and its constants, come from one list of X(CONSTANT, name). schuss_NAME_name(i) is the name of
 * constant i, NULL past the last. */

enum schuss_status {
    SCHUSS_OK = 0,
    SCHUSS_MORE = 1,         /* the time is up, the epoch is not: call again */
    SCHUSS_NONFINITE = 2,    /* a loss or a gradient was NaN or infinite */
    SCHUSS_BAD_ISA = -1,     /* SCHUSS_ISA names no level */
    SCHUSS_NO_ISA = -2       /* SCHUSS_ISA names a level this CPU lacks */
};

/* How numbers lie in memory. The first two are what the core computes with: its dtypes. What each of the others is says
 * optim/formats.h. */
#define SCHUSS_FORMATS(X) \
    X(F32, float32) X(F64, float64) X(BF16, bfloat16) X(F16, float16) X(BF16_STOCHASTIC, bfloat16_stochastic) \
    X(SPLIT, split) X(8BIT_SIGNED, 8bit_signed) X(8BIT_UNSIGNED, 8bit_unsigned)
#define SCHUSS_NUMBER_OF(NAME, name) SCHUSS_##NAME,
enum schuss_format { SCHUSS_FORMATS(SCHUSS_NUMBER_OF) SCHUSS_N_FORMATS };
#undef SCHUSS_NUMBER_OF
const char *schuss_format_name(int format);

/* ---- cpu.c: which instruction set -------------------------------------------------------------------------------- */

struct kernels; /* kernels.h */

/* Levels compiled in, lowest first: names by index, NULL past the end. */
const char *schuss_isa_name(int level);
/* 1 if this CPU and operating system can run the level. */
int schuss_isa_supported(int level);
/* Chooses a level by name; NULL: SCHUSS_ISA if set, else the best. Returns the level >= 0, or a status < 0. */
int schuss_isa_select(const char *name);
/* The level in use, choosing it on the first call. Returns the level >= 0, or a status < 0. */
int schuss_isa_level(void);
/* The table of the level in use, or NULL while schuss_isa_level() is an error. */
const struct kernels *schuss_kernels(int dtype);
/* Bytes of the widest vector that the level in use computes with. */
int schuss_vector_bytes(void);

/* ---- quota.c, pool.c: threads ------------------------------------------------------------------------------------ */

/* CPUs this process may use: the least of affinity and cgroup quota (rounded up), at least 1. */
int schuss_cpu_quota(void);
/* Threads without any setting: SCHUSS_NUM_THREADS, else at most OMP_NUM_THREADS, else the quota. */
int schuss_default_threads(void);
/* Threads that a call from this thread may use. */
int schuss_get_num_threads(void);
/* For the process; n < 1 goes back to the default. */
void schuss_set_num_threads(int n);
/* For the calling thread only, over the process's setting; n < 1 lifts it. Returns the previous limit, 0 if none. */
int schuss_set_thread_limit(int n);
/* Worker threads alive now (the caller not counted). */
int schuss_worker_count(void);

/* ---- rng.h, train/init.c: random numbers ------------------------------------------------------------------------- */

/* One Philox4x32-10 block. */
void schuss_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* order[n] becomes the permutation of 0..n-1 that belongs to (seed, epoch). */
void schuss_permutation(int64_t *order, ptrdiff_t n, uint64_t seed, uint64_t epoch);

/* uniform: in [-scale, scale), before rounding to the dtype. normal: with standard deviation scale. orthogonal:
 * orthonormal rows or columns, whichever are fewer, times scale. signs: scale or -scale. */
#define SCHUSS_INITS(X) X(ZEROS, zeros) X(UNIFORM, uniform) X(NORMAL, normal) X(ORTHOGONAL, orthogonal) X(SIGNS, signs)
#define SCHUSS_NUMBER_OF(NAME, name) SCHUSS_INIT_##NAME,
enum schuss_init { SCHUSS_INITS(SCHUSS_NUMBER_OF) SCHUSS_N_INITS };
#undef SCHUSS_NUMBER_OF
const char *schuss_init_name(int init);
/* w[n_in x n_out] drawn from (seed, stream). Orthogonal needs room[n_in * n_out], else room may be NULL. */
int schuss_initialise(int dtype, void *w, ptrdiff_t n_in, ptrdiff_t n_out, int init, double scale, uint64_t seed,
                      uint32_t stream, double *room);
/* Rows rows[n] of a table w[.. x cols], which become what they would be if all of the table were drawn, normal and with
 * this mean: a row does not depend on how many there are. */
int schuss_draw_rows(int dtype, void *w, ptrdiff_t cols, const int64_t *rows, ptrdiff_t n, double mean, double scale,
                     uint64_t seed, uint32_t stream);

/* ---- optim/step.c: optimizer steps ------------------------------------------------------------------------------- */

#define SCHUSS_RULE_NUMBER(NAME, ...) SCHUSS_##NAME,
enum schuss_rule {
    SCHUSS_RULES(SCHUSS_RULE_NUMBER, SCHUSS_RULE_NUMBER, SCHUSS_RULE_NUMBER, SCHUSS_RULE_NUMBER) SCHUSS_N_RULES
};
#undef SCHUSS_RULE_NUMBER
enum {
    SCHUSS_MAX_STATES = 6,
    SCHUSS_MAX_AVERAGES = 2,
    SCHUSS_MAX_SUMS = 2,
    SCHUSS_MAX_BETAS = 3,
    SCHUSS_MEMORY = 6,
    SCHUSS_STEP_BITS = 53
};

/* Whose form of a rule: where eps is added and what else differs, see the rows in optim/rules/. */
#define SCHUSS_DIALECTS(X) X(TORCH, torch) X(KERAS, keras) X(SKLEARN, sklearn)
#define SCHUSS_NUMBER_OF(NAME, name) SCHUSS_##NAME,
enum schuss_dialect { SCHUSS_DIALECTS(SCHUSS_NUMBER_OF) SCHUSS_N_DIALECTS };
#undef SCHUSS_NUMBER_OF
const char *schuss_dialect_name(int dialect);

/* How Muon's lr depends on the shape of a matrix, see optim/rules/muon.h. */
#define SCHUSS_ADJUST_LRS(X) X(ORIGINAL, original) X(MATCH_RMS_ADAMW, match_rms_adamw)
#define SCHUSS_NUMBER_OF(NAME, name) SCHUSS_ADJUST_##NAME,
enum schuss_adjust_lr { SCHUSS_ADJUST_LRS(SCHUSS_NUMBER_OF) SCHUSS_N_ADJUST_LRS };
#undef SCHUSS_NUMBER_OF
const char *schuss_adjust_lr_name(int adjust_lr);

/* What the elements of Muon's products are rounded to. NULL is the name of the first: to nothing. */
enum schuss_products { SCHUSS_PRODUCTS_OF_DTYPE, SCHUSS_PRODUCTS_OF_BF16, SCHUSS_N_PRODUCTS };
const char *schuss_products_name(int products);

/* Which rows of a table move in a step that touches some of them: those alone; or all, as if the others had a gradient
 * of zero, which is made up for when a row is touched or read next. NULL is the name of the first, which is neither: all
 * rows that there is a gradient for. */
enum schuss_rows { SCHUSS_ROWS_GIVEN, SCHUSS_ROWS_LAZY, SCHUSS_ROWS_EXACT, SCHUSS_N_ROWS };
const char *schuss_rows_name(int rows);

/* What a group of parameters shares. A rule reads the numbers it knows: its file in optim/rules/ says what
 * they are. */
struct schuss_group {
    int rule;
    int dialect;
    int maximize, nesterov, centered, amsgrad;
    int rectify, clip, no_prox;
    int adapt;               /* 0: LARS, LAMB without the ratio of norms */
    int bias_correction, grad_averaging, safeguard_warmup;
    int decoupled;           /* weight decay on the parameter (AdamW), not through the gradient */
    double lr, weight_decay, eps;
    double lr_factor;        /* a rate that a schedule sets is multiplied by it */
    double momentum, dampening;
    double beta1, beta2, beta3;
    double alpha, lr_decay;
    double momentum_decay;
    double lambd, t0;
    double warmup_steps, weight_power, weight_lr_power;
    double eta_minus, eta_plus, smallest_step, largest_step;
    double alpha_warmup, beta3_warmup;
    double lr_power, l1, l2, l2_shrinkage, beta;
    double trust_coefficient;
    double clamp_low, clamp_high;
    double d0, d_coef, growth_rate;
    double eps2, d, beta2_decay; /* Adafactor; its eps < 0 is the dtype's */
    double ns_coefficients[3], ns_steps; /* Muon */
    int adjust_lr_fn;        /* enum schuss_adjust_lr */
    int products;            /* enum schuss_products */
    int rows;                /* enum schuss_rows */
    double shampoo_beta, precondition_frequency, max_precond_dim; /* SOAP; shampoo_beta < 0: beta2 */
    int merge_dims, precondition_1d, normalize_grads;
    double initial_accumulator_value; /* what a state begins with */
    double penalty1, penalty2; /* the gradient of a penalty of the loss: penalty1 sign(p) + penalty2 p is added to g */
    /* the core's own, 0 at first: squares[k][i] is the 2^i-th power of squared[k], which was a beta of the group */
    double squared[SCHUSS_MAX_BETAS];
    double squares[SCHUSS_MAX_BETAS][SCHUSS_STEP_BITS];
};

/* Arrays of one group that have made the same steps: each of them had a gradient in these. Steps are counted by the clock:
 * step number t of the optimizer is number t - behind of the arrays. */
struct schuss_clock {
    int group;
    int present;             /* the core's own: an array of it has a gradient in the step, where any has none */
    int64_t behind;          /* steps of the optimizer that the arrays have not made */
};

/* What a rule remembers of a clock's arrays from step to step beside them: numbers that its row in optim/rules/ names.
 * All zero before the first step. */
struct schuss_memory {
    double step;                  /* the step of the clock that `now` is of */
    double now[SCHUSS_MEMORY];
    double before[SCHUSS_MEMORY]; /* `now` of the step before, from which a step that failed is made again */
    double resting;               /* 1: the caller has moved the parameters away from where steps are made from */
};

/* An average a of the parameters p, brought up to date within a step: in the steps from `start` on, every `every`-th of
 * them. EMA: a = p in the first of these, a += weight (p - a) in the others. MEAN: a is the mean of p after each of
 * these. LOOKAHEAD: a += weight (p - a), and then p = a. */
#define SCHUSS_AVERAGES(X) X(NO_AVERAGE, none) X(EMA, ema) X(MEAN, mean) X(LOOKAHEAD, lookahead)
#define SCHUSS_NUMBER_OF(NAME, name) SCHUSS_##NAME,
enum schuss_average_kind { SCHUSS_AVERAGES(SCHUSS_NUMBER_OF) SCHUSS_N_AVERAGE_KINDS };
#undef SCHUSS_NUMBER_OF
const char *schuss_average_name(int kind);
struct schuss_average {
    int kind;
    int64_t start, every;
    double weight;
};

/* How an array and what belongs to it lie in memory, where something is not of the step's dtype. Each is widened to it, a
 * piece at a time in cache, and narrowed back after the rule. */
struct schuss_stored {
    int p, g, s[SCHUSS_MAX_STATES]; /* enum schuss_format */
    void *low;                      /* SCHUSS_SPLIT: the lower halves of the parameters */
    void *scale[SCHUSS_MAX_STATES]; /* 8 bits: what the codes of each block are multiples of */
    void *copy;                     /* NULL, or the parameters after the step once more, */
    int copy_format;                /* in this format */
    uint64_t seed;                  /* of stochastic rounding */
    uint32_t number;                /* of the array in it: no two have the same */
};

/* One array of n parameters. States have n elements each, unless the rule says otherwise; unused ones are NULL. */
struct schuss_segment {
    ptrdiff_t n;
    ptrdiff_t rows, cols;    /* the last two dimensions: the array is n / (rows cols) matrices; a vector is n x 1. See
                              * index, too */
    int ndim;                /* all of them, for rules that look at more than the last two */
    const ptrdiff_t *shape;  /* [ndim] */
    void *p;
    void *g;                 /* only read, unless the step zeroes it */
    void *s[SCHUSS_MAX_STATES];
    void *average[SCHUSS_MAX_AVERAGES];
    int group;
    int clock;               /* of that group */
    /* NULL: g is the gradient by all of p. Else it is the gradient by some rows of p: row k of g belongs to row
     * index[k] of p. A row has `cols` elements, and n counts those of g. No other row of p and of its states is
     * touched. Only for rules of which schuss_rule_by_rows() is 1. */
    const int64_t *index;
    /* Of arrays whose group is SCHUSS_ROWS_EXACT: for each row the step that it and its states are of; those after it
     * have to be made up for. NULL: all rows are always of the last step. */
    int64_t *last;
    /* NULL: all arrays are of the step's dtype. Else they are as this says, but for averages and for states of other shapes
     * than the parameters', which are of the dtype always. */
    const struct schuss_stored *stored;
    ptrdiff_t first;         /* the core's own, of a piece with `stored`: it begins with this element of the array, at whose
                              * start p, states and averages still point; g points at the piece's own */
    double factor;           /* the core's own: what a rule computes from sums over the array */
    int done;                /* the core's own: measured and updated in one go */
    short way;               /* the core's own, of a piece: the way that its memory is walked over */
    short absent;            /* 1: it has no gradient in this step and n is 0: p and the states stay as they are. Averages
                              * go on, but those that pull. Only of groups that are not SCHUSS_ROWS_EXACT */
};

struct schuss_step {
    int dtype;
    int n_groups, n_segments;
    struct schuss_group *groups;
    int n_clocks;
    struct schuss_clock *clocks; /* [n_clocks], the first n_groups of which are of the groups in their order; NULL: these are
                              * all, and none is behind. Room for n_groups + n_segments where arrays may be absent */
    struct schuss_memory *memories; /* of each clock; may be NULL if no rule here remembers and no array is ever absent */
    struct schuss_segment *segments;
    double *sums;            /* [schuss_step_sums()], or NULL if that is 0 */
    char *scratch;           /* [schuss_step_scratch()] bytes, 64-byte aligned, or NULL if that is 0 */
    int threads;             /* set by schuss_step_scratch(): the most threads that may make the step, and */
    ptrdiff_t scratch_each;  /* how many bytes of scratch each of them has for itself */
    struct schuss_average averages[SCHUSS_MAX_AVERAGES];
    void *histories;         /* [schuss_histories_bytes()], or NULL if no segment has `last` */
    int64_t t;               /* number of the step about to be made, from 1 to 2^53 - 1 */
    double grad_scale;       /* gradients are multiplied by this first; 1 leaves them */
    double clip_value;       /* then limited to [-clip_value, clip_value]; <= 0: not */
    double clip_norm;        /* then scaled to this global norm if theirs is larger; <= 0: not */
    int n_absent;            /* how many segments are absent */
    int zero_grad;           /* 1: gradients are zero after the step */
    int check_first;         /* 1: read the gradients first, and update nothing if one is NaN or infinite */
    int nonfinite;           /* out: 1 if a gradient was NaN or infinite */
    double grad_norm;        /* out: the global norm after clip_value, where clip_norm > 0 */
};

/* The rule's name, NULL past the last. */
const char *schuss_rule_name(int rule);

/* A setting of a rule: a hyperparameter under the name that users know it by. Its values lie in struct schuss_group. */
enum schuss_setting_kind {
    SCHUSS_NUMBER,           /* double */
    SCHUSS_WHOLE,            /* a whole number, stored as double */
    SCHUSS_FLAG,             /* int: 0 or 1 */
    SCHUSS_CHOICE            /* int: the place of a name among the choices, from 0 */
};
enum { SCHUSS_SETTING_PARTS = 3 };
struct schuss_setting {
    const char *name;
    int kind;                /* enum schuss_setting_kind */
    int parts;               /* the length of the tuple that it is; 0: it is one value */
    ptrdiff_t offset[SCHUSS_SETTING_PARTS];      /* bytes from the start of struct schuss_group, of each part */
    const char *interval[SCHUSS_SETTING_PARTS];  /* numbers: where each part lies, such as "[0, 1)" or "[0, inf]" */
    int choices;             /* how many, and their names by their places */
    const char *(*choice)(int place);
    int optional;            /* bit k: part k may be None */
    double none;             /* what is stored for None */
};
/* The settings of a rule, those that all rules have first. NULL past the last. */
const struct schuss_setting *schuss_rule_setting(int rule, int index);
/* Whether the settings of a group, each of which lies in its interval, go together. NULL: they do. Else the name of one
 * that has to be another, and in *expected the words for what it must be. */
const char *schuss_group_fault(const struct schuss_group *group, int dtype, const char **expected);

/* The state of an array in this slot: its name, its number of dimensions in *ndim and its shape in shape[], which has
 * room for the array's dimensions and at least one. NULL: the array has none there. Of the segment only ndim and shape
 * are read. */
const char *schuss_state(const struct schuss_group *group, const struct schuss_segment *segment, int slot, int *ndim,
                         ptrdiff_t *shape);
/* What all elements of a state in this slot are before the first step. */
double schuss_state_start(const struct schuss_group *group, int slot);
/* The format of the state in this slot, which has n elements and the shape of its parameters, where states are to be kept as
 * `wanted`: SCHUSS_BF16, SCHUSS_BF16_STOCHASTIC, SCHUSS_8BIT_SIGNED (of either sign), or the dtype itself, as which states
 * stay that need all their bits and, rather than 8 bits, those of few elements. */
int schuss_state_format(int rule, int slot, ptrdiff_t n, int dtype, int wanted);
/* 1 if the first step fills states whatever they held, and state_dict has none before it. */
int schuss_rule_fills_states(int rule);
/* SOAP: the size of the squares of a dimension of an array, as they lie one after the other in its states "GG" and "Q";
 * 0: it has none; -1: past the last dimension. Dimensions may have been merged. */
ptrdiff_t schuss_state_side(const struct schuss_group *group, const struct schuss_segment *segment, int dimension);

/* The name of number `place` of schuss_memory.now as state_dict has it; NULL past the last that it has. */
const char *schuss_rule_memory(int rule, int place);
/* 1 if state_dict has these numbers with each parameter, 0 if with the group. */
int schuss_rule_memory_of_params(int rule);
/* What now[SCHUSS_MEMORY] is before the first step. */
void schuss_memory_start(const struct schuss_group *group, double *now);
/* Numbers that state_dict has of each parameter although they follow from the group and the steps made: their names,
 * NULL past the last, and their values into out[SCHUSS_MEMORY]. */
const char *schuss_rule_derived(int rule, int place);
void schuss_derive(const struct schuss_group *group, int64_t steps, double *out);

/* Whether a gradient may be by some rows alone: the rule goes element by element or row by row, and a row that a step
 * leaves out is not wrong in later ones. */
int schuss_rule_by_rows(int rule);
/* Bytes of the histories of a step's groups, 0 if none is exact. All of them begin, with the step about to be made: all
 * rows are up to date. */
ptrdiff_t schuss_histories_bytes(const struct schuss_step *step);
void schuss_histories_begin(struct schuss_step *step);
/* Brings rows index[n] of a segment that has `last`, which are different ones, up to date with the steps made so far;
 * index NULL: its first n rows. */
void schuss_catch_up(struct schuss_step *step, int segment, ptrdiff_t n, const int64_t *index);
/* The same of all rows of all segments. */
void schuss_catch_up_all(struct schuss_step *step);
/* The state slots that the rule touches with these numbers: bit k for slot k. */
int schuss_rule_states(const struct schuss_group *group);
/* SOAP: elements of its states 2 and 3 of an array, a square for each dimension that has a basis. Other rules: 0. */
ptrdiff_t schuss_state_squares(const struct schuss_group *group, const struct schuss_segment *segment);
/* Doubles that the step needs room for in sums, given its groups' rules and its segments. */
ptrdiff_t schuss_step_sums(const struct schuss_step *step);

/* Bytes of scratch that the step needs to be made by up to so many threads, given its groups and its segments, on the
 * ISA level in use. 0, unless a rule works on whole arrays. */
ptrdiff_t schuss_step_scratch(struct schuss_step *step, int threads);

/* Updates every parameter and state, once, but those that are absent: their clocks fall behind, so that they are right
 * when step->t has been counted on. Gradients are only read, unless zero_grad. SCHUSS_NONFINITE: nothing was
 * updated, because check_first or clip_norm had the gradients read before. Without these, nonfinite tells
 * afterwards. */
int schuss_optimizer_step(struct schuss_step *step);
/* The norm of all gradients, after grad_scale and clip_value, into grad_norm. clip_norm must be > 0. SCHUSS_NONFINITE:
 * one is NaN or infinite. */
int schuss_gradient_norm(struct schuss_step *step);

/* Ways to walk over arrays that are not in cache, none of which changes a bit: in chunks of so many bytes of the
 * parameters, fetching all arrays so many bytes ahead (0: not at all). Returns 0 past the last. */
enum { SCHUSS_WAYS = 7 };
/* What arrays are walked over: all of the step's dtype, of others too, with states of 8 bits. Bytes are those of reals. */
enum { SCHUSS_PLAIN_ARRAYS, SCHUSS_STORED_ARRAYS, SCHUSS_BLOCK_ARRAYS, SCHUSS_KINDS_OF_ARRAYS };
int schuss_way(int kind, int number, int *chunk, int *ahead);
/* The way that steps of this rule over parameters of so many bytes have chosen by time; -1: none yet. */
int schuss_way_chosen(int rule, int kind, int several_threads, ptrdiff_t bytes);
/* For tests and benchmarks: all steps go this way, -1: as they choose; forgets what was chosen, between steps. */
void schuss_way_force(int number);
void schuss_ways_forget(void);

/* p += weights[group] (s[slot] - p) for every parameter, but those that have made none of the steps; a group whose weight is 0
 * stays untouched. Not a step. */
int schuss_move_params(const struct schuss_step *step, int slot, const double *weights);

/* ---- optim/lbfgs.c: L-BFGS --------------------------------------------------------------------------------------- */

/* The vectors of one optimizer. Parameters and gradients are segments (of which p, g and n are looked at); laid end to
 * end they are n elements. All else are vectors of that length, 64-byte aligned, padded with zeros to a multiple of 16.
 * Pairs (s, y) of steps and changes of the gradient are a ring of most + 1 places, one of which is free: place 0 is
 * the first to be used. */
struct schuss_lbfgs {
    int dtype, n_segments;
    const struct schuss_segment *segments;
    ptrdiff_t n;
    int most;                /* pairs remembered */
    int room;                /* places that there is memory for; the free one among them has its vectors */
    int first, count;        /* the oldest pair's place; pairs there are */
    void **s, **y;           /* [room] */
    const void **vectors;    /* [2 room] scratch */
    double *numbers;         /* [schuss_lbfgs_numbers(room)] inner products of the pairs, and scratch; at first zeros */
    void *d, *x;             /* the direction; where the parameters were */
    double scale;            /* the inverse Hessian before any pair: scale times the identity */
    double slope, largest;   /* out: d . g, max |d| */
};

/* What one look at a gradient finds. */
struct schuss_lbfgs_look {
    double slope;            /* d . g */
    double total, largest;   /* sum and maximum of |g| */
    int nonfinite;           /* 1 if g has a NaN or an infinity */
};

ptrdiff_t schuss_lbfgs_numbers(int room);
/* Goes on with more room: s, y and vectors have been exchanged, numbers[schuss_lbfgs_numbers(room)] are zeros. */
void schuss_lbfgs_grow(struct schuss_lbfgs *l, int room, double *numbers);
/* The segments' gradients, copied into the vector g. */
void schuss_lbfgs_gather(const struct schuss_lbfgs *l, void *g, struct schuss_lbfgs_look *look);
/* d = -H g. First, unless `before` is NULL, the pair s = t d, y = g - before joins the others if y . s > 1e-10 (and is
 * finite), in the place of the oldest if there are `most`; `before` NULL: all pairs are forgotten. */
void schuss_lbfgs_direction(struct schuss_lbfgs *l, const void *g, const void *before, double t);
/* The pair that lies in the free place joins the others, whatever y . s; 1 / y . s is `rho`. */
void schuss_lbfgs_append(struct schuss_lbfgs *l, double rho);
/* 1 / y . s of the pair of this age, 0: the oldest. */
double schuss_lbfgs_rho(const struct schuss_lbfgs *l, int age);
/* p = x + t d; first, if keep, x = p. Returns 1 if a parameter is now NaN or infinite. */
int schuss_lbfgs_move(struct schuss_lbfgs *l, double t, int keep);
/* p = x. */
void schuss_lbfgs_restore(struct schuss_lbfgs *l);

/* ---- train/check.c: data of the caller's ------------------------------------------------------------------------- */

/* The first of x[n] that is not in [0, limit), or -1. */
ptrdiff_t schuss_first_outside(const int64_t *x, ptrdiff_t n, int64_t limit);
/* The first of x[n] that is not more than the one before it, or -1. */
ptrdiff_t schuss_first_not_rising(const int64_t *x, ptrdiff_t n);
/* Whether all of x[n] are in [0, most]; NaN is not. */
int schuss_all_within(int dtype, const void *x, ptrdiff_t n, double most);
/* The sum of weights[rows]; NULL: of ones. */
double schuss_weight_sum(const double *weights, ptrdiff_t rows);

/* What is wrong with compressed rows: start[rows + 1] does not rise from 0 to their number of entries; a column is not
 * in [0, columns); columns of a row decrease, or one comes twice where `doubled` does not allow it. */
enum schuss_fault { SCHUSS_FAULT_START = 1, SCHUSS_FAULT_RANGE, SCHUSS_FAULT_ORDER };
struct schuss_compressed;
/* SCHUSS_OK, or what is wrong first. */
int schuss_compressed_fault(const struct schuss_compressed *rows, ptrdiff_t n_rows, ptrdiff_t entries, ptrdiff_t columns,
                            int doubled);
/* One more than the highest column of any entry; 0: there are none. */
int64_t schuss_compressed_columns(const struct schuss_compressed *rows, ptrdiff_t n_rows);

/* ---- hash.c ------------------------------------------------------------------------------------------------------ */

/* MurmurHash3_x86_32 of n bytes, the same on every machine. */
uint32_t schuss_hash(const void *bytes, ptrdiff_t n, uint32_t seed);
/* How values become codes from 0 to n - 1: the hash of a value's bytes modulo n, 1 <= n <= 2^32. In column c of rows of so
 * many columns its seed is seed + c if salted. */
struct schuss_hashing {
    uint32_t seed;
    int salted;
    uint64_t n;
    ptrdiff_t columns;
};
/* The code of value i, row by row, whose bytes are these. */
int64_t schuss_code_of_bytes(const struct schuss_hashing *how, ptrdiff_t i, const void *bytes, ptrdiff_t n);
/* That of an integer, by its decimal digits. */
int64_t schuss_code_of_integer(const struct schuss_hashing *how, ptrdiff_t i, int64_t value);
/* That of a missing value, by a byte that no UTF-8 text has. */
int64_t schuss_code_of_missing(const struct schuss_hashing *how, ptrdiff_t i);
/* codes[count] of integers, of uint64_t where not is_signed. */
void schuss_codes_of_integers(const struct schuss_hashing *how, ptrdiff_t count, const void *values, int is_signed,
                              int64_t *codes);
/* codes[count] of text, `width` characters each, with zeros behind: bytes of UTF-8 if bytes, else uint32_t. room: 4 width
 * bytes. Returns the first text with a character that is none of Unicode's, or -1. */
ptrdiff_t schuss_codes_of_text(const struct schuss_hashing *how, ptrdiff_t count, const void *text, ptrdiff_t width,
                               int bytes, void *room, int64_t *codes);

/* ---- layers/, train/: networks ----------------------------------------------------------------------------------- */

#define SCHUSS_ACTIVATIONS(X) \
    X(IDENTITY, identity) X(RELU, relu) X(LEAKY_RELU, leaky_relu) X(ELU, elu) X(SELU, selu) X(SIGMOID, sigmoid) \
    X(TANH, tanh) X(GELU, gelu) X(SILU, silu) X(MISH, mish) X(HARD_SWISH, hard_swish) X(SOFTPLUS, softplus) \
    X(EXP, exp) X(SOFTMAX, softmax)
#define SCHUSS_NUMBER_OF(NAME, name) SCHUSS_##NAME,
enum schuss_activation { SCHUSS_ACTIVATIONS(SCHUSS_NUMBER_OF) SCHUSS_N_ACTIVATIONS };
#undef SCHUSS_NUMBER_OF
const char *schuss_activation_name(int activation);

/* 1 if the derivative is computed from the activation's input, 0 if its output is enough. */
int schuss_slope_needs_input(int activation);

#define SCHUSS_KIND_NUMBER(NAME) SCHUSS_KIND_##NAME,
enum schuss_kind { SCHUSS_KINDS(SCHUSS_KIND_NUMBER) SCHUSS_N_KINDS };
#undef SCHUSS_KIND_NUMBER
enum { SCHUSS_NODE_SIZES = 16, SCHUSS_NODE_NUMBERS = 6, SCHUSS_NODE_ARRAYS = 4, SCHUSS_MAX_INPUTS = 64 };

/* What a value's elements are: numbers of the network's dtype, int64_t codes, or such numbers of which only those that are
 * not zero are there, in compressed rows; only an input has these. */
enum schuss_storage { SCHUSS_REAL, SCHUSS_INDEX, SCHUSS_SPARSE };

/* One node of a network: it makes a value [rows x positions x channels] from those of other nodes. First what its kind
 * computes, then the end: activation, dropout, another value added. Positions are times, or the places of an image, row
 * by row; a value of plain columns has one. */
struct schuss_node {
    int kind;                /* enum schuss_kind */
    int n_inputs;            /* 0: an input of the network; more than 1: concatenate only */
    const int *inputs;       /* nodes before it */
    ptrdiff_t sizes[SCHUSS_NODE_SIZES]; /* schuss_kind_sizes() has their names */
    double numbers[SCHUSS_NODE_NUMBERS]; /* schuss_kind_numbers() has their names */
    int activation;
    double alpha;            /* slope of leaky_relu, scale of elu */
    double dropout;          /* probability that an output is dropped in training */
    int residual;            /* the node whose value is added; -1: none */
    int table;               /* nodes of one kind with one number here have their first array in common; 0: it is its own */
    uint32_t stream;         /* of the dropout's random numbers */
    /* by schuss_net_shape(): */
    ptrdiff_t channels;      /* of one position */
    ptrdiff_t positions;
    ptrdiff_t members;       /* in training a row of the network's value is so many of `channels` for the loss */
    ptrdiff_t state0;        /* where its part of a row of carried state begins */
    int storage;
    int first_array, n_arrays;
    int next_user;           /* the next node that has the first array in common with it; 0: none */
    int within;              /* the concatenation that the value is a part of; -1: none */
    ptrdiff_t channel0;      /* the value's first column in it */
    int n_parts;             /* values that its own consists of: more than 1 for a concatenation */
    int input_parts;         /* values that its first input consists of */
};

/* A parameter, or a state such as a running mean: saved and restored with the parameters, but never stepped. */
struct schuss_array {
    const char *name;
    int node;                /* the first that uses it, */
    int users;               /* of so many */
    int ndim;                /* 1: a vector of n = rows elements; 2: rows x cols; 3: matrices x rows x cols */
    ptrdiff_t n, matrices, rows, cols;
    int stepped;
    ptrdiff_t at;            /* its first element in the arenas; parameters come before states */
};

struct schuss_net {
    int dtype;
    int n_nodes, n_inputs;   /* inputs are the first nodes; the last node's value is the network's */
    struct schuss_node *nodes;
    int n_arrays;
    struct schuss_array *arrays;
    void *params, *grads;    /* arenas of equal layout */
    uint64_t seed;           /* of the dropout masks */
    double dropout_factor;   /* which probabilities of dropout are multiplied by; by schuss_net_shape(): 1 */
    ptrdiff_t state;         /* by schuss_net_shape(): elements of a row of carried state, see schuss_input */
    const ptrdiff_t *entries; /* [n_inputs] for schuss_plan_draw(): the most entries that compressed rows of each input have
                               * in a batch; NULL: no input is compressed */
};

/* The name of a kind of layer, NULL past the last; the names of its sizes and of its numbers, with spaces between. */
const char *schuss_kind_name(int kind);
const char *schuss_kind_sizes(int kind);
const char *schuss_kind_numbers(int kind);
/* Fills in what follows from the list of nodes: the last fields of each, and arrays[n_nodes * SCHUSS_NODE_ARRAYS].
 * Returns how many elements the arenas need, or -1. If a node does not fit, *node is its number, and *what is the name
 * of its size or number that is wrong, "input" or "residual". Else *what is untouched: the elements overflow. */
ptrdiff_t schuss_net_shape(struct schuss_net *net, int *node, const char **what);
/* Rows that go through all layers together where no gradients are wanted, so that their widest value stays in cache. A
 * multiple of 16 that does not depend on the threads, so that sums over such slabs do not either. */
ptrdiff_t schuss_net_slab(const struct schuss_net *net);
/* Whether the gradient by an array may be by the rows alone that a batch touches: it is a table from which the codes or the
 * compressed rows of an input of the network take rows. compressed[n_inputs]: which inputs are. */
int schuss_net_touches_rows(const struct schuss_net *net, int array, const unsigned char *compressed);
/* Whether all nodes that read this input can read it as compressed rows: dense layers and bags of embeddings can. */
int schuss_net_reads_compressed(const struct schuss_net *net, int input);

/* A sparse matrix as compressed rows (CSR). Entry k has the value data[k] in column indices[k]. Row i has the entries
 * start[i] <= k < start[i + 1], whose columns do not decrease: of a column that comes twice both entries count. */
struct schuss_compressed {
    const int64_t *start;
    const void *indices;               /* int64_t if wide, else int32_t */
    int wide;
    const void *data;
};

/* One input of a pass: x[rows x positions x channels] without gaps. Where compressed is not NULL, x is not read: the
 * input is its rows order[0], order[1], ..., or from 0 on where order is NULL. The first input says of all what layers
 * that go through times need: how many
 * positions of each row there are (lengths[rows], each at most the positions; NULL: all), and what they carry from pass
 * to pass: state[rows x net->state] is where they begin, and then where they ended. NULL: they begin at zero. */
struct schuss_input {
    const void *x;
    const struct schuss_compressed *compressed;
    const int64_t *order;
    const int64_t *lengths;
    void *state;
};

/* The program of a network's passes, for up to max_rows rows and so many threads, and its buffers. */
struct schuss_plan;
/* What a plan is for: BACKWARD after a forward pass may be repeated, and may give gradients by the inputs;
 * BACKWARD_ONCE takes less memory, since gradients replace outputs that are no longer needed. */
enum schuss_passes { SCHUSS_FORWARD_ONLY, SCHUSS_BACKWARD, SCHUSS_BACKWARD_ONCE };
/* Bytes of a plan without its buffers. */
ptrdiff_t schuss_plan_bytes(const struct schuss_net *net, int passes, int threads);
/* What is wanted of an array's gradient. BY_ROWS: it is by the rows alone that a batch touches, and no time and no memory
 * grows with the array. LATE: so are updates, and rows are brought up to date before they are read. */
enum schuss_wanted { SCHUSS_UNWANTED, SCHUSS_WANTED, SCHUSS_WANTED_BY_ROWS, SCHUSS_WANTED_LATE };
/* Draws a plan up in memory[schuss_plan_bytes()], zeroed and 64-byte aligned. wanted[n_arrays]: enum schuss_wanted of each;
 * NULL: all gradients are wanted. */
struct schuss_plan *schuss_plan_draw(void *memory, const struct schuss_net *net, ptrdiff_t max_rows, int passes,
                                     int threads, const unsigned char *wanted);
/* Bytes of its buffers; -1 if that overflows. */
ptrdiff_t schuss_plan_room(const struct schuss_plan *plan);
/* Gives the plan its buffers, room[schuss_plan_room()], 64-byte aligned. */
void schuss_plan_lay(struct schuss_plan *plan, void *room);

enum schuss_forward_flags {
    SCHUSS_LOGITS = 1        /* leave the last activation out */
};
/* The network's value out[rows x positions x channels], without gaps; out NULL: into the plan. Returns where it lies. draw: number
 * of the pass, from which dropout follows. A plan for backward passes makes a training pass. */
void *schuss_forward(struct schuss_plan *plan, const struct schuss_input *inputs, ptrdiff_t rows, int flags,
                     uint64_t draw, void *out);
/* The backward pass. The gradient by the network's value, [rows x positions x channels] in schuss_plan_dout(), is read
 * and then overwritten. The gradients by parameters go to net->grads, those by inputs to dx[input], which is as large as
 * the input; they are left out where dx or dx[input] is NULL. inputs and flags must be those of the forward pass before. */
void schuss_backward(struct schuss_plan *plan, const struct schuss_input *inputs, ptrdiff_t rows, int flags,
                     void *const *dx);
/* The plan's [max_rows x positions x channels] buffer for the gradient by the network's value. */
void *schuss_plan_dout(struct schuss_plan *plan);
/* Where a pass with out NULL leaves the network's value. */
void *schuss_plan_output(const struct schuss_plan *plan);
/* 1 if, since this was last called, a pass has met a code that is not in its table. Such a code counts as a row of
 * zeros. */
int schuss_plan_fault(struct schuss_plan *plan);

/* ---- dense/loss.h: losses ---------------------------------------------------------------------------------------- */

#define SCHUSS_LOSSES(X) \
    X(MSE, mse) X(MAE, mae) X(HUBER, huber) X(CROSS_ENTROPY, cross_entropy) \
    X(BINARY_CROSS_ENTROPY, binary_cross_entropy) X(POISSON, poisson) X(QUANTILE, quantile) X(GAMMA, gamma) \
    X(TWEEDIE, tweedie) X(GAUSSIAN, gaussian) X(FOCAL, focal) X(BINARY_FOCAL, binary_focal)
#define SCHUSS_NUMBER_OF(NAME, name) SCHUSS_##NAME,
enum schuss_loss_kind { SCHUSS_LOSSES(SCHUSS_NUMBER_OF) SCHUSS_N_LOSSES };
#undef SCHUSS_NUMBER_OF
const char *schuss_loss_name(int kind);

struct schuss_loss {
    int kind;
    int labels;              /* cross-entropy, focal: 1 if targets are int64_t labels [rows], 0 if real [rows x cols] */
    double parameter;        /* huber: delta. cross_entropy: label smoothing (for binary_cross_entropy the caller has
                              * smoothed the targets). tweedie: the power. focal, binary_focal: gamma. quantile: which
                              * quantile */
    const void *parameters;  /* [cols] of each column, in place of the one above; NULL: all have that */
    int dialect;             /* enum schuss_dialect. SKLEARN: sums over outputs rather than means, but for the value of
                              * mse, which is half the mean; Poisson with its constant; a cross-entropy is at most that
                              * of a probability of eps */
};

/* Whether its targets are class labels, int64_t, rather than numbers. Cross-entropy may have either. */
int schuss_loss_wants_labels(int loss_kind);
/* Whether target[n], numbers of the dtype, all lie in the interval that the loss is defined on. NaN lies in none; a
 * loss that is defined everywhere does not look at its targets. */
int schuss_loss_accepts(int loss_kind, int dtype, const void *target, ptrdiff_t n);
/* 1 if the loss is computed from what goes into this output activation, rather than from what comes out of it: softmax
 * before cross-entropy, for example. */
int schuss_loss_from_logits(int loss_kind, int activation);

/* Columns of the targets of a loss of so many outputs, where they are not labels: half of them for gaussian. */
ptrdiff_t schuss_loss_targets(int loss_kind, ptrdiff_t cols);

/* Returns the sum of weights[i] loss_i over the rows i of prediction[rows x cols], and fills gradient[rows x cols],
 * unless it is NULL, with the gradient of that sum / total. target: labels [rows] or [rows x schuss_loss_targets()].
 * weights NULL: ones. partial[schuss_loss_partials(rows)] gets the rows' weighted losses. */
double schuss_loss_value(int dtype, const struct schuss_loss *loss, ptrdiff_t rows, ptrdiff_t cols,
                         const void *prediction, const void *target, const double *weights, double total,
                         void *gradient, double *partial);
ptrdiff_t schuss_loss_partials(ptrdiff_t rows);

/* ---- train/epoch.c: whole epochs --------------------------------------------------------------------------------- */

/* A penalty on the parameters of one group: the loss of a batch gets (l1 sum |p| + l2 / 2 sum p^2) / total, where total
 * is of the batch's weights. */
struct schuss_penalty {
    int group;
    double l1, l2;
    double *sums;                      /* [schuss_penalty_sums()] */
};
ptrdiff_t schuss_penalty_sums(const struct schuss_step *step, int group);

/* An array and room for a copy of it. */
struct schuss_copy {
    void *live, *copy;
    ptrdiff_t bytes;
};

/* An array that is not copied, since a step changes some of its rows only: what these held, and their states, is kept
 * when they are touched for the first time since copies were made. */
struct schuss_kept {
    int array;                         /* of the network */
    ptrdiff_t rows, bytes;             /* of the array; of a row and its states */
    unsigned char *is_kept;            /* [rows] zeros at first */
    ptrdiff_t room, n;                 /* of rows; rows that are kept: */
    int64_t *index;                    /* [room] their numbers */
    char *values;                      /* [room x bytes] */
};

/* How images [height x width x channels] are changed at random as a batch is gathered: what is left of each when a window
 * is cut out and enlarged again, turned around, and moved, in this order. */
struct schuss_augment {
    ptrdiff_t height, width, channels, item; /* item: bytes of an element */
    double crop;                       /* in (0, 1]: the window has at least this share of height and width; 1: all */
    int flip_down, flip_across;        /* whether half of the images are turned upside down, and left to right */
    ptrdiff_t shift_down, shift_across; /* by at most so many places, in either direction */
    char fill[8];                      /* an element: what comes in from outside */
};
/* to[n x height x width x channels] = rows order[0..n-1] of from, which lie so many bytes apart, changed; order NULL: the
 * first n. They are rows first, first + 1, ... of the batch: draws follow from (seed, draw, row). */
void schuss_augment_rows(const struct schuss_augment *augment, uint64_t seed, uint64_t draw, ptrdiff_t first, ptrdiff_t n,
                         const int64_t *order, ptrdiff_t stride, const void *from, void *to);

/* One input of an epoch. */
struct schuss_feed {
    const void *x;                     /* [rows x positions x channels]; NULL: the rows are compressed */
    const struct schuss_compressed *compressed; /* NULL: they are not. If they are, the epoch has an order */
    ptrdiff_t row_bytes;               /* of a row, which has no gaps, */
    ptrdiff_t stride;                  /* and from row to row; where these differ, the epoch has an order */
    void *batch;                       /* room for one batch; unused while there is no order */
    const struct schuss_augment *augment; /* NULL: rows are as they are. Else the epoch has an order */
};

struct schuss_train {
    const struct schuss_net *net;
    struct schuss_plan *plan;          /* for max_rows = batch, backward, laid by the caller */
    struct schuss_step *step;          /* segments' gradients lie in net->grads */
    const int *segments;               /* [arrays of the network] the segment of each, -1: none. The update is made
                                          where gradients are born, unless something needs all of them first. NULL:
                                          it never is. Segments of arrays whose gradient is by rows get an index and
                                          another n, which stay after the last step */
    struct schuss_loss loss;
    ptrdiff_t rows, batch;             /* batch <= rows */
    const struct schuss_feed *feeds;   /* [inputs of the network] */
    const void *y;                     /* [rows x ...], contiguous */
    ptrdiff_t y_row_bytes;
    const double *weights;             /* [rows x positions of the network's value] or NULL */
    const int64_t *lengths;            /* [rows] or NULL, see schuss_input */
    void *state;                       /* [batch x net->state] or NULL; rows of one batch go on in the next */
    int64_t *order;                    /* [rows] the epoch's permutation; NULL: in order */
    void *batch_y;                     /* room for one batch; unused while order is NULL */
    double *batch_weights;             /* room for one batch; unused while order or weights is NULL */
    int64_t *batch_lengths;            /* the same for lengths */
    double *partial;                   /* schuss_loss_partials(batch) */
    const double *lr;                  /* one a step of the epoch, for every group; NULL: the groups' own */
    const double *const *decays;       /* [groups] the same for the weight decay of each; decays or decays[g] NULL: own */
    const double *dropouts;            /* one a step, in place of the network's dropout_factor; NULL: that */
    const struct schuss_penalty *penalty; /* NULL: none */
    int augments;                      /* 1: a feed has an augment */
    int counts_rows;                   /* 1: the epoch's loss counts batches by their rows; 0: by their weights */
    uint64_t draws;                    /* training passes made with the network so far; counted on */
    ptrdiff_t position;                /* rows of this epoch already used */
    ptrdiff_t start;                   /* of them, those that this training leaves out: it begins behind them */
    const struct schuss_copy *copies;  /* are made there in each epoch, once its first loss is known to be finite,
                                          unless the last ones are so recent that copying would cost too much time */
    int n_copies, copied;              /* copied: set to 1 when they are made */
    struct schuss_kept *kept;          /* [n_kept]. A run ends (SCHUSS_MORE) where one has no room for the next step: it is
                                          to have more, schuss_kept_step() rows at least, before the next run */
    int n_kept;
    double since_copied;               /* nanoseconds of steps since they were made, roughly; at first infinity */
    double loss_sum, weight_sum;       /* over this epoch */
    double last_loss;                  /* of the last batch */
    double *losses;                    /* [steps of an epoch] the loss of each batch, or NULL */
    /* set by schuss_train_begin for schuss_train_end */
    ptrdiff_t current_rows;
    const void *current_y;
    const double *current_weights;
    double current_total;
    int flags;
};

/* The most rows that a step may keep of an array. */
ptrdiff_t schuss_kept_step(const struct schuss_train *train, int kept);
/* Bytes of a row of an array and of its states. */
ptrdiff_t schuss_kept_bytes(const struct schuss_train *train, int array);
/* Rows that are kept are again what they were, and none is kept any more. */
void schuss_kept_restore(struct schuss_train *train);
/* Gathers the next batch and runs it forward; the output is in the plan. */
void schuss_train_begin(struct schuss_train *train);
/* The compiled loss of the batch begun; leaves its gradient in the plan. */
double schuss_train_loss(struct schuss_train *train);
/* Backward and update, given the batch's loss. SCHUSS_OK or SCHUSS_NONFINITE. */
int schuss_train_end(struct schuss_train *train, double loss);
/* Steps, one at least, until the epoch ends (SCHUSS_OK), `seconds` have passed (SCHUSS_MORE), or something is not
 * finite. */
int schuss_train_run(struct schuss_train *train, double seconds);
/* The same of n trainings of different networks and optimizers, each on one thread, as many at once as there are threads.
 * Comes back early if a thread has nothing left to do while others are in long epochs. status[n]: of each. */
void schuss_train_side_by_side(struct schuss_train *const *trains, int n, double seconds, int *status);

/* ---- recommend/: rows of users and items that rank pairs ---------------------------------------------------------- */

/* Their names are in src/schuss/core/recommend.pxi, in this order. */
enum schuss_pairwise_loss { SCHUSS_RANK_LOGISTIC, SCHUSS_RANK_BPR, SCHUSS_RANK_WARP, SCHUSS_RANK_WARP_KOS };

/* Users, or items. The table has a row for each feature: `stride` parameters, which are dim components, one bias and
 * zeros, then as many sums of squares, and with adadelta as many of squared steps. */
struct schuss_side {
    ptrdiff_t n;             /* users, or items */
    ptrdiff_t features;      /* rows of the table; without start: n */
    const int64_t *start;    /* [n + 1] number i is the sum of rows codes[start[i]] .. times values; NULL: it is row i */
    const int32_t *codes;
    const void *values;
    void *table;             /* [features][2 or 3][stride], 64-byte aligned */
    double alpha;            /* of the penalty alpha / 2 |row|^2, of each row that a step touches */
};

struct schuss_pairwise {
    int dtype, loss;
    ptrdiff_t dim, stride;         /* stride % 16 == 0, stride > dim */
    int adadelta;                  /* 0: AdaGrad */
    double rho, eps;
    const double *lr;              /* of each step, lr_step elements from one to the next */
    ptrdiff_t lr_step;
    struct schuss_side users, items;
    /* What an epoch goes through: n pairs that were seen; WARP_KOS does not look at seen_items. */
    ptrdiff_t n;                   /* < 2^32 */
    const int32_t *seen_users, *seen_items;
    const unsigned char *liked;    /* [n] LOGISTIC: 1 or 0; else NULL */
    const void *weights;           /* [n] reals or NULL */
    const int64_t *order;          /* [n] the epoch's permutation */
    /* What no negative may be: items of each user, rising. */
    const int64_t *known_start;    /* [users.n + 1] */
    const int32_t *known;
    const uint64_t *known_bits;    /* [users.n x known_words] bit i of a user's words: is known; NULL: known is searched */
    ptrdiff_t known_words;
    /* Negatives of BPR */
    const int32_t *popular;        /* [n_popular] items of which each is drawn as often as the others; NULL: all items */
    ptrdiff_t n_popular;
    /* Negatives of WARP */
    int max_sampled;               /* tries, < 2^24 */
    const double *rank_losses;     /* [max_sampled] the loss's factor where try 1, 2, ... is the first that violates */
    int kos_k, kos_n;              /* of so many drawn positives the k-th best */
    uint64_t seed, epoch;          /* epoch < 2^40 */
    ptrdiff_t batch;               /* pairs that make one step; 0: each makes its own */
    void *scratch;                 /* schuss_pairwise_scratch, 64-byte aligned */
    ptrdiff_t most_features;       /* the longest list of features of a user, or of an item, whichever is longer */
    int members;                   /* threads that scratch is for */
    /* This epoch so far */
    ptrdiff_t position, steps;
    double loss_sum, weight_sum;   /* of pairs that had a loss */
    int64_t skipped;               /* pairs whose users know all items, or none */
    int nonfinite;
};

/* The first of codes[n] that is not in [0, limit); -1: none. */
ptrdiff_t schuss_first_code_outside(const int32_t *codes, ptrdiff_t n, int64_t limit);
/* known_bits of schuss_pairwise, which are 0 before. */
void schuss_known_bits(ptrdiff_t users, const int64_t *known_start, const int32_t *known, ptrdiff_t words, uint64_t *bits);
/* Bytes for members threads; the rest of the struct is set but for scratch. */
ptrdiff_t schuss_pairwise_scratch(const struct schuss_pairwise *p, int members);
/* Goes on with the epoch until it ends (SCHUSS_OK), `seconds` have passed (SCHUSS_MORE) or a score or a row is NaN or
 * infinite (SCHUSS_NONFINITE). Without batches on the calling thread alone. Which threads there are changes no bit. */
int schuss_pairwise_run(struct schuss_pairwise *p, double seconds);
/* out[n x stride]: what numbers 0, 1, ... of this side are as sums of their features' rows. */
void schuss_pairwise_represent(int dtype, const struct schuss_side *side, ptrdiff_t slots, ptrdiff_t stride, void *out);
/* out[n]: scores of users[n] with items[n], whose representations are [.. x stride]: products, and both biases. */
void schuss_pairwise_scores(int dtype, ptrdiff_t dim, ptrdiff_t stride, const void *of_users, const void *of_items,
                            ptrdiff_t n, const int32_t *users, const int32_t *items, void *out);
/* ---- recommend/: recommenders ------------------------------------------------------------------------------------ */

/* Ratings by factors and biases of users and items: recommend/factors.h. */
struct schuss_factors {
    int dtype;
    ptrdiff_t n_users, n_items, dim;
    void *user_bias, *item_bias;       /* [n_users], [n_items]; NULL: both are left out */
    void *user, *item;                 /* [n_users x dim], [n_items x dim] */
    double mean;                       /* what biases are added to */
    double lr[4], reg[4];              /* of user_bias, item_bias, user and item */
    const int64_t *users, *items;      /* whose ratings these are */
    const void *ratings, *weights;     /* weights NULL: 1 each */
    const int64_t *order;
};

/* A step for each of the ratings order[from], ..., order[to - 1], all of which are of users and items that are there. Adds
 * to *sum, in that order and in double, the squares of the errors before the steps, times the weights. */
void schuss_factors_steps(const struct schuss_factors *f, ptrdiff_t from, ptrdiff_t to, double *sum);
/* out[n]: what is predicted for users[n] and items[n], over threads. A number that is not one of a user or an item stands
 * for one without bias and factors. */
void schuss_factors_predict(const struct schuss_factors *f, ptrdiff_t n, void *out);

/* Who scores what: user . item, by the law of products, and on top of that the item's bias; or what is given. */
struct schuss_ranking {
    int dtype;
    ptrdiff_t rows, n_items, dim;
    const void *user;                  /* [all users x dim] */
    const void *item;                  /* [n_items x dim] */
    const void *item_bias;             /* [n_items]; NULL: none */
    const void *scores;                /* [rows x n_items], and the three above are not looked at; or NULL */
    const int64_t *users;              /* [rows]: the user of each row, -1: one of zeros, who has seen nothing; NULL: its
                                          own number */
    const struct schuss_compressed *left_out; /* [all users x all items]: what is not ranked for whom; NULL: nothing */
    const int64_t *numbers;            /* [n_items], rising: which of all items these are; NULL: their own numbers */
};

/* The first k items of each row, the best first; where there are fewer, -1 and a score of NaN. */
struct schuss_best {
    ptrdiff_t k;
    int64_t *item;                     /* [rows x k] */
    void *score;                       /* [rows x k] */
};

/* Where the positives of each row lie among its items. Row i is user i, and items have their own numbers. */
struct schuss_places {
    const struct schuss_compressed *positives; /* [rows x n_items] */
    /* [entries], of each: */
    int64_t *place;                    /* from 0 on, with equal scores by rising number; -1: it is left out */
    int64_t *above, *level;            /* room */
    void *score;                       /* room */
    /* [rows]: */
    int64_t *counted;                  /* how many positives are not left out */
    double *wrong;                     /* pairs of such a positive and any other item in the wrong order; halves of ties */
};

/* Ranks for all rows, over threads; one of best and places is NULL. scratch: schuss_rank_scratch bytes for at least so
 * many threads. */
void schuss_rank(const struct schuss_ranking *r, const struct schuss_best *best, const struct schuss_places *places,
                 int threads, void *scratch);
ptrdiff_t schuss_rank_scratch(const struct schuss_ranking *r, int threads);

/* Metrics of places, a number a row. gains[entries]: what a positive counts in ndcg; NULL: 1. */
#define SCHUSS_METRICS(X) X(PRECISION, precision) X(RECALL, recall) X(NDCG, ndcg) X(AUC, auc)
#define SCHUSS_NUMBER_OF(NAME, name) SCHUSS_METRIC_##NAME,
enum schuss_metric { SCHUSS_METRICS(SCHUSS_NUMBER_OF) SCHUSS_N_METRICS };
#undef SCHUSS_NUMBER_OF
const char *schuss_metric_name(int metric);
/* discounts: room for the smaller of k and n_items; sorted: for the most positives of a row. */
void schuss_rank_metric(int metric, ptrdiff_t k, const struct schuss_ranking *r, const struct schuss_places *places,
                        const double *gains, double *discounts, double *sorted, double *out);

#endif
