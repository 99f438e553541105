/* From the nodes of a network to the shapes of their values and to the places of their arrays. */
#include "kind.h"

static const struct kind *kind_of(const struct schuss_net *net, const struct schuss_node *node) {
    return schuss_kernels(net->dtype)->kinds[node->kind];
}

const char *schuss_kind_name(int kind) {
    return kind < SCHUSS_N_KINDS ? schuss_kernels(SCHUSS_F32)->kinds[kind]->name : NULL;
}
const char *schuss_kind_sizes(int kind) { return schuss_kernels(SCHUSS_F32)->kinds[kind]->sizes; }
const char *schuss_kind_numbers(int kind) { return schuss_kernels(SCHUSS_F32)->kinds[kind]->numbers; }

/* A concatenation's shape: its inputs lie in it side by side. Returns NULL, or what does not fit. */
static const char *shape_of_concatenation(struct schuss_net *net, int number, struct shape *out) {
    struct schuss_node *node = &net->nodes[number];
    *out = (struct shape){.storage = SCHUSS_REAL, .positions = net->nodes[node->inputs[0]].positions};
    for (int k = 0; k < node->n_inputs; k++) {
        struct schuss_node *input = &net->nodes[node->inputs[k]];
        if (input->n_inputs == 0 || input->within >= 0 || input->storage != SCHUSS_REAL) return "input";
        if (input->positions != out->positions) return "input";
        input->within = number;
        input->channel0 = out->channels;
        node->n_parts += input->kind == SCHUSS_KIND_concatenate ? input->n_parts : 1;
        if (__builtin_add_overflow(out->channels, input->channels, &out->channels)) return "input";
    }
    return NULL;
}

/* Gives the arrays that are stepped, or those that are not, their places from `used` on; -1: overflow. */
static ptrdiff_t place(struct schuss_net *net, int stepped, ptrdiff_t used) {
    for (int k = 0; k < net->n_arrays; k++) {
        struct schuss_array *array = &net->arrays[k];
        ptrdiff_t end;
        if (array->stepped != stepped) continue;
        if (__builtin_mul_overflow(array->rows, array->cols, &array->n) ||
            __builtin_mul_overflow(array->n, array->matrices, &array->n) ||
            __builtin_add_overflow(used, array->n, &end) || __builtin_add_overflow(end, 15, &end) ||
            end > PTRDIFF_MAX / (ptrdiff_t)sizeof(double) - 64)
            return -1;
        array->at = used;
        used = end / 16 * 16;
    }
    return used;
}

ptrdiff_t schuss_net_shape(struct schuss_net *net, int *number, const char **what) {
    net->n_arrays = net->n_inputs = 0;
    net->dropout_factor = 1;
    net->state = 0;
    *what = NULL;
    for (int i = 0; i < net->n_nodes; i++) {
        struct schuss_node *node = &net->nodes[i];
        struct shape out = {.storage = SCHUSS_REAL};
        ptrdiff_t columns;
        const struct schuss_node *input = node->n_inputs ? &net->nodes[node->inputs[0]] : NULL;
        const struct shape in = input ? (struct shape){input->channels, input->storage, input->positions} : out;
        int n_arrays = 0;
        *number = i;
        node->within = -1;
        node->channel0 = 0;
        node->n_parts = node->kind == SCHUSS_KIND_concatenate ? 0 : 1;
        node->input_parts = input ? input->n_parts : 0;
        node->first_array = net->n_arrays;
        if (node->kind == SCHUSS_KIND_concatenate) *what = shape_of_concatenation(net, i, &out);
        else if (in.storage == SCHUSS_SPARSE && !kind_of(net, node)->reads_compressed) *what = "input";
        else *what = kind_of(net, node)->shape(node, &in, &out, net->arrays + net->n_arrays, &n_arrays);
        if (*what) return -1;
        if (out.positions == 0) out.positions = input ? in.positions : 1;
        if (__builtin_mul_overflow(out.positions, out.channels, &columns)) return -1;
        if (node->residual >= 0) {
            const struct schuss_node *added = &net->nodes[node->residual];
            if (added->storage != SCHUSS_REAL || out.storage != SCHUSS_REAL || added->channels != out.channels ||
                added->positions != out.positions) {
                *what = "residual";
                return -1;
            }
        }
        node->channels = out.channels;
        node->positions = out.positions;
        node->state0 = net->state;
        if (kind_of(net, node)->state) net->state += kind_of(net, node)->state(node);
        node->members = node->kind == SCHUSS_KIND_mean_of_members ? node->sizes[0] : 1;
        node->storage = out.storage;
        node->n_arrays = n_arrays;
        for (int k = 0; k < n_arrays; k++) net->arrays[net->n_arrays + k].node = i;
        net->n_arrays += n_arrays;
        if (node->n_inputs == 0) net->n_inputs++;
    }
    const ptrdiff_t parameters = place(net, 1, 0);
    return parameters < 0 ? -1 : place(net, 0, parameters);
}

ptrdiff_t schuss_net_slab(const struct schuss_net *net) {
    enum { SLAB_BYTES = 1 << 20, LEAST = 64, FEW = 16, MOST = 4096 }; /* FEW: of rows that have many positions */
    const ptrdiff_t item = schuss_kernels(net->dtype)->item;
    ptrdiff_t widest = 1, unit = LEAST;
    for (int i = 0; i < net->n_nodes; i++) {
        if (i < net->n_inputs && net->nodes[i].positions == 1) continue;
        const ptrdiff_t columns = net->nodes[i].positions * net->nodes[i].channels;
        if (columns > widest) widest = columns;
        if (net->nodes[i].positions > 1) unit = FEW;
    }
    const ptrdiff_t rows = SLAB_BYTES / (widest * item) / unit * unit;
    return rows < unit ? unit : rows > MOST ? MOST : rows;
}

int schuss_net_reads_compressed(const struct schuss_net *net, int input) {
    for (int i = 0; i < net->n_nodes; i++) {
        const struct schuss_node *node = &net->nodes[i];
        for (int k = 0; k < node->n_inputs; k++)
            if (node->inputs[k] == input && !kind_of(net, node)->reads_compressed) return 0;
        if (node->residual == input) return 0;
    }
    return 1;
}
