/* x^y in double for constants of a step: sums, products and quotients in a fixed order, so the same bits on every
 * platform, unlike pow(). Relative error below 4e-16 (2 + |y log x|). tests/reference/power.py is the same. */
#ifndef SCHUSS_POWER_H
#define SCHUSS_POWER_H

#include <math.h>

#include "../schuss.h"

/* log(x), x > 0 and normal: x = 2^e m with m near 1, then the series of 2 atanh((m - 1) / (m + 1)). */
static inline double portable_log(double x) {
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752) m *= 2, e--;
    const double z = (m - 1) / (m + 1), square = z * z;
    double sum = 0;
    for (int k = 23; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
    return e * 0.69314718055994531 + 2 * z * sum;
}

/* e^x, |x| < 700: x = n log 2 + r, then the series. log 2 is in two parts, so that r is good to the last bits. */
static inline double portable_exp(double x) {
    const double n = floor(x * 1.4426950408889634 + 0.5);
    const double r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
    double sum = 1;
    for (int k = 14; k >= 1; k--) sum = 1 + sum * r / k;
    return ldexp(sum, (int)n);
}

/* x >= 0; 0^0 = 1. */
static inline double portable_power(double x, double y) {
    if (y == 0) return 1;
    return x > 0 ? portable_exp(y * portable_log(x)) : 0;
}

/* Has to be called by one thread before powers or constants of any of its steps are asked for: keeps the 2^i-th powers
 * of betas in the groups, where a beta is not the one they are of. */
void optimizer_prepare(const struct schuss_step *step);

/* beta_k^t of each beta, by squaring: the same bits on every platform, unlike pow(). */
void optimizer_powers(const struct schuss_group *g, int64_t t, double power[SCHUSS_MAX_BETAS]);

#endif
