/* Steps that rows have missed. Rows are caught up in blocks, in the order of how much they have missed: so those that
 * make a step are neighbours, and one call of the rule steps them. */
#include <math.h>
#include <string.h>

#include "block.h"
#include "constants.h"
#include "power.h"
#include "rows.h"

enum {
    LITERAL = 1024,           /* At least so many missed steps are made as they are. */
    TIME_PER_THREAD = 20000,  /* Fewer nanoseconds are not worth waking a thread, */
    ELEMENTS_PER_NANOSECOND = 2 /* roughly, if little was missed. */
};

/* ---- histories ---- */

void rows_history_begin(struct rows_history *h, int64_t t) {
    h->first = t;
    h->n = 0;
    h->moved = h->literal = h->latest = 0;
}

/* How many missed steps have to be made as they are before what is left out of the closed form is nothing. */
static ptrdiff_t window_of(const struct coast *k) {
    const double steps = k->fade > 0 && k->fade < 1 ? ceil(k->nothing / log(k->fade)) + 1 : 0;
    return steps > LITERAL ? (ptrdiff_t)steps : LITERAL;
}

/* Whether what does not move from step to step is the same. */
static int same_settings(const struct rule_constants *a, const struct rule_constants *b) {
    return a->rule == b->rule && a->nesterov == b->nesterov && a->centered == b->centered && a->amsgrad == b->amsgrad &&
           a->limit == b->limit && a->exponent == b->exponent && a->shrink == b->shrink && a->momentum == b->momentum &&
           a->beta1 == b->beta1 && a->beta2 == b->beta2 && a->beta3 == b->beta3 && a->eps == b->eps &&
           a->inner_eps == b->inner_eps;
}

/* Whether such a step leaves a row without a gradient as it is. */
static int stands_still(const struct rule_constants *c, const struct coast *k) {
    if (k->latest) return c->step_size == 0;
    return k->p_of_p == 1 && k->p_of_s == 0 && k->s_of_p == 0 && k->s_of_s == 1 && k->others[0] == 1 && k->others[1] == 1;
}

static void begin_base(struct rows_history *h, const struct rule_constants *c, const struct coast *k) {
    h->base = *c;
    h->base.scale = h->base.grad_scale = h->base.factor = 1;
    h->base.clip_value = 0;
    h->base.zero_grad = 0;
    h->base.seen = 1;
    for (int i = 0; i < SCHUSS_MAX_AVERAGES; i++) h->base.average_weight[i] = 0;
    h->window = window_of(k);
}

int rows_history_add(struct rows_history *h, const struct rule_constants *c) {
    const int64_t t = h->first + h->n;
    struct coast k;
    if (h->n == ROWS_HISTORY || (h->n && !same_settings(&h->base, c))) return 0;
    const int closed = optimizer_rules[c->rule]->coast(c, &k);
    if (h->n == 0) begin_base(h, c, &k);
    if (!closed) h->moved = h->literal = t;
    else if (!stands_still(c, &k)) {
        h->moved = t;
        if (k.latest) h->latest = t;
    }
    h->moves[h->n++] = (struct rows_move){
        .step_size = c->step_size,
        .sqrt_correction = c->sqrt_correction,
        .keep = c->keep,
        .l2 = c->l2,
        .l1 = c->l1,
        .velocity = c->velocity,
        .one_minus_dampening = c->one_minus_dampening,
        .offset = c->offset,
        .first = c->first,
        .negative = (c->scale < 0) != (c->grad_scale < 0),
    };
    return 1;
}

/* The constants of step t, in c, which is a copy of the history's base. */
static const struct rows_move *move_to(const struct rows_history *h, int64_t t, struct rule_constants *c) {
    const struct rows_move *m = &h->moves[t - h->first];
    c->step_size = m->step_size;
    c->sqrt_correction = m->sqrt_correction;
    c->keep = m->keep;
    c->l2 = m->l2;
    c->l1 = m->l1;
    c->velocity = m->velocity;
    c->one_minus_dampening = m->one_minus_dampening;
    c->offset = m->offset;
    c->first = m->first;
    return m;
}

/* ---- a block of rows ---- */

