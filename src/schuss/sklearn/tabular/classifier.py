"""Classes from a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets

from ...losses import Loss
from ...tables.fitting import Rows
from ...tables.heads import OF_CLASSES
from ...tables.target import Target
from ..labels import codes_of, labels_of, logarithms, weights_with_classes
from .base import BaseTabular

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...tables.model import TableModel


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
        more, one from 20 001 rows on and with the recipe 'tabm', which is an ensemble itself.
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
        More than 0: `permutation_importance_` of the rows held out, by their log loss, with so many repeats; of several
        networks the mean of each one's on its own rows. Where no rows are held out it is refused.
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
        labels = labels_of("y", y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        return codes.astype(np.int64)

    def _encoded(self, y: Any, name: str) -> NDArray[Any]:
        return codes_of(name, y, self.classes_)

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
        return weights_with_classes(self.class_weight, self.classes_, y, sample_weight)

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
        return logarithms(self.predict_proba(X))

    def _loss_of(self, model: TableModel, outputs: list[NDArray[Any]], y: NDArray[Any], weights: Any) -> float:
        from ...tables.temperature import log_loss

        return log_loss(model.head.probabilities(outputs, model.temperature), y, weights)
