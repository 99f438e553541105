/* One optimizer step over many arrays. Constants are computed once for each clock; then threads walk over the segments,
 * each over its share of all elements. A step has up to four phases: all gradients are read, where clipping or a check
 * needs that; arrays are measured, and the sums are finished, where a rule needs sums; arrays are updated. */
#include "optim.h"

#include <math.h>
#include <string.h>

#include "arrays.h"
#include "clocks.h"
#include "power.h"
#include "rows.h"
#include "ways.h"

enum {
    ELEMENTS_PER_THREAD = 16384, /* Fewer are not worth waking a thread. */
    CHUNK_BYTES = 4096,          /* Gradients of another format are looked at by so many bytes of the dtype. */
    UNIT = 64,                   /* Shares are cut at multiples of so many elements. */
    CACHED = 32768,              /* An array of at most so many is updated right after it is measured, while in L2. */
    /* These are for steps that a team makes. */
    ELEMENTS_PER_NANOSECOND = 4, /* This is rough. */
    TIME_PER_THREAD = 10000,     /* Fewer nanoseconds are not worth waking a thread. */
    PATIENCE = 200000            /* A team waits at most so many nanoseconds for threads to come. */
};

static int measures(const struct schuss_step *step) {
    for (int i = 0; i < step->n_groups; i++)
        if (optimizer_rules[step->groups[i].rule]->n_sums) return 1;
    return 0;
}

/* The sums over each clock, then those of each block of each array. */
ptrdiff_t schuss_step_sums(const struct schuss_step *step) {
    ptrdiff_t blocks = clocks_of(step);
    if (!measures(step)) return 0;
    for (int i = 0; i < step->n_segments; i++) blocks += blocks_of(step->segments[i].n);
    return blocks * (ptrdiff_t)SCHUSS_MAX_SUMS;
}

static int reads_first(const struct schuss_step *step) { return step->clip_norm > 0 || step->check_first; }

int optimizer_goes_by_pieces(const struct schuss_step *step) {
    for (int i = 0; i < step->n_segments; i++)
        if (step->segments[i].stored) return 0;
    for (int i = 0; i < step->n_groups; i++)
        if (optimizer_rules[step->groups[i].rule]->by_row) return 0;
    return !reads_first(step) && !measures(step) && !(optimizer_arrays_time(step) > 0);
}

/* Part `part` of `parts` of `total` elements. */
static struct pieces share_of(const struct optimizer_walk *w, ptrdiff_t total, int part, int parts) {
    return (struct pieces){.step = w->step,
                           .every = w->by_pieces == w->total,
                           .first = share_start(total, UNIT, part, parts),
                           .end = share_start(total, UNIT, part + 1, parts),
                           .unit = 1,
                           .whole_rows = 1};
}

/* Of the arrays that are stepped by pieces. */
static struct pieces pieces_of(const struct optimizer_walk *w, int part, int parts) {
    return share_of(w, w->by_pieces, part, parts);
}

/* Of all arrays, those that MATRIX rules step whole included, to be read only. */
static struct pieces every_piece_of(const struct optimizer_walk *w, int part, int parts) {
    struct pieces p = share_of(w, w->total, part, parts);
    p.every = 1;
    p.whole_rows = 0;
    return p;
}

/* In whole blocks, of the arrays that are stepped by pieces; left: of those among them that are not done. */
static struct pieces measured_pieces_of(const struct optimizer_walk *w, int left, int part, int parts) {
    struct pieces p = share_of(w, left ? w->left : w->by_pieces, part, parts);
    p.unit = BLOCK;
    p.left = left;
    return p;
}

/* Who makes a step, and what it knows of it. Either it is a member of a team, whose members all run walk(). Or it is
 * the only thread that runs walk(), and has the shares of each phase made by schuss_parallel. */
struct maker {
    struct optimizer_walk *w;
    double norm_factor; /* Gradients are multiplied by this to clip their global norm; 1 leaves them. */
    struct team *me;    /* This member; NULL where schuss_parallel makes shares. */
    int threads;        /* How many shares schuss_parallel makes of a phase. */
};

/* Makes every share of a phase, or the member's own one. */
static void together(struct maker *maker, schuss_task share) {
    if (maker->me) share(maker, maker->me->index, maker->me->count);
    else schuss_parallel(maker->threads, share, maker);
}

