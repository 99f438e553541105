"""The classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted

from ..losses import Loss
from . import fitting, objective
from .base import BaseMLP
from .heads import ColumnBinarizer, ColumnLoss, columns_of
from .labels import logarithms
from .validation import validated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .held import Held


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """scikit-learn's MLPClassifier, compiled.

    With the arguments that scikit-learn has, results are scikit-learn's but for rounding; its documentation says what
    these arguments and the fitted attributes are. Those below are additions, whose defaults change nothing.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default=(100,)
        As in scikit-learn, as are all arguments that are not described here.
    activation : str or list of str, default='relu'
        scikit-learn's identity, logistic, tanh and relu, or leaky_relu, elu, selu, gelu, silu, mish, hard_swish,
        softplus, exp; a list: one for each hidden layer.
    solver : str or class, default='adam'
        lbfgs, scikit-learn's sgd and adam, or any optimizer of schuss, by its name or class: then its rate is
        learning_rate_init, and its other arguments are solver_options.
    learning_rate : {'constant', 'invscaling', 'adaptive'} or callable, default='constant'
        Or a schedule: one of `schuss.schedules` or a function of the step's number, for every solver but lbfgs.
    verbose : bool or int, default=False
        The number 1: a progress bar on stderr. True, or more than 1: scikit-learn's lines.
    loss : {'log_loss', 'focal'}, loss object or callable, default='log_loss'
        `schuss.CrossEntropy` with label smoothing, `schuss.Focal` with a gamma, or a function
        ``(output, target) -> (mean value, gradient by the output)``, which gets sample weights as a third argument if
        there are any, and one column of target for each class.
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, by label: they multiply the sample weights.
    multi_output : bool, default=False
        y has several columns, each with classes of its own: `classes_` and what `predict_proba` gives are lists, an
        item a column, and the loss is the sum of the columns'.
    dropout : float or list of float, default=0.0
        Probability that an output of a hidden layer is dropped in training; a list: of each layer.
    l1 : float, default=0.0
        Strength of a penalty on the absolute values of weights, divided by the number of rows as alpha's is.
    solver_options : dict or None, default=None
        Further arguments of the optimizer, such as ``{"weight_decay": 0.01}``.
    clip_norm, clip_value : float or None, default=None
        Limits of the gradients' norm and of their elements.
    scoring : str, callable or None, default=None
        What early stopping looks at: a scorer or its name, 'loss', or None: the accuracy.
    n_jobs : int or None, default=None
        Threads; None or -1: as `schuss.set_num_threads` says. Results do not depend on it.
    random_order : {'sklearn', 'schuss'}, default='sklearn'
        Where random numbers come from. 'schuss': initial weights, shuffles and splits follow from one seed by
        counters, and a fit with warm_start goes on where the one before ended, optimizer and all.

    Attributes
    ----------
    validation_loss_curve_ : list of float or None
        The loss of the validation data after each epoch, where there is such data.

    Examples
    --------
    >>> from schuss.sklearn import MLPClassifier
    >>> from sklearn.datasets import make_classification
    >>> X, y = make_classification(n_samples=200, random_state=0)
    >>> clf = MLPClassifier(class_weight="balanced", tol=0.01, random_state=0).fit(X[:150], y[:150])
    >>> round(clf.score(X[150:], y[150:]), 2)
    0.84
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(objective.OF_CLASSES)), Loss, callable],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "multi_output": ["boolean"],
    }

    def __init__(
        self,
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
        loss: Any = "log_loss",
        class_weight: Any = None,
        multi_output: bool = False,
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

    # -- labels ------------------------------------------------------------------------------------------------------

    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, NDArray[Any]]:
        if reset or not self._is_plain(X, y):
            X, y = validated(
                self,
                X,
                y,
                accept_sparse=["csr", "csc"],
                multi_output=True,
                dtype=(np.float64, np.float32),
                reset=reset,
            )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._label_binarizer = ColumnBinarizer().fit(y) if self.multi_output else LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
            return X, self._binary(y)
        if self.multi_output:  # transform looks at each column's labels
            return X, self._binary(y)
        known = self._of_known(y)
        if known is not None:
            return X, known
        classes = unique_labels(y)
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )
        return X, self._binary(y)

    def _binary(self, y: Any) -> NDArray[Any]:
        binary: NDArray[Any] = self._label_binarizer.transform(y).astype(bool)
        return binary

    def _of_known(self, y: NDArray[Any]) -> NDArray[Any] | None:
        """`_binary` at once, where each label is seen to be a class, as a step of partial_fit on few rows needs it."""
        kind = self._label_binarizer.y_type_
        classes: Any = self.classes_
        if y.ndim != 1 or y.dtype != classes.dtype or y.dtype.kind not in "biu":
            return None
        if kind != "multiclass" and not (kind == "binary" and len(classes) == 2):
            return None
        codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        if not (classes[codes] == y).all():
            return None
        if self.warm_start and len(np.unique(codes)) != len(classes):
            return None
        if kind == "binary":
            return codes[:, None] == 1  # type: ignore[no-any-return]
        return codes[:, None] == np.arange(len(classes))  # type: ignore[no-any-return]

    def _encoded(self, y: Any) -> NDArray[Any]:
        if self.multi_output:
            return self._binary(y)
        known = unique_labels(y)
        if len(np.setdiff1d(known, self.classes_)):
            raise ValueError(f"y_val must hold classes of y, {self.classes_}; got {known}")
        return self._binary(y)

    def _decoded(self, y: NDArray[Any]) -> NDArray[Any]:
        labels: NDArray[Any] = self._label_binarizer.inverse_transform(y)
        return labels

    def _stratify(self, y: NDArray[Any]) -> NDArray[Any] | None:
        return y if self.n_outputs_ == 1 else None

    def _weights(self, y: NDArray[Any], sample_weight: Any, incremental: bool) -> Any:
        given = self.class_weight
        if given is None:
            return sample_weight
        if incremental and given == "balanced":
            raise ValueError(
                "class_weight must not be 'balanced' in partial_fit, which sees a part of the rows; give the weights "
                "themselves, as sklearn.utils.class_weight.compute_class_weight finds them"
            )
        labels = self._decoded(y)
        if labels.ndim == 2 or self._label_binarizer.y_type_.startswith("multilabel"):
            of_rows = compute_sample_weight(given, labels)
        else:
            counts = slice(None) if sample_weight is None else sample_weight > 0
            classes = np.unique(labels[counts])
            weight = compute_class_weight(
                given,
                classes=classes,
                y=labels[counts],
                sample_weight=None if sample_weight is None else sample_weight[counts],
            )
            place = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
            of_rows = np.where(classes[place] == labels, weight[place], 0.0)
        return of_rows if sample_weight is None else sample_weight * of_rows

    def _rate_runs(self, X: Any, y: Any, sample_weight: Any, seed: int | None) -> Any:
        """What `schuss.find_lr` makes its trainings with."""
        from .finding import runs_of

        return runs_of(self, X, y, sample_weight, seed)

    def _objective(self, y: NDArray[Any]) -> objective.Objective:
        if self.multi_output:
            if not isinstance(self.loss, str) or self.loss != "log_loss":
                raise ValueError(f"loss must be 'log_loss' with multi_output=True; got {self.loss!r}")
            return objective.Objective(ColumnLoss(self._label_binarizer.columns_), "identity", y.shape[1])
        exclusive = self._label_binarizer.y_type_ == "multiclass"
        return objective.of_classes(self.loss, y.shape[1], exclusive)

    def _validation_score(self, held: Held) -> float:
        output = self._output(held.X, check_input=False)
        if self.multi_output:
            right = (self._predicted(output) == held.y).all(axis=1)
        elif self._label_binarizer.y_type_ == "multiclass":
            right = output.argmax(axis=1) == held.encoded.argmax(axis=1)
        else:
            right = ((output > 0.5) == held.encoded).all(axis=1)
        return float(np.average(right, weights=held.weights))

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
    ) -> MLPClassifier:
        """Fit the network to data.

        Parameters
        ----------
        X : array or sparse matrix of shape (rows, features)
            Its dtype, float32 or float64, is that of the computation.
        y : array of shape (rows,) or (rows, labels)
            Classes, or for each of several labels whether a row has it.
        sample_weight : array of shape (rows,), optional
            Each batch's loss is the weighted mean over its rows.
        X_val, y_val, sample_weight_val : arrays, optional
            Validation data of one's own: for `validation_loss_curve_`, and for early stopping, which then holds nothing
            out.

        Returns
        -------
        MLPClassifier
            Itself.
        """
        if self.multi_output:
            y, y_val = columns_of(y), None if y_val is None else columns_of(y_val)
        return fitting.fit(self, X, y, sample_weight, False, X_val, y_val, sample_weight_val)

    @available_if(lambda est: est._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> MLPClassifier:
        """Go once over these rows.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val, sample_weight_val
            As for `fit`.
        classes : array of shape (classes,), optional
            All classes that will ever come; needed in the first call only.

        Returns
        -------
        MLPClassifier
            Itself.
        """
        if self.multi_output:
            y, y_val = columns_of(y), None if y_val is None else columns_of(y_val)
            if not hasattr(self, "classes_"):
                if classes is None:
                    raise ValueError("classes must be passed on the first call to partial_fit.")
                self._label_binarizer = ColumnBinarizer().fit_classes(classes)
                self.classes_ = self._label_binarizer.classes_
        elif _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
        return fitting.fit(self, X, y, sample_weight, True, X_val, y_val, sample_weight_val)

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each row, or for several labels 0 or 1 each.

        Parameters
        ----------
        X : array or sparse matrix of shape (rows, features)

        Returns
        -------
        array of shape (rows,) or (rows, labels)
        """
        if "coefs_" not in self.__dict__:
            check_is_fitted(self)
        return self._predicted(self._output(X))

    def _predicted(self, output: NDArray[Any]) -> NDArray[Any]:
        kind, classes = self._label_binarizer.y_type_, self.classes_
        if kind == "multiclass":
            return classes[output.argmax(axis=1)]  # type: ignore[no-any-return]
        if kind == "binary" and len(classes) == 2:
            return classes[(output[:, 0] > 0.5).astype(np.intp)]  # type: ignore[no-any-return]
        return self._decoded(output.ravel() if self.n_outputs_ == 1 and not self.multi_output else output)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of rows whose class, or all of whose labels, are predicted right.

        Parameters
        ----------
        X : array or sparse matrix of shape (rows, features)
        y : array of shape (rows,) or (rows, labels)
        sample_weight : array of shape (rows,), optional

        Returns
        -------
        float
        """
        if not self.multi_output:
            return float(super().score(X, y, sample_weight=sample_weight))
        return float(np.average((self.predict(X) == columns_of(y)).all(axis=1), weights=sample_weight))

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : array or sparse matrix of shape (rows, features)

        Returns
        -------
        array of shape (rows, classes)
            Or with multi_output a list of them, one for each column of y.
        """
        if "coefs_" not in self.__dict__:
            check_is_fitted(self)
        output = self._output(X)
        if self.multi_output:
            return self._label_binarizer.probabilities(output)
        if self.n_outputs_ != 1:
            return output
        both = np.empty((len(output), 2), output.dtype)
        np.subtract(1, output[:, 0], out=both[:, 0])
        both[:, 1] = output[:, 0]
        return both

    def predict_log_proba(self, X: Any) -> Any:
        """The logarithm of `predict_proba`.

        Parameters
        ----------
        X : array or sparse matrix of shape (rows, features)

        Returns
        -------
        array of shape (rows, classes)
        """
        found = self.predict_proba(X)
        return [logarithms(of_column) for of_column in found] if self.multi_output else logarithms(found)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        if self.multi_output:
            tags.target_tags.multi_output = True
        return tags
