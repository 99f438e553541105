"""Quantities from a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import d2_pinball_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _check_y, check_is_fitted, column_or_1d

from ...losses import Gaussian, Loss, Quantile
from ...tables.heads import LOG_LINK, OF_NUMBERS, resolved
from ...tables.target import Target
from ...targets import check_range
from .base import BaseTabular

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...tables.model import TableModel


class TabularRegressor(RegressorMixin, BaseTabular):  # type: ignore[misc]
    """A quantity from a table as it is.

    Parameters
    ----------
    recipe : str or Recipe, default='realmlp'
        As in `TabularClassifier`, as are all arguments that are not described here.
    loss : str, loss object or None, default=None
        'mse' (or 'squared_error'), 'mae' ('absolute_error'), 'huber', 'quantile', 'poisson', 'gamma', 'tweedie',
        'gaussian'; or an object such as ``schuss.Tweedie(1.7)`` or ``schuss.Quantile([0.1, 0.5, 0.9])``: then `predict`
        gives a column each. None: the recipe's own, the squared error. Huber's delta is in standard deviations of y.
        'gaussian': a scale is predicted too, and ``predict(X, return_std=True)`` gives it. What poisson, gamma and
        tweedie predict is above 0.
    metric : {'loss', 'mse', 'rmse', 'mae', 'r2'} or None, default=None
        By which of the rows held out an epoch is the best. None: the recipe's, or the loss where that is another than
        the squared error; of several quantiles, gaussian, poisson, gamma and tweedie always the loss.
    epochs, time_limit, n_ensemble, refit, validation_fraction, random_state, n_jobs, verbose
        As in `TabularClassifier`. Predictions of several networks are averaged.
    importance_repeats : int, default=0
        More than 0: `permutation_importance_` of the rows held out, by their squared error; of several quantiles by
        their pinball loss.

    Attributes
    ----------
    model_, schema_, history_, histories_, best_epoch_, n_iter_, notes_, permutation_importance_
        As of `TabularClassifier`.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from schuss.sklearn import TabularRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 3))
    >>> X[rng.random(X.shape) < 0.05] = np.nan
    >>> y = 100 + 10 * np.nan_to_num(X[:, 0]) ** 2
    >>> reg = TabularRegressor("mlp", random_state=0).fit(X[:300], y[:300])
    >>> reg.score(X[300:], y[300:]) > 0.8
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseTabular._parameter_constraints,
        "loss": [StrOptions(set(OF_NUMBERS)), Loss, None],
    }

    def __init__(
        self,
        recipe: Any = "realmlp",
        *,
        loss: Any = None,
        metric: str | None = None,
        epochs: int | None = None,
        time_limit: float | None = None,
        n_ensemble: int | None = None,
        refit: bool = False,
        validation_fraction: float = 0.2,
        importance_repeats: int = 0,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: Any = False,
    ) -> None:
        self.recipe = recipe
        self.loss = loss
        self.metric = metric
        self.epochs = epochs
        self.time_limit = time_limit
        self.n_ensemble = n_ensemble
        self.refit = refit
        self.validation_fraction = validation_fraction
        self.importance_repeats = importance_repeats
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    _metrics = ("loss", "mse", "rmse", "mae", "r2")

    def _metric(self) -> str | None:
        found = super()._metric()
        loss = resolved(self.loss, False)
        only_loss = loss is not None and (isinstance(loss, (*LOG_LINK, Gaussian, Quantile)))
        if found not in (None, "loss") and only_loss:
            raise ValueError(f"metric must be 'loss' or None with the loss {self.loss!r}; got {found!r}")
        return found

    def _learn_targets(self, y: Any) -> NDArray[Any]:
        return self._encoded(y, "y")

    def _encoded(self, y: Any, name: str) -> NDArray[Any]:
        found = column_or_1d(_check_y(y, multi_output=True, y_numeric=True, estimator=self), warn=True)
        encoded: NDArray[Any] = found.astype(np.float64)
        loss = resolved(self.loss, False)
        if loss is not None:
            check_range(loss, encoded, name)
        return encoded

    def _decoded(self, y: NDArray[Any]) -> NDArray[Any]:
        return y

    def _target(self, name: str) -> Target:
        return Target(name, "regression")

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
        eval_set: Any = None,
    ) -> TabularRegressor:
        """Fit to a table.

        Parameters
        ----------
        X : DataFrame or array of shape (rows, features)
        y : array of shape (rows,)
            Finite numbers; at least 0 for the losses poisson and tweedie, above 0 for gamma.
        sample_weight : array of shape (rows,), optional
            A row of weight 0 counts as if it were not there.
        X_val, y_val, sample_weight_val, eval_set : optional
            As for `TabularClassifier.fit`.

        Returns
        -------
        TabularRegressor
            Itself.
        """
        self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, eval_set)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The quantity for each row.

        Parameters
        ----------
        X : DataFrame or array of shape (rows, features)
        return_std : bool
            With loss 'gaussian': give the standard deviations too.

        Returns
        -------
        array of shape (rows,), or with several quantiles (rows, quantiles)
            Or two of them, with return_std.
        """
        outputs = self._outputs(X)
        head = self.model_.head
        if not return_std:
            return head.quantities(outputs)
        if head.loss.name != "gaussian":
            raise ValueError(f"return_std needs loss='gaussian'; got {self.loss!r}")
        return head.quantities(outputs), head.deviations(outputs)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2; with several quantiles the mean of their D^2, the share of the pinball loss that is explained.

        Parameters
        ----------
        X : DataFrame or array of shape (rows, features)
        y : array of shape (rows,)
        sample_weight : array of shape (rows,), optional

        Returns
        -------
        float
        """
        check_is_fitted(self)
        quantiles = self.model_.head.quantiles
        if not quantiles:
            return float(super().score(X, y, sample_weight=sample_weight))
        truth = np.asarray(y).reshape(-1)
        scores = [
            d2_pinball_score(truth, column, alpha=q, sample_weight=sample_weight)
            for q, column in zip(quantiles, self.predict(X).T, strict=True)
        ]
        return float(np.mean(scores))

    def _loss_of(self, model: TableModel, outputs: list[NDArray[Any]], y: NDArray[Any], weights: Any) -> float:
        found, quantiles = model.head.quantities(outputs), model.head.quantiles
        if quantiles:
            distance = y[:, None] - found
            losses = np.maximum(np.array(quantiles) * distance, (np.array(quantiles) - 1) * distance).mean(axis=1)
        else:
            losses = np.square(y - found)
        return float(np.average(losses, weights=weights))
