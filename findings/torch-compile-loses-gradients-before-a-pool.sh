#!/usr/bin/env bash
# Compiled by torch.compile, a convolution in front of ReLU and a max pool gets a gradient of zeros.
#
# Guess: the compiled backward pass gives the eager gradients, up to rounding.
# Seen with torch 2.13.0 (CPU, g++ 12.2): the loss is right, the gradients behind the pool are right, those of the
# convolution are exact zeros, without a warning: whatever stands in front of the pool does not learn. It depends on sizes:
# with 10 outputs behind the pool all is right. In the code that is generated, a buffer is filled with zeros, goes through
# the gradient of ReLU into that of the convolution, and only then the gradient of the pool is added to it. The order of
# the calls is chosen to save memory: with torch._inductor.config.reorder_for_peak_memory = False all is right.
#
#     norm of the compiled gradient over the eager one's
#     128 outputs: convolution 0, linear 1
#     10 outputs: convolution 1, linear 1
#     128 outputs, not reordered: convolution 1, linear 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
export TORCHINDUCTOR_CACHE_DIR=$folder/cache TORCHINDUCTOR_COMPILE_THREADS=1
"$folder/venv/bin/python" - <<'PY'
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(32, 3, 16, 16)


def ratios(outputs):
    """Norms of the compiled gradients of both layers' weights, over those of the eager ones."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, outputs)
    )

    def norms(function):
        model.zero_grad()
        function(x).square().sum().backward()
        return torch.stack([model[0].weight.grad.norm(), model[4].weight.grad.norm()])

    eager = norms(model)
    return [round(ratio, 3) for ratio in (norms(torch.compile(model)) / eager).tolist()]


print("norm of the compiled gradient over the eager one's")
wide, narrow = ratios(128), ratios(10)
print("128 outputs: convolution {:g}, linear {:g}".format(*wide))
print("10 outputs: convolution {:g}, linear {:g}".format(*narrow))
torch._inductor.config.reorder_for_peak_memory = False
ordered = ratios(128)
print("128 outputs, not reordered: convolution {:g}, linear {:g}".format(*ordered))
assert wide == [0, 1]
assert narrow == [1, 1] and ordered == [1, 1]
PY
