/* Steps and epochs: gather, forward, loss, backward, update, without leaving C. One team makes many steps; its
 * members wait for one another where one needs what others made, and so know the same at the same places. */
#include <math.h>
#include <string.h>

#include "../dense/dense.h"
#include "../thread.h"
#include "batch.h"

enum {
    STEP_WORTH_A_THREAD = 3000, /* nanoseconds: half of a step that two threads share */
    START_WORTH_A_THREAD = 10000, /* nanoseconds: half of the shortest work that a thread is called for */
    LOOK_NANOSECONDS = 20000,   /* between looks at the clock: small steps share one */
    RETRY_NANOSECONDS = 1000000, /* a team that lacks members goes on for so long, then looks for them again */
    STALL_NANOSECONDS = 2000000, /* waited for members that got no CPU: then one thread goes on alone */
    CLEAR_NANOSECONDS = 2000000, /* a step that takes longer on one thread is a team's anyway */
    WHOLE_BYTES = 8192,         /* of parameters that are updated all at once, when all gradients are there */
    COPY_SHARE = 50,            /* a copy of the parameters is taken after this many times its own time */
    PENALTY_BLOCK = 4096        /* elements of an array whose sums are one, whatever the threads */
};

/* What the members of a team share. */
struct run {
    struct schuss_train *t;
    int at_birth;              /* the update is made where gradients are born */
    struct schuss_segment whole; /* all arrays as one, if one thread may update them so; n = 0: not */
    int remembers;             /* a rule's constants depend on steps before */
    int wanted, came;          /* members */
    double step_time;          /* nanoseconds on one thread, roughly */
    int looks;                 /* steps between looks at the clock */
    int64_t deadline;          /* to stop at, after a whole step */
    int stop;
    int status;
    struct optimizer_walk walk;
    atomic_int nonfinite;
};

static struct net_input input_of(const struct schuss_train *t, const struct batch *b) {
    return (struct net_input){b->x, t->net->layers[0].n_in, t->compressed, b->order};
}

/* Gathers a batch and runs it forward. */
static void *begin_step(const struct schuss_train *t, const struct batch *b, ptrdiff_t position, uint64_t draw,
                        enum spread *spread, struct team *me) {
    *spread = b->order ? OWN_ROWS : COMPLETE;
    if (b->order) gather_own(t, b, position, me);
    const struct net_input input = input_of(t, b);
    return net_forward(t->net, t->plan, &input, b->rows, t->flags, draw, NULL, spread, me);
}

/* The losses of the member's own rows, and their gradients. */
static void own_losses(const struct schuss_train *t, const struct batch *b, const void *output, enum spread *spread,
                       struct team *me) {
    const struct share own = own_rows(b->rows, me);
    const ptrdiff_t n_out = t->net->layers[t->net->n_layers - 1].n_out;
    const struct loss_rows l = {&t->loss, n_out, output, b->y, b->weights, b->total, schuss_plan_dout(t->plan)};
    need_own_rows(spread, me);
    t->plan->kernels->loss(&l, own.first, own.end, t->partial);
}

static double mean_loss(const struct schuss_train *t, const struct batch *b) {
    return b->total == 0 ? 0 : dense_loss_sum(b->rows, t->partial) / b->total; /* of NaN weights: NaN */
}

ptrdiff_t schuss_penalty_sums(const struct schuss_step *step, int group) {
    ptrdiff_t blocks = 0;
    for (int i = 0; i < step->n_segments; i++)
        if (step->segments[i].group == group) blocks += (step->segments[i].n + PENALTY_BLOCK - 1) / PENALTY_BLOCK;
    return blocks;
}

/* The member's blocks of what the penalty sums up. */
static void own_penalty(const struct schuss_train *t, const struct team *me) {
    const struct schuss_penalty *penalty = t->penalty;
    const struct kernels *kernels = t->plan->kernels;
    ptrdiff_t block = 0;
    for (int i = 0; penalty && i < t->step->n_segments; i++) {
        const struct schuss_segment *s = &t->step->segments[i];
        for (ptrdiff_t j = 0; s->group == penalty->group && j < s->n; j += PENALTY_BLOCK, block++) {
            if (block % me->count != me->index) continue;
            const ptrdiff_t n = s->n - j < PENALTY_BLOCK ? s->n - j : PENALTY_BLOCK;
            const void *p = (const char *)s->p + j * kernels->item;
            double sum = 0;
            if (penalty->l2 != 0) sum += penalty->l2 / 2 * kernels->sum_squares(n, p, 1, 0);
            if (penalty->l1 != 0) sum += penalty->l1 * kernels->sum_absolute(n, p);
            penalty->sums[block] = sum;
        }
    }
}

