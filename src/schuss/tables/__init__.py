"""Tables of any kind of column, read by what was decided once in training."""

from .errors import DataError
from .schema import Columns, Schema
from .target import Target, find_target

__all__ = ["Columns", "DataError", "Schema", "Target", "find_target"]
