/* exp, log, tanh, ... on vectors, by + - * / and bit operations in a fixed order: the same bits on every ISA level.
 * One body for both dtypes; float needs fewer terms. tests/core/test_activations.py measures the errors. */

/* ERFCX: (1 + 2x) exp(x^2) erfc(x) on [0, inf) as a polynomial in (x - 3) / (x + 3), increasing powers: our own
 * Chebyshev fit of the form in Shepherd and Laframboise, Mathematics of Computation 36 (1981), with relative error
 * 4e-9 and 3e-17. */
#if REAL_BITS == 32
enum { EXP_TERMS = 7, LOG_TERMS = 5, LOG1P_TERMS = 8 };
static const real EXP_LARGEST = 88.7228317f, EXP_SMALLEST = -87.33f;
static const real LN2_HIGH = 0.693145751953125f, LN2_LOW = 1.428606765330187e-06f;
static const real ROUNDER = 12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
static const real ERFCX[] = {
    1.253008056f, -0.1356210694f, -0.04756215693f, 0.1296441143f, -0.1192752753f, 0.06831656777f, -0.02376357644f,
    0.00249911687f, 0.001875079124f, -0.000726453679f, -9.254516687e-5f, 7.731024224e-5f};
#else
enum { EXP_TERMS = 13, LOG_TERMS = 11, LOG1P_TERMS = 18 };
static const real EXP_LARGEST = 709.782712893383973, EXP_SMALLEST = -708.39;
static const real LN2_HIGH = 0.693147180369123816490, LN2_LOW = 1.90821492927058770002e-10;
static const real ROUNDER = 6755399441055744.0; /* 1.5 * 2^52 */
static const real ERFCX[] = {
    1.2530080582697296471, -0.13562110612458115851, -0.047562294353449196685, 0.12964515870275939232,
    -0.11927366341538638408, 0.068308027344009903797, -0.023770514917171336801, 0.002529391815693969529,
    0.0018886903449991718499, -0.00077983226965433065261, -0.00010515971958448065097, 0.00012509934245837291197,
    4.9491966499683549376e-6, -0.000020100542268525617787, -7.3082814687838506879e-7, 3.4723709449771802413e-6,
    3.5576086684084467016e-7, -6.1660114603988642322e-7, -1.4047654315432633239e-7, 1.0183620603843728079e-7,
    4.1064013667968757505e-8, -1.3312919661042725205e-8, -8.217595058722536129e-9, 9.8625335103527132967e-10,
    8.3937348587097457838e-10};
#endif
/* sin(2 pi s) / s and cos(2 pi s) in powers of s^2: their Taylor series, for |s| <= 1/8. TWO_PI_REST: what rounding
 * takes off the first coefficient of the sine. */
#if REAL_BITS == 32
enum { SINE_TERMS = 5, COSINE_TERMS = 6 };
static const real TWO_PI_REST = -1.748455600074497132e-7f;
#else
enum { SINE_TERMS = 9, COSINE_TERMS = 9 };
static const real TWO_PI_REST = 2.449293598294706354e-16;
#endif
static const real SINE[] = {
    (real)6.283185307179586476925, (real)-41.34170224039976023397, (real)81.6052492760750542034,
    (real)-76.70585975306138584163, (real)42.05869394489765314499, (real)-15.09464257682299039183,
    (real)3.819952584848282127734, (real)-0.7181223017785005122317, (real)0.1042291622081398411727};
static const real COSINE[] = {
    (real)1, (real)-19.73920880217871723767, (real)64.93939402266829149096, (real)-85.45681720669372773602,
    (real)60.24464137187666036272, (real)-26.4262567833743974529, (real)7.903536371318468804212,
    (real)-1.714390711088672065422, (real)0.2820059684557912150703};
enum { ERFCX_TERMS = sizeof ERFCX / sizeof ERFCX[0] };
static const real LOG2_E = (real)1.44269504088896340736;
static const real SQRT_HALF = (real)0.70710678118654752440;

static const real INVERSE_FACTORIAL[] = {
    (real)1, (real)1, (real)(1.0 / 2), (real)(1.0 / 6), (real)(1.0 / 24), (real)(1.0 / 120), (real)(1.0 / 720),
    (real)(1.0 / 5040), (real)(1.0 / 40320), (real)(1.0 / 362880), (real)(1.0 / 3628800), (real)(1.0 / 39916800),
    (real)(1.0 / 479001600), (real)(1.0 / 6227020800)};

/* ROUNDER's bits, to move small integers between the integer and the floating side without a conversion. */
ALWAYS_INLINE veci rounder_bits(void) { return (veci)v_set1(ROUNDER); }
ALWAYS_INLINE vec v_from_int(veci i) { return (vec)(i + rounder_bits()) - v_set1(ROUNDER); }

