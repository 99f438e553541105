"""How large parameters, gradients and updates are in each layer, and which units are dead."""

from __future__ import annotations

from copy import deepcopy
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import integer
from ..errors import DivergenceError
from ..training.callback import Callback

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from ..network import Network
    from ..passes import AnyLoss
    from ..trained import Trained
    from ..training import EpochRecord
    from ..training.callback import FitRecord

QUANTITIES = ("parameters", "gradients", "updates", "ratio", "dead")


class LayerStatistics(Callback):
    """Look into each layer after epochs, with a step on a few rows that a copy of the network makes.

    The copy has the optimizer with its state, too, so training goes on to the same bits as without, and what is seen is
    the step that would come next, for these rows, without dropout and without clipping.

    Parameters
    ----------
    X, y : array
        The rows, as `Network.fit` takes them: some hundreds, for each look takes about a step on them.
    loss : optional
        As for `Network.fit`. Default: the fit's.
    every : int
        Look after epochs whose number can be divided by this.

    Attributes
    ----------
    layers : list of str
        Names of the layers that are looked into, as `Network.named_parameters` has them, such as "layers.0".
    epochs : array of int64
        Those after which there was a look.

    Notes
    -----
    ``statistics[name]`` is an array (looks, layers) for each of these names:

    - "parameters", "gradients", "updates": the Euclidean norm over all arrays of the layer. It has no gradient where
      parameters are frozen.
    - "ratio": updates / parameters. About 1e-3 is usual; far below, a layer hardly learns, and far above, it forgets.
    - "dead": the share of a relu layer's units (channels, where it has positions) that are 0 for all of the rows. NaN
      for other layers, and for those inside of `Residual`, `Concatenate` and the like.

    Where the step would not be finite, gradients, updates and ratio are NaN. Each fit begins anew, but one that goes on
    from a checkpoint does not.

    Examples
    --------
    >>> import numpy as np, schuss
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> net = schuss.Network([schuss.Dense(3, 8, "relu"), schuss.Dense(8, 1)], seed=0)
    >>> statistics = schuss.callbacks.LayerStatistics(X, X[:, 0])
    >>> history = net.fit(X, X[:, 0], loss="mse", epochs=4, callbacks=statistics)
    >>> statistics.layers, statistics["ratio"].shape
    (['layers.0', 'layers.1'], (4, 2))
    """

    def __init__(self, X: Any, y: Any, loss: AnyLoss | None = None, *, every: int = 1) -> None:
        self._x, self._y = X, y
        self.loss = loss
        self.every = integer("every", every, 1)
        self._clear()

    def _clear(self) -> None:
        self.layers: list[str] = []
        self._epochs: list[int] = []
        self._found: dict[str, list[list[float]]] = {name: [] for name in QUANTITIES}
        self._of_fit: Any = None

    def __repr__(self) -> str:
        return f"LayerStatistics({len(self)} looks at {len(self.layers)} layers)"

    def __len__(self) -> int:
        return len(self._epochs)

    @property
    def epochs(self) -> NDArray[np.int64]:
        return np.array(self._epochs, np.int64)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        if name not in self._found:
            raise KeyError(f"{name!r} is none of {', '.join(QUANTITIES)}")
        return np.array(self._found[name], np.float64).reshape(len(self), len(self.layers))

    def to_frame(self) -> Any:
        """A pandas DataFrame: a row for each epoch and layer, a column a quantity.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError("to_frame needs pandas: pip install pandas") from None
        index = pandas.MultiIndex.from_product([self._epochs, self.layers], names=["epoch", "layer"])
        return pandas.DataFrame({name: self[name].reshape(-1) for name in QUANTITIES}, index=index)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw a panel a quantity, with a line a layer, by matplotlib.

        Parameters
        ----------
        path : str or path, optional
            Where to save the picture; the ending says the format.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If nothing was recorded.
        """
        if not len(self):
            raise ValueError("there must be at least one look to plot; got none")
        from ..plots.layers import draw_layers

        return draw_layers(self.epochs, self.layers, {name: self[name] for name in QUANTITIES}, path)

    def begin(self, fit: FitRecord) -> None:
        """Try the rows, on a copy: an error is told before the first epoch."""
        if not fit.resumed:
            self._clear()
        self._of_fit = fit.loss
        try:
            _probed(fit.network).loss_and_gradients(self._x, self._y, self._loss(), dropout_factor=0.0)
        except DivergenceError:
            pass
        except (ValueError, TypeError) as error:
            raise type(error)(f"LayerStatistics: {error}") from error

    def __call__(self, record: EpochRecord) -> None:
        """Look, where it is time."""
        if record.epoch % self.every:
            return
        self.layers, found = _looked(record.network, self._x, self._y, self._loss())
        if record.epoch in self._epochs:  # trained once more after a checkpoint
            self._cut(self._epochs.index(record.epoch))
        self._epochs.append(record.epoch)
        for name, values in found.items():
            self._found[name].append(values)

    def _loss(self) -> AnyLoss:
        loss: AnyLoss | None = self._of_fit if self.loss is None else self.loss
        if loss is None:
            raise ValueError("LayerStatistics's loss must be given where no fit tells it")
        return loss

    def _cut(self, looks: int) -> None:
        del self._epochs[looks:]
        for values in self._found.values():
            del values[looks:]

    def end(self, stopped: str) -> None:
        """The loss of a fit is of no meaning after it."""
        self._of_fit = None


