/* All bodies and the table of one ISA level and dtype. An isa/LEVEL_DTYPE.c opens its target region, says who it is
 * by REAL_BITS, VECTOR_BYTES, MACHINE_HEADER and TABLE, and includes this. Everything but the table is static, so
 * nothing compiled for a wider machine can be linked into the rest. */
#include "../vec/vec.h"
#include "../vec/philox.h"

#include "../dense/elementary.h"
#include "../dense/activation.h"
#include "../dense/gates.h"
#include "../dense/tile.h"
#include "../dense/runs.h"
#include "../dense/sparse.h"
#include "../dense/product.h"
#include "../dense/gemm.h"
#include "../dense/sums.h"
#include "../dense/dropout.h"
#include "../dense/loss.h"
#include "../layers/catalogue.h"
#include "../optim/sums.h"
#include "../optim/product.h"
#include "../optim/eigen.h"
#include "../optim/orthogonal.h"
#include "../optim/blocks8.h"
#include "../optim/formats.h"
#include "../optim/pairs.h"
#include "../optim/loop.h"
#define RULE_LOOPS
#include "../optim/list.h"
#undef RULE_LOOPS
#include "../optim/chunks.h"
#include "../optim/stages.h"
#include "../optim/by_row.h"
#define RULE_ARRAYS
#include "../optim/list.h"
#undef RULE_ARRAYS
#include "../optim/whole.h"
#include "../optim/lbfgs.h"
#include "../recommend/rows.h"
#include "../recommend/pairs.h"
#include "../recommend/batches.h"
#include "../recommend/factors.h"
#include "../recommend/rank.h"

extern const struct kernels TABLE;
const struct kernels TABLE = {
    .dtype = DTYPE,
    .item = sizeof(real),
    .vector_bytes = VECTOR_BYTES,
    .tile_rows = TILE_ROWS,
    .tile_cols = TILE_COLS,
    .step = step,
    .measure = measure,
    .by_row = by_row,
    .coast = coast,
    .array = array,
    .array_scratch = array_scratch,
    .widen = widen,
    .narrow = narrow,
    .any_nonfinite = any_nonfinite,
    .sum_squares = sum_squares,
    .sum_absolute = sum_absolute,
    .move_towards = move_towards,
    .lbfgs_look = lbfgs_look,
    .lbfgs_pair = lbfgs_pair,
    .lbfgs_dots = lbfgs_dots,
    .lbfgs_combine = lbfgs_combine,
    .lbfgs_move = lbfgs_move,
    .gemm = gemm,
    .gemm_scratch = gemm_scratch,
    .fill_scratch = fill_scratch,
    .sparse_scratch = sparse_scratch,
    .column_sums = column_sums,
    .activate = activate,
    .differentiate = differentiate,
    .add = add,
    .finish_rows = finish_any_rows,
    .table_scratch = touched_scratch,
    .kinds = kinds,
    .softmax = softmax,
    .softmax_backward = softmax_backward,
    .draw_mask = draw_mask,
    .apply_mask = apply_mask,
    .loss = loss,
    .pairwise_steps = pairwise_steps,
    .pairwise_look = pairwise_look,
    .pairwise_gather = pairwise_gather,
    .pairwise_update = pairwise_update,
    .pairwise_alone = pairwise_alone,
    .pairwise_sum = pairwise_sum,
    .pairwise_scratch = pairwise_scratch,
    .pairwise_represent = pairwise_represent,
    .pairwise_scores = pairwise_scores,
    .factors_steps = factors_steps,
    .factors_predict = factors_predict,
    .rank = rank,
    .rank_scratch = rank_scratch,
    .elementary = elementary,
};
