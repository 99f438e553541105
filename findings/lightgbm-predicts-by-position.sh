#!/usr/bin/env bash
# LightGBM's scikit-learn estimators take a DataFrame's columns by position, whatever they are called.
#
# Guess: fitted on a DataFrame, predict finds the columns by their names, or refuses another order, as scikit-learn's estimators do.
# Seen with lightgbm 4.7.0: with the columns in another order, it predicts without an error or a warning from
# the wrong columns (correlation with the target 0.98 before, -0.11 after). HistGradientBoostingRegressor of scikit-learn 1.9.1
# raises ValueError. There is validate_features=True for it, which is not the default.
#
#     lightgbm: correlation 0.98 in order, -0.11 in another order, nothing said
#     lightgbm with validate_features=True: refuses
#     scikit-learn: refuses
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q lightgbm==4.7.0 scikit-learn==1.9.1 pandas==3.1.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor
from lightgbm.basic import LightGBMError
from sklearn.ensemble import HistGradientBoostingRegressor

frame = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)), columns=["a", "b", "c"])
y = 10 * frame["a"]
turned = frame[["c", "b", "a"]]
model = LGBMRegressor(verbose=-1, n_jobs=1).fit(frame, y)
with warnings.catch_warnings():
    warnings.simplefilter("error")
    before = np.corrcoef(model.predict(frame), y)[0, 1]
    after = np.corrcoef(model.predict(turned), y)[0, 1]
assert before > 0.95 and abs(after) < 0.15, (before, after)
print(f"lightgbm: correlation {before:.2f} in order, {after:.2f} in another order, nothing said")
try:
    model.predict(turned, validate_features=True)
except LightGBMError:
    print("lightgbm with validate_features=True: refuses")
else:
    raise SystemExit("validate_features=True no longer refuses")
try:
    HistGradientBoostingRegressor().fit(frame, y).predict(turned)
except ValueError:
    print("scikit-learn: refuses")
else:
    raise SystemExit("scikit-learn no longer refuses")
PY
