"""Sharpness-aware minimization."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..arguments import number
from ..errors import DivergenceError
from .averaging import Averaged
from .base import Optimizer
from .sgd import SGD
from .switch import Switch
from .wrapper import Wrapper, around, check_alone, fill, innermost

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grads = NDArray[Any] | Sequence[NDArray[Any]]


class SAM(Wrapper):
    """Sharpness-aware minimization: steps by the gradient of a point uphill, which shuns sharp minima.

    ``e = rho g / (||g|| + 1e-12)`` with g at p and the norm over all parameters; then the optimizer's step at p with
    the gradient at ``p + e``.

    Parameters
    ----------
    optimizer : Optimizer, average of one or Switch
        Which makes the steps.
    rho : float
        How far uphill; >= 0.

    Notes
    -----
    Two gradients a step, so twice the time. ``step(closure)`` does all of it; ``first_step(grads)`` goes uphill and
    ``second_step(grads)`` comes back and steps, for loops of your own. One more copy of the parameters is kept.

    References
    ----------
    P. Foret, A. Kleiner, H. Mobahi, B. Neyshabur, Sharpness-Aware Minimization for Efficiently Improving Generalization
    (2021).
    """

    optimizer: Optimizer | Averaged | Switch
    _numbers = ("rho",)
    _lists = ("before",)

    def __init__(self, optimizer: Optimizer | Averaged | Switch, rho: float = 0.05) -> None:
        self.optimizer = around(optimizer, Averaged, Switch)
        self.rho = number("rho", rho, "[0, inf)")
        self._params = innermost(optimizer)._stepper.params
        # The parameters are uphill while it counts a step. The core counts as it makes it: no interrupt comes between.
        self._uphill = SGD(self._params, lr=self.rho, maximize=True)
        # What the parameters were before they went uphill, while they are there.
        self._before = [np.empty_like(p) for p in self._params]

    def _arrays(self) -> dict[str, list[NDArray[Any]]]:
        return {"before": self._before if self._uphill.steps else []}

    def _take(
        self,
        optimizer: Any,
        numbers: Mapping[str, Any],
        arrays: Mapping[str, Sequence[NDArray[Any]]],
        *beside: Optimizer,
    ) -> None:
        check_alone(self, beside)
        SAM.__init__(self, optimizer, numbers["rho"])
        if arrays["before"]:
            fill("what its parameters were before", arrays["before"], self._before)
            self._uphill._stepper.steps = 1

    def step(self, closure: Callable[[], Any], **stages: Any) -> Any:
        """One step.

        Parameters
        ----------
        closure : callable
            Returns the gradients at the parameters as they are, or ``(loss, gradients)``. Called twice; the gradients
            of the first call have been used up when it is called again, so it may return the same arrays.
        **stages
            As for `Optimizer.step`, for the second gradient.

        Returns
        -------
        float or None
            The loss of the first call, if there is one.

        Notes
        -----
        Whatever is raised, by the closure too: the parameters are as before the step, or after it.
        """
        loss, grads = _both(closure())
        self._check_down()
        try:
            self.first_step(grads)
            _, grads = _both(closure())
            self.second_step(grads, **stages)
        except BaseException:
            if self._uphill._stepper.steps:
                self._uphill._stepper.begin_anew(self._before)
            raise
        return loss

    def first_step(self, grads: Grads) -> None:
        """Go uphill by rho along the gradients.

        Raises
        ------
        DivergenceError
            If a gradient is NaN or infinite. Nothing has changed.
        RuntimeError
            If the parameters are uphill already.
        """
        self._check_down()
        norm = self._uphill._stepper.norm(grads)
        if not np.isfinite(norm):
            raise DivergenceError("a gradient is NaN or infinite (or their norm is); nothing was changed")
        _core.copy_all(self._before, self._params)
        self._uphill.step(grads, lr=self.rho, grad_scale=1 / (norm + 1e-12))

    def second_step(self, grads: Grads, **stages: Any) -> None:
        """Come back and make the optimizer's step with the gradients found uphill.

        Raises
        ------
        RuntimeError
            If the parameters are not uphill.
        """
        if not self._uphill.steps:
            raise RuntimeError("second_step was called before first_step")
        self._uphill._stepper.begin_anew(self._before)
        self.optimizer.step(grads, **stages)

    def _check_down(self) -> None:
        if self._uphill.steps:
            raise RuntimeError("first_step was called twice: the parameters are uphill, expected second_step")

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's: SAM itself remembers nothing between steps."""
        return self.optimizer.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(state_dict)

    def __repr__(self) -> str:
        return f"SAM(rho={self.rho:g}) of {self.optimizer!r}"


def _both(result: Any) -> tuple[Any, Any]:
    """(loss, gradients) of what a closure returned."""
    if isinstance(result, tuple) and len(result) == 2 and np.ndim(result[0]) == 0 and not np.isscalar(result[1]):
        return result
    return None, result
