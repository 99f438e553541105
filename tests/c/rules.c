/* Every update rule and every stage before it, a few steps each: with numbers chosen here, and with each of the settings
 * that the catalogue has of the rule. */
#include "bits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optim/rule.h"

struct rule_case {
    const char *name;
    struct schuss_group group;
    double grad_scale, clip_value, clip_norm; /* grad_scale 0: 1 */
};

#define MEANS .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8
#define AGED .beta3 = 0.9999, .alpha = 5
#define ADAN .lr = 0.01, .beta1 = 0.98, .beta2 = 0.92, .beta3 = 0.99, .eps = 1e-8
#define ADAM .rule = SCHUSS_ADAM, MEANS
#define LARS .rule = SCHUSS_LARS, .lr = 10, .trust_coefficient = 0.001, .eps = 1e-8, .adapt = 1
#define LAMB .rule = SCHUSS_LAMB, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-6, .clamp_high = 1e300, .adapt = 1
#define PRODIGY \
    .rule = SCHUSS_PRODIGY, .lr = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .d0 = 0.01, .d_coef = 1, .growth_rate = 1.5
#define RMSPROP .rule = SCHUSS_RMSPROP, .lr = 0.01, .alpha = 0.99, .eps = 1e-8
#define LION .rule = SCHUSS_LION, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.99
#define ASGD .rule = SCHUSS_ASGD, .lr = 0.1, .lambd = 0.1, .alpha = 0.75
#define SCHEDULE_FREE .lr = 0.1, .weight_lr_power = 2
#define SCHEDULE_FREE_SGD .rule = SCHUSS_SCHEDULE_FREE_SGD, SCHEDULE_FREE, .momentum = 0.9
#define SCHEDULE_FREE_ADAMW \
    .rule = SCHUSS_SCHEDULE_FREE_ADAMW, SCHEDULE_FREE, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8
#define RPROP .rule = SCHUSS_RPROP, .eta_minus = 0.5, .eta_plus = 1.2, .smallest_step = 1e-6, .largest_step = 50
#define SIGNUM .rule = SCHUSS_SIGNUM, .lr = 0.01
#define ADAFACTOR .rule = SCHUSS_ADAFACTOR, .lr = 0.01, .beta2_decay = -0.8, .eps2 = 1e-3, .d = 1
#define MUON .rule = SCHUSS_MUON, .lr = 0.01, .momentum = 0.95, .eps = 1e-7, .weight_decay = 0.1, .decoupled = 1

#define SOAP \
    .rule = SCHUSS_SOAP, .lr = 0.01, .beta1 = 0.95, .beta2 = 0.95, .shampoo_beta = -1, .eps = 1e-8, .decoupled = 1, \
    .weight_decay = 0.01, .precondition_frequency = 2