/* Makes a phase that has one share. */
static void alone(struct maker *maker, schuss_task share) {
    if (!maker->me) schuss_parallel(1, share, maker);
    else if (maker->me->index == 0) share(maker, 0, 1);
}

/* Waits until all shares of the phase before are made. schuss_parallel does not return before that. */
static void wait_for_all(struct maker *maker) {
    if (maker->me) team_wait(maker->me);
}

/* A rule without sums has one pass over an array. A MEASURED rule has two, with different constants. */
enum pass { ONLY, MEASURE, UPDATE };

/* The constants of the clock that was asked for last. c is not set to zero at first: that would last longer than the
 * step of a tiny array. */
struct constants_of {
    int clock; /* -1: of none yet. */
    struct rule_constants c;
};

static const struct rule *rule_of(const struct optimizer_walk *w, const struct schuss_segment *s) {
    return optimizer_rules[w->step->groups[s->group].rule];
}

/* Of the segment's clock and this pass. The gradient is zeroed by the last pass that reads it, and looked at for NaN by
 * the first. Where the first pass has used it up, the second makes no stages. */
static void compute_constants(struct constants_of *known, const struct maker *maker, const struct schuss_segment *s,
                              enum pass pass) {
    const struct optimizer_walk *w = maker->w;
    const int spends = rule_of(w, s)->spends_gradient;
    struct rule_constants *c = &known->c;
    known->clock = s->clock;
    optimizer_constants(w->step, s->group, s->clock, w->step->t, maker->norm_factor, c);
    c->seen = pass == UPDATE || reads_first(w->step);
    if (pass == (spends ? UPDATE : MEASURE)) c->zero_grad = 0;
    if (pass == UPDATE && spends) c->grad_scale = c->scale = 1, c->clip_value = c->l2 = c->l1 = 0;
}

/* The same, computed only where the clock is another one than before. */
static inline const struct rule_constants *constants_for(struct constants_of *known, const struct maker *maker,
                                                         const struct schuss_segment *s, enum pass pass) {
    if (s->clock != known->clock) compute_constants(known, maker, s, pass);
    if (pass == UPDATE) known->c.factor = s->factor;
    return &known->c;
}

/* A gradient was not finite, if nonfinite. */
static void note_nonfinite(struct optimizer_walk *w, int nonfinite) {
    if (nonfinite) atomic_store_explicit(&w->nonfinite, 1, memory_order_relaxed);
}

/* Steps a piece of an array that goes by rows, which is whole rows. Rows that have missed steps make these first. It is
 * not inlined, since room on the stack would cost all steps time. */
__attribute__((noinline))
static void step_whole_rows(const struct optimizer_walk *w, const struct pieces *p, const struct rule_constants *c,
                            int *nonfinite) {
    _Alignas(64) char scratch[ROWS_SCRATCH];
    const struct schuss_segment *s = p->segment;
    const struct rows_history *history = rows_history_of(w->step, s->group);
    const ptrdiff_t item = w->kernels->item, cols = step_row_length(s), first = p->from / cols, n = (p->to - p->from) / cols;
    const int64_t *index = s->index ? s->index + first : NULL, t = w->step->t;
    struct schuss_segment rows = *s;
    if (!index) rows = segment_rows(s, optimizer_rules[c->rule]->by_row, cols, first, n, item);
    if (s->last && history) rows_catch_up(w->kernels, &rows, history, t - 1, n, index, scratch);
    if (index) rows_step(w->kernels, s, c, n, index, (char *)s->g + p->from * gradient_bytes(s, item), scratch,
                         nonfinite);
    else (optimizer_rules[c->rule]->by_row ? w->kernels->by_row : w->kernels->step)(&rows, c, nonfinite);
    if (s->last) rows_stepped(&rows, t, n, index);
}

/* Steps a piece of an array. */
static void step_piece(const struct optimizer_walk *w, const struct pieces *p, const struct rule_constants *c,
                       int *nonfinite) {
    const struct schuss_segment *s = p->segment;
    if (goes_by_rows(w->step, s)) step_whole_rows(w, p, c, nonfinite);
    else if (p->to - p->from == s->n && !w->trials) w->kernels->step(s, c, nonfinite); /* No need to cut. */
    else {
        const struct schuss_segment piece = segment_piece(s, p->from, p->to, w->kernels->item);
        if (!w->trials) w->kernels->step(&piece, c, nonfinite);
        /* In the first step memory of states is not there yet. */
        else optimizer_step_far(w->kernels, w->trials, w->step->t > 1, &piece, c, nonfinite);
    }
}

