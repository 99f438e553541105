/* The constants of a step of one clock: those that are common to all rules here, the others by the rule's row. */
#include "constants.h"

#include <string.h>

#include "../names.h"
#include "rule.h"

int optimizer_remembers(const struct schuss_step *step) {
    for (int i = 0; i < step->n_groups; i++)
        if (optimizer_rules[step->groups[i].rule]->advance) return 1;
    return 0;
}

void optimizer_advance(const struct schuss_step *step) {
    for (int i = 0; i < clocks_of(step); i++) {
        const struct schuss_group *g = &step->groups[clock_group(step, i)];
        const int64_t t = clock_time(step, i, step->t);
        if (!optimizer_rules[g->rule]->advance) continue;
        struct schuss_memory *m = &step->memories[i];
        if (m->step == (double)t) memcpy(m->now, m->before, sizeof m->now);
        else memcpy(m->before, m->now, sizeof m->now);
        m->step = (double)t;
        if (step->n_absent && !step->clocks[i].present) m->step = (double)(t - 1);
        else optimizer_rules[g->rule]->advance(g, m->now, t);
    }
}

double optimizer_average_weight(const struct schuss_average *a, int64_t t) {
    if (a->kind == SCHUSS_NO_AVERAGE || t < a->start || (t - a->start) % a->every) return 0;
    if (a->kind == SCHUSS_MEAN) return 1 / (1 + (double)((t - a->start) / a->every));
    return a->kind == SCHUSS_EMA && t == a->start ? 1 : a->weight;
}

void optimizer_constants(const struct schuss_step *step, int clock, int64_t t, double norm_factor,
                         struct rule_constants *constants) {
    const struct schuss_group *g = &step->groups[clock_group(step, clock)];
    const int64_t own = clock_time(step, clock, t);
    const struct rule *rule = optimizer_rules[g->rule];
    const int decoupled = rule->decouples || g->decoupled || g->dialect == SCHUSS_KERAS; /* all of Keras's are */
    *constants = (struct rule_constants){
        .rule = g->rule,
        .dtype = step->dtype,
        .nesterov = g->nesterov,
        .centered = g->centered,
        .amsgrad = g->amsgrad,
        .first = own == 1,
        .step_size = g->lr,
        .momentum = g->momentum,
        .one_minus_momentum = 1 - g->momentum,
        .one_minus_dampening = 1 - g->dampening,
        .beta1 = g->beta1,
        .beta2 = g->beta2,
        .beta3 = g->beta3,
        .one_minus_beta1 = 1 - g->beta1,
        .one_minus_beta2 = 1 - g->beta2,
        .one_minus_beta3 = 1 - g->beta3,
        .sqrt_correction = 1,
        .eps = g->eps,
        .velocity = 1,
        .keep = decoupled ? 1 - g->lr * g->weight_decay : 1,
        .factor = 1,
        .scale = g->maximize ? -norm_factor : norm_factor,
        .clip_value = step->clip_value,
        .grad_scale = step->grad_scale,
        .l2 = decoupled ? 0 : g->weight_decay,
        .zero_grad = step->zero_grad,
        .t = t,
        .sums_write = rule->sums_write,
    };
    if (rule->constants) rule->constants(g, step->memories ? step->memories[clock].now : NULL, own, constants);
    constants->l2 += g->penalty2; /* whatever the rule does with weight_decay */
    constants->l1 = g->penalty1;
    for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++) {
        constants->average_weight[k] = optimizer_average_weight(&step->averages[k], t);
        constants->pull[k] = step->averages[k].kind == SCHUSS_LOOKAHEAD;
    }
}

const char *schuss_average_name(int kind) { return NAME_OF(SCHUSS_AVERAGES, kind); }
