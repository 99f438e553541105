"""Quantities of sequences: one, several, or a forecast of several steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn import config_context
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import d2_pinball_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_array

from ...arrays import converted
from ...losses import Gaussian, Loss
from ...tables.heads import OF_NUMBERS, resolved
from ...targets import check_range
from .base import BaseSequence
from .quantities import Quantities

if TYPE_CHECKING:
    from numpy.typing import NDArray


class SequenceRegressor(RegressorMixin, BaseSequence):  # type: ignore[misc]
    """Quantities of sequences, by a recurrent or convolutional network: one, several, or a forecast of several steps.

    X is as for `SequenceClassifier`, y (rows,), (rows, outputs), or (rows, steps, series): what `predict` gives has the
    same shape.

    Parameters
    ----------
    layer, n_hidden, n_layers, bidirectional, dropout, recurrent_dropout, layer_options
        As of `SequenceClassifier`.
    optimizer, lr, optimizer_options, clip_norm, epochs, batch_size
        As of `SequenceClassifier`.
    loss : str or loss object, default='mse'
        'mse' (or 'squared_error'), 'mae' ('absolute_error'), 'huber', 'quantile', 'poisson', 'gamma', 'tweedie',
        'gaussian'; or an object such as ``schuss.Quantile([0.1, 0.5, 0.9])``: then `predict` has one more axis, a
        place for each quantile. Huber's delta is in standard deviations of y. 'gaussian': a scale is predicted too, and
        ``predict(X, return_std=True)`` gives it. What poisson, gamma and tweedie predict is above 0.
    standardize : bool, default=True
        Whether features are scaled to mean 0 and deviation 1, by the training rows' times that are there, and each
        output of y too while the network is trained.
    early_stopping, patience, validation_fraction, validation_rows, warm_start
        As of `SequenceClassifier`. Where rows are windows of one series, neighbours overlap: then only
        ``validation_rows="last"``, or rows of your own in `fit`, say how good a forecast is.
    dtype, random_state, n_jobs, verbose
        As of `SequenceClassifier`.

    Attributes
    ----------
    network_, standard_, history_, n_iter_, best_epoch_, n_features_in_
        As of `SequenceClassifier`; losses in `history_` are those of standardized outputs.

    Examples
    --------
    >>> import numpy as np
    >>> from schuss.sklearn import SequenceRegressor
    >>> series = np.sin(np.arange(400) / 5)
    >>> X = np.stack([series[k : k + 20] for k in range(370)])
    >>> y = np.stack([series[k + 20 : k + 25] for k in range(370)])
    >>> reg = SequenceRegressor("gru", n_hidden=16, epochs=20, lr=0.01, random_state=0).fit(X[:300], y[:300])
    >>> reg.predict(X[300:]).shape, reg.score(X[300:], y[300:]) > 0.95
    ((70, 5), True)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSequence._parameter_constraints,
        "loss": [StrOptions(set(OF_NUMBERS)), Loss],
    }

    def __init__(
        self,
        layer: str = "lstm",
        *,
        n_hidden: int = 64,
        n_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        layer_options: Any = None,
        optimizer: Any = "adam",
        lr: Any = None,
        optimizer_options: Any = None,
        clip_norm: float | None = 1.0,
        epochs: int = 50,
        batch_size: int = 32,
        loss: Any = "mse",
        standardize: bool = True,
        early_stopping: bool = False,
        patience: int = 10,
        validation_fraction: float = 0.1,
        validation_rows: str = "random",
        warm_start: bool = False,
        dtype: str = "float32",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: Any = False,
    ) -> None:
        self.layer = layer
        self.n_hidden = n_hidden
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.layer_options = layer_options
        self.optimizer = optimizer
        self.lr = lr
        self.optimizer_options = optimizer_options
        self.clip_norm = clip_norm
        self.epochs = epochs
        self.batch_size = batch_size
        self.loss = loss
        self.standardize = standardize
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.validation_rows = validation_rows
        self.warm_start = warm_start
        self.dtype = dtype
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    # -- targets -----------------------------------------------------------------------------------------------------

    def _targets(self, y: Any, first: bool) -> NDArray[Any]:
        found = self._numbers(y, "y")
        if first and len(found) < 2:
            raise ValueError(f"y must have at least 2 rows to learn from; got n_samples={len(found)}")
        if not first and found.shape[1:] != self._quantities.shape:
            raise ValueError(f"y must have shape (rows, *{self._quantities.shape}) as before; got {found.shape}")
        return found

    def _encoded(self, y: Any, name: str) -> NDArray[Any]:
        return self._numbers(y, name)

    def _numbers(self, y: Any, name: str) -> NDArray[np.float64]:
        """(rows, ...) float64, for which the loss has values."""
        with config_context(array_api_dispatch=False):
            numbers = check_array(y, dtype="numeric", ensure_2d=False, allow_nd=True, estimator=self, input_name=name)
        found = converted(numbers, np.dtype(np.float64))
        check_range(self._chosen, found, name)
        return found

    @property
    def _chosen(self) -> Loss:
        found = resolved(self.loss, False)
        assert found is not None
        return found

    def _begin(self, targets: NDArray[Any], weights: NDArray[Any] | None) -> int:
        self._quantities = Quantities.of(self._chosen, targets, weights, bool(self.standardize))
        return self._quantities.outputs

    def _loss(self) -> Loss:
        return self._quantities.network_loss

    def _network_targets(self, targets: NDArray[Any]) -> NDArray[Any]:
        return self._quantities.targets(targets)

    def _as_it_is(self) -> dict[str, Any]:
        return {**super()._as_it_is(), "_quantities": self._quantities}

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
    ) -> SequenceRegressor:
        """Fit to sequences.

        Parameters
        ----------
        X : array of shape (rows, times, features) or (rows, times), or list of arrays
        y : array of shape (rows,), (rows, outputs) or (rows, steps, series)
            Finite numbers; at least 0 for the losses poisson and tweedie, above 0 for gamma.
        sample_weight : array of shape (rows,), optional
            A row of weight 0 counts as if it were not there.
        X_val, y_val, sample_weight_val : optional
            As for `SequenceClassifier.fit`.

        Returns
        -------
        SequenceRegressor
            Itself.
        """
        self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, False)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> SequenceRegressor:
        """Go once over these rows. Features and outputs are scaled as the first call's rows say.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        SequenceRegressor
            Itself.
        """
        self._fit(X, y, sample_weight, None, None, None, True)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The quantities of each row.

        Parameters
        ----------
        X : array of shape (rows, times, features) or (rows, times), or list of arrays
            Rows may be longer than those of `fit`, but with layer='conv'.
        return_std : bool
            With loss 'gaussian': give the standard deviations too.

        Returns
        -------
        array of the shape of y
            With several quantiles one more axis of them at the end. Or two arrays, with return_std.
        """
        output = self._output(X)
        found = self._quantities.predicted(output)
        if not return_std:
            return found
        if not isinstance(self._quantities.loss, Gaussian):
            raise ValueError(f"return_std needs loss='gaussian'; got {self._quantities.loss!r}")
        return found, self._quantities.spread(output)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2, in the mean over all outputs; with several quantiles the mean of their D^2.

        Parameters
        ----------
        X : array of shape (rows, times, features) or (rows, times), or list of arrays
        y : array of shape (rows,), (rows, outputs) or (rows, steps, series)
        sample_weight : array of shape (rows,), optional

        Returns
        -------
        float
        """
        predicted = self.predict(X)
        truth = np.asarray(y).reshape(len(predicted), -1)
        quantiles = self._quantities.quantiles
        if not quantiles:
            from sklearn.metrics import r2_score

            return float(r2_score(truth, predicted.reshape(truth.shape), sample_weight=sample_weight))
        columns = predicted.reshape(*truth.shape, len(quantiles))
        scores = [
            d2_pinball_score(truth, columns[..., k], alpha=q, sample_weight=sample_weight)
            for k, q in enumerate(quantiles)
        ]
        return float(np.mean(scores))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
