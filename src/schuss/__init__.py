"""Gradient descent, backpropagation and their family of optimizers, compiled, over NumPy arrays."""

from typing import TYPE_CHECKING

from . import optim
from ._core import __version__
from .config import show_config
from .errors import DivergenceError
from .habits import unknown
from .history import History
from .layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    AvgPool,
    BatchNorm,
    Bidirectional,
    Clamp,
    Concatenate,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    EmbeddingBag,
    EnsembleDense,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupedDense,
    Input,
    LayerNorm,
    MaxPool,
    MeanOfMembers,
    ParametricActivation,
    Periodic,
    PiecewiseLinear,
    PReLU,
    Residual,
    Scale,
)
from .losses import (
    MAE,
    MSE,
    BinaryCrossEntropy,
    BinaryFocal,
    CrossEntropy,
    Focal,
    Gamma,
    Gaussian,
    Huber,
    Loss,
    Poisson,
    Quantile,
    Tweedie,
)
from .network import Network
from .optim import *  # noqa: F403  its list is below
from .sequences import Sequences, streams, windows
from .serialization import load
from .threads import get_num_threads, set_num_threads, threads

__all__ = [
    "GRU",
    "LSTM",
    "MAE",
    "MSE",
    "RNN",
    "Activation",
    "Augment",
    "AvgPool",
    "Bags",
    "BatchNorm",
    "Bidirectional",
    "BinaryCrossEntropy",
    "BinaryFocal",
    "Clamp",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "CrossEntropy",
    "Dense",
    "DivergenceError",
    "EarlyStopping",
    "Embedding",
    "EmbeddingBag",
    "EnsembleDense",
    "EpochRecord",
    "Flatten",
    "Focal",
    "Gamma",
    "Gaussian",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GroupedDense",
    "Hashed",
    "History",
    "Huber",
    "Input",
    "LayerNorm",
    "Loss",
    "MaxPool",
    "MeanOfMembers",
    "Network",
    "PReLU",
    "ParametricActivation",
    "Periodic",
    "PiecewiseLinear",
    "Poisson",
    "Quantile",
    "RateSweep",
    "Residual",
    "Scale",
    "Sequences",
    "Tweedie",
    "__version__",
    "callbacks",
    "compare",
    "find_lr",
    "fit_side_by_side",
    "from_keras",
    "from_torch",
    "get_num_threads",
    "load",
    "load_table",
    "minimize",
    "plots",
    "recommend",
    "schedules",
    "scipy",
    "set_num_threads",
    "show_config",
    "start_from_data",
    "streams",
    "threads",
    "to_keras",
    "to_torch",
    "windows",
]
# All optimizers by their names.
__all__ += optim.__all__

if TYPE_CHECKING:
    from . import callbacks, plots, recommend, schedules, scipy
    from .augment import Augment
    from .bags import Bags
    from .comparison import compare
    from .guidance import RateSweep, find_lr
    from .hashed import Hashed
    from .interchange.with_keras import from_keras, to_keras
    from .interchange.with_torch import from_torch, to_torch
    from .minimization import minimize
    from .starting import start_from_data
    from .tables.model import load_table
    from .training import EarlyStopping, EpochRecord
    from .training.side_by_side import fit_side_by_side
else:
    # Where names that are loaded late come from.
    _LATE = {
        "Augment": ".augment",
        "Bags": ".bags",
        "Hashed": ".hashed",
        "RateSweep": ".guidance",
        "find_lr": ".guidance",
        "minimize": ".minimization",
        "load_table": ".tables.model",
        "start_from_data": ".starting",
        "compare": ".comparison",
        "fit_side_by_side": ".training.side_by_side",
        "EarlyStopping": ".training",
        "EpochRecord": ".training",
        "from_torch": ".interchange.with_torch",
        "to_torch": ".interchange.with_torch",
        "from_keras": ".interchange.with_keras",
        "to_keras": ".interchange.with_keras",
    }

    def __getattr__(name: str) -> object:
        """Load what is first asked for by its name: it would take a quarter of the import's time."""
        from importlib import import_module

        if name in ("callbacks", "plots", "recommend", "schedules", "scipy"):
            return import_module(f".{name}", __name__)
        if name in _LATE:
            found = globals()[name] = getattr(import_module(_LATE[name], __name__), name)
            return found
        raise unknown(__name__, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
