"""torch's convolutions, in its own layout and with channels last."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import torch_steps
from ..cases import Float
from ..peers import module
from ..steps import Training
from .cases import Case, Conv


def model(case: Case, torch: Any) -> Any:
    """The layers with their start weights."""
    nn = torch.nn
    layers: list[Any] = []
    for one in case.placed:
        if isinstance(one.layer, Conv):
            convolution = nn.Conv2d(one.shape[2], one.layer.filters, one.layer.kernel, padding=one.layer.margin)
            layers += [convolution, nn.ReLU()]
        else:
            layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(case.flat, case.hidden), nn.ReLU(), nn.Linear(case.hidden, case.classes)]
    made = nn.Sequential(*layers)
    with torch.no_grad():
        for parameter, (name, given) in zip(made.parameters(), case.weights.items(), strict=True):
            parameter.copy_(torch.from_numpy(_laid(case, name, given)))
    return made


def _laid(case: Case, name: str, array: Float) -> Float:
    """Outputs in front; torch flattens channels, height, width."""
    if array.ndim == 4:
        return np.ascontiguousarray(array.transpose(3, 2, 0, 1))
    if name == "dense 0":
        array = array.reshape(*case.placed[-1].out, -1).transpose(2, 0, 1, 3).reshape(array.shape)
    return np.ascontiguousarray(array.T)


def channels_first(x: Any) -> Any:
    """A batch as torch's convolutions take it, in their own layout."""
    return x.permute(0, 3, 1, 2).contiguous()


def eager(case: Case) -> Training | None:
    torch = module("torch")
    return torch and torch_steps.eager(case, torch, model(case, torch), laid=channels_first)


def channels_last(case: Case) -> Training | None:
    """The same; the layout in memory is ours."""
    torch = module("torch")
    if torch is None:
        return None
    made = model(case, torch).to(memory_format=torch.channels_last)
    return torch_steps.eager(case, torch, made, "torch last", laid=lambda x: x.permute(0, 3, 1, 2))


def compiled(case: Case) -> Training | None:
    torch = module("torch")
    return torch and torch_steps.compiled(case, torch, model(case, torch), laid=channels_first)
