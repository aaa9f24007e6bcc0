"""Data files: a file and variables enter, numbers with a mask of what was observed leave; answers go the other way.

Read `read` for the line through this room: `container` opens the file, `text`, `binary` or `parquet` makes columns,
`layout` says which column is which variable, `value` what a text or a number means for a variable. `write` is the way
out, and `array` checks what Python callers pass.
"""

from .array import validate_array
from .read import read_data
from .table import Data
from .write import Column, write_columns

__all__ = ["Column", "Data", "read_data", "validate_array", "write_columns"]
