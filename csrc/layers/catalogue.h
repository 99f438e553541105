/* The table of all kinds of layers. */
#include "shares.h"

#include "input.h"
#include "concatenate.h"
#include "dense.h"
#include "activation.h"
#include "scale.h"
#include "layer_norm.h"
#include "batch_norm.h"
#include "embedding.h"
#include "embedding_bag.h"
#include "parametric.h"
#include "prelu.h"
#include "ensemble_dense.h"
#include "grouped_dense.h"
#include "periodic.h"
#include "piecewise_linear.h"
#include "clamp.h"
#include "mean_of_members.h"
#include "taps.h"
#include "grid.h"
#include "convolution_shape.h"
#include "convolution_weight.h"
#include "convolution.h"
#include "pool.h"
#include "flatten.h"
#include "recurrent.h"
#include "recurrent_call.h"
#include "recurrent_forward.h"
#include "recurrent_backward.h"
#include "recurrent_cells.h"
#include "rnn.h"
#include "gru.h"
#include "lstm.h"

#define KIND_ROW(NAME) &NAME##_kind,
static const struct kind *const kinds[] = {SCHUSS_KINDS(KIND_ROW)};
#undef KIND_ROW

/* See struct kernels. */
static void finish_any_rows(const struct tile_end *end, ptrdiff_t rows, ptrdiff_t cols, void *c, ptrdiff_t ldc,
                            ptrdiff_t row, ptrdiff_t col) {
    finish_rows(end, rows, cols, c, ldc, row, col);
}
