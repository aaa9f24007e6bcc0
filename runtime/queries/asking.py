"""The queries of a module beyond its likelihood, as users ask them: rows and names enter, tensors and arrays leave.

What a query needs is proved before it is answered, what is compiled for it is made when it is first asked.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NoReturn, SupportsIndex

import numpy as np
import torch

from ...ir.data import validate_array
from ...ir.diagnostic import error, nearest
from ...ir.domain import Variable
from ...ir.parameter import Floats
from ...ir.query.maximum import MostProbable
from ...ir.random import checked_seed
from ...ir.span import caller
from .answers import Answers
from .evidence import as_array, weights_of, without_columns
from .questions import Bools


class Asking(torch.nn.Module):
    """A compiled circuit that answers queries."""

    @property
    @abstractmethod
    def variables(self) -> tuple[Variable, ...]:
        """The variables, in the order of the columns."""

    @abstractmethod
    def _require(self, kind: str) -> None:
        """Proves what a query needs, or finds it proved."""

    @abstractmethod
    def _answers(self) -> Answers:
        """Who answers, over the present parameters."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuses to be copied or pickled: machine code is neither.

        Raises: DanausError `not-copied`.
        """
        raise error(
            "not-copied",
            "a compiled circuit is neither copied nor pickled: it holds machine code",
            hint="save(PATH) writes a bundle; state_dict() has its parameters; danaus.compile makes another",
        )

    def conditional(self, x: Any, observed: Any = None) -> dict[str, Any]:
        """The distribution of each missing variable given the observed ones, by name, as `danaus.conditional`."""
        self._require("conditional")
        found = self._answers().conditional(*self._rows(x, observed))
        return {variable.name: answer for variable, answer in found.items()}

    def map(self, x: Any, observed: Any = None) -> MostProbable:
        """The most probable completion of each row, as `danaus.map`."""
        self._require("map")
        return self._answers().map(*self._rows(x, observed))

    def sample(self, x: Any = 1, observed: Any = None, *, seed: int = 0) -> torch.Tensor:
        """Samples [batch, variables], as `danaus.sample`: so many, or the rest of each row given what is observed."""
        self._require("sample")
        key = checked_seed(seed)
        if isinstance(x, int | np.integer):
            if x < 0:
                raise error("wrong-value", f"the number of samples is {x}", caller(), hint="it is at least 0")
            return torch.from_numpy(self._answers().sample(int(x), key))
        return torch.from_numpy(self._answers().sample_given(*self._rows(x, observed), key))

    def moment(self, variable: Variable | str, order: int) -> float:
        """E[xᵏ] of a variable under p/Z, as `danaus.moment`.

        Raises: DanausError `unknown-variable`, `wrong-value`, `zero-mass`, `diverges`.
        """
        self._require("moment")
        name = variable if isinstance(variable, str) else variable.name
        return self._answers().moment(self.variables[self._place(name)], order)

    def hamming(self) -> torch.Tensor:
        """The logarithm of the mass of each number of ones, [variables + 1], as `danaus.hamming`.

        Raises: DanausError `wrong-domain` where a variable is no boolean.
        """
        self._require("hamming")
        return torch.from_numpy(self._answers().hamming())

    def decode(self, x: Any, observed: Any = None) -> MostProbable:
        """The best joint value of a template's latents given each row (Viterbi): `values` [batch, latents].

        An HMM and a hidden Chow–Liu tree have a latent for each variable, in their order, a mixture one. States count
        from 0; `log_probability` is that of states and row; NaN and −inf where the row is impossible. `certain` is
        false where a composed map leads to one state in several ways. What is missing is summed out.

        Raises: DanausError `no-latents`, `negative`.
        """
        self._require("decode")
        return self._answers().decode(*self._rows(x, observed))

    def posterior(self, x: Any, observed: Any = None) -> torch.Tensor:
        """The distribution of each latent of a template given each row, [batch, latents, states].

        NaN, with a warning, where the row is impossible. Raises: DanausError as `decode`.
        """
        self._require("posterior")
        return torch.from_numpy(self._answers().posterior(*self._rows(x, observed)))

    def _weighted(self, x: Any, observed: Any, evidence: Mapping[str, Any]) -> torch.Tensor:
        """Marginals under virtual evidence, [batch]."""
        places = {self._place(name): as_array(given) for name, given in evidence.items()}
        values, mask = self._rows(*without_columns(as_array(x), as_array(observed), places))
        weights = {place: weights_of(self.variables[place], given, len(values)) for place, given in places.items()}
        return torch.from_numpy(self._answers().weighted(values, mask, weights))

    def _place(self, name: str) -> int:
        """The column of a variable.

        Raises: DanausError `unknown-variable`.
        """
        names = [variable.name for variable in self.variables]
        if name not in names:
            hint = nearest(name, names) or f"there are {', '.join(names[:8])}"
            raise error("unknown-variable", f'there is no variable "{name}"', hint=hint)
        return names.index(name)

    def _rows(self, x: Any, observed: Any) -> tuple[Floats, Bools]:
        """Rows and what is observed of them, checked; NaN without a mask is missing."""
        return validate_array(as_array(x), self.variables, as_array(observed), missing="nan")
