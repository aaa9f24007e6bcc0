"""`circuit NAME = …`: another circuit, a template, or an operator on circuits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from ...ir.block import Block
from ...ir.circuit import Circuit, built_from
from ...ir.data import Data, read_data
from ...ir.diagnostic import error, nearest, placed
from ...ir.domain import FiniteDomain, Variable
from ...ir.expression import Value
from .. import templates
from ..families import FAMILY_NAMES
from ..maps import MapForm
from ..syntax import Attribute, Bracket, Call, Chain, Expression, List, Name, Parenthesis, Subscript
from .blocks import FORMS, imported_circuit
from .calls import OPERATORS, TEMPLATES, Arguments, arguments
from .context import KINDS, Context, Imported
from .maps import map_form
from .numbers import array, describe, number, size
from .variables import value, variable, variables


def circuit(expression: Expression, context: Context, name: str) -> Circuit:
    """The circuit that an expression stands for; what a template makes anew is named after `name`.

    Raises: DanausError; Poisoned after a mistake made elsewhere.
    """
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
                return _template(expression, context, name)
            case Call(Name(form)) if form in OPERATORS:
                return _operator(expression, context, name)
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


def _template(call: Call, context: Context, name: str) -> Circuit:
    makers: dict[str, Callable[[Call, Context, str], Block]] = {
        "hmm": _hmm,
        "chow_liu": _chow_liu,
        "hclt": _hclt,
        "rat": _rat,
        "poon_domingos": _poon_domingos,
        "quad_tree": _quad,
        "quad_graph": _quad,
    }
    if call.name.text == "mixture":
        return _mixture(call, context, name)
    root = makers[call.name.text](call, context, name)
    return Circuit(root, context.snapshot(), name, span=call.span)


def _hmm(call: Call, context: Context, name: str) -> Block:
    given = arguments(call, 1, 1, options=("states", "emission", "transition"))
    return templates.hmm(
        variables(given.positional[0], context, {}),
        _size(given, "states"),
        context.declarations,
        name,
        emission=_family(given, "emission"),
        transition=_map(given, "transition", context),
        span=call.span,
    )


def _chow_liu(call: Call, context: Context, name: str) -> Block:
    given = arguments(call, 1, 1, options=("smoothing",))
    data = _data(given.positional[0], context)
    return templates.chow_liu(
        data.values, data.observed, data.variables, context.declarations, name, _smoothing(given), span=call.span
    )


def _hclt(call: Call, context: Context, name: str) -> Block:
    given = arguments(call, 1, 1, options=("states", "map", "smoothing"))
    data = _data(given.positional[0], context)
    return templates.hclt(
        data.values,
        data.observed,
        data.variables,
        _size(given, "states"),
        context.declarations,
        name,
        form=_map(given, "map", context),
        smoothing=_smoothing(given),
        span=call.span,
    )


def _rat(call: Call, context: Context, name: str) -> Block:
    given = arguments(call, 1, 1, options=("depth", "repetitions", "states"))
    return templates.rat(
        variables(given.positional[0], context, {}),
        _size(given, "depth"),
        _size(given, "repetitions"),
        _size(given, "states"),
        context.declarations,
        name,
        span=call.span,
    )


def _poon_domingos(call: Call, context: Context, name: str) -> Block:
    given = arguments(call, 1, 1, options=("shape", "delta", "states"))
    return templates.poon_domingos(
        variables(given.positional[0], context, {}),
        _shape(given),
        _size(given, "delta"),
        _size(given, "states"),
        context.declarations,
        name,
        span=call.span,
    )


def _quad(call: Call, context: Context, name: str) -> Block:
    given = arguments(call, 1, 1, options=("shape", "states", "layer"))
    layer = given.options.get("layer")
    if layer is not None and not (isinstance(layer, Name) and layer.text in ("cp", "tucker")):
        raise error(
            "wrong-arguments", f"{describe(layer)} is no layer", layer.span, hint="write layer=cp or layer=tucker"
        )
    template = templates.quad_tree if call.name.text == "quad_tree" else templates.quad_graph
    return template(
        variables(given.positional[0], context, {}),
        _shape(given),
        _size(given, "states"),
        context.declarations,
        name,
        layer="tucker" if isinstance(layer, Name) and layer.text == "tucker" else "cp",
        span=call.span,
    )


def _mixture(call: Call, context: Context, name: str) -> Circuit:
    given = arguments(call, 2, 2)
    members, weights = given.positional
    if not isinstance(members, List):
        raise error("wrong-arguments", "the first argument is a list of circuits", members.span, hint="write [p, q]")
    parts = [circuit(item, context, name) for item in members.items]
    if not isinstance(weights, List):
        raise error(
            "wrong-arguments", "the second argument is a list of weights", weights.span, hint="write [0.5, 0.5]"
        )
    numbers = array(weights, {})
    if numbers.shape != (len(parts),):
        raise error("wrong-shape", f"{len(parts)} circuits, but weights of shape {list(numbers.shape)}", weights.span)
    root = templates.mixture([part.root for part in parts], numbers, context.declarations, name, span=call.span)
    free = tuple(dict.fromkeys(variable for part in parts for variable in part.free))
    return Circuit(root, context.snapshot(), name, free, built_from(parts), call.span)


def _size(given: Arguments, option: str) -> int:
    if option not in given.options:
        name = given.call.name.text
        raise error("wrong-arguments", f"{name} needs {option}", hint=f"write {name}(…, {option}=…)")
    return size(given.options[option], {}, option)


def _shape(given: Arguments) -> tuple[int, int]:
    shape = given.options.get("shape")
    if not isinstance(shape, List) or len(shape.items) != 2:
        raise error("wrong-arguments", f"{given.call.name.text} needs shape=[height, width]")
    height, width = (size(item, {}, "a side") for item in shape.items)
    return height, width


def _smoothing(given: Arguments) -> Value:
    expression = given.options.get("smoothing")
    if expression is None:
        return Value.of(1)
    found = array(expression, {})
    if found.shape or found.floats < 0:
        raise error("wrong-value", "smoothing is a number of at least 0", expression.span)
    return found


def _family(given: Arguments, option: str) -> str | None:
    expression = given.options.get(option)
    if expression is None:
        return None
    if not isinstance(expression, Name) or expression.text not in FAMILY_NAMES:
        word = expression.text if isinstance(expression, Name) else describe(expression)
        hint = nearest(word, FAMILY_NAMES) or f"families are {', '.join(FAMILY_NAMES)}"
        raise error("unknown-family", f'there is no family "{word}"', expression.span, hint=hint)
    return expression.text


def _map(given: Arguments, option: str, context: Context) -> MapForm | None:
    expression = given.options.get(option)
    return None if expression is None else map_form(expression, context, {})


def _data(expression: Expression, context: Context) -> Data:
    if not isinstance(expression, Name) or not expression.quoted:
        raise error(
            "wrong-arguments", f"{describe(expression)} is not the path of a data file", expression.span, "quote it"
        )
    declared = tuple(context.columns.values())
    with placed(expression.span):
        data = read_data(context.folder / expression.text, declared)
    kept = [i for i, variable in enumerate(data.variables) if variable not in data.absent]
    variables = tuple(data.variables[i] for i in kept)
    return replace(data, variables=variables, values=data.values[:, kept], observed=data.observed[:, kept])


def _operator(call: Call, context: Context, name: str) -> Circuit:
    operator = call.name.text
    if operator not in context.operators:
        raise error("not-yet", f"the operator {operator} is not available yet", call.name.span)
    run = context.operators[operator]

    def operands(expressions: Sequence[Expression]) -> list[Circuit]:
        return [circuit(item, context, name).over(context.snapshot()) for item in expressions]

    match operator:
        case "add" | "multiply" | "divide":
            most = None if operator == "multiply" else 2
            made = run(*operands(arguments(call, 2, most).positional))
        case "scale" | "power":
            given = arguments(call, 2, 2).positional
            made = run(*operands(given[:1]), number(given[1], {}))
        case "integrate":
            given = arguments(call, 1, 2).positional
            over = None if len(given) == 1 else _known(given[1], context)
            made = run(*operands(given[:1]), over)
        case "differentiate":
            given = arguments(call, 2, 2).positional
            made = run(*operands(given[:1]), variable(given[1], context, {}))
        case "restrict" | "condition":
            sorted_ = arguments(call, 1, 1, assigns=True)
            made = run(*operands(sorted_.positional), _values(sorted_, context))
        case "evidence":
            sorted_ = arguments(call, 1, 1, assigns=True)
            made = run(*operands(sorted_.positional), _weights(sorted_, context))
        case "rename":
            sorted_ = arguments(call, 1, 1, assigns=True)
            made = run(*operands(sorted_.positional), _renamed(sorted_, context))
        case _:
            made = run(*operands(arguments(call, 1, 1).positional))
    return made.named(name)


def _known(expression: Expression, context: Context) -> tuple[Variable, ...]:
    if not isinstance(expression, List):
        raise error("wrong-arguments", "the variables stand in a list", expression.span, hint="write [x, y]")
    return variables(expression, context, {})


def _once(found: Collection[Variable], target: Variable, place: Expression) -> None:
    if target in found:
        raise error("duplicate-name", f'"{target.name}" stands twice', place.span)


def _needs_assignments(given: Arguments, form: str) -> None:
    if not given.assignments:
        raise error("wrong-arguments", f"{given.call.name.text} needs variables", hint=f"write {form}")


def _values(given: Arguments, context: Context) -> dict[Variable, float]:
    _needs_assignments(given, f"{given.call.name.text}(p, x = 1)")
    out: dict[Variable, float] = {}
    for item in given.assignments:
        target = variable(item.target, context, {})
        _once(out, target, item.target)
        out[target] = value(target, item.value, {})
    return out


def _weights(given: Arguments, context: Context) -> dict[Variable, Value]:
    _needs_assignments(given, "evidence(p, x = [0.5, 1])")
    out: dict[Variable, Value] = {}
    for item in given.assignments:
        target = variable(item.target, context, {})
        _once(out, target, item.target)
        if not isinstance(target.domain, FiniteDomain):
            raise error(
                "wrong-domain", f'"{target.name}" is {target.domain}; evidence weighs finite domains', item.target.span
            )
        weights = array(item.value, {})
        if weights.shape != (target.domain.size,):
            raise error(
                "wrong-shape",
                f'"{target.name}" has {target.domain.size} values, but the weights have shape {list(weights.shape)}',
                item.value.span,
            )
        out[target] = weights
    return out


def _renamed(given: Arguments, context: Context) -> dict[Variable, Variable]:
    _needs_assignments(given, "rename(p, x = y)")
    out: dict[Variable, Variable] = {}
    for item in given.assignments:
        target = variable(item.target, context, {})
        _once(out, target, item.target)
        out[target] = variable(item.value, context, {})
    return out
