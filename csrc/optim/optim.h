/* Pieces of an optimizer step, for those who have gradients before all are there, and the step as a team makes it.
 * Inside the core only. */
#ifndef SCHUSS_OPTIM_H
#define SCHUSS_OPTIM_H

#include <stdatomic.h>

#include "../kernels.h"
#include "../pool.h"

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

/* beta_k^t of each beta, by squaring: the same bits on every platform, unlike pow(). */
void optimizer_powers(const struct schuss_group *g, int64_t t, double power[SCHUSS_MAX_BETAS]);

/* Has to be called by one thread before the constants of any of its steps are asked for. */
void optimizer_prepare(const struct schuss_step *step);
/* What the groups remember goes on to step t, by one thread. Again for the same t: from the step before. */
void optimizer_advance(const struct schuss_step *step);
/* Whether that does anything. */
int optimizer_remembers(const struct schuss_step *step);

/* What kernels->step takes for parameters of group number `group` in step number t. norm_factor: of clipping by the
 * global norm; 1: none. */
void optimizer_constants(const struct schuss_step *step, int group, int64_t t, double norm_factor,
                         struct rule_constants *constants);

/* The elements [from, to) of a segment as a segment. */
struct schuss_segment segment_piece(const struct schuss_segment *segment, ptrdiff_t from, ptrdiff_t to,
                                    ptrdiff_t item);

/* Whether the step may be made a piece at a time, in any order: nothing needs all gradients first. */
int optimizer_takes_pieces(const struct schuss_step *step);

enum { OPTIMIZER_PARTS = 64 }; /* the global norm is taken in this many parts, whatever the threads */

/* One step over all arrays, shared by all who make it. */
struct optimizer_walk {
    struct schuss_step *step;
    const struct kernels *kernels;
    ptrdiff_t total; /* elements in all */
    ptrdiff_t left;  /* elements of arrays that have been measured, but not updated yet */
    ptrdiff_t plain; /* elements that rules walk over: those of MATRIX rules apart */
    double part[OPTIMIZER_PARTS];
    int measures;    /* a rule needs sums */
    double work;     /* nanoseconds, roughly, that one thread takes for all arrays of MATRIX rules; 0: none */
    int status;
    atomic_int nonfinite;
};

void optimizer_walk_begin(struct optimizer_walk *w, struct schuss_step *step);

/* schuss_optimizer_step by a team, each member with its own `me`; w has begun and all gradients are there. What the
 * others updated may be read after team_wait, as w->nonfinite. Sets neither step->t nor step->nonfinite. */
int optimizer_walk_member(struct optimizer_walk *w, struct team *me);

/* Of `threads`, those that may make the step: there has to be scratch for each. */
int optimizer_threads(const struct optimizer_walk *w, int threads);

/* ---- arrays.c: MATRIX rules ---- */

/* As work in struct optimizer_walk. */
double optimizer_arrays_work(const struct schuss_step *step);
/* The member's part of the arrays of these rules; 1 if a gradient is not finite. */
int optimizer_update_arrays(struct optimizer_walk *w, double norm_factor, struct team *me);

#endif
