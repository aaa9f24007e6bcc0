"""The present numbers of a module's parameters: as a circuit's store, and in the engines that hold them.

What enters are tensors that anyone may change in place; what leaves is made anew where they were changed since, and
only when it is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import torch

from ..ir.circuit import Circuit
from ..ir.parameter import Floats, Parameter, Value
from ..ir.store import Store
from .compiled import Compiled
from .engines import Engine, Reverse

_VERSION = attrgetter("_version")
_ADDRESS: Any = torch.Tensor.data_ptr
_CONTIGUOUS: Any = torch.Tensor.is_contiguous
_KIND = attrgetter("dtype", "is_cpu")
_PLAIN = {(torch.float64, True)}

Seen = tuple[int, ...]
Tensors = Mapping[str, torch.Tensor]


class Present:
    """A circuit over tensors by name, `tensors` gives them; `compiled` is None where only the evaluator answers.

    `hidden` says that the circuit began with exact numbers which no tensor holds.
    """

    def __init__(
        self,
        circuit: Circuit,
        compiled: Compiled | None,
        names: Mapping[str, Parameter],
        tensors: Callable[[], Tensors],
    ) -> None:
        self._circuit, self._compiled, self._names, self._tensors = circuit, compiled, names, tensors
        self._lock = threading.Lock()
        self._written = 0
        self._seen: Seen | None = None
        self._changed = self._late = False
        self.hidden = any(_out_of_reach(circuit.store[parameter]) for parameter in circuit.parameters)
        self._fed: tuple[Seen, list[Floats]] | None = None
        self._engine: tuple[Seen, Engine | None] | None = None
        self._reverse: tuple[Seen, Reverse | None] | None = None
        self.signed = False

    def written(self) -> None:
        """Says that numbers were written behind torch's back."""
        self._written += 1

    def look(self) -> Seen:
        """What tells these numbers from those before; the same as long as nothing was changed."""
        tensors = self._tensors().values()
        seen = (self._written, *map(_VERSION, tensors), *map(_ADDRESS, tensors))
        with self._lock:
            if self._seen != seen:
                self._changed = self._late = self._seen is not None
                self._seen = seen
            return seen

    def circuit(self) -> Circuit:
        """The circuit over the present numbers."""
        self.look()
        with self._lock:
            return self._over()

    def engine(self) -> Engine | None:
        """The engine with the present numbers; None where these are the evaluator's."""
        seen = self.look()
        with self._lock:
            if self._engine is None or self._engine[0] != seen:
                self._engine = seen, None if self._compiled is None else self._loaded(self._compiled)
            return self._engine[1]

    def reverse(self) -> Reverse | None:
        """Code for derivatives with the present numbers; None where there is none for them."""
        compiled, seen = self._compiled, self.look()
        if compiled is None or (compiled.fed is None and self.engine() is None):
            return None
        with self._lock:
            if self._reverse is None or self._reverse[0] != seen:
                self._reverse = seen, self._plain_reverse(compiled)
            found = self._reverse[1]
        if found is None and compiled.signed_reverse is not None and self.engine() is not None and self.signed:
            with self._lock:
                found = compiled.signed_reverse()
                found.load(compiled.tables(self._over().store), self._exactly)
                self._reverse = seen, found
        return found

    def _plain_reverse(self, compiled: Compiled) -> Reverse | None:
        """Code for derivatives where no number is negative; None where one is."""
        if compiled.signs or (compiled.fed is None and self.signed):
            return None
        tables = compiled.tables(self._over().store) if compiled.fed is None else self.tables(compiled)
        reverse = None if tables is None else compiled.reverse(self._circuit)
        fits = tables is not None and reverse is not None and reverse.load(tables, self._exactly)
        return reverse if fits else None

    def tables(self, compiled: Compiled) -> list[Floats] | None:
        """The tables as they lie in the parameters, without a copy; None where something stands in the way of that."""
        tensors = self._tensors()
        plain = set(map(_KIND, tensors.values())) <= _PLAIN and all(map(_CONTIGUOUS, tensors.values()))
        if compiled.fed is None or not plain or (self.hidden and not self._changed):
            return None
        places = tuple(map(_ADDRESS, tensors.values()))
        if self._fed is not None and self._fed[0] == places:
            return self._fed[1]
        arrays = {self._names[name]: tensor.detach().numpy() for name, tensor in tensors.items()}
        tables = compiled.fed(arrays.__getitem__, lambda: self._over().store)
        if compiled.plain:
            self._fed = places, tables
        return tables

    def _over(self) -> Circuit:
        """The circuit, its store made anew where parameters were changed since."""
        if self._late:
            values, tensors = dict(self._circuit.store), self._tensors()
            for name, parameter in self._names.items():
                values[parameter] = Value.of(tensors[name].detach().double().cpu().numpy())
            self._circuit, self._late = self._circuit.over(Store(values)), False
        return self._circuit

    def _loaded(self, compiled: Compiled) -> Engine | None:
        with np.errstate(over="ignore"):
            self.signed, tables = compiled.signs, self.tables(compiled)
            if tables is not None and not self.signed:
                plain = compiled.engine(self._circuit)
                if plain.load(tables, self._exactly):
                    return plain
            tables = list(compiled.tables(self._over().store))
            # sums of the largest numbers may be none; they are the evaluator's
            if not all(np.isfinite(table).all() for table in tables):
                return None
            self.signed = compiled.signs or any(table.min(initial=0.0) < 0 for table in tables)
            make = compiled.signed if self.signed else compiled.engine
            engine = None if make is None else make(self._circuit)
            if engine is None:
                return None
            engine.refill(tables)
            return engine

    def _exactly(self, numbers: Sequence[int]) -> Sequence[Floats]:
        assert self._compiled is not None
        return self._compiled.exactly(self._over().store, numbers)


def _out_of_reach(value: Value) -> bool:
    """Whether an exact number is not zero, but too small for float64."""
    if value.rationals is None:
        return False
    small = np.abs(value.floats) < np.finfo(np.float64).tiny
    return bool(small.any()) and any(number != 0 for number in value.rationals[small].ravel())
