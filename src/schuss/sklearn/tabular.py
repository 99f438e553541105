"""Estimators that take tables as they are: numbers, text, categories, truth values, dates, and gaps in all of them."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context
from sklearn.metrics import check_scoring, d2_pinball_score
from sklearn.utils import Bunch, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _check_y, check_is_fitted, column_or_1d, validate_data

from ..arguments import integer
from ..losses import Gaussian, Loss, Quantile
from ..metrics import KNOWN
from ..tables.cells import Table, table_of
from ..tables.fitting import Fitted, Rows, Settings
from ..tables.fitting import fit as fit_table
from ..tables.heads import LOG_LINK, OF_CLASSES, OF_NUMBERS, resolved
from ..tables.importance import permuted
from ..tables.recipes import BY_NAME, Recipe
from ..tables.target import Target
from ..targets import check_range
from ..threads import threads
from .callbacks import CallbackSupportMixin, Tasks
from .validation import validated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..tables import Columns
    from ..tables.model import TableModel
    from ..training import EpochRecord

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
            self._fit_anew(X, y, sample_weight, *_own_validation(X_val, y_val, sample_weight_val, eval_set))
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
        training = _of_weight(Rows(table, encoded, self._weights(encoded, _weights_of(sample_weight, table))))
        self._check_training(training)
        validation = None
        if X_val is not None:
            of_validation = self._table(X_val, reset=False)
            held = self._encoded(y_val, "y_val")
            check_consistent_length(of_validation, held)
            validation = _of_weight(Rows(of_validation, held, _weights_of(sample_weight_val, of_validation)))
        recipe = BY_NAME[self.recipe]() if isinstance(self.recipe, str) else self.recipe
        alone = self.importance_repeats and validation is None
        networks = self.n_ensemble or (1 if alone else recipe.networks(len(training.y)))
        if alone:
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

    def _check_importance(self, rows: int) -> None:
        """Whether a fit will hold rows out for the whole model."""
        if (self.n_ensemble or 1) > 1 or int(rows * self.validation_fraction) == 0:
            raise ValueError(
                "importance_repeats must be 0 where no rows are held out for the whole model, as with n_ensemble above "
                "1 or validation_fraction=0; use permutation_importance, or give X_val and y_val"
            )

    def _keep(self, fitted: Fitted, seed: int) -> None:
        """The fitted attributes."""
        self.model_ = fitted.model
        self.schema_ = fitted.model.schema
        self.temperature_ = fitted.model.temperature
        self.notes_ = list(fitted.notes)
        self.histories_ = list(fitted.histories)
        self.history_ = fitted.histories[0]
        self.n_iter_ = max(len(history) for history in fitted.histories)
        self.best_epoch_ = round(sum(fitted.best_epochs) / len(fitted.best_epochs))
        if "permutation_importance_" in self.__dict__:
            del self.permutation_importance_
        if self.importance_repeats and fitted.held is not None:
            # Of the model that has not learned from these rows, where there was a refit.
            found = self._importance(fitted.before, *fitted.held, self.importance_repeats, "loss", seed)
            self.permutation_importance_ = found

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
        if _is_frame(X):
            validate_data(self, X, skip_check_array=True, reset=reset)
            if not len(X):
                raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
            table = table_of(X)
        else:
            if isinstance(X, (list, tuple)):
                X = _of_lists(X)
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
        weights = _weights_of(sample_weight, table)
        seed = int(check_random_state(random_state).randint(_LARGEST_SEED))
        with self._threads():
            columns = self.schema_.read(table)
            return self._importance(self.model_, columns, encoded, weights, n_repeats, scoring, seed)

    def _importance(
        self,
        model: TableModel,
        columns: Columns,
        y: NDArray[Any],
        weights: NDArray[Any] | None,
        repeats: int,
        scoring: Any,
        seed: int,
    ) -> Bunch:
        names = [column.name for column in model.schema.columns]
        score = self._scorer(model, scoring, y, weights)
        before = score(model.outputs(columns))
        importances = np.zeros((len(names), repeats))
        for name, outputs in permuted(model, columns, repeats, seed):
            importances[names.index(name)] = [before - score(of_repeat) for of_repeat in outputs]
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


class TabularClassifier(ClassifierMixin, BaseTabular):  # type: ignore[misc]
    """Classes from a table as it is.

    X may be a DataFrame of pandas or polars, or an array: numbers, text, categories, truth values, dates, with gaps
    anywhere. What each column is, is decided in `fit` and kept in `schema_`; `docs/tables.md` says how.

    Parameters
    ----------
    recipe : str or Recipe, default='realmlp'
        The network and its training: 'realmlp', 'realmlp-s', 'tabm' or 'mlp', or an object of `schuss.tables.recipes`,
        whose numbers may be others.
    loss : {'cross_entropy', 'log_loss', 'focal'}, loss object or None, default=None
        Such as ``schuss.CrossEntropy(0.05)``. None: the recipe's own.
    metric : {'loss', 'error', 'accuracy', 'balanced_accuracy', 'log_loss', 'auc'} or None, default=None
        By which of the rows held out an epoch is the best. None: the recipe's, the share of wrong classes.
    epochs : int or None, default=None
        That rates and other schedules are made for. None: as many as the recipe says.
    time_limit : float or None, default=None
        Seconds for the fit. Schedules are made for as many epochs as fit in; the best epoch so far is kept.
    n_ensemble : int or None, default=None
        So many networks, whose probabilities are averaged. Each starts from a seed of its own and holds other rows out,
        as in cross-validation, so that with several of them every row trains. None: five for up to 8000 rows, fewer for
        more, one from 20 001 rows on, with the recipe 'tabm', which is an ensemble itself, and with importance_repeats.
    refit : bool, default=False
        Train again on all rows, for the number of epochs that was best (in the mean, of several networks).
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, by label: they multiply the sample weights.
    validation_fraction : float, default=0.2
        Of the rows that are held out, in the classes' proportions: they tell which epoch is the best, and the
        temperature. 0: none; then the last epoch is kept.
    calibrate : bool, default=True
        Divide all logits by a number, `temperature_`, with which the log loss of the rows held out is least.
    importance_repeats : int, default=0
        More than 0: `permutation_importance_` of the rows held out, by their log loss, with so many repeats.
    random_state : int, RandomState instance or None, default=None
        What the split, initial parameters and orders of rows follow from.
    n_jobs : int or None, default=None
        Threads; None or -1: as `schuss.set_num_threads` says. Results do not depend on it.
    verbose : bool or int, default=False
        1: a progress bar, and what the table's columns became, on stderr; 2: a line an epoch.

    Attributes
    ----------
    classes_ : array of shape (classes,)
        The labels as they are in y.
    model_ : TableModel
        All that prediction needs.
    schema_ : Schema
        What each column is.
    temperature_ : float
    history_ : History
        Of the training; of the first network, if there are several. `histories_` has all.
    best_epoch_ : int
        Whose parameters were kept; the mean, of several networks.
    n_iter_ : int
        Epochs trained.
    notes_ : list of str
        What was left out or had to be decided about the table.
    permutation_importance_ : Bunch
        With `importance_repeats`.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from schuss.sklearn import TabularClassifier
    >>> rng = np.random.default_rng(0)
    >>> size, kind = rng.normal(size=400), rng.choice(["oak", "elm", None], 400)
    >>> X = np.array([size, kind], dtype=object).T
    >>> y = np.where((size > 0) == (kind == "oak"), "sell", "keep")
    >>> clf = TabularClassifier("mlp", random_state=0).fit(X[:300], y[:300])
    >>> clf.score(X[300:], y[300:]) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseTabular._parameter_constraints,
        "loss": [StrOptions(set(OF_CLASSES)), Loss, None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "calibrate": ["boolean"],
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
        class_weight: Any = None,
        validation_fraction: float = 0.2,
        calibrate: bool = True,
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
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.calibrate = calibrate
        self.importance_repeats = importance_repeats
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    # -- labels ------------------------------------------------------------------------------------------------------

    _metrics = ("loss", "error", "accuracy", "balanced_accuracy", "log_loss", "auc")

    def _learn_targets(self, y: Any) -> NDArray[Any]:
        labels = _labels("y", y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        return codes.astype(np.int64)

    def _encoded(self, y: Any, name: str) -> NDArray[Any]:
        labels = _labels(name, y)
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(f"{name} must hold classes of y, {self.classes_}; got {unknown}")
        return np.searchsorted(self.classes_, labels).astype(np.int64)

    def _decoded(self, y: NDArray[Any]) -> NDArray[Any]:
        return self.classes_[y]  # type: ignore[no-any-return]

    def _target(self, name: str) -> Target:
        classes = self.classes_.tolist()
        if all(isinstance(label, bool) for label in classes):
            return Target(name, "classification", tuple(classes), kind="truth")
        if all(isinstance(label, (int, float)) and not isinstance(label, bool) for label in classes):
            return Target(name, "classification", tuple(classes), kind="number")
        return Target(name, "classification", tuple(map(str, classes)), kind="text")

    def _weights(self, y: NDArray[Any], sample_weight: NDArray[Any] | None) -> NDArray[Any] | None:
        if self.class_weight is None:
            return sample_weight
        of_class = np.zeros(len(self.classes_))
        counts = slice(None) if sample_weight is None else sample_weight > 0
        present = np.unique(y[counts])
        of_class[present] = compute_class_weight(
            self.class_weight,
            classes=self.classes_[present],
            y=self.classes_[y[counts]],
            sample_weight=None if sample_weight is None else sample_weight[counts],
        )
        of_rows: NDArray[Any] = of_class[y]
        return of_rows if sample_weight is None else sample_weight * of_rows

    def _check_training(self, rows: Rows) -> None:
        present = len(np.unique(rows.y))
        if present < 2:
            raise ValueError(f"y must have at least two classes in rows of a weight above 0; got {present} class")
        super()._check_training(rows)

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
    ) -> TabularClassifier:
        """Fit to a table.

        Parameters
        ----------
        X : DataFrame or array of shape (rows, features)
        y : array of shape (rows,)
            Labels: text, whole numbers, truth values.
        sample_weight : array of shape (rows,), optional
            A row of weight 0 counts as if it were not there.
        X_val, y_val, sample_weight_val : optional
            Rows that validate, of your own; nothing else is held out then.
        eval_set : (X, y), (X, y, sample_weight) or a list of one of these, optional
            Another way to give them.

        Returns
        -------
        TabularClassifier
            Itself.
        """
        self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, eval_set)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each row.

        Parameters
        ----------
        X : DataFrame or array of shape (rows, features)

        Returns
        -------
        array of shape (rows,)
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]  # type: ignore[no-any-return]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : DataFrame or array of shape (rows, features)

        Returns
        -------
        array of shape (rows, classes)
        """
        outputs = self._outputs(X)
        return self.model_.head.probabilities(outputs, self.model_.temperature)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """The logarithm of `predict_proba`.

        Parameters
        ----------
        X : DataFrame or array of shape (rows, features)

        Returns
        -------
        array of shape (rows, classes)
        """
        with np.errstate(divide="ignore"):  # the logarithm of 0 is -inf
            return np.log(self.predict_proba(X))

    def _loss_of(self, model: TableModel, outputs: list[NDArray[Any]], y: NDArray[Any], weights: Any) -> float:
        from ..tables.temperature import log_loss

        return log_loss(model.head.probabilities(outputs, model.temperature), y, weights)


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
        More than 0: `permutation_importance_` of the rows held out, by their squared error.

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


def _is_frame(X: Any) -> bool:
    """Whether it is a DataFrame of pandas or polars."""
    return hasattr(X, "columns") and (hasattr(X, "iloc") or hasattr(X, "get_columns"))


def _of_lists(rows: Any) -> Any:
    """Rows as lists: text beside numbers is no reason to make text of the numbers."""
    kinds = {isinstance(value, str) or value is None for row in rows if isinstance(row, (list, tuple)) for value in row}
    return np.array(rows, dtype=object) if True in kinds and len(kinds) > 1 else rows


def _labels(name: str, y: Any) -> NDArray[Any]:
    """(rows,) labels, none of which is missing."""
    labels = column_or_1d(y, warn=True)
    if labels.dtype.kind == "O":
        for row, label in enumerate(labels):
            if label is None or label != label or type(label).__name__ == "NAType":
                raise ValueError(f"Input {name} contains NaN: {name}[{row}] is {label!r}")
        if all(isinstance(label, (bool, np.bool_)) for label in labels):
            labels = labels.astype(bool)
        elif all(isinstance(label, Real) and not isinstance(label, (bool, np.bool_)) for label in labels):
            labels = np.array(labels.tolist())
    elif labels.dtype.kind == "f" and not np.isfinite(labels).all():
        row = int(np.isfinite(labels).argmin())
        raise ValueError(f"Input {name} contains NaN or infinity: {name}[{row}] is {labels[row]}")
    return labels  # type: ignore[no-any-return]


def _weights_of(sample_weight: Any, table: Table) -> NDArray[Any] | None:
    """The rows' weights, checked."""
    if sample_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, np.empty((len(table), 1)), dtype=np.float64, ensure_non_negative=True)
    found: NDArray[Any] = weights
    return found


