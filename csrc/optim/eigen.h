/* Eigenvectors of a symmetric matrix by a team, in double for both dtypes: Householder's reflections to tridiagonal
 * form, then the implicit QL algorithm with Wilkinson's shifts (Golub and Van Loan, Matrix Computations, 8.3). The
 * sequence of rotations depends on the tridiagonal matrix alone: each member finds it by itself, and applies it to its
 * columns. Sums go over 16 lanes whatever the vectors, so neither they nor the members change a bit. */

enum {
    EIGEN_SWEEPS = 8,   /* rotations of so many sweeps wait, to be applied to a block of columns while it is in L2 */
    EIGEN_COLS = 32,    /* columns of a block */
    EIGEN_TOGETHER = 8, /* rows that a reflector is applied to while it is in L1 */
    EIGEN_MOST = 60     /* sweeps for an eigenvalue; two will do */
};

/* What members share: a and z [d x d], y[2][d], factor[d]. a is overwritten. */
struct eigen_room {
    ptrdiff_t d;
    double *a, *z, *y[2], *factor;
};

/* Each member's own. */
struct eigen_own {
    double *x, *v, *w, *tau;    /* [d] */
    double *diagonal, *off;     /* [d] */
    double *rotations;          /* [EIGEN_SWEEPS x d x 2] */
    ptrdiff_t *order;           /* [d] */
};

static ptrdiff_t eigen_own_bytes(ptrdiff_t d) {
    return d * (ptrdiff_t)((6 + 2 * EIGEN_SWEEPS) * sizeof(double) + sizeof(ptrdiff_t));
}

static struct eigen_own eigen_own(ptrdiff_t d, char *room) {
    double *x = (double *)room;
    return (struct eigen_own){x, x + d, x + 2 * d, x + 3 * d, x + 4 * d, x + 5 * d, x + 6 * d,
                              (ptrdiff_t *)(x + (6 + 2 * EIGEN_SWEEPS) * d)};
}

/* The inner product of x[n] and y[n]. */
static double eigen_dot(ptrdiff_t n, const double *x, const double *y) {
    wide sum[LANE_VECS] = {0};
    double lane[VIRTUAL_LANES];
    ptrdiff_t i = 0;
    for (; i + VIRTUAL_LANES <= n; i += VIRTUAL_LANES)
#pragma GCC unroll 8
        for (int k = 0; k < LANE_VECS; k++) {
            wide a, b;
            memcpy(&a, x + i + k * DOUBLES, sizeof a);
            memcpy(&b, y + i + k * DOUBLES, sizeof b);
            sum[k] += a * b;
        }
    memcpy(lane, sum, sizeof lane);
    for (int l = 0; i + l < n; l++) lane[l] += x[i + l] * y[i + l];
    return lanes_total(lane);
}

/* x[n] becomes v with v[0] = 1, such that H = 1 - tau v v' maps what x was to (beta, 0, ..., 0). Returns tau. */
static double eigen_reflector(ptrdiff_t n, double *x, double *beta) {
    const double first = x[0], rest = eigen_dot(n - 1, x + 1, x + 1);
    x[0] = 1;
    *beta = first;
    if (rest == 0) return 0;
    const double norm = sqrt(first * first + rest);
    *beta = first > 0 ? -norm : norm;
    const double factor = 1 / (first - *beta);
    for (ptrdiff_t i = 1; i < n; i++) x[i] *= factor;
    return (*beta - first) / *beta;
}

/* a = Q T Q' with a tridiagonal T, Q the product of the reflections whose v[k + 1..] is left in row k of a. The update
 * of one reflection, v w' + w v', is made as the rows pass for the next one's product. */
static void eigen_tridiagonal(const struct eigen_room *r, struct eigen_own *own, struct team *me) {
    const ptrdiff_t d = r->d;
    double *diagonal = own->diagonal, *off = own->off;
    for (ptrdiff_t k = 0; k < d; k++) {
        const double *row = r->a + k * d;
        double *restrict x = own->x, *restrict v = own->v, *restrict w = own->w;
        diagonal[k] = k ? row[k] - (v[k] * w[k] + w[k] * v[k]) : row[k];
        if (k == d - 1) break;
        for (ptrdiff_t j = k + 1; j < d; j++) x[j] = row[j];
        if (k)
            for (ptrdiff_t j = k + 1; j < d; j++) x[j] = x[j] - (v[k] * w[j] + w[k] * v[j]);
        const ptrdiff_t n = d - k - 1, from = k + 1 + share_start(n, 1, me->index, me->count);
        const ptrdiff_t to = k + 1 + share_start(n, 1, me->index + 1, me->count);
        double *y = r->y[k % 2];
        own->tau[k] = eigen_reflector(n, x + k + 1, &off[k]);
        for (ptrdiff_t i = from; i < to; i++) {
            double *restrict a = r->a + i * d;
            const double vi = v[i], wi = w[i];
            if (k)
                for (ptrdiff_t j = k + 1; j < d; j++) a[j] = a[j] - (vi * w[j] + wi * v[j]);
            y[i] = eigen_dot(n, a + k + 1, x + k + 1);
        }
        team_wait(me);
        if (me->index == 0) memcpy(r->a + k * d + k + 1, x + k + 1, (size_t)n * sizeof *x);
        const double tau = own->tau[k], half = 0.5 * tau * tau * eigen_dot(n, y + k + 1, x + k + 1);
        for (ptrdiff_t j = k + 1; j < d; j++) w[j] = tau * y[j] - half * x[j];
        own->x = v;
        own->v = x;
    }
    team_wait(me);
}

