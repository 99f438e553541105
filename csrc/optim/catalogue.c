/* What there is to know of each rule beside its loop in rules/: a row each. All of it in double, once a step. */
#include <math.h>

#include "power.h"
#include "rule.h"
#include "sides.h"

enum { FLOPS_PER_NANOSECOND = 100 }; /* of products on one thread, roughly */

static int states_of(int n) { return (1 << n) - 1; }

static int one_state(const struct schuss_group *g) {
    (void)g;
    return states_of(1);
}

static int two_states(const struct schuss_group *g) {
    (void)g;
    return states_of(2);
}

/* Weight decay by the rule itself. */
static void own_decay(const struct schuss_group *g, struct rule_constants *c) {
    c->decay = g->weight_decay;
    c->l2 = 0;
}

/* ---- SGD ------------------------------------------------------------------------------------------------------- */

static int sgd_states(const struct schuss_group *g) { return states_of(g->momentum != 0); }

/* The velocity holds updates rather than gradients: the learning rate of each gradient stays its own. */
static void lr_in_velocity(const struct schuss_group *g, struct rule_constants *c) {
    c->velocity = g->lr;
    c->step_size = 1;
}

static void sgd_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    (void)t;
    if (g->dialect == SCHUSS_TORCH || g->momentum == 0) return;
    lr_in_velocity(g, c);
    c->one_minus_dampening *= g->lr;
    c->first = 0;
}

/* ---- AdaGrad, RMSProp, Adadelta ---------------------------------------------------------------------------------- */

/* Keras adds eps under the root. */
static void place_eps(const struct schuss_group *g, struct rule_constants *c) {
    if (g->dialect != SCHUSS_KERAS) return;
    c->inner_eps = g->eps;
    c->eps = 0;
}

static void adagrad_constants(const struct schuss_group *g, const double *memory, int64_t t,
                              struct rule_constants *c) {
    (void)memory;
    c->step_size = g->lr / (1 + (double)(t - 1) * g->lr_decay);
    place_eps(g, c);
}

static int rmsprop_states(const struct schuss_group *g) {
    return 1 | (g->centered ? 2 : 0) | (g->momentum != 0 ? 4 : 0);
}

/* Its rho is g->alpha. */
static void adadelta_constants(const struct schuss_group *g, const double *memory, int64_t t,
                               struct rule_constants *c) {
    (void)memory;
    (void)t;
    c->beta2 = g->alpha;
    c->one_minus_beta2 = 1 - g->alpha;
}

static void rmsprop_constants(const struct schuss_group *g, const double *memory, int64_t t,
                              struct rule_constants *c) {
    adadelta_constants(g, memory, t, c);
    place_eps(g, c);
    if (g->dialect == SCHUSS_KERAS && g->momentum != 0) lr_in_velocity(g, c);
}

/* ---- the family of Adam ------------------------------------------------------------------------------------------ */

static int adam_states(const struct schuss_group *g) { return states_of(g->amsgrad ? 3 : 2); }

static void adam_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t, power);
    c->step_size = g->lr / (1 - power[0]);
    c->sqrt_correction = 1 / sqrt(1 - power[1]);
    if (g->dialect == SCHUSS_TORCH) return;
    c->step_size *= sqrt(1 - power[1]); /* eps is added to a v that is not corrected */
    c->sqrt_correction = 1;
}

/* torch adds eps to each absolute gradient, Keras to the largest. */
static void adamax_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    double power[SCHUSS_MAX_BETAS];
    (void)memory;
    optimizer_powers(g, t, power);
    c->step_size = g->lr / (1 - power[0]);
    c->inner_eps = g->dialect == SCHUSS_KERAS ? 0 : g->eps;
    c->eps = g->dialect == SCHUSS_KERAS ? g->eps : 0;
}

/* From step_size as Adam has it to that of a denominator without correction, rectified for how few gradients beta2^t
 * says that the mean square is of; not adaptive if they are too few. */