/* A row and the step that it is of. */
struct late {
    int64_t last, row;
};

/* Rows side by side, of `width` elements each, those that have missed most first. */
struct late_rows {
    const struct kernels *kernels;
    const struct rows_history *history;
    struct schuss_segment rows;
    ptrdiff_t width;
    const struct late *late;
    char *zeros;  /* [ROWS_BLOCK] bytes */
    int negative; /* what they are: -0; -1: not filled */
};

static void fill_zeros(struct late_rows *l, int negative) {
    if (l->negative == negative) return;
    l->negative = negative;
    for (ptrdiff_t i = 0; i < ROWS_BLOCK / l->kernels->item; i++) {
        if (l->kernels->dtype == SCHUSS_F32) ((float *)(void *)l->zeros)[i] = negative ? -0.0F : 0.0F;
        else ((double *)(void *)l->zeros)[i] = negative ? -0.0 : 0.0;
    }
}

/* Rows [from, to) make step t. */
static void make_step(struct late_rows *l, int64_t t, ptrdiff_t from, ptrdiff_t to, struct rule_constants *c) {
    const int by_row = optimizer_rules[c->rule]->by_row;
    struct schuss_segment rows = segment_rows(&l->rows, by_row, l->width, from, to - from, l->kernels->item);
    int nonfinite = 0;
    fill_zeros(l, move_to(l->history, t, c)->negative);
    rows.g = by_row ? NULL : l->zeros;
    stepper_of(l->kernels, c)(&rows, c, &nonfinite);
}

/* Rows [from, to) make the first `window` of the steps that they have missed until t; window < 0: all. */
static void make_steps(struct late_rows *l, int64_t t, ptrdiff_t from, ptrdiff_t to, ptrdiff_t window,
                       struct rule_constants *c) {
    ptrdiff_t low = from, high = from;
    for (int64_t now = from < to ? l->late[from].last + 1 : t + 1; now <= t; now++) {
        while (high < to && l->late[high].last < now) high++;
        while (window >= 0 && low < high && l->late[low].last + window < now) low++;
        if (low < high) make_step(l, now, low, high, c);
        else if (high < to) now = l->late[high].last; /* the next of its steps is the next to be made */
        else break;
    }
}

/* k is what comes after a step of which `step` is known, and becomes both. */
static void put_before(double *k, const struct coast *step) {
    const double p_of_p = k[0] * step->p_of_p + k[1] * step->s_of_p, p_of_s = k[0] * step->p_of_s + k[1] * step->s_of_s;
    const double s_of_p = k[2] * step->p_of_p + k[3] * step->s_of_p, s_of_s = k[2] * step->p_of_s + k[3] * step->s_of_s;
    k[0] = p_of_p;
    k[1] = p_of_s;
    k[2] = s_of_p;
    k[3] = s_of_s;
    k[4] *= step->others[0];
    k[5] *= step->others[1];
}

/* Rows [from, to) make all steps after the first `window` that they have missed, in closed form: the products over steps
 * grow from the last step backwards, from row to row. */
static void make_rest(struct late_rows *l, int64_t t, ptrdiff_t from, ptrdiff_t to, ptrdiff_t window,
                      struct rule_constants *c) {
    const struct rule *rule = optimizer_rules[c->rule];
    double k[6] = {1, 0, 0, 1, 1, 1};
    int64_t now = t;
    while (to > from && l->late[to - 1].last + window >= t) to--;
    for (ptrdiff_t i = to - 1; i >= from; i--) {
        for (; now > l->late[i].last + window; now--) {
            struct coast step;
            move_to(l->history, now, c);
            rule->coast(c, &step);
            put_before(k, &step);
        }
        const struct schuss_segment row = segment_rows(&l->rows, rule->by_row, l->width, i, 1, l->kernels->item);
        l->kernels->coast(l->width, k, row.p, rule->by_row ? NULL : row.s[0], row.s[1], row.s[2]);
    }
}

/* How many of n rows are of steps before t. */
static ptrdiff_t before(const struct late *late, ptrdiff_t n, int64_t t) {
    while (n > 0 && late[n - 1].last >= t) n--;
    return n;
}

