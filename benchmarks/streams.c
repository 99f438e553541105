/* Bare passes over memory: element i of each of ARRAYS arrays is read, and of the first WRITTEN of them written, with
 * next to no arithmetic. Compiled by streams.py when the benchmarks run, once a pair; no part of the package. */
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define LINE 64

typedef float vector __attribute__((vector_size(BYTES)));

enum { NONE, READ, WRITE, PASSING };

static inline __attribute__((always_inline)) void fetch(const vector *where, const int how, const int written) {
    if (how == WRITE && written) __builtin_prefetch(where, 1, 3);
    else if (how == PASSING) __builtin_prefetch(where, 0, 0);
    else if (how != NONE) __builtin_prefetch(where, 0, 3);
}

/* n vectors of each array, in bursts, at `places` at once; `ahead` vectors ahead a line is fetched. */
static inline __attribute__((always_inline)) void pass(vector *const *given, long n, const int burst, const int places,
                                                       const int how, const long ahead) {
    vector *a[ARRAYS], total[8] = {{0}};
    for (int k = 0; k < ARRAYS; k++) a[k] = given[k];
    const long part = n / places;
    for (long i = 0; i < part; i += burst)
        for (int place = 0; place < places; place++)
#pragma GCC unroll 8
            for (int u = 0; u < burst; u++) {
                const long j = place * part + i + u;
                vector sum = {0};
                for (int k = 0; k < ARRAYS; k++) fetch(a[k] + j + ahead, how, k < WRITTEN);
                for (int k = WRITTEN; k < ARRAYS; k++) sum += a[k][j];
                for (int k = 0; k < WRITTEN; k++) a[k][j] += sum;
                if (!WRITTEN) total[u] += sum;
            }
    for (int u = 0; u < 8; u++) __asm__ volatile("" ::"m"(total[u])); /* what was only read is wanted too */
}

/* The same for some rows of the written arrays, which are tables, `length` floats a row; the others hold these rows
 * alone, one after the other. The row `ahead` rows ahead is fetched, or none if 0. */
static inline __attribute__((always_inline)) void pass_rows(float *const *a, const long *rows, long n, long length,
                                                            const long ahead) {
    typedef float loose __attribute__((vector_size(BYTES), aligned(4)));
    const long lanes = BYTES / sizeof(float);
    for (long r = 0; r < n; r++) {
        const long from = rows[r] * length, next = rows[r + ahead < n ? r + ahead : r] * length;
        if (ahead)
            for (int k = 0; k < WRITTEN; k++)
                for (long i = 0; i < length + LINE / 4 - 1; i += LINE / 4)
                    __builtin_prefetch(a[k] + next + (i < length ? i : length - 1), 1, 3);
        long i = 0;
        for (; i + lanes <= length; i += lanes) {
            loose sum = {0};
            for (int k = WRITTEN; k < ARRAYS; k++) sum += *(loose *)(a[k] + r * length + i);
            for (int k = 0; k < WRITTEN; k++) *(loose *)(a[k] + from + i) += sum;
        }
        for (; i < length; i++) {
            float sum = 0;
            for (int k = WRITTEN; k < ARRAYS; k++) sum += a[k][r * length + i];
            for (int k = 0; k < WRITTEN; k++) a[k][from + i] += sum;
        }
    }
}

#define AHEAD(lines) (lines * (LINE / BYTES))
#define LOOPS(LOOP)                                  \
    LOOP(0, "plain", 1, 1, NONE, 0)                  \
    LOOP(1, "in fours", 4, 1, NONE, 0)               \
    LOOP(2, "two places", 8, 2, NONE, 0)             \
    LOOP(3, "fetched", 4, 1, READ, AHEAD(32))        \
    LOOP(4, "fetched to write", 4, 1, WRITE, AHEAD(32)) \
    LOOP(5, "fetched far", 4, 1, READ, AHEAD(64))    \
    LOOP(6, "fetched past L2", 4, 1, PASSING, AHEAD(32))

/* The name of a way to do it, or a null pointer. */
const char *loop_name(int loop) {
    switch (loop) {
#define LOOP(number, name, burst, places, how, ahead) \
    case number: return name;
        LOOPS(LOOP)
#undef LOOP
    default: return 0;
    }
}

/* `rounds` times; n is a multiple of 16 vectors. */
void stream(vector *const *arrays, long n, int loop, long rounds) {
    for (long r = 0; r < rounds; r++) {
        switch (loop) {
#define LOOP(number, name, burst, places, how, ahead) \
    case number: pass(arrays, n, burst, places, how, ahead); break;
            LOOPS(LOOP)
#undef LOOP
        }
        __asm__ volatile("" ::: "memory"); /* no round may be merged with the next */
    }
}

void stream_rows(float *const *arrays, const long *rows, long n, long length, int ahead, long rounds) {
    for (long r = 0; r < rounds; r++) {
        ahead ? pass_rows(arrays, rows, n, length, ahead) : pass_rows(arrays, rows, n, length, 0);
        __asm__ volatile("" ::: "memory");
    }
}

int width(void) { return BYTES; }
