#!/usr/bin/env bash
# torch's hardswish of a finite, representable number is infinite.
#
# Guess: hardswish(x) is x for x >= 3, so it gives back every large number, and cannot overflow.
# Seen with torch 2.13.0 (CPU): x * relu6(x + 3) / 6 is computed from the left, and the product overflows for x above a
# sixth of the largest float. 5e37 comes back, 6e37 is inf; in float64 2e307 comes back, 4e307 is inf. float16 is computed
# in float32 and is fine. Gradients stay 1.
#
#     float32: hardswish(5e+37) = 5e+37, hardswish(6e+37) = inf
#     float64: hardswish(2e+307) = 2e+307, hardswish(4e+307) = inf
#     float16: hardswish(65000) = 64992
#     gradient at 6e+37: 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import math

import torch
from torch.nn.functional import hardswish


def of(x, dtype):
    return float(hardswish(torch.tensor(x, dtype=dtype)))


good32, bad32 = of(5e37, torch.float32), of(6e37, torch.float32)
good64, bad64 = of(2e307, torch.float64), of(4e307, torch.float64)
half = of(65000, torch.float16)
x = torch.tensor(6e37, requires_grad=True)
hardswish(x).backward()
print(f"float32: hardswish(5e+37) = {good32:.3g}, hardswish(6e+37) = {bad32:g}")
print(f"float64: hardswish(2e+307) = {good64:.3g}, hardswish(4e+307) = {bad64:g}")
print(f"float16: hardswish(65000) = {half:g}")
print(f"gradient at 6e+37: {float(x.grad):g}")
assert math.isfinite(good32) and math.isinf(bad32)
assert math.isfinite(good64) and math.isinf(bad64)
assert half == 64992 and float(x.grad) == 1
PY