/* x = k ln 2 + r, |r| <= ln 2 / 2. Returns r. */
ALWAYS_INLINE vec reduce(vec x, veci *k) {
    vec shifted = x * v_set1(LOG2_E) + v_set1(ROUNDER);
    vec rounded = shifted - v_set1(ROUNDER);
    *k = (veci)shifted - rounder_bits();
    return (x - rounded * v_set1(LN2_HIGH)) - rounded * v_set1(LN2_LOW);
}

/* (exp(r) - 1) / r for |r| <= ln 2 / 2: its Taylor series. */
ALWAYS_INLINE vec expm1_over(vec r) {
    vec p = v_set1(INVERSE_FACTORIAL[EXP_TERMS]);
#pragma GCC unroll 16
    for (int i = EXP_TERMS - 1; i > 0; i--) p = p * r + v_set1(INVERSE_FACTORIAL[i]);
    return p;
}

ALWAYS_INLINE vec v_exp(vec x) {
    veci k;
    vec inside = v_min(v_max(v_set1(EXP_SMALLEST), x), v_set1(EXP_LARGEST)); /* NaN: handled by the last select */
    vec r = reduce(inside, &k);
    vec y = expm1_over(r) * r + v_set1(1);
    y = (vec)((veci)y + (k << MANTISSA_BITS));
    y = v_select(x < v_set1(EXP_SMALLEST), v_set1(0), y);
    y = v_select(x > v_set1(EXP_LARGEST), v_set1((real)INFINITY), y);
    return v_select(x == x, y, x);
}

/* exp(x) - 1 without cancellation, for x <= 0. */
ALWAYS_INLINE vec v_expm1(vec x) {
    veci k;
    vec r = reduce(v_max(v_set1(EXP_SMALLEST / 2), x), &k);
    vec power = (vec)((k + v_seti(EXPONENT_BIAS)) << MANTISSA_BITS);
    vec y = power * (expm1_over(r) * r) + (power - v_set1(1));
    return v_select(x == x, y, x);
}

/* 2 atanh(f) for |f| <= 1/3. */
ALWAYS_INLINE vec twice_atanh(vec f, const int terms) {
    vec square = f * f, p = v_set1((real)(2.0 / (2 * terms + 1)));
#pragma GCC unroll 32
    for (int i = terms - 1; i > 0; i--) p = p * square + v_set1((real)(2.0 / (2 * i + 1)));
    return f * v_set1(2) + f * (square * p);
}

ALWAYS_INLINE vec v_log(vec x) {
    typedef real_uint vecu __attribute__((vector_size(VECTOR_BYTES)));
    vecu bits = (vecu)x; /* unsigned: what is done to the bits of a negative x may wrap */
    vecu over_half = bits - (vecu)v_set1(SQRT_HALF) + (vecu)v_seti((real_int)EXPONENT_BIAS << MANTISSA_BITS);
    veci exponent = (veci)(over_half >> MANTISSA_BITS) - v_seti(EXPONENT_BIAS);
    vec m = (vec)(bits - ((vecu)exponent << MANTISSA_BITS)); /* in [sqrt(1/2), sqrt(2)) */
    vec e = v_from_int(exponent);
    vec y = e * v_set1(LN2_HIGH) +
            (twice_atanh((m - v_set1(1)) / (m + v_set1(1)), LOG_TERMS) + e * v_set1(LN2_LOW));
    y = v_select(x < v_set1((real)(REAL_BITS == 32 ? 0x1p-126 : 0x1p-1022)), v_set1(-(real)INFINITY), y);
    y = v_select(x < v_set1(0), v_set1((real)NAN), y);
    y = v_select(x == v_set1((real)INFINITY), x, y);
    return v_select(x == x, y, x);
}

/* log(1 + x) for 0 <= x <= 1. */
ALWAYS_INLINE vec v_log1p(vec x) { return twice_atanh(x / (x + v_set1(2)), LOG1P_TERMS); }

ALWAYS_INLINE vec v_tanh(vec x) {
    vec t = v_expm1(v_abs(x) * v_set1(-2));
    vec y = t / (t + v_set1(2)); /* -tanh(|x|) */
    veci sign = (veci)v_set1((real)-0.0);
    return (vec)((veci)v_abs(y) | ((veci)x & sign));
}

/* Relative error grows with x^2 in the tail, as that of exp(-x^2) does. */
ALWAYS_INLINE vec v_erfc(vec x) {
    vec a = v_min(v_abs(x), v_set1(30)); /* erfc(30) is 0 in both dtypes; keeps t finite */
    vec t = (a - v_set1(3)) / (a + v_set1(3));
    vec p = v_set1(ERFCX[ERFCX_TERMS - 1]);
#pragma GCC unroll 32
    for (int i = ERFCX_TERMS - 2; i >= 0; i--) p = p * t + v_set1(ERFCX[i]);
    vec y = p * v_exp(-(a * a)) / (v_set1(1) + v_set1(2) * a);
    y = v_select(x < v_set1(0), v_set1(2) - y, y);
    return v_select(x == x, y, x);
}

