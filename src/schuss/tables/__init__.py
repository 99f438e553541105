"""Tables of any kind of column, read by what was decided once in training."""

from .cells import Table, table_of
from .errors import DataError
from .reading import open_table, read_table
from .schema import Columns, Schema
from .target import Target, find_target

__all__ = ["Columns", "DataError", "Schema", "Table", "Target", "find_target", "open_table", "read_table", "table_of"]
