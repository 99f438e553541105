/* What the cells of recurrent layers compute with: rows of gates and of states. */

/* ---- what cells compute ------------------------------------------------------------------------------------------ */

/* Lanes [j, j + LANES) of rows of n: all of them, or those that are left. */
struct lanes {
    ptrdiff_t at;
    int whole;
    vmask mask;
};
ALWAYS_INLINE vec take(struct lanes l, const real *x) { return l.whole ? v_load(x + l.at) : v_load_m(x + l.at,
                                                                                                     l.mask); }
ALWAYS_INLINE void give(struct lanes l, real *y, vec v) {
    if (l.whole) v_store(y + l.at, v);
    else v_store_m(y + l.at, v, l.mask);
}
/* Calls f(context, lanes) for all lanes of n. */
#define EACH_LANES(n, f, ...)                                                                                         \
    do {                                                                                                             \
        ptrdiff_t lane_ = 0;                                                                                         \
        for (; lane_ + LANES <= (n); lane_ += LANES) f((struct lanes){.at = lane_, .whole = 1}, __VA_ARGS__);        \
        if (lane_ < (n)) f((struct lanes){.at = lane_, .mask = v_mask((n) - lane_)}, __VA_ARGS__);                   \
    } while (0)

ALWAYS_INLINE vec through_sigmoid(vec y) { return y * (v_set1(1) - y); }
ALWAYS_INLINE vec through_tanh(vec y) { return v_set1(1) - y * y; }

/* A kind by its cell. */
#define RECURRENT_KIND(NAME, CELL, MORE_NUMBERS)                                                                      \
    static const char *NAME##_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,       \
                                    struct schuss_array *arrays, int *n_arrays) {                                    \
        return recurrent_shape(CELL(node), node, in, out, arrays, n_arrays);                                         \
    }                                                                                                                \
    static ptrdiff_t NAME##_carries(const struct schuss_node *node) {                                                \
        return (1 + CELL(node)->cells) * node->sizes[N_HIDDEN];                                                      \
    }                                                                                                                \
    static struct needs NAME##_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows,         \
                                     int passes) {                                                                   \
        (void)in;                                                                                                    \
        return recurrent_needs(CELL(node), node, rows, passes);                                                      \
    }                                                                                                                \
    static void NAME##_forward(struct here *h, const struct pass *pass, struct team *me) {                           \
        recurrent_forward(h, CELL(h->node), pass, me);                                                               \
    }                                                                                                                \
    static void NAME##_down(struct here *h, const struct pass *pass, struct team *me) {                              \
        (void)me;                                                                                                    \
        recurrent_down(h, CELL(h->node), pass);                                                                      \
    }                                                                                                                \
    static void NAME##_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {  \
        recurrent_gradients(h, CELL(h->node), pass, births, me);                                                     \
    }                                                                                                                \
    static const struct kind NAME##_kind = {                                                                         \
        .name = #NAME, .sizes = RECURRENT_SIZES, .numbers = RECURRENT_NUMBERS MORE_NUMBERS,                          \
        .shape = NAME##_shape, .needs = NAME##_needs, .sharing = SHARES_ROWS, .spatial = 1, .state = NAME##_carries, \
        .prepare = recurrent_prepare,                                                                                \
        .forward = NAME##_forward, .down = NAME##_down, .gradients = NAME##_gradients,                               \
    }