static void rectify(const struct schuss_group *g, double power, int64_t t, struct rule_constants *c) {
    const double most = 2 / (1 - g->beta2) - 1, now = most - 2 * (double)t * power / (1 - power);
    c->sqrt_correction = 1;
    c->adaptive = now > 5;
    if (c->adaptive)
        c->step_size *= sqrt((1 - power) * (now - 4) * (now - 2) * most / ((most - 4) * (most - 2) * now));
}

static void radam_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    double power[SCHUSS_MAX_BETAS];
    adam_constants(g, memory, t, c);
    optimizer_powers(g, t, power);
    rectify(g, power[1], t, c);
}

static void adabelief_constants(const struct schuss_group *g, const double *memory, int64_t t,
                                struct rule_constants *c) {
    c->adaptive = 1;
    (g->rectify ? radam_constants : adam_constants)(g, memory, t, c);
}

static void adopt_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    c->limit = g->clip ? sqrt(sqrt((double)(t - 1))) : INFINITY;
}

static int ademamix_states(const struct schuss_group *g) { return states_of(g->beta1 != 0 ? 3 : 2); }

/* How far a warm-up of so many steps has come at step t. */
static double warmed_up(double steps, int64_t t) { return (double)t < steps ? (double)t / steps : 1; }

static void ademamix_constants(const struct schuss_group *g, const double *memory, int64_t t,
                               struct rule_constants *c) {
    const double come = warmed_up(g->beta3_warmup, t);
    adam_constants(g, memory, t, c);
    c->second_step = g->lr * (g->alpha * warmed_up(g->alpha_warmup, t));
    if (come < 1 && g->beta3 > 0) { /* the mean's inverse logarithm grows evenly; that of 0 is 0 */
        const double from = g->beta1 > 0 ? 1 / portable_log(g->beta1) : 0, to = 1 / portable_log(g->beta3);
        const double logarithm = 1 / ((1 - come) * from + come * to);
        const double beta3 = logarithm > -700 ? portable_exp(logarithm) : 0;
        c->one_minus_beta3 = 1 - (beta3 < g->beta3 ? beta3 : g->beta3);
    }
}

static int adan_states(const struct schuss_group *g) {
    (void)g;
    return states_of(4);
}

static void adan_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t, power);
    const double prox = g->no_prox ? 1 : 1 / (1 + g->lr * g->weight_decay);
    if (!g->no_prox) c->keep = prox;
    c->step_size = g->lr / (1 - power[0]) * prox;
    c->second_step = g->lr * g->beta2 / (1 - power[1]) * prox;
    c->sqrt_correction = 1 / sqrt(1 - power[2]);
}

/* The momentum of step t, which grows from beta1 / 2 to beta1: to within a rounding from 0.96^1000 on. */
static double nadam_momentum(const struct schuss_group *g, double t) {
    const double exponent = g->dialect == SCHUSS_KERAS ? t : t * g->momentum_decay;
    return g->beta1 * (1 - 0.5 * (exponent < 1000 ? portable_power(0.96, exponent) : 0));
}

/* memory[0]: the product of the momenta so far. */
static void nadam_advance(const struct schuss_group *g, double *memory, int64_t t) {
    memory[0] = (t == 1 ? 1 : memory[0]) * nadam_momentum(g, (double)t);
}

static void nadam_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    const double next = nadam_momentum(g, (double)t + 1);
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t, power);
    c->sqrt_correction = 1 / sqrt(1 - power[1]);
    c->step_size = g->lr * next / (1 - memory[0] * next);
    c->second_step = g->lr * (1 - nadam_momentum(g, (double)t)) / (1 - memory[0]);
}

/* ---- averages of the way ----------------------------------------------------------------------------------------- */

