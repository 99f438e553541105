/* Teams of threads: who is in one, what team_wait promises, and what happens while the pool is taken.
 *
 *     teams
 *
 * Plain variables are written and read across threads on purpose: a checker of threads sees whether team_wait orders
 * them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "expect.h"
#include "pool.h"
#include "schuss.h"
#include "thread.h"

enum { MOST = 9, ROUNDS = 3000, ELEMENTS = 10007 };

static const int64_t LONG = 30000000000, SHORT = 100000, ENOUGH = 300000000; /* nanoseconds */

/* ROUNDS take no time, unless something else has the CPUs. */
static int goes_on(int64_t round, int64_t since) { return round < ROUNDS && thread_nanoseconds() - since < ENOUGH; }

static void sleep_a_while(void) { nanosleep(&(struct timespec){0, 10000000}, NULL); }

/* ---- who is in a team -------------------------------------------------------------------------------------- */

struct roll {
    int most;
    atomic_int calls, count;
    atomic_int seen[MOST];
    pthread_t thread[MOST];
};

static void answer(void *context, struct team *me) {
    struct roll *roll = context;
    EXPECT(me->index >= 0 && me->index < me->count && me->count <= roll->most, "member %d of %d, at most %d", me->index,
           me->count, roll->most);
    atomic_fetch_add(&roll->calls, 1);
    atomic_fetch_add(&roll->seen[me->index], 1);
    roll->thread[me->index] = pthread_self();
    if (me->index == 0) atomic_store(&roll->count, me->count);
    team_wait(me);
    EXPECT(atomic_load(&roll->count) == me->count, "members know of %d and of %d", atomic_load(&roll->count),
           me->count);
    EXPECT(atomic_load(&roll->calls) == me->count, "%d of %d before the wait", atomic_load(&roll->calls), me->count);
}

/* Every member once, the caller as number 0, each on a thread of its own. Returns how many. */
static int call_the_roll(int most, int64_t nanoseconds) {
    struct roll roll = {.most = most};
    schuss_team(most, nanoseconds, answer, &roll);
    const int count = atomic_load(&roll.count);
    EXPECT(count >= 1 && atomic_load(&roll.calls) == count, "%d calls, %d members", atomic_load(&roll.calls), count);
    EXPECT(pthread_equal(roll.thread[0], pthread_self()), "member 0 is not the caller");
    for (int i = 0; i < MOST; i++)
        EXPECT(atomic_load(&roll.seen[i]) == (i < count), "member %d of %d ran %d times", i, count,
               atomic_load(&roll.seen[i]));
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++)
            EXPECT(!pthread_equal(roll.thread[i], roll.thread[k]), "members %d and %d share a thread", k, i);
    return count;
}

static void all_come_who_are_given_time(void) {
    for (int most = 1; most <= MOST; most++)
        for (int i = 0; i < 10; i++) {
            const int count = call_the_roll(most, LONG);
            EXPECT(count == most, "%d came of %d", count, most);
        }
}

/* ---- team_wait --------------------------------------------------------------------------------------------- */

struct rounds {
    int64_t said[2][MOST][8]; /* by turns, so that one wait a round is enough; each in a cache line */
    int64_t since, made;
    int last[2];
};

static void tell_and_ask(void *context, struct team *me) {
    struct rounds *r = context;
    int64_t round = 0;
    for (int last = 0; !last;) {
        round++;
        r->said[round % 2][me->index][0] = round * MOST + me->index;
        if (me->index == 0) r->last[round % 2] = !goes_on(round, r->since);
        team_wait(me);
        last = r->last[round % 2];
        for (int i = 0; i < me->count; i++)
            EXPECT(r->said[round % 2][i][0] == round * MOST + i, "member %d reads %lld from member %d in round %lld",
                   me->index, (long long)r->said[round % 2][i][0], i, (long long)round);
    }
    EXPECT(me->turns == (me->count > 1 ? round : 0), "%d turns in %lld rounds", me->turns, (long long)round);
    if (me->index == 0) r->made = round;
    EXPECT(me->stalled >= 0, "stalled for %lld ns", (long long)me->stalled);
}

static void waits_are_for_all(int most) {
    struct rounds r = {.since = thread_nanoseconds()};
    schuss_team(most, LONG, tell_and_ask, &r);
    EXPECT(r.said[r.made % 2][most - 1][0] == r.made * MOST + most - 1, "member %d did not run", most - 1);
}

/* ---- no patience ------------------------------------------------------------------------------------------- */

struct sum {
    int most, members;
    int64_t part[MOST];
    int64_t total;
};

/* Members add up numbers, whoever they are; the first puts the parts together. */
static void add_up(void *context, struct team *me) {
    struct sum *s = context;
    const ptrdiff_t first = share_start(ELEMENTS, 16, me->index, me->count);
    const ptrdiff_t end = share_start(ELEMENTS, 16, me->index + 1, me->count);
    int64_t part = 0;
    for (ptrdiff_t i = first; i < end; i++) part += i * i;
    s->part[me->index] = part;
    team_wait(me);
    if (me->index > 0) return;
    s->members = me->count;
    for (int i = 0; i < me->count; i++) s->total += s->part[i];
}

static const int64_t SQUARES = (int64_t)ELEMENTS * (ELEMENTS - 1) * (2 * ELEMENTS - 1) / 6;

