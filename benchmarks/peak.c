/* Bare loops that show what the machine can do: multiply-adds in registers alone, and reads and writes of memory alone.
 * Compiled by bare.py when the benchmarks run; no part of the package. */
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define LANES (BYTES / (long)sizeof(float))

typedef float vector __attribute__((vector_size(BYTES)));

/* As many chains as hide the latency of a multiply-add on two to four ports, and leave registers for the factors: there
 * are 32 registers, or 16 up to AVX2. */
#if BYTES == 32 || (defined(__x86_64__) && BYTES == 16)
#define EACH(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11)
#define CHAINS 12
#else
#define EACH(f)                                                                                                        \
    f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15) f(16) f(17) f(18) f(19)      \
        f(20) f(21) f(22) f(23)
#define CHAINS 24
#endif

/* Bytes of a vector. */
int width(void) { return BYTES; }

/* Floating-point operations of one round of `multiply_add`. */
int operations(void) { return (int)(2 * CHAINS * LANES); }

/* `rounds` times c = c * factor + term in every chain. The sum keeps the compiler from leaving it out. */
float multiply_add(long rounds, float factor, float term) {
    vector f = (vector){0} + factor, t = (vector){0} + term, sum = {0};
    float total = 0;
#define START(k) vector c##k = t + (float)(k);
#define STEP(k) c##k = c##k * f + t;
#define ADD(k) sum += c##k;
    EACH(START)
    for (long r = 0; r < rounds; r++) { EACH(STEP) }
    EACH(ADD)
    for (long k = 0; k < LANES; k++) total += sum[k];
    return total;
}

static inline __attribute__((always_inline)) void pass(vector *start, long n, int arrays, long ahead, vector term) {
    for (long i = 0; i < n; i++) {
        for (int k = 0; k < arrays; k++) {
            if (ahead) __builtin_prefetch(start + k * n + i + ahead, 1);
            start[k * n + i] += term;
        }
    }
}

/* `rounds` times, every element of one array, or of three side by side as p, m and v of Adam, is read and written. The
 * arrays, of n vectors, lie one after the other; `ahead` vectors ahead a line is fetched, or none if 0. */
void stream(void *start, long n, int arrays, long ahead, long rounds, float term) {
    vector t = (vector){0} + term;
    for (long r = 0; r < rounds; r++) {
        if (arrays == 3)
            ahead ? pass(start, n, 3, ahead, t) : pass(start, n, 3, 0, t);
        else
            ahead ? pass(start, n, 1, ahead, t) : pass(start, n, 1, 0, t);
        /* What was written is wanted: no round may be merged with the next. */
        __asm__ volatile("" ::: "memory");
    }
}
