/* What comes from outside: rows of numbers, or of codes. It computes nothing. */

static const char *input_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                               struct schuss_array *arrays, int *n_arrays) {
    (void)in, (void)arrays, (void)n_arrays;
    if (node->sizes[0] < 1) return "n";
    if (node->sizes[1] < 1) return "positions";
    const int storage = node->numbers[0] == 2 ? SCHUSS_SPARSE : node->numbers[0] != 0 ? SCHUSS_INDEX : SCHUSS_REAL;
    if (storage == SCHUSS_SPARSE && node->sizes[1] != 1) return "positions";
    *out = (struct shape){node->sizes[0], storage, node->sizes[1]};
    return NULL;
}

static const struct kind input_kind = {.name = "input", .sizes = "n positions", .numbers = "codes", .shape = input_shape};
