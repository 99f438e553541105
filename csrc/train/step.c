/* One training step: gather, forward, loss, backward, update. */
#include "step.h"

#include <math.h>
#include <string.h>

#include "../dense/dense.h"
#include "../optim/rows.h"
#include "copies.h"
#include "penalty.h"

enum { WHOLE_BYTES = 8192 /* of parameters that are updated all at once, when all gradients are there */ };

/* Whether the array lies `bytes` after the first, or neither is there. */
static int lies_along(const void *first, const void *array, ptrdiff_t bytes) {
    return first ? (const char *)array == (const char *)first + bytes : array == NULL;
}

/* All arrays of the step as one, if they are all of the network, of one clock, and their states lie as they do: a
 * call of the rule for each would be most of a tiny network's time. Between them are zeros, which stay zeros. */
static struct schuss_segment whole_of(const struct schuss_train *t) {
    const struct schuss_step *step = t->step;
    const struct schuss_net *net = t->net;
    const struct kernels *kernels = t->plan->kernels;
    const ptrdiff_t unit = 16 * kernels->item;
    struct schuss_segment whole = step->segments[0];
    ptrdiff_t end = 0; /* bytes from the first array's start */
    const enum zeros stay = optimizer_rules[step->groups[0].rule]->zeros_stay;
    const int divides_zeros = stay == WITH_EPS && !(step->groups[0].eps > 0);
    if (clocks_of(step) != 1 || whole.p != net->params || stay == NEVER || divides_zeros)
        return (struct schuss_segment){0};
    for (int i = 0; i < step->n_segments; i++) {
        const struct schuss_segment *s = &step->segments[i];
        int fits = !s->stored && (char *)s->p == (char *)whole.p + end;
        for (int k = 0; k < SCHUSS_MAX_STATES; k++) fits &= lies_along(whole.s[k], s->s[k], end);
        for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++) fits &= lies_along(whole.average[k], s->average[k], end);
        end += (s->n * kernels->item + unit - 1) / unit * unit;
        if (!fits || end > WHOLE_BYTES) return (struct schuss_segment){0};
    }
    whole.n = end / kernels->item;
    whole.g = net->grads;
    return whole;
}

/* For the step at `position`. */
static void set_dropout(const struct schuss_train *t, ptrdiff_t position) {
    plan_set_dropout(t->plan, t->dropouts ? t->dropouts[position / t->batch] : t->net->dropout_factor);
}

/* Whether an array is stepped by the rows alone that a batch touches. */
static int points_at_rows(const struct schuss_train *t) {
    for (int k = 0; k < t->plan->n_tables; k++)
        if (!t->plan->tables[k].dense) return 1;
    return 0;
}

struct run run_of(struct schuss_train *t) {
    struct run run = {
        .t = t,
        .at_birth = t->segments && !t->step->histories && optimizer_goes_by_pieces(t->step),
        .sets_rates = t->lr || t->decays || t->dropouts || optimizer_remembers(t->step),
        .step_time = plan_step_time(t->plan, t->batch),
    };
    optimizer_walk_begin(&run.walk, t->step);
    run.step_time += run.walk.arrays_time;
    if (!(t->step->clip_norm > 0) && !run.walk.measures && !t->step->histories && !points_at_rows(t)) run.whole = whole_of(t);
    optimizer_prepare(t->step);
    if (t->step->histories) rows_histories_follow(t->step);
    set_dropout(t, t->position);
    return run;
}

void step_set_rates(const struct schuss_train *t, const struct batch *b, ptrdiff_t position) {
    for (int g = 0; t->lr && g < t->step->n_groups; g++)
        t->step->groups[g].lr = t->lr[position / t->batch] * t->step->groups[g].lr_factor;
    for (int g = 0; t->decays && g < t->step->n_groups; g++)
        if (t->decays[g]) t->step->groups[g].weight_decay = t->decays[g][position / t->batch];
    if (t->dropouts) set_dropout(t, position);
    if (t->penalty) {
        struct schuss_group *group = &t->step->groups[t->penalty->group];
        group->penalty1 = b->total == 0 ? 0 : t->penalty->l1 / b->total;
        group->penalty2 = b->total == 0 ? 0 : t->penalty->l2 / b->total;
    }
    optimizer_advance(t->step);
}

