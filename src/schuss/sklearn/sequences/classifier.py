"""Classes of sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets

from ...losses import Loss
from ...tables.heads import OF_CLASSES, resolved, softmax
from ..labels import codes_of, labels_of, logarithms, weights_with_classes
from .base import BaseSequence

if TYPE_CHECKING:
    from numpy.typing import NDArray


class SequenceClassifier(ClassifierMixin, BaseSequence):  # type: ignore[misc]
    """Classes of sequences, by a recurrent or convolutional network.

    X is an array (rows, times, features), or (rows, times) of one feature, or a list of arrays (length, features) or
    (length,) of different lengths, or a `schuss.Sequences`.

    Parameters
    ----------
    layer : {'lstm', 'gru', 'rnn', 'conv'}, default='lstm'
        Of which kind the layers are. 'conv': convolutions over time with pools behind them, for rows of one length.
    n_hidden : int, default=64
        Units of each layer and direction; of 'conv' channels.
    n_layers : int, default=1
        One on the other.
    bidirectional : bool, default=False
        Whether each layer goes through times in both directions.
    dropout : float, default=0.0
        Probability that an output of a layer is dropped in training, drawn anew at each time.
    recurrent_dropout : float, default=0.0
        Probability that an element of the state is dropped before it meets its weights; the same at all times of a row.
    layer_options : dict or None, default=None
        Further arguments of the layers, such as ``{"dialect": "torch"}``, or of 'conv' ``{"kernel": 3}``.
    optimizer : str or class, default='adam'
        Any of schuss, by its name or class.
    lr : float, callable or None, default=None
        Its rate, or a schedule: one of `schuss.schedules` or a function of the step. None: the optimizer's own default.
    optimizer_options : dict or None, default=None
        Its further arguments, such as ``{"weight_decay": 0.01}``.
    clip_norm : float or None, default=1.0
        Limit of the gradients' norm.
    epochs : int, default=50
    batch_size : int, default=32
    loss : {'cross_entropy', 'log_loss', 'focal'} or loss object, default='cross_entropy'
        Such as ``schuss.CrossEntropy(0.05)``.
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, by label: they multiply the sample weights.
    standardize : bool, default=True
        Whether features are scaled to mean 0 and deviation 1, by the training rows' times that are there.
    early_stopping : bool, default=False
        Whether some rows are held out, training ends when their loss has not become less for `patience` epochs, and the
        parameters of the best epoch are kept.
    patience : int, default=10
    validation_fraction : float, default=0.1
        How many of the rows are held out.
    validation_rows : {'random', 'last'}, default='random'
        Which. 'random': in the classes' proportions. 'last': those at the end, as where rows are windows of one series,
        whose neighbours overlap.
    warm_start : bool, default=False
        Whether another fit goes on where the one before ended, with its optimizer and scales.
    dtype : {'float32', 'float64'}, default='float32'
        Of the computation.
    random_state : int, RandomState instance or None, default=None
        What initial parameters, orders of rows, dropout and the split follow from.
    n_jobs : int or None, default=None
        Threads; None or -1: as `schuss.set_num_threads` says. Results do not depend on it.
    verbose : bool or int, default=False
        1: a progress bar on stderr; 2: a line an epoch.

    Attributes
    ----------
    classes_ : array of shape (classes,)
    network_ : schuss.Network
    standard_ : schuss.tables.Standardise or None
        By which features are scaled.
    history_ : schuss.History
        Of the last fit.
    n_iter_ : int
        Epochs of the last fit.
    best_epoch_ : int
        Whose parameters are kept, counted from 1 over all fits.
    n_features_in_ : int
        Features at each time.

    Examples
    --------
    >>> import numpy as np
    >>> from schuss.sklearn import SequenceClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(rng.integers(5, 12), 2)) for _ in range(200)]
    >>> y = np.array(["up" if row[:, 0].sum() > 0 else "down" for row in X])
    >>> clf = SequenceClassifier("gru", n_hidden=16, epochs=30, lr=0.01, random_state=0).fit(X[:150], y[:150])
    >>> clf.score(X[150:], y[150:]) > 0.8
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSequence._parameter_constraints,
        "loss": [StrOptions(set(OF_CLASSES)), Loss],
        "class_weight": [dict, StrOptions({"balanced"}), None],
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
        loss: Any = "cross_entropy",
        class_weight: Any = None,
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
        self.class_weight = class_weight
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

    # -- labels ------------------------------------------------------------------------------------------------------

    def _targets(self, y: Any, first: bool) -> NDArray[Any]:
        labels = labels_of("y", y)
        check_classification_targets(labels)
        if first and not self._classes_given:
            self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise ValueError(f"y must have at least two classes; got {len(self.classes_)} class")
        return codes_of("y", labels, self.classes_)

    # Whether partial_fit has been told all classes, those of its rows may be fewer.
    _classes_given = False

    def _encoded(self, y: Any, name: str) -> NDArray[Any]:
        return codes_of(name, y, self.classes_)

    def _weights(self, targets: NDArray[Any], sample_weight: NDArray[Any] | None, incremental: bool) -> Any:
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight must not be 'balanced' in partial_fit, which sees a part of the rows; give the weights "
                "themselves, as sklearn.utils.class_weight.compute_class_weight finds them"
            )
        weights = weights_with_classes(self.class_weight, self.classes_, targets, sample_weight)
        if not incremental and weights is not None:
            present = len(np.unique(targets[weights > 0]))
            if present == 1:
                raise ValueError("y must have at least two classes in rows of a weight above 0; got 1 class")
        return weights

    def _stratify(self, targets: NDArray[Any]) -> NDArray[Any]:
        return targets

    def _begin(self, targets: NDArray[Any], weights: NDArray[Any] | None) -> int:
        return len(self.classes_)

    def _loss(self) -> Loss:
        found = resolved(self.loss, True)
        assert found is not None
        return found

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
    ) -> SequenceClassifier:
        """Fit to sequences.

        Parameters
        ----------
        X : array of shape (rows, times, features) or (rows, times), or list of arrays
        y : array of shape (rows,)
            Labels: text, whole numbers, truth values.
        sample_weight : array of shape (rows,), optional
            A row of weight 0 counts as if it were not there.
        X_val, y_val, sample_weight_val : optional
            Rows that validate, of your own: their loss is in `history_`, and early stopping holds nothing out.

        Returns
        -------
        SequenceClassifier
            Itself.
        """
        self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, False)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> SequenceClassifier:
        """Go once over these rows. Features are scaled as the first call's rows say.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array of shape (classes,), optional
            All classes that will ever come; needed in the first call only.

        Returns
        -------
        SequenceClassifier
            Itself.
        """
        before = dict(self.__dict__)
        try:
            self._classes_given = True
            _check_partial_fit_first_call(self, classes)
            self._fit(X, y, sample_weight, None, None, None, True)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        del self._classes_given
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each row.

        Parameters
        ----------
        X : array of shape (rows, times, features) or (rows, times), or list of arrays
            Rows may be longer than those of `fit`, but with layer='conv'.

        Returns
        -------
        array of shape (rows,)
        """
        best = self._output(X).argmax(axis=1)
        return self.classes_[best]  # type: ignore[no-any-return]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : array of shape (rows, times, features) or (rows, times), or list of arrays

        Returns
        -------
        array of shape (rows, classes)
        """
        return softmax(self._output(X).astype(np.float64))

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """The logarithm of `predict_proba`.

        Parameters
        ----------
        X : array of shape (rows, times, features) or (rows, times), or list of arrays

        Returns
        -------
        array of shape (rows, classes)
        """
        return logarithms(self.predict_proba(X))
