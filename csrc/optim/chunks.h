/* Chunks of arrays that are not of the dtype: opened into L1 as arrays that are, and closed again after the rule, which
 * sees nothing of it. */

enum {
    WRITES_PARAMS = 1 << SCHUSS_MAX_STATES, /* beside bit k for the state in slot k */
    MOST_STORED = 3 + SCHUSS_MAX_STATES,    /* parameters, their copy, the gradient, states */
    MOST_HELD = MOST_STORED + SCHUSS_MAX_AVERAGES,
    /* Rooms begin in different lines of a page: a load need not wait for a store that only has the same place in another. */
    LINE_REALS = 64 / sizeof(real)
};

/* An array of the piece that is not of the dtype. */
struct stored_array {
    int format, opens, closes; /* whether the rule reads it, and whether what it leaves there is kept */
    int zeroed;                /* afterwards; of a gradient */
    void **held;               /* where the chunk has the reals */
    char *at, *more;           /* the chunk's elements as they are stored, and what belongs to them */
    struct rounding rounding;
};

/* A piece, and the chunk of it that is open. */
struct opened {
    struct schuss_segment chunk;
    int n_stored, n_plain;
    struct stored_array stored[MOST_STORED];
    void **plain[MOST_HELD]; /* where the chunk has the arrays that are of the dtype */
    _Alignas(64) real room[(2 + SCHUSS_MAX_STATES) * (CHUNK + LINE_REALS)];
};

/* An array, from this element on, as the chunk's *held: where it is, if it is of the dtype, else in a room. */
static void hold(struct opened *o, void **held, ptrdiff_t chunk, const struct stored_array *a, void *array, void *more,
                 ptrdiff_t element) {
    if (!array) return;
    if (a->format == DTYPE) {
        *held = (real *)array + element;
        o->plain[o->n_plain++] = held;
        return;
    }
    *held = o->room + o->n_stored * (chunk + LINE_REALS);
    struct stored_array *mine = &o->stored[o->n_stored++];
    *mine = *a;
    mine->held = held;
    mine->at = (char *)stored_at(a->format, array, element);
    mine->more = (char *)more_at(a->format, more, element);
}

/* The piece in chunks of so many elements; of parameters and states those are kept that `writes` says. All of this is
 * once a piece, since a chunk takes no longer than some hundred cycles. */
static void open_piece(struct opened *o, const struct schuss_segment *piece, ptrdiff_t chunk, int writes,
                       int zero_grad, const struct rule_constants *c) {
    const struct schuss_stored *as = piece->stored;
    const ptrdiff_t first = piece->first;
    const int writes_params = (writes & WRITES_PARAMS) != 0;
    o->chunk = (struct schuss_segment){0};
    o->n_stored = o->n_plain = 0;
    const struct stored_array p = {.format = as->p, .opens = 1, .closes = writes_params,
                                   .rounding = rounding_of(as, -1, c->t, first)};
    hold(o, &o->chunk.p, chunk, &p, piece->p, as->low, first);
    const struct stored_array g = {.format = as->g, .opens = 1, .zeroed = zero_grad};
    hold(o, &o->chunk.g, chunk, &g, piece->g, NULL, 0);
    for (int k = 0; k < SCHUSS_MAX_STATES; k++) {
        const struct stored_array s = {.format = as->s[k], .opens = 1, .closes = writes >> k & 1,
                                       .rounding = rounding_of(as, k, c->t, first)};
        hold(o, &o->chunk.s[k], chunk, &s, piece->s[k], as->scale[k], first);
    }
    const struct stored_array average = {.format = DTYPE};
    for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++) hold(o, &o->chunk.average[k], chunk, &average, piece->average[k], NULL, first);
    if (as->copy && writes_params)
        o->stored[o->n_stored++] = (struct stored_array){
            .format = as->copy_format, .closes = 1, .held = &o->chunk.p, .at = (char *)stored_at(as->copy_format, as->copy, first),
            .rounding = rounding_of(as, -2, c->t, first),
        };
}

