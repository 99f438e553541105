"""Estimators that take tables as they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context
from sklearn.metrics import check_scoring, d2_pinball_score
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _check_y, check_is_fitted, column_or_1d

from ..losses import Loss
from ..tables.cells import Table, table_of
from ..tables.fitting import Fitted, Rows, Settings
from ..tables.fitting import fit as fit_table
from ..tables.heads import OF_CLASSES, OF_NUMBERS, resolved
from ..tables.importance import Importance, permuted
from ..tables.recipes import BY_NAME, Recipe, recipe_of
from ..tables.target import Target
from ..threads import threads
from .callbacks import CallbackSupportMixin, Tasks
from .validation import validated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..history import History
    from ..tables import TableModel
    from ..training import EpochRecord


class BaseTabular(CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]
    """What both estimators share."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "recipe": [StrOptions(set(BY_NAME)), Recipe],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "n_ensemble": [Interval(Integral, 1, None, closed="left")],
        "refit": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "importance_repeats": [Interval(Integral, 0, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "verbose": ["verbose"],
    }

    loss: Any
    model_: TableModel

    # -- what the estimators differ in -------------------------------------------------------------------------------

    def _targets(self, y: Any) -> NDArray[Any]:
        """Training targets as `tables.fitting` takes them; sets what depends on them."""
        raise NotImplementedError

    def _encoded(self, y: Any, name: str) -> NDArray[Any]:
        """Other targets, of rows that validate or are scored."""
        raise NotImplementedError

    def _target(self) -> Target:
        raise NotImplementedError

    def _weights(self, y: NDArray[Any], sample_weight: Any) -> Any:
        return sample_weight

    def _calibrates(self) -> bool:
        return False

    # -- fitting -----------------------------------------------------------------------------------------------------

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any, eval_set: Any
    ) -> None:
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y is None."
            )
        X_val, y_val, sample_weight_val = _own_validation(X_val, y_val, sample_weight_val, eval_set)
        table = self._table(X, reset=True)
        encoded = self._targets(y)
        _check_lengths("y", encoded, table)
        weights = self._weights(encoded, _weights_of("sample_weight", sample_weight, len(encoded)))
        training = _of_weight(Rows(table, encoded, weights))
        validation = None
        if X_val is not None:
            of_validation = self._table(X_val, reset=False)
            y_encoded = self._encoded(y_val, "y_val")
            _check_lengths("y_val", y_encoded, of_validation, "X_val")
            given = _weights_of("sample_weight_val", sample_weight_val, len(y_encoded))
            validation = _of_weight(Rows(of_validation, y_encoded, given))
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        settings = Settings(
            recipe_of(self.recipe),
            resolved(self.loss, isinstance(self, ClassifierMixin)),
            epochs=None if self.epochs is None else int(self.epochs),
            time_limit=self.time_limit,
            members=int(self.n_ensemble),
            refit=bool(self.refit),
            calibrate=self._calibrates(),
            fraction=float(self.validation_fraction),
            seed=seed,
            verbose=int(self.verbose),
        )
        with self._threads():
            fitted = self._fitted(training, validation, settings, X, y, sample_weight)
            self._keep(fitted, seed)
        if self.verbose:
            from ..terminal_free import tell

            tell(fitted.notes)
