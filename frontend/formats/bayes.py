"""Bayesian and Markov networks to specs: `.bif` and `.uai`, with `.evid` where it is given.

The circuit is the product of all tables as a function of the variables, without those that the evidence fixes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...ir.diagnostic import Diagnostic
from ...ir.domain import Variable
from ...ir.span import Source, Span
from ..spec import Spec
from .bif import parse_bif
from .compiled import compiled
from .elimination import min_fill, require_memory
from .evid import parse_evidence
from .network import Network, restricted
from .options import ForeignOptions
from .single import file_variables, single
from .text import foreign_source
from .trace import trace
from .uai import parse_uai


def read_bif(path: Path, options: ForeignOptions, known: Mapping[str, Variable]) -> Spec:
    """The Bayesian network of a `.bif` or `.bif.gz` file, as the circuit "circuit".

    Raises: DanausError with the place of a mistake, or `too-large`.
    """
    source = foreign_source(path)
    network, notes = parse_bif(source)
    return _spec(path, source, network, options, known, notes)


def read_uai(path: Path, options: ForeignOptions, known: Mapping[str, Variable]) -> Spec:
    """The network of a `.uai` or `.uai.gz` file, as the circuit "circuit".

    Raises: DanausError with the place of a mistake, or `too-large`.
    """
    source = foreign_source(path)
    return _spec(path, source, parse_uai(source), options, known, [])


def _spec(
    path: Path,
    source: Source,
    network: Network,
    options: ForeignOptions,
    known: Mapping[str, Variable],
    notes: list[Diagnostic],
) -> Spec:
    variables = file_variables(list(zip(network.names, network.domains, strict=True)), options, known)
    network = replace(network, names=tuple(variable.name for variable in variables))
    fixed = {} if options.evidence is None else parse_evidence(foreign_source(options.evidence), network)
    network = restricted(network, fixed)
    order = min_fill(network.sizes, [factor.scope for factor in network.factors])
    require_memory(network, order, options.memory)
    packed = compiled(trace(network, order, options.memory), variables, Span(source, 1))
    left = tuple(variable for place, variable in enumerate(variables) if place not in fixed)
    return single(path, left, packed.root, packed.values, notes)
