/* One optimizer step over many arrays: constants once, then the segments, split over threads by elements. */
#include <math.h>
#include <string.h>

#include "../pool.h"
#include "optim.h"

enum {
    ELEMENTS_PER_THREAD = 16384, /* fewer are not worth waking a thread */
    UNIT = 64                    /* shares are cut at multiples of so many elements */
};

void optimizer_prepare(const struct schuss_step *step) {
    for (int i = 0; i < step->n_groups; i++) {
        struct schuss_group *g = &step->groups[i];
        const double base[SCHUSS_MAX_BETAS] = {g->beta1, g->beta2, g->beta3};
        for (int k = 0; k < SCHUSS_MAX_BETAS; k++) {
            if (g->squared[k] == base[k]) continue;
            double power = g->squared[k] = base[k];
            for (int bit = 0; bit < SCHUSS_STEP_BITS; bit++, power *= power) g->squares[k][bit] = power;
        }
    }
}

void optimizer_powers(const struct schuss_group *g, int64_t t, double power[SCHUSS_MAX_BETAS]) {
    double x = 1, y = 1, z = 1;
    for (uint64_t bits = (uint64_t)t; bits; bits &= bits - 1) {
        const int bit = __builtin_ctzll(bits);
        x *= g->squares[0][bit];
        y *= g->squares[1][bit];
        z *= g->squares[2][bit];
    }
    power[0] = x;
    power[1] = y;
    power[2] = z;
}

int optimizer_remembers(const struct schuss_step *step) {
    for (int i = 0; i < step->n_groups; i++)
        if (optimizer_rules[step->groups[i].rule].advance) return 1;
    return 0;
}

void optimizer_advance(const struct schuss_step *step) {
    for (int i = 0; i < step->n_groups; i++) {
        const struct schuss_group *g = &step->groups[i];
        if (!optimizer_rules[g->rule].advance) continue;
        struct schuss_memory *m = &step->memories[i];
        if (m->step == (double)step->t) memcpy(m->now, m->before, sizeof m->now);
        else memcpy(m->before, m->now, sizeof m->now);
        m->step = (double)step->t;
        optimizer_rules[g->rule].advance(g, m->now, step->t);
    }
}

/* How much of the parameters of step t goes into an average; 0: nothing. */
static double average_weight(const struct schuss_average *a, int64_t t) {
    if (a->kind == SCHUSS_NO_AVERAGE || t < a->start || (t - a->start) % a->every) return 0;
    if (a->kind == SCHUSS_MEAN) return 1 / (1 + (double)((t - a->start) / a->every));
    return a->kind == SCHUSS_EMA && t == a->start ? 1 : a->weight;
}

void optimizer_constants(const struct schuss_step *step, int group, int64_t t, double norm_factor,
                         struct rule_constants *constants) {
    const struct schuss_group *g = &step->groups[group];
    *constants = (struct rule_constants){
        .rule = g->rule,
        .nesterov = g->nesterov,
        .centered = g->centered,
        .amsgrad = g->amsgrad,
        .first = t == 1,
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
        .keep = g->decoupled ? 1 - g->lr * g->weight_decay : 1,
        .factor = 1,
        .scale = g->maximize ? -norm_factor : norm_factor,
        .clip_value = step->clip_value,
        .grad_scale = step->grad_scale,
        .l2 = g->decoupled ? 0 : g->weight_decay,
        .zero_grad = step->zero_grad,
    };
    const struct rule *rule = &optimizer_rules[g->rule];
    if (rule->constants) rule->constants(g, step->memories ? step->memories[group].now : NULL, t, constants);
    for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++) {
        constants->average_weight[k] = average_weight(&step->averages[k], t);
        constants->pull[k] = step->averages[k].kind == SCHUSS_LOOKAHEAD;
    }
}

static int measures(const struct schuss_step *step) {
    for (int i = 0; i < step->n_groups; i++)
        if (optimizer_rules[step->groups[i].rule].n_sums) return 1;
    return 0;
}