/* Fetches so many bytes. They may lie beyond the array's end, since nothing is read. */
ALWAYS_INLINE void fetch_bytes(const char *at, ptrdiff_t bytes) {
    enum { LINE = 64 };
    for (ptrdiff_t i = 0; i < bytes; i += LINE) __builtin_prefetch(at + i, 0, 3);
}

/* The next n elements of all arrays, at most a chunk, and, if ahead, those that are so many elements ahead are fetched: of
 * each array for itself, so that reals are made meanwhile. */
ALWAYS_INLINE void open_chunk(struct opened *o, ptrdiff_t n, ptrdiff_t ahead) {
    o->chunk.n = n;
    for (int i = 0; i < o->n_stored; i++) {
        const struct stored_array *a = &o->stored[i];
        if (ahead) {
            const ptrdiff_t bytes = format_bytes(a->format);
            fetch_bytes(a->at + ahead * bytes, n * bytes);
            if (a->format == SCHUSS_SPLIT) fetch_bytes(a->more + ahead * bytes, n * bytes);
            if (i < o->n_plain) fetch_bytes((const char *)((const real *)*o->plain[i] + ahead), n * (ptrdiff_t)sizeof(real));
        }
        if (a->opens) widen(a->format, n, a->at, a->more, *a->held);
    }
}

/* What the rule has left goes back to where it came from. */
ALWAYS_INLINE void close_chunk(struct opened *o) {
    const ptrdiff_t n = o->chunk.n;
    for (int i = 0; i < o->n_stored; i++) {
        struct stored_array *a = &o->stored[i];
        if (a->closes) narrow(a->format, n, *a->held, a->at, a->more, &a->rounding);
        if (a->zeroed) memset(a->at, 0, (size_t)(n * format_bytes(a->format)));
        a->at = (char *)stored_at(a->format, a->at, n);
        a->more = (char *)more_at(a->format, a->more, n);
        a->rounding.first += n;
    }
    for (int i = 0; i < o->n_plain; i++) *o->plain[i] = (real *)*o->plain[i] + n;
}

static void step(const struct schuss_segment *piece, const struct rule_constants *c, int *nonfinite);

/* step() of a piece that is not of the dtype. It is not inlined, since room on the stack would cost all steps time. */
__attribute__((noinline)) static void step_stored(const struct schuss_segment *piece, const struct rule_constants *c,
                                                  int *nonfinite) {
    const struct way way = optimizer_stored_ways[piece->way];
    const ptrdiff_t reals = way.chunk / (int)sizeof(real), ahead = way.ahead / (int)sizeof(real);
    const ptrdiff_t chunk = reals < BLOCK_8BIT ? BLOCK_8BIT : reals;
    struct opened o;
    open_piece(&o, piece, chunk, ~c->sums_write, c->zero_grad, c);
    for (ptrdiff_t i = 0; i < piece->n; i += chunk) {
        open_chunk(&o, piece->n - i < chunk ? piece->n - i : chunk, ahead);
        step(&o.chunk, c, nonfinite);
        close_chunk(&o);
    }
}

static void measure_into(const struct schuss_segment *piece, const struct rule_constants *c, struct rule_sums *found,
                         int *nonfinite);

/* The same of measure_into(). */
__attribute__((noinline)) static void measure_stored(const struct schuss_segment *piece, const struct rule_constants *c,
                                                     struct rule_sums *found, int *nonfinite) {
    struct opened o;
    open_piece(&o, piece, CHUNK, c->sums_write, c->zero_grad, c);
    for (ptrdiff_t i = 0; i < piece->n; i += CHUNK) {
        open_chunk(&o, piece->n - i < CHUNK ? piece->n - i : CHUNK, 0);
        measure_into(&o.chunk, c, found, nonfinite);
        close_chunk(&o);
    }
}
