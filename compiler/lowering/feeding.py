"""Which parameters lie in tables as they are, part by part: what a bundle says of them, so that it counts their use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from ...ir.family import Categorical
from ...ir.family import Table as TableFamily
from ...ir.parameter import Parameter
from .tables import Laid, Leaf, Table, Weights, depends

if TYPE_CHECKING:
    from ...runtime.fed import Fed


def fed_by(sources: Sequence[Table], parameters: Sequence[Parameter]) -> tuple[Fed, ...] | None:
    """Where each parameter lies in tables; None where one does not, as it is, or two have one name."""
    names = {parameter: parameter.name.replace(".", "/") for parameter in parameters}
    if len(set(names.values())) < len(names):
        return None
    found: list[Fed] = []
    for number, source in enumerate(sources):
        parts = _parts(source, number, names)
        if parts is None:
            return None
        found += parts
    return tuple(found) if {each.name for each in found} == set(names.values()) else None


def _parts(source: Table, number: int, names: Mapping[Parameter, str]) -> list[Fed] | None:
    """The parameters in a table; None where one enters otherwise than as it lies."""
    from ...runtime.fed import Fed

    found: list[Fed] = []
    for part, start in _laid(source):
        match part:
            case Weights(Parameter() as parameter, _):
                found.append(Fed(names[parameter], parameter.shape, number, start))
            case Leaf(Categorical() | TableFamily(), _, (Parameter() as parameter,), width):
                own = (names[parameter], parameter.shape, number, start, width)
                found.append(Fed(*own, by_node=isinstance(source, Laid)))
            case _ if depends(part):
                return None
            case _:
                pass
    return found


def _laid(source: Table) -> Iterator[tuple[Weights | Leaf, int]]:
    start = 0
    for part in source.parts if isinstance(source, Laid) else (source,):
        yield part, start
        start += prod(part.shape)
