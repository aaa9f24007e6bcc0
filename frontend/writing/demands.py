"""What a spec asserts and asks, as statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...ir.circuit import Circuit
from ...ir.domain import Variable
from ...ir.span import Source, Span
from ..spec import Assertion, Failed, Joined, Near, Not, Predicate, PropertyOf, Query
from .names import spelled

SpellCircuit = Callable[[Circuit], str]


def circuits_of(assertions: Iterable[Assertion], queries: Iterable[Query]) -> list[Circuit]:
    """The circuits that assertions and queries are about."""
    out: list[Circuit] = []
    stack: list[Predicate] = [assertion.predicate for assertion in assertions]
    while stack:
        match stack.pop():
            case PropertyOf(circuits=found):
                out += [circuit for circuit in found if isinstance(circuit, Circuit)]
            case Near(circuit=found):
                out += [found] if isinstance(found, Circuit) else []
            case Not(operand):
                stack.append(operand)
            case Joined(operands=operands):
                stack.extend(operands)
    return [*out, *(circuit for query in queries for circuit in query.circuits)]


def assertion_text(assertion: Assertion, spell: SpellCircuit) -> str:
    """The statement of an assertion."""
    return f"assert {_predicate(assertion.predicate, spell)}"


def _predicate(predicate: Predicate, spell: SpellCircuit, inner: bool = False) -> str:
    """A predicate; inside another, what is joined stands in parentheses. The grammar bounds the nesting."""
    match predicate:
        case PropertyOf(name, circuits, span):
            found = [circuit for circuit in circuits if not isinstance(circuit, Failed)]
            if len(found) < len(circuits):
                return _quotation(span)
            return f"{name}({', '.join(map(spell, found))})"
        case Near(circuit, number, tolerance, span):
            if isinstance(circuit, Failed):
                return _quotation(span)
            return f"near({spell(circuit)}, {_number(number)}, {_number(tolerance)})"
        case Not(operand):
            return f"not {_predicate(operand, spell, inner=True)}"
        case Joined(word, operands):
            text = f" {word} ".join(_predicate(operand, spell, inner=True) for operand in operands)
            return f"({text})" if inner else text


def _quotation(span: Span) -> str:
    """A predicate about what an operator refused to make, as it stood in the text: it says no more than that."""
    assert isinstance(span.source, Source)
    lines = [span.source.line(number) for number in range(span.line, max(span.line, span.end_line) + 1)]
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return "\n".join(lines)


def query_text(query: Query, spell: SpellCircuit, variable: Callable[[Variable], str]) -> str:
    """The statement of a query: circuits first, then variables (a list of them, but in moment), then numbers."""
    given = [spell(circuit) for circuit in query.circuits]
    for found in query.variables:
        names = ", ".join(map(variable, found))
        given.append(names if query.kind == "moment" else f"[{names}]")
    given += [_number(number) for number in query.numbers]
    return f"query {spelled(query.name)} = {query.kind}({', '.join(given)})"


def _number(number: float) -> str:
    """A float as the shortest text that is read as it."""
    return str(int(number)) if number.is_integer() and abs(number) < 1 << 53 else repr(number)