/* ---- rules that need no sums ------------------------------------------------------------------------------------ */

/* Updates this share of the arrays, by rules without sums. */
static void update_share(void *context, int index, int count) {
    const struct maker *maker = context;
    struct optimizer_walk *w = maker->w;
    struct constants_of known;
    known.clock = -1;
    int nonfinite = 0;
    for (struct pieces p = pieces_of(w, index, count); next_piece(&p);)
        step_piece(w, &p, constants_for(&known, maker, p.segment, ONLY), &nonfinite);
    note_nonfinite(w, nonfinite);
}

/* ---- rules that do ---------------------------------------------------------------------------------------------- */

/* Where the sums of the block that begins with this element of the array lie. */
static double *sums_of(const struct pieces *p, ptrdiff_t element) {
    return p->step->sums + (clocks_of(p->step) + p->block + element / BLOCK) * SCHUSS_MAX_SUMS;
}

/* Measures a piece, which is whole blocks. */
static void measure_piece(const struct optimizer_walk *w, const struct pieces *p, const struct rule_constants *c,
                          int *nonfinite) {
    if (p->segment->n <= BLOCK) {
        w->kernels->measure(p->segment, c, sums_of(p, 0), nonfinite);
        return;
    }
    for (ptrdiff_t i = p->from; i < p->to; i += BLOCK) {
        const ptrdiff_t end = i + BLOCK < p->to ? i + BLOCK : p->to;
        const struct schuss_segment block = segment_piece(p->segment, i, end, w->kernels->item);
        w->kernels->measure(&block, c, sums_of(p, i), nonfinite);
    }
}

/* Adds the sums of an array's elements [from, to), block by block. */
static void add_sums(const struct pieces *p, ptrdiff_t from, ptrdiff_t to, double *total) {
    for (ptrdiff_t i = from; i < to; i += BLOCK)
        for (int k = 0; k < SCHUSS_MAX_SUMS; k++) total[k] += sums_of(p, i)[k];
}

/* What follows from the sums of an array, all of whose blocks have been measured. */
static void finish_array(const struct optimizer_walk *w, const struct pieces *p, const struct rule_constants *c) {
    double total[SCHUSS_MAX_SUMS] = {0};
    add_sums(p, 0, p->segment->n, total);
    rule_of(w, p->segment)->finish(&w->step->groups[p->segment->group], c, total, p->segment);
}

/* Measures this share of the arrays. An array that lies wholly in it and fits into cache is updated at once, while it
 * is there. */
static void measure_share(void *context, int index, int count) {
    const struct maker *maker = context;
    struct optimizer_walk *w = maker->w;
    struct constants_of measuring, updating;
    measuring.clock = updating.clock = -1;
    int nonfinite = 0;
    for (struct pieces p = measured_pieces_of(w, 0, index, count); next_piece(&p);) {
        struct schuss_segment *s = p.segment;
        const struct rule *rule = rule_of(w, s);
        const int done = rule->finish && p.to - p.from == s->n && (s->n <= CACHED || count == 1);
        if (p.from == 0) s->done = done;
        if (!rule->n_sums) continue;
        const struct rule_constants *c = constants_for(&measuring, maker, s, MEASURE);
        measure_piece(w, &p, c, &nonfinite);
        if (!done) continue;
        finish_array(w, &p, c);
        step_piece(w, &p, constants_for(&updating, maker, s, UPDATE), &nonfinite);
    }
    note_nonfinite(w, nonfinite);
}

/* What follows from the sums of arrays that are not done. There is one share. */
static void finish_share(void *context, int index, int count) {
    const struct maker *maker = context;
    struct optimizer_walk *w = maker->w;
    const struct schuss_step *step = w->step;
    double(*of_clock)[SCHUSS_MAX_SUMS] = (double(*)[SCHUSS_MAX_SUMS])step->sums;
    struct constants_of known;
    known.clock = -1;
    (void)index;
    (void)count;
    memset(of_clock, 0, (size_t)clocks_of(step) * sizeof *of_clock);
    w->left = 0;
    for (struct pieces p = measured_pieces_of(w, 0, 0, 1); next_piece(&p);) {
        const struct rule *rule = rule_of(w, p.segment);
        if (p.segment->done) continue;
        w->left += p.segment->n;
        if (rule->finish) finish_array(w, &p, constants_for(&known, maker, p.segment, MEASURE));
        else if (rule->finish_all) add_sums(&p, 0, p.segment->n, of_clock[p.segment->clock]);
    }
    for (int rule = 0; rule < SCHUSS_N_RULES; rule++)
        for (int group = 0; group < step->n_groups && optimizer_rules[rule]->finish_all; group++)
            if (step->groups[group].rule == rule) {
                optimizer_rules[rule]->finish_all(step, (const double(*)[SCHUSS_MAX_SUMS])of_clock);
                break;
            }
}

