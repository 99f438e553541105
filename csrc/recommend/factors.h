/* Matrix factorization of ratings, one step a rating: Y. Koren, R. Bell, C. Volinsky, "Matrix factorization techniques
 * for recommender systems", Computer 42, 2009. With e the rating less what is predicted for it,
 *
 *   b_u += lr (e - reg b_u), b_i += lr (e - reg b_i), p_u += lr (e q_i - reg p_u), q_i += lr (e p_u - reg q_i),
 *
 * all from the values before the step. A rating of some weight has rates that are so many times higher. */

enum { FACTORS_SOON = 16, FACTORS_NEXT = 3 }; /* ratings ahead: whose numbers are fetched, and whose rows */

/* The sum of p[dim] q[dim], by the law of sums along a row, without fused multiply-adds. */
ALWAYS_INLINE real factors_dot(ptrdiff_t dim, const real *p, const real *q) {
    vec sum[SUM_VECS];
    for (int s = 0; s < SUM_VECS; s++) sum[s] = v_set1(0);
    ptrdiff_t j = 0;
    for (; j + VIRTUAL_LANES <= dim; j += VIRTUAL_LANES)
        for (int s = 0; s < SUM_VECS; s++) sum[s] += v_load(p + j + s * LANES) * v_load(q + j + s * LANES);
    for (int s = 0; j < dim; s++, j += LANES) {
        const vmask rest = v_mask(dim - j);
        sum[s] += v_load_m(p + j, rest) * v_load_m(q + j, rest);
    }
    return v_tree(sum);
}

ALWAYS_INLINE void factors_fetch(const real *row, ptrdiff_t dim) {
    for (ptrdiff_t j = 0; j < dim; j += 64 / (ptrdiff_t)sizeof(real)) __builtin_prefetch(row + j, 1);
}

/* See struct kernels. */
static void factors_steps(const struct schuss_factors *f, ptrdiff_t from, ptrdiff_t to, double *sum) {
    const ptrdiff_t dim = f->dim;
    const real *ratings = f->ratings, *weights = f->weights;
    const real mean = (real)f->mean;
    const real lr_bu = (real)f->lr[0], lr_bi = (real)f->lr[1], lr_pu = (real)f->lr[2], lr_qi = (real)f->lr[3];
    const real reg_bu = (real)f->reg[0], reg_bi = (real)f->reg[1];
    const vec reg_pu = v_set1((real)f->reg[2]), reg_qi = v_set1((real)f->reg[3]);
    double total = *sum;
    for (ptrdiff_t k = from; k < to; k++) {
        if (k + FACTORS_SOON < to) {
            const int64_t soon = f->order[k + FACTORS_SOON];
            __builtin_prefetch(f->users + soon);
            __builtin_prefetch(f->items + soon);
            __builtin_prefetch(ratings + soon);
            const int64_t next = f->order[k + FACTORS_NEXT];
            factors_fetch((const real *)f->user + f->users[next] * dim, dim);
            factors_fetch((const real *)f->item + f->items[next] * dim, dim);
        }
        const int64_t t = f->order[k], u = f->users[t], i = f->items[t];
        const real weight = weights ? weights[t] : 1;
        real *p = (real *)f->user + u * dim, *q = (real *)f->item + i * dim;
        real *bu = f->user_bias ? (real *)f->user_bias + u : NULL, *bi = bu ? (real *)f->item_bias + i : NULL;
        const real known = bu ? (mean + *bu) + *bi : mean;
        const real error = ratings[t] - (known + factors_dot(dim, p, q));
        total += (double)weight * ((double)error * (double)error);
        if (bu) {
            *bu += (lr_bu * weight) * (error - reg_bu * *bu);
            *bi += (lr_bi * weight) * (error - reg_bi * *bi);
        }
        const vec lr_p = v_set1(lr_pu * weight), lr_q = v_set1(lr_qi * weight), e = v_set1(error);
        ptrdiff_t j = 0;
        for (; j + LANES <= dim; j += LANES) {
            const vec a = v_load(p + j), b = v_load(q + j);
            v_store(p + j, a + lr_p * (e * b - reg_pu * a));
            v_store(q + j, b + lr_q * (e * a - reg_qi * b));
        }
        if (j < dim) {
            const vmask rest = v_mask(dim - j);
            const vec a = v_load_m(p + j, rest), b = v_load_m(q + j, rest);
            v_store_m(p + j, a + lr_p * (e * b - reg_pu * a), rest);
            v_store_m(q + j, b + lr_q * (e * a - reg_qi * b), rest);
        }
    }
    *sum = total;
}

/* See struct kernels. */
static void factors_predict(const struct schuss_factors *f, ptrdiff_t from, ptrdiff_t to, void *out) {
    const real mean = (real)f->mean;
    for (ptrdiff_t k = from; k < to; k++) {
        const int64_t u = f->users[k], i = f->items[k];
        const int has_user = u >= 0 && u < f->n_users, has_item = i >= 0 && i < f->n_items;
        real x = mean;
        if (f->user_bias && has_user) x += ((const real *)f->user_bias)[u];
        if (f->user_bias && has_item) x += ((const real *)f->item_bias)[i];
        if (has_user && has_item)
            x += factors_dot(f->dim, (const real *)f->user + u * f->dim, (const real *)f->item + i * f->dim);
        ((real *)out)[k] = x;
    }
}
