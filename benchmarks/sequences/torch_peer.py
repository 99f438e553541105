"""torch's recurrent layers."""

from __future__ import annotations

from typing import Any

from .. import torch_steps
from ..peers import module
from ..steps import Training
from .cases import Case

# Compiling unrolls the times: minutes beyond these.
MOST_COMPILED = 32


def model(case: Case, torch: Any) -> Any:
    """The layers with their start weights. torch's second bias is not trained where the others have one."""
    nn = torch.nn

    class Model(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = getattr(nn, case.kind)(case.inputs, case.units, batch_first=True)
            self.dense = nn.Linear(case.units, case.classes)

        def forward(self, x: Any) -> Any:
            return self.dense(self.recurrent(x)[0][:, -1])

    made = Model()
    names = {
        "weight_ih_l0": "weight",
        "weight_hh_l0": "recurrent",
        "bias_ih_l0": "bias",
        "bias_hh_l0": "recurrent_bias",
    }
    given = {f"recurrent.{theirs}": name for theirs, name in names.items()}
    given |= {"dense.weight": "dense", "dense.bias": "dense_bias"}
    with torch.no_grad():
        for theirs, parameter in made.named_parameters():
            if given[theirs] in case.weights:
                parameter.copy_(torch.from_numpy(case.weights[given[theirs]].T.copy()))
            else:
                parameter.zero_()
                parameter.requires_grad_(False)
    return made


def eager(case: Case) -> Training | None:
    torch = module("torch")
    return torch and torch_steps.eager(case, torch, model(case, torch))


def compiled(case: Case) -> Training | None:
    torch = module("torch")
    if torch is None or case.times > MOST_COMPILED:
        return None
    torch._dynamo.config.allow_rnn = True
    return torch_steps.compiled(case, torch, model(case, torch))