/* Updates this share of the arrays that have been measured and are not done. */
static void update_left_share(void *context, int index, int count) {
    const struct maker *maker = context;
    struct optimizer_walk *w = maker->w;
    struct constants_of known;
    known.clock = -1;
    int nonfinite = 0;
    for (struct pieces p = measured_pieces_of(w, 1, index, count); next_piece(&p);) {
        const enum pass pass = rule_of(w, p.segment)->n_sums ? UPDATE : ONLY;
        step_piece(w, &p, constants_for(&known, maker, p.segment, pass), &nonfinite);
    }
    note_nonfinite(w, nonfinite);
}

/* ---- what needs all gradients first ----------------------------------------------------------------------------- */

/* Whether sums of squares are finite only where all gradients are. clip_value would hide infinities. */
static int sums_tell(const struct schuss_step *step) { return step->clip_norm > 0 && !(step->clip_value > 0); }

/* What is to be known of elements [from, to) of the segment's gradient: returns its sum of squares, if the norm is asked
 * for; sets *nonfinite where sums would not tell. */
static double look_at(const struct optimizer_walk *w, const struct schuss_segment *s, ptrdiff_t from, ptrdiff_t to,
                      int *nonfinite) {
    _Alignas(64) char room[CHUNK_BYTES];
    const struct schuss_step *step = w->step;
    const ptrdiff_t size = gradient_bytes(s, w->kernels->item), most = s->stored ? CHUNK_BYTES / w->kernels->item : to - from;
    double sum = 0;
    for (ptrdiff_t i = from, n; i < to; i += n) {
        const void *g = (const char *)s->g + i * size;
        n = to - i < most ? to - i : most;
        if (s->stored && s->stored->g != w->kernels->dtype) {
            w->kernels->widen(s->stored->g, n, g, NULL, room);
            g = room;
        }
        if (step->clip_norm > 0) sum += w->kernels->sum_squares(n, g, step->grad_scale, step->clip_value);
        if (!sums_tell(step)) *nonfinite |= w->kernels->any_nonfinite(n, g);
    }
    return sum;
}

/* Reads this share of the gradients: sums of squares, and whether all are finite. For the norm they are cut into a
 * fixed number of parts, so that it does not depend on the threads; without it each share is one part. */
static void read_share(void *context, int index, int count) {
    struct optimizer_walk *w = ((const struct maker *)context)->w;
    const struct schuss_step *step = w->step;
    const int parts = step->clip_norm > 0 ? OPTIMIZER_PARTS : count;
    for (int part = index * parts / count; part < (index + 1) * parts / count; part++) {
        double sum = 0;
        int nonfinite = 0;
        for (struct pieces p = every_piece_of(w, part, parts); next_piece(&p);)
            sum += look_at(w, p.segment, p.from, p.to, &nonfinite);
        if (step->clip_norm > 0) w->part[part] = sum; /* Without the norm there may be more parts than room. */
        note_nonfinite(w, nonfinite);
    }
}

/* What has been read of all gradients. Returns whether they are finite; sets their norm and the factor that clips it. */
static int looked_at(const struct optimizer_walk *w, double *norm, double *factor) {
    const double most = w->step->clip_norm;
    double sum = 0;
    for (int i = 0; most > 0 && i < OPTIMIZER_PARTS; i++) sum += w->part[i];
    *norm = sqrt(sum);
    /* torch's clip_grad_norm_ has the same guard against a norm of zero. */
    *factor = most > 0 && most < *norm + 1e-6 ? most / (*norm + 1e-6) : 1;
    return isfinite(sum) && !atomic_load_explicit(&w->nonfinite, memory_order_relaxed);
}

