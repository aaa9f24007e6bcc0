"""Templates, as functions of their names: variables or data and sizes enter, a circuit leaves."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from numpy.typing import ArrayLike

from ...ir import circuit as ir
from ...ir.block import Block
from ...ir.data import Data, read_data, validate_array
from ...ir.diagnostic import error, nearest, placed
from ...ir.parameter import Value
from ...ir.span import Span, caller
from .. import templates
from ..fresh import Declarations
from ..templates import Layer
from . import parameters
from .arguments import Numbers, array, describe, is_sequence, named, size
from .block import BlockLike, as_block
from .circuit import settled
from .inputs import family_name
from .maps import MapLike, map_form
from .variables import VariablesLike, all_variables

Family: TypeAlias = "str | Callable[..., object]"
"""A family, by its name or its function: `"gaussian"`, `dn.gaussian`."""

DataLike: TypeAlias = "str | os.PathLike[str] | ArrayLike"
"""The path of a data file, or an array [rows, variables] in which NaN is a missing value."""


def hmm(
    variables: VariablesLike,
    states: int,
    emission: Family | None = None,
    transition: MapLike | None = None,
    *,
    name: str = "circuit",
    seed: int = 0,
) -> ir.Circuit:
    """A hidden Markov model over an array of variables, transition and emission shared over time.

    The family of the emission is the domain's unless it is named. Its parameters are `name.initial` [1, K],
    `name.transition` [K, K], row i P(next | i), and `name.emission`; a structured transition has one per part.

    >>> import danaus as dn
    >>> h = dn.hmm(dn.Cat("x", 27, shape=100), states=64, transition=dn.monarch(8, 8), name="h")
    >>> len(h.variables)
    100

    Raises: DanausError `wrong-domain`, `unknown-family`, `unknown-map`, `wrong-shape`, `wrong-size`.
    """

    def root(declarations: Declarations, span: Span) -> Block:
        return templates.hmm(
            all_variables(variables),
            size(states, "states"),
            declarations,
            name,
            emission=family_name(emission),
            transition=None if transition is None else map_form(transition),
            span=span,
        )

    return _template(root, name, seed)


def chow_liu(
    data: DataLike,
    variables: VariablesLike,
    smoothing: Numbers = 1,
    *,
    name: str = "circuit",
    seed: int = 0,
) -> ir.Circuit:
    """The Chow–Liu tree of data, with its parameters: the tree of most mutual information.

    P(a, b) = (count + α / (nₐ n_b)) / (N + α) with α the smoothing; a missing value leaves out the pairs it is in.

    Source: Chow and Liu, "Approximating discrete probability distributions with dependence trees", IEEE Transactions
    on Information Theory 14(3), 1968.

    >>> import danaus as dn
    >>> p = dn.chow_liu([[0, 0], [1, 1], [1, 1]], dn.Bool("x", shape=2), name="p")
    >>> len(p.variables)
    2

    Raises: DanausError `wrong-domain`, `wrong-value`, `wrong-shape`, `unreadable-file`.
    """

    def root(declarations: Declarations, span: Span) -> Block:
        rows = _data(data, variables)
        return templates.chow_liu(
            rows.values, rows.observed, rows.variables, declarations, name, _smoothing(smoothing), span=span
        )

    return _template(root, name, seed)


def hclt(
    data: DataLike,
    variables: VariablesLike,
    states: int,
    map: MapLike | None = None,
    smoothing: Numbers = 1,
    *,
    name: str = "circuit",
    seed: int = 0,
) -> ir.Circuit:
    """A hidden Chow–Liu tree: a latent variable of K states for each node of the Chow–Liu tree of data.

    Source: Liu and Van den Broeck, "Tractable regularization of probabilistic circuits", NeurIPS 2021.

    >>> import danaus as dn
    >>> p = dn.hclt([[0, 0], [1, 1], [1, 1]], dn.Bool("x", shape=2), states=4, name="p")
    >>> len(p.variables)
    2

    Raises: DanausError `wrong-domain`, `wrong-value`, `wrong-shape`, `wrong-size`, `unknown-map`, `unreadable-file`.
    """

    def root(declarations: Declarations, span: Span) -> Block:
        rows = _data(data, variables)
        return templates.hclt(
            rows.values,
            rows.observed,
            rows.variables,
            size(states, "states"),
            declarations,
            name,
            form=None if map is None else map_form(map),
            smoothing=_smoothing(smoothing),
            span=span,
        )

    return _template(root, name, seed)


def rat(
    variables: VariablesLike,
    depth: int,
    repetitions: int,
    states: int,
    layer: Layer = "cp",
    *,
    name: str = "circuit",
    seed: int = 0,
) -> ir.Circuit:
    """A random region graph: variables split in two at random, `depth` times, in several repetitions.

    Source: Peharz et al., "Random sum-product networks: a simple and effective approach to probabilistic deep
    learning", UAI 2019.

    >>> import danaus as dn
    >>> len(dn.rat(dn.Bool("x", shape=8), depth=2, repetitions=3, states=4).variables)
    8

    Raises: DanausError `wrong-size`, `too-large`.
    """

    def root(declarations: Declarations, span: Span) -> Block:
        return templates.rat(
            all_variables(variables),
            size(depth, "depth"),
            size(repetitions, "repetitions"),
            size(states, "states"),
            declarations,
            name,
            layer=_layer(layer),
            span=span,
        )

    return _template(root, name, seed)


def poon_domingos(
    variables: VariablesLike,
    shape: Sequence[int],
    delta: int,
    states: int,
    layer: Layer = "cp",
    *,
    name: str = "circuit",
    seed: int = 0,
) -> ir.Circuit:
    """The region graph of all rectangles of an image that cuts at multiples of `delta` give.

    Source: Poon and Domingos, "Sum-product networks: a new deep architecture", UAI 2011.

    >>> import danaus as dn
    >>> len(dn.poon_domingos(dn.Bool("x", shape=16), shape=[4, 4], delta=2, states=2).variables)
    16

    Raises: DanausError `wrong-size`, `wrong-shape`.
    """

    def root(declarations: Declarations, span: Span) -> Block:
        return templates.poon_domingos(
            all_variables(variables),
            _sides(shape),
            size(delta, "delta"),
            size(states, "states"),
            declarations,
            name,
            layer=_layer(layer),
            span=span,
        )

    return _template(root, name, seed)


def quad_tree(
    variables: VariablesLike,
    shape: Sequence[int],
    states: int,
    layer: Layer = "cp",
    *,
    name: str = "circuit",
    seed: int = 0,
) -> ir.Circuit:
    """An image cut in four, again and again, in one way.

    Source: Mari, Vessio and Vergari, "Unifying and understanding overparameterized circuit representations via low-rank
    tensor decompositions", TPM 2023.

    >>> import danaus as dn
    >>> len(dn.quad_tree(dn.Bool("x", shape=16), shape=[4, 4], states=2).variables)
    16

    Raises: DanausError `wrong-size`, `wrong-shape`, `wrong-arguments`.
    """

    def root(declarations: Declarations, span: Span) -> Block:
        found, sides, width = all_variables(variables), _sides(shape), size(states, "states")
        return templates.quad_tree(found, sides, width, declarations, name, layer=_layer(layer), span=span)

    return _template(root, name, seed)


def quad_graph(
    variables: VariablesLike,
    shape: Sequence[int],
    states: int,
    layer: Layer = "cp",
    *,
    name: str = "circuit",
    seed: int = 0,
) -> ir.Circuit:
    """An image cut in four, again and again, across and down in both orders; otherwise as `quad_tree`.

    >>> import danaus as dn
    >>> len(dn.quad_graph(dn.Bool("x", shape=16), shape=[4, 4], states=2, layer="tucker").variables)
    16

    Raises: DanausError `wrong-size`, `wrong-shape`, `wrong-arguments`.
    """

    def root(declarations: Declarations, span: Span) -> Block:
        found, sides, width = all_variables(variables), _sides(shape), size(states, "states")
        return templates.quad_graph(found, sides, width, declarations, name, layer=_layer(layer), span=span)

    return _template(root, name, seed)


def mixture(circuits: Sequence[BlockLike], weights: Numbers, *, name: str = "circuit", seed: int = 0) -> ir.Circuit:
    """The weighted sum of circuits, with learnable weights that begin as given.

    >>> import danaus as dn
    >>> x = dn.Bool("x")
    >>> p, q = dn.Circuit(dn.bernoulli(x, [0.2])), dn.Circuit(dn.bernoulli(x, [0.9]))
    >>> dn.mixture([p, q], [0.3, 0.7], name="m").parameters[0].shape
    (1, 2)

    Raises: DanausError `wrong-shape`, `wrong-value`, `wrong-width`, `not-a-block`, `duplicate-name`.
    """
    span = caller()
    with placed(span):
        if not isinstance(circuits, list | tuple) or not circuits:
            raise error("wrong-arguments", "mixture takes a list of circuits", hint="dn.mixture([p, q], [0.3, 0.7])")
        members = [as_block(circuit) for circuit in circuits]
        numbers = array(weights)
        if numbers.shape != (len(members),):
            raise error("wrong-shape", f"{len(members)} circuits, but weights of shape {list(numbers.shape)}")
        declarations = Declarations()
        title = named(name, "the name of the circuit")
        roots = [member.built for member in members]
        root = templates.mixture(roots, numbers, declarations, title, span=span)
        parameters.adopt(declarations)
        held = [circuit for member in members for circuit in member.circuits]
        return settled(root, held, title, seed, span)


def _template(make: Callable[[Declarations, Span], Block], name: object, seed: object) -> ir.Circuit:
    """The circuit of what a template makes, with its parameters as the template named them."""
    span = caller()
    with placed(span):
        named(name, "the name of the circuit")
        declarations = Declarations()
        root = make(declarations, span)
        parameters.adopt(declarations)
        return settled(root, (), name, seed, span)


def _data(data: DataLike, variables: VariablesLike) -> Data:
    """The rows of a file, for those of the variables that it has columns for, or of an array."""
    wanted = all_variables(variables)
    if not isinstance(data, str | os.PathLike):
        values, observed = validate_array(data, wanted, missing="nan", name="data")
        return Data(wanted, values, observed)
    found = read_data(Path(data), wanted)
    kept = [i for i, variable in enumerate(found.variables) if variable not in found.absent]
    return Data(tuple(found.variables[i] for i in kept), found.values[:, kept], found.observed[:, kept], found.name)


def _smoothing(given: object) -> Value:
    found = array(given)
    if found.shape or found.floats < 0:
        raise error("wrong-value", "smoothing is a number of at least 0")
    return found


def _sides(shape: object) -> tuple[int, int]:
    if not is_sequence(shape) or len(shape) != 2:
        raise error("wrong-arguments", f"the shape is {describe(shape)}", hint="write shape=[height, width]")
    return size(shape[0], "the height"), size(shape[1], "the width")


def _layer(given: object) -> Layer:
    if given == "cp":
        return "cp"
    if given == "tucker":
        return "tucker"
    hint = nearest(given, ("cp", "tucker")) if isinstance(given, str) else ""
    raise error("wrong-arguments", f"{describe(given)} is no layer", hint=hint or 'write layer="cp" or layer="tucker"')