ptrdiff_t schuss_step_sums(const struct schuss_step *step) {
    return measures(step) ? (step->n_segments + OPTIMIZER_PARTS) * (ptrdiff_t)SCHUSS_MAX_SUMS : 0;
}

static int reads_first(const struct schuss_step *step) { return step->clip_norm > 0 || step->check_first; }

int optimizer_takes_pieces(const struct schuss_step *step) { return !reads_first(step) && !measures(step); }

static void *at(void *array, ptrdiff_t element, ptrdiff_t item) {
    return array ? (char *)array + element * item : NULL;
}

struct schuss_segment segment_piece(const struct schuss_segment *s, ptrdiff_t from, ptrdiff_t to, ptrdiff_t item) {
    struct schuss_segment piece = {.n = to - from, .p = at(s->p, from, item), .g = at(s->g, from, item)};
    for (int k = 0; k < SCHUSS_MAX_STATES; k++) piece.s[k] = at(s->s[k], from, item);
    for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++) piece.average[k] = at(s->average[k], from, item);
    return piece;
}

/* The pieces of arrays that make up elements [first, end) of all arrays laid end to end. */
struct pieces {
    const struct schuss_step *step;
    ptrdiff_t first, end;
    int next;                             /* segment to look at */
    ptrdiff_t start;                      /* where it begins */
    struct schuss_segment *segment;       /* the piece: its elements [from, to) */
    ptrdiff_t from, to;
};

static struct pieces pieces_of(const struct optimizer_walk *w, int part, int parts) {
    return (struct pieces){.step = w->step,
                           .first = share_start(w->total, UNIT, part, parts),
                           .end = share_start(w->total, UNIT, part + 1, parts)};
}

static int next_piece(struct pieces *p) {
    while (p->next < p->step->n_segments && p->start < p->end) {
        p->segment = &p->step->segments[p->next++];
        p->from = p->first > p->start ? p->first - p->start : 0;
        p->to = p->end - p->start < p->segment->n ? p->end - p->start : p->segment->n;
        p->start += p->segment->n;
        if (p->from < p->to) return 1;
    }
    return 0;
}

/* Constants as pieces ask for them, one after the other: computed again where the group changes. */
struct constants_of {
    int group;
    struct rule_constants c;
};

static void take_constants(struct constants_of *known, const struct optimizer_walk *w, double norm_factor,
                           const struct schuss_segment *s) {
    if (s->group != known->group) optimizer_constants(w->step, s->group, w->step->t, norm_factor, &known->c);
    known->group = s->group;
    if (w->measures) known->c.factor = s->factor;
}

static void note_nonfinite(struct optimizer_walk *w, int nonfinite) {
    if (nonfinite) atomic_store_explicit(&w->nonfinite, 1, memory_order_relaxed);
}

/* The rule over a piece of an array, row by row where the gradient is of some rows only. */
static void step_piece(const struct optimizer_walk *w, const struct pieces *p, const struct rule_constants *c,
                       int *nonfinite) {
    const struct schuss_segment *s = p->segment;
    const ptrdiff_t item = w->kernels->item;
    ptrdiff_t to;
    for (ptrdiff_t from = p->from; from < p->to; from = to) {
        to = p->to;
        struct schuss_segment piece;
        if (s->index) {
            const ptrdiff_t k = from / s->cols, start = s->index[k] * s->cols + from % s->cols;
            if (to > (k + 1) * s->cols) to = (k + 1) * s->cols;
            piece = segment_piece(s, start, start + to - from, item);
            piece.g = at(s->g, from, item);
        } else piece = segment_piece(s, from, to, item);
        w->kernels->step(&piece, c, nonfinite);
    }
}

static void update_pieces(struct optimizer_walk *w, double norm_factor, int index, int count) {
    struct constants_of known = {.group = -1};
    int nonfinite = 0;
    for (struct pieces p = pieces_of(w, index, count); next_piece(&p);) {
        take_constants(&known, w, norm_factor, p.segment);
        step_piece(w, &p, &known.c, &nonfinite);
    }
    note_nonfinite(w, nonfinite);
}

