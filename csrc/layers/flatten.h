/* Y = X: X[rows x height x width x n], or [rows x times x n] -> Y[rows x all of them]. A copy. */

static const char *flatten_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                 struct schuss_array *arrays, int *n_arrays) {
    (void)node, (void)arrays, (void)n_arrays;
    if (in->storage != SCHUSS_REAL) return "input";
    *out = *in;
    return NULL;
}

static const struct kind flatten_kind = {
    .name = "flatten", .sizes = "", .numbers = "",
    .shape = flatten_shape, .needs = activation_needs, .sharing = SHARES_ROWS,
    .forward = activation_forward, .down = activation_down,
};
