#!/usr/bin/env bash
# statsmodels fits Poisson and Gamma models to negative observations without a word.
#
# Guess: GLM refuses a y outside the family's support: a negative count, or a Gamma variable at or below zero.
# Seen with statsmodels 0.15.0: Poisson and Gamma (log link) fit 100 rows of which one is -5, report convergence, and give a finite
# deviance. Only Tweedie notices, because its starting deviance is NaN.
# Consequence: a fit that converged says nothing of the targets' range; check it first.
#
#     Poisson: converged True, deviance finite True
#     Gamma: converged True, deviance finite True
#     Tweedie: ValueError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q statsmodels==0.15.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import statsmodels.api as sm

warnings.simplefilter("ignore")
draw = np.random.default_rng(0)
X, y = sm.add_constant(draw.normal(size=(100, 1))), draw.poisson(2, 100).astype(float)
y[0] = -5
families = sm.families
seen = []
for family in (families.Poisson(), families.Gamma(families.links.Log()), families.Tweedie(var_power=1.5)):
    try:
        fitted = sm.GLM(y, X, family=family).fit()
    except ValueError:
        seen.append("ValueError")
    else:
        seen.append(f"converged {fitted.converged}, deviance finite {np.isfinite(fitted.deviance)}")
    print(f"{type(family).__name__}: {seen[-1]}")
fits = "converged True, deviance finite True"
assert seen == [fits, fits, "ValueError"], seen
PY
