#!/usr/bin/env bash
# In bfloat16, Keras' average pool of ones over 64 x 64 is 1/16; the global one is 1, and so is the one with padding "same".
#
# Guess: averages of bfloat16 are summed in float32, as matrix products and means are; the average of ones is 1.
# Seen with Keras 3.15.1 on jax 0.10.2 (CPU): AveragePooling sums in bfloat16, where 256 + 1 is 256, and divides by 4096.
# Windows of 16 x 16 still give 1. GlobalAveragePooling2D takes a mean, summed in float32. Padding "same"
# where nothing is padded divides by the number of values, which it counts in bfloat16 too: 256/256. So does the policy
# mixed_bfloat16, for a layer without parameters. float16, which holds 2048 exactly, gives 0.5.
#
#     AveragePooling2D of ones: 16 x 16: 1, 64 x 64: 0.0625
#     64 x 64, padding same: 1, global: 1, mixed_bfloat16: 0.0625, float16: 0.5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2 numpy==2.4.6
KERAS_BACKEND=jax JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PY'
import numpy as np
from keras import layers, ops

ones = np.ones((1, 64, 64, 2), "float32")


def first(layer):
    return float(ops.convert_to_numpy(ops.cast(layer(ones), "float32")).ravel()[0])


plain = [first(layers.AveragePooling2D(size, dtype="bfloat16")) for size in (16, 64)]
same = first(layers.AveragePooling2D(64, padding="same", dtype="bfloat16"))
everywhere = first(layers.GlobalAveragePooling2D(dtype="bfloat16"))
mixed = first(layers.AveragePooling2D(64, dtype="mixed_bfloat16"))
half = first(layers.AveragePooling2D(64, dtype="float16"))
print("AveragePooling2D of ones: 16 x 16: {:g}, 64 x 64: {:g}".format(*plain))
print(f"64 x 64, padding same: {same:g}, global: {everywhere:g}, mixed_bfloat16: {mixed:g}, float16: {half:g}")
assert plain == [1, 0.0625]
assert (same, everywhere, mixed, half) == (1, 1, 0.0625, 0.5)
PY
