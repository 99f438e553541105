/* train/pace.h by a table: what each count of steps leads to. */
#include "train/pace.h"

#include "expect.h"

enum kind { STEPS, STALL };

struct event {
    enum kind kind;
    double steps;
    int64_t nanoseconds;
    int phase, alone; /* after it: the phase, and whether one thread makes the next steps */
};

static const int64_t MS = 1000000, US = 1000;

#define WARMED {STEPS, 20, 200 * US, PACE_TRY_TEAM, 0}
#define TEAM_AT(ns) {STEPS, 400000.0 / (ns), 400 * US, PACE_TRY_ALONE, 1}
#define ALONE_AT(ns, then) {STEPS, 400000.0 / (ns), 400 * US, PACE_HOLD, then}
enum { MOST_EVENTS = 12 };

static const struct {
    const char *name;
    int n;
    struct event events[MOST_EVENTS];
} scripts[] = {
    {"the team is faster", 4, {WARMED, TEAM_AT(1000), ALONE_AT(2000, 0), {STEPS, 1e4, 50 * MS, PACE_WARM_UP, 0}}},
    {"one thread is faster", 4, {WARMED, TEAM_AT(2000), ALONE_AT(1000, 1), {STEPS, 1e4, 50 * MS, PACE_WARM_UP, 0}}},
    {"a tie is the team's", 3, {WARMED, TEAM_AT(1000), ALONE_AT(1000, 0)}},
    {"so is what may be noise", 3, {WARMED, TEAM_AT(1000), ALONE_AT(960, 0)}},
    {"more than noise is not", 3, {WARMED, TEAM_AT(1000), ALONE_AT(940, 1)}},
    {"phases last their time",
     12,
     {{STEPS, 1, 199999, PACE_WARM_UP, 0},
      {STEPS, 1, 1, PACE_TRY_TEAM, 0},
      {STEPS, 1, 399999, PACE_TRY_TEAM, 0},
      {STEPS, 1, 1, PACE_TRY_ALONE, 1},
      {STEPS, 1, 399999, PACE_TRY_ALONE, 1},
      {STEPS, 2, 1, PACE_HOLD, 1}, /* 2 steps against 3 in the same time */
      {STEPS, 1, 49 * MS, PACE_HOLD, 1},
      {STEPS, 1, 999999, PACE_HOLD, 1},
      {STEPS, 1, 1, PACE_WARM_UP, 0},
      {STEPS, 1, 100 * US, PACE_WARM_UP, 0},
      {STEPS, 1, 99 * US, PACE_WARM_UP, 0},
      {STEPS, 1, 1 * US, PACE_TRY_TEAM, 0}}},
    {"a long step ends a phase, and only one", 3,
     {{STEPS, 1, 900 * MS, PACE_TRY_TEAM, 0},
      {STEPS, 1, 900 * MS, PACE_TRY_ALONE, 1},
      {STEPS, 1, 100 * MS, PACE_HOLD, 1}}},
    {"what the warm-up took does not count", 3,
     {{STEPS, 1, 900 * MS, PACE_TRY_TEAM, 0}, TEAM_AT(1000), ALONE_AT(2000, 0)}},
    {"each trial is judged anew", 8,
     {WARMED, TEAM_AT(2000), ALONE_AT(1000, 1), {STEPS, 1e4, 50 * MS, PACE_WARM_UP, 0},
      WARMED, TEAM_AT(500), ALONE_AT(1000, 0), {STEPS, 1e4, 50 * MS, PACE_WARM_UP, 0}}},
    {"a stall while warming up", 2, {{STALL, 0, 0, PACE_HOLD, 1}, {STEPS, 1, 50 * MS, PACE_WARM_UP, 0}}},
    {"a stall in a trial", 3, {WARMED, {STALL, 0, 0, PACE_HOLD, 1}, {STEPS, 1, 49 * MS, PACE_HOLD, 1}}},
    {"a stall of the side held", 6,
     {WARMED, TEAM_AT(1000), ALONE_AT(2000, 0), {STEPS, 1, 40 * MS, PACE_HOLD, 0}, {STALL, 0, 0, PACE_HOLD, 1},
      {STEPS, 1, 49 * MS, PACE_HOLD, 1}}}, /* the whole time again */
    {"after a stall the team is tried again", 5,
     {{STALL, 0, 0, PACE_HOLD, 1}, {STEPS, 1, 50 * MS, PACE_WARM_UP, 0}, WARMED, TEAM_AT(1000), ALONE_AT(2000, 0)}},
};

int main(void) {
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        struct pace pace = {0};
        EXPECT(pace.phase == PACE_WARM_UP && !pace_alone(&pace), "%s: a new pace begins with a team", scripts[i].name);
        for (int k = 0; k < scripts[i].n; k++) {
            const struct event *e = &scripts[i].events[k];
            if (e->kind == STALL) pace_stalled(&pace);
            else pace_count(&pace, e->steps, e->nanoseconds);
            EXPECT(pace.phase == e->phase, "%s, event %d: phase %d", scripts[i].name, k, pace.phase);
            EXPECT(pace_alone(&pace) == e->alone, "%s, event %d: alone %d", scripts[i].name, k, pace_alone(&pace));
            EXPECT(pace_left(&pace) > 0 && pace_left(&pace) <= PACE_NANOSECONDS[pace.phase],
                   "%s, event %d: %lld ns left", scripts[i].name, k, (long long)pace_left(&pace));
        }
    }
    return 0;
}