static void asgd_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    const double made = (double)(t - 1), slowed = 1 + g->lambd * g->lr * made;
    c->step_size = slowed < INFINITY ? g->lr / portable_power(slowed, g->alpha) : 0;
    c->keep = 1 - g->lambd * c->step_size;
    c->mix = 1 / fmax(1, made - g->t0);
}

static double warmed_up_lr(const struct schuss_group *g, int64_t t) {
    return (double)t < g->warmup_steps ? g->lr * ((double)t / g->warmup_steps) : g->lr;
}

/* Memory: the largest lr so far, the sum of all weights, and the newest point's share of it. A point's weight is
 * t^weight_power lr_max^weight_lr_power. */
static void schedule_free_advance(const struct schuss_group *g, double *memory, int64_t t) {
    memory[0] = fmax(warmed_up_lr(g, t), memory[0]);
    const double weight = portable_power((double)t, g->weight_power) * portable_power(memory[0], g->weight_lr_power);
    memory[1] += weight;
    memory[2] = weight < memory[1] ? weight / memory[1] : memory[1] > 0;
}

static void schedule_free_constants(double beta, const struct schuss_group *g, const double *memory, int64_t t,
                                    struct rule_constants *c) {
    c->mix = memory[2];
    c->step_size = warmed_up_lr(g, t);
    c->y_step = c->step_size * (1 - beta * (1 - c->mix));
}

static void schedule_free_sgd_constants(const struct schuss_group *g, const double *memory, int64_t t,
                                        struct rule_constants *c) {
    schedule_free_constants(g->momentum, g, memory, t, c);
}

static void schedule_free_adamw_constants(const struct schuss_group *g, const double *memory, int64_t t,
                                          struct rule_constants *c) {
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t, power);
    schedule_free_constants(g->beta1, g, memory, t, c);
    c->sqrt_correction = 1 / sqrt(1 - power[1]);
    own_decay(g, c); /* beside the scaled gradient */
}

/* ---- steps of the sign ------------------------------------------------------------------------------------------- */

static void rprop_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    (void)t;
    c->eta_minus = g->eta_minus;
    c->eta_plus = g->eta_plus;
    c->smallest_step = g->smallest_step;
    c->largest_step = g->largest_step;
}

static int signum_states(const struct schuss_group *g) { return states_of(g->momentum != 0); }
/* ---- rules that take whole arrays -------------------------------------------------------------------------------- */

static void adafactor_constants(const struct schuss_group *g, const double *memory, int64_t t,
                                struct rule_constants *c) {
    (void)memory;
    const double bound = 1 / sqrt((double)t);
    c->one_minus_beta2 = portable_power((double)t, g->beta2_decay);
    c->step_size = g->lr < bound ? g->lr : bound;
    c->eps2 = g->eps2;
    c->threshold = g->d;
}

static double adafactor_work(const struct schuss_group *g, const struct schuss_segment *s) {
    (void)g;
    return 1 + (double)s->n;
}

static void muon_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    (void)t;
    for (int k = 0; k < 3; k++) c->coefficients[k] = g->ns_coefficients[k];
    c->iterations = (int)g->ns_steps;
    c->match_rms = g->adjust_lr_fn == SCHUSS_ADJUST_MATCH_RMS_ADAMW;
}

/* Three products a step of the iteration, two of which are done by half. */
static double muon_work(const struct schuss_group *g, const struct schuss_segment *s) {
    const double side = (double)(s->rows < s->cols ? s->rows : s->cols), n = (double)s->n;
    return n + g->ns_steps * (3 * n * side + side * side * side) / FLOPS_PER_NANOSECOND;
}

static void soap_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t - 1, power); /* the first step makes no update */
    if (g->bias_correction && t > 1) c->step_size = g->lr * sqrt(1 - power[1]) / (1 - power[0]);
    c->one_minus_beta3 = 1 - (g->shampoo_beta < 0 ? g->beta2 : g->shampoo_beta);
    c->refresh = t > 1 && (t - 1) % (int64_t)g->precondition_frequency == 0;
    c->normalizes = g->normalize_grads;
    c->group = g;
}

