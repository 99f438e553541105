#!/usr/bin/env bash
# skorch goes on with a schedule of learning rates, or begins it anew, by the order of two callbacks in a list.
#
# Guess: three epochs, a checkpoint, and three more from it make the same steps as six epochs, as they do without a schedule.
# Seen with skorch 1.4.0 and torch 2.13.0 (CPU), full batches in order, SGD with momentum: without a schedule the weights are
# the same to the last bit. With a cosine by LRScheduler they are the same if LoadInitState stands before LRScheduler in the list
# of callbacks; if it stands behind, the rate jumps back to the first one and then takes values that the schedule never has,
# without a word. What a checkpoint holds has no state of the schedule: LRScheduler counts the epochs of the history, which the
# other callback has loaded by then, or not.
#
#     six epochs:           0.1000 0.0933 0.0750 0.0500 0.0250 0.0067
#     loaded before:        0.1000 0.0933 0.0750 0.0500 0.0250 0.0067
#     loaded behind:        0.1000 0.0933 0.0750 0.1000 0.0467 0.0375
#     without a schedule, weights differ by at most 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/pip" install -q skorch==1.4.0
cat >"$folder/resume.py" <<'PY'
import tempfile
import warnings

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Checkpoint, LoadInitState, LRScheduler

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4)).astype("float32")
y = (X[:, 0] > 0).astype("int64")


class Softmax(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, x):
        return torch.softmax(self.layer(x), -1)


def fitted(epochs, callbacks):
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        Softmax, max_epochs=epochs, lr=0.1, optimizer=torch.optim.SGD, optimizer__momentum=0.9, batch_size=-1,
        train_split=None, verbose=0, callbacks=callbacks,
    )
    return net.fit(X, y)


def cosine():
    return ("cosine", LRScheduler(policy=torch.optim.lr_scheduler.CosineAnnealingLR, T_max=6))


def resumed(schedules, load_first):
    """Three epochs, and three more from their last checkpoint."""
    checkpoint = Checkpoint(monitor=None, dirname=tempfile.mkdtemp())
    fitted(3, [*schedules(), ("checkpoint", checkpoint)])
    load = ("load", LoadInitState(checkpoint))
    return fitted(3, [load, *schedules()] if load_first else [*schedules(), load])


def weights(net):
    return net.module_.layer.weight.detach().numpy()


def rates(net):
    return [round(row["event_lr"], 4) for row in net.history]


whole = fitted(6, [cosine()])
before, behind = (resumed(lambda: [cosine()], first) for first in (True, False))
plain = np.abs(weights(fitted(6, [])) - weights(resumed(list, False))).max()
for name, net in (("six epochs:", whole), ("loaded before:", before), ("loaded behind:", behind)):
    print(f"{name:21s}", *(f"{rate:.4f}" for rate in rates(net)))
print(f"without a schedule, weights differ by at most {plain:g}")
assert plain == 0
assert rates(before) == rates(whole) and (weights(before) == weights(whole)).all()
assert rates(behind) == [0.1, 0.0933, 0.075, 0.1, 0.0467, 0.0375]
assert not np.allclose(weights(behind), weights(whole))
PY
TMPDIR="$folder" "$folder/venv/bin/python" "$folder/resume.py"
