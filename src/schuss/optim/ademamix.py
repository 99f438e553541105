"""AdEMAMix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class AdEMAMix(Optimizer):
    """Adam with a second, slow mean of the gradient, which remembers some ten thousand steps.

    ``m = m + (1 - beta1) (g - m)``, ``l = l + (1 - beta3_t) (g - l)``, ``v = beta2 v + (1 - beta2) g^2``,
    ``p = p - lr (m / (1 - beta1^t) + alpha_t l) / (sqrt(v) / sqrt(1 - beta2^t) + eps)``.
    With a warm-up of T steps, ``w = min(t / T, 1)``: ``alpha_t = w alpha``, and beta3_t goes from beta1 to beta3 such
    that the time it remembers grows evenly,
    ``beta3_t = min(exp(ln(beta1) ln(beta3) / ((1 - w) ln(beta3) + w ln(beta1))), beta3)``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    betas : (float, float, float)
        Each in [0, 1). With a first one of 0, m is the gradient itself and takes no memory.
    alpha : float
        Weight of the slow mean; >= 0. The paper has 4 to 10.
    eps : float
        >= 0.
    weight_decay : float or callable
        The parameters are multiplied by ``1 - lr weight_decay``; >= 0.
    alpha_warmup, beta3_warmup : float
        Steps of the two warm-ups, above T; 0 for none. The paper has the number of all steps for both.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    For long trainings, above all of language models, where old gradients still are of use: the authors need about half
    of AdamW's data for the same loss. Without warm-up it may diverge at first; in less than some thousand steps a third
    beta of 0.999 does better.

    Three states of the parameter's shape, "exp_avg_fast", "exp_avg_slow" and "exp_avg_sq"; without the first where
    beta1 is 0. The authors' code for torch has 2 for alpha by default and adds 1e-8 to betas in the logarithms of the
    warm-up; that for optax has 5 and does not, as here.

    References
    ----------
    M. Pagliardini, P. Ablin, D. Grangier, The AdEMAMix Optimizer: Better, Faster, Older (2024), arXiv:2409.03137.
    """

    _name = "ademamix"
    _rule = "ademamix"
    _decoupled = True

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 5.0,
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        *,
        alpha_warmup: float = 0,
        beta3_warmup: float = 0,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            alpha_warmup=alpha_warmup,
            beta3_warmup=beta3_warmup,
            maximize=maximize,
            no_decay=no_decay,
        )
