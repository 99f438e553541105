"""What is trained on what: rows, targets, loss and network, the same for all optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import inputs, metrics, targets
from ..arguments import flag, integer, number, shown
from ..arrays import real_array
from ..layers import Dense
from ..losses import MAE, MSE, BinaryCrossEntropy, BinaryFocal, CrossEntropy, Focal, Gaussian, Huber, Loss
from ..losses import resolve as resolve_loss
from ..network import Network
from ..tables.encoding import RobustScale, Standardise
from ..tables.folds import folds
from ..tables.target import MAX_INTEGER_CLASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..training.split import Data

# Hidden layers where none are given.
HIDDEN = (100,)
# Losses of classes, by whole numbers; of two classes, by their probability; and whose targets may be in any unit.
OF_CLASSES = (CrossEntropy, Focal)
OF_TWO = (BinaryCrossEntropy, BinaryFocal)
SCORED_AS: dict[type[Loss], Loss] = {Focal: CrossEntropy(), BinaryFocal: BinaryCrossEntropy()}
OF_ANY_UNIT = (MSE, MAE, Huber)


@dataclass(frozen=True)
class Problem:
    """What every training has alike.

    Attributes
    ----------
    task : str
        "classification" or "regression".
    layers : tuple of layers
    dtype : dtype
    loss : Loss
    metric : str
        Its name.
    training : (x, y, weights)
        As the core takes them.
    validation : (x, y, weights) or None
    batch_size : int
    notes : tuple of str
    """

    task: str
    layers: tuple[Any, ...]
    dtype: np.dtype[Any]
    loss: Loss
    metric: str
    training: Data
    validation: Data | None
    batch_size: int
    notes: tuple[str, ...]

    def network(self, seed: int) -> Network:
        """A new one, whose start follows from the seed."""
        return Network(self.layers, seed=seed, dtype=self.dtype)

    @property
    def rows(self) -> int:
        """Those that are trained on."""
        return inputs.rows(self.training[0])

    @property
    def columns(self) -> int:
        """Numbers in a row."""
        x = self.training[0]
        return x.shape[1] if isinstance(x, np.ndarray) and x.ndim == 2 else self.network(0).n_in

    @property
    def held(self) -> int:
        """Those that validate."""
        return 0 if self.validation is None else inputs.rows(self.validation[0])

    @property
    def judging(self) -> Data:
        """The rows that decide."""
        return self.training if self.validation is None else self.validation

    def judged(self, network: Network) -> float:
        """The loss on them."""
        return network._core.loss(*self.judging, self.loss.spec)

    def score(self, network: Network) -> float:
        """The metric on them."""
        if isinstance(self.loss, Gaussian):  # half of what its network gives are no predictions
            return nan
        try:
            measures = metrics.resolve(
                self.metric, SCORED_AS.get(type(self.loss), self.loss), network.n_out, network._graph.activation
            )
            return network._evaluate(self.judging, self.loss, measures, with_loss=False)[self.metric]
        except ValueError:  # targets or outputs that it is not for
            return nan

    @property
    def described(self) -> str:
        """The network, in a few words."""
        network = self.network(0)
        layers = network.layers
        size = f"{network.n_parameters:,} parameters"
        dense = [layer for layer in layers if isinstance(layer, Dense)]
        if len(dense) < len(layers):
            kinds = ", ".join(type(layer).__name__ for layer in layers)
            return f"{kinds if len(layers) < 7 else f'{len(layers)} layers'}; {size}"
        widths = "-".join(map(str, (network.n_in, *(layer.shape.columns for layer in layers))))
        activations = dict.fromkeys(layer.activation for layer in dense[:-1])
        return ", ".join([widths, *activations, size])


def problem(
    X: Any,
    y: Any,
    *,
    network: Network | Sequence[Any] | None,
    loss: str | Loss | None,
    validation_data: Any,
    validation_fraction: float | None,
    batch_size: int | None,
    scale: bool | None,
    seed: int,
) -> Problem:
    """Everything that `compare` documents about data, checked.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.
    """
    chosen = None if loss is None else resolve_loss(loss)
    if chosen is not None and not isinstance(chosen, Loss):
        raise ValueError(f"loss must be a compiled one, by name or as an object; got {shown(loss)}")
    fraction = 0.2 if validation_fraction is None else number("validation_fraction", validation_fraction, "[0, 1)")
    if validation_data is not None:
        if validation_fraction:
            raise ValueError(f"validation_fraction must be None with validation_data; got {shown(validation_fraction)}")
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
            raise ValueError(f"validation_data must be (X, y); got {shown(validation_data)}")
        fraction = 0.0
    scales = network is None or _are_widths(network) if scale is None else flag("scale", scale)
    array = np.asarray(y)
    if array.ndim == 0 or not len(array):
        raise ValueError(f"y must have a row for each of X; got shape {array.shape}")
    classes = _classes(array, chosen)
    chosen = chosen or (MSE() if classes is None else CrossEntropy())
    target = array if classes is None else _labels("y", array, classes)
    labels = target if classes is not None else None
    if len(target) < 2 and fraction:
        raise ValueError(f"validation_fraction must be 0 for one row; got {fraction:g}")
    trained, held = folds(len(target), fraction, 1, seed, labels)[0]
    notes = []
    extra = None
    if validation_data is not None:
        given = np.asarray(validation_data[1])
        extra = validation_data[0], given if classes is None else _labels("validation_data[1]", given, classes)
    if scales:
        X, target, extra, said = _scaled(X, target, trained, extra, classes is None and isinstance(chosen, OF_ANY_UNIT))
        notes.append(said)
    if isinstance(network, Network):
        template = network
    else:
        template = _network(X, target, classes, chosen, HIDDEN if network is None else network, seed)
    data: Data = template._checked_data(X, target, chosen, None, None)
    training, validation = data, None
    if extra is not None:
        validation = template._checked_data(
            *extra, chosen, None, None, ("validation_data[0]", "validation_data[1]", "")
        )
    elif len(held):
        training, validation = _of(data, trained), _of(data, held)
    rows = inputs.rows(training[0])
    size = rows if batch_size is None else min(integer("batch_size", batch_size, 1), rows)
    task = "regression" if classes is None and not isinstance(chosen, OF_TWO) else "classification"
    if classes is not None and len(classes) == 1:
        notes.append(f"All rows are of the class {classes[0]}.")
    metric = "r2" if task == "regression" else "accuracy"
    return Problem(
        task, template.layers, template.dtype, chosen, metric, training, validation, size, tuple(notes)
    )  # fmt: skip


def _are_widths(network: Any) -> bool:
    return not isinstance(network, Network) and all(isinstance(one, (int, np.integer)) for one in network)


def _classes(y: NDArray[Any], loss: Loss | None) -> NDArray[Any] | None:
    """The different labels, sorted; None: y holds quantities."""
    if loss is not None:
        if not isinstance(loss, OF_CLASSES) or isinstance(loss, OF_TWO):
            return None
        if y.ndim != 1:
            raise ValueError(f"y must hold a label for each row for {loss.name}; got shape {y.shape}")
    elif y.dtype.kind not in "OUSbiu" or y.ndim != 1:
        return None
    try:
        found = np.unique(y)
    except TypeError:
        raise TypeError("y must hold labels of one kind; got some that cannot be sorted") from None
    whole = y.dtype.kind in "iu"
    return None if loss is None and whole and len(found) > MAX_INTEGER_CLASSES else found


def _labels(name: str, y: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    """Numbers of the classes."""
    places = np.searchsorted(classes, y)
    known = classes[np.minimum(places, len(classes) - 1)] == y
    if not np.all(known):
        raise ValueError(f"{name} must hold labels that y has, too; got {shown(y[~known][0])}")
    return places.astype(np.int64)


def _scaled(
    X: Any, y: NDArray[Any], trained: NDArray[np.int64], extra: tuple[Any, Any] | None, of_y: bool
) -> tuple[NDArray[Any], NDArray[Any], tuple[Any, Any] | None, str]:
    """Columns, and if asked for targets, in units of what they are in the rows that are trained on."""
    given = real_array("X", X)
    if given.ndim != 2:
        raise ValueError(f"X must have shape (rows, columns) to be scaled; got {given.shape}")
    if len(given) != len(y):
        raise ValueError(f"X and y must have the same number of rows; got {len(given)} and {len(y)}")
    fitted = RobustScale.fit(given[trained])
    X = fitted.transform(given).astype(np.float32)
    if extra is not None:
        extra = fitted.transform(real_array("validation_data[0]", extra[0])).astype(np.float32), extra[1]
    said = "Columns are scaled by the quartiles of the rows trained on."
    if not of_y:
        return X, y, extra, said
    standard = Standardise.fit(_columns(y)[trained])
    if extra is not None:
        extra = extra[0], standard.transform(_columns(extra[1]))
    said += " The target is in units of its deviation from its mean there: predicting the mean has an mse of about 1."
    return X, standard.transform(_columns(y)), extra, said


def _columns(y: Any) -> NDArray[Any]:
    array = real_array("y", y)
    return array.reshape(len(array), -1)


def _network(
    X: Any, y: NDArray[Any], classes: NDArray[Any] | None, loss: Loss, given: Sequence[Any], seed: int
) -> Network:
    """The network of these hidden widths, or of these layers."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        raise TypeError(
            f"network must be a Network, its layers or the widths of hidden ones; got {shown(given)} "
            f"({type(given).__name__})"
        )
    if given and not _are_widths(given):
        return Network(given, seed=seed)
    array = real_array("X", X)
    if array.ndim != 2:
        raise ValueError(f"X must have shape (rows, columns) without a network; got {array.shape}")
    widths = [integer(f"network[{k}]", width, 1) for k, width in enumerate(given)]
    out = max(2, len(classes)) if classes is not None else 1 if y.ndim == 1 else int(np.prod(y.shape[1:]))
    sizes = [array.shape[1], *widths]
    layers = [Dense(n_in, n_out, "relu") for n_in, n_out in pairwise(sizes)]
    return Network([*layers, Dense(sizes[-1], out)], seed=seed)


def _of(data: Data, rows: NDArray[np.int64]) -> Data:
    x, y, weights = data
    return inputs.select(x, rows), targets.select(y, inputs.rows(x), rows), weights
