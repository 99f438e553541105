"""Yogi."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class Yogi(Optimizer):
    """Adam whose mean square moves by no more than the squared gradient: it forgets large gradients slowly.

    ``m = m + (1 - beta1) (g - m)``, ``v = v - (1 - beta2) sign(v - g^2) g^2``,
    ``p = p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    betas : (float, float)
        Each in [0, 1).
    eps : float
        >= 0. The paper's 1e-3 is large against Adam's 1e-8: it bounds the step where gradients are small.
    weight_decay : float or callable
        ``weight_decay p`` is added to the gradient; >= 0.
    initial_accumulator_value : float
        What ``v`` starts with; >= 0.
    decoupled_weight_decay : bool
        Multiply the parameters by ``1 - lr weight_decay`` instead, as AdamW does.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    For gradients that are mostly small and now and then large, where Adam's v falls too fast and its steps grow.

    Two states of the parameter's shape, "exp_avg" and "exp_avg_sq". The paper's algorithm has no corrections of m and
    v; every library has. TensorFlow Addons (by an author) adds eps before v is corrected; optax and torch_optimizer as
    here, but begin m with initial_accumulator_value too.

    References
    ----------
    M. Zaheer, S. J. Reddi, D. Sachan, S. Kale, S. Kumar, Adaptive Methods for Nonconvex Optimization (2018).
    """

    _name = "yogi"
    _rule = "yogi"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-3,
        weight_decay: LearningRate = 0.0,
        initial_accumulator_value: float = 1e-6,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
            no_decay=no_decay,
        )
