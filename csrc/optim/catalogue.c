/* What there is to know of each rule beside its loop in rules/: a row each. All of it in double, once a step. */
#include <math.h>

#include "optim.h"

static int states_of(int n) { return (1 << n) - 1; }

static int two_states(const struct schuss_group *g) {
    (void)g;
    return states_of(2);
}

/* ---- SGD ------------------------------------------------------------------------------------------------------- */

static int sgd_states(const struct schuss_group *g) { return states_of(g->momentum != 0); }

/* ---- AdaGrad, RMSProp, Adadelta ---------------------------------------------------------------------------------- */

static int adagrad_states(const struct schuss_group *g) {
    (void)g;
    return states_of(1);
}

static void adagrad_constants(const struct schuss_group *g, const double *memory, int64_t t,
                              struct rule_constants *c) {
    (void)memory;
    c->step_size = g->lr / (1 + (double)(t - 1) * g->lr_decay);
}

static int rmsprop_states(const struct schuss_group *g) { return 1 | (g->centered ? 2 : 0) | (g->momentum != 0 ? 4 : 0); }

/* Adadelta too: its rho is g->alpha. */
static void rmsprop_constants(const struct schuss_group *g, const double *memory, int64_t t,
                              struct rule_constants *c) {
    (void)memory;
    (void)t;
    c->beta2 = g->alpha;
    c->one_minus_beta2 = 1 - g->alpha;
}

/* ---- the family of Adam ------------------------------------------------------------------------------------------ */

static int adam_states(const struct schuss_group *g) { return states_of(g->amsgrad ? 3 : 2); }

static void adam_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t, power);
    c->step_size = g->lr / (1 - power[0]);
    c->sqrt_correction = 1 / sqrt(1 - power[1]);
}

const struct rule optimizer_rules[SCHUSS_N_RULES] = {
    [SCHUSS_SGD] = {.name = "sgd", .states = sgd_states, .zeros_stay = 1},
    [SCHUSS_ADAGRAD] = {.name = "adagrad", .states = adagrad_states, .constants = adagrad_constants, .zeros_stay = 1},
    [SCHUSS_RMSPROP] = {.name = "rmsprop", .states = rmsprop_states, .constants = rmsprop_constants, .zeros_stay = 1},
    [SCHUSS_ADAM] = {.name = "adam", .states = adam_states, .constants = adam_constants, .zeros_stay = 1},
    [SCHUSS_ADAMAX] = {.name = "adamax", .states = two_states, .constants = adam_constants},
    [SCHUSS_ADADELTA] = {.name = "adadelta", .states = two_states, .constants = rmsprop_constants, .zeros_stay = 1},
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
        return 1;
    default: return 0;
    }
}