static int team_sum(int most, int64_t nanoseconds) {
    struct sum s = {.most = most};
    schuss_team(most, nanoseconds, add_up, &s);
    EXPECT(s.total == SQUARES, "%d members of %d find %lld", s.members, most, (long long)s.total);
    return s.members;
}

static void the_late_are_left_out(void) {
    int fewest = MOST;
    for (int i = 0; i < 10; i++) {
        sleep_a_while(); /* until the workers sleep too */
        const int members = team_sum(MOST, 0);
        if (members < fewest) fewest = members;
    }
    EXPECT(fewest < MOST, "all %d came at once from sleep", MOST);
    const int64_t since = thread_nanoseconds();
    for (int i = 0; goes_on(i, since); i++) team_sum(2 + i % (MOST - 1), i % 3 ? 0 : SHORT);
    EXPECT(call_the_roll(MOST, LONG) == MOST, "one who was left out once does not come again");
}

/* ---- alternating with shares --------------------------------------------------------------------------------- */

static void share_sum(void *context, int index, int count) {
    int64_t *part = context;
    for (ptrdiff_t i = share_start(ELEMENTS, 16, index, count); i < share_start(ELEMENTS, 16, index + 1, count); i++)
        part[index] += i * i;
}

static void shares_between_teams(void) {
    const int64_t since = thread_nanoseconds();
    for (int i = 0; goes_on(i, since); i++) {
        const int count = 1 + i % MOST;
        int64_t part[MOST] = {0}, total = 0;
        schuss_parallel(count, share_sum, part);
        for (int k = 0; k < count; k++) total += part[k];
        EXPECT(total == SQUARES, "%d shares find %lld", count, (long long)total);
        team_sum(1 + i * 7 % MOST, i % 2 ? SHORT : 0);
    }
}

/* ---- while the pool is taken ----------------------------------------------------------------------------------- */

static void be_alone(void *context, struct team *me) {
    EXPECT(me->index == 0 && me->count == 1, "member %d of %d while the pool is taken", me->index, me->count);
    EXPECT(pthread_equal(*(pthread_t *)context, pthread_self()), "not on the caller");
    team_wait(me);
    ++*(int *)((pthread_t *)context + 1);
}

/* Teams and shares asked for now run on this thread alone. */
static void ask_while_it_is_taken(void) {
    struct {
        pthread_t thread;
        int calls;
    } caller = {pthread_self(), 0};
    schuss_team(4, LONG, be_alone, &caller);
    EXPECT(caller.calls == 1, "a team of one ran %d times", caller.calls);
    int64_t part[4] = {0};
    schuss_parallel(4, share_sum, part);
    EXPECT(part[0] + part[1] + part[2] + part[3] == SQUARES, "shares while the pool is taken");
}

static void ask_in_a_share(void *context, int index, int count) {
    (void)index;
    (void)count;
    ask_while_it_is_taken();
    atomic_fetch_add((atomic_int *)context, 1);
}

static void ask_in_a_team(void *context, struct team *me) {
    ask_while_it_is_taken();
    team_wait(me);
    ask_while_it_is_taken();
    atomic_fetch_add((atomic_int *)context, 1);
}

static void asked_for_within(void) {
    for (int count = 2; count <= 5; count++) {
        atomic_int calls = 0;
        schuss_parallel(count, ask_in_a_share, &calls);
        EXPECT(atomic_load(&calls) == count, "%d of %d shares", atomic_load(&calls), count);
        atomic_store(&calls, 0);
        schuss_team(count, LONG, ask_in_a_team, &calls);
        EXPECT(atomic_load(&calls) == count, "%d of %d members", atomic_load(&calls), count);
    }
}

struct meeting {
    atomic_int taken, asked;
};

static void hold_the_pool(void *context, struct team *me) {
    struct meeting *m = context;
    if (me->index > 0) return;
    atomic_store(&m->taken, 1);
    while (!atomic_load(&m->asked)) nanosleep(&(struct timespec){0, 10000}, NULL);
}

static void *ask_from_elsewhere(void *context) {
    struct meeting *m = context;
    while (!atomic_load(&m->taken)) nanosleep(&(struct timespec){0, 10000}, NULL);
    for (int i = 0; i < 100; i++) ask_while_it_is_taken();
    atomic_store(&m->asked, 1);
    return NULL;
}

static void asked_for_by_another_thread(void) {
    struct meeting m = {0};
    pthread_t other;
    EXPECT(!pthread_create(&other, NULL, ask_from_elsewhere, &m), "no thread");
    schuss_team(2, LONG, hold_the_pool, &m);
    pthread_join(other, NULL);
    EXPECT(call_the_roll(3, LONG) == 3, "the pool is not free again");
}

static void *sum_again_and_again(void *context) {
    (void)context;
    const int64_t since = thread_nanoseconds();
    for (int i = 0; goes_on(i, since); i++) team_sum(1 + i % 4, SHORT);
    return NULL;
}

static void two_threads_at_once(void) {
    pthread_t other;
    EXPECT(!pthread_create(&other, NULL, sum_again_and_again, NULL), "no thread");
    sum_again_and_again(NULL);
    pthread_join(other, NULL);
}

int main(void) {
    all_come_who_are_given_time();
    waits_are_for_all(2);
    waits_are_for_all(5);
    waits_are_for_all(MOST);
    the_late_are_left_out();
    shares_between_teams();
    asked_for_within();
    asked_for_by_another_thread();
    two_threads_at_once();
    return 0;
}
