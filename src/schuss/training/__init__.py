"""Fitting: epochs of steps, and what happens between them. The loop over batches is compiled."""

from .early_stopping import EarlyStopping
from .fitting import fit
from .record import EpochRecord
from .split import SPLIT_EPOCH

__all__ = ["SPLIT_EPOCH", "EarlyStopping", "EpochRecord", "fit"]
