"""Gradient descent, backpropagation and their family of optimizers, compiled, over NumPy arrays."""

from ._core import __version__
from .config import show_config
from .errors import DivergenceError
from .history import History
from .layers import Dense
from .losses import MAE, MSE, BinaryCrossEntropy, CrossEntropy, Huber, Loss, Poisson
from .network import Network
from .optim import (
    EMA,
    SAM,
    SGD,
    SWA,
    Accumulate,
    AdaGrad,
    Adagrad,
    Adam,
    AdamW,
    Lookahead,
    Optimizer,
    RMSProp,
    RMSprop,
    Rows,
    SparseAdam,
)
from .serialization import load
from .threads import get_num_threads, set_num_threads, threads
from .training import EarlyStopping, EpochRecord

__all__ = [
    "EMA",
    "MAE",
    "MSE",
    "SAM",
    "SGD",
    "SWA",
    "Accumulate",
    "AdaGrad",
    "Adagrad",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Dense",
    "DivergenceError",
    "EarlyStopping",
    "EpochRecord",
    "History",
    "Huber",
    "Lookahead",
    "Loss",
    "Network",
    "Optimizer",
    "Poisson",
    "RMSProp",
    "RMSprop",
    "Rows",
    "SparseAdam",
    "__version__",
    "get_num_threads",
    "load",
    "set_num_threads",
    "show_config",
    "threads",
]
