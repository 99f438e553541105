"""Recurrent layers: rows that go through times, each step from what came before."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar, TypeVar

import numpy as np

from ..arguments import choice, flag, integer, number, shown
from .base import Layer, Shape
from .initialisers import INITIALISERS, initial_scale
from .joins import Concatenate

Self = TypeVar("Self", bound="Recurrent")

DIALECTS = ("keras", "torch")


def _checked_input_shape(value: Any) -> tuple[int, int] | None:
    """(times, features), or None: it follows from the layer before."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(f"input_shape must be (times, features), without the rows; got {shown(value)}")
    return integer("input_shape[0]", value[0], 1), integer("input_shape[1]", value[1], 1)


@dataclass(init=False, repr=False, eq=False)
class Recurrent(Layer):
    """What recurrent layers have in common."""

    _has_end: ClassVar[bool] = True
    _spatial: ClassVar[bool] = True
    _gates: ClassVar[int]
    n_hidden: int
    return_sequences: bool
    reverse: bool
    dropout: float
    recurrent_dropout: float
    dialect: str
    init: str
    recurrent_init: str
    input_shape: tuple[int, int] | None

    def _take(
        self,
        n_hidden: Any,
        return_sequences: Any,
        reverse: Any,
        dropout: Any,
        recurrent_dropout: Any,
        dialect: Any,
        init: Any,
        recurrent_init: Any,
        input_shape: Any,
    ) -> None:
        self._set(
            n_hidden=integer("n_hidden", n_hidden, 1),
            return_sequences=flag("return_sequences", return_sequences),
            reverse=flag("reverse", reverse),
            dropout=number("dropout", dropout, "[0, 1)"),
            recurrent_dropout=number("recurrent_dropout", recurrent_dropout, "[0, 1)"),
            dialect=choice("dialect", dialect, DIALECTS),
            init=choice("init", init, INITIALISERS),
            recurrent_init=choice("recurrent_init", recurrent_init, INITIALISERS),
            input_shape=_checked_input_shape(input_shape),
        )

    def after(self: Self, shape: Shape, name: str) -> Self:
        self._check_storage(shape, name)
        if len(shape.dims) != 1:
            what = f"{shape.columns} columns" if not shape.dims else f"rows of {shape.of_row}"
            raise ValueError(
                f"{name}, {type(self).__name__}, must come behind rows of (times, features), as of an "
                f"Input('x', (32, 16)) or a layer with return_sequences=True; got {what}"
            )
        found = (shape.dims[0], shape.columns)
        if self.input_shape not in (None, found):
            raise ValueError(f"{name}.input_shape must be {found}, what comes before it has; got {self.input_shape}")
        arguments = {**self.described(), "input_shape": found}
        del arguments["kind"]
        return type(self)(**arguments)

    @property
    def shape_in(self) -> Shape | None:
        return None if self.input_shape is None else Shape(self.input_shape[1], dims=self.input_shape[:1])

    @property
    def columns_in(self) -> int | None:
        return None if self.input_shape is None else self.input_shape[1]

    @property
    def shape(self) -> Shape:
        times = self.input_shape[:1] if self.input_shape is not None and self.return_sequences else ()
        return Shape(self.n_hidden, dims=times)

    @property
    def end(self) -> tuple[str, float, float]:
        return "identity", 0.0, self.dropout

    @property
    def biases(self) -> int:
        """How many vectors of biases there are."""
        return 2 if self.dialect == "torch" else 1

    @property
    def n_parameters(self) -> int:
        n_in = self.input_shape[1] if self.input_shape is not None else 0
        return self._gates * self.n_hidden * (n_in + self.n_hidden + self.biases)

    def sizes(self) -> dict[str, int]:
        times, n_in = self.input_shape or (0, 0)
        return {"times": times, "n_in": n_in, "n_hidden": self.n_hidden}

    def numbers(self) -> dict[str, float]:
        return {
            "reverse": float(self.reverse),
            "sequences": float(self.return_sequences),
            "biases": float(self.biases),
            "recurrent_dropout": self.recurrent_dropout,
        }

    def starts(self) -> dict[str, Any]:
        n_in = self.input_shape[1] if self.input_shape is not None else 1
        columns = self._gates * self.n_hidden
        return {
            "weight": self._start(self.init, n_in, columns),
            "recurrent": self._start(self.recurrent_init, self.n_hidden, columns),
            "bias": 0.0,
            "recurrent_bias": 0.0,
        }

    def _start(self, init: str, rows: int, columns: int) -> tuple[str, float]:
        if init == "uniform":  # that of torch, whose bound is the same for all arrays
            return init, 1.0 / sqrt(self.n_hidden)
        return initial_scale(init, rows, columns)

    def row(self) -> tuple[str, str, str, str]:
        times, n_in = self.input_shape or (0, 0)
        gives = f"{times} x {self.n_hidden}" if self.return_sequences else f"{self.n_hidden}"
        direction = ", reversed" if self.reverse else ""
        return f"{type(self).__name__} {times} x {n_in} -> {gives}{direction}", "", self.init, f"{self.dropout:g}"


