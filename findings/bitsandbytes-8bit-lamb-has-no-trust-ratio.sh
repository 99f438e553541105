#!/usr/bin/env bash
# The 8-bit LAMB and LARS of bitsandbytes make the steps of its 8-bit Adam and of SGD with momentum.
#
# Guess: what makes LAMB LAMB and LARS LARS is that each array's step is scaled by the norm of its weights over the norm of its
# update, and the 8-bit classes do that on 8-bit states.
# Seen with bitsandbytes 0.50.2 (torch 2.13.0, CPU): after three steps from the same start the parameters of LAMB8bit are those
# of Adam8bit to the last bit, and those of LARS8bit those of SGD8bit. There is no ratio of norms, and no warning.
#
#     LAMB8bit equals Adam8bit: True; moved by 0.002 on average
#     LARS8bit equals SGD8bit: True; moved by 0.003 on average
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 bitsandbytes==0.50.2
"$folder/venv/bin/python" 2>/dev/null - <<'PY'
import torch
from bitsandbytes import optim


def stepped(kind, **options):
    start = 0.02 * torch.randn(8192, generator=torch.Generator().manual_seed(0))
    p = torch.nn.Parameter(start.clone())
    optimizer = kind([p], lr=1e-3, weight_decay=0.0, **options)
    for seed in (1, 2, 3):
        p.grad = torch.randn(8192, generator=torch.Generator().manual_seed(seed))
        optimizer.step()
    return p.detach(), float((p.detach() - start).abs().mean())


for name, plain, options in (("LAMB8bit", "Adam8bit", {}), ("LARS8bit", "SGD8bit", {"momentum": 0.9})):
    (mine, moved), (other, _) = stepped(getattr(optim, name), **options), stepped(getattr(optim, plain), **options)
    print(f"{name} equals {plain}: {torch.equal(mine, other)}; moved by {moved:.3f} on average")
    assert torch.equal(mine, other) and moved > 1e-4
PY