def _of_weight(rows: Rows) -> Rows:
    """Without the rows of weight 0, which count nothing; and without weights that are all 1."""
    if rows.weights is None:
        return rows
    chosen = rows.weights > 0
    if not chosen.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    weights = rows.weights[chosen]
    kept = None if (weights == 1).all() else weights
    if chosen.all():
        return Rows(rows.table, rows.y, kept)
    return Rows(rows.table.take(np.flatnonzero(chosen)), rows.y[chosen], kept)


def _own_validation(X_val: Any, y_val: Any, sample_weight_val: Any, eval_set: Any) -> tuple[Any, Any, Any]:
    """X, y and weights of the user's own validation rows, in whichever way they came."""
    if eval_set is not None:
        if X_val is not None or y_val is not None or sample_weight_val is not None:
            raise ValueError("eval_set must be None where X_val and y_val are given")
        if isinstance(eval_set, list) and len(eval_set) == 1:
            eval_set = eval_set[0]
        if not isinstance(eval_set, (tuple, list)) or len(eval_set) not in (2, 3):
            raise ValueError("eval_set must be (X, y), (X, y, sample_weight) or a list of one of these")
        return eval_set[0], eval_set[1], eval_set[2] if len(eval_set) == 3 else None
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val must be given together; got only one of them")
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val needs X_val and y_val; got neither")
    return X_val, y_val, sample_weight_val
