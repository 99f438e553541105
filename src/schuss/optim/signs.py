"""Steps of the sign: Lion and Signum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class Lion(Optimizer):
    """Steps of one size: the sign of a running mean of gradients, in which the present one counts more.

    ``p = p (1 - lr weight_decay) - lr sign(beta1 m + (1 - beta1) g)``, then ``m = beta2 m + (1 - beta2) g``. Where the
    mean is zero, nothing moves.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`: how far every parameter moves in a step.
    betas : (float, float)
        For the step and for what is remembered, each in [0, 1).
    weight_decay : float or callable
        Decoupled; >= 0.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.
    rows : {None, "lazy", "exact"}
        As for `SGD`.

    Notes
    -----
    Half of Adam's state, and in the authors' experiments as good for large vision and language models at large
    batches. Every parameter moves by lr in every step, so lr is to be 3 to 10 times smaller than Adam's and
    weight_decay as many times larger; and lr has to decay, or the last steps go back and forth.

    The formula is that of the authors' code, of optax and of Keras. Defaults differ: optax decays by 0.001, Keras has
    an lr of 0.001. The package lion-pytorch can divide weight_decay by the first lr, here ``weight_decay / lr``.

    References
    ----------
    X. Chen, C. Liang, D. Huang, E. Real, K. Wang et al., Symbolic Discovery of Optimization Algorithms (2023).
    """

    _name = "lion"
    _rule = "lion"
    _decoupled = True

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: LearningRate = 0.0,
        *,
        maximize: bool = False,
        no_decay: NoDecay = None,
        rows: str | None = None,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize, no_decay=no_decay, rows=rows
        )


class Signum(Optimizer):
    """Steps of one size: the sign of the gradient, or with momentum of its running mean.

    ``m = momentum m + (1 - momentum) g``, ``p = p - lr sign(m)``; without momentum, which is signSGD,
    ``p = p - lr sign(g)``. Where m or g is zero, nothing moves.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`: how far every parameter moves in a step.
    momentum : float
        In [0, 1).
    weight_decay : float or callable
        ``weight_decay p`` is added to the gradient; >= 0.
    decoupled_weight_decay : bool
        Instead ``p = p (1 - lr weight_decay)`` before the step.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    For gradients whose size means little: compressed to signs between machines, heavy-tailed, or of very different
    scale from parameter to parameter. lr has to decay, or the last steps go back and forth. With decay through the
    gradient only the sign of the sum is left of it, so the decoupled form is what shrinks weights by a rate.

    optax and pytorch_optimizer have the same formula; there decay is the decoupled one, if any.

    References
    ----------
    J. Bernstein, Y.-X. Wang, K. Azizzadenesheli, A. Anandkumar, signSGD: Compressed Optimisation for Non-Convex
    Problems (2018).
    """

    _name = "signum"
    _rule = "signum"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        momentum: float = 0.9,
        weight_decay: LearningRate = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
            no_decay=no_decay,
        )