@dataclass(init=False, repr=False, eq=False)
class RNN(Recurrent):
    """``h_t = act(x_t W + h_(t-1) R + b)``: the simplest recurrent layer.

    Rows (times, features) go through their times; the layer gives the last state (n_hidden,), or those of all times
    (times, n_hidden). W has the shape (n_in, n_hidden), R (n_hidden, n_hidden), b (n_hidden,).

    Parameters
    ----------
    n_hidden : int
        At least 1.
    activation : {"tanh", "relu"}
    return_sequences : bool
        Whether it gives the state of all times rather than the last.
    reverse : bool
        Whether rows go through their times from the last to the first. Outputs stand at their times; the last state is
        that of time 0.
    dropout : float
        Probability in [0, 1) that an output is dropped in training, another draw at each time. What the layer hands
        on to its own next step is not dropped.
    recurrent_dropout : float
        Probability in [0, 1) that an element of the state is dropped before it is multiplied by R: the same elements
        at all times of a row.
    dialect : {"keras", "torch"}
        "torch" adds a second vector of biases, ``recurrent_bias``, where one would do, as torch's layers have it.
    init : str
        How W starts, as `Dense`'s, but that "uniform" is in +-1 / sqrt(n_hidden), as torch's layers. Default:
        glorot_uniform.
    recurrent_init : str
        How R starts, as `init`. Default: orthogonal, so that a state neither grows nor vanishes at once.
    input_shape : (int, int), optional
        Times and features of what comes in; follows from the layer before.

    Raises
    ------
    ValueError, TypeError
        If a name is not known or a number out of range.

    Notes
    -----
    Rows of different length: ``lengths=`` of `Network.fit` and all other methods. Nothing is computed for times that
    are not there; outputs there are zeros, as torch's packed sequences give them. The last state is that of the last
    time that is there; of a row of length 0, it is the state in which it began. A reversed layer begins at each row's
    last time.

    References
    ----------
    J. L. Elman, Finding structure in time (1990). A. M. Saxe, J. L. McClelland, S. Ganguli (2014), for the orthogonal
    start. Y. Gal, Z. Ghahramani, A theoretically grounded application of dropout in recurrent neural networks (2016),
    for the same elements at all times.

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([schuss.RNN(32, input_shape=(24, 8)), schuss.Dense(1)], seed=0)
    >>> net.named_parameters()["layers.0.recurrent"].shape
    (32, 32)
    """

    kind: ClassVar[str] = "rnn"
    _gates: ClassVar[int] = 1
    activation: str

    def __init__(
        self,
        n_hidden: int,
        activation: str = "tanh",
        *,
        return_sequences: bool = False,
        reverse: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        dialect: str = "keras",
        init: str = "glorot_uniform",
        recurrent_init: str = "orthogonal",
        input_shape: Any = None,
    ) -> None:
        self._take(
            n_hidden, return_sequences, reverse, dropout, recurrent_dropout, dialect, init, recurrent_init, input_shape
        )
        self._set(activation=choice("activation", activation, ("tanh", "relu")))

    def numbers(self) -> dict[str, float]:
        return {**super().numbers(), "relu": float(self.activation == "relu")}

    def row(self) -> tuple[str, str, str, str]:
        what, _, init, dropout = super().row()
        return what, self.activation, init, dropout


@dataclass(init=False, repr=False, eq=False)
class GRU(Recurrent):
    """Gated recurrent unit: a state that is partly kept and partly made anew.

    With gates r, z, n in this order in W (n_in, 3 n_hidden), R (n_hidden, 3 n_hidden) and the biases b and c:

    | r = sigmoid(x W_r + h R_r + b_r), z = sigmoid(x W_z + h R_z + b_z)
    | n = tanh(x W_n + b_n + r (h R_n + c_n)), or with ``reset="before"`` tanh(x W_n + (r h) R_n + b_n)
    | h = (1 - z) n + z h

    Parameters
    ----------
    n_hidden : int
        At least 1.
    reset : {"after", "before"}
        Whether r acts on the product with R, as in torch and in Keras since version 2.3, or on the state before it
        (Keras' ``reset_after=False``).
    return_sequences, reverse, dropout, recurrent_dropout, init, recurrent_init, input_shape
        As `RNN`'s.
    dialect : {"keras", "torch"}
        Both have the second vector of biases, ``recurrent_bias`` (3 n_hidden,), where the reset comes after; "keras"
        has one vector where it comes before, which "torch" does not know.

    Raises
    ------
    ValueError, TypeError
        If a name is not known or a number out of range.

    References
    ----------
    K. Cho et al., Learning phrase representations using RNN encoder-decoder (2014). A. M. Saxe et al. (2014), for the
    orthogonal start.

    Examples
    --------
    >>> import schuss
    >>> layers = [schuss.GRU(64, return_sequences=True, input_shape=(32, 16)), schuss.GRU(64), schuss.Dense(2)]
    >>> net = schuss.Network(layers, seed=0)
    >>> net.named_parameters()["layers.1.weight"].shape
    (64, 192)
    """

    kind: ClassVar[str] = "gru"
    _gates: ClassVar[int] = 3
    reset: str

    def __init__(
        self,
        n_hidden: int,
        *,
        reset: str = "after",
        return_sequences: bool = False,
        reverse: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        dialect: str = "keras",
        init: str = "glorot_uniform",
        recurrent_init: str = "orthogonal",
        input_shape: Any = None,
    ) -> None:
        self._take(
            n_hidden, return_sequences, reverse, dropout, recurrent_dropout, dialect, init, recurrent_init, input_shape
        )
        self._set(reset=choice("reset", reset, ("after", "before")))
        if self.reset == "before" and self.dialect == "torch":
            raise ValueError("reset must be 'after' in the dialect 'torch', which has no other; got 'before'")

    @property
    def biases(self) -> int:
        return 2 if self.reset == "after" else 1

    def numbers(self) -> dict[str, float]:
        return {**super().numbers(), "reset_after": float(self.reset == "after")}


