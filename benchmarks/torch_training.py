"""A small network of torch's trained by torch's loop: with its AdamW, and with ours by one changed import."""

from __future__ import annotations

from functools import partial
from typing import Any

from . import comparison, peers, torch_steps
from .cases import LEARNING_RATE, Case
from .comparison import Maker
from .limits import Limits
from .steps import Steps, Training
from .tables import Result, row
from .timing import Contender, Samples, alternate

CASES = (Case((784, 256, 10), 64), Case((64, 100, 10), 32), Case((784, 512, 512, 10), 64))
STILL = "no optimizer"


class _Still:
    """No optimizer: what is left then is forward and backward."""

    def __init__(self, parameters: list[Any]) -> None:
        self._parameters = parameters

    def zero_grad(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def step(self) -> None: ...


def _trained(name: str, home: str, form: dict[str, bool]) -> Maker:
    def make(case: Case) -> Training | None:
        torch, optim = peers.module("torch"), peers.module(home)
        if torch is None or optim is None:
            return None

        def optimizer(torch: Any, parameters: list[Any]) -> Any:
            return optim.AdamW(parameters, lr=LEARNING_RATE, **form)

        return torch_steps.eager(case, torch, peers.torch_model(case, torch), name, optimizer=optimizer)

    make.__name__ = name
    return make


MAKERS = (
    _trained("ours: torch", "schuss.torch", {}),
    _trained("torch fused", "torch.optim", {"fused": True}),
    _trained("torch default", "torch.optim", {}),
    _trained("torch foreach", "torch.optim", {"foreach": True}),
)


def _still(case: Case) -> Steps | None:
    torch = peers.module("torch")
    if torch is None:
        return None
    model = peers.torch_model(case, torch)
    return torch_steps.eager(case, torch, model, STILL, optimizer=lambda _, parameters: _Still(parameters))


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    result = Result("Training with torch", baselines=["torch fused", "torch default"])
    shares = []
    for case in CASES[:1] if options.quick else CASES:
        peers.note(f"torch training {case}, threads {threads}")
        found, apart = comparison.contenders(MAKERS, case)
        mine = [one.name for one in found if one.name.startswith("ours")]
        if not mine:
            peers.note("torch training left out: schuss.torch is not among ours")
            break
        found += peers.built((_still,), case, started=partial(Steps.losses, steps=case.checked_steps))
        times = alternate([Contender(one.name, one.run, one.unit) for one in found], 0.5 if options.quick else 4.0)
        label = {"layers": case.layers, "batch": str(case.batch)}
        result.rows.append(row(label, threads, mine, times, None, max(apart.values()), [STILL]))
        shares.append(f"{case}, threads {threads}: {_shares(times)}")
    result.notes = [
        "float32, ReLU, mean cross-entropy, AdamW; the same rows and start weights, one loop for all: forward, loss, "
        "zero_grad(), backward, step(). no optimizer: the same without a step. differ: largest relative difference of "
        f"the losses of the first {CASES[0].checked_steps} steps.",
        "The optimizer's share of the time (what is there beyond no optimizer): " + "; ".join(shares) + ".",
    ]
    return [result] if result.rows else []


def _shares(times: dict[str, Samples]) -> str:
    still = times[STILL]
    return ", ".join(f"{name} {1 - still.ratio(one):.0%}" for name, one in times.items() if name != STILL)