static const struct rule_case cases[] = {
    {"sgd", {.rule = SCHUSS_SGD, .lr = 0.1}, 0, 0, 0},
    {"sgd-l2-maximize", {.rule = SCHUSS_SGD, .lr = 0.1, .weight_decay = 0.03, .maximize = 1}, 0, 0, 0},
    {"sgd-momentum", {.rule = SCHUSS_SGD, .lr = 0.1, .momentum = 0.9, .dampening = 0.3}, 0, 0, 0},
    {"sgd-nesterov", {.rule = SCHUSS_SGD, .lr = 0.1, .momentum = 0.9, .nesterov = 1}, 0, 0, 0},
    {"sgd-scaled", {.rule = SCHUSS_SGD, .lr = 0.1}, 0.37, 0, 0},
    {"sgd-clip-value", {.rule = SCHUSS_SGD, .lr = 0.1}, 0, 0.8, 0},
    {"sgd-clip-norm", {.rule = SCHUSS_SGD, .lr = 0.1}, 0, 0, 70},
    {"adagrad", {.rule = SCHUSS_ADAGRAD, .lr = 0.1, .eps = 1e-10}, 0, 0, 0},
    {"adagrad-decay", {.rule = SCHUSS_ADAGRAD, .lr = 0.1, .eps = 1e-10, .lr_decay = 0.07}, 0, 0, 0},
    {"rmsprop", {RMSPROP}, 0, 0, 0},
    {"rmsprop-centered", {RMSPROP, .centered = 1}, 0, 0, 0},
    {"rmsprop-momentum", {RMSPROP, .momentum = 0.9}, 0, 0, 0},
    {"rmsprop-both", {RMSPROP, .centered = 1, .momentum = 0.9, .weight_decay = 0.1}, 0, 0, 0},
    {"adam", {ADAM}, 0, 0, 0},
    {"adam-l2-maximize", {ADAM, .weight_decay = 0.1, .maximize = 1}, 0, 0, 0},
    {"adam-amsgrad", {ADAM, .amsgrad = 1}, 0, 0, 0},
    {"adamw", {ADAM, .weight_decay = 0.1, .decoupled = 1}, 0, 0, 0},
    {"adamax", {.rule = SCHUSS_ADAMAX, MEANS}, 0, 0, 0},
    {"nadam", {.rule = SCHUSS_NADAM, MEANS, .momentum_decay = 0.004}, 0, 0, 0},
    {"radam", {.rule = SCHUSS_RADAM, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.8, .eps = 1e-8}, 0, 0, 0},
    {"adabelief", {.rule = SCHUSS_ADABELIEF, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-16}, 0, 0, 0},
    {"adabelief-rectify", {.rule = SCHUSS_ADABELIEF, MEANS, .amsgrad = 1, .rectify = 1}, 0, 0, 0},
    {"yogi", {.rule = SCHUSS_YOGI, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-3}, 0, 0, 0},
    {"adopt", {.rule = SCHUSS_ADOPT, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.9999, .eps = 1e-6, .clip = 1}, 0, 0, 0},
    {"ademamix", {.rule = SCHUSS_ADEMAMIX, MEANS, AGED}, 0, 0, 0},
    {"ademamix-warmup", {.rule = SCHUSS_ADEMAMIX, MEANS, AGED, .alpha_warmup = 9, .beta3_warmup = 6}, 0, 0, 0},
    {"ademamix-no-beta1", {.rule = SCHUSS_ADEMAMIX, .lr = 0.01, .beta2 = 0.9, .eps = 1e-8, AGED}, 0, 0, 0},
    {"adan", {.rule = SCHUSS_ADAN, ADAN}, 0, 0, 0},
    {"adan-decay", {.rule = SCHUSS_ADAN, ADAN, .decoupled = 1, .weight_decay = 0.1}, 0, 0, 0},
    {"ftrl", {.rule = SCHUSS_FTRL, .lr = 0.1, .lr_power = -0.5, .l1 = 0.3, .l2 = 0.1, .beta = 0.2}, 0, 0, 0},
    {"ftrl-power", {.rule = SCHUSS_FTRL, .lr = 0.1, .lr_power = -0.7, .l2_shrinkage = 0.1, .beta = 0.2}, 0, 0, 0},
    {"sgd-keras", {.rule = SCHUSS_SGD, .lr = 0.1, .momentum = 0.9, .nesterov = 1, .dialect = SCHUSS_KERAS}, 0, 0, 0},
    {"adagrad-keras", {.rule = SCHUSS_ADAGRAD, .lr = 0.1, .eps = 1e-7, .dialect = SCHUSS_KERAS}, 0, 0, 0},
    {"rmsprop-keras", {RMSPROP, .momentum = 0.9, .centered = 1, .dialect = SCHUSS_KERAS}, 0, 0, 0},
    {"adam-keras", {ADAM, .weight_decay = 0.1, .dialect = SCHUSS_KERAS}, 0, 0, 0},
    {"adamax-keras", {.rule = SCHUSS_ADAMAX, MEANS, .dialect = SCHUSS_KERAS}, 0, 0, 0},
    {"nadam-keras", {.rule = SCHUSS_NADAM, MEANS, .dialect = SCHUSS_KERAS}, 0, 0, 0},
    {"adadelta", {.rule = SCHUSS_ADADELTA, .lr = 1, .alpha = 0.9, .eps = 1e-6}, 0, 0, 0},
    {"lion", {LION}, 0, 0, 0},
    {"lion-decay-maximize", {LION, .weight_decay = 0.1, .decoupled = 1, .maximize = 1}, 0, 0, 0},
    {"asgd", {ASGD, .t0 = 1e6}, 0, 0, 0},
    {"asgd-average", {ASGD, .t0 = 1, .weight_decay = 0.1, .maximize = 1}, 0, 0, 0},
    {"schedule-free-sgd", {SCHEDULE_FREE_SGD, .weight_decay = 0.1}, 0, 0, 0},
    {"schedule-free-sgd-warmup", {SCHEDULE_FREE_SGD, .warmup_steps = 3, .weight_power = 0.7, .maximize = 1}, 0, 0, 0},
    {"schedule-free-adamw", {SCHEDULE_FREE_ADAMW, .warmup_steps = 3, .weight_decay = 0.1}, 3.7, 2, 50},
    {"rprop", {RPROP}, 0, 0, 0},
    {"rprop-narrow", {.rule = SCHUSS_RPROP, .eta_minus = 0.3, .eta_plus = 1.5, .smallest_step = 0.01, .largest_step = 0.02}, 0, 0, 0},
    {"sign", {SIGNUM}, 0, 0, 0},
    {"signum", {SIGNUM, .momentum = 0.9, .weight_decay = 0.1}, 0, 0, 0},
    {"signum-decoupled", {SIGNUM, .momentum = 0.9, .weight_decay = 0.1, .decoupled = 1}, 0, 0, 0},
    {"lars", {LARS}, 0, 0, 0},
    {"lars-momentum", {LARS, .momentum = 0.9, .weight_decay = 0.1}, 3.7, 2, 50},
    {"lars-nesterov", {LARS, .momentum = 0.9, .nesterov = 1, .maximize = 1}, 0, 0, 0},
    {"lamb", {LAMB, .bias_correction = 1}, 0, 0, 0},
    {"lamb-all", {LAMB, .clamp_low = 1, .weight_decay = 0.1, .maximize = 1}, 3.7, 2, 50},
    {"novograd", {.rule = SCHUSS_NOVOGRAD, MEANS}, 0, 0, 0},
    {"novograd-averaging", {.rule = SCHUSS_NOVOGRAD, MEANS, .grad_averaging = 1, .weight_decay = 0.1}, 3.7, 2, 50},
    {"prodigy", {PRODIGY, .decoupled = 1, .weight_decay = 0.1}, 0, 0, 0},
    {"prodigy-all", {PRODIGY, .beta3 = 0.9, .bias_correction = 1, .safeguard_warmup = 1}, 3.7, 2, 50},
    {"adamw-all", {ADAM, .weight_decay = 0.1, .decoupled = 1, .amsgrad = 1, .maximize = 1}, 3.7, 2, 50},
};

