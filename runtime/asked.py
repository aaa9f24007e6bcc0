"""A query by name, as a compiled spec and a bundle hold it."""

from __future__ import annotations

from dataclasses import dataclass

RUNS = ("likelihood", "marginal", "conditional", "map", "sample", "partition", "hamming", "decode", "posterior")
"""Kinds that take a circuit and nothing else: `circuit.kind` is the name of such a query."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query of a spec: its kind, the name of its circuit, and of a moment the variable and its order."""

    kind: str
    circuit: str
    variable: str = ""
    order: int = 0
