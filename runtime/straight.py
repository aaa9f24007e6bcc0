"""From numbers without constraints straight to the tables of compiled code, and from its derivatives straight back.

What enters are flat free numbers; what leaves are log-likelihoods and derivatives by them. The parameters of the module
are not written on the way, and everything between is in the type of the code: that is half of what passes through
memory, and nothing is done for parameters one by one. On one thread, derivatives of a table go through its link while
they are in the cache. It takes a circuit whose parameters are each one table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch

from ..ir.linear import Indices
from ..ir.parameter import Floats, Parameter
from ..ir.store import Store
from .compiled import Apart, Compiled
from .engines import Flat, FlatReverse
from .links import Links, Place

MOST = 1 << 26
"""Rows times weight up to which no derivative can leave float32: numbers down to 2^-100 are divided by."""


@dataclass(frozen=True, slots=True)
class Straightly:
    """What a run over free numbers has found: log p, and derivatives by them, or yet of the tables."""

    log: Floats
    found: Flat | torch.Tensor


class Straight:
    """Tables that follow free numbers; `parameters` are the learnable ones, in the order of these."""

    def __init__(
        self,
        compiled: Compiled,
        apart: Apart,
        parameters: Sequence[Parameter],
        places: Sequence[Place],
        links: Links,
    ) -> None:
        self._compiled, self._parameters, self._links = compiled, tuple(parameters), links
        self._own = np.array([apart.tables[parameter] for parameter in parameters], dtype=np.int64)
        self._dtype = np.float32 if apart.size == 4 else np.float64
        self._held = np.empty(sum(place.rows * place.columns for place in places), dtype=self._dtype)
        self._reverse: FlatReverse = apart.reverse()
        self._way = self._reverse.turns(links, self._own)
        self._tables: list[Any] | None = None
        self._seen: tuple[Any, ...] | None = None
        self._loaded = False

    def load(
        self,
        numbers: torch.Tensor,
        beside: Sequence[torch.Tensor],
        of: Callable[[Parameter], Floats],
        store: Callable[[], Store],
    ) -> bool:
        """Takes free numbers, and the module's tensors `beside` them, which no free numbers stand for; False where
        these tables are not the code's to hold.

        `of` gives the numbers of such a parameter; `store`, when it is needed, all parameters for the free numbers.
        """
        seen = (numbers._version, numbers.data_ptr())
        around = tuple((tensor._version, tensor.data_ptr()) for tensor in beside)
        if self._seen == (seen, around):
            return self._loaded
        if self._tables is None or self._seen is None or self._seen[1] != around:
            self._tables = self._laid(of, store)
        free = numbers.detach().numpy()

        def exactly(some: Sequence[int]) -> Sequence[Floats]:
            return self._compiled.exactly(store(), some)

        if self._way is not None and torch.get_num_threads() == 1:
            self._loaded = self._reverse.load_through(self._way, free, self._held, self._tables, exactly)
        else:
            self._links.hold(free, self._held)
            self._loaded = self._reverse.load(self._tables, exactly)
        self._seen = seen, around
        return self._loaded

    def run(self, codes: Indices, weights: Floats, room: Callable[[], torch.Tensor]) -> Straightly | None:
        """log p and derivatives of Σ weight · log p; None where a row needs other numbers. `room` gives a tensor for
        derivatives."""
        if len(weights) * np.abs(weights).max(initial=0.0) > MOST:
            return None
        threads = torch.get_num_threads()
        if threads == 1 and self._way is not None:
            out = room()
            answer = self._reverse.through(codes, weights, self._way, self._held, out.numpy())
            if answer is not None:
                return None if answer.unsure.any() else Straightly(answer.log, out)
        found = self._reverse.run(codes, {}, weights, threads)
        return None if found.unsure.any() else Straightly(found.log, found)

    def pulled(self, straightly: Straightly, factor: float, room: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Derivatives by free numbers, times a factor."""
        if isinstance(straightly.found, torch.Tensor):
            return straightly.found if factor == 1.0 else straightly.found.mul_(factor)
        out = room()
        self._links.pull(out.numpy(), self._held, straightly.found.addresses[self._own], factor)
        return out

    def _laid(self, of: Callable[[Parameter], Floats], store: Callable[[], Store]) -> list[Any]:
        """The tables in the code's type: those of learnable parameters as views of what is held."""
        sizes = [prod(parameter.shape) for parameter in self._parameters]
        parts = np.split(self._held, np.cumsum(sizes)[:-1])
        own = {
            parameter: part.reshape(parameter.shape) for parameter, part in zip(self._parameters, parts, strict=True)
        }
        assert self._compiled.fed is not None
        tables = self._compiled.fed(lambda parameter: own[parameter] if parameter in own else of(parameter), store)
        return [np.ascontiguousarray(table, dtype=self._dtype) for table in tables]
