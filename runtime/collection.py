"""The circuits of a spec, compiled, and its queries by name: what `danaus.compile(spec)` gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..ir.diagnostic import error, nearest
from .executable import Executable

RUNS = ("likelihood", "marginal", "conditional", "map", "sample", "partition", "hamming", "decode", "posterior")


@dataclass(frozen=True, slots=True)
class Asked:
    """A query of a spec: its kind, the name of its circuit, and of a moment the variable and its order."""

    kind: str
    circuit: str
    variable: str = ""
    order: int = 0


class Collection(torch.nn.Module):
    """Executables by the names of their circuits; `run` answers a query of the spec."""

    def __init__(self, executables: Mapping[str, Executable], queries: Mapping[str, Asked]) -> None:
        super().__init__()
        self.circuits = torch.nn.ModuleDict(executables)
        self.queries = dict(queries)

    def __getitem__(self, name: str) -> Executable:
        """The executable of a circuit."""
        if name not in self.circuits:
            hint = nearest(name, self.circuits) or f"there are {', '.join(self.circuits)}"
            raise error("unknown-circuit", f'there is no circuit "{name}"', hint=hint)
        found = self.circuits[name]
        assert isinstance(found, Executable)
        return found

    def run(self, name: str, x: Any = None, observed: Any = None, **options: Any) -> Any:
        """The answer of a query by its name, or of `circuit.kind`; x and `observed` as that query's method takes them.

        Raises: DanausError `unknown-query`; `not-yet` for a kind that a compiled spec does not answer.
        """
        asked = self.queries.get(name)
        if asked is None:
            circuit, _, kind = name.rpartition(".")
            if kind not in RUNS or circuit not in self.circuits:
                hint = nearest(name, self.queries) or f"its queries are {', '.join(self.queries) or 'none'}"
                raise error("unknown-query", f'the spec has no query "{name}"', hint=hint)
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
            case kind:
                raise error("not-yet", f"a compiled spec does not answer {kind} yet", hint=f"danaus.{kind} does")
