"""Classes of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from numbers import Integral, Real
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from ..augment import Augment
from ..layers import Conv2D, Dense, Flatten, Input, Layer, MaxPool
from ..layers.graph import built
from ..losses import Loss
from ..network import Network
from ..optim import BY_NAME, Optimizer
from ..schedules import Cosine
from ..tables.heads import OF_CLASSES, resolved, softmax
from ..threads import threads
from ..training import EarlyStopping
from .callbacks import CallbackSupportMixin, Tasks
from .labels import codes_of, labels_of, logarithms, weights_with_classes
from .optimizers import optimizer_of
from .validation import given_together, weights_of_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..history import History
    from ..training import EpochRecord

# Numbers that are scaled and predicted at a time.
_SLAB = 1 << 22
# Of the optimizer's rates that nobody has said: a cosine comes down from here.
_LR = 1e-3
# Of images that are all zeros.
_LEAST_SCALE = float(np.finfo(np.float32).tiny)


class ImageClassifier(CallbackSupportMixin, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classes of images, by a convolutional network.

    X is an array (rows, height, width), or (rows, height, width, channels), of uint8 or other numbers.

    Parameters
    ----------
    layers : list of layers or None, default=None
        Those in front of the last one, which is a `schuss.Dense` with an output for each class; positions that they
        leave are flattened. None: convolutions of 5 x 5 and of 16, 32, ... channels, each with ReLU and a pool that
        halves the image, until its shorter side is less than 8; of images that are less than 16 two convolutions of
        3 x 3 and 32 channels and one pool; behind them a dense layer of 128 with dropout.
    augment : schuss.Augment, 'shift' or None, default='shift'
        What happens to each image, at random, whenever it is trained on. 'shift': it is moved by at most a fourteenth
        of its size.
    optimizer : str or class, default='adam'
        Any of schuss, by its name or class.
    lr : float, callable or None, default=None
        Its rate, or a schedule: one of `schuss.schedules` or a function of the step. None: a cosine from 0.001 to 0
        over all epochs.
    optimizer_options : dict or None, default=None
        Its further arguments, such as ``{"weight_decay": 0.01}``.
    epochs : int, default=20
    batch_size : int, default=32
    loss : {'cross_entropy', 'log_loss', 'focal'} or loss object, default='cross_entropy'
        Such as ``schuss.CrossEntropy(0.05)``.
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, by label: they multiply the sample weights.
    early_stopping : bool, default=False
        Whether some rows are held out, in the classes' proportions, training ends when their loss has not become less
        for `patience` epochs, and the parameters of the best epoch are kept.
    patience : int, default=5
    validation_fraction : float, default=0.1
        How many of the rows are held out.
    channels : {'last', 'first'}, default='last'
        'first': X is (rows, channels, height, width).
    random_state : int, RandomState instance or None, default=None
        What initial parameters, orders of rows, dropout, changes of images and the split follow from.
    n_jobs : int or None, default=None
        Threads; None or -1: as `schuss.set_num_threads` says. Results do not depend on it.
    verbose : bool or int, default=False
        1: a progress bar on stderr; 2: a line an epoch.

    Attributes
    ----------
    classes_ : array of shape (classes,)
    network_ : schuss.Network
        It takes images divided by `scale_`.
    scale_ : float
        255 for uint8, else the largest absolute value of the training images.
    image_shape_ : tuple of int
        Of a row, as X has it, its channels included.
    history_ : schuss.History
    n_iter_ : int
        Epochs trained.
    best_epoch_ : int
        Whose parameters are kept, from 1.

    Notes
    -----
    What is not said of images here is as in scikit-learn's classifiers: clone, pickle, searches over parameters, class
    and sample weights. X has three or four dimensions, which pipelines hand on as they are.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition (1998).

    Examples
    --------
    >>> from schuss.sklearn import ImageClassifier
    >>> from sklearn.datasets import load_digits
    >>> digits = load_digits()
    >>> clf = ImageClassifier(epochs=10, random_state=0).fit(digits.images[:1400], digits.target[:1400])
    >>> clf.score(digits.images[1400:], digits.target[1400:]) > 0.93
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "layers": ["array-like", None],
        "augment": [Augment, StrOptions({"shift"}), None],
        "optimizer": [StrOptions(set(BY_NAME)), type],
        "lr": [Interval(Real, 0, None, closed="neither"), callable, None],
        "optimizer_options": [Mapping, None],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions(set(OF_CLASSES)), Loss],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "early_stopping": ["boolean"],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "channels": [StrOptions({"last", "first"})],
        "random_state": ["random_state"],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "verbose": ["verbose"],
    }

    network_: Network
    history_: History
    scale_: float

    def __init__(
        self,
        layers: Any = None,
        *,
        augment: Any = "shift",
        optimizer: Any = "adam",
        lr: Any = None,
        optimizer_options: Any = None,
        epochs: int = 20,
        batch_size: int = 32,
        loss: Any = "cross_entropy",
        class_weight: Any = None,
        early_stopping: bool = False,
        patience: int = 5,
        validation_fraction: float = 0.1,
        channels: str = "last",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: Any = False,
    ) -> None:
        self.layers = layers
        self.augment = augment
        self.optimizer = optimizer
        self.lr = lr
        self.optimizer_options = optimizer_options
        self.epochs = epochs
        self.batch_size = batch_size
        self.loss = loss
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.channels = channels
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    # -- fitting -----------------------------------------------------------------------------------------------------

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
    ) -> ImageClassifier:
        """Fit to images.

        Parameters
        ----------
        X : array of shape (rows, height, width) or (rows, height, width, channels)
        y : array of shape (rows,)
            Labels: text, whole numbers, truth values.
        sample_weight : array of shape (rows,), optional
            A row of weight 0 counts as if it were not there.
        X_val, y_val, sample_weight_val : optional
            Rows that validate, of your own: their loss is in `history_`, and early stopping holds nothing out.

        Returns
        -------
        ImageClassifier
            Itself.
        """
        before = dict(self.__dict__)
        try:
            self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any) -> None:
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None")
        images = self._images("X", X, reset=True)
        labels = labels_of("y", y)
        check_classification_targets(labels)
        check_consistent_length(images, labels)
        self.classes_ = np.unique(labels)
        codes = codes_of("y", labels, self.classes_)
        weights = weights_with_classes(
            self.class_weight, self.classes_, codes, weights_of_rows(sample_weight, len(images))
        )
        present = len(np.unique(codes if weights is None else codes[weights > 0]))
        if present < 2:
            raise ValueError(f"y must have at least two classes in rows of a weight above 0; got {present} class")
        training = _of_weight(images, codes, weights)
        validation = None
        if given_together(X_val, y_val, sample_weight_val):
            held = self._images("X_val", X_val, reset=False)
            held_codes = codes_of("y_val", y_val, self.classes_)
            check_consistent_length(held, held_codes)
            validation = _of_weight(held, held_codes, weights_of_rows(sample_weight_val, len(held)))
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        if self.early_stopping and validation is None:
            training, validation = _held_out(*training, self.validation_fraction, seed)
        self.scale_ = 255.0 if images.dtype == np.uint8 else max(_largest(training[0]), _LEAST_SCALE)
        self.network_, self._lock = self._network(seed), Lock()
        self._train(X, y, sample_weight, training, validation)

    def _network(self, seed: int) -> Network:
        """A new one for the images."""
        first = Input("x", self.image_shape_, channels=self.channels)
        body = list(_default_layers(*first.dims) if self.layers is None else self.layers)
        if (body and built([first, *body]).shape.dims) or not body:
            body.append(Flatten())
        return Network([first, *body, Dense(len(self.classes_))], seed=seed)

    def _optimizer(self, rows: int) -> Optimizer:
        """The optimizer that the arguments ask for."""
        lr = self.lr
        if lr is None and "lr" not in (self.optimizer_options or {}):
            lr = Cosine(_LR, int(self.epochs) * -(-rows // int(self.batch_size)))
        return optimizer_of(self, self.network_, lr)

    def _augment(self) -> Augment | None:
        if self.augment != "shift":
            return self.augment  # type: ignore[no-any-return]
        height, width = self.network_.inputs[0].dims
        return Augment((height // 14, width // 14))

    def _train(self, X: Any, y: Any, sample_weight: Any, training: _Rows, validation: _Rows | None) -> None:
        """Epochs of the network's own fit."""
        tasks = Tasks(self, X, lambda: y, sample_weight, int(self.epochs))
        images, codes, weights = training
        more: dict[str, Any] = {}
        if validation is not None:
            held, held_codes, held_weights = validation
            data = self._scaled(held), held_codes
            more["validation_data"] = data if held_weights is None else (*data, held_weights)
            if self.early_stopping:
                more["early_stopping"] = EarlyStopping(int(self.patience))
        if tasks.wanted:

            def after(record: EpochRecord) -> bool:
                tasks.begin()
                return tasks.end()

            more["callbacks"] = [after]
        loss = resolved(self.loss, True)
        assert loss is not None
        with self._threads():
            self.history_ = self.network_.fit(
                self._scaled(images),
                codes,
                loss=loss,
                optimizer=self._optimizer(len(images)),
                epochs=int(self.epochs),
                batch_size=int(self.batch_size),
                sample_weight=weights,
                augment=self._augment(),
                verbose=min(int(self.verbose), 2),
                **more,
            )
        self.n_iter_ = len(self.history_)
        best = self.history_.best_epoch if self.early_stopping else None
        self.best_epoch_ = self.n_iter_ if best is None else best
        tasks.finish()

    def _threads(self) -> AbstractContextManager[Any]:
        return threads(self.n_jobs) if self.n_jobs is not None and self.n_jobs > 0 else nullcontext()

    # -- images ------------------------------------------------------------------------------------------------------

    def _images(self, name: str, X: Any, reset: bool) -> NDArray[Any]:
        """X with four dimensions, its shape checked."""
        array = check_array(X, dtype=None, allow_nd=True, ensure_2d=False, input_name=name, estimator=self)
        if array.dtype.kind not in "fuib":
            array = check_array(
                array, dtype=np.float64, allow_nd=True, ensure_2d=False, input_name=name, estimator=self
            )
        if array.ndim == 3:
            array = array[:, None] if self.channels == "first" else array[..., None]
        order = "(rows, channels, height, width)" if self.channels == "first" else "(rows, height, width, channels)"
        if array.ndim != 4 or not array.size:
            hint = f"; use {name}.reshape(len({name}), height, width)" if array.ndim == 2 else ""
            raise ValueError(f"{name} must have shape (rows, height, width) or {order}; got {np.shape(X)}{hint}")
        if reset:
            self.image_shape_ = tuple(map(int, array.shape[1:]))
        elif array.shape[1:] != self.image_shape_:
            raise ValueError(
                f"{name} has images of shape {array.shape[1:]}, but {type(self).__name__} is expecting "
                f"{self.image_shape_} as in fit"
            )
        return array  # type: ignore[no-any-return]

    def _scaled(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """As the network takes them."""
        limit = float(np.finfo(np.float32).max)
        found = np.empty(images.shape, np.float32)
        scale: Any = np.dtype(np.float64 if images.dtype.itemsize > 4 else np.float32).type(self.scale_)
        with np.errstate(over="ignore"):
            np.clip(images / scale, -limit, limit, out=found, casting="same_kind")
        return found

    # -- prediction --------------------------------------------------------------------------------------------------

    def _output(self, X: Any) -> NDArray[Any]:
        """What the network gives for X, (rows, classes)."""
        check_is_fitted(self)
        images = self._images("X", X, reset=False)
        out = np.empty((len(images), self.network_.n_out), np.float32)
        each = max(1, _SLAB // images[0].size)
        with self._lock, self._threads():
            for start in range(0, len(images), each):
                part = slice(start, start + each)
                self.network_.predict(self._scaled(images[part]), out[part])
        return out

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each image.

        Parameters
        ----------
        X : array of shape (rows, height, width) or (rows, height, width, channels)

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
        X : array of shape (rows, height, width) or (rows, height, width, channels)

        Returns
        -------
        array of shape (rows, classes)
        """
        return softmax(self._output(X).astype(np.float64))

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """The logarithm of `predict_proba`.

        Parameters
        ----------
        X : array of shape (rows, height, width) or (rows, height, width, channels)

        Returns
        -------
        array of shape (rows, classes)
        """
        return logarithms(self.predict_proba(X))

    # -- state -------------------------------------------------------------------------------------------------------

    def _as_it_is(self) -> dict[str, Any]:
        """What a copy needs in order to predict as this would now."""
        kept = {name: value for name, value in self.__dict__.items() if name.endswith("_") and name != "history_"}
        return {**kept, "network_": deepcopy(self.network_), "_lock": Lock()}

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_lock", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "network_" in state:
            self._lock = Lock()

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags


# Images, the places of their classes, and weights.
_Rows = tuple["NDArray[Any]", "NDArray[np.int64]", Any]


def _default_layers(height: int, width: int) -> Sequence[Layer]:
    """Convolutions and pools as `ImageClassifier` says."""
    if min(height, width) < 16:
        found: list[Layer] = [Conv2D(32, 3, "relu", padding="same") for _ in range(2)]
        return [*found, *([MaxPool(2)] if min(height, width) > 1 else []), Flatten(), Dense(128, "relu", dropout=0.3)]
    found, channels = [], 16
    while min(height, width) >= 8:
        found += [Conv2D(channels, 5, "relu", padding="same"), MaxPool(2)]
        height, width, channels = height // 2, width // 2, 2 * channels
    return [*found, Flatten(), Dense(128, "relu", dropout=0.3)]


def _largest(images: NDArray[Any]) -> float:
    """The largest absolute value."""
    return max(abs(float(images.max())), abs(float(images.min())))


def _of_weight(images: NDArray[Any], codes: NDArray[np.int64], weights: NDArray[Any] | None) -> _Rows:
    """Without rows of weight 0, which count nothing; and without weights that are all 1."""
    if weights is None:
        return images, codes, None
    counts = weights > 0
    if not counts.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    if not counts.all():
        images, codes, weights = images[counts], codes[counts], weights[counts]
    return images, codes, None if (weights == 1).all() else weights


def _held_out(
    images: NDArray[Any], codes: NDArray[np.int64], weights: Any, fraction: float, seed: int
) -> tuple[_Rows, _Rows]:
    """Rows to train on, and those that validate."""
    parts = train_test_split(np.arange(len(codes)), test_size=fraction, random_state=seed, stratify=codes)
    train, held = ((images[k], codes[k], None if weights is None else weights[k]) for k in parts)
    return train, held
