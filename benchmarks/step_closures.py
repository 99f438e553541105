"""Steps of L-BFGS, which asks for the gradient itself: that of a quadratic, which everybody computes in one product."""

from __future__ import annotations

from typing import Any

import numpy as np

import schuss

from . import peers
from .step_peers import Problem, Stepping

# One iteration a step, so short that the end is never reached.
OPTIONS: dict[str, Any] = {
    "lr": 1e-4,
    "max_iter": 1,
    "history_size": 10,
    "tolerance_grad": 0.0,
    "tolerance_change": 0.0,
}
# Steps after which the history is full.
FILLED = 12


def own(given: Problem) -> Stepping:
    (p,), (h,) = given.fresh(), given.gradients
    curvature, g = np.abs(h) + np.float32(0.5), np.empty_like(p)
    optimizer = schuss.LBFGS([p], **OPTIONS)

    def closure() -> tuple[float, Any]:
        np.multiply(curvature, p, out=g)
        return 0.0, [g]

    return _filled(Stepping("ours", lambda: optimizer.step(closure), lambda: p))


def torch_default(given: Problem) -> Stepping | None:
    torch = peers.module("torch")
    if torch is None:
        return None
    parameter = torch.nn.Parameter(torch.from_numpy(given.fresh()[0]))
    curvature = torch.from_numpy(np.abs(given.gradients[0]) + np.float32(0.5))
    parameter.grad = torch.empty_like(parameter)
    loss = torch.zeros(())
    optimizer = torch.optim.LBFGS([parameter], **OPTIONS)

    def closure() -> Any:
        with torch.no_grad():
            torch.mul(curvature, parameter, out=parameter.grad)
        return loss

    return _filled(Stepping("torch default", lambda: optimizer.step(closure), lambda: parameter.detach().numpy()))


def _filled(one: Stepping) -> Stepping:
    one.run(FILLED)
    return one


MAKERS = (own, torch_default)