/* Together enough for two threads. */
static const ptrdiff_t sizes[] = {1, 15, 0, 16, 17, 35, 1023, 4099, 33000};
enum { N_SIZES = sizeof sizes / sizeof sizes[0], STEPS = 8, FEW_STEPS = 2, SMALL = 2000 };

/* All elements of an array's states as the rule wants them before the first step. Returns how many a state has; 0: there
 * is none in this slot. */
static ptrdiff_t make_state(struct run *r, const struct schuss_group *g, struct schuss_segment *s, int slot) {
    ptrdiff_t shape[4], n = 1;
    int ndim;
    if (!schuss_state(g, s, slot, &ndim, shape)) return 0;
    for (int k = 0; k < ndim; k++) n *= shape[k];
    s->s[slot] = zeros(r, n);
    for (ptrdiff_t i = 0; i < n; i++) {
        if (r->dtype == SCHUSS_F32) ((float *)s->s[slot])[i] = (float)schuss_state_start(g, slot);
        else ((double *)s->s[slot])[i] = schuss_state_start(g, slot);
    }
    return n;
}

static void run_case(struct run *r, const struct rule_case *c, int steps) {
    struct schuss_group groups[2] = {c->group, c->group};
    struct schuss_memory memories[2] = {{0}};
    struct schuss_segment segments[N_SIZES];
    ptrdiff_t of_state[N_SIZES][SCHUSS_MAX_STATES];
    double sums[256];
    groups[1].lr *= 0.5;
    groups[1].weight_decay *= 2;
    for (int i = 0; i < 2; i++) schuss_memory_start(&groups[i], memories[i].now);
    for (int i = 0; i < N_SIZES; i++) {
        segments[i] = (struct schuss_segment){.n = sizes[i], .ndim = 1, .shape = &sizes[i], .group = i % 3 == 1,
                                            .clock = i % 3 == 1};
        segments[i].p = numbers(r, sizes[i], 1);
        for (int k = 0; k < SCHUSS_MAX_STATES; k++)
            of_state[i][k] = make_state(r, &groups[segments[i].group], &segments[i], k);
    }
    struct schuss_step step = {
        .dtype = r->dtype,
        .n_groups = 2,
        .n_segments = N_SIZES,
        .groups = groups,
        .memories = memories,
        .segments = segments,
        .sums = sums,
        .grad_scale = c->grad_scale != 0 ? c->grad_scale : 1,
        .clip_value = c->clip_value,
        .check_first = c->clip_value > 0,
        .clip_norm = c->clip_norm,
    };
    for (step.t = 1; step.t <= steps; step.t++) {
        for (int i = 0; i < N_SIZES; i++) segments[i].g = numbers(r, sizes[i], 1 + (double)step.t / 2);
        const int status = schuss_optimizer_step(&step);
        hash_integer(r, (uint64_t)status);
        hash_integer(r, (uint64_t)step.nonfinite);
        if (c->clip_norm > 0) hash_double(r, step.grad_norm);
    }
    for (int i = 0; i < N_SIZES; i++) {
        hash_reals(r, segments[i].p, sizes[i]);
        for (int k = 0; k < SCHUSS_MAX_STATES; k++) hash_reals(r, segments[i].s[k], of_state[i][k]);
    }
    report(r, "rule", c->name);
}