static struct outside outside_of(const struct schuss_train *t, const struct batch *b, uint64_t draw) {
    return (struct outside){
        .inputs = b->inputs, .gathered = b->order != NULL, .rows = b->rows, .flags = t->flags, .draw = draw,
        .train = t,
    };
}

const void *step_begin(const struct schuss_train *t, struct batch *b, ptrdiff_t position, uint64_t draw,
                       struct team *me) {
    if (b->order) gather_own(t, b, position, draw, me);
    const struct outside outside = outside_of(t, b, draw);
    return net_forward(t->plan, &outside, me);
}

/* to[n x members x bytes]: each of from[n x bytes] so many times. */
static void repeat(ptrdiff_t n, ptrdiff_t members, ptrdiff_t bytes, const char *from, char *to) {
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t m = 0; m < members; m++, to += bytes) memcpy(to, from + i * bytes, (size_t)bytes);
}

/* How many rows of the loss a row of a batch is. */
static ptrdiff_t rows_of_loss(const struct schuss_net *net) {
    const struct schuss_node *last = &net->nodes[net->n_nodes - 1];
    return last->members * last->positions;
}

/* What the weights of the batch's rows of the loss add up to. Members have that of their row, positions their own. */
static double total_of_loss(const struct schuss_train *t, const struct batch *b) {
    const struct schuss_node *last = &t->net->nodes[t->net->n_nodes - 1];
    return b->total * (double)(b->weights ? last->members : last->members * last->positions);
}

/* Rows [first, end) of a batch as its loss gets them: members have the targets and the weight of their row, positions
 * their own. */
static struct loss_rows rows_for_loss(const struct schuss_train *t, const struct batch *b, const void *output,
                                      ptrdiff_t first, ptrdiff_t end) {
    const struct schuss_node *last = &t->net->nodes[t->net->n_nodes - 1];
    const ptrdiff_t members = last->members, bytes = t->y_row_bytes;
    struct loss_rows l = {&t->loss, last->channels, output, b->y, b->weights, total_of_loss(t, b),
                          schuss_plan_dout(t->plan)};
    if (members == 1) return l;
    const ptrdiff_t doubles = (ptrdiff_t)sizeof(double);
    char *weights = t->plan->memory + buffer_of(t->plan, t->net->n_nodes - 1, KEPT)->at;
    char *y = weights + b->rows * members * doubles;
    repeat(end - first, members, bytes, (const char *)b->y + first * bytes, y + first * members * bytes);
    if (b->weights)
        repeat(end - first, members, doubles, (const char *)(b->weights + first), weights + first * members * doubles);
    l.target = y;
    l.weights = b->weights ? (const double *)(const void *)weights : NULL;
    return l;
}

void step_losses(const struct schuss_train *t, const struct batch *b, const void *output, struct team *me) {
    const struct share own = own_rows(b->rows, me);
    const ptrdiff_t each = rows_of_loss(t->net);
    const struct loss_rows l = rows_for_loss(t, b, output, own.first, own.end);
    t->plan->kernels->loss(&l, own.first * each, own.end * each, t->partial);
}

void step_enter(const struct schuss_train *t, const struct batch *b, struct team *me) {
    const struct outside outside = outside_of(t, b, 0);
    net_enter_backward(t->plan, &outside, me);
}

double step_loss(const struct schuss_train *t, const struct batch *b) {
    const double total = total_of_loss(t, b);
    return total == 0 ? 0 : dense_loss_sum(b->rows * rows_of_loss(t->net), t->partial) / total; /* of NaN weights: NaN */
}

/* Points the optimizer's segments at the rows that the batch has touched, and at their gradients. */
static void point_at_rows(struct run *run) {
    const struct schuss_train *t = run->t;
    for (int k = 0; k < t->plan->n_tables; k++) {
        const struct table *table = &t->plan->tables[k];
        if (table->dense) continue;
        struct schuss_segment *s = &t->step->segments[t->segments[table->array]];
        s->index = table->index;
        s->g = table->values;
        s->cols = table->cols;
        s->n = table->n * table->cols;
    }
    optimizer_walk_begin(&run->walk, t->step);
}