/* For each basis five products, one of them by half, and its share of the steps that change it. */
static double soap_work(const struct schuss_group *g, const struct schuss_segment *s) {
    struct side sides[SIDES];
    const double n = (double)s->n;
    double products = 0;
    for (int k = optimizer_sides(g, s, sides); k-- > 0;) {
        const double d = (double)sides[k].size;
        if (sides[k].at >= 0) products += 5 * n * d + (4 * n * d + 5 * d * d * d) / g->precondition_frequency;
    }
    return 1 + n + products / FLOPS_PER_NANOSECOND;
}

/* ---- FTRL-Proximal ----------------------------------------------------------------------------------------------- */

static void ftrl_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    (void)t;
    c->exponent = -g->lr_power;
    c->limit = g->l1;
    c->shrink = 2 * g->l2_shrinkage;
    c->offset = 2 * g->l2 + g->beta / g->lr;
}

/* ---- rules that take norms of arrays ----------------------------------------------------------------------------- */

static void lars_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    (void)t;
    own_decay(g, c);
}

/* Parameters that are all zero get the learning rate itself, or they would stay so. What is NaN or infinite goes into the
 * factor: an array that has lost a number is seen to be lost. */
static void lars_finish(const struct schuss_group *g, const struct rule_constants *c, const double *sums,
                        struct schuss_segment *segment) {
    const double p = sqrt(sums[0]), all = sqrt(sums[1]) + c->decay * p + c->eps;
    segment->factor = !g->adapt || p == 0 || all == 0 ? g->lr : g->lr * (g->trust_coefficient * p / all);
}

static void lamb_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t, power);
    c->step_size = g->bias_correction ? 1 / (1 - power[0]) : 1;
    if (g->bias_correction) c->sqrt_correction = 1 / sqrt(1 - power[1]);
    own_decay(g, c);
}

static void lamb_finish(const struct schuss_group *g, const struct rule_constants *c, const double *sums,
                        struct schuss_segment *segment) {
    (void)c;
    const double norm = sqrt(sums[0]), u = sqrt(sums[1]);
    const double raised = norm < g->clamp_low ? g->clamp_low : norm;
    const double p = raised > g->clamp_high ? g->clamp_high : raised;
    segment->factor = !g->adapt || p == 0 || u == 0 ? g->lr : g->lr * (p / u);
}

static void novograd_constants(const struct schuss_group *g, const double *memory, int64_t t,
                               struct rule_constants *c) {
    (void)memory;
    (void)t;
    if (!g->grad_averaging) c->one_minus_beta1 = 1;
    own_decay(g, c);
}

/* The state of one element, rounded before it is used: a step does not depend on whether it was saved in between. Zero
 * is what it holds while no gradient has come. */
static void novograd_finish(const struct schuss_group *g, const struct rule_constants *c, const double *sums,
                            struct schuss_segment *segment) {
    float *narrow = segment->s[1];
    double *wide = segment->s[1];
    const double old = c->dtype == SCHUSS_F32 ? (double)*narrow : *wide;
    double v = old == 0 ? sums[0] : c->beta2 * old + c->one_minus_beta2 * sums[0];
    if (c->dtype == SCHUSS_F32) v = (double)(*narrow = (float)v);
    else *wide = v;
    segment->factor = 1 / (sqrt(v) + g->eps);
}

/* ---- Prodigy: sums over all arrays of all groups ------------------------------------------------------------------ */

enum { D, D_MAX, D_NUMERATOR, D_USED }; /* what each group remembers, all the same */

static int four_states(const struct schuss_group *g) {
    (void)g;
    return states_of(4);
}

static void prodigy_advance(const struct schuss_group *g, double *memory, int64_t t) {
    (void)t;
    if (!(memory[D] > 0)) memory[D] = memory[D_MAX] = g->d0;
    memory[D_USED] = memory[D];
}

