/* optim/ways.h: what is chosen from which times, whoever takes the turns. */
#include "optim/ways.h"

#include "expect.h"

enum { NOBODY = -1, MOST_THREADS = 9, ALL = WAY_TURNS + WAY_TURNS_AGAIN };

static const struct {
    const char *name;
    float time[SCHUSS_WAYS], again[2]; /* again: of way 0 and the candidate in the second part; 0: as before */
    int turns, chosen;                 /* how many are taken in all */
} cases[] = {
    {"all alike", {100, 100, 100, 100, 100, 100, 100}, {0}, WAY_TURNS, 0},
    {"the first is the fastest", {100, 101, 102, 103, 104, 105, 106}, {0}, WAY_TURNS, 0},
    {"what may be noise is not tried again", {100, 100, 99, 98.5F, 100, 100, 100}, {0}, WAY_TURNS, 0},
    {"one is faster", {100, 100, 90, 100, 100, 100, 100}, {0}, ALL, 2},
    {"the last is faster", {100, 100, 100, 100, 100, 100, 50}, {0}, ALL, 6},
    {"the fastest of several", {100, 95, 90, 80, 85, 150, 99}, {0}, ALL, 3},
    {"faster only once", {100, 90, 80, 100, 100, 100, 100}, {100, 99}, ALL, 0},
    {"hardly faster again", {100, 90, 80, 100, 100, 100, 100}, {100, 97.5F}, ALL, 0},
    {"a little faster again", {100, 90, 80, 100, 100, 100, 100}, {100, 96}, ALL, 2},
    {"slower in times when all is slow", {100, 90, 80, 100, 100, 100, 100}, {300, 200}, ALL, 2},
};

/* A fifth of the turns are ten times as long, as where another program has the CPU now and then. */
static float disturbed(float time, int turn) { return turn % 5 == 3 ? 10 * time : time; }

int main(void) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int threads = 1; threads <= MOST_THREADS; threads++) {
            static struct way_trial nothing;
            struct way_trial t = nothing;
            int taken = 0, of_thread[MOST_THREADS][SCHUSS_WAYS] = {{0}}, last = NOBODY;
            while (way_trial_chosen(&t) < 0) {
                int turn[MOST_THREADS], among = 0;
                /* All threads take a turn, then all note their time, the last one first. */
                for (int thread = 0; thread < threads; thread++) {
                    turn[among] = way_trial_turn(&t);
                    if (turn[among] < 0) break;
                    EXPECT(turn[among] == last + 1, "%s: turn %d after %d", cases[i].name, turn[among], last);
                    last = turn[among++];
                    of_thread[thread][way_trial_way(&t, last)]++;
                }
                EXPECT(among > 0, "%s, %d threads: nobody can go on", cases[i].name, threads);
                taken += among;
                while (among-- > 0) {
                    const int way = way_trial_way(&t, turn[among]), again = turn[among] >= WAY_TURNS;
                    const float other = cases[i].again[way != 0];
                    way_trial_note(&t, turn[among], disturbed(again && other > 0 ? other : cases[i].time[way], turn[among]));
                }
            }
            EXPECT(way_trial_chosen(&t) == cases[i].chosen, "%s, %d threads: %d", cases[i].name, threads, way_trial_chosen(&t));
            EXPECT(taken == cases[i].turns, "%s, %d threads: %d turns", cases[i].name, threads, taken);
            for (int thread = 0; thread < threads; thread++)
                for (int way = 0; threads < SCHUSS_WAYS && way < SCHUSS_WAYS; way++)
                    EXPECT(of_thread[thread][way] > 0, "%s: %d of %d, way %d", cases[i].name, thread, threads, way);
            if (taken == ALL) EXPECT(way_trial_turn(&t) < 0, "%s: a turn after the last", cases[i].name);
        }
    return 0;
}
