"""Optimizers whose step in each array depends on norms of the whole array: LARS, LAMB, NovoGrad."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class LARS(Optimizer):
    """Gradient descent with momentum, with a learning rate of its own for each array: in proportion to its norm.

    ``ratio = trust_coefficient ||p|| / (||g|| + weight_decay ||p|| + eps)``, ``d = lr ratio (g + weight_decay p)``,
    ``buf = momentum buf + d``, ``p = p - buf``; with ``nesterov`` ``p = p - (d + momentum buf)``; without momentum
    ``p = p - d``. The ratio is 1 for an array that is all zero, and with ``adapt=False``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`. Norms are taken of each array by itself, so an array should be a layer's weights, not a network's.
    lr : float or callable
        As for `SGD`; of order 1, since ``trust_coefficient`` makes it small.
    momentum : float
        >= 0.
    weight_decay : float or callable
        ``weight_decay p`` is added to the gradient, and counts in the ratio; >= 0.
    trust_coefficient : float
        How large a step may be, as a share of the array's norm, at ``lr=1``; >= 0.
    eps : float
        >= 0.
    nesterov : bool
        Needs momentum > 0.
    adapt : bool
        False: the ratio is 1. In practice that is, with ``weight_decay=0``, the setting of a group of biases and of the
        parameters of normalisation layers; no array is excepted here unless its group says so.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    For batches of thousands, where one learning rate is too large for some layers and too small for others: ResNet-50
    with batches of 32k, and contrastive pre-training (SimCLR, BYOL). With small batches SGD does as well.

    A step reads all parameters and gradients twice, unless an array fits into cache.

    Libraries differ. The learning rate is part of what the momentum buffer holds, as in the paper and optax; where
    torch_optimizer and pytorch_optimizer multiply the buffer by it, a schedule acts at once on all of it. optax takes
    the norm of ``g + weight_decay p`` instead of ``||g|| + weight_decay ||p||``. torch_optimizer excepts groups without
    weight decay, pytorch_optimizer vectors. The paper has no eps and leaves arrays of zeros at zero.

    References
    ----------
    Y. You, I. Gitman, B. Ginsburg, Large Batch Training of Convolutional Networks (2017).
    """

    _name = "lars"
    _rule = "lars"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1.0,
        momentum: float = 0.9,
        weight_decay: LearningRate = 0.0,
        trust_coefficient: float = 1e-3,
        eps: float = 1e-8,
        nesterov: bool = False,
        *,
        adapt: bool = True,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            trust_coefficient=trust_coefficient,
            eps=eps,
            nesterov=nesterov,
            adapt=adapt,
            maximize=maximize,
            no_decay=no_decay,
        )


class LAMB(Optimizer):
    """Adam, with a step in each array that is in proportion to the array's norm.

    ``m = m + (1 - beta1) (g - m)``, ``v = beta2 v + (1 - beta2) g^2``,
    ``u = m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + eps) + weight_decay p``, ``p = p - lr ratio u`` with
    ``ratio = min(max(||p||, clamp[0]), clamp[1]) / ||u||``. The ratio is 1 for an array that is all zero (if clamp[0]
    is 0), where u is, and with ``adapt=False``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`. Norms are taken of each array by itself, so an array should be a layer's weights, not a network's.
    lr : float or callable
        As for `SGD`.
    betas : (float, float)
        Each in [0, 1).
    eps : float
        >= 0.
    weight_decay : float or callable
        ``weight_decay p`` is added to the step before its norm is taken; >= 0.
    clamp : (float, float)
        What the norm of the parameters counts at least and at most; from 0 to infinity.
    bias_correction : bool
        False: without the divisions by ``1 - beta^t``.
    adapt : bool
        False: the ratio is 1, which is `AdamW`. In practice that is, with ``weight_decay=0``, the setting of a group of
        biases and of the parameters of normalisation layers; no array is excepted here unless its group says so.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Raises
    ------
    ValueError, TypeError
        As for `SGD`, and if ``clamp[0] > clamp[1]``.

    Notes
    -----
    For batches of thousands: BERT with batches of 64k, where Adam stops to converge. With small batches Adam does as
    well.

    A first pass over memory makes m and v, a second makes the step, without the gradients. Arrays that fit into cache
    are fetched once.

    Libraries differ. This is the paper's algorithm, as in optax and Keras. torch_optimizer leaves out the bias
    correction and clamps the norm of the parameters to [0, 10]: ``bias_correction=False, clamp=(0.0, 10.0)``. So does
    pytorch_optimizer, but it divides lr by ``1 - beta1^t``, adds eps to ``||u||`` and decays p before its norm is
    taken.

    References
    ----------
    Y. You, J. Li, S. Reddi et al., Large Batch Optimization for Deep Learning: Training BERT in 76 Minutes (2020).
    """

    _name = "lamb"
    _rule = "lamb"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: LearningRate = 0.0,
        clamp: tuple[float, float] = (0.0, float("inf")),
        *,
        bias_correction: bool = True,
        adapt: bool = True,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            clamp=clamp,
            bias_correction=bias_correction,
            adapt=adapt,
            maximize=maximize,
            no_decay=no_decay,
        )


class NovoGrad(Optimizer):
    """Momentum of gradients that are divided by a running mean of their norm, one for each array.

    ``v = beta2 v + (1 - beta2) ||g||^2`` (``v = ||g||^2`` as long as v is zero), a number for each array,
    ``m = beta1 m + g / (sqrt(v) + eps) + weight_decay p``, ``p = p - lr m``; with ``grad_averaging``
    ``m = beta1 m + (1 - beta1) (g / (sqrt(v) + eps) + weight_decay p)``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`. Norms are taken of each array by itself, so an array should be a layer's weights, not a network's.
    lr : float or callable
        As for `SGD`.
    betas : (float, float)
        Each in [0, 1).
    eps : float
        >= 0.
    weight_decay : float or callable
        ``weight_decay p`` is added to the normalised gradient; >= 0.
    grad_averaging : bool
        See above.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    Half of Adam's state, and less sensitive to the learning rate and to its warm-up than SGD: speech recognition
    (Jasper, QuartzNet), and ResNet-50 with large batches. Where gradients of rare inputs are small within an array, as
    in embeddings, Adam's denominator for each parameter does better.

    A step reads all gradients twice, unless an array fits into cache. The state "exp_avg_sq" has the shape ().

    The formula is the paper's, where v begins with the first gradient. Defaults differ: torch_optimizer and NVIDIA's
    code have betas of (0.95, 0), optax (0.9, 0.25) and an eps of 1e-6.

    References
    ----------
    B. Ginsburg, P. Castonguay, O. Hrinchuk et al., Stochastic Gradient Methods with Layer-wise Adaptive Moments for
    Training of Deep Networks (2019).
    """

    _name = "novograd"
    _rule = "novograd"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.95, 0.98),
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        grad_averaging: bool = False,
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
            grad_averaging=grad_averaging,
            maximize=maximize,
            no_decay=no_decay,
        )
