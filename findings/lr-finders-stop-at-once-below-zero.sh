#!/usr/bin/env bash
# Learning-rate finders stop at their first steps where losses are negative, whatever the rate.
#
# Guess: a constant that is subtracted from a loss changes no gradient, so it changes neither the steps of a sweep nor where it
# ends. Negative losses are ordinary: the negative log-likelihood of a density may be below zero.
# Seen with torch-lr-finder 0.2.2 and lightning 2.6.6 (torch 2.13.0): with the mean squared error both go through all 40 rates,
# from 1e-8 on. With the same loss minus 100 torch-lr-finder stops after one step and Lightning after two, at rates that move
# nothing: the loss counts as diverged where it is above 5 (4) times the best so far, and below zero every loss is. Lightning
# then has no suggestion; torch-lr-finder says "Learning rate search finished", with braces that were to be filled in.
#
#     torch-lr-finder: loss: 40 rates, loss - 100: 1
#     lightning: loss: 40 rates, loss - 100: 2; suggestion: None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/pip" install -q torch-lr-finder==0.2.2 lightning==2.6.6
cd "$folder"
cat >finders.py <<'PY'
import logging
import warnings

import lightning
import torch
from lightning.pytorch.tuner import Tuner
from torch.utils.data import DataLoader, TensorDataset
from torch_lr_finder import LRFinder

warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.CRITICAL)
torch.manual_seed(0)
X = torch.randn(512, 4)
loader = DataLoader(TensorDataset(X, X @ torch.randn(4, 1)), batch_size=8)


def mse_minus(constant):
    return lambda prediction, target: torch.nn.functional.mse_loss(prediction, target) - constant


class Module(lightning.LightningModule):
    def __init__(self, constant, lr=1e-3):
        super().__init__()
        torch.manual_seed(1)
        self.layer, self.loss, self.lr = torch.nn.Linear(4, 1), mse_minus(constant), lr

    def training_step(self, batch, index):
        return self.loss(self.layer(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def by_torch_lr_finder(constant):
    torch.manual_seed(1)
    layer = torch.nn.Linear(4, 1)
    finder = LRFinder(layer, torch.optim.SGD(layer.parameters(), lr=1e-8), mse_minus(constant))
    finder.range_test(loader, end_lr=1e-2, num_iter=40)
    return len(finder.history["loss"])


def by_lightning(constant):
    trainer = lightning.Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu"
    )
    found = Tuner(trainer).lr_find(Module(constant), loader, min_lr=1e-8, max_lr=1e-2, num_training=40)
    return len(found.results["loss"]), found.suggestion()


torch_steps = [by_torch_lr_finder(0), by_torch_lr_finder(100)]
(plain, rate), (below, none) = by_lightning(0), by_lightning(100)
print(f"torch-lr-finder: loss: {torch_steps[0]} rates, loss - 100: {torch_steps[1]}")
print(f"lightning: loss: {plain} rates, loss - 100: {below}; suggestion: {none}")
assert torch_steps == [40, 1]
assert (plain, below) == (40, 2) and rate is not None and none is None
PY
venv/bin/python finders.py 2>/dev/null | grep -e '^torch-lr-finder: ' -e '^lightning: '
