"""Prodigy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Optimizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..structure import NoDecay, Params
    from .base import LearningRate

# What the groups have in common, and with it d.
_OF_ALL = ("d0", "d_coef", "growth_rate", "beta3")


class Prodigy(Optimizer):
    """Adam that finds its learning rate: an estimate d of the distance to the solution, which only grows.

    With ``rate = d lr`` (times ``sqrt(1 - beta2^t) / (1 - beta1^t)`` with ``use_bias_correction``) and ``p0`` the
    parameters at the first step: ``r = beta3 r + d / d0 rate sum(g (p0 - p))``, ``s = beta3 s + d / d0 rate g`` (d
    instead of the last rate with ``safeguard_warmup``), ``d_hat = d_coef r / sum(|s|)``, sums over all arrays of all
    groups. ``m = beta1 m + d (1 - beta1) g``, ``v = beta2 v + d^2 (1 - beta2) g^2``; then d becomes the largest d_hat
    so far, but at most ``d growth_rate`` (while d is d0, the larger of d0 and d_hat times growth_rate), and
    ``p = p (1 - rate weight_decay) - rate m / (sqrt(v) + d eps)``, where only eps has the new d.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`. ``d0``, ``d_coef``, ``growth_rate`` and ``beta3`` must be the same in all groups.
    lr : float or callable
        As for `SGD`; what d is multiplied by: 1, or a schedule that begins or ends there.
    betas : (float, float)
        Each in [0, 1).
    beta3 : float, optional
        In (0, 1); by default the root of beta2.
    eps : float
        >= 0.
    weight_decay : float or callable
        >= 0.
    decouple : bool
        False: ``weight_decay p`` is added to the gradient instead.
    use_bias_correction, safeguard_warmup : bool
        See above. The second is for learning rates that begin near 0.
    d0 : float
        What d begins with, well below the distance to the solution; > 0.
    d_coef : float
        Makes d larger or smaller, which is how the method is to be tuned: 0.5 or 2, say; > 0.
    growth_rate : float
        From 1 to infinity. 1.02, say, is a kind of warm-up.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Raises
    ------
    ValueError, TypeError
        As for `SGD`, and if groups differ in what must be the same.

    Notes
    -----
    For fine-tuning and for experiments where nobody wants to search for a learning rate: at ``lr=1`` it comes close to
    Adam with a good one, with the same schedule. Twice Adam's state, and two passes over memory. In the first steps
    nearly nothing moves: d has to grow from d0.

    The formulas are those of the authors' package prodigyopt, with its names in the state ("s", "p0") and in
    state_dict's groups ("d", "d_max", "d_numerator"). Unlike there, groups may differ in lr, a step with lr 0 updates
    the states too, with ``betas[0] = 0`` the step has the old d, and there is no ``slice_p``. optax has the bias
    correction and no growth_rate.

    References
    ----------
    K. Mishchenko, A. Defazio, Prodigy: An Expeditiously Adaptive Parameter-Free Learner (2024).
    """

    _name = "prodigy"
    _rule = "prodigy"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        beta3: float | None = None,
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        decouple: bool = True,
        use_bias_correction: bool = False,
        safeguard_warmup: bool = False,
        d0: float = 1e-6,
        d_coef: float = 1.0,
        growth_rate: float = float("inf"),
        *,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            beta3=beta3,
            eps=eps,
            weight_decay=weight_decay,
            decouple=decouple,
            use_bias_correction=use_bias_correction,
            safeguard_warmup=safeguard_warmup,
            d0=d0,
            d_coef=d_coef,
            growth_rate=growth_rate,
            maximize=maximize,
            no_decay=no_decay,
        )

    @property
    def d(self) -> float:
        """The estimate that the next step will use."""
        return self._remembered()[0]["d"]

    @staticmethod
    def _check_together(groups: Sequence[Mapping[str, Any]]) -> None:
        for index, group in enumerate(groups):
            for key in _OF_ALL:
                if group[key] != groups[0][key]:
                    raise ValueError(f"params[{index}][{key!r}] must be that of params[0]; got {group[key]!r}")
