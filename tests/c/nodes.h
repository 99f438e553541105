/* Networks for tests: lists of layers, and the nodes that they are. */
#ifndef NODES_H
#define NODES_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schuss.h"

enum { MOST_LAYERS = 32, MOST_INPUTS = 8 };

/* One layer. Its node's number is its place in the list, inputs come first. What follows from the layers before is left
 * out: how many columns come in. */
struct layer {
    int kind;                /* enum schuss_kind */
    int from[MOST_INPUTS];   /* the node before it, or those that are concatenated, */
    int joined;              /* so many */
    ptrdiff_t n;             /* columns of an input or of a dense layer; rows of an embedding's table, */
    ptrdiff_t dim;           /* which have so many elements */
    int codes;               /* of an input: it is of codes, fewer than so many; 0: of numbers */
    int no_bias;             /* of a dense layer */
    double scale;            /* of a dense layer; 0: 1 */
    int activation;
    double alpha, dropout;
    int add;                 /* 1 + the node whose value is added; 0: none */
};

struct network {
    struct schuss_net net;
    ptrdiff_t size;          /* of the arenas, which the caller has to provide */
    struct schuss_node nodes[MOST_LAYERS];
    struct schuss_array arrays[MOST_LAYERS * SCHUSS_NODE_ARRAYS];
};

/* The layers as a network. The list has to live as long. */
static inline void set_up(struct network *network, int dtype, int n_layers, const struct layer *layers) {
    int node;
    const char *what;
    memset(network, 0, sizeof *network);
    for (int i = 0; i < n_layers; i++) {
        const struct layer *layer = &layers[i];
        struct schuss_node *to = &network->nodes[i];
        const ptrdiff_t before = i ? network->nodes[layer->from[0]].channels : 0;
        *to = (struct schuss_node){
            .kind = layer->kind, .inputs = layer->from, .n_inputs = layer->joined ? layer->joined : 1,
            .activation = layer->activation, .alpha = layer->alpha, .dropout = layer->dropout,
            .residual = layer->add - 1, .stream = (uint32_t)i - 1,
        };
        switch (layer->kind) {
        case SCHUSS_KIND_input:
            to->n_inputs = 0;
            to->sizes[0] = layer->n;
            to->sizes[1] = 1;
            to->numbers[0] = layer->codes > 0;
            break;
        case SCHUSS_KIND_dense:
            to->sizes[0] = before;
            to->sizes[1] = layer->n;
            to->numbers[0] = !layer->no_bias;
            to->numbers[1] = layer->scale ? layer->scale : 1;
            break;
        case SCHUSS_KIND_parametric:
            to->sizes[0] = before;
            to->numbers[0] = SCHUSS_TANH;
            break;
        case SCHUSS_KIND_embedding:
            to->sizes[0] = layer->n;
            to->sizes[1] = layer->dim;
            break;
        default: /* those that need no size take none */
            to->sizes[0] = before;
            to->numbers[0] = 1e-5; /* of norms: eps and momentum */
            to->numbers[1] = 0.1;
        }
        /* The columns so far, for the next layer. */
        network->net = (struct schuss_net){.dtype = dtype, .n_nodes = i + 1, .nodes = network->nodes,
                                           .arrays = network->arrays, .seed = 17};
        network->size = schuss_net_shape(&network->net, &node, &what);
        if (network->size < 0) {
            fprintf(stderr, "layer %d does not fit: %s\n", node, what ? what : "too large");
            exit(1);
        }
    }
}

/* What parameters and states begin with: random weights, and what makes the other layers do little. */
static inline void begin(const struct network *network) {
    const struct schuss_net *net = &network->net;
    const ptrdiff_t item = net->dtype == SCHUSS_F32 ? 4 : 8;
    for (int k = 0; k < net->n_arrays; k++) {
        const struct schuss_array *array = &net->arrays[k];
        const struct schuss_node *node = &net->nodes[array->node];
        const int zero = !strcmp(array->name, "bias") || !strcmp(array->name, "running_mean");
        const double scale = node->kind == SCHUSS_KIND_dense ? sqrt(2 / (double)array->rows) : 1;
        void *at = (char *)net->params + array->at * item;
        if (array->ndim >= 2)
            schuss_initialise(net->dtype, at, array->matrices * array->rows, array->cols, SCHUSS_INIT_NORMAL, scale, net->seed,
                              node->stream, NULL);
        else
            for (ptrdiff_t i = 0; i < array->n; i++) {
                if (net->dtype == SCHUSS_F32) ((float *)at)[i] = (float)!zero;
                else ((double *)at)[i] = !zero;
            }
    }
}

#endif
