"""What a network has: one list, by which files, pickles and deep copies go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .history import History
    from .layers import Layer
    from .optim import Optimizer
    from .optim.parts import Parts
    from .optim.wrapper import Wrapper, WrapperParts


class BoundOptimizer(TypedDict):
    """The optimizer of a network.

    Attributes
    ----------
    kind : type
        Its class.
    indices : list of list of int
        For each group, which of the network's parameters are in it.
    parts : Parts
        What it has; "params" of the groups is None.
    wrappers : sequence of (type, WrapperParts)
        What stands around it, the outermost first.
    beside : sequence of BoundOptimizer
        The optimizers that the innermost of these holds apart from this one, without anything around them.
    """

    kind: type[Optimizer]
    indices: list[list[int]]
    parts: Parts
    wrappers: Sequence[tuple[type[Wrapper], WrapperParts]]
    beside: Sequence[BoundOptimizer]


class StoppingParts(TypedDict):
    """What early stopping remembers in the middle of a fit.

    Attributes
    ----------
    value : float
        The best monitored one, negative where more is better; infinite before there is one.
    waited : int
        Epochs without improvement.
    parameters : list of arrays
        Those of the best epoch, and then states; none where they are not to be restored.
    """

    value: float
    waited: int
    parameters: list[NDArray[Any]]


class NetworkParts(TypedDict):
    """Everything that a network has.

    Attributes
    ----------
    layers, seed, dtype, epochs_done, history, metadata
        As the network's attributes; dtype by its name.
    parameters, states : list of arrays
        Of its layers.
    draws : int
        How many forward passes have drawn random numbers.
    optimizer : BoundOptimizer or None
    stopping : StoppingParts or None
        None: no fit with early stopping is under way.
    """

    layers: Sequence[Layer]
    seed: int
    dtype: str
    parameters: list[NDArray[Any]]
    states: list[NDArray[Any]]
    draws: int
    epochs_done: int
    history: History
    metadata: dict[str, Any]
    optimizer: BoundOptimizer | None
    stopping: StoppingParts | None


# For each attribute of a network, where in the list it is, or what it follows from; none: it is of no lasting meaning.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "layers": ("layers",),
    "inputs": ("layers",),
    "n_in": ("layers",),
    "n_out": ("layers",),
    "dtype": ("dtype",),
    "_graph": ("layers",),
    "_row_in": ("layers",),
    "_dims_out": ("layers",),
    "_lengths": ("layers",),
    "_shaped": ("layers",),
    "_one_time": ("layers",),
    "_core": ("layers", "seed", "dtype", "parameters", "states", "draws"),
    "_parameters": ("parameters",),
    "_gradients": (),
    "_optimizer": ("optimizer",),
    "_wrapper": ("optimizer",),
    "history": ("history",),
    "epochs_done": ("epochs_done",),
    "metadata": ("metadata",),
    "_fitting": (),
    "_stopping": ("stopping",),
}
