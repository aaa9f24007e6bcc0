"""Compiled circuits by name, and the queries that are asked of them by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

import torch

from ..ir.diagnostic import error, nearest
from .asked import RUNS, Asked
from .bundled import Bundled
from .composed import Composition
from .executable import Executable

Model = TypeVar("Model", Executable, Bundled)


class Named(torch.nn.Module, Generic[Model]):
    """Modules by the names of their circuits; `run` answers a query by its name."""

    def __init__(
        self,
        models: Mapping[str, Model],
        queries: Mapping[str, Asked],
        composed: Mapping[str, Composition] | None = None,
    ) -> None:
        super().__init__()
        self.circuits = torch.nn.ModuleDict()
        self.circuits._modules.update(models)  # its own way in refuses circuits with names such as "keys"
        self.queries = dict(queries)
        self.composed = dict(composed or {})

    def __getitem__(self, name: str) -> Model:
        """The module of a circuit."""
        if name not in self.circuits:
            hint = nearest(name, self.circuits) or f"there are {', '.join(self.circuits)}"
            raise error("unknown-circuit", f'there is no circuit "{name}"', hint=hint)
        return cast(Model, self.circuits[name])

    def run(self, name: str, x: Any = None, observed: Any = None, **options: Any) -> Any:
        """The answer of a query by its name, or of `circuit.kind`; x and `observed` as that query's method takes them.

        Raises: DanausError `unknown-query`; `not-yet` for a kind that a compiled spec does not answer.
        """
        if name in self.composed:
            return self.composed[name].answer()
        asked = self.queries.get(name)
        if asked is None:
            circuit, _, kind = name.rpartition(".")
            if kind not in RUNS or circuit not in self.circuits:
                known = (*self.queries, *self.composed)
                hint = nearest(name, known) or f"its queries are {', '.join(known) or 'none'}"
                raise error("unknown-query", f'there is no query "{name}"', hint=hint)
            asked = Asked(kind, circuit)
        model = self[asked.circuit]
        match asked.kind:
            case "likelihood":
                return model.log_likelihood(x, observed)
            case "marginal":
                return model.marginal(x, observed)
            case "conditional":
                return model.conditional(x, observed)
            case "map":
                return model.map(x, observed)
            case "sample":
                return model.sample(1 if x is None else x, observed, **options)
            case "partition":
                return model.partition()
            case "moment":
                return model.moment(asked.variable, asked.order)
            case "hamming":
                return model.hamming()
            case "decode":
                return model.decode(x, observed)
            case "posterior":
                return model.posterior(x, observed)
            case "flows":
                return model.flows(x, observed)
            case kind:
                raise error("not-yet", f"a compiled spec does not answer {kind} yet", hint=f"danaus.{kind} does")