static double prodigy_beta3(const struct schuss_group *g) { return g->beta3 > 0 ? g->beta3 : sqrt(g->beta2); }

static double prodigy_rate(const struct schuss_group *g, const double *memory, int64_t t) {
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t, power);
    return memory[D_USED] * g->lr * (g->bias_correction ? sqrt(1 - power[1]) / (1 - power[0]) : 1);
}

static void prodigy_constants(const struct schuss_group *g, const double *memory, int64_t t,
                              struct rule_constants *c) {
    const double d = memory[D_USED], rate = prodigy_rate(g, memory, t);
    c->step_size = rate;
    c->second_step = d / g->d0 * (g->safeguard_warmup ? d : rate);
    c->one_minus_beta1 *= d;
    c->one_minus_beta2 *= d * d;
    c->beta3 = prodigy_beta3(g);
    c->eps = memory[D] * g->eps;
    if (g->decoupled) c->keep = 1 - rate * g->weight_decay;
}

/* How far d_coef, growth_rate and beta3 of the first group let d grow; without a gradient so far, not at all. */
static void prodigy_finish(const struct schuss_step *step, const double (*sums)[SCHUSS_MAX_SUMS]) {
    const struct schuss_group *first = NULL;
    double d = 0, d_max = 0, numerator = 0, denominator = 0;
    for (int i = 0; i < step->n_groups; i++) {
        const struct schuss_group *g = &step->groups[i];
        const double *memory = step->memories[i].now;
        if (g->rule != SCHUSS_PRODIGY) continue;
        if (!first) {
            first = g;
            d = memory[D_USED];
            d_max = memory[D_MAX];
            numerator = prodigy_beta3(g) * memory[D_NUMERATOR];
        }
        numerator += d / g->d0 * prodigy_rate(g, memory, step->t) * sums[i][0];
        denominator += sums[i][1];
    }
    if (!first || denominator == 0) return;
    const double found = first->d_coef * numerator / denominator;
    if (d == first->d0 && found > d) d = found;
    if (found > d_max) d_max = found;
    d *= first->growth_rate;
    if (d > d_max) d = d_max;
    for (int i = 0; i < step->n_groups; i++) {
        double *memory = step->memories[i].now;
        if (step->groups[i].rule != SCHUSS_PRODIGY) continue;
        memory[D] = d;
        memory[D_MAX] = d_max;
        memory[D_NUMERATOR] = numerator;
    }
}

