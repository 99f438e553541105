/* Ways to walk over large arrays: which there are, and which was chosen for what. */
#include "ways.h"

#include "../thread.h"
#include "pieces.h"

/* The first is that of small arrays: chunks of 4 KiB have the least calls. They do not fetch, since that would be a burst
 * of more lines than a core can wait for; shorter ones fetch a few lines at a time while the rule computes. */
const struct way optimizer_ways[SCHUSS_WAYS] = {
    {4096, 0}, {512, 0}, {256, 2048}, {512, 2048}, {512, 4096}, {1024, 2048}, {1024, 4096},
};

/* Arrays that are not of the dtype are opened chunk by chunk, and of large ones shorter chunks leave more of L1 to what
 * comes from memory. No chunk has less than a block of 8 bits. */
const struct way optimizer_stored_ways[SCHUSS_WAYS] = {
    {4096, 0}, {1024, 0}, {2048, 0}, {1024, 1024}, {1024, 2048}, {2048, 2048}, {2048, 4096},
};

enum {
    FAR_BYTES = 1 << 21,   /* Parameters of so many, with gradients and states, are beyond L2. */
    FARTHER = 4,           /* Each distance begins at so many times the bytes of the one before. */
    DISTANCES = 4,
    /* Bytes of the parameters in a turn. The hardware's own prefetching has to learn first what the way before it did not
     * teach; the rest takes some 40 microseconds. */
    LED_IN_BYTES = 1 << 16,
    TIMED_BYTES = 1 << 18,
    BY_TIME = -1,
    SHORT_CHUNKS = 1 /* the way of stored arrays until one is chosen */
};

/* A choice holds for the process, whatever the dtype: what is waited for are bytes. */
static struct distance_trials trials[2][DISTANCES];
static atomic_int forced = BY_TIME;
static atomic_llong far_bytes = FAR_BYTES; /* 0 while a way is forced */

static struct distance_trials *trials_of(int several, ptrdiff_t bytes) {
    int distance = 0;
    for (bytes /= FARTHER; bytes >= FAR_BYTES && distance < DISTANCES - 1; bytes /= FARTHER) distance++;
    return &trials[several][distance];
}

struct distance_trials *optimizer_trials(ptrdiff_t bytes) {
    if (bytes < (ptrdiff_t)atomic_load_explicit(&far_bytes, memory_order_relaxed)) return NULL;
    return trials_of(schuss_get_num_threads() > 1, bytes);
}

static int kind_of(const struct schuss_segment *piece) {
    if (!piece->stored) return SCHUSS_PLAIN_ARRAYS;
    for (int k = 0; k < SCHUSS_MAX_STATES; k++)
        if (piece->s[k] && is_8bit(piece->stored->s[k])) return SCHUSS_BLOCK_ARRAYS;
    return SCHUSS_STORED_ARRAYS;
}

void optimizer_step_far(const struct kernels *kernels, struct distance_trials *trials_here, int trying,
                        const struct schuss_segment *piece, const struct rule_constants *c, int *nonfinite) {
    const int kind = kind_of(piece), before = kind == SCHUSS_PLAIN_ARRAYS ? 0 : SHORT_CHUNKS;
    struct way_trial *trial = &trials_here->trial[kind][c->rule];
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
    rest.way = chosen < 0 ? before : chosen;
    kernels->step(&rest, c, nonfinite);
}

int schuss_way(int kind, int number, int *chunk, int *ahead) {
    if (number < 0 || number >= SCHUSS_WAYS) return 0;
    const struct way *way = kind == SCHUSS_PLAIN_ARRAYS ? &optimizer_ways[number] : &optimizer_stored_ways[number];
    *chunk = way->chunk;
    *ahead = way->ahead;
    return 1;
}

void schuss_way_force(int number) {
    atomic_store_explicit(&forced, number, memory_order_relaxed);
    atomic_store_explicit(&far_bytes, number == BY_TIME ? FAR_BYTES : 0, memory_order_relaxed);
}

int schuss_way_chosen(int rule, int kind, int several, ptrdiff_t bytes) {
    return bytes < FAR_BYTES ? 0 : way_trial_chosen(&trials_of(several, bytes)->trial[kind][rule]);
}

void schuss_ways_forget(void) { memset(trials, 0, sizeof trials); }
