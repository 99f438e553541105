"""The optimizers as methods of `scipy.optimize.minimize`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arguments import shown
from .minimization.options import method_of
from .minimization.result import warn
from .minimization.run import run
from .optim import LBFGS, Optimizer

__all__ = ["Method", "method"]


class Method:
    """What `method` returns; called by SciPy.

    Attributes
    ----------
    name : str, class or callable
        The optimizer.
    options : dict
        Options of `schuss.minimize`. Those of the call go before them.
    """

    def __init__(self, name: str | type[Optimizer] | type[LBFGS] | Callable[[Any], Any], options: dict[str, Any]):
        method_of(name).check(options)
        self.name, self.options = name, options

    def __call__(
        self,
        fun: Callable[..., Any],
        x0: Any,
        args: Any = (),
        jac: Any = None,
        hess: Any = None,
        hessp: Any = None,
        bounds: Any = None,
        constraints: Any = (),
        callback: Callable[..., Any] | None = None,
        tol: float | None = None,
        **options: Any,
    ) -> Any:
        """Minimize; see `schuss.minimize`."""
        chosen = method_of(self.name)
        if constraints is not None and np.size(constraints):
            raise ValueError(f"constraints must be empty: {chosen.title} takes bounds only; got {shown(constraints)}")
        for name, value, what in (("hess", hess, "Hessian"), ("hessp", hessp, "Hessian-vector product")):
            if value is not None:
                warn(f"Method {chosen.title} does not use {what} information ({name}).")
        return run(chosen, fun, x0, args, jac, bounds, tol, callback, {**self.options, **options})

    def __repr__(self) -> str:
        name = self.name.__name__ if isinstance(self.name, type) else repr(self.name)
        return f"method({', '.join([name, *(f'{key}={value!r}' for key, value in self.options.items())])})"


def method(name: str | type[Optimizer] | type[LBFGS] | Callable[[Any], Any] = "adam", **options: Any) -> Method:
    """An optimizer for ``scipy.optimize.minimize(..., method=...)``.

    Parameters
    ----------
    name : str, class or callable
        As `schuss.minimize`'s method.
    **options
        As `schuss.minimize`'s options: the optimizer's own arguments, maxiter, batches and so on. Those given to
        `scipy.optimize.minimize` itself go before them.

    Returns
    -------
    callable
        Which gives the numbers that `schuss.minimize` does for the same arguments.

    Raises
    ------
    ValueError, TypeError
        If the optimizer or an option is not known.

    Notes
    -----
    SciPy hands ``jac="2-point"`` and ``"3-point"`` to its own methods only; to others it gives None. Constraints are
    refused, and a Hessian is ignored with a warning.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.optimize import minimize, rosen, rosen_der
    >>> import schuss
    >>> result = minimize(rosen, [-1.2, 1.0], jac=rosen_der, method=schuss.scipy.method("lbfgs"))
    >>> result.x.round(5).tolist()
    [1.0, 1.0]
    """
    return Method(name, options)
