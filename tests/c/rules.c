/* Every update rule and every stage before it, a few steps each. */
#include "bits.h"

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
enum { N_SIZES = sizeof sizes / sizeof sizes[0], STEPS = 8 };

static void run_case(struct run *r, const struct rule_case *c) {
    struct schuss_group groups[2] = {c->group, c->group};
    struct schuss_memory memories[2] = {{0}};
    struct schuss_segment segments[N_SIZES];
    double sums[256];
    groups[1].lr *= 0.5;
    groups[1].weight_decay *= 2;
    for (int i = 0; i < N_SIZES; i++) {
        segments[i] = (struct schuss_segment){.n = sizes[i], .p = numbers(r, sizes[i], 1), .group = i % 3 == 1};
        for (int k = 0; k < SCHUSS_MAX_STATES; k++) segments[i].s[k] = zeros(r, sizes[i]);
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
    for (step.t = 1; step.t <= STEPS; step.t++) {
        for (int i = 0; i < N_SIZES; i++) segments[i].g = numbers(r, sizes[i], 1 + (double)step.t / 2);
        const int status = schuss_optimizer_step(&step);
        hash_bytes(r, &status, sizeof status);
        hash_bytes(r, &step.nonfinite, sizeof step.nonfinite);
        if (c->clip_norm > 0) hash_double(r, step.grad_norm);
    }
    for (int i = 0; i < N_SIZES; i++) {
        hash_reals(r, segments[i].p, sizes[i]);
        for (int k = 0; k < SCHUSS_MAX_STATES; k++) hash_reals(r, segments[i].s[k], sizes[i]);
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
    {"soap", {SOAP, .max_precond_dim = 250, .bias_correction = 1}, 0, 0, 0},
    {"soap-all", {SOAP, .max_precond_dim = 120, .merge_dims = 1, .normalize_grads = 1, .maximize = 1}, 3.7, 2, 50},
};
static const ptrdiff_t shapes[][3] = {{1, 1, 1},    {1, 7, 31},  {1, 31, 7},   {1, 300, 400}, {1, 400, 290},
                                      {1, 17, 100}, {5, 30, 40}, {3, 200, 210}, {1, 5000, 0},  {1, 150000, 0}};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static void run_whole(struct run *r, const struct rule_case *c) {
    struct schuss_group group = c->group;
    struct schuss_segment segments[N_SHAPES];
    ptrdiff_t squares[N_SHAPES]; /* of SOAP, which has all shapes */
    int n = 0;
    for (int i = 0; i < N_SHAPES; i++) {
        const ptrdiff_t matrices = shapes[i][0], rows = shapes[i][1], cols = shapes[i][2] ? shapes[i][2] : 1;
        const int factored = shapes[i][2] > 0 && group.rule == SCHUSS_ADAFACTOR;
        if (group.rule == SCHUSS_MUON && (matrices > 1 || !shapes[i][2])) continue;
        struct schuss_segment *s = &segments[n++];
        *s = (struct schuss_segment){.n = matrices * rows * cols, .rows = rows, .cols = cols};
        s->ndim = !shapes[i][2] ? 1 : matrices > 1 ? 3 : 2;
        s->shape = s->ndim == 3 ? shapes[i] : shapes[i] + 1;
        s->p = numbers(r, s->n, 1);
        s->s[0] = zeros(r, factored ? matrices * rows : s->n);
        if (factored) s->s[1] = zeros(r, matrices * cols);
        if (group.rule != SCHUSS_SOAP) continue;
        s->s[1] = zeros(r, s->n);
        squares[i] = schuss_state_squares(&group, s);
        for (int k = 2; k < 4; k++) s->s[k] = zeros(r, squares[i]);
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
        hash_bytes(r, &status, sizeof status);
        hash_bytes(r, &step.nonfinite, sizeof step.nonfinite);
    }
    for (int i = 0; i < n; i++) {
        hash_reals(r, segments[i].p, segments[i].n);
        if (group.rule == SCHUSS_SOAP) {
            for (int k = 0; k < 4; k++) hash_reals(r, segments[i].s[k], k < 2 ? segments[i].n : squares[i]);
            continue;
        }
        hash_reals(r, segments[i].s[0], segments[i].s[1] ? segments[i].n / segments[i].cols : segments[i].n);
        if (segments[i].s[1]) hash_reals(r, segments[i].s[1], segments[i].n / segments[i].rows);
    }
    report(r, "rule", c->name);
}

void check_rules(struct run *r) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) run_case(r, &cases[i]);
    for (size_t i = 0; i < sizeof whole_cases / sizeof whole_cases[0]; i++) run_whole(r, &whole_cases[i]);
}
