"""Gradient descent, plain and with momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class SGD(Optimizer):
    """Gradient descent, with momentum if asked.

    ``buf = momentum buf + (1 - dampening) g`` (``buf = g`` at the first step), ``p = p - lr buf``; with ``nesterov``
    ``p = p - lr (g + momentum buf)``; without momentum ``p = p - lr g``.

    Parameters
    ----------
    params : array, list or dict of arrays, or list of groups
        What is updated, in place: C-contiguous, writable, all float32 or all float64, none overlapping another. NumPy
        arrays, or other memory of the CPU that can be shared (torch, array.array, memory maps, ...). A dict of arrays
        has their names. Groups are dicts: "params", which is one of these, and hyperparameters of their own.
    lr : float or callable
        Learning rate >= 0, or a schedule: a function of the step's number, from 0.
    momentum, dampening : float
        momentum >= 0.
    weight_decay : float or callable
        ``weight_decay p`` is added to the gradient; >= 0. Or a schedule, as lr.
    nesterov : bool
        Needs momentum > 0 and dampening 0.
    maximize : bool
        Ascend instead.
    dialect : {"torch", "keras", "sklearn"}
        Whose momentum. "keras", "sklearn": ``buf = momentum buf + lr (1 - dampening) g`` and ``p = p - buf``, with
        ``nesterov`` ``p = p - (lr g + momentum buf)``. This differs where lr changes, and at the first step with
        dampening. "keras": the parameters are multiplied by ``1 - lr weight_decay``.
    no_decay : bool, str, list of str, or callable
        Arrays without weight decay: with True those of at most one dimension (biases, scales); those of a dict whose
        names these are or match (as fnmatch does); or those for which ``no_decay(name or place, array)`` is True. They
        become groups of their own, after the others, with weight_decay 0; gradients keep their order.
    rows : {None, "lazy", "exact"}
        Of arrays whose gradients are of some rows (`Rows`, tables of embeddings), what the other rows do. "lazy":
        nothing. "exact": what they would do if their gradients were zeros, so that the run is the dense one: momentum,
        decay of weights and of moments are made up for when a row is next given, or `catch_up` is called. None: as
        "lazy" for `Rows`; networks step whole arrays. See the notes on `catch_up` for what "exact" promises.

    Raises
    ------
    ValueError, TypeError
        If an array cannot be updated in place, or a number is out of range.

    Notes
    -----
    For images and convolutional networks with momentum 0.9, where a searched-for rate that falls in steps or as a
    cosine is hard to beat; for convex problems; and where no memory is left for states. One rate has to suit all
    parameters: where their gradients differ in scale by orders of magnitude, as between the layers of a transformer,
    Adam and its kin do better. With gradients summed over whole data sets, momentum pays most; with a batch of one,
    least.

    optax has the same formula. Keras and scikit-learn keep ``lr buf`` instead of ``buf``, which is the same while lr is
    constant, and differs for a few steps after it has changed; scikit-learn's default is nesterov.

    References
    ----------
    B. T. Polyak, Some methods of speeding up the convergence of iteration methods (1964). Y. Nesterov, A method of
    solving a convex programming problem with convergence rate O(1/k^2) (1983).
    """

    _name = "sgd"
    _rule = "sgd"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: LearningRate = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        dialect: str = "torch",
        no_decay: NoDecay = None,
        rows: str | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
            dialect=dialect,
            no_decay=no_decay,
            rows=rows,
        )
