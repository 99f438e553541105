"""One output of an ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..arguments import choice, integer
from .base import Layer, Shape, Start, optional_size

_ACTIVATIONS = ("identity", "softmax", "sigmoid", "exp", "softplus", "tanh")


@dataclass(init=False, repr=False, eq=False)
class MeanOfMembers(Layer):
    """The mean over the k members of an ensemble, whose outputs come in side by side: (rows, k * n) -> (rows, n).

    It is the last layer. In prediction the network gives the mean of what the activation makes of each member: with
    softmax the mean of probabilities. In training each member is trained for itself: the loss of a row is the mean of
    its members' losses, each with the row's target and weight. A loss function of one's own gets k rows for each row of
    the batch, the members' one after the other, with the targets repeated. `evaluate`, metrics and validation are about
    the mean: the loss that they tell is that of the prediction.

    Parameters
    ----------
    members : int
        k, at least 1.
    activation : {"identity", "softmax", "sigmoid", "exp", "softplus", "tanh"}
        Of each member, before the mean.
    n : int, optional
        Columns of a member; follows from the layer before.

    Raises
    ------
    ValueError, TypeError
        If a name is not known or a number out of range.

    Notes
    -----
    `Network.forward` in training gives all members, (rows, k * n); `Network.backward` takes the derivative by these.

    References
    ----------
    Y. Gorishniy, A. Kotelnikov, A. Babenko, "TabM: advancing tabular deep learning with parameter-efficient
    ensembling", 2025.

    Examples
    --------
    >>> import schuss
    >>> first = schuss.EnsembleDense(64, "relu", members=8, n_in=5, shares_input=True, start="signs")
    >>> heads = schuss.EnsembleDense(3, members=8)
    >>> net = schuss.Network([first, heads, schuss.MeanOfMembers(8, "softmax")], seed=0)
    >>> net.n_out
    3
    """

    kind: ClassVar[str] = "mean_of_members"
    _has_end: ClassVar[bool] = True
    dropout: ClassVar[float] = 0.0
    alpha: ClassVar[float | None] = None
    members: int
    activation: str
    n: int | None

    def __init__(self, members: int, activation: str = "identity", *, n: int | None = None) -> None:
        self._set(
            members=integer("members", members, 1),
            activation=choice("activation", activation, _ACTIVATIONS),
            n=optional_size("n", n),
        )

    def after(self, shape: Shape, name: str) -> MeanOfMembers:
        self._check_storage(shape, name)
        each, rest = divmod(shape.columns, self.members)
        if rest:
            raise ValueError(
                f"{name}.members must divide {shape.columns}, what comes before it has; got {self.members}"
            )
        if self.n not in (None, each):
            raise ValueError(f"{name}.n must be {each}, what comes before it has for a member; got {self.n}")
        return MeanOfMembers(self.members, self.activation, n=each)

    @property
    def columns_in(self) -> int | None:
        return None if self.n is None else self.members * self.n

    @property
    def shape(self) -> Shape:
        return Shape(self.n or 0)

    @property
    def n_parameters(self) -> int:
        return 0

    def sizes(self) -> dict[str, int]:
        return {"members": self.members}

    def starts(self) -> dict[str, Start]:
        return {}

    def row(self) -> tuple[str, str, str, str]:
        return f"Mean of {self.members} members, {self.n} each", self.activation, "", ""