/* The penalty in the loss of a batch, once all blocks are summed. */
static double penalty_of(const struct schuss_train *t, const struct batch *b) {
    if (!t->penalty || b->total == 0) return 0;
    double sum = 0;
    const ptrdiff_t blocks = schuss_penalty_sums(t->step, t->penalty->group);
    for (ptrdiff_t i = 0; i < blocks; i++) sum += t->penalty->sums[i];
    return sum / b->total;
}

/* Nanoseconds, roughly, that a copy of all that is kept takes. */
static double copy_time(const struct schuss_train *t) {
    double bytes = 0;
    for (int i = 0; i < t->n_copies; i++) bytes += (double)t->copies[i].bytes;
    return bytes / 10;
}

/* The member's part of the copies. */
static void keep_copies(const struct schuss_train *t, const struct team *me) {
    for (int i = 0; i < t->n_copies; i++) {
        const struct schuss_copy *c = &t->copies[i];
        const ptrdiff_t first = share_start(c->bytes, 4096, me->index, me->count);
        const ptrdiff_t end = share_start(c->bytes, 4096, me->index + 1, me->count);
        memcpy((char *)c->kept + first, (const char *)c->live + first, (size_t)(end - first));
    }
}

/* Backward and update of a batch whose loss is known and whose dout is there, in the member's own rows at least. */
static int end_step(struct run *run, const struct batch *b, ptrdiff_t position, struct net_update *update,
                    struct team *me) {
    struct schuss_train *t = run->t;
    if (position == 0 && t->n_copies && t->unkept >= COPY_SHARE * copy_time(t)) {
        keep_copies(t, me);
        team_wait(me);
        if (me->index == 0) {
            t->unkept = 0;
            t->kept = 1;
        }
    }
    const struct schuss_segment *whole = &run->whole;
    const int at_once = whole->n && me->count == 1;
    const struct net_input input = input_of(t, b);
    net_backward(t->net, t->plan, &input, b->rows, schuss_plan_dout(t->plan), NULL,
                 run->at_birth && !at_once ? update : NULL, me);
    if (at_once) {
        if (t->step->check_first && t->plan->kernels->any_nonfinite(whole->n, whole->g)) return SCHUSS_NONFINITE;
        t->plan->kernels->step(whole, &update->constants, &update->nonfinite);
    }
    if (at_once || run->at_birth) {
        if (update->nonfinite) atomic_store_explicit(&run->nonfinite, 1, memory_order_relaxed);
        return SCHUSS_OK;
    }
    team_wait(me);
    return optimizer_walk_member(&run->walk, me);
}

/* What a step leaves behind for the next, once all members are through with it. Member 0 alone. */
static void count_step(struct run *run, const struct batch *b, double loss) {
    struct schuss_train *t = run->t;
    const double counts = t->by_rows ? (double)b->rows : b->total;
    t->step->t++;
    t->loss_sum += loss * counts;
    t->weight_sum += counts;
    t->position += b->rows;
    t->unkept += run->step_time;
}

static int found_nonfinite(const struct run *run) {
    return atomic_load_explicit(&run->nonfinite, memory_order_relaxed) ||
           atomic_load_explicit(&run->walk.nonfinite, memory_order_relaxed);
}

/* Every group's learning rate of the step at `position`, the penalty's gradient in batch b there, and what rules
 * remember. Member 0 alone, before the others compute constants. */
static void set_rates(const struct schuss_train *t, const struct batch *b, ptrdiff_t position) {
    for (int g = 0; t->lr && g < t->step->n_groups; g++) t->step->groups[g].lr = t->lr[position / t->batch];
    if (t->penalty) {
        struct schuss_group *group = &t->step->groups[t->penalty->group];
        group->penalty1 = b->total == 0 ? 0 : t->penalty->l1 / b->total;
        group->penalty2 = b->total == 0 ? 0 : t->penalty->l2 / b->total;
    }
    optimizer_advance(t->step);
}

/* What member 0 decides before the last wait of a step: whether to stop after it. */
static int time_is_up(struct run *run, const struct team *me, int64_t start, int64_t deadline, int *steps) {
    if (me->stalled < STALL_NANOSECONDS && ++*steps < run->looks) return 0;
    if (!deadline) return 1;
    const int64_t now = thread_nanoseconds();
    *steps = 0;
    if (me->stalled >= STALL_NANOSECONDS && me->stalled > (now - start) / 2) {
        pace_stalled(&run->t->plan->pace);
        return 1;
    }
    return now >= deadline;
}

