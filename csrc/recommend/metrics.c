/* What places of positives come to: metrics of rankings, each user's own, in double and in a fixed order.
 *
 * A user without positives, or of whose positives all are left out, has a precision, recall and ndcg of 0 and an auc of
 * 1/2; so has an auc of a user who has no other items. */
#include <stdlib.h>

#include "../kernels.h"
#include "../names.h"

static double logarithm(double x) {
    double y;
    schuss_kernels(SCHUSS_F64)->elementary(ELEMENTARY_LOG, 1, &x, &y);
    return y;
}

static int falling(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static double hits(const struct schuss_places *p, int64_t row, ptrdiff_t k) {
    int64_t found = 0;
    for (int64_t e = p->positives->start[row]; e < p->positives->start[row + 1]; e++)
        found += p->place[e] >= 0 && p->place[e] < k;
    return (double)found;
}

/* The gains of the positives that are among the first k, discounted, by what they could be at most. */
static double ndcg(const struct schuss_places *p, int64_t row, ptrdiff_t k, const double *gains, const double *discounts,
                   double *sorted) {
    double sum = 0, most = 0;
    ptrdiff_t n = 0;
    for (int64_t e = p->positives->start[row]; e < p->positives->start[row + 1]; e++) {
        if (p->place[e] < 0) continue;
        const double gain = gains ? gains[e] : 1;
        if (p->place[e] < k) sum += gain * discounts[p->place[e]];
        sorted[n++] = gain;
    }
    if (gains) qsort(sorted, (size_t)n, sizeof *sorted, falling);
    for (ptrdiff_t i = 0; i < n && i < k; i++) most += sorted[i] * discounts[i];
    return most > 0 ? sum / most : 0;
}

static double auc(const struct schuss_ranking *r, const struct schuss_places *p, int64_t row) {
    const struct schuss_compressed *x = r->left_out;
    const int64_t ranked = r->n_items - (x ? x->start[row + 1] - x->start[row] : 0), n = p->counted[row];
    const double pairs = (double)n * (double)(ranked - n);
    return pairs > 0 ? 1 - p->wrong[row] / pairs : 0.5;
}

void schuss_rank_metric(int metric, ptrdiff_t k, const struct schuss_ranking *r, const struct schuss_places *places,
                        const double *gains, double *discounts, double *sorted, double *out) {
    const ptrdiff_t most = k < r->n_items ? k : r->n_items;
    if (metric == SCHUSS_METRIC_NDCG)
        for (ptrdiff_t i = 0; i < most; i++) discounts[i] = logarithm(2) / logarithm((double)i + 2);
    for (ptrdiff_t row = 0; row < r->rows; row++) {
        const double counted = (double)places->counted[row];
        if (metric == SCHUSS_METRIC_PRECISION) out[row] = hits(places, row, k) / (double)k;
        if (metric == SCHUSS_METRIC_RECALL) out[row] = counted > 0 ? hits(places, row, k) / counted : 0;
        if (metric == SCHUSS_METRIC_NDCG) out[row] = ndcg(places, row, most, gains, discounts, sorted);
        if (metric == SCHUSS_METRIC_AUC) out[row] = auc(r, places, row);
    }
}

const char *schuss_metric_name(int metric) { return NAME_OF(SCHUSS_METRICS, metric); }
