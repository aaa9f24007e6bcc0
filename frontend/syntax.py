"""The syntax tree of a spec: what `parse` gives and `elaborate` reads. Every node carries its span.

Numbers, blocks, lists, maps, circuits and predicates share one union of expressions, since the text alone does not
tell them apart; elaboration does, by where they stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ..ir.span import Source, Span


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier, or any text in double quotes; `rain` and `"rain"` are one name."""

    text: str
    span: Span
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """The rational that a number in the text spells: 0.1 is 1/10."""

    value: Fraction
    span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x`, `+x` or `not x`."""

    operator: str
    operand: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Chain:
    """`first op operand op operand …`, left to right: one level of `+ -`, of `* /`, of `and`, or of `or`."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Parenthesis:
    """`( x )`: kept, since a product in parentheses is a factor that stays nested."""

    inner: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Range:
    """`lo..hi`."""

    lo: Expression
    hi: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Subscript:
    """`base[index]` or `base[lo..hi]`."""

    base: Expression
    index: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Attribute:
    """`base.name`: a circuit of an import."""

    base: Expression
    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class List:
    """`[a, b, …]`; may be empty."""

    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Assignment:
    """`target = value`, as an argument of a call (an option, or a variable's value) or as the item of a bracket."""

    target: Expression
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Bracket:
    """A bracket in which at least one item is an assignment: `[x = v]`."""

    items: tuple[Expression | Assignment, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """`name(argument, …)`."""

    name: Name
    arguments: tuple[Expression | Assignment, ...]
    span: Span


Expression = Name | Number | Unary | Chain | Parenthesis | Range | Subscript | Attribute | List | Bracket | Call


@dataclass(frozen=True, slots=True)
class Binding:
    """`name = block`, in a body."""

    name: Name
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Loop:
    """`for i in A..B { … }`, or over `reversed(A..B)`."""

    variable: Name
    lo: Expression
    hi: Expression
    reversed: bool
    body: tuple[Item, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Return:
    """`return block`."""

    value: Expression
    span: Span


Item = Binding | Loop | Return


@dataclass(frozen=True, slots=True)
class VarStatement:
    """`var name[size] : domain`."""

    name: Name
    size: Expression | None
    domain: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class ArrayStatement:
    """`param`, `const` or `index`: `keyword name[shape] : constraint = value`."""

    keyword: str
    name: Name
    shape: tuple[Expression, ...]
    constraint: Name | None
    value: Expression | None
    span: Span


@dataclass(frozen=True, slots=True)
class CircuitStatement:
    """`circuit name = expression`, or `circuit name { body }`, in which case the body is a tuple of items."""

    name: Name
    body: Expression | tuple[Item, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class AssertStatement:
    """`assert predicate`."""

    predicate: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class QueryStatement:
    """`query name = query`."""

    name: Name
    query: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class ImportStatement:
    """`import "file" as name(option = …)`."""

    path: Name
    name: Name
    options: tuple[Assignment, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class LoadStatement:
    """`load "file"`."""

    path: Name
    span: Span


@dataclass(frozen=True, slots=True)
class BrokenStatement:
    """A statement that did not parse; the name that it seems to declare is not reported as unknown later."""

    name: str | None
    span: Span


Statement = (
    VarStatement
    | ArrayStatement
    | CircuitStatement
    | AssertStatement
    | QueryStatement
    | ImportStatement
    | LoadStatement
    | BrokenStatement
)


@dataclass(frozen=True, slots=True)
class File:
    """A whole spec."""

    source: Source
    statements: tuple[Statement, ...]
