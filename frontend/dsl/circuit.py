"""From a block to a circuit: a root enters; a circuit of the IR leaves, over the values of the parameters it reaches.

Here parameters made anew get their names, and those without a value get a random one. Both stay: a further circuit
that shares a parameter finds it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ...ir import circuit as ir
from ...ir.block import MAX_NUMBERS, Block
from ...ir.diagnostic import error, placed
from ...ir.parameter import Parameter, Value
from ...ir.span import Note, Span, caller
from ...ir.store import Store
from . import parameters
from .arguments import integer, named
from .block import BlockLike, as_block


def Circuit(root: BlockLike, name: str = "circuit", seed: int = 0) -> ir.Circuit:
    """The circuit of a block of width 1, with its variables in order of creation.

    Parameters made anew are named after the circuit and the form that asked for them: `p.sum`, `p.sum#1`, …, children
    before what stands on them. Parameters without a value are drawn at random from the seed and their name; one that
    an earlier circuit holds keeps its name and value.

    >>> import danaus as dn
    >>> x, y = dn.Bool("x"), dn.Bool("y")
    >>> a = dn.bernoulli(x, [0.2, 0.9]) * dn.bernoulli(y, width=2)
    >>> p = dn.Circuit(dn.sum(a, [[0.3, 0.7]]), name="p")
    >>> [variable.name for variable in p.variables], p.parameters
    (['x', 'y'], (Parameter('p.bernoulli', [2]),))

    Raises: DanausError `wrong-width`, `two-domains` for two variables of one name, `duplicate-name` for two parameters
    of one name, `two-values` where circuits of different states of training stand in it.
    """
    span = caller()
    with placed(span):
        whole = as_block(root)
        return settled(whole.built, whole.circuits, name, seed, span)


def settled(root: Block, circuits: Sequence[ir.Circuit], name: object, seed: object, span: Span) -> ir.Circuit:
    """The circuit of a root in which circuits stand, with a name and a value for each parameter."""
    title, start = named(name, "the name of the circuit"), integer(seed, "the seed")
    free = tuple(dict.fromkeys(variable for circuit in circuits for variable in circuit.free))
    bare = ir.Circuit(root, Store(), title, free, ir.built_from(circuits), span)
    held = Store()
    for circuit in dict.fromkeys(circuits):
        held = held.merged(circuit.store)
    values = {parameter: _known(parameter, held) for parameter in bare.parameters}
    numbers = sum(prod(parameter.shape) for parameter in values)
    if numbers > 2 * MAX_NUMBERS:
        raise error(
            "too-large", f'the parameters of "{title}" have {numbers} numbers', hint=f"at most {2 * MAX_NUMBERS}"
        )
    names = _names(tuple(values), title)
    store = {
        parameter: held[parameter]
        if parameter in held
        else parameters.settle(parameter, names[parameter], value, start)
        for parameter, value in values.items()
    }
    return bare.over(Store(store))


def _known(parameter: Parameter, held: Store) -> Value | None:
    """The value of a parameter: a circuit's before what was declared, since the circuit may be trained."""
    if parameter in held:
        return held[parameter]
    if parameters.made_here(parameter):
        return parameters.known_value(parameter)
    raise error(
        "no-value",
        f'"{parameter.name}" was not made by dn.param or dn.const',
        hint="parameters of a file come with the circuits that hold them",
        notes=[Note("declared here", parameter.span)] if parameter.span else [],
    )


def _names(found: Sequence[Parameter], title: str) -> dict[Parameter, str]:
    """The name of each parameter; those made anew are numbered past the names that are taken.

    Raises: DanausError `duplicate-name`.
    """
    taken: dict[str, Parameter] = {}
    for parameter in found:
        if parameters.is_named(parameter):
            first = taken.setdefault(parameter.name, parameter)
            if first is not parameter:
                raise error(
                    "duplicate-name",
                    f'two parameters of "{title}" have the name "{parameter.name}"',
                    hint='give them, or the circuits that they come from, names of their own: name="…"',
                    notes=[Note("one is made here", one.span) for one in (first, parameter) if one.span],
                )
    names = {parameter: name for name, parameter in taken.items()}
    counters: dict[str, int] = {}
    for parameter in found:
        if parameter not in names:
            stem = f"{title}.{parameter.name}"
            number = counters.get(stem, 0)
            while (name := f"{stem}#{number}" if number else stem) in taken:
                number += 1
            counters[stem] = number + 1
            taken[name] = parameter
            names[parameter] = name
    return names
