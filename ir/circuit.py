"""The circuit: a root block, the values of its parameters, and its variables in order.

Frozen; training gives a circuit of the same blocks over another store. Operators that leave something without a block
form remember how it was made, in `origin`, so that it can be written as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from .block import Block, Input, Product, Sum, in_order
from .dependence import parameters_of
from .diagnostic import error
from .domain import Variable
from .expression import Expression
from .linear import expressions
from .parameter import Parameter
from .scope import Scopes, live, scopes
from .span import Note, Span
from .store import Store
from .support import Booleans, Support


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """The operator that made a circuit: its name in the language, the circuits and the other arguments it was given.

    Of a circuit that was built block by block, the operator is `BODY`, and the circuits are those that stand in it.
    """

    operator: str
    circuits: tuple[Circuit, ...]
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])


BODY = "body"


def built_from(circuits: Iterable[Circuit]) -> Origin | None:
    """The origin of a circuit in whose blocks others stand; None where none of them has one, so that blocks say all."""
    found = tuple(dict.fromkeys(circuit for circuit in circuits if circuit.origin is not None))
    return Origin(BODY, found) if found else None


@dataclass(frozen=True, eq=False)
class Circuit:
    """A function of its variables, [] → a number: the root, a block of width 1, over a store.

    `free` are variables that it does not mention but has all the same: a sum over them multiplies it.
    """

    root: Block
    store: Store
    name: str = "circuit"
    free: tuple[Variable, ...] = ()
    origin: Origin | None = None
    span: Span | None = None

    def __post_init__(self) -> None:
        if self.root.width != 1:
            raise error(
                "wrong-width",
                f'the root of "{self.name}" has width {self.root.width}, not 1',
                self.span or self.root.span,
                hint="end with a sum of one node, or pick one with `[i]`",
            )
        found: dict[str, Input] = {}
        for block in self.blocks:
            if isinstance(block, Input):
                first = found.setdefault(block.variable.name, block)
                if first.variable != block.variable:
                    raise error(
                        "two-domains",
                        f'"{block.variable.name}" is {first.variable.domain} in one place '
                        f"and {block.variable.domain} in another",
                        block.span,
                        notes=[Note("first here", first.span)] if first.span else [],
                        hint="two variables need two names",
                    )

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks, children first."""
        return in_order(self.root)

    @cached_property
    def support(self) -> Support:
        """Which entries of the maps are not zero."""
        return Support(self.store)

    @cached_property
    def live(self) -> dict[Block, Booleans]:
        """Which nodes reach the root through non-zero weights, per block [width]."""
        return live(self.blocks, self.support)

    @cached_property
    def scopes(self) -> Scopes:
        """The scope of every node."""
        return scopes(self.blocks, self.support)

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """The variables of the root's scope and the free ones, in order of creation."""
        inputs = (block for block in self.blocks if isinstance(block, Input))
        own = {block.variable for block in inputs if self.live[block].any()}
        return tuple(sorted({*own, *self.free}, key=lambda variable: variable.order))

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """The expressions of all inputs and maps, in the order of the blocks."""
        return tuple(_expressions(self.blocks))

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters that the circuit stands on, each once."""
        return tuple(parameters_of(self.expressions))

    @cached_property
    def nodes(self) -> int:
        """The number of nodes of all blocks."""
        return sum(block.width for block in self.blocks)

    def over(self, store: Store) -> Circuit:
        """The same circuit with other values."""
        return replace(self, store=store)

    def named(self, name: str) -> Circuit:
        """The same circuit under another name."""
        return replace(self, name=name)

    def variable(self, name: str) -> Variable:
        """The variable of this name.

        Raises: DanausError `unknown-variable`.
        """
        for variable in self.variables:
            if variable.name == name:
                return variable
        names = ", ".join(variable.name for variable in self.variables[:8])
        raise error("unknown-variable", f'"{self.name}" has no variable "{name}"', hint=f"it has {names or 'none'}")

    def __repr__(self) -> str:
        return f"<circuit {self.name}: {len(self.variables)} variables, {self.nodes} nodes, {len(self.blocks)} blocks>"


def _expressions(blocks: tuple[Block, ...]) -> Iterator[Expression]:
    for block in blocks:
        match block:
            case Input(parameters=parameters):
                yield from parameters
            case Sum(map=linear):
                yield from expressions(linear)
            case Product():
                pass
