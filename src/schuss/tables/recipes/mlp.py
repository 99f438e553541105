"""A plain perceptron: the fastest recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...layers import Concatenate, Dense, Embedding, Input
from ...optim import by_name
from ...schedules import Cosine
from ..encoding import Encoding
from .base import Recipe, Task

if TYPE_CHECKING:
    from ...layers import Layer
    from ...network import Network
    from ...optim import Optimizer
    from ..schema import Columns
    from .base import Inputs

# Where a cosine starts from unless told otherwise; the other optimizers' own rates stay what they are.
LEARNING_RATES = {"sgd": 0.05, "adagrad": 0.01, "rmsprop": 1e-3, "adam": 1e-3, "adamw": 1e-3, "nadam": 1e-3}


@dataclass(frozen=True)
class MLP(Recipe):
    """Hidden layers behind robustly scaled numbers, one-hot columns and tables of categories; a rate that falls.

    Parameters
    ----------
    epochs, batch_size, patience, ties, drop_last, clip_norm : as `RealMLP`
    hidden : tuple of int
        Neurons of each hidden layer.
    activation : str
    dropout : float
    optimizer_name : str
        Any of `schuss.optim` by name.
    lr : float or None
        At the start; it falls to 0 along half a cosine. None: what suits the optimizer.
    weight_decay : float or None
        Not of biases. None: the optimizer's own.
    most_one_hot : int or None
        A column of more categories than this becomes a table. None: none does.
    category_dim : int
        Columns of the table.
    limit : float
        Of the scaled numbers.
    """

    name: ClassVar[str] = "mlp"
    epochs: int = 100
    batch_size: int = 256
    patience: int | None = None
    ties: str = "first"
    drop_last: bool = True
    clip_norm: float | None = None
    hidden: tuple[int, ...] = (256, 256, 256)
    activation: str = "mish"
    dropout: float = 0.0
    optimizer_name: str = "adamw"
    lr: float | None = None
    weight_decay: float | None = None
    most_one_hot: int | None = 8
    category_dim: int = 8
    limit: float = 3.0

    def encoding(self, columns: Columns, cardinalities: Sequence[int]) -> Encoding:
        return Encoding.fit(columns, cardinalities, limit=self.limit, most_one_hot=self.most_one_hot)

    def layers(self, encoding: Encoding, inputs: Inputs, task: Task) -> list[Layer]:
        branches: list[list[Layer]] = []
        for name, width in encoding.widths.items():
            if name == "codes":
                table = Embedding(encoding.table_rows, self.category_dim)
                branches.append([Input(name, width, dtype="int64"), table])
            else:
                branches.append([Input(name, width)])
        front: list[Layer] = branches[0] if len(branches) == 1 else [Concatenate(branches)]
        hidden = [Dense(n, self.activation, dropout=self.dropout) for n in self.hidden]
        return [*front, *hidden, Dense(task.outputs)]

    def optimizer(self, network: Network, task: Task, steps: int) -> Optimizer:
        kind = by_name(self.optimizer_name)
        options: dict[str, Any] = dict(kind._of_network)
        lr = LEARNING_RATES.get(self.optimizer_name) if self.lr is None else self.lr
        if lr is not None:
            options["lr"] = Cosine(lr, steps)
        if self.weight_decay is not None:
            options["weight_decay"] = self.weight_decay
        return kind(network.parameter_groups({"*.bias": {"weight_decay": 0.0}}), **options)
