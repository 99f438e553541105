"""Tables of any kind of column, read by what was decided once in training; steps that turn them into what a network
learns from; and the recipes that win on them.
"""

from .cells import Table, table_of
from .encoding import Encoding, MedianFill, OneHot, QuantileNormal, RobustScale, Standardise, quantile_bins
from .errors import DataError
from .model import TableModel, load_table
from .reading import open_table, read_table
from .schema import Columns, Schema
from .target import Target, find_target

__all__ = [
    "Columns",
    "DataError",
    "Encoding",
    "MedianFill",
    "OneHot",
    "QuantileNormal",
    "RobustScale",
    "Schema",
    "Standardise",
    "Table",
    "TableModel",
    "Target",
    "find_target",
    "load_table",
    "open_table",
    "quantile_bins",
    "read_table",
    "table_of",
]
