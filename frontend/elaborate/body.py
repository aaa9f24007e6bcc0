"""The state of one body while it is elaborated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ...ir.block import Block
from ...ir.circuit import Circuit
from ...ir.domain import Variable
from ...ir.parameter import Constraint, Parameter, Shape
from ...ir.span import Span
from .context import Context


@dataclass(slots=True)
class Body:
    """The state of one body: its blocks by name, the loop variables in force, and what its fresh names start with."""

    context: Context
    circuit: str
    blocks: dict[str, Block | None] = field(default_factory=dict[str, "Block | None"])
    places: dict[str, Span] = field(default_factory=dict[str, Span])
    loops: dict[str, int] = field(default_factory=dict[str, int])
    free: dict[Variable, None] = field(default_factory=dict[Variable, None])
    circuits: list[Circuit] = field(default_factory=list[Circuit])
    stem: str = ""
    root: Block | None = None

    def make(self, span: Span) -> Callable[[Shape, Constraint], Parameter]:
        """What makes the fresh parameters of a line."""
        return lambda shape, constraint: self.context.declarations.fresh(self.stem, shape, constraint, span)
