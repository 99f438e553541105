#!/usr/bin/env bash
# Two of torch's optimizers step the same moments after one has loaded the other's state_dict.
#
# Guess: load_state_dict copies, as a module's does, so that each goes on by itself.
# Seen with torch 2.13.0: the tensors of the state are taken as they are where dtype and device fit, so the second optimizer's
# moments are the first one's memory. A step of one changes the other's. The counts of steps are shared as well: after one
# step of each, both say 3 after one that was made before. A module's load_state_dict copies.
#
#     the moments are one memory: True
#     steps that the first has made: 2, it says: 3
#     a module's parameters are one memory: False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import torch


def made():
    module = torch.nn.Linear(4, 3)
    return module, torch.optim.AdamW(module.parameters())


def step(module, optimizer):
    optimizer.zero_grad()
    module(torch.ones(2, 4)).sum().backward()
    optimizer.step()


(first, a), (second, b) = made(), made()
step(first, a)
second.load_state_dict(first.state_dict())
b.load_state_dict(a.state_dict())
mine, theirs = a.state[first.weight], b.state[second.weight]
shared = mine["exp_avg"].data_ptr() == theirs["exp_avg"].data_ptr()
step(first, a)
step(second, b)
modules = first.weight.data_ptr() == second.weight.data_ptr()
print(f"the moments are one memory: {shared}")
print(f"steps that the first has made: 2, it says: {int(mine['step'])}")
print(f"a module's parameters are one memory: {modules}")
assert shared and int(mine["step"]) == 3 and not modules
PY
