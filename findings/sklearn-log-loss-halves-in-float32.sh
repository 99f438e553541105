#!/usr/bin/env bash
# scikit-learn's log_loss of the same probabilities depends on their dtype, by more than half.
#
# Guess: 0 and 1 are exact in float32 and in float64, so the log loss of hard predictions is the same number in both.
# Seen with scikit-learn 1.9.1: probabilities are limited to [eps, 1 - eps] of their own dtype first, so a wrong hard prediction
# costs 36.04 in float64 and 15.94 in float32. One wrong of three: 12.01 and 5.31.
# Consequence: a model that gives float32 looks better than the same model that gives float64. Who compares models by log loss has to
# bring their probabilities to one dtype first.
#
#     float64: 12.0146, float32: 5.3141
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import numpy as np
from sklearn.metrics import log_loss

labels = [0, 1, 1]
hard = np.array([[1, 0], [1, 0], [0, 1]], np.float64)
double, single = log_loss(labels, hard), log_loss(labels, hard.astype(np.float32))
print(f"float64: {double:.4f}, float32: {single:.4f}")
assert np.isclose(double, -np.log(np.finfo(np.float64).eps) / 3)
assert np.isclose(single, -np.log(np.finfo(np.float32).eps) / 3)
PY