static void update_share(void *context, int index, int count) {
    struct optimizer_walk *w = context;
    update_pieces(w, w->norm_factor, index, count);
}

/* Where the sums of a piece of a part lie: from piece to piece the segment or the part goes on, so no two share. */
static double *sums_of(const struct optimizer_walk *w, const struct pieces *p, int part) {
    return w->step->sums + (p->next - 1 + part) * (ptrdiff_t)SCHUSS_MAX_SUMS;
}

/* The pass of MEASURED rules over this share of the parts. */
static void measure_pieces(struct optimizer_walk *w, double norm_factor, int index, int count) {
    struct constants_of known = {.group = -1};
    int nonfinite = 0;
    for (int part = index * OPTIMIZER_PARTS / count; part < (index + 1) * OPTIMIZER_PARTS / count; part++)
        for (struct pieces p = pieces_of(w, part, OPTIMIZER_PARTS); next_piece(&p);) {
            if (!optimizer_rules[w->step->groups[p.segment->group].rule].n_sums) continue;
            const struct schuss_segment piece = segment_piece(p.segment, p.from, p.to, w->kernels->item);
            take_constants(&known, w, norm_factor, p.segment);
            w->kernels->measure(&piece, &known.c, sums_of(w, &p, part), &nonfinite);
        }
    note_nonfinite(w, nonfinite);
}

static void measure_share(void *context, int index, int count) {
    struct optimizer_walk *w = context;
    measure_pieces(w, w->norm_factor, index, count);
}

/* What follows for an array, or with sums_of_group for all arrays of a group, from sums over them. */
static void finish_sums(struct optimizer_walk *w, double norm_factor, int group, struct schuss_segment *segment,
                        const double *sums) {
    struct schuss_step *step = w->step;
    struct rule_constants c;
    optimizer_constants(step, group, step->t, norm_factor, &c);
    optimizer_rules[step->groups[group].rule].finish(&step->groups[group], &c, step->t, sums, segment,
                                                     step->memories ? step->memories[group].now : NULL);
}

/* Adds up the sums of all pieces, in order, and has the rules draw their conclusions. One thread. */
static void finish_measured(struct optimizer_walk *w, double norm_factor) {
    struct schuss_step *step = w->step;
    for (int group = 0; group < step->n_groups; group++) {
        const struct rule *rule = &optimizer_rules[step->groups[group].rule];
        double total[SCHUSS_MAX_SUMS] = {0};
        struct schuss_segment *last = NULL;
        if (!rule->n_sums) continue;
        for (int part = 0; part < OPTIMIZER_PARTS; part++)
            for (struct pieces p = pieces_of(w, part, OPTIMIZER_PARTS); next_piece(&p);) {
                if (p.segment->group != group) continue;
                if (last && last != p.segment && !rule->sums_of_group) {
                    finish_sums(w, norm_factor, group, last, total);
                    for (int k = 0; k < rule->n_sums; k++) total[k] = 0;
                }
                last = p.segment;
                for (int k = 0; k < rule->n_sums; k++) total[k] += sums_of(w, &p, part)[k];
            }
        if (last) finish_sums(w, norm_factor, group, rule->sums_of_group ? NULL : last, total);
    }
}

/* Reads this share of the parts before the update: sums of squares, and whether all is finite. For the norm a part is
 * a fixed range of elements; without it every thread has one part. */
