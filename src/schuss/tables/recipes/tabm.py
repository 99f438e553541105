"""TabM: members of an ensemble that share their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...layers import EnsembleDense, GroupedDense, Input, MeanOfMembers
from ...losses import Gamma, Poisson, Tweedie
from ...optim import AdamW
from ..encoding import Encoding
from .base import Recipe, Task

if TYPE_CHECKING:
    from ...layers import Layer
    from ...network import Network
    from ...optim import Optimizer
    from ..schema import Columns
    from .base import Inputs


@dataclass(frozen=True)
class TabM(Recipe):
    """TabM: perceptrons that share their weights, each with factors and biases of its own.

    Numbers become normally distributed by their quantiles, categories one-hot columns. What is predicted is the mean of
    the members; each is trained by its own loss.

    Parameters
    ----------
    epochs, batch_size, patience, ties, drop_last, clip_norm : as `RealMLP`
    members : int
    hidden : tuple of int
        Neurons of a member's hidden layers.
    activation : str
    dropout : float
    lr, weight_decay : float
        Of AdamW.
    noise : float
        Deviation of what is added to numbers before their quantiles are learned.

    References
    ----------
    Y. Gorishniy, A. Kotelnikov, A. Babenko, TabM: Advancing tabular deep learning with parameter-efficient ensembling
    (2024), https://arxiv.org/abs/2410.24210
    """

    name: ClassVar[str] = "tabm"
    epochs: int = 200
    batch_size: int = 256
    patience: int | None = 16
    ties: str = "first"
    drop_last: bool = False
    clip_norm: float | None = None
    members: int = 32
    hidden: tuple[int, ...] = (512, 512, 512)
    activation: str = "relu"
    dropout: float = 0.1
    lr: float = 2e-3
    weight_decay: float = 3e-4
    noise: float = 1e-5

    def networks(self, rows: int) -> int:
        """One: it is an ensemble."""
        return 1

    def encoding(self, columns: Columns, cardinalities: Sequence[int]) -> Encoding:
        return Encoding.fit(
            columns, cardinalities, scaled="quantiles", scaled_flags=False, binary="two", noise=self.noise
        )

    def layers(self, encoding: Encoding, inputs: Inputs, task: Task) -> list[Layer]:
        k = self.members
        found: list[Layer] = [Input("columns", encoding.widths["columns"])]
        for place, n in enumerate(self.hidden):
            # One draw a feature and member, however many columns the feature has.
            first = {"shares_input": True, "start": "signs", "start_groups": encoding.chunks()} if not place else {}
            found.append(EnsembleDense(n, self.activation, members=k, dropout=self.dropout, **first))  # type: ignore[arg-type]
        return [*found, GroupedDense(k, None, task.outputs), MeanOfMembers(k, _activation(task))]

    def optimizer(self, network: Network, task: Task, steps: int) -> Optimizer:
        return AdamW(network.parameters, lr=self.lr, weight_decay=self.weight_decay)


def _activation(task: Task) -> str:
    """What each member's outputs go through before their mean: predictions are averaged, not logits."""
    if task.classes:
        return "softmax"
    return "exp" if isinstance(task.loss, (Gamma, Poisson, Tweedie)) else "identity"
