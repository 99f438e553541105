/* Networks that are drawn at random, for tests of what must hold for all of them. */
#ifndef DRAWN_H
#define DRAWN_H

#include "../nodes.h"
#include "rng.h"

/* Numbers of one stream, each other. */
struct dice {
    uint32_t stream;
    uint64_t drawn;
};

static inline double uniform(struct dice *dice) {
    return ((double)(random_block(5, dice->stream, 0, dice->drawn++).v[0] >> 8) + 0.5) * 0x1p-24;
}
/* From low to high, both of them possible. */
static inline ptrdiff_t between(struct dice *dice, ptrdiff_t low, ptrdiff_t high) {
    return low + (ptrdiff_t)(uniform(dice) * (double)(high - low + 1));
}
/* The same, as often small as large. */
static inline ptrdiff_t some(struct dice *dice, ptrdiff_t low, ptrdiff_t high) {
    return low - 1 + (ptrdiff_t)exp(uniform(dice) * log((double)(high - low + 2)));
}
static inline int chance(struct dice *dice, double probability) { return uniform(dice) < probability; }

/* Activations with a derivative everywhere come first; those that overflow are left out. */
enum { N_SMOOTH = 7, N_DRAWN = 12 };
static const int drawn_activations[N_DRAWN] = {
    SCHUSS_IDENTITY, SCHUSS_SIGMOID, SCHUSS_TANH,       SCHUSS_GELU, SCHUSS_SILU, SCHUSS_MISH,
    SCHUSS_SOFTPLUS, SCHUSS_RELU,    SCHUSS_LEAKY_RELU, SCHUSS_ELU,  SCHUSS_SELU, SCHUSS_HARD_SWISH};

static inline void draw_end(struct dice *dice, int smooth, struct layer *layer) {
    layer->activation = drawn_activations[between(dice, 0, (smooth ? N_SMOOTH : N_DRAWN) - 1)];
    layer->alpha = layer->activation == SCHUSS_LEAKY_RELU ? 0.1 : 1;
    if (chance(dice, 0.25)) layer->dropout = 0.3;
}

/* What a network may be like. */
struct drawing {
    ptrdiff_t widest;
    int most;   /* layers, about */
    int smooth; /* only activations with a derivative everywhere */
};

/* What is known of the layers drawn so far. */
struct drawn {
    int n;
    struct layer layers[MOST_LAYERS];
    ptrdiff_t channels[MOST_LAYERS];
    int used[MOST_LAYERS], joined[MOST_LAYERS];
};

static inline int put_layer(struct drawn *d, struct layer layer, ptrdiff_t channels) {
    for (int k = 0; k < (layer.joined ? layer.joined : 1) && layer.kind != SCHUSS_KIND_input; k++) {
        d->used[layer.from[k]] = 1;
        d->joined[layer.from[k]] |= layer.joined > 0;
    }
    if (layer.add) d->used[layer.add - 1] = 1;
    d->layers[d->n] = layer;
    d->channels[d->n] = channels;
    return d->n++;
}

static inline int is_codes(const struct drawn *d, int node) { return d->layers[node].codes > 0; }

/* A node whose value is numbers, more often a late one. */
static inline int draw_value(struct dice *dice, const struct drawn *d) {
    for (;;) {
        const int node = chance(dice, 0.5) ? d->n - 1 : (int)between(dice, 0, d->n - 1);
        if (!is_codes(d, node)) return node;
    }
}

/* 1 + a node of so many columns, 0: none. */
static inline int draw_residual(struct dice *dice, const struct drawn *d, ptrdiff_t channels) {
    const int first = (int)between(dice, 0, d->n - 1);
    for (int k = 0; k < d->n && chance(dice, 0.97); k++) {
        const int node = (first + k) % d->n;
        if (!is_codes(d, node) && d->channels[node] == channels) return 1 + node;
    }
    return 0;
}

static inline void draw_join(struct dice *dice, struct drawn *d) {
    struct layer layer = {.kind = SCHUSS_KIND_concatenate};
    ptrdiff_t channels = 0;
    const int most = (int)between(dice, 1, 3), first = (int)between(dice, 0, d->n - 1);
    for (int k = 0; k < d->n && layer.joined < most; k++) {
        const int node = (first + k) % d->n;
        if (d->layers[node].kind == SCHUSS_KIND_input || d->joined[node]) continue;
        layer.from[layer.joined++] = node;
        channels += d->channels[node];
    }
    if (layer.joined) put_layer(d, layer, channels);
}

