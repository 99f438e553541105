"""Networks: layers with a history, an optimizer and whatever else stays from one fit to the next."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .arguments import shown
from .history import History
from .optim import Averaged, Optimizer
from .optim.parts import become
from .optim.wrapper import Wrapper, innermost, layers, rewrapped
from .passes import Passes

if TYPE_CHECKING:
    from . import metrics
    from .layers import Layer
    from .parts import BoundOptimizer, NetworkParts
    from .passes import AnyLoss
    from .training import EarlyStopping, EpochRecord


class Network(Passes):
    """Layers in the compiled core, one after the other; some hold others (`Residual`, `Concatenate`).

    Parameters
    ----------
    layers : sequence of layers
        Each takes what the one before gives, and sizes that follow from it may be left out. The first tells how many
        columns come in, or is an `Input`. softmax in the last one only.
    seed : int, optional
        From 0 to 2**64 - 1: initial weights, shuffling, dropout and the validation split follow from it. Default: drawn
        from the operating system; `seed` tells it.
    dtype : {"float32", "float64"}
        Of parameters and computation.

    Attributes
    ----------
    layers : tuple of layers
        With all their sizes.
    inputs : tuple of Input
        What comes in, by name and in order.
    n_in, n_out : int
        Columns that come in, in all, and that go out.
    history : History
        Of all epochs ever fitted.
    optimizer : Optimizer or None
        That of the last fit, without what stands around it: that is `wrapper`.
    epochs_done : int
        Over all fits and saves; numbers the shuffles.
    metadata : dict
        The user's own; saved with the network.

    Raises
    ------
    ValueError, TypeError
        If layers do not fit together, or an argument is out of range.

    Notes
    -----
    A network may be used by one thread at a time; a call while another thread is in one raises RuntimeError. Pickles
    and deep copies hold the network with the optimizer of its last fit and the wrapper around it, which are bound to
    the copy's parameters.
    """

    def _build(self, layers: Sequence[Layer], seed: int, dtype: Any) -> None:
        super()._build(layers, seed, dtype)
        self.optimizer: Optimizer | None = None
        self._wrapper: Wrapper | None = None
        self.history = History()
        self.epochs_done = 0
        self._fitting = False
        self.metadata: dict[str, Any] = {}

    # -- training ----------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        loss: AnyLoss,
        optimizer: Optimizer | Averaged | str | None = None,
        lr: float | Callable[[int], float] | None = None,
        epochs: int = 10,
        batch_size: int | None = 32,
        shuffle: bool = True,
        validation_data: Sequence[Any] | None = None,
        validation_fraction: float = 0.0,
        sample_weight: Any = None,
        class_weight: str | Mapping[int, float] | Any = None,
        metrics: str | metrics.Metric | Iterable[str | metrics.Metric] = (),
        early_stopping: bool | int | EarlyStopping | None = None,
        callbacks: Iterable[Callable[[EpochRecord], Any]] = (),
        verbose: int = 0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        restore_on_divergence: bool = True,
    ) -> History:
        """Train for some epochs, in compiled code. Calling it again goes on where it stopped.

        Parameters
        ----------
        X : array of shape (rows, n_in)
            Finite real numbers of any dtype and layout, read-only and memory-mapped ones included; converted to the
            network's dtype where that is another. With several inputs a dict by their names, such as
            ``{"numbers": X, "codes": C}``, or a tuple in their order.
        y : array
            For cross_entropy integer labels (rows,) from 0 to n_out - 1, or rows of probabilities (rows, n_out). For
            binary_cross_entropy values in [0, 1], for poisson values >= 0, for the others real numbers, of shape
            (rows, n_out), or (rows,) if n_out is 1.
        loss : str, loss object or callable
            mse, mae, huber, quantile, cross_entropy, binary_cross_entropy, focal, binary_focal, poisson, gamma,
            tweedie, gaussian; an object such as ``schuss.Huber(2.0)``; or a function
            ``(prediction, target) -> (mean value, gradient by the prediction)``, called once a batch.
        optimizer : Optimizer or str, optional
            An optimizer over ``net.parameters``, or a name: that of a class of ``schuss.optim`` in lower case, as adam,
            adamw, lion or schedule_free_sgd. A name means the optimizer of the last fit, its state included, if that is
            of this kind; otherwise a new one with default arguments. Default: the optimizer of the last fit, or a new
            Adam.
        lr : float or callable, optional
            Learning rate, or a schedule: one of ``schuss.schedules`` or a function ``step -> lr`` where step counts the
            optimizer's steps from 0. Replaces the rate of an optimizer that goes on. Not with an Optimizer object,
            which has its own. A ``ReduceOnPlateau`` gets the validation loss (the loss, without validation data; or
            what it monitors) after each epoch.
        epochs : int
            How many more epochs.
        batch_size : int or None
            Rows a step; the last batch of an epoch may be shorter and is used. None: all rows.
        shuffle : bool
            Whether each epoch takes the rows in a new order, which follows from the network's seed and the epoch's
            number.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Evaluated after each epoch. Class weights do not apply to it.
        validation_fraction : float
            In [0, 1): share of the rows to hold out instead, chosen by the network's seed.
        sample_weight : array of shape (rows,), optional
            Finite, >= 0. The loss of a batch is the weighted mean over its rows.
        class_weight : "balanced", dict or array, optional
            Weights by label, times the sample weights; a dict's missing labels weigh 1. "balanced" is rows / (classes
            present * rows of the class). For integer labels and for binary_cross_entropy with one output.
        metrics : str, callable or sequence of these
            accuracy, mse, mae, r2, or functions ``(prediction, target) -> number``, which get what `predict` gives and
            no weights. Computed after each epoch on the training rows and, as "val_...", on the validation rows.
        early_stopping : bool, int or EarlyStopping, optional
            True: ``EarlyStopping()``; an int: its patience.
        callbacks : callables
            Called after each epoch with an `EpochRecord`; one that returns True ends the fit.
        verbose : int
            0: silent; 1: a progress bar on stderr if that is a terminal, otherwise as 2; 2: a line an epoch.
        clip_norm, clip_value : float, optional
            Limits of the gradients' global norm and of their elements, applied in the other order.
        restore_on_divergence : bool
            Whether to keep a copy of the parameters and of the optimizer's state to go back to. Without, a fit with
            Adam takes half the memory, and after divergence the network is as the failing step left it, possibly not
            finite.

        Returns
        -------
        History
            Of this fit; `history` has all fits.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described. Nothing has changed.
        DivergenceError
            If a loss or gradient was not finite. The network has the parameters and the optimizer the state of the
            start of that epoch (or of one before: if the first batch failed already, or where epochs are so short that
            keeping each would slow them down) unless ``restore_on_divergence=False``, or the best parameters if early
            stopping keeps them.
        KeyboardInterrupt
            On Ctrl-C, within about 50 ms and the batch at hand. The network stays usable, with the best parameters if
            early stopping keeps them.
        RuntimeError
            If this network is being fitted already, by another thread or around a callback.
        """
        from .training import fit

        if self._fitting:
            raise RuntimeError("this network is being fitted already, by another thread or around this callback")
        self._fitting = True
        try:
            found = fit(
                self,
                X,
                y,
                loss=loss,
                optimizer=optimizer,
                lr=lr,
                epochs=epochs,
                batch_size=batch_size,
                shuffle=shuffle,
                validation_data=validation_data,
                validation_fraction=validation_fraction,
                sample_weight=sample_weight,
                class_weight=class_weight,
                metrics=metrics,
                early_stopping=early_stopping,
                callbacks=callbacks,
                verbose=verbose,
                clip_norm=clip_norm,
                clip_value=clip_value,
                restore_on_divergence=restore_on_divergence,
            )
        finally:
            self._fitting = False
        return found

    @property
    def wrapper(self) -> Wrapper | None:
        """What stands around `optimizer`: the `EMA`, `SWA` or `Lookahead` that the last fit was given, or None.

        It can be set, to one around any optimizer over `parameters`, which then is `optimizer`: so that files, pickles
        and deep copies of the network have a `SAM` or `Accumulate` of a loop of your own.
        """
        found = self._wrapper
        return found if found is not None and innermost(found) is self.optimizer else None

    @wrapper.setter
    def wrapper(self, given: Wrapper | None) -> None:
        if given is not None:
            if not isinstance(given, Wrapper):
                raise TypeError(f"wrapper must be an EMA, SWA, Lookahead, SAM, Accumulate or None; got {shown(given)}")
            self._indices_of(innermost(given))
            self.optimizer = innermost(given)
        self._wrapper = given

    # -- state -------------------------------------------------------------------------------------------------------

    def save(
        self,
        path: str | os.PathLike[str],
        optimizer: Optimizer | Wrapper | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Write the network to one file, atomically. `schuss.load` reads it.

        Saved are layers, parameters, seed, counters, history, `metadata`, and the optimizer's kind, hyperparameters and
        state, so that training goes on as if nothing had happened. Its schedule is saved too if it is one of
        ``schuss.schedules`` without a function in it; of a function, the current value is: give it as ``lr=`` to the
        next `fit`, where it goes on at the optimizer's step. Averages that the optimizer keeps are saved with it, and
        what stands around it, such as `EMA` or `SAM`: after `schuss.load`, that is ``net.wrapper``. A file that is
        there keeps its permissions.

        Parameters
        ----------
        path : str or path
            Ending in .npz, or in .safetensors where the safetensors package is installed. The content is the same.
        optimizer : Optimizer, EMA, SWA, Lookahead, SAM or Accumulate, optional
            Over this network's parameters. Default: `wrapper`, or `optimizer`.
        metadata : dict, optional
            What JSON can hold: tuples come back as lists, keys as strings. Default: the network's `metadata`.

        Raises
        ------
        ValueError, TypeError
            If the ending is another, the optimizer is not over this network's parameters, the metadata is not JSON, or
            something was set to what `schuss.load` would refuse, such as ``epochs_done`` to -1.
        OSError
            If the file cannot be written; an old one is still there.
        """
        from .files.networks import write

        given = (self.wrapper or self.optimizer) if optimizer is None else optimizer
        parts = self._parts_with(given)
        write(path, parts if metadata is None else {**parts, "metadata": metadata})

    def summary(self) -> str:
        """A table of the layers."""
        rows = [("layer", "activation", "init", "dropout", "parameters"), *_rows_of(self.layers, "")]
        rows.append((f"{self.dtype}, seed {self.seed}", "", "", "", f"{self.n_parameters:,}"))
        # The last row's text may run on over the empty cells beside it.
        widths = [max(len(row[k]) for row in rows[:-1]) for k in range(5)]
        widths[4] = max(len(row[4]) for row in rows)
        widths[0] = max(widths[0], len(rows[-1][0]) - sum(widths[1:4]) - 6)
        lines = ["  ".join([*map(str.ljust, row[:4], widths), row[4].rjust(widths[4])]) for row in rows[:-1]]
        last = rows[-1]
        lines.append(last[0].ljust(sum(widths[:4]) + 6) + "  " + last[4].rjust(widths[4]))
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def __repr__(self) -> str:
        return f"Network({list(self.layers)!r}, seed={self.seed}, dtype={self.dtype.name!r})"

    def _parts_with(self, given: Any) -> NetworkParts:
        """What this network has, with an optimizer or a wrapper over its parameters in place of its own."""
        optimizer: BoundOptimizer | None = None
        if given is not None:
            inner = innermost(given)
            indices = self._indices_of(inner)
            own = inner.__getstate__()
            optimizer = {
                "kind": type(inner),
                "indices": indices,
                "parts": {**own, "groups": [{**group, "params": None} for group in own["groups"]]},
                "wrappers": [(type(wrapper), wrapper._parts()) for wrapper in layers(given)],
            }
        return {
            "layers": self.layers,
            "seed": self.seed,
            "dtype": self.dtype.name,
            "parameters": list(self.parameters),
            "states": list(self._core.states),
            "draws": self._core.draws,
            "epochs_done": self.epochs_done,
            "history": self.history,
            "metadata": self.metadata,
            "optimizer": optimizer,
        }

    @classmethod
    def _of_parts(cls, parts: NetworkParts) -> Network:
        new = cls.__new__(cls)
        new.__setstate__(parts)
        return new

    def __getstate__(self) -> NetworkParts:
        return self._parts_with(self.wrapper or self.optimizer)

    def __setstate__(self, parts: NetworkParts) -> None:
        become(self, Network._fill, parts)

    def _fill(self, parts: NetworkParts) -> None:
        self._build(parts["layers"], parts["seed"], parts["dtype"])
        for mine, theirs in zip(self.parameters, parts["parameters"], strict=True):
            mine[...] = theirs
        for mine, theirs in zip(self._core.states, parts["states"], strict=True):
            mine[...] = theirs
        self._core.draws = parts["draws"]
        self.epochs_done = parts["epochs_done"]
        self.history = parts["history"]
        self.metadata = parts["metadata"]
        bound = parts["optimizer"]
        if bound is not None:
            groups = [
                {**group, "params": [self.parameters[k] for k in own]}
                for group, own in zip(bound["parts"]["groups"], bound["indices"], strict=True)
            ]
            optimizer = bound["kind"].__new__(bound["kind"])
            optimizer.__setstate__({**bound["parts"], "groups": groups})
            self.optimizer = optimizer
            if bound["wrappers"]:
                self._wrapper = rewrapped(optimizer, bound["wrappers"])

    def __copy__(self) -> Network:
        raise TypeError("a Network's parameters lie in one piece of memory: use copy.deepcopy")

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        from copy import deepcopy

        new = Network.__new__(type(self))
        memo[id(self)] = new
        new.__setstate__(deepcopy(self.__getstate__(), memo))
        # So that an optimizer copied together with its network is bound to the copy.
        memo.update((id(mine), copy) for mine, copy in zip(self.parameters, new.parameters, strict=True))
        if self.optimizer is not None:
            memo[id(self.optimizer)] = new.optimizer
        memo.update((id(mine), copy) for mine, copy in zip(layers(self.wrapper), layers(new.wrapper), strict=True))
        return new


def _rows_of(layers: Iterable[Layer], indent: str) -> list[tuple[str, str, str, str, str]]:
    """Rows of a summary; layers inside of others are indented."""
    rows = []
    for layer in layers:
        text, *rest = layer.row()
        branches = getattr(layer, "branches", None)
        inner = branches if branches is not None else [layer.layers] if hasattr(layer, "layers") else []
        rows.append((indent + text, *rest, "" if inner else f"{layer.n_parameters:,}"))
        for k, branch in enumerate(inner):
            if branches is not None:
                rows.append((f"{indent}  branch {k}", "", "", "", ""))
            rows += _rows_of(branch, indent + ("    " if branches is not None else "  "))
    return rows  # type: ignore[return-value]
