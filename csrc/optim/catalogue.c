/* The rows of all rules, each from its file in rules/, and what others ask of them. All of it is in double. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "../names.h"
#include "constants.h"
#include "power.h"
#include "rule.h"
#include "sides.h"

#include "row.h"

#define RULE_ROWS
#include "list.h"
#undef RULE_ROWS

#define ROW(NAME, function) [SCHUSS_##NAME] = &function##_rule,
const struct rule *const optimizer_rules[SCHUSS_N_RULES] = {SCHUSS_RULES(ROW, ROW, ROW, ROW)};
#undef ROW

/* ---- by number of the rule ---- */

#define RULE_NAMES(X) SCHUSS_RULES(X, X, X, X)
const char *schuss_rule_name(int rule) { return NAME_OF(RULE_NAMES, rule); }
const char *schuss_dialect_name(int dialect) { return NAME_OF(SCHUSS_DIALECTS, dialect); }
const char *schuss_adjust_lr_name(int adjust_lr) { return NAME_OF(SCHUSS_ADJUST_LRS, adjust_lr); }

const char *schuss_products_name(int products) {
    static const char *const names[SCHUSS_N_PRODUCTS] = {NULL, "bfloat16"};
    return names[products];
}

const char *schuss_rows_name(int rows) {
    static const char *const names[SCHUSS_N_ROWS] = {NULL, "lazy", "exact"};
    return names[rows];
}

int schuss_rule_by_rows(int rule) {
    switch (rule) {
#define PLAIN(NAME, function) case SCHUSS_##NAME:
#define OTHER(NAME, ...)
        SCHUSS_RULES(PLAIN, OTHER, OTHER, PLAIN)
#undef PLAIN
#undef OTHER
        return !optimizer_rules[rule]->every_step;
    default: return 0;
    }
}

const struct schuss_setting *schuss_rule_setting(int rule, int index) {
    static const struct schuss_setting of_all[] = {
        NUMBER("lr", lr, "[0, inf)"), NUMBER("lr_factor", lr_factor, "[0, inf)"), FLAG("maximize", maximize)};
    enum { N_OF_ALL = sizeof of_all / sizeof of_all[0] };
    if (index < N_OF_ALL) return &of_all[index];
    const struct schuss_setting *own = optimizer_rules[rule]->settings;
    for (int i = N_OF_ALL; own->name && i < index; i++) own++;
    return own->name ? own : NULL;
}

const char *schuss_rule_memory(int rule, int place) {
    return place < SCHUSS_MEMORY ? optimizer_rules[rule]->memory[place] : NULL;
}

const char *schuss_rule_derived(int rule, int place) {
    return place < SCHUSS_MEMORY ? optimizer_rules[rule]->derived[place] : NULL;
}

int schuss_rule_memory_of_params(int rule) { return optimizer_rules[rule]->memory_of_params; }
int schuss_rule_fills_states(int rule) { return optimizer_rules[rule]->first_fills_states; }

/* ---- of a group ---- */

/* Whether arrays of the dtype hold x as it is: neither infinite there nor a denormal, which kernels take for zero. */
static int is_held(double x, int dtype) {
    const double least = dtype == SCHUSS_F32 ? FLT_MIN : DBL_MIN, most = dtype == SCHUSS_F32 ? FLT_MAX : DBL_MAX;
    return x <= 0 || (least <= x && x <= most);
}

const char *schuss_group_fault(const struct schuss_group *g, int dtype, const char **expected) {
    const struct rule *rule = optimizer_rules[g->rule];
    *expected = dtype == SCHUSS_F32 ? "0, or from 1.17549e-38 to 3.40282e+38 to be held in float32"
                                    : "0, or from 2.22507e-308 to 1.79769e+308 to be held in float64";
    if (!is_held(g->eps, dtype)) return "eps";
    for (int slot = 0; rule->start && slot < SCHUSS_MAX_STATES; slot++)
        if (!is_held(rule->start(g, slot), dtype)) return rule->start_setting;
    return rule->fault ? rule->fault(g, expected) : NULL;
}

int schuss_rule_states(const struct schuss_group *g) {
    const struct rule *rule = optimizer_rules[g->rule];
    int n = 0;
    if (rule->states) return rule->states(g);
    while (n < SCHUSS_MAX_STATES && rule->state_names[n]) n++;
    return states_of(n);
}

const char *schuss_state(const struct schuss_group *g, const struct schuss_segment *s, int slot, int *ndim,
                         ptrdiff_t *shape) {
    const struct rule *rule = optimizer_rules[g->rule];
    if (slot >= SCHUSS_MAX_STATES) return NULL;
    const char *has = schuss_rule_states(g) >> slot & 1 ? rule->state_names[slot] : NULL;
    const char *name = rule->state ? rule->state(g, s, slot) : has;
    if (name) *ndim = (rule->shape ? rule->shape : shape_of_array)(g, s, slot, shape);
    return name;
}

int schuss_state_format(int rule, int slot, ptrdiff_t n, int dtype, int wanted) {
    enum { FEWEST = 4096 }; /* elements of a state of 8 bits */
    if (optimizer_rules[rule]->exact >> slot & 1) return dtype;
    if (wanted != SCHUSS_8BIT_SIGNED) return wanted;
    if (n < FEWEST) return dtype;
    if (optimizer_rules[rule]->fine >> slot & 1) return SCHUSS_BF16;
    return optimizer_rules[rule]->positive >> slot & 1 ? SCHUSS_8BIT_UNSIGNED : SCHUSS_8BIT_SIGNED;
}

double schuss_state_start(const struct schuss_group *g, int slot) {
    const struct rule *rule = optimizer_rules[g->rule];
    return rule->start ? rule->start(g, slot) : 0;
}

void schuss_memory_start(const struct schuss_group *g, double *now) {
    memset(now, 0, SCHUSS_MEMORY * sizeof *now);
    if (optimizer_rules[g->rule]->begin) optimizer_rules[g->rule]->begin(g, now);
}

void schuss_derive(const struct schuss_group *g, int64_t steps, double *out) {
    if (optimizer_rules[g->rule]->derive) optimizer_rules[g->rule]->derive(g, steps, out);
}

const char *schuss_format_name(int format) { return NAME_OF(SCHUSS_FORMATS, format); }
