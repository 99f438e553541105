/* The names of all kinds of layers, as files and Python know them. Each is one file here; layers/catalogue.h has the
 * table. */
#ifndef SCHUSS_LAYERS_LIST_H
#define SCHUSS_LAYERS_LIST_H

#define SCHUSS_KINDS(KIND) \
    KIND(input)            \
    KIND(concatenate)      \
    KIND(dense)            \
    KIND(activation)       \
    KIND(scale)            \
    KIND(layer_norm)       \
    KIND(batch_norm)       \
    KIND(embedding)        \
    KIND(parametric)       \
    KIND(prelu)            \
    KIND(ensemble_dense)   \
    KIND(grouped_dense)    \
    KIND(periodic)         \
    KIND(piecewise_linear) \
    KIND(clamp)            \
    KIND(mean_of_members)  \
    KIND(rnn)              \
    KIND(gru)              \
    KIND(lstm)             \
    KIND(pool)             \
    KIND(flatten)          \
    KIND(convolution)      \
    KIND(embedding_bag)

#endif
