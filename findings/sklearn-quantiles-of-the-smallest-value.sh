#!/usr/bin/env bash
# A frequent value goes to the middle of its ranks in QuantileTransformer, unless it is the smallest or the largest: then to the end.
#
# Guess: rows that share a value share the middle of their quantiles. So a column that is 0 in half of its rows and spread above
# that has its zeros at the quantile 0.25 (-0.67 in a normal distribution), and a constant column becomes 0.
# Seen with scikit-learn 1.9.1: where the frequent value lies inside the range, it is at the middle. Where it is the smallest, the
# most frequent case in practice (amounts, counts), all these rows are at quantile 0, that is -5.2 standard deviations in a normal
# distribution; as the largest at +5.2. All rows of a constant column are at -5.2.
# Consequence: half of a column can be outliers after the transformation. Noise before it, as TabM's authors add, or clipping
# after it, is not a detail.
#
#     0 in half of the rows, inside the range: 0.01
#     0 in half of the rows, the smallest: -5.20
#     0 in half of the rows, the largest: 5.20
#     constant: -5.20
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import numpy as np
from sklearn.preprocessing import QuantileTransformer

rising = np.arange(1.0, 101.0)
columns = {
    "0 in half of the rows, inside the range": (np.r_[np.zeros(100), rising[:50], -rising[:50]], 0.0),
    "0 in half of the rows, the smallest": (np.r_[np.zeros(100), rising], -5.2),
    "0 in half of the rows, the largest": (np.r_[np.zeros(100), -rising], 5.2),
    "constant": (np.zeros(100), -5.2),
}
for name, (column, expected) in columns.items():
    transformer = QuantileTransformer(n_quantiles=len(column), output_distribution="normal")
    of_zero = transformer.fit_transform(column[:, None])[0, 0]
    print(f"{name}: {of_zero:.2f}")
    assert abs(of_zero - expected) < 0.02
PY
