"""Adam, AMSGrad and AdamW."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class Adam(Optimizer):
    """Running means of the gradient over the root of running means of its square, both corrected for their start.

    ``m = m + (1 - beta1) (g - m)``, ``v = beta2 v + (1 - beta2) g^2``,
    ``p = p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)``; with ``amsgrad`` the largest v so far takes
    v's place in the last line.

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
    amsgrad, maximize : bool
        See above; ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.
    rows : {None, "lazy", "exact"}
        As for `SGD`.
    decoupled_weight_decay : bool
        Multiply the parameters by ``1 - lr weight_decay`` instead: `AdamW`.
    dialect : {"torch", "keras", "sklearn"}
        Where eps is. "keras", "sklearn": it is added to a v that is not corrected,
        ``p = p - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps)``. "keras": weight decay is decoupled.

    Notes
    -----
    The one to try first: steps of about lr whatever the scale of the gradients, so that a rate of 1e-3 to 1e-4 trains
    most networks. For large batches or long trainings of transformers the field takes betas (0.9, 0.95). With weight
    decay take `AdamW`. amsgrad is for the rare case that v forgets large gradients too soon.

    Keras and scikit-learn add eps to sqrt(v) before it is corrected, so theirs counts ``1 / sqrt(1 - beta2^t)`` times
    as much in the first steps; Keras' is 1e-7. optax has this formula.

    References
    ----------
    D. P. Kingma, J. Ba, Adam: A Method for Stochastic Optimization (2015). S. J. Reddi, S. Kale, S. Kumar, On the
    Convergence of Adam and Beyond (2018), for amsgrad.
    """

    _name = "adam"
    _rule = "adam"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        no_decay: NoDecay = None,
        decoupled_weight_decay: bool = False,
        dialect: str = "torch",
        rows: str | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
            no_decay=no_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            dialect=dialect,
            rows=rows,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: ``p = p (1 - lr weight_decay)`` before Adam's step.

    Parameters as for `Adam`; ``weight_decay`` is 0.01 by default.

    Notes
    -----
    The usual choice for networks of every kind: decay by the same rate for all parameters, whatever their gradients. It
    is multiplied by lr, as in torch, Keras and optax, so it falls with the schedule; in the paper it is multiplied by
    the schedule's shape alone, so a recipe's decay there is lr times the one here. Defaults differ: Keras decays by
    0.004, optax by 0.0001. Give ``no_decay=True`` to leave biases and scales alone.

    References
    ----------
    I. Loshchilov, F. Hutter, Decoupled Weight Decay Regularization (2019).
    """

    _name = "adamw"
    _decoupled = True

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: LearningRate = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        dialect: str = "torch",
        no_decay: NoDecay = None,
        rows: str | None = None,
    ) -> None:
        Optimizer.__init__(
            self,
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
            dialect=dialect,
            no_decay=no_decay,
            rows=rows,
        )
