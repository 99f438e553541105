"""RAdam."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class RAdam(Optimizer):
    """Adam that warms up by itself: no division by the root of v until v is of enough gradients to be trusted.

    ``m = m + (1 - beta1) (g - m)``, ``v = beta2 v + (1 - beta2) g^2``, ``R = 2 / (1 - beta2) - 1``,
    ``R_t = R - 2 t beta2^t / (1 - beta2^t)``. While ``R_t <= 5``: ``p = p - lr m / (1 - beta1^t)``; then
    ``p = p - lr r_t sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps)`` with
    ``r_t = sqrt((R_t - 4) (R_t - 2) R / ((R - 4) (R - 2) R_t))``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    betas : (float, float)
        Each in [0, 1). With a second one up to 2/3, R is at most 5 and there is only the first kind of step.
    eps : float
        >= 0.
    weight_decay : float or callable
        ``weight_decay p`` is added to the gradient; >= 0.
    decoupled_weight_decay : bool
        Multiply the parameters by ``1 - lr weight_decay`` instead, as AdamW does.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    In the place of Adam with a warm-up of the learning rate. With the default betas the first five steps are not
    divided, so their size is that of the gradients; then r_t grows from 0.03 to 0.65 at step 1000 and 0.96 at 4000.

    Two states of the parameter's shape, "exp_avg" and "exp_avg_sq". As in torch, eps is added before v is corrected,
    and the threshold is 5; the paper's is 4, and leaves out eps.

    References
    ----------
    L. Liu, H. Jiang, P. He, W. Chen, X. Liu, J. Gao, J. Han, On the Variance of the Adaptive Learning Rate and Beyond
    (2020), arXiv:1908.03265.
    """

    _name = "radam"
    _rule = "radam"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
            no_decay=no_decay,
        )
