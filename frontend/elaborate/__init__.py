"""From the syntax tree of a spec to its circuits: names, numbers, shapes, and all mistakes of a file at once."""

from .statements import elaborate

__all__ = ["elaborate"]