static void read_share(void *context, int index, int count) {
    struct optimizer_walk *w = context;
    const struct schuss_step *step = w->step;
    const int parts = step->clip_norm > 0 ? OPTIMIZER_PARTS : count;
    for (int part = index * parts / count; part < (index + 1) * parts / count; part++) {
        double sum = 0;
        int nonfinite = 0;
        for (struct pieces p = pieces_of(w, part, parts); next_piece(&p);) {
            void *g = at(p.segment->g, p.from, w->kernels->item);
            if (step->clip_norm > 0)
                sum += w->kernels->sum_squares(p.to - p.from, g, step->grad_scale, step->clip_value);
            nonfinite |= w->kernels->any_nonfinite(p.to - p.from, g); /* clip_value would hide infinities */
        }
        if (step->clip_norm > 0) w->part[part] = sum; /* there may be more threads than room */
        note_nonfinite(w, nonfinite);
    }
}

/* What was read of all gradients: whether it is finite, their norm, and the factor that clips it. */
static int looked_at(const struct optimizer_walk *w, double *norm, double *factor) {
    const double most = w->step->clip_norm;
    double sum = 0;
    for (int i = 0; most > 0 && i < OPTIMIZER_PARTS; i++) sum += w->part[i];
    *norm = sqrt(sum);
    /* torch's clip_grad_norm_ has the same guard against a norm of zero */
    *factor = most > 0 && most < *norm + 1e-6 ? most / (*norm + 1e-6) : 1;
    return isfinite(sum) && !atomic_load_explicit(&w->nonfinite, memory_order_relaxed);
}

void optimizer_walk_begin(struct optimizer_walk *w, struct schuss_step *step) {
    w->step = step;
    w->kernels = schuss_kernels(step->dtype);
    w->total = 0;
    for (int i = 0; i < step->n_segments; i++) w->total += step->segments[i].n;
    w->norm_factor = 1;
    w->measures = measures(step);
    atomic_store_explicit(&w->nonfinite, 0, memory_order_relaxed);
}

int optimizer_walk_member(struct optimizer_walk *w, struct team *me) {
    double norm, factor = 1;
    if (reads_first(w->step)) {
        read_share(w, me->index, me->count);
        team_wait(me);
        const int finite = looked_at(w, &norm, &factor);
        if (me->index == 0 && w->step->clip_norm > 0) w->step->grad_norm = norm;
        if (!finite) return SCHUSS_NONFINITE;
    }
    if (w->measures) {
        measure_pieces(w, factor, me->index, me->count);
        team_wait(me);
        if (me->index == 0) finish_measured(w, factor);
        team_wait(me);
    }
    update_pieces(w, factor, me->index, me->count);
    return SCHUSS_OK;
}

static int step_threads(const struct optimizer_walk *w) {
    const int most = schuss_get_num_threads();
    return threads_for((double)w->total, ELEMENTS_PER_THREAD, most < OPTIMIZER_PARTS ? most : OPTIMIZER_PARTS);
}

int schuss_gradient_norm(struct schuss_step *step) {
    struct optimizer_walk w;
    double factor;
    if (!schuss_kernels(step->dtype)) return SCHUSS_NO_ISA;
    optimizer_walk_begin(&w, step);
    schuss_parallel(step_threads(&w), read_share, &w);
    return looked_at(&w, &step->grad_norm, &factor) ? SCHUSS_OK : SCHUSS_NONFINITE;
}

int schuss_optimizer_step(struct schuss_step *step) {
    struct optimizer_walk w;
    if (!schuss_kernels(step->dtype)) return SCHUSS_NO_ISA;
    optimizer_prepare(step);
    optimizer_advance(step);
    optimizer_walk_begin(&w, step);
    const int threads = step_threads(&w);
    if (reads_first(step)) {
        double norm;
        schuss_parallel(threads, read_share, &w);
        step->nonfinite = !looked_at(&w, &norm, &w.norm_factor);
        if (step->nonfinite) return SCHUSS_NONFINITE;
        if (step->clip_norm > 0) step->grad_norm = norm;
    }
    if (w.measures) {
        schuss_parallel(threads, measure_share, &w);
        finish_measured(&w, w.norm_factor);
    }
    schuss_parallel(threads, update_share, &w);
    step->nonfinite = atomic_load_explicit(&w.nonfinite, memory_order_relaxed);
    return SCHUSS_OK;
}