@dataclass(init=False, repr=False, eq=False)
class LSTM(Recurrent):
    """Long short-term memory: a state and a cell, which is kept, forgotten and added to by gates.

    With gates i, f, g, o in this order in W (n_in, 4 n_hidden), R (n_hidden, 4 n_hidden) and b (4 n_hidden,):

    | i, f, o = sigmoid(x W + h R + b) of their columns, g = tanh of its own
    | c = f c + i g
    | h = o tanh(c)

    Parameters
    ----------
    n_hidden : int
        At least 1.
    forget_bias : float
        What f's bias starts at; all others start at 0. Default 1: gates that begin half open forget within a few steps,
        and so gradients vanish over times (Gers et al., 2000; Jozefowicz et al., 2015, who found no better start, in
        what they compared more important than which variant of gates is used). Keras has it too, torch starts at what
        uniform draws give.
    return_sequences, reverse, dropout, recurrent_dropout, dialect, init, recurrent_init, input_shape
        As `RNN`'s.

    Raises
    ------
    ValueError, TypeError
        If a name is not known or a number out of range.

    References
    ----------
    S. Hochreiter, J. Schmidhuber, Long short-term memory (1997). F. A. Gers, J. Schmidhuber, F. Cummins, Learning to
    forget (2000). R. Jozefowicz, W. Zaremba, I. Sutskever, An empirical exploration of recurrent network architectures
    (2015). A. M. Saxe et al. (2014), for the orthogonal start.

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([schuss.LSTM(64, input_shape=(32, 16)), schuss.Dense(1)], seed=0)
    >>> net.named_parameters()["layers.0.bias"][64]
    np.float32(1.0)
    """

    kind: ClassVar[str] = "lstm"
    _gates: ClassVar[int] = 4
    forget_bias: float

    def __init__(
        self,
        n_hidden: int,
        *,
        forget_bias: float = 1.0,
        return_sequences: bool = False,
        reverse: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        dialect: str = "keras",
        init: str = "glorot_uniform",
        recurrent_init: str = "orthogonal",
        input_shape: Any = None,
    ) -> None:
        self._take(
            n_hidden, return_sequences, reverse, dropout, recurrent_dropout, dialect, init, recurrent_init, input_shape
        )
        self._set(forget_bias=number("forget_bias", forget_bias, "(-inf, inf)"))

    def starts(self) -> dict[str, Any]:
        bias = np.zeros(4 * self.n_hidden)
        bias[self.n_hidden : 2 * self.n_hidden] = self.forget_bias
        return {**super().starts(), "bias": bias}


def Bidirectional(layer: Recurrent) -> Concatenate:
    """A recurrent layer and one like it that goes through times from the last to the first, side by side.

    Parameters
    ----------
    layer : RNN, GRU or LSTM
        The first of the two; not reversed itself.

    Returns
    -------
    Concatenate
        Of both: twice n_hidden columns, first those of `layer`. Without return_sequences these are the state after the
        last time and, of the reversed layer, the one after the first.

    Raises
    ------
    ValueError, TypeError
        If it is no recurrent layer, or reversed.

    References
    ----------
    M. Schuster, K. K. Paliwal, Bidirectional recurrent neural networks (1997).

    Examples
    --------
    >>> import schuss
    >>> both = schuss.Bidirectional(schuss.LSTM(32, return_sequences=True, input_shape=(20, 8)))
    >>> schuss.Network([schuss.Input("x", (20, 8)), both, schuss.Dense(3)], seed=0).predict(np.zeros((1, 20, 8))).shape
    (1, 20, 3)
    """
    if not isinstance(layer, Recurrent):
        raise TypeError(f"layer must be an RNN, GRU or LSTM; got {shown(layer)} ({type(layer).__name__})")
    if layer.reverse:
        raise ValueError("layer.reverse must be False: the other direction is added; got True")
    arguments = layer.described()
    del arguments["kind"]
    return Concatenate([layer, type(layer)(**{**arguments, "reverse": True})])
