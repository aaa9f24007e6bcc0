"""What a file demands and asks: the predicates of `assert`, and `query` statements."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.circuit import Circuit
from ...ir.diagnostic import Refused, error, nearest, placed
from ...ir.domain import Variable
from ...ir.span import Span
from ..spec import Failed, Joined, Near, Not, Predicate, PropertyOf, Query
from ..syntax import Call, Chain, Expression, List, Name, Parenthesis, Unary
from .calls import arguments
from .circuits import circuit
from .context import Context
from .numbers import describe, real
from .variables import variable, variables

PROPERTIES = (
    "smooth",
    "decomposable",
    "structured",
    "deterministic",
    "compatible",
    "omni_compatible",
    "normalized",
    "nonnegative",
)
COMPARISONS = ("near", "equal")
OF_TWO = ("compatible", "equal")

# What each query takes: circuits, then variables (v), lists of variables (l), or numbers (n).
QUERIES: dict[str, tuple[int, str]] = {
    "likelihood": (1, ""),
    "marginal": (1, ""),
    "partition": (1, ""),
    "hamming": (1, ""),
    "conditional": (1, ""),
    "moment": (1, "vn"),
    "map": (1, ""),
    "marginal_map": (1, "l"),
    "sample": (1, ""),
    "flows": (1, ""),
    "decode": (1, ""),
    "posterior": (1, ""),
    "count": (1, ""),
    "expectation": (2, ""),
    "entropy": (1, ""),
    "cross_entropy": (2, ""),
    "kl": (2, ""),
    "renyi": (1, "n"),
    "alpha_divergence": (2, "n"),
    "itakura_saito": (2, ""),
    "cauchy_schwarz": (2, ""),
    "squared_loss": (2, ""),
    "mutual_information": (1, "ll"),
}


def predicate(expression: Expression, context: Context) -> Predicate:
    """The predicate that an `assert` states.

    Raises: DanausError `unknown-property`, `wrong-arguments`.
    """
    match expression:
        case Parenthesis(inner):
            return predicate(inner, context)
        case Unary("not", operand, span):
            return Not(predicate(operand, context), span)
        case Chain(first, (("and" | "or" as word, _), *_) as rest, span):
            operands = (first, *(operand for _, operand in rest))
            return Joined(word, tuple(predicate(operand, context) for operand in operands), span)
        case Call(Name(name)) if name in (*PROPERTIES, *COMPARISONS):
            return _near(expression, context) if name == "near" else _property(expression, context)
        case Call(Name(name, place)) | Name(name, place):
            hint = nearest(name, (*PROPERTIES, *COMPARISONS)) or f"properties are {', '.join(PROPERTIES)}"
            if name in PROPERTIES or name in OF_TWO:
                hint = f"write {name}(p, q)" if name in OF_TWO else f"write {name}(p)"
            raise error("unknown-property", f'there is no property "{name}"', place, hint=hint)
        case _:
            raise error("wrong-predicate", f"{describe(expression)} is not a property", expression.span)


def _property(call: Call, context: Context) -> PropertyOf:
    count = 2 if call.name.text in OF_TWO else 1
    given = arguments(call, count, count).positional
    return PropertyOf(call.name.text, tuple(_operand(item, context) for item in given), call.span)


def _near(call: Call, context: Context) -> Near:
    whole, target, tolerance = arguments(call, 3, 3).positional
    found = _operand(whole, context)
    if isinstance(found, Circuit) and found.variables:
        names = ", ".join(variable.name for variable in found.variables[:4])
        raise error(
            "has-variables", f"near needs a circuit without variables; this one has {names}", whole.span, "integrate it"
        )
    return Near(found, real(target, {}), real(tolerance, {}), call.span)


def _operand(expression: Expression, context: Context) -> Circuit | Failed:
    """A circuit in an assertion; where an operator refuses, the assertion fails, and says why."""
    try:
        return circuit(expression, context, "assert")
    except Refused as refusal:
        return Failed(refusal.diagnostics)


def query(name: str, expression: Expression, context: Context) -> Query:
    """The query of a statement.

    Raises: DanausError `unknown-query`, `wrong-arguments`, `unknown-variable`.
    """
    if not isinstance(expression, Call):
        raise error("wrong-query", f"{describe(expression)} is not a query", expression.span, "write likelihood(p)")
    kind, place = expression.name.text, expression.name.span
    if kind not in QUERIES:
        hint = nearest(kind, QUERIES) or f"queries are {', '.join(QUERIES)}"
        raise error("unknown-query", f'there is no query "{kind}"', place, hint=hint)
    count, rest = QUERIES[kind]
    given = arguments(expression, count + len(rest), count + len(rest)).positional
    circuits = tuple(circuit(item, context, name) for item in given[:count])
    named: list[tuple[Variable, ...]] = []
    numbers: list[float] = []
    for sort, item in zip(rest, given[count:], strict=True):
        match sort:
            case "v":
                named.append(_mentioned(circuits[0], (variable(item, context, {}),), item.span))
            case "l":
                if not isinstance(item, List):
                    raise error("wrong-arguments", "the variables stand in a list", item.span, hint="write [x, y]")
                named.append(_mentioned(circuits[0], variables(item, context, {}), item.span))
            case _:
                numbers.append(real(item, {}))
    return Query(name, kind, circuits, tuple(named), tuple(numbers), expression.span)


def _mentioned(circuit: Circuit, found: Sequence[Variable], span: Span) -> tuple[Variable, ...]:
    with placed(span):
        return tuple(circuit.variable(item.name) for item in found)
