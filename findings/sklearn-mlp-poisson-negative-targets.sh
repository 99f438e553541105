#!/usr/bin/env bash
# scikit-learn's MLPRegressor fits a Poisson loss to a negative target, and its loss is NaN.
#
# Guess: loss="poisson" refuses a negative y with a ValueError, as PoissonRegressor, TweedieRegressor and
# HistGradientBoostingRegressor(loss="poisson") of the same package do.
# Seen with scikit-learn 1.9.1: those three refuse; MLPRegressor fits 200 rows with one target of -5 without an error, its
# predictions are finite, and loss_ is NaN, since the constant of the deviance takes the logarithm of y.
# Consequence: schuss's estimator of that name refuses.
#
#     PoissonRegressor: refuses
#     TweedieRegressor: refuses
#     HistGradientBoostingRegressor: refuses
#     MLPRegressor: fits, loss_ nan, predictions finite
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import math
import warnings

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import PoissonRegressor, TweedieRegressor
from sklearn.neural_network import MLPRegressor

warnings.simplefilter("ignore")
draw = np.random.default_rng(0)
X, y = draw.normal(size=(200, 3)), draw.poisson(2, 200).astype(float)
y[3] = -5
for model in (PoissonRegressor(), TweedieRegressor(power=1.5), HistGradientBoostingRegressor(loss="poisson")):
    try:
        model.fit(X, y)
    except ValueError:
        print(f"{type(model).__name__}: refuses")
    else:
        raise SystemExit(f"{type(model).__name__} fits now")
network = MLPRegressor(loss="poisson", max_iter=30, random_state=0).fit(X, y)
finite = bool(np.isfinite(network.predict(X)).all())
print(f"MLPRegressor: fits, loss_ {network.loss_}, predictions {'finite' if finite else 'not finite'}")
assert math.isnan(network.loss_) and finite
PY
