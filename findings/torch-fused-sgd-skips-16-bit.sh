#!/usr/bin/env bash
# torch's fused SGD on the CPU leaves parameters of 16 bits as they are, but for a few at the end.
#
# Guess: fused=True changes how fast a step is, and what it does in bfloat16 is rounding at most.
# Seen with torch 2.13.0 (CPU): whole vectors of bfloat16 and float16 parameters are not updated at all; what stands behind
# the last whole vector is. So 64 elements stay where they were, of 70 the last 6 move, of 7 all do. There is no warning. In
# float32, and with fused=False, all move.
#
#     float32: moved of 7, 64, 70 elements: 7, 64, 70; without fused: 7, 64, 70
#     bfloat16: moved of 7, 64, 70 elements: 7, 0, 6; without fused: 7, 64, 70
#     float16: moved of 7, 64, 70 elements: 7, 0, 6; without fused: 7, 64, 70
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import torch

if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
    print("skipped: seen with vectors of AVX2 and AVX-512 alone")
    raise SystemExit


def moved(n, dtype, fused):
    p = torch.ones(n, dtype=dtype, requires_grad=True)
    p.grad = torch.ones(n, dtype=dtype)
    torch.optim.SGD([p], lr=0.5, fused=fused, foreach=False).step()
    return int((p != 1).sum())


sizes = (7, 64, 70)
for dtype in (torch.float32, torch.bfloat16, torch.float16):
    name = str(dtype).removeprefix("torch.")
    fused, loop = [moved(n, dtype, True) for n in sizes], [moved(n, dtype, False) for n in sizes]
    print(f"{name}: moved of 7, 64, 70 elements: {fused[0]}, {fused[1]}, {fused[2]}; "
          f"without fused: {loop[0]}, {loop[1]}, {loop[2]}")
    assert loop == [7, 64, 70]
    assert fused == ([7, 64, 70] if dtype == torch.float32 else [7, 0, 6])
PY