/* Row j of z becomes Q's column j. */
static void eigen_columns(const struct eigen_room *r, const struct eigen_own *own, const struct team *me) {
    const ptrdiff_t d = r->d;
    for (ptrdiff_t j = (ptrdiff_t)me->index * EIGEN_TOGETHER; j < d; j += (ptrdiff_t)me->count * EIGEN_TOGETHER) {
        const ptrdiff_t end = j + EIGEN_TOGETHER < d ? j + EIGEN_TOGETHER : d;
        memset(r->z + j * d, 0, (size_t)((end - j) * d) * sizeof(double));
        for (ptrdiff_t i = j; i < end; i++) r->z[i * d + i] = 1;
        for (ptrdiff_t k = end - 2; k >= 0; k--) {
            const double *restrict v = r->a + k * d + k + 1;
            const double tau = own->tau[k];
            for (ptrdiff_t i = j; i < end && tau != 0; i++) {
                double *restrict z = r->z + i * d + k + 1;
                const double along = tau * eigen_dot(d - k - 1, v, z);
                for (ptrdiff_t c = 0; c < d - k - 1; c++) z[c] = z[c] - along * v[c];
            }
        }
    }
}

/* A sweep's rotations of rows i and i + 1, from i = high - 1 down to low, in `width` columns. */
ALWAYS_INLINE void eigen_rotate(ptrdiff_t low, ptrdiff_t high, const double *rotations, ptrdiff_t width, ptrdiff_t d,
                                double *z) {
    double upper[EIGEN_COLS];
    memcpy(upper, z + high * d, (size_t)width * sizeof(double));
    for (ptrdiff_t i = high - 1; i >= low; i--) {
        const double c = rotations[2 * i], s = rotations[2 * i + 1];
        double *restrict row = z + i * d, *restrict above = row + d;
        for (ptrdiff_t j = 0; j < width; j++) {
            const double a = row[j], b = upper[j];
            above[j] = s * a + c * b;
            upper[j] = c * a - s * b;
        }
    }
    memcpy(z + low * d, upper, (size_t)width * sizeof(double));
}

/* Applies the sweeps that wait, each of rows low[k] to high[k], to the member's columns of z. */
static void eigen_apply(const struct eigen_room *r, const struct eigen_own *own, int sweeps, const ptrdiff_t *low,
                        const ptrdiff_t *high, const struct team *me) {
    const ptrdiff_t d = r->d, end = share_start(d, EIGEN_COLS, me->index + 1, me->count);
    for (ptrdiff_t col = share_start(d, EIGEN_COLS, me->index, me->count); col < end; col += EIGEN_COLS)
        for (int k = 0; k < sweeps; k++) {
            const double *rotations = own->rotations + 2 * k * d;
            if (end - col >= EIGEN_COLS) eigen_rotate(low[k], high[k], rotations, EIGEN_COLS, d, r->z + col);
            else eigen_rotate(low[k], high[k], rotations, end - col, d, r->z + col);
        }
}

/* One sweep of QL over rows low to high of the tridiagonal matrix. Returns the lowest row that was rotated. */
static ptrdiff_t eigen_sweep(ptrdiff_t low, ptrdiff_t high, double *diagonal, double *off, double *rotations) {
    const double half = (diagonal[low + 1] - diagonal[low]) / (2 * off[low]), root = sqrt(half * half + 1);
    double g = diagonal[high] - diagonal[low] + off[low] / (half < 0 ? half - root : half + root);
    double s = 1, c = 1, p = 0;
    for (ptrdiff_t i = high - 1; i >= low; i--) {
        const double f = s * off[i], b = c * off[i], norm = sqrt(f * f + g * g);
        off[i + 1] = norm;
        if (norm == 0) { /* the matrix falls apart here */
            diagonal[i + 1] -= p;
            off[high] = 0;
            return i + 1;
        }
        s = f / norm;
        c = g / norm;
        g = diagonal[i + 1] - p;
        const double change = (diagonal[i] - g) * s + 2 * c * b;
        p = s * change;
        diagonal[i + 1] = g + p;
        g = c * change - b;
        rotations[2 * i] = c;
        rotations[2 * i + 1] = s;
    }
    diagonal[low] -= p;
    off[low] = g;
    off[high] = 0;
    return low;
}

