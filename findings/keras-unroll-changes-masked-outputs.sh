#!/usr/bin/env bash
# Whether a recurrent layer of Keras is unrolled decides what it gives at padded places, on jax, alone and in Bidirectional.
#
# Guess: unrolling trades memory for speed and changes no result; zero_output_for_mask makes outputs at padded places zero,
# and the single output of return_sequences=False stays that of the last place that is there.
# Seen with Keras 3.15.1: in a loop, the flag makes the single output of every row with padding behind it zero, though the
# state handed out beside it is right: 3. Unrolled on jax 0.10.2, the flag does nothing at all, neither to that output nor to
# those of all times. Unrolled on torch 2.13.0 it does what it does in a loop. Bidirectional sets the flag by itself where it
# gives all times: there its forward direction changes, its backward one does not.
#
#     a layer that counts, 5 times, the last 2 masked, zero_output_for_mask: output, all outputs, state
#     jax, loop: 0, [1, 2, 3, 0, 0], 3
#     jax, unrolled: 3, [1, 2, 3, 3, 3], 3
#     torch, loop: 0, [1, 2, 3, 0, 0], 3
#     torch, unrolled: 0, [1, 2, 3, 0, 0], 3
#     jax, Bidirectional, loop: [1, 2, 3, 0, 0], [3, 2, 1, 0, 0]
#     jax, Bidirectional, unrolled: [1, 2, 3, 3, 3], [3, 2, 1, 0, 0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 torch==2.13.0 jax==0.10.2 numpy==2.4.6
cat >"$folder/counting.py" <<'PY'
import keras
import numpy as np

x = np.ones((1, 5, 1), "float32")
mask = np.array([[True, True, True, False, False]])
one = np.ones((1, 1), "float32")


def answer(unroll, sequences):
    layer = keras.layers.SimpleRNN(
        1, "linear", unroll=unroll, zero_output_for_mask=True, return_sequences=sequences, return_state=True
    )
    layer.build(x.shape)
    layer.set_weights([one, one, np.zeros(1, "float32")])
    return [[int(value) for value in keras.ops.convert_to_numpy(part).ravel()] for part in layer(x, mask=mask)]


backend = keras.backend.backend()
for unroll in (False, True):
    (last,), (state,) = answer(unroll, sequences=False)
    outputs, _ = answer(unroll, sequences=True)
    print(f"{backend}, {'unrolled' if unroll else 'loop'}: {last}, {outputs}, {state}")
    ignored = backend == "jax" and unroll
    assert (last, outputs, state) == ((3, [1, 2, 3, 3, 3], 3) if ignored else (0, [1, 2, 3, 0, 0], 3))
PY
cat >"$folder/both.py" <<'PY'
import keras
import numpy as np

x = np.ones((1, 5, 1), "float32")
mask = np.array([[True, True, True, False, False]])
one = np.ones((1, 1), "float32")
for unroll in (False, True):
    both = keras.layers.Bidirectional(keras.layers.SimpleRNN(1, "linear", unroll=unroll, return_sequences=True))
    both.build(x.shape)
    both.set_weights(2 * [one, one, np.zeros(1, "float32")])
    found = keras.ops.convert_to_numpy(both(x, mask=mask))[0].T.astype(int).tolist()
    print(f"jax, Bidirectional, {'unrolled' if unroll else 'loop'}: {found[0]}, {found[1]}")
    assert found == [[1, 2, 3, 3, 3] if unroll else [1, 2, 3, 0, 0], [3, 2, 1, 0, 0]]
PY
echo "a layer that counts, 5 times, the last 2 masked, zero_output_for_mask: output, all outputs, state"
for backend in jax torch; do
    KERAS_BACKEND=$backend JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/counting.py"
done
KERAS_BACKEND=jax JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/both.py"
