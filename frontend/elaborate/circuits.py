"""`circuit NAME = …`: another circuit by name, a template, or an operator on circuits."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.circuit import Circuit
from ...ir.diagnostic import error, nearest, placed
from ..families import FAMILY_NAMES
from ..syntax import Attribute, Bracket, Call, Chain, Expression, Name, Parenthesis, Subscript
from .blocks import FORMS, imported_circuit
from .calls import OPERATORS, TEMPLATES
from .context import KINDS, Context, Imported
from .numbers import describe
from .operators import operator_circuit


def circuit(expression: Expression, context: Context, name: str) -> Circuit:
    """The circuit that an expression stands for; what a template makes anew is named after `name`.

    Raises: DanausError; Poisoned after a mistake made elsewhere.
    """

    def all_of(expressions: Sequence[Expression]) -> list[Circuit]:
        return [circuit(item, context, name) for item in expressions]

    with placed(expression.span):
        match expression:
            case Parenthesis(inner):
                return circuit(inner, context, name)
            case Name(text):
                found = context.lookup(expression)
                if isinstance(found, Imported):
                    return found.spec.circuit
                if isinstance(found, Circuit):
                    return found
                raise error("not-a-circuit", f'"{text}" is {KINDS[type(found)]}, not a circuit')
            case Attribute():
                return imported_circuit(context, expression)
            case Call(Name(form)) if form in TEMPLATES:
                from .templates import template_circuit  # with readers of data; few specs have a template

                return template_circuit(expression, context, name, all_of)
            case Call(Name(form)) if form in OPERATORS:
                return operator_circuit(expression, context, name, all_of)
            case Call(Name(form, span)):
                hint = nearest(form, (*TEMPLATES, *OPERATORS))
                if form in FORMS or form in FAMILY_NAMES:
                    hint = f"{form} makes a block: write `circuit {name} {{ return {form}(…) }}`"
                raise error(
                    "unknown-form",
                    f'there is no template or operator "{form}"',
                    span,
                    hint or "see the language reference",
                )
            case _:
                is_block = isinstance(expression, Bracket | Chain | Subscript)
                hint = f"a block stands in a body: `circuit {name} {{ return … }}`" if is_block else ""
                raise error("not-a-circuit", f"{describe(expression)} is not a circuit", hint=hint)