/* n rows make all steps until t. Those that have missed one without a closed form make each of them. */
static void make_up(struct late_rows *l, int64_t t, ptrdiff_t n) {
    const struct rows_history *h = l->history;
    struct rule_constants c = h->base;
    const ptrdiff_t each = before(l->late, n, h->literal);
    make_steps(l, t, 0, each, -1, &c);
    if (h->latest) {
        const ptrdiff_t end = before(l->late, n, h->latest);
        if (each < end) make_step(l, h->latest, each, end, &c);
        return;
    }
    make_steps(l, t, each, n, h->window, &c);
    make_rest(l, t, each, n, h->window, &c);
}

/* late[n] in increasing order of `last`; room[n]. Rows of the same step stay in their order. */
static void sort(struct late *late, ptrdiff_t n, struct late *room) {
    for (ptrdiff_t width = 1; width < n; width *= 2) {
        for (ptrdiff_t start = 0; start < n; start += 2 * width) {
            const ptrdiff_t middle = start + width < n ? start + width : n, end = middle + width < n ? middle + width : n;
            for (ptrdiff_t i = start, a = start, b = middle; i < end; i++)
                room[i] = a < middle && (b == end || late[a].last <= late[b].last) ? late[a++] : late[b++];
        }
        memcpy(late, room, (size_t)n * sizeof *late);
    }
}

/* What catches rows up, and its room. */
struct catching {
    struct late_rows l;
    struct block block;
    struct late late[ROWS_TOGETHER], room[ROWS_TOGETHER];
    int64_t index[ROWS_TOGETHER];
};

/* n late rows of the segment, where there is room for their copies. */
static void catch_up_block(struct catching *k, int64_t t, ptrdiff_t n) {
    sort(k->late, n, k->room);
    for (ptrdiff_t i = 0; i < n; i++) k->index[i] = k->late[i].row;
    fill_block(&k->block, n, k->index);
    k->l.rows = k->block.here;
    make_up(&k->l, t, n);
    empty_block(&k->block, n, k->index);
}

/* A late row where it lies, in parts that lie in L1 unless the rule needs the whole row. */
static void catch_up_in_place(struct catching *k, const struct schuss_segment *s, int64_t t) {
    const int by_row = optimizer_rules[k->l.history->base.rule]->by_row;
    const ptrdiff_t item = k->l.kernels->item, part = by_row ? s->cols : ROWS_BLOCK / item;
    const struct schuss_segment row = segment_rows(s, by_row, s->cols, k->late[0].row, 1, item);
    for (ptrdiff_t i = 0; i < s->cols; i += part) {
        k->l.width = s->cols - i < part ? s->cols - i : part;
        k->l.rows = by_row ? row : segment_piece(&row, i, i + k->l.width, item);
        make_up(&k->l, t, 1);
    }
}

void rows_catch_up(const struct kernels *kernels, const struct schuss_segment *s, const struct rows_history *h, int64_t t,
                   ptrdiff_t n, const int64_t *index, void *scratch) {
    struct catching k;
    const int fits = 2 * s->cols * kernels->item <= ROWS_BLOCK;
    ptrdiff_t late = 0, most = 1;
    if (s->cols == 0 || h->n == 0) return;
    k.l = (struct late_rows){.kernels = kernels, .history = h, .width = s->cols, .late = k.late, .negative = -1};
    k.l.zeros = (char *)scratch + ROWS_ARRAYS * ROWS_BLOCK;
    if (fits) {
        block_of(&k.block, s, h->base.rule, kernels->item, scratch);
        most = k.block.most < ROWS_TOGETHER ? k.block.most : ROWS_TOGETHER;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        const int64_t row = index ? index[i] : i, last = s->last[row];
        if (last < t) s->last[row] = t;
        if (last < h->moved) k.late[late++] = (struct late){.last = last, .row = row};
        if (late < most && (i < n - 1 || late == 0)) continue;
        if (fits) catch_up_block(&k, t, late);
        else catch_up_in_place(&k, s, t);
        late = 0;
    }
}

/* ---- histories of a step ---- */

struct rows_history *rows_history_of(const struct schuss_step *step, int group) {
    const int exact = step->histories && step->groups[group].rows == SCHUSS_ROWS_EXACT;
    return exact ? (struct rows_history *)step->histories + group : NULL;
}