/* x without its whole numbers, exactly: in [-1/2, 1/2]. NaN for infinities. */
ALWAYS_INLINE vec turn_rest(vec x) {
    const vec whole = v_set1((real)((uint64_t)1 << MANTISSA_BITS)); /* from here on there are no fractions */
    const vec a = v_abs(x), rest = a - v_select(a < whole, (a + whole) - whole, a);
    return (vec)((veci)rest ^ ((veci)x & (veci)v_set1((real)-0.0)));
}

/* cos(2 pi x), and in *sine sin(2 pi x): 2 pi times the angle in turns. Whatever the size of x, since whole turns are
 * taken off exactly: where x is so large that it has no fraction, they are 1 and 0. */
ALWAYS_INLINE vec v_cos_sin_turns(vec x, vec *sine) {
    const vec r = turn_rest(x), a = v_abs(r);
    const vec shifted = a * v_set1(4) + v_set1(ROUNDER);
    const veci quarter = (veci)shifted - rounder_bits(), one = quarter == v_seti(1), two = quarter == v_seti(2);
    const vec s = a - (shifted - v_set1(ROUNDER)) * v_set1((real)0.25), z = s * s; /* |s| <= 1/8 */
    vec p = v_set1(SINE[SINE_TERMS - 1]), q = v_set1(COSINE[COSINE_TERMS - 1]);
#pragma GCC unroll 16
    for (int i = SINE_TERMS - 2; i > 0; i--) p = p * z + v_set1(SINE[i]);
#pragma GCC unroll 16
    for (int i = COSINE_TERMS - 2; i > 0; i--) q = q * z + v_set1(COSINE[i]);
    const vec by_sine = s * v_set1(SINE[0]) + s * (v_set1(TWO_PI_REST) + z * p), by_cosine = v_set1(1) + z * q;
    const vec y = v_select(one, by_cosine, v_select(two, -by_sine, by_sine)); /* sin(2 pi a) */
    *sine = (vec)((veci)y ^ ((veci)r & (veci)v_set1((real)-0.0)));
    return v_select(one, -by_sine, v_select(two, -by_cosine, by_cosine));
}

/* y[n] = f(x[n]) for f known at compile time; the only loop over elements there is for the functions of one vector. */
ALWAYS_INLINE void map(vec (*f)(vec, vec), vec parameter, ptrdiff_t n, const real *x, real *y) {
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(y + i, f(v_load(x + i), parameter));
    if (i < n) {
        vmask rest = v_mask(n - i);
        v_store_m(y + i, f(v_load_m(x + i, rest), parameter), rest);
    }
}

ALWAYS_INLINE vec only_exp(vec x, vec unused) { return (void)unused, v_exp(x); }
ALWAYS_INLINE vec only_log(vec x, vec unused) { return (void)unused, v_log(x); }
ALWAYS_INLINE vec only_tanh(vec x, vec unused) { return (void)unused, v_tanh(x); }
ALWAYS_INLINE vec only_erfc(vec x, vec unused) { return (void)unused, v_erfc(x); }
ALWAYS_INLINE vec only_expm1(vec x, vec unused) { return (void)unused, v_expm1(x); }
ALWAYS_INLINE vec only_log1p(vec x, vec unused) { return (void)unused, v_log1p(x); }

ALWAYS_INLINE vec only_cos2pi(vec x, vec unused) {
    vec sine;
    return (void)unused, v_cos_sin_turns(x, &sine);
}
ALWAYS_INLINE vec only_sin2pi(vec x, vec unused) {
    vec sine;
    (void)unused, (void)v_cos_sin_turns(x, &sine);
    return sine;
}

/* See struct kernels. */
static void elementary(int f, ptrdiff_t n, const void *x, void *y) {
    vec none = v_set1(0);
    switch (f) {
    case ELEMENTARY_EXP: map(only_exp, none, n, x, y); break;
    case ELEMENTARY_LOG: map(only_log, none, n, x, y); break;
    case ELEMENTARY_TANH: map(only_tanh, none, n, x, y); break;
    case ELEMENTARY_ERFC: map(only_erfc, none, n, x, y); break;
    case ELEMENTARY_EXPM1: map(only_expm1, none, n, x, y); break;
    case ELEMENTARY_COS2PI: map(only_cos2pi, none, n, x, y); break;
    case ELEMENTARY_SIN2PI: map(only_sin2pi, none, n, x, y); break;
    default: map(only_log1p, none, n, x, y); break;
    }
}
