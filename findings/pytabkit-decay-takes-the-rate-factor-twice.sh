#!/usr/bin/env bash
# pytabkit's RealMLP shrinks a parameter by its learning rate's factor twice, and its first step changes nothing.
#
# Guess: with AdamW's decay, a parameter whose learning rate has a factor f shrinks by (lr f) wd a step. So the front scale, with
# f = 6, decays six times as fast as a weight, and the embedding of numbers, with f = 0.1, a tenth.
# Seen with pytabkit 1.7.3, RealMLP_TD_Regressor, watched at its optimizer's step: the shrinking is lr f f wd. The scale decays 36
# times as fast, the embedding a hundredth. The schedule (coslog4) begins at 0, so the first of all steps is made at a rate of 0: it
# updates the moments and no parameter.
# Consequence: weight_decay=0.02 in a reimplementation means another thing than here for every parameter whose factor is not 1.
#
#     rate of the first step: 0
#     factor 0.1: decay / (rate * wd) = 0.10
#     factor 1: decay / (rate * wd) = 1.00
#     factor 6: decay / (rate * wd) = 6.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/pip" install -q pytabkit==1.7.3
cat >"$folder/watch.py" <<'PY'
import warnings

import numpy as np
from pytabkit import RealMLP_TD_Regressor
from pytabkit.models.optim.optimizers import OptimizerBase

warnings.simplefilter("ignore")
WATCHED = 40  # the step, of 120, that is looked at
first_rates, ratios, steps = [], {}, 0
step, step_of_adam = OptimizerBase.step, OptimizerBase._opt_step_with_loss


def remembering(self, closure=None, loss=None):
    self.before = [group["params"][0].detach().clone() for group in self.opt.param_groups]
    return step(self, closure, loss)


def measuring(self, loss):
    """The decay has been applied, Adam's step has not."""
    global steps
    steps += 1
    groups = self.opt.param_groups
    if steps == 1:
        first_rates.extend(float(group["lr"]) for group in groups)
    if steps == WATCHED:
        for number, (group, before) in enumerate(zip(groups, self.before)):
            decay = float(self.get_hyper_values("wd", number))
            parameter = group["params"][0]
            if decay == 0:
                continue
            largest = int(before.abs().argmax())
            shrunk = 1 - float(parameter.detach().double().ravel()[largest]) / float(before.double().ravel()[largest])
            factor = parameter.hyper_factors.get("lr", 1.0)
            ratios[factor] = shrunk / (float(group["lr"]) * decay)  # group["lr"] has the factor already
    return step_of_adam(self, loss)


OptimizerBase.step, OptimizerBase._opt_step_with_loss = remembering, measuring
draw = np.random.default_rng(0)
X = draw.normal(size=(2000, 4))
RealMLP_TD_Regressor(n_epochs=20, random_state=0, device="cpu", n_threads=1).fit(X, X[:, 0] + X[:, 1] ** 2)
print(f"rate of the first step: {max(first_rates):g}")
for factor, ratio in sorted(ratios.items()):
    print(f"factor {factor:g}: decay / (rate * wd) = {ratio:.2f}")
assert max(first_rates) == 0
assert set(ratios) == {0.1, 1.0, 6.0} and all(abs(ratio / factor - 1) < 0.02 for factor, ratio in ratios.items())
PY
cd "$folder"
"$folder/venv/bin/python" watch.py 2>"$folder/log" | grep -E "^(rate|factor)" || { cat "$folder/log"; exit 1; }
