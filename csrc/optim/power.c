/* Powers of betas. Inside the core only. */
#include "power.h"

void optimizer_prepare(const struct schuss_step *step) {
    for (int i = 0; i < step->n_groups; i++) {
        struct schuss_group *g = &step->groups[i];
        const double base[SCHUSS_MAX_BETAS] = {g->beta1, g->beta2, g->beta3};
        for (int k = 0; k < SCHUSS_MAX_BETAS; k++) {
            if (g->squared[k] == base[k]) continue;
            double power = g->squared[k] = base[k];
            for (int bit = 0; bit < SCHUSS_STEP_BITS; bit++, power *= power) g->squares[k][bit] = power;
        }
    }
}

void optimizer_powers(const struct schuss_group *g, int64_t t, double power[SCHUSS_MAX_BETAS]) {
    double x = 1, y = 1, z = 1;
    for (uint64_t bits = (uint64_t)t; bits; bits &= bits - 1) {
        const int bit = __builtin_ctzll(bits);
        x *= g->squares[0][bit];
        y *= g->squares[1][bit];
        z *= g->squares[2][bit];
    }
    power[0] = x;
    power[1] = y;
    power[2] = z;
}