void optimizer_walk_begin(struct optimizer_walk *w, struct schuss_step *step) {
    w->step = step;
    w->kernels = schuss_kernels(step->dtype);
    w->total = w->by_pieces = w->left = 0;
    for (int i = 0; i < step->n_segments; i++) {
        w->total += step->segments[i].n;
        if (!stepped_whole(step, &step->segments[i])) w->by_pieces += step->segments[i].n;
    }
    w->trials = optimizer_trials(w->total * w->kernels->item);
    w->arrays_time = optimizer_arrays_time(step);
    w->status = SCHUSS_OK;
    w->measures = measures(step);
    atomic_store_explicit(&w->nonfinite, 0, memory_order_relaxed);
}

/* Makes the step, phase by phase. Where a MATRIX rule steps an array whole, the maker is a member of a team. */
static int walk(struct maker *maker) {
    struct optimizer_walk *w = maker->w;
    if (reads_first(w->step)) {
        double norm;
        together(maker, read_share);
        wait_for_all(maker);
        if (!looked_at(w, &norm, &maker->norm_factor)) return SCHUSS_NONFINITE;
        if (w->step->clip_norm > 0 && (!maker->me || maker->me->index == 0)) w->step->grad_norm = norm;
    }
    if (w->measures) {
        together(maker, measure_share);
        wait_for_all(maker);
        alone(maker, finish_share);
        wait_for_all(maker);
        if (w->left) together(maker, update_left_share);
    } else together(maker, update_share);
    if (w->arrays_time > 0)
        note_nonfinite(w, optimizer_update_arrays(w->step, w->kernels, maker->norm_factor, maker->me));
    return SCHUSS_OK;
}

int optimizer_walk_member(struct optimizer_walk *w, struct team *me) {
    struct maker maker = {.w = w, .norm_factor = 1, .me = me};
    return walk(&maker);
}

/* As many shares as are worth waking threads for. */
static struct maker shares_of(struct optimizer_walk *w) {
    const int most = schuss_get_num_threads();
    const int threads = threads_for((double)w->total, ELEMENTS_PER_THREAD,
                                    most < OPTIMIZER_PARTS ? most : OPTIMIZER_PARTS);
    return (struct maker){.w = w, .norm_factor = 1, .threads = threads};
}

int schuss_gradient_norm(struct schuss_step *step) {
    struct optimizer_walk w;
    double factor;
    if (!schuss_kernels(step->dtype)) return SCHUSS_NO_ISA;
    optimizer_walk_begin(&w, step);
    struct maker maker = shares_of(&w);
    together(&maker, read_share);
    return looked_at(&w, &step->grad_norm, &factor) ? SCHUSS_OK : SCHUSS_NONFINITE;
}

int optimizer_threads(const struct optimizer_walk *w, int threads) {
    return w->arrays_time > 0 && w->step->threads < threads ? w->step->threads : threads;
}

static void walk_member(void *context, struct team *me) {
    struct optimizer_walk *w = context;
    const int status = optimizer_walk_member(w, me);
    if (me->index == 0) w->status = status;
}

/* A team costs more to call together than shares do. */
static void walk_as_team(struct optimizer_walk *w) {
    const double time = w->arrays_time + (double)w->total / ELEMENTS_PER_NANOSECOND;
    const int threads = threads_for(time, TIME_PER_THREAD, optimizer_threads(w, schuss_get_num_threads()));
    schuss_team(threads, (int64_t)(time / 4 < PATIENCE ? time / 4 : PATIENCE), walk_member, w);
}

static void walk_as_shares(struct optimizer_walk *w) {
    struct maker maker = shares_of(w);
    w->status = walk(&maker);
}

int schuss_optimizer_step(struct schuss_step *step) {
    struct optimizer_walk w;
    if (!schuss_kernels(step->dtype)) return SCHUSS_NO_ISA;
    optimizer_prepare(step);
    if (step->n_absent) clocks_present(step);
    optimizer_advance(step);
    if (step->histories) rows_histories_follow(step);
    optimizer_walk_begin(&w, step);
    w.arrays_time > 0 ? walk_as_team(&w) : walk_as_shares(&w);
    if (w.status == SCHUSS_OK && step->histories) rows_histories_add(step);
    if (w.status == SCHUSS_OK && step->n_absent) clocks_leave_out(step);
    step->nonfinite = w.status != SCHUSS_OK || atomic_load_explicit(&w.nonfinite, memory_order_relaxed);
    return w.status;
}