int step_end(struct run *run, const struct batch *b, ptrdiff_t position, struct births *births, struct team *me) {
    struct schuss_train *t = run->t;
    if (position == t->start) make_copies(t, me);
    const struct schuss_segment *whole = &run->whole;
    const int at_once = whole->n && me->count == 1;
    const struct outside outside = outside_of(t, b, 0);
    net_backward(t->plan, &outside, run->at_birth && !at_once ? births : NULL, me);
    if (at_once) {
        if (t->step->check_first && t->plan->kernels->any_nonfinite(whole->n, whole->g)) return SCHUSS_NONFINITE;
        t->plan->kernels->step(whole, &births->constants, &births->nonfinite);
    }
    if (at_once || run->at_birth) {
        if (births->nonfinite) atomic_store_explicit(&run->nonfinite, 1, memory_order_relaxed);
        return SCHUSS_OK;
    }
    team_wait(me);
    if (points_at_rows(t)) {
        if (me->index == 0) point_at_rows(run);
        team_wait(me);
    }
    return optimizer_walk_member(&run->walk, me);
}

void step_count(struct run *run, const struct batch *b, double loss) {
    struct schuss_train *t = run->t;
    const double counts = t->counts_rows ? (double)b->rows : b->total;
    if (t->step->histories) rows_histories_add(t->step);
    t->step->t++;
    t->loss_sum += loss * counts;
    t->weight_sum += counts;
    t->position += b->rows;
    t->since_copied += run->step_time;
}

int step_found_nonfinite(const struct run *run) {
    return atomic_load_explicit(&run->nonfinite, memory_order_relaxed) ||
           atomic_load_explicit(&run->walk.nonfinite, memory_order_relaxed);
}

/* ---- one step in two halves, with a loss from elsewhere between them --------------------------------------------- */

static void begin_member(void *context, struct team *me) {
    struct schuss_train *t = context;
    struct batch b;
    batch_at(t, t->position, &b);
    step_begin(t, &b, t->position, t->draws, me);
}

void schuss_train_begin(struct schuss_train *t) {
    struct batch b;
    batch_at(t, t->position, &b);
    const double time = plan_forward_time(t->plan, b.rows);
    set_dropout(t, t->position);
    schuss_team(net_threads(t->plan, time, START_WORTH_A_THREAD), net_patience(time, time), begin_member, t);
    t->draws++;
    t->current_rows = b.rows;
    t->current_y = b.y;
    t->current_weights = b.weights;
    t->current_total = b.total;
}

double schuss_train_loss(struct schuss_train *t) {
    const struct batch b = {.rows = t->current_rows, .y = t->current_y, .weights = t->current_weights,
                            .total = t->current_total};
    const struct loss_rows l = rows_for_loss(t, &b, schuss_plan_output(t->plan), 0, b.rows);
    const double sum = schuss_loss_value(t->net->dtype, &t->loss, b.rows * rows_of_loss(t->net), l.cols, l.prediction,
                                         l.target, l.weights, l.total, l.gradient, t->partial);
    return l.total == 0 ? 0 : sum / l.total;
}

static void end_member(void *context, struct team *me) {
    struct run *run = context;
    const struct schuss_train *t = run->t;
    struct batch b;
    batch_at(t, t->position, &b);
    const struct outside outside = outside_of(t, &b, 0);
    net_group(t->plan, &outside, me);
    step_enter(t, &b, me);
    team_wait(me);
    struct births births;
    if (run->at_birth || run->whole.n) births_begin(&births, t->step, t->step->t, t->segments);
    const int status = step_end(run, &b, t->position, &births, me);
    if (me->index == 0) run->status = status;
}

int schuss_train_end(struct schuss_train *t, double loss) {
    struct batch b;
    batch_at(t, t->position, &b);
    struct run run = run_of(t);
    const double time = 2 * plan_forward_time(t->plan, b.rows) + run.walk.arrays_time;
    const int threads = optimizer_threads(&run.walk, net_threads(t->plan, time, START_WORTH_A_THREAD));
    const int is_finite = isfinite(loss);
    if (is_finite && t->penalty) {
        penalty_own(t, &(struct team){.index = 0, .count = 1});
        loss += penalty_of(t, b.total);
    }
    t->last_loss = loss;
    if (t->losses) t->losses[(t->position + t->batch - 1) / t->batch] = loss;
    if (!is_finite) return SCHUSS_NONFINITE;
    if (run.sets_rates || t->penalty) step_set_rates(t, &b, t->position);
    schuss_team(threads, net_patience(time, time), end_member, &run);
    t->step->nonfinite = step_found_nonfinite(&run);
    if (run.status != SCHUSS_OK || t->step->nonfinite) return SCHUSS_NONFINITE;
    step_count(&run, &b, loss);
    return SCHUSS_OK;
}
