/* What the catalogue holds: a row for each update rule. Inside the core only. */
#ifndef SCHUSS_RULE_H
#define SCHUSS_RULE_H

#include "../kernels.h"

/* WITH_EPS: if eps is more than 0, since the rule divides by it. */
enum zeros { NEVER, WITH_EPS, ALWAYS };

/* What steps with gradients of zero do to the elements of a row, in double: p and the first state become linear
 * combinations of both, other states multiples of themselves. */
struct coast {
    double p_of_p, p_of_s, s_of_p, s_of_s; /* p = p_of_p p + p_of_s s, s = s_of_p p + s_of_s s */
    double others[2];                      /* what the second and the third state are multiplied by */
    /* Of what this leaves out, `fade` to the power of n is left after n steps: nothing, where the logarithm of that is at
     * most `nothing`. fade 0: this leaves nothing out. */
    double fade, nothing;
    int latest; /* 1: the last of the steps alone has the result of them all, unless its step_size is 0. */
};

/* The number as arrays of the dtype hold it, which is what loops compute with. */
static inline double held(double x, int dtype) { return dtype == SCHUSS_F32 ? (double)(float)x : x; }

/* What there is to know of a rule beside its loop. What a row leaves out is 0 or NULL. */
struct rule {
    /* What users can set, beyond what all rules have; the last one has no name. fault: see schuss_group_fault. */
    const struct schuss_setting *settings;
    const char *(*fault)(const struct schuss_group *g, const char **expected);
    int decouples; /* 1: weight decay is decoupled whatever the group says. */

    /* The names of the states as torch's state_dict has them, by slot, and which slots the rule touches with a
     * group's numbers, bit k for slot k; NULL: all that have a name. */
    const char *state_names[SCHUSS_MAX_STATES];
    int (*states)(const struct schuss_group *g);
    /* Where the array's shape matters: the name of its state in a slot, NULL if it has none; and its shape, of which
     * the number of dimensions is returned. */
    const char *(*state)(const struct schuss_group *g, const struct schuss_segment *s, int slot);
    int (*shape)(const struct schuss_group *g, const struct schuss_segment *s, int slot, ptrdiff_t *shape);
    /* What all elements of a state are before the first step; NULL: zeros. And the setting that it comes from. */
    double (*start)(const struct schuss_group *g, int slot);
    const char *start_setting;
    /* How states may be kept in fewer bits, bit k for slot k: which are never negative, and which need all their bits,
     * since parameters are made of them or they change by steps that would be rounded away. */
    int positive, exact;
    int fine;            /* States that are kept in bfloat16 where others have 8 bits, bit k for slot k. */
    int first_fills_states; /* 1: the first step fills them whatever they were. */

    /* The names of what a clock remembers, all that it goes on with, and state_dict has; see schuss_rule_memory_of_params. */
    const char *memory[SCHUSS_MEMORY];
    int memory_of_params;
    /* What that is before the first step; NULL: zeros. */
    void (*begin)(const struct schuss_group *g, double *memory);
    /* Moves the clock's memory on from that of step t - 1 to that of step t, before the step. */
    void (*advance)(const struct schuss_group *g, double *memory, int64_t t);
    /* See schuss_derive. */
    const char *derived[SCHUSS_MEMORY];
    void (*derive)(const struct schuss_group *g, int64_t steps, double *out);

    /* Sets the constants of step t that are not common to all. */
    void (*constants)(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c);
    /* MEASURED rules: how many sums there are. From those of an array, finish sets its factor, and may change states of
     * one element. Or finish_all changes what all clocks remember, the same, from the sums over the arrays of each. */
    int n_sums;
    void (*finish)(const struct schuss_group *g, const struct rule_constants *c, const double *sums,
                   struct schuss_segment *segment);
    void (*finish_all)(const struct schuss_step *step, const double (*sums)[SCHUSS_MAX_SUMS]);
    int spends_gradient; /* 1: the pass that sums is the last to need the gradient. */
    int sums_write;      /* The states that this pass writes, bit k for slot k; the other pass writes the others. */
    /* MATRIX rules: nanoseconds, roughly, of an array on one thread. */
    double (*time)(const struct schuss_group *g, const struct schuss_segment *segment);
    /* When zeros in p, g and all states stay zeros, and nothing depends on where an array ends: then several arrays
     * with zeros between them may be updated as one. */
    enum zeros zeros_stay;
    /* The rule averages over steps, or gives states their start in the first: an element that is passed over in a step,
     * since its row has no gradient, would be wrong in later ones. */
    int every_step;
    /* NULL: rows that are not touched cannot be made up for. Else what a step with these constants does to them; 0: that
     * has no closed form, so steps are to be made one by one. */
    int (*coast)(const struct rule_constants *c, struct coast *k);
    /* BY_ROW rules: 1: states have an element a row, and whole rows are to be stepped. */
    int by_row;
};
extern const struct rule *const optimizer_rules[SCHUSS_N_RULES];

#endif
