/* Ways to walk over large arrays: which there are, and which was chosen for what. */
#include "ways.h"

#include "../thread.h"
#include "pieces.h"

/* The first is that of small arrays: chunks of 4 KiB have the least calls. They do not fetch, since that would be a burst
 * of more lines than a core can wait for; shorter ones fetch a few lines at a time while the rule computes. */
const struct way optimizer_ways[SCHUSS_WAYS] = {
    {4096, 0}, {512, 0}, {256, 2048}, {512, 2048}, {512, 4096}, {1024, 2048}, {1024, 4096},
};

enum {
    FAR_BYTES = 1 << 21,   /* Parameters of so many, with gradients and states, are beyond L2. */
    FARTHER = 4,           /* Each distance begins at so many times the bytes of the one before. */
    DISTANCES = 4,
    /* Bytes of the parameters in a turn. The hardware's own prefetching has to learn first what the way before it did not
     * teach; the rest takes some 40 microseconds. */
    LED_IN_BYTES = 1 << 16,
    TIMED_BYTES = 1 << 18,
    BY_TIME = -1
};

/* A choice holds for the process, whatever the dtype: what is waited for are bytes. */
static struct way_trial trials[2][DISTANCES][SCHUSS_N_RULES];
static atomic_int forced = BY_TIME;
static atomic_llong far_bytes = FAR_BYTES; /* 0 while a way is forced */

static struct way_trial *trials_of(int several, ptrdiff_t bytes) {
    int distance = 0;
    for (bytes /= FARTHER; bytes >= FAR_BYTES && distance < DISTANCES - 1; bytes /= FARTHER) distance++;
    return trials[several][distance];
}

struct way_trial *optimizer_trials(ptrdiff_t bytes) {
    if (bytes < (ptrdiff_t)atomic_load_explicit(&far_bytes, memory_order_relaxed)) return NULL;
    return trials_of(schuss_get_num_threads() > 1, bytes);
}

void optimizer_step_far(const struct kernels *kernels, struct way_trial *of_rules, int trying,
                        const struct schuss_segment *piece, const struct rule_constants *c, int *nonfinite) {
    struct way_trial *trial = &of_rules[c->rule];
    const ptrdiff_t item = kernels->item, led_in = LED_IN_BYTES / item, all = led_in + TIMED_BYTES / item;
    const int way = atomic_load_explicit(&forced, memory_order_relaxed);
    ptrdiff_t from = 0;
    for (int turn; way == BY_TIME && trying && piece->n - from >= all && (turn = way_trial_turn(trial)) >= 0; from += all) {
        struct schuss_segment first = segment_piece(piece, from, from + led_in, item);
        struct schuss_segment timed = segment_piece(piece, from + led_in, from + all, item);
        first.way = timed.way = way_trial_way(trial, turn);
        kernels->step(&first, c, nonfinite);
        const int64_t begin = thread_nanoseconds();
        kernels->step(&timed, c, nonfinite);
        way_trial_note(trial, turn, (float)(thread_nanoseconds() - begin));
    }
    struct schuss_segment rest = segment_piece(piece, from, piece->n, item);
    const int chosen = way == BY_TIME ? way_trial_chosen(trial) : way;
    rest.way = chosen < 0 ? 0 : chosen;
    kernels->step(&rest, c, nonfinite);
}

int schuss_way(int number, int *chunk, int *ahead) {
    if (number < 0 || number >= SCHUSS_WAYS) return 0;
    *chunk = optimizer_ways[number].chunk;
    *ahead = optimizer_ways[number].ahead;
    return 1;
}

void schuss_way_force(int number) {
    atomic_store_explicit(&forced, number, memory_order_relaxed);
    atomic_store_explicit(&far_bytes, number == BY_TIME ? FAR_BYTES : 0, memory_order_relaxed);
}

int schuss_way_chosen(int rule, int several, ptrdiff_t bytes) {
    return bytes < FAR_BYTES ? 0 : way_trial_chosen(&trials_of(several, bytes)[rule]);
}

void schuss_ways_forget(void) { memset(trials, 0, sizeof trials); }
