/* What the catalogue holds: a row for each update rule. Inside the core only. */
#ifndef SCHUSS_RULE_H
#define SCHUSS_RULE_H

#include "../kernels.h"

/* WITH_EPS: if eps is more than 0, since the rule divides by it. */
enum zeros { NEVER, WITH_EPS, ALWAYS };

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
    int first_fills_states; /* 1: the first step fills them whatever they were. */

    /* The names of what a group remembers and state_dict has; see schuss_rule_memory_of_params. */
    const char *memory[SCHUSS_MEMORY];
    int memory_of_params;
    /* What that is before the first step; NULL: zeros. */
    void (*begin)(const struct schuss_group *g, double *memory);
    /* Moves the group's memory on from that of step t - 1 to that of step t, before the step. */
    void (*advance)(const struct schuss_group *g, double *memory, int64_t t);
    /* See schuss_derive. */
    const char *derived[SCHUSS_MEMORY];
    void (*derive)(const struct schuss_group *g, int64_t steps, double *out);

    /* Sets the constants of step t that are not common to all. */
    void (*constants)(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c);
    /* MEASURED rules: how many sums there are. From those of an array, finish sets its factor, and may change states of
     * one element. Or finish_all changes what the groups remember, from the sums over all arrays of each group. */
    int n_sums;
    void (*finish)(const struct schuss_group *g, const struct rule_constants *c, const double *sums,
                   struct schuss_segment *segment);
    void (*finish_all)(const struct schuss_step *step, const double (*sums)[SCHUSS_MAX_SUMS]);
    int spends_gradient; /* 1: the pass that sums is the last to need the gradient. */
    /* MATRIX rules: nanoseconds, roughly, of an array on one thread. */
    double (*time)(const struct schuss_group *g, const struct schuss_segment *segment);
    /* When zeros in p, g and all states stay zeros, and nothing depends on where an array ends: then several arrays
     * with zeros between them may be updated as one. */
    enum zeros zeros_stay;
    /* The rule averages over steps, or gives states their start in the first: an element that is passed over in a step,
     * since its row has no gradient, would be wrong in later ones. */
    int every_step;
};
extern const struct rule *const optimizer_rules[SCHUSS_N_RULES];

#endif