/* Steps until the epoch ends, it is time to stop, or something is not finite. */
static void run_member(void *context, struct team *me) {
    struct run *run = context;
    struct schuss_train *t = run->t;
    ptrdiff_t position = t->position;
    uint64_t draw = t->draws;
    int64_t number = t->step->t; /* its own: the first member counts on when the others are in the next step */
    const int64_t start = me->index == 0 && run->wanted > 1 ? thread_nanoseconds() : 0;
    const int64_t retry = start + RETRY_NANOSECONDS;
    const int64_t deadline = me->count < run->wanted && retry < run->deadline ? retry : run->deadline;
    double total = -1; /* that the penalty's gradient was set for */
    int steps = 0, status = SCHUSS_OK;
    for (;;) {
        const struct batch b = batch_at(t, position);
        enum spread spread;
        struct net_update update;
        if (t->lr || run->remembers || (t->penalty && b.total != total)) { /* all compute constants from them */
            if (me->index == 0) set_rates(t, &b, position);
            team_wait(me);
        }
        total = b.total;
        if (run->at_birth || run->whole.n) net_update_begin(&update, t->step, number++, t->segments);
        const void *output = begin_step(t, &b, position, draw++, &spread, me);
        own_losses(t, &b, output, &spread, me);
        own_penalty(t, me);
        net_enter_backward(t->net, t->plan, b.rows, t->flags, schuss_plan_dout(t->plan), NULL, me);
        team_wait(me);
        const double loss = mean_loss(t, &b);
        const double penalised = me->index == 0 ? loss + penalty_of(t, &b) : loss;
        if (me->index == 0) t->last_loss = penalised;
        status = isfinite(loss) ? end_step(run, &b, position, &update, me) : SCHUSS_NONFINITE;
        if (status != SCHUSS_OK) break;
        if (me->index == 0) run->stop = time_is_up(run, me, start, deadline, &steps);
        team_wait(me);
        if (found_nonfinite(run)) {
            status = SCHUSS_NONFINITE;
            break;
        }
        if (me->index == 0) count_step(run, &b, penalised);
        position += b.rows;
        if (position >= t->rows || run->stop) break;
    }
    if (me->index > 0) return;
    t->draws = draw;
    t->step->nonfinite = found_nonfinite(run);
    run->status = status;
    run->came = me->count;
}

/* Whether the array lies `bytes` after the first, or neither is there. */
static int lies_along(const void *first, const void *array, ptrdiff_t bytes) {
    return first ? (const char *)array == (const char *)first + bytes : array == NULL;
}

/* All arrays of the step as one, if they are all of the network, in one group, and their states lie as they do: a
 * call of the rule for each would be most of a tiny network's time. Between them are zeros, which stay zeros. */
static struct schuss_segment whole_of(const struct schuss_train *t) {
    const struct schuss_step *step = t->step;
    const struct schuss_net *net = t->net;
    const struct kernels *kernels = t->plan->kernels;
    const ptrdiff_t unit = 16 * kernels->item;
    struct schuss_segment whole = step->segments[0];
    ptrdiff_t end = 0; /* bytes from the first array's start */
    const enum zeros stay = optimizer_rules[step->groups[0].rule].zeros_stay;
    const int divides_zeros = stay == WITH_EPS && !(step->groups[0].eps > 0);
    if (step->n_groups != 1 || whole.p != net->params || stay == NEVER || divides_zeros)
        return (struct schuss_segment){0};
    for (int i = 0; i < step->n_segments; i++) {
        const struct schuss_segment *s = &step->segments[i];
        int fits = (char *)s->p == (char *)whole.p + end;
        for (int k = 0; k < SCHUSS_MAX_STATES; k++) fits &= lies_along(whole.s[k], s->s[k], end);
        for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++) fits &= lies_along(whole.average[k], s->average[k], end);
        end += (s->n * kernels->item + unit - 1) / unit * unit;
        if (!fits || end > WHOLE_BYTES) return (struct schuss_segment){0};
    }
    whole.n = end / kernels->item;
    whole.g = net->grads;
    return whole;
}

static struct run run_of(struct schuss_train *t) {
    struct run run = {
        .t = t,
        .at_birth = t->segments && optimizer_takes_pieces(t->step),
        .remembers = optimizer_remembers(t->step),
        .step_time = plan_step_time(t->net, t->batch),
    };
    optimizer_walk_begin(&run.walk, t->step);
    run.step_time += run.walk.work;
    if (!(t->step->clip_norm > 0) && !run.walk.measures) run.whole = whole_of(t);
    optimizer_prepare(t->step);
    return run;
}

