"""Templates as they are written: their arguments, and the structures of `frontend/templates`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ...ir.block import Block
from ...ir.circuit import Circuit, built_from
from ...ir.data import Data, read_data
from ...ir.diagnostic import Diagnostic, error, nearest, placed
from ...ir.parameter import Value
from .. import templates
from ..automata import alphabet
from ..families import FAMILY_NAMES
from ..maps import MapForm
from ..syntax import Call, Expression, List, Name
from .automata import automaton
from .calls import Arguments, arguments
from .context import Context
from .maps import map_form
from .numbers import array, describe, size
from .variables import variables

Members = Callable[[Sequence[Expression]], list[Circuit]]


def template_circuit(call: Call, context: Context, name: str, members: Members) -> Circuit:
    """The circuit of a template; the circuits of a mixture are elaborated by the caller.

    Raises: DanausError for its arguments, sizes, or data.
    """
    makers: dict[str, Callable[[Call, Context, str], Block]] = {
        "hmm": _hmm,
        "chow_liu": _chow_liu,
        "hclt": _hclt,
        "rat": _rat,
        "poon_domingos": _poon_domingos,
        "quad_tree": _quad,
        "quad_graph": _quad,
        "dfa": _dfa,
    }
    if call.name.text == "mixture":
        return _mixture(call, context, name, members)
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


def _mixture(call: Call, context: Context, name: str, elaborated: Members) -> Circuit:
    given = arguments(call, 2, 2)
    members, weights = given.positional
    if not isinstance(members, List):
        raise error("wrong-arguments", "the first argument is a list of circuits", members.span, hint="write [p, q]")
    parts = elaborated(members.items)
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


def _dfa(call: Call, context: Context, name: str) -> Block:
    sequence, spelt = arguments(call, 2, 2).positional
    over = variables(sequence, context, {})
    with placed(sequence.span):
        letters = alphabet(over)
    found = automaton(spelt, letters, context)
    root = templates.dfa(over, found, span=call.span)
    if not found.accepts_of_length(len(over)):
        count = f"{len(over)} value{'s' if len(over) != 1 else ''}"
        message = f"the automaton accepts no sequence of {count}, so that the circuit is 0 everywhere"
        context.gatherer.add(Diagnostic("empty-language", message, spelt.span, severity="warning"))
    return root


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
