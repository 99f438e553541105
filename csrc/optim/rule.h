/* What the catalogue holds: a row for each update rule. Inside the core only. */
#ifndef SCHUSS_RULE_H
#define SCHUSS_RULE_H

#include "../kernels.h"

enum zeros { NEVER, WITH_EPS, ALWAYS }; /* WITH_EPS: if eps > 0, as it is divided by */

/* What there is to know of a rule beside its loop. Pointers that are NULL: nothing. */
struct rule {
    const char *name;
    int (*states)(const struct schuss_group *g); /* the slots it touches, bit k for slot k */
    /* Sets the constants of step t that are not common to all. */
    void (*constants)(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c);
    /* The group's memory from that of step t - 1 to that of step t, before the step. */
    void (*advance)(const struct schuss_group *g, double *memory, int64_t t);
    /* MEASURED rules: how many sums are taken. From those of an array, finish sets its factor, and may change states of
     * one element. Or finish_all changes what the groups remember, from the sums over all arrays of each group. */
    int n_sums;
    void (*finish)(const struct schuss_group *g, const struct rule_constants *c, const double *sums,
                   struct schuss_segment *segment);
    void (*finish_all)(const struct schuss_step *step, const double (*sums)[SCHUSS_MAX_SUMS]);
    int spends_gradient; /* the pass that takes the sums is the last to need it */
    /* MATRIX rules: nanoseconds, roughly, that one thread takes for an array. */
    double (*work)(const struct schuss_group *g, const struct schuss_segment *segment);
    /* When zeros in p, g and all states stay zeros, and nothing depends on where an array ends: then several arrays
     * with zeros between them may be updated as one. */
    enum zeros zeros_stay;
    /* The rule averages over steps, or gives states their start in the first: an element that is passed over in a step,
     * since its row has no gradient, would be wrong in later ones. */
    int every_step;
};
extern const struct rule optimizer_rules[SCHUSS_N_RULES];

#endif