const struct rule optimizer_rules[SCHUSS_N_RULES] = {
    [SCHUSS_ADAGRAD] = {.name = "adagrad", .states = one_state, .constants = adagrad_constants, .zeros_stay = WITH_EPS},
    [SCHUSS_SGD] = {.name = "sgd", .states = sgd_states, .constants = sgd_constants, .zeros_stay = ALWAYS},
    [SCHUSS_RMSPROP] = {
        .name = "rmsprop", .states = rmsprop_states, .constants = rmsprop_constants, .zeros_stay = WITH_EPS},
    [SCHUSS_ADAM] = {.name = "adam", .states = adam_states, .constants = adam_constants, .zeros_stay = WITH_EPS},
    [SCHUSS_ADAMAX] = {.name = "adamax", .states = two_states, .constants = adamax_constants},
    [SCHUSS_NADAM] = {.name = "nadam",
                      .states = two_states,
                      .advance = nadam_advance,
                      .constants = nadam_constants,
                      .zeros_stay = WITH_EPS},
    [SCHUSS_RADAM] = {.name = "radam", .states = two_states, .constants = radam_constants, .zeros_stay = WITH_EPS},
    /* states that are not zero, even where gradients are */
    [SCHUSS_ADABELIEF] = {.name = "adabelief", .states = adam_states, .constants = adabelief_constants},
    [SCHUSS_YOGI] = {.name = "yogi", .states = two_states, .constants = adam_constants, .zeros_stay = WITH_EPS},
    [SCHUSS_ADOPT] = {.name = "adopt", .states = two_states, .constants = adopt_constants, .zeros_stay = WITH_EPS,
                      .every_step = 1},
    [SCHUSS_ADEMAMIX] = {
        .name = "ademamix", .states = ademamix_states, .constants = ademamix_constants, .zeros_stay = WITH_EPS},
    [SCHUSS_ADAN] = {.name = "adan", .states = adan_states, .constants = adan_constants, .zeros_stay = WITH_EPS,
                     .every_step = 1},
    [SCHUSS_FTRL] = {.name = "ftrl", .states = two_states, .constants = ftrl_constants, .zeros_stay = WITH_EPS},
    [SCHUSS_LION] = {.name = "lion", .states = one_state, .zeros_stay = ALWAYS},
    [SCHUSS_SIGNUM] = {.name = "signum", .states = signum_states, .zeros_stay = ALWAYS},
    [SCHUSS_ASGD] = {.name = "asgd", .states = one_state, .constants = asgd_constants, .zeros_stay = ALWAYS,
                     .every_step = 1},
    [SCHUSS_RPROP] = {.name = "rprop", .states = two_states, .constants = rprop_constants},
    [SCHUSS_SCHEDULE_FREE_SGD] = {.name = "schedule_free_sgd", .states = one_state,
                                  .constants = schedule_free_sgd_constants, .advance = schedule_free_advance,
                                  .zeros_stay = ALWAYS, .every_step = 1},
    [SCHUSS_SCHEDULE_FREE_ADAMW] = {.name = "schedule_free_adamw", .states = two_states,
                                    .constants = schedule_free_adamw_constants, .advance = schedule_free_advance,
                                    .zeros_stay = WITH_EPS, .every_step = 1},
    [SCHUSS_LARS] = {.name = "lars", .states = sgd_states, .constants = lars_constants, .n_sums = 2,
                     .finish = lars_finish},
    [SCHUSS_LAMB] = {.name = "lamb", .states = two_states, .constants = lamb_constants, .n_sums = 2,
                     .finish = lamb_finish, .spends_gradient = 1},
    [SCHUSS_NOVOGRAD] = {.name = "novograd", .states = two_states, .constants = novograd_constants, .n_sums = 1,
                         .finish = novograd_finish},
    [SCHUSS_ADADELTA] = {
        .name = "adadelta", .states = two_states, .constants = adadelta_constants, .zeros_stay = WITH_EPS},
    [SCHUSS_PRODIGY] = {.name = "prodigy", .states = four_states, .advance = prodigy_advance,
                        .constants = prodigy_constants, .n_sums = 2, .finish_all = prodigy_finish},
    [SCHUSS_ADAFACTOR] = {.name = "adafactor",
                          .states = one_state, /* or two, of matrices */
                          .constants = adafactor_constants,
                          .work = adafactor_work},
    [SCHUSS_MUON] = {.name = "muon", .states = one_state, .constants = muon_constants, .work = muon_work},
    [SCHUSS_SOAP] = {.name = "soap",
                     .states = two_states, /* or four, where there are bases */
                     .constants = soap_constants,
                     .work = soap_work},
};

const char *schuss_rule_name(int rule) { return rule < SCHUSS_N_RULES ? optimizer_rules[rule].name : NULL; }

int schuss_rule_states(const struct schuss_group *group) { return optimizer_rules[group->rule].states(group); }

int schuss_rule_by_element(int rule) {
    switch (rule) {
#define PLAIN(NAME, function) case SCHUSS_##NAME:
#define OTHER(NAME, ...)
        SCHUSS_RULES(PLAIN, OTHER, OTHER)
#undef PLAIN
#undef OTHER
        return !optimizer_rules[rule].every_step;
    default: return 0;
    }
}
