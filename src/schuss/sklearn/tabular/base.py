"""What both estimators share: arguments, fitting, outputs, importance."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import check_scoring
from sklearn.utils import Bunch, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from ...arguments import integer
from ...metrics import KNOWN
from ...tables.cells import Table, table_of
from ...tables.fitting import Fitted, Rows, Settings
from ...tables.fitting import fit as fit_table
from ...tables.folds import held_out
from ...tables.heads import resolved
from ...tables.importance import permuted
from ...tables.recipes import BY_NAME, Recipe
from ...tables.target import Target
from ...threads import threads
from ..callbacks import CallbackSupportMixin, Tasks
from ..validation import validated, weights_of_rows
from .given import is_frame, of_lists, of_weight, own_validation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...tables.fitting import Read
    from ...tables.model import TableModel
    from ...training import EpochRecord

# An index beside these says where a fit holds rows out, and what importances are drawn by.
_LARGEST_SEED = np.iinfo(np.int32).max


class BaseTabular(CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]
    """What both estimators share."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "recipe": [StrOptions(set(BY_NAME)), Recipe],
        "metric": [StrOptions(set(KNOWN) | {"loss"}), None],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "n_ensemble": [Interval(Integral, 1, None, closed="left"), None],
        "refit": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "importance_repeats": [Interval(Integral, 0, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "verbose": ["verbose"],
    }

    loss: Any
    # What `metric` may be.
    _metrics: ClassVar[tuple[str, ...]]
    model_: TableModel
    permutation_importance_: Bunch
    # Whether a fit looks for the recipe's learning rate first.
    _finds_rate = False
    # Outputs that stand for those of the next rows, while importances are looked for.
    _given_outputs: list[NDArray[Any]] | None = None

    # -- what the estimators differ in -------------------------------------------------------------------------------

    def _learn_targets(self, y: Any) -> NDArray[Any]:
        """Training targets as `tables.fitting` takes them, (rows,); what is learned from all of them is set."""
        raise NotImplementedError

    def _encoded(self, y: Any, name: str) -> NDArray[Any]:
        """Targets of other rows, in that form."""
        raise NotImplementedError

    def _target(self, name: str) -> Target:
        """What is predicted."""
        raise NotImplementedError

    def _weights(self, y: NDArray[Any], sample_weight: NDArray[Any] | None) -> NDArray[Any] | None:
        """Weights of training rows, those of classes with them."""
        return sample_weight

    def _metric(self) -> str | None:
        """By which an epoch is the best."""
        if self.metric is not None and self.metric not in self._metrics:
            raise ValueError(f"metric must be one of {', '.join(self._metrics)} or None; got {self.metric!r}")
        return self.metric  # type: ignore[no-any-return]

    def _check_training(self, rows: Rows) -> None:
        """Whether rows that count are enough."""
        if len(rows.y) < 2:
            raise ValueError(
                f"X must have at least 2 rows of a weight above 0 to learn from; got n_samples={len(rows.y)}"
            )

    # -- fitting -----------------------------------------------------------------------------------------------------

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any, eval_set: Any
    ) -> None:
        """All of `fit`. Whatever ends it early leaves the estimator as it was."""
        before = dict(self.__dict__)
        try:
            self._fit_anew(X, y, sample_weight, *own_validation(X_val, y_val, sample_weight_val, eval_set))
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _fit_anew(self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any) -> None:
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None")
        table = self._table(X, reset=True)
        encoded = self._learn_targets(y)
        check_consistent_length(table, encoded)
        training = of_weight(Rows(table, encoded, self._weights(encoded, weights_of_rows(sample_weight, len(table)))))
        self._check_training(training)
        validation = None
        if X_val is not None:
            of_validation = self._table(X_val, reset=False)
            held = self._encoded(y_val, "y_val")
            check_consistent_length(of_validation, held)
            validation = of_weight(Rows(of_validation, held, weights_of_rows(sample_weight_val, len(of_validation))))
        recipe = BY_NAME[self.recipe]() if isinstance(self.recipe, str) else self.recipe
        networks = self.n_ensemble or recipe.networks(len(training.y))
        if self.importance_repeats and validation is None:
            self._check_importance(len(training.y))
        seed = int(check_random_state(self.random_state).randint(_LARGEST_SEED))
        epochs = (recipe.epochs if self.epochs is None else self.epochs) * networks * (1 + bool(self.refit))
        tasks = Tasks(self, X, lambda: y, sample_weight, int(epochs))
        settings = Settings(
            recipe,
            resolved(self.loss, isinstance(self, ClassifierMixin)),
            self._metric(),
            epochs=None if self.epochs is None else int(self.epochs),
            time_limit=None if self.time_limit is None else float(self.time_limit),
            members=int(networks),
            refit=bool(self.refit),
            calibrate=bool(getattr(self, "calibrate", False)),
            fraction=float(self.validation_fraction),
            seed=seed,
            on_epoch=self._epoch_of(tasks) if tasks.wanted else None,
            finds_rate=self._finds_rate,
            verbose=min(int(self.verbose), 2),
        )
        target = self._target(str(getattr(y, "name", None) or "y"))
        with self._threads():
            fitted = fit_table(training, validation, target, settings)
            self._keep(fitted, seed)
        tasks.finish()
        if self.verbose:
            for note in self.notes_:
                print(f"schuss: {note}", file=sys.stderr)

    def _recipe_rate(self, X: Any, y: Any, sample_weight: Any) -> Any:
        """What `schuss.find_lr` finds for the rate of the recipe, by a clone with one network."""
        est: Any = clone(self).set_params(n_ensemble=1, epochs=1, refit=False, importance_repeats=0, verbose=0)
        est._finds_rate = True
        est.fit(X, y, sample_weight=sample_weight)
        return est._rate_found

    def _check_importance(self, rows: int) -> None:
        """Whether a fit will hold rows out."""
        if held_out(rows, self.validation_fraction) == 0:
            raise ValueError(
                f"importance_repeats must be 0 where no rows are held out; got {self.importance_repeats} with "
                f"validation_fraction={self.validation_fraction} of {rows} rows: use permutation_importance, or give "
                "X_val and y_val"
            )

    def _keep(self, fitted: Fitted, seed: int) -> None:
        """The fitted attributes."""
        self.model_ = fitted.model
        if self._finds_rate:
            self._rate_found = fitted.rate
        self.schema_ = fitted.model.schema
        self.temperature_ = fitted.model.temperature
        self.notes_ = list(fitted.notes)
        self.histories_ = list(fitted.histories)
        self.history_ = fitted.histories[0]
        self.n_iter_ = max(len(history) for history in fitted.histories)
        self.best_epoch_ = round(sum(fitted.best_epochs) / len(fitted.best_epochs))
        if "permutation_importance_" in self.__dict__:
            del self.permutation_importance_
        if self.importance_repeats and fitted.held:
            self.permutation_importance_ = self._importance(fitted.held, self.importance_repeats, "loss", seed)

    def _epoch_of(self, tasks: Tasks) -> Callable[[EpochRecord, Callable[[], TableModel]], bool]:
        """What is done after an epoch for scikit-learn's callbacks."""

        def after(record: EpochRecord, model: Callable[[], TableModel]) -> bool:
            self._model_now = model
            try:
                tasks.begin()
                return tasks.end()
            finally:
                del self._model_now

        return after

    def _as_it_is(self) -> dict[str, Any]:
        model = self._model_now() if "_model_now" in self.__dict__ else self.model_
        return {"model_": model, "schema_": model.schema}

    def _threads(self) -> AbstractContextManager[Any]:
        return threads(self.n_jobs) if self.n_jobs is not None and self.n_jobs > 0 else nullcontext()

    def _table(self, X: Any, reset: bool) -> Table:
        """X as a table, with scikit-learn's checks of names and sizes."""
        if is_frame(X):
            validate_data(self, X, skip_check_array=True, reset=reset)
            if not len(X):
                raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
            table = table_of(X)
        else:
            if isinstance(X, (list, tuple)):
                X = of_lists(X)
            table = table_of(validated(self, X, dtype=None, ensure_all_finite="allow-nan", reset=reset))
        if reset:
            self._names = table.names
        elif not set(self._names) <= set(table.names):
            # A DataFrame came in place of an array, or the other way round: columns are known by their places.
            table = table.renamed(self._names)
        return table

    # -- prediction --------------------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> list[NDArray[Any]]:
        """What the networks give."""
        if self._given_outputs is not None:
            return self._given_outputs
        check_is_fitted(self)
        table = self._table(X, reset=False)
        with self._threads():
            return self.model_.outputs(self.schema_.read(table))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file, which `schuss.load_table` reads: without scikit-learn, and without pickle.

        Parameters
        ----------
        path : str or path
            Ending in .npz, or in .safetensors where the safetensors package is installed.

        Raises
        ------
        ValueError, OSError
            If the ending is another, or the file cannot be written.
        """
        check_is_fitted(self)
        self.model_.save(path)

    # -- importance --------------------------------------------------------------------------------------------------

    def permutation_importance(
        self,
        X: Any,
        y: Any,
        n_repeats: int = 5,
        scoring: Any = None,
        sample_weight: Any = None,
        random_state: Any = None,
    ) -> Bunch:
        """How much worse predictions get when the values of a column are dealt to the rows anew.

        As `sklearn.inspection.permutation_importance`, with all predictions for a column in one compiled call that
        copies no table. What was made of a column, such as the parts of a date, moves together.

        Parameters
        ----------
        X : DataFrame or array of shape (rows, features)
            Rows that were not learned from, with two rows at least.
        y : array of shape (rows,)
        n_repeats : int
            How often each column is dealt.
        scoring : str, callable or None
            A scorer or its name, 'loss' (log loss, or the squared error, or the pinball loss of several quantiles), or
            None: `score`.
        sample_weight : array of shape (rows,), optional
        random_state : int, RandomState or None

        Returns
        -------
        Bunch
            ``importances`` (features, repeats), ``importances_mean``, ``importances_std``: the score that is lost, in
            the order of X's columns; 0 for a column that the model does not use. ``feature_names``.
        """
        check_is_fitted(self)
        n_repeats = integer("n_repeats", n_repeats, 1)
        table = self._table(X, reset=False)
        encoded = self._encoded(y, "y")
        check_consistent_length(table, encoded)
        weights = weights_of_rows(sample_weight, len(table))
        seed = int(check_random_state(random_state).randint(_LARGEST_SEED))
        with self._threads():
            columns = self.schema_.read(table)
            return self._importance([(self.model_, (columns, encoded, weights))], n_repeats, scoring, seed)

    def _importance(self, held: Sequence[tuple[TableModel, Read]], repeats: int, scoring: Any, seed: int) -> Bunch:
        """Of models, each on its rows: the mean by what their rows weigh."""
        names = [column.name for column in held[0][0].schema.columns]
        weighs = np.array([len(y) if weights is None else weights.sum() for _, (_, y, weights) in held], np.float64)
        importances = np.zeros((len(names), repeats))
        for (model, (columns, y, weights)), share in zip(held, weighs / weighs.sum(), strict=True):
            score = self._scorer(model, scoring, y, weights)
            before = score(model.outputs(columns))
            for name, outputs in permuted(model, columns, repeats, seed):
                importances[names.index(name)] += [share * (before - score(of_repeat)) for of_repeat in outputs]
        return Bunch(
            importances=importances,
            importances_mean=importances.mean(axis=1),
            importances_std=importances.std(axis=1),
            feature_names=np.array(names, object),
        )

    def _scorer(
        self, model: TableModel, scoring: Any, y: NDArray[Any], weights: Any
    ) -> Callable[[list[NDArray[Any]]], float]:
        """From the networks' outputs to a score of which more is better."""
        if isinstance(scoring, str) and scoring == "loss":
            return lambda outputs: -self._loss_of(model, outputs, y, weights)
        # Scorers ask an estimator: a copy, whose outputs are there already.
        asked = copy.copy(self)
        scorer = check_scoring(asked, scoring)
        truth = self._decoded(y)
        more = {} if weights is None else {"sample_weight": weights}

        def score(outputs: list[NDArray[Any]]) -> float:
            asked._given_outputs = outputs
            return float(scorer(asked, np.empty((len(truth), self.n_features_in_)), truth, **more))

        return score

    def _decoded(self, y: NDArray[Any]) -> NDArray[Any]:
        raise NotImplementedError

    def _loss_of(self, model: TableModel, outputs: list[NDArray[Any]], y: NDArray[Any], weights: Any) -> float:
        raise NotImplementedError

    def __sklearn_is_fitted__(self) -> bool:
        return "model_" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.non_deterministic = False
        return tags