/* The member's columns of z times the eigenvectors of the tridiagonal matrix: rows of z become eigenvectors. */
static void eigen_values(const struct eigen_room *r, const struct eigen_own *own, const struct team *me) {
    const ptrdiff_t d = r->d;
    double *diagonal = own->diagonal, *off = own->off;
    ptrdiff_t low[EIGEN_SWEEPS], high[EIGEN_SWEEPS];
    int sweeps = 0;
    off[d - 1] = 0;
    for (ptrdiff_t l = 0; l < d; l++)
        for (int tries = 0; tries < EIGEN_MOST; tries++) {
            ptrdiff_t m = l;
            for (; m < d - 1; m++) {
                const double here = diagonal[m] < 0 ? -diagonal[m] : diagonal[m];
                const double next = diagonal[m + 1] < 0 ? -diagonal[m + 1] : diagonal[m + 1];
                if ((off[m] < 0 ? -off[m] : off[m]) <= 0x1p-53 * (here + next)) break;
            }
            if (m == l) break;
            high[sweeps] = m;
            low[sweeps] = eigen_sweep(l, m, diagonal, off, own->rotations + 2 * sweeps * d);
            if (++sweeps < EIGEN_SWEEPS) continue;
            eigen_apply(r, own, sweeps, low, high, me);
            sweeps = 0;
        }
    eigen_apply(r, own, sweeps, low, high, me);
}

/* order[d]: the places of values, the largest first, equals as they come. Where they are nearly in order it is fast. */
static void descending(ptrdiff_t d, const double *values, ptrdiff_t *order) {
    for (ptrdiff_t i = 0; i < d; i++) {
        ptrdiff_t at = i;
        for (; at > 0 && values[order[at - 1]] < values[i]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
}

/* The largest element of a positive semidefinite square[d x d], which is on its diagonal; NaN if there is one. */
static double largest_of(ptrdiff_t d, const real *square) {
    double most = 0;
    for (ptrdiff_t i = 0; i < d; i++)
        if (!((double)square[i * d + i] <= most)) most = (double)square[i * d + i];
    return most;
}

/* The columns of q[d x d] become the eigenvectors of the positive semidefinite square[d x d], in decreasing order of
 * their eigenvalues. Of each the largest element (by magnitude, the first of several) is positive. A square that is not
 * finite gives NaN, one of zeros the identity. */
static void eigenvectors(const real *square, real *q, const struct eigen_room *r, char *own_room, struct team *me) {
    const ptrdiff_t d = r->d, from = share_start(d, 1, me->index, me->count);
    const ptrdiff_t to = share_start(d, 1, me->index + 1, me->count);
    struct eigen_own own = eigen_own(d, own_room);
    const double most = largest_of(d, square), scale = 1 / most;
    if (!(most > 0 && scale > 0)) {
        for (ptrdiff_t i = from; i < to; i++)
            for (ptrdiff_t j = 0; j < d; j++) q[i * d + j] = most == 0 ? (real)(i == j) : (real)(most - most);
        team_wait(me);
        return;
    }
    for (ptrdiff_t i = from * d; i < to * d; i++) r->a[i] = scale * (double)square[i];
    team_wait(me);
    eigen_tridiagonal(r, &own, me);
    eigen_columns(r, &own, me);
    team_wait(me);
    eigen_values(r, &own, me);
    team_wait(me);
    descending(d, own.diagonal, own.order);
    for (ptrdiff_t k = from; k < to; k++) {
        const double *z = r->z + own.order[k] * d;
        double largest = 0;
        r->factor[k] = 1;
        for (ptrdiff_t i = 0; i < d; i++)
            if ((z[i] < 0 ? -z[i] : z[i]) > largest) {
                largest = z[i] < 0 ? -z[i] : z[i];
                r->factor[k] = z[i] < 0 ? -1 : 1;
            }
    }
    team_wait(me);
    for (ptrdiff_t k0 = 0; k0 < d; k0 += 16)
        for (ptrdiff_t i = from; i < to; i++)
            for (ptrdiff_t k = k0; k < k0 + 16 && k < d; k++)
                q[i * d + k] = (real)(r->factor[k] * r->z[own.order[k] * d + i]);
    team_wait(me);
}
