/* Ratings by factors: steps one after the other, predictions over threads. */
#include "../fpmode.h"
#include "../kernels.h"
#include "../pool.h"

enum { PAIRS_PER_THREAD = 4096 };

void schuss_factors_steps(const struct schuss_factors *f, ptrdiff_t from, ptrdiff_t to, double *sum) {
    const fpmode found = fpmode_flush();
    schuss_kernels(f->dtype)->factors_steps(f, from, to, sum);
    fpmode_restore(found);
}

struct predict_job {
    const struct schuss_factors *f;
    ptrdiff_t n;
    void *out;
};

static void predict_share(void *context, int index, int count) {
    const struct predict_job *job = context;
    const ptrdiff_t from = share_start(job->n, 16, index, count), to = share_start(job->n, 16, index + 1, count);
    schuss_kernels(job->f->dtype)->factors_predict(job->f, from, to, job->out);
}

void schuss_factors_predict(const struct schuss_factors *f, ptrdiff_t n, void *out) {
    struct predict_job job = {f, n, out};
    schuss_parallel(threads_for((double)n, PAIRS_PER_THREAD, schuss_get_num_threads()), predict_share, &job);
}
