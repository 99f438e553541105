#!/usr/bin/env bash
# The 8-bit Adam of bitsandbytes on the CPU moves elements whose gradient is zero in every step.
#
# Guess: zero is a code of the dynamic map, so moments that are zero stay zero, and nothing moves without a gradient or decay.
# Seen with bitsandbytes 0.50.2 (torch 2.13.0, CPU): where a block of 256 holds other numbers too, a first moment of zero is
# kept as code 131, which is 2.12e-5 of the block's largest, and not as 127, which is zero; a second moment of zero as code 7.
# After 20 steps with lr 1e-3 these elements have moved by 9e-5.
#
#     codes of moments that are zero: 131 (2.12e-05 of the largest), 7 (1.56e-05)
#     code of zero in the maps: 127, 0
#     after 20 steps elements without a gradient are at 0.99991
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 bitsandbytes==0.50.2
"$folder/venv/bin/python" 2>/dev/null - <<'PY'
import bitsandbytes
import torch

p = torch.nn.Parameter(torch.ones(4096))
optimizer = bitsandbytes.optim.AdamW8bit([p], lr=1e-3, weight_decay=0.0)
gradient = torch.zeros(4096)
gradient[::2] = 1
for _ in range(20):
    p.grad = gradient.clone()
    optimizer.step()
state = optimizer.state[p]
first, second = int(state["state1"][1]), int(state["state2"][1])
map1, map2 = state["qmap1"], state["qmap2"]
zeros = int((map1 == 0).nonzero()), int((map2 == 0).nonzero())
print(f"codes of moments that are zero: {first} ({map1[first]:.2e} of the largest), {second} ({map2[second]:.2e})")
print(f"code of zero in the maps: {zeros[0]}, {zeros[1]}")
print(f"after 20 steps elements without a gradient are at {float(p[1].detach()):.5f}")
assert (first, second) == (131, 7) and zeros == (127, 0)
assert abs(float(p[1].detach()) - 0.99991) < 1e-5
PY
