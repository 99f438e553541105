"""FTRL-Proximal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import Params
    from .base import LearningRate


class FTRL(Optimizer):
    """Follow the regularised leader: AdaGrad's steps, and parameters that are exactly zero where l1 outweighs them.

    ``n' = n + g^2``, ``z = z + g + 2 l2_shrinkage p - (n'^-lr_power - n^-lr_power) / lr p``, ``n = n'``;
    ``p = 0`` where ``|z| <= l1``, else ``p = (sign(z) l1 - z) / ((n^-lr_power + beta) / lr + 2 l2)``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`; the paper's alpha. z holds 1 / lr: parameters shrink or grow with it when it changes, so let it be
        constant. A step with 0 changes nothing.
    lr_power : float
        How fast steps grow smaller; in [-1, 0]. With -0.5 as the root of n, as in AdaGrad; with 0 they stay lr. Others
        take a logarithm and a power of e an element, some ten times as long.
    initial_accumulator_value : float
        What ``n`` starts with; >= 0.
    l1, l2 : float
        Weights of the penalties l1 |p| and l2 p^2; >= 0.
    l2_shrinkage : float
        Weight of a penalty l2_shrinkage p^2 on the present parameters alone, as of a loss; >= 0.
    beta : float
        Added to the root, for smaller first steps; >= 0.
    maximize : bool
        Ascend instead.
    rows : {None, "lazy", "exact"}
        As for `SGD`.

    Notes
    -----
    For linear models of many sparse features, as predictions of clicks, updated with every example: most parameters
    are exactly zero. They follow from n and z alone: what they are before the first step counts only through the
    gradient, and after it they are near 0. Where n, beta and l2 are all 0, the parameter is 0.

    Two states of the parameter's shape, "accumulator" and "linear". As TensorFlow and Keras, under shorter names
    (l1_regularization_strength and so on). The paper has no l2_shrinkage, n begins with 0 and beta is 1 there, and its
    lambda_2 is 2 l2.

    References
    ----------
    H. B. McMahan et al., Ad Click Prediction: a View from the Trenches (2013).
    """

    _name = "ftrl"
    _rule = "ftrl"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        lr_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1: float = 0.0,
        l2: float = 0.0,
        l2_shrinkage: float = 0.0,
        beta: float = 0.0,
        *,
        maximize: bool = False,
        rows: str | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_power=lr_power,
            initial_accumulator_value=initial_accumulator_value,
            l1=l1,
            l2=l2,
            l2_shrinkage=l2_shrinkage,
            beta=beta,
            maximize=maximize,
            rows=rows,
        )
