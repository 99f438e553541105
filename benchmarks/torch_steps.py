"""Training a model of torch's: its optimizer, its loss, eager or compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .cases import BETAS, EPS, LEARNING_RATE, Problem
from .steps import Steps


def fused_adam(torch: Any, parameters: list[Any]) -> Any:
    """The fastest form that torch has on a CPU."""
    return torch.optim.Adam(parameters, lr=LEARNING_RATE, betas=BETAS, eps=EPS, fused=True)


def eager(
    case: Problem,
    torch: Any,
    model: Any,
    name: str = "torch",
    laid: Callable[[Any], Any] = lambda x: x,
    optimizer: Callable[[Any, list[Any]], Any] = fused_adam,
) -> Steps:
    """As Python calls it.

    Parameters
    ----------
    case, torch, model
        The model has the start weights; what is not to be trained requires no gradient.
    name : str
        Of the column.
    laid : callable
        Gives the rows of a batch the layout that the model takes, before anything is timed.
    optimizer : callable
        Makes the optimizer of what is trained.
    """
    return _steps(case, torch, model, name, laid=laid, kind=optimizer)


def compiled(case: Problem, torch: Any, model: Any, laid: Callable[[Any], Any] = lambda x: x) -> Steps:
    """Forward, loss and backward compiled to C++; the same optimizer."""
    # Each case is a function of its own: what was compiled for the others must not make its shapes variable.
    torch._dynamo.reset()
    return _steps(case, torch, model, "torch.compile", lambda f: torch.compile(f, fullgraph=True, dynamic=False), laid)


def _steps(
    case: Problem,
    torch: Any,
    model: Any,
    name: str,
    made: Callable[[Any], Any] = lambda f: f,
    laid: Callable[[Any], Any] = lambda x: x,
    kind: Callable[[Any, list[Any]], Any] = fused_adam,
) -> Steps:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = kind(torch, trained)
    batches = [(laid(torch.from_numpy(x)), torch.from_numpy(y)) for x, y in case.batches]
    loss_of = made(lambda x, y: torch.nn.functional.cross_entropy(model(x), y))

    def step(k: int) -> Any:
        loss = loss_of(*batches[k])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Steps(name, len(batches), step)