ptrdiff_t schuss_histories_bytes(const struct schuss_step *step) {
    int exact = 0;
    for (int i = 0; i < step->n_groups; i++) exact |= step->groups[i].rows == SCHUSS_ROWS_EXACT;
    return exact ? step->n_groups * (ptrdiff_t)sizeof(struct rows_history) : 0;
}

/* All rows of the group's arrays are of step t. */
static void all_stepped(struct schuss_step *step, int group, int64_t t) {
    for (int i = 0; i < step->n_segments; i++) {
        const struct schuss_segment *s = &step->segments[i];
        if (s->last && s->group == group) rows_stepped(s, t, s->ndim ? s->shape[0] : 1, NULL);
    }
}

static void begin(struct schuss_step *step, int group) {
    all_stepped(step, group, step->t - 1);
    rows_history_begin(rows_history_of(step, group), step->t);
}

void schuss_histories_begin(struct schuss_step *step) {
    for (int i = 0; i < step->n_groups; i++)
        if (rows_history_of(step, i)) begin(step, i);
}

void rows_histories_follow(struct schuss_step *step) {
    for (int i = 0; i < step->n_groups; i++) {
        const struct rows_history *h = rows_history_of(step, i);
        if (h && h->first + h->n != step->t) begin(step, i);
    }
}

/* Rows of one segment, shared by threads. */
struct shared_rows {
    const struct kernels *kernels;
    struct schuss_segment s;
    const struct rows_history *history;
    int64_t t;
    ptrdiff_t n;
    const int64_t *index;
};

static void catch_up_share(void *context, int index, int count) {
    const struct shared_rows *r = context;
    const ptrdiff_t first = share_start(r->n, 1, index, count), n = share_start(r->n, 1, index + 1, count) - first;
    const int by_row = optimizer_rules[r->history->base.rule]->by_row;
    _Alignas(64) char scratch[ROWS_SCRATCH];
    if (r->index) rows_catch_up(r->kernels, &r->s, r->history, r->t, n, r->index + first, scratch);
    else {
        const struct schuss_segment rows = segment_rows(&r->s, by_row, r->s.cols, first, n, r->kernels->item);
        rows_catch_up(r->kernels, &rows, r->history, r->t, n, NULL, scratch);
    }
}

/* Rows of a segment up to step t, the last of its group's history. */
static void catch_up(const struct schuss_step *step, const struct schuss_segment *s, int64_t t, ptrdiff_t n,
                     const int64_t *index) {
    const struct rows_history *h = rows_history_of(step, s->group);
    if (!s->last || !h || !h->moved || n == 0) return;
    struct shared_rows r = {schuss_kernels(step->dtype), *s, h, t, n, index};
    r.s.cols = row_length(s);
    const double time = (double)(n * r.s.cols) / ELEMENTS_PER_NANOSECOND;
    schuss_parallel(threads_for(time, TIME_PER_THREAD, schuss_get_num_threads()), catch_up_share, &r);
}

void schuss_catch_up(struct schuss_step *step, int segment, ptrdiff_t n, const int64_t *index) {
    catch_up(step, &step->segments[segment], step->t - 1, n, index);
}

static void catch_up_group(const struct schuss_step *step, int group, int64_t t) {
    for (int i = 0; i < step->n_segments; i++) {
        const struct schuss_segment *s = &step->segments[i];
        if (s->group == group && s->last) catch_up(step, s, t, s->ndim ? s->shape[0] : 1, NULL);
    }
}

void schuss_catch_up_all(struct schuss_step *step) {
    for (int i = 0; i < step->n_groups; i++) catch_up_group(step, i, step->t - 1);
}

void rows_histories_add(struct schuss_step *step) {
    for (int i = 0; i < step->n_groups; i++) {
        struct rows_history *h = rows_history_of(step, i);
        struct rule_constants c;
        if (!h) continue;
        optimizer_constants(step, i, i, step->t, 1, &c);
        if (rows_history_add(h, &c)) continue;
        catch_up_group(step, i, step->t - 1);
        rows_history_begin(h, step->t);
        rows_history_add(h, &c);
    }
}
