"""NAdam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .base import Optimizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..structure import NoDecay, Params
    from .base import LearningRate


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: the step looks one gradient ahead.

    ``m = m + (1 - beta1) (g - m)``, ``v = beta2 v + (1 - beta2) g^2``,
    ``mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2)``, ``M_t = mu_1 mu_2 ... mu_t``,
    ``p = p - lr (mu_(t+1) / (1 - M_(t+1)) m + (1 - mu_t) / (1 - M_t) g) / (sqrt(v) / sqrt(1 - beta2^t) + eps)``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    betas : (float, float)
        Each in [0, 1).
    eps : float
        >= 0.
    weight_decay : float or callable
        ``weight_decay p`` is added to the gradient; >= 0.
    momentum_decay : float
        How fast the momentum mu_t grows from beta1 / 2 to beta1; >= 0.
    decoupled_weight_decay : bool
        Multiply the parameters by ``1 - lr weight_decay`` instead, as AdamW does.
    maximize : bool
        Ascend instead.
    dialect : {"torch", "keras"}
        Whose momenta. "keras": ``mu_t = beta1 (1 - 0.96^t / 2)``, whatever momentum_decay, which must be left as it is;
        and the parameters are multiplied by ``1 - lr weight_decay``.

    Raises
    ------
    ValueError
        If a number is out of range, or momentum_decay is given with dialect "keras".
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    Where Adam is used and the gradient is not too noisy: often a little faster, with the same settings.

    Two states of the parameter's shape, "exp_avg" and "exp_avg_sq"; M_t is "mu_product" in the state_dict, which torch
    keeps in float32. Keras has lr 0.001 and eps 1e-7 by default.

    References
    ----------
    T. Dozat, Incorporating Nesterov Momentum into Adam, ICLR workshop (2016).
    """

    _name = "nadam"
    _rule = "nadam"
    _MOMENTUM_DECAY: ClassVar[float] = 4e-3

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        momentum_decay: float = _MOMENTUM_DECAY,
        decoupled_weight_decay: bool = False,
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
            momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
            dialect=dialect,
            no_decay=no_decay,
        )

    def _group(self, arrays: list[NDArray[Any]], given: Mapping[str, Any]) -> dict[str, Any]:
        group = super()._group(arrays, given)
        if group["dialect"] == "keras" and group["momentum_decay"] != self._MOMENTUM_DECAY:
            raise ValueError(
                f"momentum_decay must be left out with dialect='keras', which has 0.96^t; "
                f"got {group['momentum_decay']:g}"
            )
        return group