/* Rules that take whole arrays: matrices and, but with muon, others; some are large enough to be shared by a team. */
static const struct rule_case whole_cases[] = {
    {"adafactor", {ADAFACTOR, .eps = -1}, 0, 0, 0},
    {"adafactor-all", {ADAFACTOR, .eps = 1e-3, .weight_decay = 0.1, .decoupled = 1, .maximize = 1}, 3.7, 2, 50},
    {"muon", {MUON, .nesterov = 1, .ns_coefficients = {3.4445, -4.7750, 2.0315}, .ns_steps = 5}, 0, 0, 0},
    {"muon-all",
     {MUON, .ns_coefficients = {1.5, -0.5, 0}, .ns_steps = 2, .maximize = 1, .adjust_lr_fn = 1}, 3.7, 2, 50},
    {"muon-bfloat16",
     {MUON, .nesterov = 1, .ns_coefficients = {3.4445, -4.7750, 2.0315}, .ns_steps = 5, .products = 1}, 0, 0, 0},
    {"soap", {SOAP, .max_precond_dim = 250, .bias_correction = 1}, 0, 0, 0},
    {"soap-all", {SOAP, .max_precond_dim = 120, .merge_dims = 1, .normalize_grads = 1, .maximize = 1}, 3.7, 2, 50},
};
static const ptrdiff_t shapes[][3] = {{1, 1, 1},    {1, 7, 31},  {1, 31, 7},   {1, 150, 300}, {1, 310, 140},
                                      {1, 17, 100}, {5, 30, 40}, {3, 130, 140}, {1, 5000, 0},  {1, 150000, 0}};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

/* The arrays of at most so many elements. */
static void run_whole(struct run *r, const struct rule_case *c, ptrdiff_t most) {
    struct schuss_group group = c->group;
    struct schuss_segment segments[N_SHAPES];
    ptrdiff_t of_state[N_SHAPES][SCHUSS_MAX_STATES];
    int n = 0;
    for (int i = 0; i < N_SHAPES; i++) {
        const ptrdiff_t matrices = shapes[i][0], rows = shapes[i][1], cols = shapes[i][2] ? shapes[i][2] : 1;
        if (group.rule == SCHUSS_MUON && (matrices > 1 || !shapes[i][2])) continue;
        if (matrices * rows * cols > most) continue;
        struct schuss_segment *s = &segments[n];
        *s = (struct schuss_segment){.n = matrices * rows * cols, .rows = rows, .cols = cols};
        s->ndim = !shapes[i][2] ? 1 : matrices > 1 ? 3 : 2;
        s->shape = s->ndim == 3 ? shapes[i] : shapes[i] + 1;
        s->p = numbers(r, s->n, 1);
        for (int k = 0; k < SCHUSS_MAX_STATES; k++) of_state[n][k] = make_state(r, &group, s, k);
        n++;
    }
    struct schuss_step step = {
        .dtype = r->dtype,
        .n_groups = 1,
        .n_segments = n,
        .groups = &group,
        .segments = segments,
        .grad_scale = c->grad_scale != 0 ? c->grad_scale : 1,
        .clip_value = c->clip_value,
        .clip_norm = c->clip_norm,
    };
    step.scratch = aligned(schuss_step_scratch(&step, r->threads));
    for (step.t = 1; step.t <= 3; step.t++) {
        for (int i = 0; i < n; i++) segments[i].g = numbers(r, segments[i].n, 1 + (double)step.t / 2);
        const int status = schuss_optimizer_step(&step);
        hash_integer(r, (uint64_t)status);
        hash_integer(r, (uint64_t)step.nonfinite);
    }
    for (int i = 0; i < n; i++) {
        hash_reals(r, segments[i].p, segments[i].n);
        for (int k = 0; k < SCHUSS_MAX_STATES; k++) hash_reals(r, segments[i].s[k], of_state[i][k]);
    }
    report(r, "rule", c->name);
}