def _probed(network: Trained) -> Trained:
    """A copy to look at, without what has been recorded."""
    from ..history import History

    parts = network.__getstate__()
    parts["history"], parts["metadata"], parts["stopping"] = History(), {}, None
    return type(network)._of_parts(deepcopy(parts))


def _looked(network: Trained, x: Any, y: Any, loss: AnyLoss) -> tuple[list[str], dict[str, list[float]]]:
    """Names of layers, and for each quantity its value in each of them."""
    copy = _probed(network)
    dead = _dead(copy, x)
    if copy.optimizer is not None:
        copy.optimizer._enter_steps()
    named = copy.named_parameters()
    layers = {name.rpartition(".")[0]: None for name in named}
    layers.update(dict.fromkeys(dead))
    names = sorted(layers, key=lambda name: [int(part) if part.isdigit() else -1 for part in name.split(".")])

    def norms(arrays: dict[str, NDArray[Any]]) -> list[float]:
        found = dict.fromkeys(names, 0.0)
        for name, array in arrays.items():
            found[name.rpartition(".")[0]] += float(np.square(array, dtype=np.float64).sum())
        of_arrays = {name.rpartition(".")[0] for name in arrays}
        return [float(np.sqrt(found[name])) if name in of_arrays else nan for name in names]

    before = {name: array.copy() for name, array in named.items()}
    nothing = [nan] * len(names)
    gradients, updates = nothing, nothing
    try:
        copy.loss_and_gradients(x, y, loss, dropout_factor=0.0)
        gradients = norms(dict(zip(named, copy.gradients, strict=True)))
        if copy.optimizer is not None:
            copy.train_step(x, y, loss, copy.optimizer, dropout_factor=0.0)
            updates = norms({name: array - before[name] for name, array in copy.named_parameters().items()})
    except DivergenceError:
        pass
    parameters = norms(before)
    ratio = [u / p if p > 0.0 else nan for u, p in zip(updates, parameters, strict=True)]
    found = dict(zip(QUANTITIES, (parameters, gradients, updates, ratio), strict=False))
    return names, {**found, "dead": [dead.get(name, nan) for name in names]}


def _dead(network: Trained, x: Any) -> dict[str, float]:
    """For each relu layer of the outermost ones the share of units that are 0 for all rows."""
    from ..network import Network

    found = {}
    for k, layer in enumerate(network.layers):
        if getattr(layer, "activation", None) != "relu":
            continue
        part: Network = Network(network.layers[: k + 1], seed=0, dtype=network.dtype)
        for mine, theirs in (
            (part.named_parameters(), network.named_parameters()),
            (part.named_states(), network.named_states()),
        ):
            for name, array in mine.items():
                array[...] = theirs[name]
        outputs = part.predict(x)
        units = outputs.reshape(-1, outputs.shape[-1])
        found[f"layers.{k}"] = float((units <= 0.0).all(axis=0).mean())
    return found