int schuss_train_run(struct schuss_train *t, double seconds) {
    struct run run = run_of(t);
    const double time = run.step_time, left = time * (double)((t->rows - t->position + t->batch - 1) / t->batch);
    /* 0: to stop after the steps of one look */
    const int64_t deadline = seconds > 0 ? thread_nanoseconds() + (int64_t)(1e9 * seconds) : 0;
    /* Threads have to come first: there must be enough to do for them. */
    const int most = optimizer_threads(&run.walk, net_threads(t->plan, left, START_WORTH_A_THREAD));
    const int worth = most > 1 ? net_threads(t->plan, time, STEP_WORTH_A_THREAD) : 1;
    run.looks = 1 + (int)(LOOK_NANOSECONDS / (time + 1));
    const int wanted = most < worth ? most : worth;
    struct pace *pace = wanted > 1 ? &t->plan->pace : NULL;
    int64_t begin = pace ? thread_nanoseconds() : 0;
    for (;;) {
        const ptrdiff_t before = t->position;
        const int clear = time > CLEAR_NANOSECONDS && pace && pace->phase != PACE_HOLD;
        run.wanted = pace && !clear && pace_alone(pace) ? 1 : wanted;
        run.deadline = deadline;
        if (pace && !clear && begin + pace_left(pace) < deadline) run.deadline = begin + pace_left(pace);
        schuss_team(run.wanted, net_patience(left, time), run_member, &run);
        const int ends = run.status != SCHUSS_OK || t->position >= t->rows;
        const int64_t now = pace || !ends ? thread_nanoseconds() : 0;
        if (pace && run.came < run.wanted) pace_missed(pace);
        else if (pace && !clear && run.status == SCHUSS_OK && pace_alone(pace) == (run.wanted == 1)) /* none stalled */
            pace_count(pace, (double)((t->position - before + t->batch - 1) / t->batch), now - begin);
        begin = now;
        if (ends) return run.status;
        if (!deadline || now >= deadline) return SCHUSS_MORE;
    }
}

/* ---- one step in two halves, with a loss from elsewhere between them ----------------------------------------- */

static void begin_member(void *context, struct team *me) {
    struct schuss_train *t = context;
    const struct batch b = batch_at(t, t->position);
    enum spread spread;
    begin_step(t, &b, t->position, t->draws, &spread, me);
}

void schuss_train_begin(struct schuss_train *t) {
    const struct batch b = batch_at(t, t->position);
    const double time = plan_forward_time(t->net, b.rows);
    schuss_team(net_threads(t->plan, time, START_WORTH_A_THREAD), net_patience(time, time), begin_member, t);
    t->draws++;
    t->current_rows = b.rows;
    t->current_x = b.x;
    t->current_y = b.y;
    t->current_weights = b.weights;
    t->current_total = b.total;
}

double schuss_train_loss(struct schuss_train *t) {
    const struct schuss_net *net = t->net;
    const double sum = schuss_loss_value(net->dtype, &t->loss, t->current_rows, net->layers[net->n_layers - 1].n_out,
                                         schuss_plan_output(net, t->plan), t->current_y, t->current_weights,
                                         t->current_total, schuss_plan_dout(t->plan), t->partial);
    return t->current_total == 0 ? 0 : sum / t->current_total;
}

static void end_member(void *context, struct team *me) {
    struct run *run = context;
    const struct schuss_train *t = run->t;
    const struct batch b = batch_at(t, t->position);
    net_enter_backward(t->net, t->plan, b.rows, t->flags, schuss_plan_dout(t->plan), NULL, me);
    team_wait(me);
    struct net_update update;
    if (run->at_birth || run->whole.n) net_update_begin(&update, t->step, t->step->t, t->segments);
    const int status = end_step(run, &b, t->position, &update, me);
    if (me->index == 0) run->status = status;
}

int schuss_train_end(struct schuss_train *t, double loss) {
    const struct batch b = batch_at(t, t->position);
    struct run run = run_of(t);
    const double time = 2 * plan_forward_time(t->net, b.rows) + run.walk.work;
    const int threads = optimizer_threads(&run.walk, net_threads(t->plan, time, START_WORTH_A_THREAD));
    t->last_loss = loss;
    if (!isfinite(loss)) return SCHUSS_NONFINITE;
    if (t->penalty) own_penalty(t, &(struct team){.index = 0, .count = 1});
    t->last_loss = loss += penalty_of(t, &b);
    if (t->lr || run.remembers || t->penalty) set_rates(t, &b, t->position);
    schuss_team(threads, net_patience(time, time), end_member, &run);
    t->step->nonfinite = found_nonfinite(&run);
    if (run.status != SCHUSS_OK || t->step->nonfinite) return SCHUSS_NONFINITE;
    count_step(&run, &b, loss);
    return SCHUSS_OK;
}
