/* sigmoid and tanh for gates, with fused multiply-adds: half the operations of elementary.h's, which do without so that
 * they are the same on a machine that has none. Where these are used, sums of products are summed, which differ there
 * anyway. */

/* ROUNDER plus EXPONENT_BIAS: added to a small number, it leaves the nearest integer in the low bits as an exponent. */
ALWAYS_INLINE vec exponent_rounder(void) { return v_set1(ROUNDER + (real)EXPONENT_BIAS); }

/* x = k ln 2 + r. Returns r, and 2^k. */
ALWAYS_INLINE vec reduce_fused(vec x, vec *power) {
    const vec shifted = v_fma(x, v_set1(LOG2_E), exponent_rounder()), k = shifted - exponent_rounder();
    *power = (vec)((veci)shifted << MANTISSA_BITS);
    return v_fma(k, v_set1(-LN2_LOW), v_fma(k, v_set1(-LN2_HIGH), x));
}

/* exp(r) - 1 for |r| <= ln 2 / 2: its Taylor series. */
ALWAYS_INLINE vec expm1_fused(vec r) {
    vec p = v_set1(INVERSE_FACTORIAL[EXP_TERMS]);
#pragma GCC unroll 16
    for (int i = EXP_TERMS - 1; i > 0; i--) p = v_fma(p, r, v_set1(INVERSE_FACTORIAL[i]));
    return p * r;
}

/* 1 / (1 + exp(-z)). Where that is below the normal numbers, the least of them, roughly. */
ALWAYS_INLINE vec gate_sigmoid(vec z) {
    vec power;
    const vec x = v_min(v_set1(-EXP_SMALLEST), v_max(v_set1(EXP_SMALLEST), -z)); /* in this order NaN stays */
    const vec r = reduce_fused(x, &power);
    return v_set1(1) / (v_fma(expm1_fused(r), power, power) + v_set1(1));
}

/* From exp(-2 |z|) - 1 = t: t / (t + 2) is -tanh(|z|). */
ALWAYS_INLINE vec gate_tanh(vec z) {
    vec power;
    const veci sign = (veci)v_set1((real)-0.0);
    const vec x = v_max(v_set1(EXP_SMALLEST / 2), v_abs(z) * v_set1(-2));
    const vec r = reduce_fused(x, &power), t = v_fma(expm1_fused(r), power, power - v_set1(1));
    return (vec)((veci)v_abs(t / (t + v_set1(2))) | ((veci)z & sign));
}