/* ---- every setting of every rule ---- */

/* A number in part `part` of an interval such as "[0, 1)": nine tenths of the way where both ends are near; else close to
 * the end that there is, farther with each part. */
static double inside(const struct schuss_setting *s, int part) {
    char *comma;
    const double low = strtod(s->interval[part] + 1, &comma), high = strtod(comma + 1, NULL);
    if (s->kind == SCHUSS_WHOLE) return low == 0 ? 100 : low + 1;
    if (isfinite(low) && isfinite(high)) return low + 0.9 * (high - low);
    if (isfinite(high)) return high - 0.2;
    return isfinite(low) ? low + 0.05 * (part + 1) : 0.3;
}

static void set_flag(struct schuss_group *g, const struct schuss_setting *s, int value) {
    memcpy((char *)g + s->offset[0], &value, sizeof value);
}

static void set_number(struct schuss_group *g, const struct schuss_setting *s, int part, double value) {
    memcpy((char *)g + s->offset[part], &value, sizeof value);
}

static void run_setting(struct run *r, const struct schuss_group *g, const char *what, const char *name) {
    char text[80];
    const char *expected;
    const struct rule_case c = {text, *g, 0, 0, 0};
    if (schuss_group_fault(g, r->dtype, &expected)) return;
    snprintf(text, sizeof text, "%s:%s%s", schuss_rule_name(g->rule), what, name);
    if (optimizer_rules[g->rule]->time || optimizer_rules[g->rule]->by_row) run_whole(r, &c, SMALL);
    else run_case(r, &c, FEW_STEPS);
}

/* All numbers inside their intervals, flags off, the first choices; then this with each flag on, each other choice, each
 * number that may be None being it. */
static void run_settings(struct run *r, int rule) {
    struct schuss_group base = {.rule = rule}, other;
    const struct schuss_setting *s;
    for (int i = 0; (s = schuss_rule_setting(rule, i)); i++)
        for (int k = 0; k < SCHUSS_SETTING_PARTS && s->interval[k]; k++) set_number(&base, s, k, inside(s, k));
    run_setting(r, &base, "", "numbers");
    for (int i = 0; (s = schuss_rule_setting(rule, i)); i++) {
        other = base;
        if (s->kind == SCHUSS_FLAG) {
            set_flag(&other, s, 1);
            run_setting(r, &other, "", s->name);
        }
        for (int choice = 1; choice < s->choices; choice++) {
            set_flag(&other, s, choice);
            run_setting(r, &other, "", s->choice(choice));
        }
        for (int k = 0; s->kind == SCHUSS_NUMBER && k < SCHUSS_SETTING_PARTS; k++) {
            if (!(s->optional >> k & 1)) continue;
            set_number(&other, s, k, s->none);
            run_setting(r, &other, "no-", s->name);
        }
    }
}

void check_rules(struct run *r) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) run_case(r, &cases[i], STEPS);
    for (size_t i = 0; i < sizeof whole_cases / sizeof whole_cases[0]; i++) run_whole(r, &whole_cases[i], PTRDIFF_MAX);
    for (int rule = 0; rule < SCHUSS_N_RULES; rule++) run_settings(r, rule);
}
