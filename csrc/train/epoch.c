/* Epochs: steps without leaving C. One team makes many steps; its members wait for one another where one needs what
 * others made, and so know the same at the same places. */
#include <math.h>

#include "../dense/dense.h"
#include "../thread.h"
#include "kept.h"
#include "penalty.h"
#include "step.h"

enum {
    STEP_WORTH_A_THREAD = 3000, /* nanoseconds: half of a step that two threads share */
    LOOK_NANOSECONDS = 20000,   /* between looks at the clock: small steps share one */
    RETRY_NANOSECONDS = 1000000, /* a team that lacks members goes on for so long, then looks for them again */
    STALL_NANOSECONDS = 2000000, /* waited for members that got no CPU: then one thread goes on alone */
    CLEAR_NANOSECONDS = 2000000, /* a step that takes longer on one thread is a team's anyway */
    IDLE_NANOSECONDS = 2000000   /* a thread that has no training left waits at most so long, or a step, for the others */
};

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
    return now >= deadline || (run->hurry && now >= atomic_load_explicit(run->hurry, memory_order_relaxed));
}

/* Steps until the epoch ends, it is time to stop, or something is not finite. */
static void run_member(void *context, struct team *me) {
    struct run *run = context;
    struct schuss_train *t = run->t;
    ptrdiff_t position = t->position;
    uint64_t draw = t->draws;
    double *losses = t->losses ? t->losses + (position + t->batch - 1) / t->batch : NULL; /* of the next batch */
    int64_t number = t->step->t; /* its own: the first member counts on when the others are in the next step */
    const int64_t start = me->index == 0 && run->wanted > 1 ? thread_nanoseconds() : 0;
    const int64_t retry = start + RETRY_NANOSECONDS;
    const int64_t deadline = me->count < run->wanted && retry < run->deadline ? retry : run->deadline;
    double total = -1; /* that the penalty's gradient was set for */
    int steps = 0, status = SCHUSS_OK;
    for (;;) {
        struct batch b;
        batch_at(t, position, &b);
        struct births births;
        if (run->sets_rates || (t->penalty && b.total != total)) { /* all compute constants from them */
            if (me->index == 0) step_set_rates(t, &b, position);
            team_wait(me);
        }
        total = b.total;
        if (run->at_birth || run->whole.n) births_begin(&births, t->step, number++, t->segments);
        const void *output = step_begin(t, &b, position, draw++, me);
        step_losses(t, &b, output, me);
        penalty_own(t, me);
        step_enter(t, &b, me);
        team_wait(me);
        const double loss = step_loss(t, &b);
        const double penalised = me->index == 0 ? loss + penalty_of(t, b.total) : loss;
        if (me->index == 0) {
            t->last_loss = penalised;
            if (losses) *losses++ = penalised;
        }
        status = isfinite(loss) ? step_end(run, &b, position, &births, me) : SCHUSS_NONFINITE;
        if (status != SCHUSS_OK) break;
        if (me->index == 0) run->stop = time_is_up(run, me, start, deadline, &steps) || (t->n_kept && !keeps_have_room(t));
        team_wait(me);
        if (step_found_nonfinite(run)) {
            status = SCHUSS_NONFINITE;
            break;
        }
        if (me->index == 0) step_count(run, &b, penalised);
        position += b.rows;
        if (position >= t->rows || run->stop) break;
    }
    if (me->index > 0) return;
    t->draws = draw;
    t->step->nonfinite = step_found_nonfinite(run);
    run->status = status;
    run->came = me->count;
}

/* How many steps go by between looks at the clock. */
static int looks_of(double step_time) { return 1 + (int)(LOOK_NANOSECONDS / (step_time + 1)); }

int schuss_train_run(struct schuss_train *t, double seconds) {
    struct run run = run_of(t);
    const double time = run.step_time, left = time * (double)((t->rows - t->position + t->batch - 1) / t->batch);
    /* 0: to stop after the steps of one look */
    const int64_t deadline = seconds > 0 ? thread_nanoseconds() + (int64_t)(1e9 * seconds) : 0;
    /* Threads have to come first: there must be enough to do for them. */
    const int most = optimizer_threads(&run.walk, net_threads(t->plan, left, START_WORTH_A_THREAD));
    const int worth = most > 1 ? net_threads(t->plan, time, STEP_WORTH_A_THREAD) : 1;
    run.looks = looks_of(time);
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
        if (!deadline || now >= deadline || !keeps_have_room(t)) return SCHUSS_MORE;
    }
}

/* ---- several trainings side by side ------------------------------------------------------------------------------- */

struct side {
    struct schuss_train *const *trains;
    int *status;
    int n;
    int64_t deadline;
    _Atomic(int64_t) hurry; /* brought forward by the first thread that has no training left */
    atomic_int next;
};

/* Steps of one training on this thread alone, until its epoch ends or it is time to stop. */
static int run_alone(struct schuss_train *t, const struct side *side) {
    struct run run = run_of(t);
    struct team me = {.index = 0, .count = 1};
    run.wanted = 1;
    run.looks = looks_of(run.step_time);
    run.deadline = side->deadline;
    run.hurry = &side->hurry;
    run_member(&run, &me);
    if (run.status != SCHUSS_OK) return run.status;
    return t->position >= t->rows ? SCHUSS_OK : SCHUSS_MORE;
}

/* Takes one training after the other, until none is left. */
static void side_share(void *context, int index, int count) {
    struct side *side = context;
    (void)index;
    (void)count;
    for (;;) {
        const int k = atomic_fetch_add_explicit(&side->next, 1, memory_order_relaxed);
        const int64_t now = thread_nanoseconds();
        if (k >= side->n) {
            int64_t found = atomic_load_explicit(&side->hurry, memory_order_relaxed);
            const int64_t soon = now + IDLE_NANOSECONDS;
            if (soon < found) atomic_compare_exchange_strong(&side->hurry, &found, soon);
            return;
        }
        const int late = k > 0 && now >= side->deadline; /* the first one makes a step in any case */
        side->status[k] = late ? SCHUSS_MORE : run_alone(side->trains[k], side);
    }
}

void schuss_train_side_by_side(struct schuss_train *const *trains, int n, double seconds, int *status) {
    const int64_t deadline = thread_nanoseconds() + (int64_t)(1e9 * seconds);
    struct side side = {.trains = trains, .status = status, .n = n, .deadline = deadline, .hurry = deadline};
    const int threads = schuss_get_num_threads();
    schuss_parallel(n < threads ? n : threads, side_share, &side);
}
