#!/usr/bin/env bash
# Keras' AveragePooling with padding "same" gives other numbers on torch than on jax, for some sizes of the input.
#
# Guess: a layer of Keras gives the same on all backends, up to rounding; what is padded is never counted in an average.
# Seen with Keras 3.15.1, torch 2.13.0, jax 0.10.2: equal where both sides are padded alike. Where "same" needs one more
# place on the right (6 values, windows of 3, steps of 2), jax averages what is there, and torch repeats the last value in
# the padding and counts it. With 7 values, padded by one on each side, both average what is there. A model that was
# trained on one backend predicts something else on the other, by the size of its input.
#
#     jax: 6 values: [0, 0, 3]; 7 values: [0, 0, 0, 3]
#     torch: 6 values: [0, 0, 4]; 7 values: [0, 0, 0, 3]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 torch==2.13.0 jax==0.10.2 numpy==2.4.6
cat >"$folder/pools.py" <<'PY'
import numpy as np
import keras

pool = keras.layers.AveragePooling1D(3, strides=2, padding="same")
found = []
for size in (6, 7):
    x = np.zeros((1, size, 1), "float32")
    x[0, -1] = 6
    found.append([round(float(value), 3) for value in keras.ops.convert_to_numpy(pool(x)).ravel()])
lists = ["[" + ", ".join(f"{value:g}" for value in values) + "]" for values in found]
print(f"{keras.backend.backend()}: 6 values: {lists[0]}; 7 values: {lists[1]}")
assert found == [[0, 0, 4 if keras.backend.backend() == "torch" else 3], [0, 0, 0, 3]]
PY
for backend in jax torch; do
    KERAS_BACKEND=$backend JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/pools.py"
done
