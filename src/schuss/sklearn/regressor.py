"""The regressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import d2_pinball_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from ..losses import Gaussian, Loss, Quantile
from . import fitting, objective
from .base import BaseMLP
from .validation import validated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .held import Held


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """scikit-learn's MLPRegressor, compiled.

    With the arguments that scikit-learn has, results are scikit-learn's but for rounding; its documentation says what
    these arguments and the fitted attributes are. Those below are additions, whose defaults change nothing.

    Parameters
    ----------
    loss : str, loss object or callable, default='squared_error'
        scikit-learn's squared_error and poisson, or absolute_error, huber, quantile, gamma, tweedie, gaussian; an
        object such as ``schuss.Huber(2.0)``, ``schuss.Quantile([0.1, 0.5, 0.9])`` or ``schuss.Tweedie(1.7)``; or a
        function ``(output, target) -> (mean value, gradient by the output)``, which gets sample weights as a third
        one if there are any. Several quantiles: `predict` gives a column each. gaussian: a scale is predicted too, and
        ``predict(X, return_std=True)`` gives it.
    hidden_layer_sizes : array-like of int, default=(100,)
        As in scikit-learn, as are all arguments that are not described here.
    activation, solver, learning_rate, verbose, dropout, l1, solver_options, clip_norm, clip_value, n_jobs, random_order
        As in `MLPClassifier`.
    scoring : str, callable or None, default=None
        What early stopping looks at: a scorer or its name, 'loss', or None: R^2 (of several quantiles, the loss).

    Attributes
    ----------
    validation_loss_curve_ : list of float or None
        The loss of the validation data after each epoch, where there is such data.

    Examples
    --------
    >>> from schuss.sklearn import MLPRegressor
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_samples=200, n_features=10, random_state=0)
    >>> reg = MLPRegressor("huber", solver="lbfgs", random_state=0, max_iter=2000).fit(X[:150], y[:150])
    >>> reg.predict(X[150:]).shape
    (50,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(objective.OF_NUMBERS)), Loss, callable],
    }

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        l1: float = 0.0,
        solver_options: Any = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        random_order: str = "sklearn",
    ) -> None:
        self._take(locals())

    # -- targets -----------------------------------------------------------------------------------------------------

    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, NDArray[Any]]:
        if reset or not self._is_plain(X, y):
            X, y = validated(
                self,
                X,
                y,
                accept_sparse=["csr", "csc"],
                multi_output=True,
                y_numeric=True,
                dtype=(np.float64, np.float32),
                reset=reset,
            )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        objective.check_numbers(self.loss, y, "y")
        return X, y

    def _encoded(self, y: Any) -> NDArray[Any]:
        encoded = np.asarray(y, dtype=np.float64)
        objective.check_numbers(self.loss, encoded, "y_val")
        return encoded

    def _decoded(self, y: NDArray[Any]) -> NDArray[Any]:
        return y

    def _rate_runs(self, X: Any, y: Any, sample_weight: Any, seed: int | None) -> Any:
        """What `schuss.find_lr` makes its trainings with."""
        from .finding import runs_of

        return runs_of(self, X, y, sample_weight, seed)

    def _objective(self, y: NDArray[Any]) -> objective.Objective:
        return objective.of_numbers(self.loss, y.shape[1])

    def _validation_score(self, held: Held) -> float:
        if self._quantiles():
            return self.score(held.X, held.y, held.weights)
        found = self._predicted(self._output(held.X, check_input=False))
        if not np.isfinite(found).all():
            return np.nan
        return _r2(held.y.reshape(len(found), -1), found.reshape(len(found), -1), held.weights)

    # -- the public methods ------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> MLPRegressor:
        """Fit the network to data.

        Parameters
        ----------
        X : array or sparse matrix of shape (rows, features)
            Its dtype, float32 or float64, is that of the computation.
        y : array of shape (rows,) or (rows, targets)
            Numbers.
        sample_weight : array of shape (rows,), optional
            Each batch's loss is the weighted mean over its rows.
        X_val, y_val, sample_weight_val : arrays, optional
            Validation data of one's own: for `validation_loss_curve_`, and for early stopping, which then holds nothing
            out.

        Returns
        -------
        MLPRegressor
            Itself.
        """
        return fitting.fit(self, X, y, sample_weight, False, X_val, y_val, sample_weight_val)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> MLPRegressor:
        """Go once over these rows; with solver lbfgs, as in scikit-learn, minimise over them from the present weights.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val, sample_weight_val
            As for `fit`.

        Returns
        -------
        MLPRegressor
            Itself.
        """
        return fitting.fit(self, X, y, sample_weight, True, X_val, y_val, sample_weight_val)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The prediction for each row.

        Parameters
        ----------
        X : array or sparse matrix of shape (rows, features)
        return_std : bool
            With loss 'gaussian': give the standard deviations too.

        Returns
        -------
        array of shape (rows,) or (rows, targets), or with several quantiles (rows, quantiles)
            Or two of them, with return_std.
        """
        if "coefs_" not in self.__dict__:
            check_is_fitted(self)
        output = self._output(X)
        mean = self._predicted(output)
        if not return_std:
            return mean
        if not self._is_gaussian():
            raise ValueError(f"return_std needs loss='gaussian'; got {self.loss!r}")
        with np.errstate(over="ignore"):
            scale = np.exp(output[:, output.shape[1] // 2 :])
        return mean, scale.ravel() if scale.shape[1] == 1 else scale

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2; with several quantiles the mean of their D^2, the share of the pinball loss that is explained.

        Parameters
        ----------
        X : array or sparse matrix of shape (rows, features)
        y : array of shape (rows,) or (rows, targets)
        sample_weight : array of shape (rows,), optional

        Returns
        -------
        float
        """
        quantiles = self._quantiles()
        if not quantiles:
            with np.errstate(over="ignore", invalid="ignore"):  # squares of what is very large
                return float(super().score(X, y, sample_weight=sample_weight))
        found = self._predicted(self._output(X))
        if not np.isfinite(found).all():
            return np.nan
        target = np.asarray(y).reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):
            scores = [
                d2_pinball_score(target, column, alpha=q, sample_weight=sample_weight)
                for q, column in zip(quantiles, found.T, strict=True)
            ]
            return float(np.mean(scores))

    def _predicted(self, output: NDArray[Any]) -> NDArray[Any]:
        if self._is_gaussian():
            output = output[:, : output.shape[1] // 2]
        return output.ravel() if output.shape[1] == 1 else output

    def _is_gaussian(self) -> bool:
        loss = self.loss
        return isinstance(loss, Gaussian) or (isinstance(loss, str) and loss == "gaussian")

    def _quantiles(self) -> tuple[float, ...]:
        """The quantiles that have an output each; none, unless there are several."""
        loss = self.loss
        several = isinstance(loss, Quantile) and isinstance(loss.quantile, tuple)
        return loss.quantile if several else ()


def _r2(target: NDArray[Any], found: NDArray[Any], weights: NDArray[Any] | None) -> float:
    """As r2_score has it, the mean over columns, without its checks: they take longer than a small network's epoch."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        rest = np.average(np.square(target - found), axis=0, weights=weights)
        spread = np.average(np.square(target - np.average(target, axis=0, weights=weights)), axis=0, weights=weights)
        scores = np.where(spread != 0, 1 - rest / spread, np.where(rest == 0, 1.0, 0.0))
        return float(scores.mean())
