"""RealMLP: a perceptron whose defaults were tuned on many tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from ...arguments import choice
from ...layers import (
    Activation,
    Clamp,
    Concatenate,
    Dense,
    Embedding,
    GroupedDense,
    Input,
    ParametricActivation,
    Periodic,
    Scale,
)
from ...losses import CrossEntropy, Gaussian, Loss
from ...optim import Adam, AdamW
from ...schedules import CosLog, FlatCos
from ...starting import start_from_data
from ..encoding import Encoding
from .base import Recipe, Task, grouped

if TYPE_CHECKING:
    from ...layers import Layer
    from ...network import Network
    from ...optim import Optimizer
    from ..schema import Columns
    from .base import Inputs


@dataclass(frozen=True)
class RealMLP(Recipe):
    """RealMLP-TD.

    Numbers are scaled robustly and embedded by learned cosines beside themselves; few categories become columns, many
    a table; behind a factor a column come three hidden layers whose activations learn their share. Weights and biases
    start from what they do to the training rows. The rate makes four waves; dropout and decay fade in the second half.

    Parameters
    ----------
    epochs, batch_size : int
    patience : int or None
        Epochs without improvement after which training stops. None: never.
    ties : {"first", "last"}
        Which of several equally good epochs is kept.
    drop_last : bool
        Whether a last batch with fewer rows is left out.
    clip_norm : float or None
        Limit of the gradients' norm.
    hidden : tuple of int
        Neurons of each hidden layer.
    activation : str or None
        None: selu for classes, mish for quantities.
    parametric : bool
        Whether each neuron learns how much of its activation it applies.
    dropout : float
    lr : float or None
        The top of each wave of the rate. None: 0.04 for classes and a predicted deviation, 0.2 for quantities.
    waves : int
    betas, eps : as `schuss.Adam`
    weight_decay : float
        Not of the layers' biases.
    decay_by_rate : {"once", "twice"}
        Whether decay takes a group's factor of the rate as AdamW does, or once more, as pytabkit does.
    label_smoothing : float
        Of classes, in training.
    scale_rate, bias_rate, embedding_rate, activation_rate : float
        Factors of the rate: of the factors a column, the layers' biases, the embedding of numbers, the activations'
        shares.
    frequencies : int
        Cosines a number; 0: numbers are not embedded.
    frequency_std : float
        Deviation of the frequencies' start.
    number_dim : int
        Columns that each number becomes, itself included.
    most_one_hot : int or None
        A column of more categories than this becomes a table. None: none does.
    category_dim : int
        Columns of the table.
    limit : float
        Of the scaled numbers.
    start_from : {"data", "normal"}
        Whether parameters start by what they do to the training rows, or as normal numbers, the last layer as zeros.
    clamped : bool
        Whether predicted quantities stay within those of training.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, Better by default: strong pre-tuned MLPs and boosted trees on tabular
    data (2024), https://arxiv.org/abs/2407.04491
    """

    name: ClassVar[str] = "realmlp"
    epochs: int = 256
    batch_size: int = 256
    patience: int | None = None
    ties: str = "last"
    drop_last: bool = True
    clip_norm: float | None = None
    hidden: tuple[int, ...] = (256, 256, 256)
    activation: str | None = None
    parametric: bool = True
    dropout: float = 0.15
    lr: float | None = None
    waves: int = 4
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.02
    decay_by_rate: str = "once"
    label_smoothing: float = 0.1
    scale_rate: float = 6.0
    bias_rate: float = 0.1
    embedding_rate: float = 0.1
    activation_rate: float = 0.1
    frequencies: int = 16
    frequency_std: float = 0.1
    number_dim: int = 4
    most_one_hot: int | None = 8
    category_dim: int = 8
    limit: float = 3.0
    start_from: str = "data"
    clamped: bool = True
    _lrs: ClassVar[tuple[float, float]] = (0.04, 0.2)

    def __post_init__(self) -> None:
        choice("decay_by_rate", self.decay_by_rate, ("once", "twice"))
        choice("start_from", self.start_from, ("data", "normal"))

    def encoding(self, columns: Columns, cardinalities: Sequence[int]) -> Encoding:
        return Encoding.fit(
            columns,
            cardinalities,
            limit=self.limit,
            most_one_hot=self.most_one_hot,
            parted=self.frequencies > 0,
        )

    def layers(self, encoding: Encoding, inputs: Inputs, task: Task) -> list[Layer]:
        branches = self._branches(encoding)
        front: list[Layer] = branches[0] if len(branches) == 1 else [Concatenate(branches)]
        activation = self.activation or ("selu" if task.classes else "mish")
        normal = self.start_from == "normal"
        start: dict[str, Any] = {"parametrization": "ntp", "bias_std": 1.0 if normal else 0.0}
        behind: list[Layer] = []
        for n in self.hidden:
            if self.parametric:
                behind += [Dense(n, **start), ParametricActivation(activation)]
                if self.dropout:
                    behind.append(Activation("identity", dropout=self.dropout))
            else:
                behind.append(Dense(n, activation, dropout=self.dropout, **start))
        behind.append(Dense(task.outputs, parametrization="ntp", init="zeros" if normal else None))
        if self.clamped and task.limits is not None:
            behind.append(Clamp(*task.limits))
        return [*front, Scale(), *behind]

    def _branches(self, encoding: Encoding) -> list[list[Layer]]:
        found: list[list[Layer]] = []
        for name, width in encoding.widths.items():
            if name == "numbers":
                embedded = [
                    Periodic(self.frequencies, self.frequency_std, form="cos"),
                    GroupedDense(width, self.frequencies, self.number_dim - 1),
                ]
                found.append([Input(name, width), Concatenate([embedded, []])])
            elif name == "codes":
                table = Embedding(encoding.table_rows, self.category_dim)
                found.append([Input(name, width, dtype="int64"), table])
            else:
                found.append([Input(name, width)])
        return found

    def start(self, network: Network, inputs: Inputs) -> None:
        if self.start_from == "data":
            start_from_data(network, inputs)

    def cautious(self) -> RealMLP | None:
        if self.start_from == "normal":
            return None
        # Few different rows, or almost equal ones, make large weights whose outputs cancel, until dropout takes some.
        lowest = min(self._lrs)
        return replace(self, start_from="normal", lr=lowest if self.lr is None else min(lowest, self.lr))

    def optimizer(self, network: Network, task: Task, steps: int) -> Optimizer:
        # The likelihood of a deviation is steep where that is small: it takes the smaller rate.
        quantity = task.classes == 0 and not isinstance(task.loss, Gaussian)
        lr = self._lrs[quantity] if self.lr is None else self.lr
        options: dict[str, Any] = {"lr": CosLog(lr, steps, self.waves), "betas": self.betas, "eps": self.eps}
        if not self.weight_decay:
            return Adam(grouped(network, self._group), **options)
        groups = grouped(network, self._group)
        for group in groups:
            if group["weight_decay"]:
                group["weight_decay"] = FlatCos(group["weight_decay"], steps)
        return AdamW(groups, **options)

    def _group(self, layer: Layer, array: str) -> Mapping[str, Any]:
        """What an array of a layer gets: its factor of the rate, and its decay."""
        dense_bias = isinstance(layer, Dense) and array == "bias"
        rate = 1.0
        if isinstance(layer, Scale):
            rate = self.scale_rate
        elif dense_bias:
            rate = self.bias_rate
        elif isinstance(layer, (Periodic, GroupedDense)):
            rate = self.embedding_rate
        elif isinstance(layer, ParametricActivation):
            rate = self.activation_rate
        if not self.weight_decay:
            return {"lr_factor": rate}
        decay = 0.0 if dense_bias else self.weight_decay * (rate if self.decay_by_rate == "twice" else 1.0)
        return {"lr_factor": rate, "weight_decay": decay}

    def loss(self, task: Task) -> Loss:
        if task.loss is None and task.classes:
            return CrossEntropy(self.label_smoothing)
        return super().loss(task)

    def during(self, steps: int) -> dict[str, Any]:
        return {"dropout_factor": FlatCos(1.0, steps)} if self.dropout else {}


@dataclass(frozen=True)
class RealMLPS(RealMLP):
    """RealMLP-TD-S, the simpler one.

    All columns are scaled robustly, those of categories too, and come behind a factor each into three plain layers with
    normally distributed weights and biases.

    Parameters
    ----------
    As `RealMLP`'s, with other numbers.
    """

    name: ClassVar[str] = "realmlp-s"
    parametric: bool = False
    dropout: float = 0.0
    weight_decay: float = 0.0
    frequencies: int = 0
    most_one_hot: int | None = None
    start_from: str = "normal"
    clamped: bool = False
    _lrs: ClassVar[tuple[float, float]] = (0.04, 0.07)
