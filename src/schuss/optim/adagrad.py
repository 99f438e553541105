"""AdaGrad."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class AdaGrad(Optimizer):
    """Steps divided by the root of the sum of squared gradients.

    ``sum = sum + g^2``, ``p = p - lr / (1 + (t - 1) lr_decay) g / (sqrt(sum) + eps)``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    lr_decay, weight_decay, eps : float
        All >= 0.
    initial_accumulator_value : float
        What ``sum`` starts with; >= 0.
    maximize : bool
        Ascend instead.
    dialect : {"torch", "keras"}
        Where eps is. "keras": ``sqrt(sum + eps)``; and the parameters are multiplied by ``1 - lr weight_decay``.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.
    rows : {None, "lazy", "exact"}
        As for `SGD`.

    Notes
    -----
    For linear models with rare features, such as words and clicks: a feature that comes seldom keeps its large steps.
    As the sum only grows, steps only shrink: good for convex problems, where it needs no schedule, and too early an end
    for most long trainings of networks. Gradients of some rows (`Rows`) are exact here, without weight decay.

    Keras and optax have the sum begin with 0.1, and add eps, 1e-7, under the root.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, Adaptive Subgradient Methods, JMLR 12 (2011).
    """

    _name = "adagrad"
    _rule = "adagrad"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: LearningRate = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        dialect: str = "torch",
        no_decay: NoDecay = None,
        rows: str | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            maximize=maximize,
            dialect=dialect,
            no_decay=no_decay,
            rows=rows,
        )