static inline void draw_layer(struct dice *dice, const struct drawing *how, struct drawn *d) {
    static const int kinds[] = {SCHUSS_KIND_activation, SCHUSS_KIND_scale, SCHUSS_KIND_layer_norm,
                                SCHUSS_KIND_batch_norm, SCHUSS_KIND_parametric, SCHUSS_KIND_prelu /* has a kink */};
    if (chance(dice, 0.15)) {
        draw_join(dice, d);
        return;
    }
    const int from = draw_value(dice, d);
    struct layer layer = {.kind = SCHUSS_KIND_dense, .from = {from}};
    ptrdiff_t channels = d->channels[from];
    if (chance(dice, 0.5)) {
        channels = chance(dice, 0.5) ? d->channels[draw_value(dice, d)] : some(dice, 1, how->widest);
        layer.n = channels;
        layer.no_bias = chance(dice, 0.2);
        layer.scale = chance(dice, 0.2) ? 0.5 + some(dice, 0, 10) / 20.0 : 0;
    } else layer.kind = kinds[between(dice, 0, how->smooth ? 4 : 5)];
    draw_end(dice, how->smooth, &layer);
    if (chance(dice, 0.5)) layer.add = draw_residual(dice, d, channels);
    put_layer(d, layer, channels);
}

/* A network all of whose values are used. */
static inline void draw_network(struct dice *dice, const struct drawing *how, struct drawn *d) {
    const int n_inputs = (int)some(dice, 1, 3);
    memset(d, 0, sizeof *d);
    for (int k = 0; k < n_inputs; k++) {
        const int codes = chance(dice, 0.4) ? (int)some(dice, 2, 300) : 0;
        const ptrdiff_t n = codes ? between(dice, 1, 4) : some(dice, 1, how->widest);
        put_layer(d, (struct layer){.kind = SCHUSS_KIND_input, .n = n, .codes = codes}, n);
    }
    for (int k = 0; k < n_inputs; k++) {
        struct layer layer = {.kind = SCHUSS_KIND_activation, .from = {k}};
        ptrdiff_t channels = d->channels[k];
        if (is_codes(d, k)) {
            layer.kind = SCHUSS_KIND_embedding;
            layer.n = d->layers[k].codes;
            layer.dim = some(dice, 1, 24);
            channels *= layer.dim;
        } else if (k == 0 || chance(dice, 0.5)) continue;
        draw_end(dice, how->smooth, &layer);
        put_layer(d, layer, channels);
    }
    for (int k = (int)between(dice, 1, how->most); k > 0; k--) draw_layer(dice, how, d);
    /* What nothing has used comes together at the end, an input by a layer of its own. */
    for (int k = 0; k < n_inputs; k++)
        if (!d->used[k]) put_layer(d, (struct layer){.kind = SCHUSS_KIND_activation, .from = {k}}, d->channels[k]);
    for (int unused = 2; unused > 1;) {
        struct layer end = {.kind = SCHUSS_KIND_concatenate};
        ptrdiff_t channels = 0;
        unused = 0;
        for (int k = 0; k < d->n; k++) {
            if (d->used[k]) continue;
            unused++;
            if (end.joined == MOST_INPUTS) continue;
            end.from[end.joined++] = k;
            channels += d->channels[k];
        }
        if (unused > 1) put_layer(d, end, channels);
    }
    if (chance(dice, 0.5)) return;
    struct layer last = {.kind = SCHUSS_KIND_dense, .from = {d->n - 1}, .n = some(dice, 2, 20)};
    if (chance(dice, 0.5)) last.activation = SCHUSS_SOFTMAX;
    else draw_end(dice, how->smooth, &last);
    put_layer(d, last, last.n);
}

/* The drawn network in words, for messages. */
static inline void print_network(FILE *to, const struct network *network) {
    for (int i = 0; i < network->net.n_nodes; i++) {
        const struct schuss_node *node = &network->nodes[i];
        fprintf(to, "%d: %s(", i, schuss_kind_name(node->kind));
        for (int k = 0; k < node->n_inputs; k++) fprintf(to, k ? ", %d" : "%d", node->inputs[k]);
        fprintf(to, ") -> %td, activation %d, dropout %g, residual %d\n", node->channels, node->activation,
                node->dropout, node->residual);
    }
}

#endif
