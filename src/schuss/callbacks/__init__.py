"""What training looks like while it runs: callbacks for `Network.fit`, any number at once.

Each is called after every epoch, in the order given, and costs nothing where it is not asked for. Further ones are any
callables that take an `schuss.EpochRecord`, or children of `Callback`, which are told when a fit begins and ends, too.
"""

from ..training.callback import Callback, FitRecord
from .checkpoint import Checkpoint
from .csv_logger import CSVLogger
from .layer_statistics import LayerStatistics
from .tensorboard import TensorBoard
from .time_limit import TimeLimit

__all__ = ["CSVLogger", "Callback", "Checkpoint", "FitRecord", "LayerStatistics", "TensorBoard", "TimeLimit"]
