"""AdaMax."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class Adamax(Optimizer):
    """Adam with the largest recent gradient in the place of the root of the mean square.

    ``m = m + (1 - beta1) (g - m)``, ``u = max(beta2 u, |g| + eps)``, ``p = p - lr / (1 - beta1^t) m / u``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    betas : (float, float)
        Each in [0, 1). The second is how slowly a large gradient is forgotten.
    eps : float
        >= 0.
    weight_decay : float or callable
        ``weight_decay p`` is added to the gradient; >= 0.
    maximize : bool
        Ascend instead.
    dialect : {"torch", "keras"}
        Where eps is. "keras": ``u = max(beta2 u, |g|)``, ``p = p - lr / (1 - beta1^t) m / (u + eps)``; and the
        parameters are multiplied by ``1 - lr weight_decay``.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    For gradients that are mostly zero, as of embeddings, and for noise with outliers: no step is larger than
    lr / (1 - beta1^t), and one large gradient shortens the following ones for some 1 / (1 - beta2) steps.

    Two states of the parameter's shape, "exp_avg" and "exp_inf". The paper has no eps. Keras has lr 0.001 and eps
    1e-7 by default.

    References
    ----------
    D. P. Kingma, J. Ba, Adam: A Method for Stochastic Optimization (2015), section 7.1, arXiv:1412.6980.
    """

    _name = "adamax"
    _rule = "adamax"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        *,
        maximize: bool = False,
        dialect: str = "torch",
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            maximize=maximize,
            dialect=dialect,
            no_decay=no_decay,
        )
